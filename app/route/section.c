#include "route/section.h"

#include "base/strings.h"

const char *
section_text(const struct handler_section *hs, const char *key)
{
	return hs->text(hs, key);
}

unsigned
section_count(const struct handler_section *hs, const char *key)
{
	const char *text = hs->text(hs, key);
	unsigned n = 0;
	size_t len;

	while (text != NULL && strings_next(&text, &len) != NULL)
		n++;
	return n;
}

void
section_fault(struct handler_section *hs, const char *key, const char *why)
{
	hs->fault(hs, key, why);
}
