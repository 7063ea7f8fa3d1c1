/*
 * The table of keys, conf/sluice.ini and sluice.ini(5) name the same keys with the same defaults.
 * Runs in the root of the tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/keys.h"

enum { KEYS_MAX = 200 };

/* What was found of each key of the table, by its number there. */
static bool is_named[KEYS_MAX], has_default[KEYS_MAX];

static size_t
number_of(const struct config_key *key)
{
	size_t n = 0;

	while (config_key_nth(n) != key)
		assert_non_null(config_key_nth(n++));
	return n;
}

static void
forget(void)
{
	memset(is_named, 0, sizeof(is_named));
	memset(has_default, 0, sizeof(has_default));
}

/* Every key that the text names exists; now: does it name every key, with its default? */
static void
check_all_named(void)
{
	const struct config_key *key;

	for (size_t n = 0; (key = config_key_nth(n)) != NULL; n++) {
		if (!is_named[n] || !has_default[n])
			fail_msg("%s of [%s] is %s", key->name, config_section_name(key->section),
				 is_named[n] ? "without its default" : "not named");
	}
}

static const struct config_key *
must_find(enum config_section section, const char *name, const char *line)
{
	const struct config_key *key = config_key_find(section, name);

	if (key == NULL)
		fail_msg("there is no such key: %s", line);
	is_named[number_of(key)] = true;
	return key;
}

static bool
is_default(const struct config_key *key, const char *value)
{
	return strcmp(value, key->fallback[0] == '\0' ? "\"\"" : key->fallback) == 0;
}

/* "key = value", "#key = value" and "# key = value"; other remarks have no such form. */
static void
read_setting(enum config_section section, const char *line)
{
	bool is_off = line[0] == '#', is_example = line[0] == '#' && line[1] == ' ';
	const struct config_key *key;
	char name[64], value[256];

	if (sscanf(line + (is_off ? 1 : 0), " %63[a-z_.] = %255[^\n]", name, value) != 2)
		return;
	key = must_find(section, name, line);
	if (key->fallback == NULL)
		has_default[number_of(key)] = true; /* it has none */
	if (!is_off || is_example)
		return;
	if (key->fallback == NULL || !is_default(key, value))
		fail_msg("this is not the default: %s", line);
	has_default[number_of(key)] = true;
}

static void
example_file(void **state)
{
	FILE *f = fopen("conf/sluice.ini", "r");
	enum config_section section = CONFIG_SERVER;
	char line[1024];

	(void)state;
	assert_non_null(f);
	forget();
	while (fgets(line, sizeof(line), f) != NULL) {
		if (line[0] != '[')
			read_setting(section, line);
		else if (strcmp(line, "[server]\n") == 0)
			section = CONFIG_SERVER;
		else
			section = strcmp(line, "[redis]\n") == 0  ? CONFIG_REDIS
				  : strcmp(line, "[auth]\n") == 0 ? CONFIG_AUTH
								  : CONFIG_ROUTE;
	}
	fclose(f);
	check_all_named();
}

static void
example_file_is_fine(void **state)
{
	struct config *cfg;

	(void)state;
	assert_int_equal(config_load(&cfg, "conf/sluice.ini", stderr), 0);
	config_free(cfg);
}

static void
manual_page(void **state)
{
	FILE *f = fopen("docs/sluice.ini.5", "r");
	enum config_section section = CONFIG_SERVER;
	const struct config_key *key = NULL;
	bool expects_value = false, is_of_keys = false;
	char line[1024], text[256];

	(void)state;
	assert_non_null(f);
	forget();
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, ".Sh ", 4) == 0) {
			is_of_keys = true;
			if (strcmp(line, ".Sh SERVER\n") == 0)
				section = CONFIG_SERVER;
			else if (strcmp(line, ".Sh REDIS\n") == 0)
				section = CONFIG_REDIS;
			else if (strcmp(line, ".Sh AUTHENTICATION\n") == 0)
				section = CONFIG_AUTH;
			else if (strcmp(line, ".Sh ROUTES\n") == 0)
				section = CONFIG_ROUTE;
			else
				is_of_keys = false;
		}
		if (!is_of_keys)
			continue;
		if (sscanf(line, ".It Ic %255s", text) == 1) {
			key = must_find(section, text, line);
		} else if (strncmp(line, "No default", 10) == 0) {
			assert_non_null(key);
			if (key->fallback != NULL)
				fail_msg("%s has a default", key->name);
			has_default[number_of(key)] = true;
		} else if (expects_value) {
			assert_non_null(key);
			assert_int_equal(sscanf(line, ".Ql %255s .", text), 1);
			if (key->fallback == NULL ||
			    !is_default(key, text + (strncmp(text, "\\&", 2) == 0 ? 2 : 0)))
				fail_msg("this is not the default of %s: %s", key->name, text);
			has_default[number_of(key)] = true;
		}
		expects_value = strcmp(line, "Default:\n") == 0;
	}
	fclose(f);
	check_all_named();
}

/* Each default is written as a value of the file would be, and is one that is allowed. */
static void
table(void **state)
{
	const struct config_key *key;

	(void)state;
	for (size_t n = 0; (key = config_key_nth(n)) != NULL; n++) {
		assert_in_range(n, 0, KEYS_MAX - 1);
		assert_non_null(key->help);
		assert_ptr_equal(config_key_find(key->section, key->name), key);
		assert_true(key->min <= key->max);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(table),
	    cmocka_unit_test(example_file),
	    cmocka_unit_test(example_file_is_fine),
	    cmocka_unit_test(manual_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
