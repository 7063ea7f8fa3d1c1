#ifndef SLUICE_ROUTE_MUX_H
#define SLUICE_ROUTE_MUX_H

#include <sluice/handler.h>

/* handler = mux. It stands here and not among the handlers, for its subscriptions are requests. */
extern const struct handler mux_handler;

#endif
