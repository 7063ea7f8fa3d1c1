#ifndef SLUICE_FCGI_OUTGOING_H
#define SLUICE_FCGI_OUTGOING_H

/*
 * outgoing - what a connection sends: the records of a response, made of its subscriber's bytes,
 * and replies to the web server between them. What was written is accounted in one place.
 *
 * A record whose header promised a length is sent to its end, whatever becomes of the bytes that it
 * was to carry.
 */
#include <fastcgi.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "hub/subscriber.h"

struct outgoing {
	struct buf replies; /* they are sent between two records of the response */
	FCGI_Header head;
	uint32_t content_left;
	unsigned char head_left;
	unsigned char padding_left;
	bool is_open; /* a response is open, so its subscriber is in use */
	uint16_t id;  /* of its request */
	int fd;       /* borrowed */
};

enum outgoing_result {
	OUTGOING_ALL,     /* nothing waits */
	OUTGOING_BLOCKED, /* the socket takes no more for now */
	OUTGOING_ENDED,   /* the response has ended: the first byte of its trailer is sent */
	OUTGOING_FAILED   /* the peer has gone, or memory is short: the connection is over */
};

void outgoing_init(struct outgoing *out, int fd);
void outgoing_fini(struct outgoing *out);

/*
 * outgoing_flush - send until nothing waits or the socket takes no more. Content and its trailer
 * leave in one sendmsg, so a short answer is a single call. sub is borrowed, also when no response
 * is open.
 */
enum outgoing_result outgoing_flush(struct outgoing *out, struct subscriber *sub);

#endif
