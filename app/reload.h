#ifndef SLUICE_RELOAD_H
#define SLUICE_RELOAD_H

#include "config/config.h"

/*
 * reload_config - reads the file again. NULL: it has faults, or memory is short; that is logged,
 * line by line, and the old configuration stays. The caller frees the result.
 */
struct config *reload_config(const char *path);

#endif
