#include "route/path.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct segment {
	const char *text; /* a literal, or the parameter's name */
	bool is_param;
};

struct path {
	char *text;  /* as configured */
	char *parts; /* the text, cut into its segments */
	size_t n;
	struct segment segments[PATH_SEGMENTS_MAX];
};

static bool
is_name(const char *p)
{
	if (!isalpha((unsigned char)*p) && *p != '_')
		return false;
	while (isalnum((unsigned char)*p) || *p == '_')
		p++;
	return *p == '\0';
}

static bool
has_param(const struct path *p, const char *name)
{
	size_t i;

	for (i = 0; i < p->n; i++) {
		if (p->segments[i].is_param && strcmp(p->segments[i].text, name) == 0)
			return true;
	}
	return false;
}

/* Says what is wrong with the segment, or NULL. If it is a parameter, its braces are cut off. */
static const char *
add_segment(struct path *p, char *text, bool is_last)
{
	size_t len = strlen(text);

	if (p->n == PATH_SEGMENTS_MAX)
		return "it has too many segments";
	if (len == 0 && !is_last)
		return "it has an empty segment";
	if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return "web servers resolve . and .. before it is matched";
	if (strpbrk(text, "?#%") != NULL)
		return "it is matched decoded, without query: no ?, # or % may stand in it";
	if (strpbrk(text, "{}") != NULL) {
		if (text[0] != '{' || text[len - 1] != '}')
			return "a parameter is a whole segment, /{name}/";
		text[len - 1] = '\0';
		text++;
		if (!is_name(text))
			return "a parameter's name is of letters, digits and _, and begins with no "
			       "digit";
		if (has_param(p, text))
			return "it names a parameter twice";
		p->segments[p->n].is_param = true;
	}
	p->segments[p->n++].text = text;
	return NULL;
}

static const char *
cut(struct path *p)
{
	char *at = p->parts, *slash;
	const char *wrong;

	if (*at != '/')
		return "it must begin with /";
	do {
		at++;
		if ((slash = strchr(at, '/')) != NULL)
			*slash = '\0';
		if ((wrong = add_segment(p, at, slash == NULL)) != NULL)
			return wrong;
		at = slash;
	} while (slash != NULL);
	return NULL;
}

int
path_compile(struct path **out, const char *text, char *why, size_t why_len)
{
	struct path *p = calloc(1, sizeof(*p));
	const char *wrong;

	if (p == NULL || (p->text = strdup(text)) == NULL || (p->parts = strdup(text)) == NULL) {
		snprintf(why, why_len, "out of memory");
		path_free(p);
		return -ENOMEM;
	}
	if ((wrong = cut(p)) != NULL) {
		snprintf(why, why_len, "%s", wrong);
		path_free(p);
		return -EINVAL;
	}
	*out = p;
	return 0;
}

void
path_free(struct path *p)
{
	if (p == NULL)
		return;
	free(p->text);
	free(p->parts);
	free(p);
}

const char *
path_text(const struct path *p)
{
	return p->text;
}

const char *
path_param(const struct path *p, size_t n)
{
	size_t i;

	for (i = 0; i < p->n; i++) {
		if (p->segments[i].is_param && n-- == 0)
			return p->segments[i].text;
	}
	return NULL;
}

bool
path_match(const struct path *p, const struct segments *sg, const char **values)
{
	size_t i;

	if (sg->n != p->n)
		return false;
	for (i = 0; i < p->n; i++) {
		if (p->segments[i].is_param) {
			if (sg->at[i][0] == '\0')
				return false;
			*values++ = sg->at[i];
		} else if (strcmp(sg->at[i], p->segments[i].text) != 0) {
			return false;
		}
	}
	return true;
}

bool
path_overlaps(const struct path *a, const struct path *b)
{
	size_t i;

	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++) {
		const struct segment *sa = &a->segments[i], *sb = &b->segments[i];

		if (sa->is_param ? !sb->is_param && sb->text[0] == '\0'
				 : sb->is_param || strcmp(sa->text, sb->text) != 0)
			return false;
	}
	return true;
}
