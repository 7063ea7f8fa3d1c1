#include "route/serving.h"

/*
 * The first service that takes a request serves it, so the special ones come first: "POST ?ack=" to
 * a queue before any other POST, a short answer and a single message before a stream.
 */
static const struct service *const services[] = {
    &service_mux_post, &service_acking,  &service_posting, &service_short,
    &service_waiting,  &service_polling, &service_queue,   &service_streaming,
};

const struct service *
service_find(const struct request *req)
{
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		if (services[i]->takes(req))
			return services[i];
	}
	return NULL;
}
