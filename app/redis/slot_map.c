#include "redis/slot_map.h"

#include <errno.h>
#include <hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
is_slot(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_INTEGER && reply->integer >= 0 && reply->integer < SLOTS;
}

/* Reads [host, port, id, …]. A host of nil or "" is the node that was asked, and "?" is none. */
static bool
read_node(struct slot_node *out, const redisReply *reply, const char *asked)
{
	const redisReply *host, *port;
	const char *name;

	if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2)
		return false;
	host = reply->element[0];
	port = reply->element[1];
	if ((host->type != REDIS_REPLY_STRING && host->type != REDIS_REPLY_NIL) ||
	    port->type != REDIS_REPLY_INTEGER || port->integer < 1 || port->integer > 65535)
		return false;
	name = host->type == REDIS_REPLY_NIL || host->len == 0 ? asked : host->str;
	if (strlen(name) >= sizeof(out->host))
		return false;
	snprintf(out->host, sizeof(out->host), "%s", name);
	out->port = (int)port->integer;
	return true;
}

/* The node's index plus 1; 0: there is no room. */
static uint16_t
place_of(struct slot_map *map, const struct slot_node *node)
{
	for (unsigned i = 0; i < map->n_nodes; i++) {
		if (map->nodes[i].port == node->port && strcmp(map->nodes[i].host, node->host) == 0)
			return (uint16_t)(i + 1);
	}
	if (map->n_nodes == SLOT_NODES_MAX)
		return 0;
	map->nodes[map->n_nodes++] = *node;
	return (uint16_t)map->n_nodes;
}

/* [from, to, primary, replica…] */
static bool
read_range(struct slot_map *map, const redisReply *reply, const char *asked)
{
	struct slot_node node;
	uint16_t place;

	if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 3 ||
	    !is_slot(reply->element[0]) || !is_slot(reply->element[1]) ||
	    !read_node(&node, reply->element[2], asked))
		return false;
	if (strcmp(node.host, "?") == 0)
		return true; /* its name is not known yet */
	if ((place = place_of(map, &node)) == 0)
		return false;
	for (long long i = reply->element[0]->integer; i <= reply->element[1]->integer; i++) {
		map->n_covered += map->of[i] == 0;
		map->of[i] = place;
	}
	return true;
}

int
slot_map_read(struct slot_map *out, const redisReply *reply, const char *asked)
{
	out->n_nodes = out->n_covered = 0;
	memset(out->of, 0, sizeof(out->of));
	if (reply->type != REDIS_REPLY_ARRAY)
		return -EINVAL;
	for (size_t i = 0; i < reply->elements; i++) {
		if (!read_range(out, reply->element[i], asked))
			return -EINVAL;
	}
	return 0;
}

/* "3999 127.0.0.1:6381", "3999 ::1:6381", "3999 :6381" */
static bool
read_target(struct redirect *out, const char *text)
{
	char *end;
	unsigned long slot = strtoul(text, &end, 10);
	const char *host, *colon;
	long port;

	if (end == text || *end != ' ' || slot >= SLOTS)
		return false;
	host = end + 1;
	if ((colon = strrchr(host, ':')) == NULL || (size_t)(colon - host) >= sizeof(out->to.host))
		return false;
	port = strtol(colon + 1, &end, 10);
	if (end == colon + 1 || *end != '\0' || port < 1 || port > 65535)
		return false;
	out->slot = (unsigned)slot;
	snprintf(out->to.host, sizeof(out->to.host), "%.*s", (int)(colon - host), host);
	out->to.port = (int)port;
	return true;
}

static const struct {
	const char *code;
	enum redirect_kind kind;
} codes[] = {
    {"MOVED ", REDIRECT_MOVED},     {"ASK ", REDIRECT_ASK},        {"TRYAGAIN", REDIRECT_WAIT},
    {"CLUSTERDOWN", REDIRECT_WAIT}, {"MASTERDOWN", REDIRECT_WAIT},
};

enum redirect_kind
redirect_read(struct redirect *out, const redisReply *reply)
{
	if (reply->type != REDIS_REPLY_ERROR)
		return REDIRECT_NONE;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		size_t len = strlen(codes[i].code);

		if (strncmp(reply->str, codes[i].code, len) != 0)
			continue;
		if (codes[i].kind == REDIRECT_WAIT || read_target(out, reply->str + len))
			return codes[i].kind;
	}
	return REDIRECT_NONE;
}
