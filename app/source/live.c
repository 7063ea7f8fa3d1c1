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
