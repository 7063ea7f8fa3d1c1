#ifndef SLUICE_RELOAD_H
#define SLUICE_RELOAD_H

#include "config/config.h"

/*
 * reload_config - read the file again. NULL: it has faults, or memory is lacking; that is logged,
 * line by line, and the old configuration goes on. The caller frees it.
 */
struct config *reload_config(const char *path);

#endif
