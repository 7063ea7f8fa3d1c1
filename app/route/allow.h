#ifndef SLUICE_ROUTE_ALLOW_H
#define SLUICE_ROUTE_ALLOW_H

/*
 * allow - may who asks have the route: what its `allow` says of the user, the claims and the
 * parameters. And of what of who he is the route depends, to see later whether it is so still.
 */
#include "auth/identity.h"
#include "route/request.h"

enum allowed {
	ALLOWED,
	FORBIDDEN,
	UNDECIDED /* the route's expressions pause */
};

/* allow_judge - of a route that has "allow"; params as of request_read_params(). */
enum allowed allow_judge(const struct route *rt, const struct template_value *params);

enum { ALLOW_DIGEST = 32 };

/* What is kept of a request to judge it again. */
struct allow_case {
	const struct route *rt;
	unsigned char digest[ALLOW_DIGEST];
	struct template_value
	    *params; /* owned, but who asks: that is put in anew; NULL: no allow */
};

/* allow_keep - 0, -ENOMEM. allow_fini: takes one that was never kept. */
int allow_keep(struct allow_case *kept, const struct request *req, const struct identity *id);
void allow_fini(struct allow_case *kept);

/* allow_again - is id, who asks now, who it was, and may he still? */
enum allowed allow_again(const struct allow_case *kept, const struct identity *id);

#endif
