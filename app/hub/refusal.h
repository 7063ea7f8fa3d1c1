#ifndef SLUICE_HUB_REFUSAL_H
#define SLUICE_HUB_REFUSAL_H

/* refusal - what Redis refuses a route is tried again, and told in the log from time to time. */

struct feed_class;

/* class_retry_ms - in how long to ask again what was refused: all of a worker ask at once, so that
 * who asks for the same shares the answer. */
unsigned class_retry_ms(const struct feed_class *fc);

/* class_tell_refusal - Redis refuses what the route asks of a key, channel or command. */
void class_tell_refusal(struct feed_class *fc, const char *what, const char *why);

#endif
