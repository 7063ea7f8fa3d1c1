#ifndef SLUICE_HUB_WATCH_H
#define SLUICE_HUB_WATCH_H

struct subscriber;

/* watch_tell - sub, which is watched, goes: tells its watch and removes it. */
void watch_tell(struct subscriber *sub);

#endif
