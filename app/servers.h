#ifndef SLUICE_SERVERS_H
#define SLUICE_SERVERS_H

/*
 * servers - the servers of Redis as the configuration names them, and what finds them: to this end
 * it has links of its own to sentinels and to nodes of a cluster.
 */
#include <uv.h>

struct redis_settings;

struct servers {
	struct redis_settings *settings;
	struct topology *topology;
	struct sentinel *sentinel; /* NULL: url names no sentinels */
	struct cluster *cluster;   /* NULL: nor nodes of a cluster */
};

/*
 * servers_open - take *settings over, of which nothing is left: links borrow them for longer than a
 * configuration may live. Returns 0, or a negative errno; then, too, servers_close() is due.
 */
int servers_open(struct servers *sv, uv_loop_t *loop, struct redis_settings *settings);

/* servers_close - behind the links that use them. What it has open is closed in the loop's next
 * turns. */
void servers_close(struct servers *sv);

#endif
