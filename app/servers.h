#ifndef SLUICE_SERVERS_H
#define SLUICE_SERVERS_H

/*
 * servers - the servers of Redis that the configuration names, and the links to sentinels and to
 * nodes of a cluster by which the current ones are found.
 */
#include <uv.h>

struct redis_settings;

struct servers {
	struct redis_settings *settings;
	struct topology *topology;
	struct sentinel *sentinel; /* NULL: url does not name sentinels */
	struct cluster *cluster;   /* NULL: url does not name nodes of a cluster */
};

/*
 * servers_open - takes *settings over, because links borrow them for longer than a configuration
 * may live. Returns 0, or a negative errno; even then servers_close() must be called.
 */
int servers_open(struct servers *sv, uv_loop_t *loop, struct redis_settings *settings);

/*
 * servers_close - must be called after the links that use them are closed. Its own links close in
 * the next turns of the loop.
 */
void servers_close(struct servers *sv);

/* servers_stop - asks sentinels and nodes no more, so that the loop can come to its end. */
void servers_stop(struct servers *sv);

#endif
