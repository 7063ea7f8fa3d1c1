#ifndef SLUICE_SOURCE_KEYSPACE_H
#define SLUICE_SOURCE_KEYSPACE_H

/*
 * keyspace - what became of keys, told to feeds; and, where the route wants it, what the keys hold
 * since.
 *
 * A key is read once for all feeds of a worker that were told of it, behind the last of the changes
 * that were told until then. So a value is never older than its change, though it may be newer; and
 * a key that changes while it is read is read once more, however often it does. A feed's events
 * keep the order in which Redis told of them: one whose value has come waits for those before it.
 */
struct feed;

void
keyspace_forget(struct feed *fd); /* the feed ends, so nobody waits for its operations any more */

#endif
