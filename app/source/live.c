#include "source/live.h"

#include <stdlib.h>

struct live *
live_need(struct feed *fd)
{
	struct live *live = fd->kept;

	if (live != NULL || (live = calloc(1, sizeof(*live))) == NULL)
		return live;
	list_init(&live->replays);
	list_init(&live->snapshot_asked);
	list_init(&live->snapshot_wanted);
	list_init(&live->operations);
	fd->kept = live;
	return live;
}

/* Nobody can give what was lost. The subscribers are told, and go on where the stream does. */
void
live_tell_change(struct feed *fd, enum stream_change change)
{
	static const char *const data[] = {
	    [STREAM_TRIMMED] = "{\"reason\":\"trimmed\"}",
	    [STREAM_BEGAN_ANEW] = "{\"reason\":\"unknown-id\"}",
	    [STREAM_CUT_SHORT] = "{\"reason\":\"unknown-id\"}",
	};

	feed_reset(fd, data[change]);
}
