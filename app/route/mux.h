#ifndef SLUICE_ROUTE_MUX_H
#define SLUICE_ROUTE_MUX_H

#include <sluice/handler.h>

/*
 * handler = mux. It stands here and not among the handlers, because its subscriptions are requests.
 */
extern const struct handler mux_handler;

/* Shared by mux.c and mux_post.c: a connection follows the channel that is named by its secret. */
#define MUX_CHANNEL "sluice:mux:"
enum { MUX_SECRET_BYTES = 16, MUX_SECRET_TEXT = 2 * MUX_SECRET_BYTES + 1 };

#endif
