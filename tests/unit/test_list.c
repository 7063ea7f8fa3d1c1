#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/list.h"

struct item {
	char name;
	struct list in_list;
};

static struct item items[5];

static void
make(struct list *head, const char *names)
{
	list_init(head);
	for (; *names != '\0'; names++) {
		struct item *it = &items[*names - 'a'];

		it->name = *names;
		list_init(&it->in_list);
		list_add_tail(head, &it->in_list);
	}
}

/* The names in order, with every link looked at from both sides. */
static void
assert_list(struct list *head, const char *want)
{
	struct list *node, *tmp, *before = head;
	char got[8];
	size_t n = 0;

	LIST_FOREACH (node, tmp, head) {
		assert_ptr_equal(node->prev, before);
		assert_true(n < sizeof(got) - 1);
		got[n++] = LIST_ENTRY(node, struct item, in_list)->name;
		before = node;
	}
	got[n] = '\0';
	assert_ptr_equal(head->prev, before);
	assert_string_equal(got, want);
	assert_int_equal(list_is_empty(head), want[0] == '\0');
}

static void
add_and_del(void **state)
{
	struct list head;

	(void)state;
	make(&head, "");
	assert_list(&head, "");
	make(&head, "abc");
	assert_list(&head, "abc");
	list_del(&items[1].in_list);
	assert_list(&head, "ac");
	assert_true(list_is_empty(&items[1].in_list));
	list_del(&items[1].in_list); /* in no list: nothing happens */
	assert_list(&head, "ac");
	list_del(&items[0].in_list);
	list_del(&items[2].in_list);
	assert_list(&head, "");
	list_add_tail(&head, &items[1].in_list);
	assert_list(&head, "b");
}

static void
move(void **state)
{
	struct list head, other;

	(void)state;
	make(&head, "abc");
	list_init(&other);
	list_move_tail(&head, &items[0].in_list);
	assert_list(&head, "bca");
	list_move_tail(&head, &items[0].in_list); /* the last already */
	assert_list(&head, "bca");
	list_move_tail(&other, &items[2].in_list);
	list_move_tail(&other, &items[1].in_list);
	assert_list(&head, "a");
	assert_list(&other, "cb");
}

static void
splice(void **state)
{
	static const struct {
		const char *head, *from, *want;
	} cases[] = {{"", "", ""},       {"ab", "", "ab"}, {"", "c", "c"},
		     {"", "cde", "cde"}, {"a", "b", "ab"}, {"ab", "cde", "abcde"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct list head, from;

		print_message("\"%s\" and \"%s\"\n", cases[i].head, cases[i].from);
		make(&head, cases[i].head);
		make(&from, cases[i].from);
		list_splice_tail(&head, &from);
		assert_list(&head, cases[i].want);
		assert_list(&from, "");
	}
}

/* The body of a walk may take the node out, free it, or move it to the end of another list. */
static void
walk_while_changing(void **state)
{
	struct list head, other, *node, *tmp;

	(void)state;
	list_init(&head);
	list_init(&other);
	for (int name = 'a'; name <= 'e'; name++) {
		struct item *it = malloc(sizeof(*it));

		assert_non_null(it);
		it->name = (char)name;
		list_add_tail(&head, &it->in_list);
	}
	LIST_FOREACH (node, tmp, &head) {
		struct item *it = LIST_ENTRY(node, struct item, in_list);

		if (it->name == 'b' || it->name == 'e') {
			list_move_tail(&other, node);
		} else if (it->name != 'c') {
			list_del(node);
			free(it);
		}
	}
	assert_list(&head, "c");
	assert_list(&other, "be");
	list_splice_tail(&head, &other);
	LIST_FOREACH (node, tmp, &head)
		free(LIST_ENTRY(node, struct item, in_list));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(add_and_del),
	    cmocka_unit_test(move),
	    cmocka_unit_test(splice),
	    cmocka_unit_test(walk_while_changing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
