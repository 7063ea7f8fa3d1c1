#include "servers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "redis/cluster.h"
#include "redis/sentinel.h"
#include "redis/settings.h"
#include "redis/topology.h"

int
servers_open(struct servers *sv, uv_loop_t *loop, struct redis_settings *settings)
{
	int rc;

	memset(sv, 0, sizeof(*sv));
	if ((sv->settings = malloc(sizeof(*sv->settings))) == NULL)
		return -ENOMEM;
	*sv->settings = *settings;
	memset(settings, 0, sizeof(*settings));
	if ((rc = topology_new(&sv->topology, sv->settings)) < 0 ||
	    (rc = cluster_new(&sv->cluster, loop, sv->topology)) < 0)
		return rc;
	return sentinel_new(&sv->sentinel, loop, sv->topology);
}

void
servers_stop(struct servers *sv)
{
	sentinel_free(sv->sentinel);
	cluster_free(sv->cluster);
	sv->sentinel = NULL;
	sv->cluster = NULL;
}

void
servers_close(struct servers *sv)
{
	servers_stop(sv);
	topology_free(sv->topology);
	if (sv->settings != NULL)
		redis_settings_fini(sv->settings);
	free(sv->settings);
	memset(sv, 0, sizeof(*sv));
}
