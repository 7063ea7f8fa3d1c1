#ifndef SLUICE_ROUTE_ALLOW_H
#define SLUICE_ROUTE_ALLOW_H

/*
 * allow - may this user have the route? That is what its `allow` says of the user, the claims and
 * the parameters. It also keeps what the answer depends on, so that it can be asked again later.
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
	struct template_value *params; /* owned, without the user and the claims, which are put in
					  anew; NULL: there is no allow */
};

/* allow_keep - returns 0, -ENOMEM. allow_fini takes one that was never kept. */
int allow_keep(struct allow_case *kept, const struct request *req, const struct identity *id);
void allow_fini(struct allow_case *kept);

/* allow_again - id asks now: is it the same user, and may he still have the route? */
enum allowed allow_again(const struct allow_case *kept, const struct identity *id);

#endif
