#ifndef SLUICE_SOURCE_KINDS_H
#define SLUICE_SOURCE_KINDS_H

/* kinds - all kinds of sources and of feeds that there are; the only list. */
#include "hub/settings.h"
#include "hub/source.h"

extern const struct source_kind source_channel;  /* what is published, and no more */
extern const struct source_kind source_recorded; /* a channel with a log beside it */
extern const struct source_kind source_stream;
extern const struct source_kind source_keyspace; /* what becomes of keys */
extern const struct source_kind source_queue;    /* a stream of which a group gives each entry */
extern const struct source_kind source_acked;    /* and the channel of what was acknowledged */

/* feed_kind_of - the handler and the section say which. */
const struct feed_kind *feed_kind_of(const struct handler *h, const struct feed_settings *fs);

#endif
