#ifndef SLUICE_SOURCE_KINDS_H
#define SLUICE_SOURCE_KINDS_H

/* kinds - the list of all kinds of sources and of feeds. */
#include "hub/settings.h"
#include "hub/source.h"

extern const struct source_kind source_channel;  /* only what is published now */
extern const struct source_kind source_recorded; /* a channel with a log beside it */
extern const struct source_kind source_stream;
extern const struct source_kind source_keyspace; /* what becomes of keys */
/* a stream whose entries a consumer group gives out */
extern const struct source_kind source_queue;
extern const struct source_kind source_acked; /* the channel that tells what was acknowledged */

/* feed_kind_of - the kind, by the handler and the section. */
const struct feed_kind *feed_kind_of(const struct handler *h, const struct feed_settings *fs);

#endif
