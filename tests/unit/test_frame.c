/* test_frame.c - what sse/event_stream writes is read again, whatever stands in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "sse/frame.h"
#include "sse/event.h"
#include "sse/wire.h"

static void
frames(void **state)
{
	static const struct {
		const char *frame, *type, *id, *data; /* id NULL: none; data NULL: none */
	} cases[] = {
	    {"data: x\n", "message", NULL, "x"},
	    {"id: 1-0\nevent: a\ndata: x\ndata: y\n", "a", "1-0", "x\ny"},
	    {"event: a\ndata: \ndata: \n", "a", NULL, "\n"},
	    {"data: event: b\ndata: id: 2\n", "message", NULL, "event: b\nid: 2"},
	    {"retry: 3000\nid: 5\n", "message", "5", NULL},
	    {":\n", "message", NULL, NULL},
	    {"database: x\n", "message", NULL, NULL},
	    {"id: \ndata: x\n", "message", "", "x"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *end = cases[i].frame + strlen(cases[i].frame);
		struct frame fr;
		struct buf data;

		frame_read(&fr, cases[i].frame, end);
		assert_int_equal(fr.type_len, strlen(cases[i].type));
		assert_memory_equal(fr.type, cases[i].type, fr.type_len);
		assert_int_equal(fr.id != NULL, cases[i].id != NULL);
		if (fr.id != NULL) {
			assert_int_equal(fr.id_len, strlen(cases[i].id));
			assert_memory_equal(fr.id, cases[i].id, fr.id_len);
		}
		assert_int_equal(fr.data != NULL, cases[i].data != NULL);
		if (fr.data == NULL)
			continue;
		buf_init(&data, 1000);
		assert_int_equal(frame_put_data(&data, fr.data, end), 0);
		assert_int_equal(data.len, strlen(cases[i].data));
		assert_memory_equal(data.p, cases[i].data, data.len);
		buf_fini(&data);
	}
}

static void
there_and_back(void **state)
{
	static const char text[] = "a\nb\r\ndata: c\n\nid: 7\n: d";
	const struct event ev = {.type = "t:1",
				 .type_len = 3,
				 .id = "1-0,2-0",
				 .id_len = 7,
				 .data = text,
				 .data_len = sizeof(text) - 1};
	struct frame fr;
	struct buf frame, data;

	(void)state;
	buf_init(&frame, 1000);
	buf_init(&data, 1000);
	assert_int_equal(wire_event_stream.event(&frame, &ev, NULL), 0);
	frame_read(&fr, frame.p, frame.p + frame.len - 1); /* without the blank line */
	assert_memory_equal(fr.type, "t:1", fr.type_len);
	assert_memory_equal(fr.id, "1-0,2-0", fr.id_len);
	assert_int_equal(frame_put_data(&data, fr.data, frame.p + frame.len - 1), 0);
	assert_int_equal(buf_putc(&data, '\0'), 0);
	assert_string_equal(data.p, "a\nb\ndata: c\n\nid: 7\n: d");
	buf_fini(&frame);
	buf_fini(&data);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(frames),
	    cmocka_unit_test(there_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
