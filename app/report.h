#ifndef SLUICE_REPORT_H
#define SLUICE_REPORT_H

/*
 * report - what <sluice/handler.h> lets handlers ask of the program: is it well, what has it
 * counted, what are its routes. The functions are declared there; they tell of all workers, by what
 * the processes share, and of routes and nodes as this worker knows them.
 */
#include <stdbool.h>

struct worker;

/* report_of - handlers ask without naming a worker: it is this one from now on. Borrows w. */
void report_of(const struct worker *w);

#endif
