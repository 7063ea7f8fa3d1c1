#ifndef SLUICE_MODULE_H
#define SLUICE_MODULE_H

/* module - handlers that are compiled apart from Sluice. */
#ifdef __cplusplus
extern "C" {
#endif

struct handler;

/*
 * A module is a shared object that "[server] modules" names, with handlers that are compiled apart
 * from Sluice. One of its files has the line SLUICE_MODULE(&orders, &chat);
 */
#define SLUICE_HANDLER_ABI 2U

struct handler_module {
	unsigned abi; /* SLUICE_HANDLER_ABI of the header that it was compiled with */
	const struct handler *const *handlers; /* ends with NULL */
};

#define SLUICE_MODULE(...) \
	static const struct handler *const sluice_module_handlers[] = {__VA_ARGS__, NULL}; \
	extern const struct handler_module sluice_module; \
	const struct handler_module sluice_module = {SLUICE_HANDLER_ABI, sluice_module_handlers}

#ifdef __cplusplus
}
#endif

#endif
