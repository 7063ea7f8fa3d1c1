#ifndef SLUICE_HUB_SHORT_ANSWER_H
#define SLUICE_HUB_SHORT_ANSWER_H

struct subscriber;

/* subscriber_tell_holder - tells the holder that sub goes before it has its answer. */
void subscriber_tell_holder(struct subscriber *sub);

#endif
