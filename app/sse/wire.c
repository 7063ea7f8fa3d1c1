#include "sse/wire.h"

const struct wire *
wire_nth(size_t n)
{
	static const struct wire *const all[] = {&wire_event_stream, &wire_ndjson};

	return n < sizeof(all) / sizeof(all[0]) ? all[n] : NULL;
}
