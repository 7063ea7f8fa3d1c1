#include "hub/handler_setting.h"

#include <stdlib.h>
#include <string.h>

void
handler_setting_clear(struct handler_setting *setting)
{
	free(setting->text);
	template_free(setting->template);
	for (size_t w = 0; setting->words != NULL && setting->words[w] != NULL; w++)
		template_free(setting->words[w]);
	free(setting->words);
}

void
handler_settings_fini(struct handler_settings *hs)
{
	for (size_t i = 0; i < hs->n; i++)
		handler_setting_clear(&hs->v[i]);
	free(hs->v);
	*hs = (struct handler_settings){0};
}

const struct handler_setting *
handler_setting_find(const struct handler_settings *hs, const char *name)
{
	for (size_t i = 0; i < hs->n; i++) {
		if (strcmp(hs->v[i].key->name, name) == 0)
			return &hs->v[i];
	}
	return NULL;
}

const char *
handler_setting_text(const struct handler_settings *hs, const char *name)
{
	const struct handler_setting *setting = handler_setting_find(hs, name);

	return setting != NULL ? setting->text : NULL;
}

uint64_t
handler_setting_number(const struct handler_settings *hs, const char *name)
{
	const struct handler_setting *setting = handler_setting_find(hs, name);

	return setting != NULL ? setting->number : 0;
}

const struct template *
handler_setting_template(const struct handler_settings *hs, const char *name)
{
	const struct handler_setting *setting = handler_setting_find(hs, name);

	return setting != NULL ? setting->template : NULL;
}

const struct template *
handler_setting_shared(const struct handler_settings *hs, size_t n)
{
	for (size_t i = 0; i < hs->n; i++) {
		const struct handler_setting *setting = &hs->v[i];

		for (size_t w = 0; setting->words != NULL && setting->words[w] != NULL; w++) {
			if (n-- == 0)
				return setting->words[w];
		}
		if (setting->template != NULL && setting->key->kind == HANDLER_SHARED && n-- == 0)
			return setting->template;
	}
	return NULL;
}
