#ifndef SLUICE_REPORT_H
#define SLUICE_REPORT_H

/*
 * report - the functions of <sluice/handler.h> by which handlers ask about the program: is it well,
 * what has it counted, what are its routes. They tell about all workers by the memory that the
 * processes share; routes and nodes they know from this worker.
 */
#include <stdbool.h>

struct worker;

/* report_of - handlers do not name a worker: from now on they ask about this one. Borrows w. */
void report_of(const struct worker *w);

#endif
