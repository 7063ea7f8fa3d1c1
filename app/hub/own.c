#include "hub/own.h"

#include <stdlib.h>
#include <string.h>

void
own_clear(struct own *own)
{
	free(own->text);
	template_free(own->template);
	for (size_t w = 0; own->words != NULL && own->words[w] != NULL; w++)
		template_free(own->words[w]);
	free(own->words);
}

void
own_fini(struct own_keys *keys)
{
	for (size_t i = 0; i < keys->n; i++)
		own_clear(&keys->v[i]);
	free(keys->v);
	*keys = (struct own_keys){0};
}

const struct own *
own_find(const struct own_keys *keys, const char *name)
{
	for (size_t i = 0; i < keys->n; i++) {
		if (strcmp(keys->v[i].key->name, name) == 0)
			return &keys->v[i];
	}
	return NULL;
}

const char *
own_text(const struct own_keys *keys, const char *name)
{
	const struct own *own = own_find(keys, name);

	return own != NULL ? own->text : NULL;
}

uint64_t
own_number(const struct own_keys *keys, const char *name)
{
	const struct own *own = own_find(keys, name);

	return own != NULL ? own->number : 0;
}

const struct template *
own_template(const struct own_keys *keys, const char *name)
{
	const struct own *own = own_find(keys, name);

	return own != NULL ? own->template : NULL;
}

const struct template *
own_shared(const struct own_keys *keys, size_t n)
{
	for (size_t i = 0; i < keys->n; i++) {
		const struct own *own = &keys->v[i];

		for (size_t w = 0; own->words != NULL && own->words[w] != NULL; w++) {
			if (n-- == 0)
				return own->words[w];
		}
		if (own->template != NULL && own->key->kind == HANDLER_SHARED && n-- == 0)
			return own->template;
	}
	return NULL;
}
