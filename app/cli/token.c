/*
 * token - print a signed token, or a signed link.
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
#include "base/units.h"
#include "cli/subcommand.h"
#include "config/config.h"
#include "route/request.h"

#define DEFAULT_TTL "1h"

enum { TEXT_MAX = 8192 };

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

	if (eq == NULL || eq == text || command_refuse_json(eq + 1, strlen(eq + 1), &at) != NULL) {
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
make_claims(const struct auth_settings *auth, const struct options *opt, int64_t now,
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
put_token(struct buf *b, const struct auth_settings *auth, const struct options *opt,
	  uint64_t ttl_ms)
{
	struct json_object *claims;
	int rc;

	if (auth->jwt.keys.n == 0)
		return complain("[auth] has neither jwt_key nor jwt_key_file");
	if (keys_signer(&auth->jwt.keys) == NULL)
		return complain("[auth] has public keys alone, which sign nothing");
	if ((claims = make_claims(auth, opt, clock_unix(), ttl_ms)) == NULL)
		return 1;
	rc = token_put(b, &auth->jwt, claims);
	json_object_put(claims);
	if (rc == -EINVAL)
		return complain("jwt_algorithms has none for the secret, the first of the keys "
				"that signs");
	return rc < 0 ? complain("the token is too long") : 0;
}

/* Links */

static bool
takes_links(const struct auth_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		if (list->v[i] == &credential_signed)
			return true;
	}
	return false;
}

/* The route that the path is served by must take links, and this user. */
static int
check_route(const struct config *cfg, const struct options *opt)
{
	char *vars[] = {(char *)"REQUEST_METHOD=GET", NULL, NULL};
	struct params params = {.envp = vars};
	struct request *req = calloc(1, sizeof(*req));
	const struct route *rt = NULL;
	const char *why = NULL;
	int rc = 1;

	if (req == NULL || asprintf(&vars[1], "REQUEST_URI=%s", opt->link) < 0) {
		free(req);
		return complain("out of memory");
	}
	if (request_read(req, &params, cfg->server.base, &why) == 0) {
		for (size_t i = 0; rt == NULL && i < cfg->n_routes; i++) {
			if (request_match(req, cfg->routes[i]))
				rt = cfg->routes[i];
		}
	}
	if (rt == NULL)
		complain("no route serves this path");
	else if (!takes_links(opt->may != NULL ? &rt->publish.auth : &rt->auth))
		fprintf(stderr, "sluice token: [route %s] has no \"signed\" in %s\n", rt->name,
			opt->may != NULL ? "publish_auth" : "auth");
	else if (opt->user != NULL && !route_param_ok(rt, "user", opt->user))
		fprintf(stderr, "sluice token: [route %s] refuses this user: param.user\n",
			rt->name);
	else
		rc = 0;
	free(vars[1]);
	free(req);
	return rc;
}

/* What may stand in a query as it is (RFC 3986, 2.3), the rest in escapes. */
static int
put_escaped(struct buf *b, const char *text)
{
	static const char plain[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	int rc = 0;

	for (; *text != '\0' && rc == 0; text++)
		rc = strchr(plain, *text) != NULL
			 ? buf_putc(b, *text)
			 : buf_printf(b, "%%%02X", (unsigned)(unsigned char)*text);
	return rc;
}

static int
put_uri(struct buf *uri, const struct options *opt, int64_t expires)
{
	int rc = buf_printf(uri, "%s%cexpires=%" PRId64, opt->link,
			    strchr(opt->link, '?') != NULL ? '&' : '?', expires);

	if (rc == 0 && opt->user != NULL && (rc = buf_puts(uri, "&user=")) == 0)
		rc = put_escaped(uri, opt->user);
	if (rc == 0 && opt->may != NULL)
		rc = buf_puts(uri, "&may=publish");
	return rc == 0 ? buf_putc(uri, '\0') : rc;
}

static int
put_link(struct buf *b, const struct config *cfg, const struct options *opt, uint64_t ttl_ms)
{
	struct buf uri;
	int rc;

	if (cfg->auth.link_keys.n == 0)
		return complain("[auth] has neither signed_key nor signed_key_file");
	if (*opt->link != '/' || strpbrk(opt->link, "# \t\n") != NULL)
		return complain("--link takes a path that begins with /, in URL encoding");
	if (opt->may != NULL && strcmp(opt->may, "publish") != 0)
		return complain("--may takes publish, and nothing else");
	if (check_route(cfg, opt) != 0)
		return 1;
	buf_init(&uri, TEXT_MAX);
	if ((rc = put_uri(&uri, opt, clock_unix() + (int64_t)(ttl_ms / 1000))) == 0)
		rc = signed_link_put(b, uri.p, &cfg->auth.link_keys);
	buf_fini(&uri);
	return rc < 0 ? complain("the link is too long") : 0;
}

int
command_put_token(struct buf *b, const struct config *cfg, const struct options *opt)
{
	uint64_t ttl_ms;

	if (units_duration(&ttl_ms, opt->ttl != NULL ? opt->ttl : DEFAULT_TTL) < 0 || ttl_ms < 1000)
		return complain("--ttl takes a time such as 30m, at least 1s");
	if (opt->link != NULL)
		return put_link(b, cfg, opt, ttl_ms);
	return put_token(b, &cfg->auth, opt, ttl_ms);
}

static int
run(const struct options *opt, char **args)
{
	struct config *cfg = NULL;
	struct buf text;
	int status = 1;

	(void)args;
	if (opt->user == NULL && opt->link == NULL)
		return command_refuse(opt, "for whom? --user ID, or --link PATH");
	if (opt->may != NULL && opt->link == NULL)
		return command_refuse(opt, "--may goes with --link");
	if (opt->n_claims > 0 && opt->link != NULL)
		return command_refuse(opt, "a link has no claims: --claim goes with --user alone");
	if (opt->user != NULL && *opt->user == '\0')
		return command_refuse(opt, "--user is empty");
	buf_init(&text, TEXT_MAX);
	if (config_load(&cfg, opt->config, stderr) == 0)
		status = command_put_token(&text, cfg, opt);
	if (status == 0)
		printf("%.*s\n", (int)text.len, text.p);
	buf_fini(&text);
	config_free(cfg);
	return status;
}

const struct subcommand token_command = {
    .name = "token",
    .synopsis = "[-c FILE] --user ID [--ttl 1h] [--claim NAME=JSON]...\n"
		"[-c FILE] --link PATH [--user ID] [--ttl 1h] [--may publish]",
    .help =
	"Prints a token for the user, signed with [auth] jwt_key or the first secret among\n"
	"jwt_key_file; or the path, which may have a query, as a link signed with signed_key or\n"
	"signed_key_file, which permits to read, or with --may publish to publish, too. Both are "
	"good "
	"for\n"
	"the time, such as 30m or 24h.\n",
    .takes = "cuLTCM",
    .run = run,
};
