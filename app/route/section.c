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

	return text != NULL ? (unsigned)strings_count(text) : 0;
}

void
section_fault(struct handler_section *hs, const char *key, const char *why)
{
	hs->fault(hs, key, why);
}
