#ifndef SLUICE_HUB_WATCH_H
#define SLUICE_HUB_WATCH_H

struct subscriber;

/* watch_tell - sub, which is watched, goes: its watch is told, and over. */
void watch_tell(struct subscriber *sub);

#endif
