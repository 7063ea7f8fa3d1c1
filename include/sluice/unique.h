#ifndef SLUICE_UNIQUE_H
#define SLUICE_UNIQUE_H

/* unique - texts that no other call returns. */
#ifdef __cplusplus
extern "C" {
#endif

/*
 * unique_make - a text that no other call returns, in any worker on any machine: letters and digits
 * that begin with the time, so that later ones sort behind earlier ones of the same worker.
 */
enum { UNIQUE_LEN = 33 };
void unique_make(char text[UNIQUE_LEN]);

#ifdef __cplusplus
}
#endif

#endif
