/*
 * cmd_token.c - print a signed token, or a signed link.
 */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/signed_link.h"
#include "auth/token.h"
#include "base/clock.h"
#include "cli/cmd.h"
#include "config/config.h"
#include "base/units.h"

#define DEFAULT_TTL "1h"

enum { TEXT_MAX = 8192 };

static const char usage[] =
    "usage: sluice token [-c FILE] --user ID [--ttl 1h] [--claim NAME=JSON]...\n"
    "       sluice token [-c FILE] --link PATH [--user ID] [--ttl 1h]\n"
    "Prints a token for the user, signed with [auth] jwt_key or jwt_key_file; or the path, which\n"
    "may have a query, as a link signed with signed_key or signed_key_file. Both are good for the\n"
    "time, such as 30m or 24h.\n";

static int
complain(const char *text)
{
	fprintf(stderr, "sluice token: %s\n", text);
	return 1;
}

/* "NAME=JSON"; what is no JSON is told. */
static int
add_claim(struct json_object *claims, const char *text)
{
	const char *eq = strchr(text, '=');
	struct json_object *value;
	char *name;
	size_t at;

	if (eq == NULL || eq == text || cmd_refuse_json(eq + 1, strlen(eq + 1), &at) != NULL) {
		fprintf(stderr, "sluice token: --claim %s: NAME=JSON, as in role='\"admin\"'\n",
			text);
		return -EINVAL;
	}
	if ((name = strndup(text, (size_t)(eq - text))) == NULL)
		return -ENOMEM;
	value = json_tokener_parse(eq + 1);
	json_object_object_add(claims, name, value);
	free(name);
	return 0;
}

/* The caller's; NULL having told why. */
static struct json_object *
make_claims(const struct auth_settings *auth, const struct cmd_options *opt, int64_t now,
	    uint64_t ttl_ms)
{
	struct json_object *claims = json_object_new_object();

	if (claims == NULL)
		return NULL;
	json_object_object_add(claims, auth->jwt.user_claim, json_object_new_string(opt->user));
	json_object_object_add(claims, "iat", json_object_new_int64(now));
	json_object_object_add(claims, "exp",
			       json_object_new_int64(now + (int64_t)(ttl_ms / 1000)));
	if (auth->jwt.issuer != NULL)
		json_object_object_add(claims, "iss", json_object_new_string(auth->jwt.issuer));
	if (auth->jwt.audience != NULL)
		json_object_object_add(claims, "aud", json_object_new_string(auth->jwt.audience));
	for (size_t i = 0; i < opt->n_claims; i++) {
		if (add_claim(claims, opt->claims[i]) < 0) {
			json_object_put(claims);
			return NULL;
		}
	}
	return claims;
}

static int
put_token(struct buf *b, const struct auth_settings *auth, const struct cmd_options *opt,
	  uint64_t ttl_ms)
{
	struct json_object *claims;
	const char *secret;
	size_t len;
	int rc;

	if (auth->jwt.key == NULL)
		return complain("[auth] has neither jwt_key nor jwt_key_file");
	if ((secret = auth_key_secret(auth->jwt.key, &len)) == NULL)
		return complain("[auth] has a public key, which signs nothing");
	if ((claims = make_claims(auth, opt, clock_unix(), ttl_ms)) == NULL)
		return 1;
	rc = token_put(b, secret, len, claims);
	json_object_put(claims);
	return rc < 0 ? complain("the token is too long") : 0;
}

static int
put_link(struct buf *b, const struct config *cfg, const struct cmd_options *opt, uint64_t ttl_ms)
{
	int64_t expires = clock_unix() + (int64_t)(ttl_ms / 1000);
	const char *secret;
	char *uri;
	size_t len;
	int rc;

	if (cfg->auth.link_key == NULL)
		return complain("[auth] has neither signed_key nor signed_key_file");
	if (*opt->link != '/' || strpbrk(opt->link, "# \t\n") != NULL)
		return complain("--link takes a path that begins with /, in URL encoding");
	secret = auth_key_secret(cfg->auth.link_key, &len);
	if (asprintf(&uri, "%s%cexpires=%" PRId64 "%s%s", opt->link,
		     strchr(opt->link, '?') != NULL ? '&' : '?', expires,
		     opt->user != NULL ? "&user=" : "", opt->user != NULL ? opt->user : "") < 0)
		return complain("out of memory");
	rc = signed_link_put(b, uri, secret, len);
	free(uri);
	return rc < 0 ? complain("the link is too long") : 0;
}

int
cmd_token_put(struct buf *b, const struct config *cfg, const struct cmd_options *opt)
{
	uint64_t ttl_ms;

	if (units_duration(&ttl_ms, opt->ttl != NULL ? opt->ttl : DEFAULT_TTL) < 0 || ttl_ms < 1000)
		return complain("--ttl takes a time such as 30m, at least 1s");
	if (opt->link != NULL)
		return put_link(b, cfg, opt, ttl_ms);
	return put_token(b, &cfg->auth, opt, ttl_ms);
}

int
cmd_token(int argc, char **argv)
{
	struct cmd_options opt = {.usage = usage, .takes = "uLTC"};
	struct config *cfg = NULL;
	struct buf text;
	int status = cmd_options(&opt, argc, argv);

	if (status >= 0)
		return status;
	if (opt.user == NULL && opt.link == NULL) {
		fputs(usage, stderr);
		cmd_options_fini(&opt);
		return 2;
	}
	status = 1;
	buf_init(&text, TEXT_MAX);
	if (config_load(&cfg, opt.config, stderr) == 0)
		status = cmd_token_put(&text, cfg, &opt);
	if (status == 0)
		printf("%.*s\n", (int)text.len, text.p);
	buf_fini(&text);
	config_free(cfg);
	cmd_options_fini(&opt);
	return status;
}
