#ifndef SLUICE_HUB_REFUSAL_H
#define SLUICE_HUB_REFUSAL_H

/*
 * refusal - if Redis refuses what a route asks, it is asked again, and the log says so from time to
 * time.
 */

struct feed_class;

/*
 * class_retry_ms - after how long to ask again what was refused. All feeds of a worker ask at the
 * same moment, so that those which ask the same share the answer.
 */
unsigned class_retry_ms(const struct feed_class *fc);

/*
 * class_tell_refusal - logs that Redis refuses what the route asks about a key, a channel or by a
 * command.
 */
void class_tell_refusal(struct feed_class *fc, const char *what, const char *why);

#endif
