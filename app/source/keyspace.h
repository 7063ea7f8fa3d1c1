#ifndef SLUICE_SOURCE_KEYSPACE_H
#define SLUICE_SOURCE_KEYSPACE_H

/*
 * keyspace - tells feeds what was done to keys; and, if the route wants it, what the keys hold
 * afterwards. A key is read once for all feeds of a worker that were told of it, after the last
 * change that was told until then. So a value is never older than its change, though it may be
 * newer. A key that changes while it is being read is read once more, however often it changes. A
 * feed's events keep the order in which Redis told of them: an event whose value has come waits for
 * those before it.
 */
struct feed;

void
keyspace_forget(struct feed *fd); /* the feed ends, so nobody waits for its operations any more */

#endif
