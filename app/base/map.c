#include "base/map.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { FIRST_SLOTS = 16 };

#define ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))

static void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = ROTL(v[1], 13) ^ v[0];
	v[0] = ROTL(v[0], 32);
	v[2] += v[3];
	v[3] = ROTL(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = ROTL(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = ROTL(v[1], 17) ^ v[2];
	v[2] = ROTL(v[2], 32);
}

/*
 * One seed for the process. If the system gives no randomness the table still works; only clients
 * could then choose names that collide.
 */
static const uint64_t *
seed(void)
{
	static uint64_t k[2];

	if (k[0] == 0) {
		if (getrandom(k, sizeof(k), GRND_NONBLOCK) != (ssize_t)sizeof(k))
			k[1] = (uint64_t)(uintptr_t)k;
		k[0] |= 1;
	}
	return k;
}

/* SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012). */
static uint32_t
hash(const char *key, size_t len)
{
	const uint64_t *k = seed();
	uint64_t v[4] = {k[0] ^ 0x736f6d6570736575, k[1] ^ 0x646f72616e646f6d,
			 k[0] ^ 0x6c7967656e657261, k[1] ^ 0x7465646279746573};
	uint64_t word, tail = (uint64_t)len << 56;
	size_t i;

	for (; len >= 8; key += 8, len -= 8) {
		memcpy(&word, key, 8);
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	for (i = 0; i < len; i++)
		tail |= (uint64_t)(unsigned char)key[i] << (8 * i);
	v[3] ^= tail;
	sip_round(v);
	v[0] ^= tail;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return (uint32_t)(v[0] ^ v[1] ^ v[2] ^ v[3]);
}

static int
grow(struct map *m)
{
	size_t i, n_slots = m->slots == NULL ? FIRST_SLOTS : (m->mask + 1) * 2;
	struct map_node **slots = calloc(n_slots, sizeof(struct map_node *)), *node, *next;

	if (slots == NULL)
		return -ENOMEM;
	for (i = 0; m->slots != NULL && i <= m->mask; i++) {
		for (node = m->slots[i]; node != NULL; node = next) {
			next = node->next;
			node->next = slots[node->hash & (n_slots - 1)];
			slots[node->hash & (n_slots - 1)] = node;
		}
	}
	free(m->slots);
	m->slots = slots;
	m->mask = n_slots - 1;
	return 0;
}

void
map_init(struct map *m)
{
	memset(m, 0, sizeof(*m));
}

void
map_fini(struct map *m)
{
	free(m->slots);
	memset(m, 0, sizeof(*m));
}

int
map_add(struct map *m, struct map_node *node, const char *key, size_t len)
{
	struct map_node **slot;
	int rc;

	/* If the table cannot grow, it still works, only slower. */
	if ((m->slots == NULL || m->n > m->mask) && (rc = grow(m)) < 0 && m->slots == NULL)
		return rc;
	node->key = key;
	node->len = (uint32_t)len;
	node->hash = hash(key, len);
	slot = &m->slots[node->hash & m->mask];
	node->next = *slot;
	*slot = node;
	m->n++;
	return 0;
}

void
map_del(struct map *m, struct map_node *node)
{
	struct map_node **at = &m->slots[node->hash & m->mask];

	while (*at != node) {
		assert(*at != NULL);
		at = &(*at)->next;
	}
	*at = node->next;
	m->n--;
}

struct map_node *
map_find(const struct map *m, const char *key, size_t len)
{
	struct map_node *node;
	uint32_t h;

	if (m->slots == NULL)
		return NULL;
	h = hash(key, len);
	for (node = m->slots[h & m->mask]; node != NULL; node = node->next) {
		if (node->hash == h && node->len == len &&
		    (len == 0 || memcmp(node->key, key, len) == 0))
			return node;
	}
	return NULL;
}

static struct map_node *
first_from(const struct map *m, size_t slot)
{
	for (; m->slots != NULL && slot <= m->mask; slot++) {
		if (m->slots[slot] != NULL)
			return m->slots[slot];
	}
	return NULL;
}

struct map_node *
map_first(const struct map *m)
{
	return first_from(m, 0);
}

struct map_node *
map_next(const struct map *m, const struct map_node *node)
{
	return node->next != NULL ? node->next : first_from(m, (node->hash & m->mask) + 1);
}
