/*
 * fuzz_expression.c - any text as an expression or a script, on any message: nothing crashes, and
 * nothing runs for long. The input is the text, a NUL, and the message.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "logic/expression.h"
#include "base/json_text.h"
#include "logic/library.h"
#include "logic/message.h"
#include "logic/names.h"
#include "logic/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
on_free(void *ctx, const char *name, size_t len, unsigned line)
{
	(void)ctx;
	(void)line;
	if (len == 0 || name[len - 1] == '\0')
		abort();
	return 0;
}

static int
on_param(void *ctx, const char *name, size_t len)
{
	(void)ctx;
	if (name != NULL && len == 0)
		abort();
	return 0;
}

static void
run_expression(struct sandbox *sb, const char *text, const struct template_scope *scope)
{
	struct expression *ex;
	char why[512];
	struct buf b;
	bool is_some;

	if (expression_new(&ex, sb, text, why, sizeof(why)) < 0)
		return;
	buf_init(&b, 1 << 24);
	if (expression_render(ex, scope, &b, &is_some, why, sizeof(why)) == 0 && is_some)
		(void)json_text_check(b.p, b.len, NULL);
	buf_fini(&b);
	expression_free(ex);
}

static void
run_script(struct sandbox *sb, const char *text, const struct template_scope *scope)
{
	struct rendering r;
	struct script *sc;
	uint64_t after_ms;
	char why[512];
	int callback;

	if (script_new(&sc, sb, "s.lua", text, why, sizeof(why)) < 0)
		return;
	rendering_init(&r);
	if (script_open(sc, scope, &callback, &after_ms, why, sizeof(why)) == 0)
		(void)script_run(sc, callback, scope, &r, why, sizeof(why));
	script_close(sc, callback);
	rendering_fini(&r);
	script_free(sc);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct template_value params[] = {{"a", "1"}, {NULL, NULL}};
	static const struct names_ops ops = {.on_free = on_free, .on_param = on_param};
	char *text = malloc(size + 2);
	size_t len = strnlen((const char *)data, size);
	struct template_scope scope = {.params = params, .channel = "c", .channel_len = 1};
	struct sandbox *sb;
	struct message msg;

	if (text == NULL)
		abort();
	memcpy(text, data, size);
	text[size] = text[size + 1] = '\0';
	names_walk(text, len, &ops, NULL);
	message_init(&msg, "c", 1, text + len + 1, size > len ? size - len - 1 : 0);
	scope.msg = &msg;
	if (message_is_json(&msg) && sandbox_new(&sb, library_open) == 0) {
		run_expression(sb, text, &scope);
		run_script(sb, text, &scope);
		sandbox_free(sb);
	}
	message_fini(&msg);
	free(text);
	return 0;
}
