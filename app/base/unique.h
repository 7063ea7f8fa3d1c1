#ifndef SLUICE_BASE_UNIQUE_H
#define SLUICE_BASE_UNIQUE_H

enum { UNIQUE_LEN = 33 };

/*
 * unique_make - a text that no other call returns, in any worker on any machine: letters and digits
 * that begin with the time, so that later ones sort behind earlier ones of the same worker.
 */
void unique_make(char text[UNIQUE_LEN]);

#endif
