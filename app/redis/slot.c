#include "redis/slot.h"

#include <stdint.h>
#include <string.h>

/* CRC-16/XMODEM: polynomial 0x1021, from 0, neither reflected nor inverted. */
static uint16_t
crc16(const char *p, size_t len)
{
	uint16_t crc = 0;

	for (; len > 0; p++, len--) {
		crc ^= (uint16_t)((unsigned char)*p << 8);
		for (int bit = 0; bit < 8; bit++)
			crc = (uint16_t)((crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1);
	}
	return crc;
}

/* The text between the first brace and the next closing one, unless it is empty. */
const char *
slot_tag(const char *key, size_t *len)
{
	const char *open = memchr(key, '{', *len), *close;

	if (open == NULL)
		return key;
	close = memchr(open, '}', *len - (size_t)(open - key));
	if (close == NULL || close == open + 1)
		return key;
	*len = (size_t)(close - open - 1);
	return open + 1;
}

bool
slot_has_tag(const char *key, size_t len)
{
	return slot_tag(key, &len) != key;
}

unsigned
slot_of(const char *key, size_t len)
{
	const char *tag = slot_tag(key, &len);

	return crc16(tag, len) % SLOTS;
}
