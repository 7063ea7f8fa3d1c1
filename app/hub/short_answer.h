#ifndef SLUICE_HUB_SHORT_ANSWER_H
#define SLUICE_HUB_SHORT_ANSWER_H

struct subscriber;

/* subscriber_tell_holder - sub goes without the answer that its holder would have given. */
void subscriber_tell_holder(struct subscriber *sub);

#endif
