#include "config/param_rule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What an expression comes to when regcomp() has written its repetitions out. */
struct cost {
	unsigned long repeat; /* the largest product of nested counts */
	unsigned long total;  /* characters and classes */
	bool may_be_empty;
};

struct rule_walk {
	const char *p;
	struct param_rule_bytes *bytes;
	const char *why; /* set at the first fault; the walk ends there */
};

static struct cost walk_branches(struct rule_walk *w);

/* One character, class or escape of len bytes at w->p: libc says which bytes it stands for. */
static void
add_bytes(struct rule_walk *w, size_t len)
{
	char one[PARAM_RULE_LEN_MAX + 3], byte[2] = {0};
	regex_t re;

	snprintf(one, sizeof(one), "^%.*s$", (int)len, w->p);
	w->p += len;
	if (regcomp(&re, one, REG_EXTENDED | REG_NOSUB) != 0)
		return; /* then the whole does not compile either */
	for (int c = 1; c < 256; c++) {
		byte[0] = (char)c;
		if (regexec(&re, byte, 0, NULL, 0) == 0)
			w->bytes->has[c] = true;
	}
	regfree(&re);
}

/* The length of the bracket expression at p, 0 if it has no end. "]" first is one of its members.
 */
static size_t
bracket_len(const char *p)
{
	const char *q = p + 1;

	if (*q == '^')
		q++;
	if (*q == ']')
		q++;
	for (; *q != '\0' && *q != ']'; q++) {
		if (*q == '[' && (q[1] == ':' || q[1] == '.' || q[1] == '=')) {
			char end[3] = {q[1], ']', '\0'};

			if ((q = strstr(q + 2, end)) == NULL)
				return 0;
			q++;
		}
	}
	return *q == ']' ? (size_t)(q + 1 - p) : 0;
}

static struct cost
walk_group(struct rule_walk *w)
{
	struct cost c;

	w->p++;
	c = walk_branches(w);
	if (w->why != NULL)
		return c;
	if (*w->p == ')')
		w->p++;
	else
		w->why = "a \"(\" has no \")\"";
	return c;
}

static struct cost
walk_atom(struct rule_walk *w)
{
	struct cost one = {1, 1, false};
	size_t len;

	switch (*w->p) {
	case '(':
		return walk_group(w);
	case '[':
		if ((len = bracket_len(w->p)) > 0)
			add_bytes(w, len);
		else
			w->why = "a \"[\" has no \"]\"";
		return one;
	case '\\':
		if (w->p[1] >= '1' && w->p[1] <= '9')
			w->why = "back-references are not allowed";
		else if (w->p[1] == '\0')
			w->why = "nothing stands behind the last \"\\\"";
		else if (w->p[1] == 'd' || w->p[1] == 'D')
			w->why = "POSIX has no \\d, which would be the letter; did you mean "
				 "\"[0-9]\"?";
		else
			add_bytes(w, 2);
		return one;
	case '^':
	case '$':
		w->p++;
		one.may_be_empty = true;
		return one;
	case '.':
		add_bytes(w, 1);
		return one;
	default:
		w->bytes->has[(unsigned char)*w->p++] = true;
		return one;
	}
}

/*
 * "{3}", "{3,}", "{3,5}" or glibc's "{,5}" at w->p: how often the atom is copied; *low is the
 * least of it.
 */
static unsigned long
walk_bound(struct rule_walk *w, unsigned long *low)
{
	char *end;
	unsigned long high;

	*low = high = strtoul(w->p + 1, &end, 10);
	if (*end == ',') {
		if (end[1] >= '0' && end[1] <= '9')
			high = strtoul(end + 1, &end, 10);
		else
			end++;
	}
	if (*end != '}')
		w->why = "a \"{\" has no \"}\"";
	else
		w->p = end + 1;
	return high > 0 ? high : 1;
}

/*
 * A repetition of what may be empty says nothing that one without it would not, and
 * regcomp() takes minutes for ((a*)*){1,99}.
 */
static void
walk_repeats(struct rule_walk *w, struct cost *c)
{
	unsigned long n, low;

	for (; w->why == NULL; c->repeat *= n, c->total *= n) {
		n = low = 1;
		if (*w->p == '?') {
			w->p++;
			c->may_be_empty = true;
			continue;
		}
		if (*w->p == '*' || *w->p == '+')
			low = *w->p++ == '*' ? 0 : 1;
		else if (*w->p == '{' && ((w->p[1] >= '0' && w->p[1] <= '9') || w->p[1] == ','))
			n = walk_bound(w, &low);
		else
			return;
		if (c->may_be_empty)
			w->why = "it repeats what may be empty";
		else if (n > PARAM_RULE_REPEAT_MAX || c->repeat * n > PARAM_RULE_REPEAT_MAX)
			w->why = "it repeats more than 255 times, counts that stand one in "
				 "another multiplied";
		else if (c->total * n > PARAM_RULE_COST_MAX)
			w->why = "its repetitions written out come to more than 4,096 characters";
		c->may_be_empty = low == 0;
	}
}

/* Characters and groups, up to a "|", a ")" or the end. */
static struct cost
walk_branch(struct rule_walk *w)
{
	struct cost sum = {1, 0, true};

	while (w->why == NULL && *w->p != '\0' && *w->p != ')' && *w->p != '|') {
		struct cost c = walk_atom(w);

		walk_repeats(w, &c);
		if (c.repeat > sum.repeat)
			sum.repeat = c.repeat;
		sum.total += c.total;
		sum.may_be_empty = sum.may_be_empty && c.may_be_empty;
	}
	return sum;
}

static struct cost
walk_branches(struct rule_walk *w)
{
	struct cost sum = walk_branch(w);

	while (w->why == NULL && *w->p == '|') {
		struct cost c;

		w->p++;
		c = walk_branch(w);
		if (c.repeat > sum.repeat)
			sum.repeat = c.repeat;
		sum.total += c.total;
		sum.may_be_empty = sum.may_be_empty || c.may_be_empty;
	}
	return sum;
}

int
param_rule_check(const char *text, struct param_rule_bytes *bytes, char *why, size_t why_len)
{
	struct rule_walk w = {.p = text, .bytes = bytes};
	struct cost c;

	*bytes = (struct param_rule_bytes){0};
	if (*text == '\0') {
		snprintf(why, why_len, "an expression is missing");
		return -EINVAL;
	}
	if (strlen(text) > PARAM_RULE_LEN_MAX) {
		snprintf(why, why_len, "an expression has at most %d bytes", PARAM_RULE_LEN_MAX);
		return -EINVAL;
	}
	c = walk_branches(&w);
	if (w.why == NULL && *w.p == ')')
		w.why = "a \")\" has no \"(\"";
	if (w.why == NULL && c.total > PARAM_RULE_COST_MAX)
		w.why = "its repetitions written out come to more than 4,096 characters";
	if (w.why != NULL) {
		snprintf(why, why_len, "%s", w.why);
		return -EINVAL;
	}
	return 0;
}

int
param_rule_compile(regex_t *out, const char *text, char *why, size_t why_len)
{
	char *anchored;
	int rc;

	if (asprintf(&anchored, "^(%s)$", text) < 0)
		return -ENOMEM;
	rc = regcomp(out, anchored, REG_EXTENDED | REG_NOSUB);
	free(anchored);
	if (rc == 0)
		return 0;
	(void)regerror(rc, out, why, why_len);
	return -EINVAL;
}
