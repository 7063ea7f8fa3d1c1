#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"
#include "cli/subcommand.h"
#include "config/config.h"

enum { WHY_LEN = 256 };
enum option_kind { KIND_TEXT, KIND_FLAG, KIND_LIST };

#define FIELD(field) offsetof(struct options, field)

static const struct known_option {
	const char *name, *argument;
	char letter;   /* by which a subcommand names it */
	bool is_short; /* a user may write it as -c, too */
	enum option_kind kind;
	size_t offset;
	const char *help;
} table[] = {
    {"config", "FILE", 'c', true, KIND_TEXT, FIELD(config),
     "the configuration: by default $SLUICE_CONFIG, or /etc/sluice/sluice.ini"},
    {"listen", "ADDRESS", 'l', true, KIND_TEXT, FIELD(address),
     "unix:PATH, HOST:PORT or inherit: by default the \"listen\" of the configuration"},
    {"workers", "N", 'w', true, KIND_TEXT, FIELD(workers),
     "how many processes serve, from 1 to 256"},
    {"explain", "PATH", 'e', false, KIND_TEXT, FIELD(explain),
     "which route serves the path, and how: parameters, channels, stages, limits"},
    {"connect", NULL, 'o', false, KIND_FLAG, FIELD(is_connect),
     "try every Redis server that is named, and what the routes need of it"},
    {"json", NULL, 'j', false, KIND_FLAG, FIELD(is_json), "one JSON object for each event"},
    {"stream", NULL, 's', false, KIND_FLAG, FIELD(is_stream),
     "add to a stream, instead of a channel"},
    {"timeout", "MS", 't', false, KIND_TEXT, FIELD(timeout), "how long to wait, in milliseconds"},
    {"user", "ID", 'u', false, KIND_TEXT, FIELD(user), "who asks, by a token that [auth] can sign"},
    {"token", "TOKEN", 'k', false, KIND_TEXT, FIELD(token), "who asks, by this token"},
    {"cookie", "NAME=VALUE", 'K', false, KIND_TEXT, FIELD(cookie), "who asks, by a cookie"},
    {"link", "PATH", 'L', false, KIND_TEXT, FIELD(link),
     "sign a link to the path, instead of a token"},
    {"ttl", "TIME", 'T', false, KIND_TEXT, FIELD(ttl), "how long it is good for, as in 30m: 1h"},
    {"claim", "NAME=JSON", 'C', false, KIND_LIST, FIELD(claims),
     "a claim of the token; several may stand"},
    {"quick", NULL, 'q', false, KIND_FLAG, FIELD(is_quick),
     "do not wait for a silent stream to be cut"},
    {"for", "TIME", 'f', false, KIND_TEXT, FIELD(silence),
     "how long a stream is silent, as in 70s: by default a quarter more than the longest "
     "heartbeat"},
    {"streams", "N", 'n', false, KIND_TEXT, FIELD(streams), "how many are opened at once: 50"},
    {"insecure", NULL, 'i', false, KIND_FLAG, FIELD(is_insecure), "take any certificate"},
    {"may", "publish", 'M', false, KIND_TEXT, FIELD(may), "the link permits to publish, too"},
    {"upstream", "URL", 'U', false, KIND_TEXT, FIELD(upstream),
     "the site's own development server, as http://127.0.0.1:8000"},
    {"front", "SERVER", 'F', false, KIND_TEXT, FIELD(front),
     "the web server: lighttpd or nginx; by default the first that is installed"},
    {"redis", NULL, 'R', false, KIND_FLAG, FIELD(is_redis),
     "start a private Redis where \"url\" says, if none answers there"},
    {"events", NULL, 'E', false, KIND_FLAG, FIELD(prints_events),
     "print each event on standard output when it is sent"},
};

enum { N_OPTIONS = sizeof(table) / sizeof(table[0]) };

static const struct known_option *
find(char letter)
{
	for (size_t i = 0; i < N_OPTIONS; i++) {
		if (table[i].letter == letter)
			return &table[i];
	}
	return NULL;
}

static bool
is_taken(const char *takes, char letter)
{
	return takes == NULL || strchr(takes, letter) != NULL;
}

void
options_print(const char *takes, FILE *to)
{
	for (size_t i = 0; i < N_OPTIONS; i++) {
		const struct known_option *one = &table[i];
		char text[64], letter[] = {'-', one->letter, ',', '\0'};

		if (!is_taken(takes, one->letter))
			continue;
		snprintf(text, sizeof(text), "--%s%s%s", one->name,
			 one->argument != NULL ? " " : "",
			 one->argument != NULL ? one->argument : "");
		fprintf(to, "  %3s %-20s %s\n", one->is_short ? letter : "", text, one->help);
	}
}

void
subcommand_print_synopsis(const struct subcommand *command, const char *before, FILE *to)
{
	const char *line = command->synopsis;
	size_t len;

	do { /* one that takes nothing has an empty line */
		len = strcspn(line, "\n");
		fprintf(to, "%s sluice %s%s%s%s%.*s\n", before, command->is_default ? "[" : "",
			command->name, command->is_default ? "]" : "", len > 0 ? " " : "", (int)len,
			line);
		before = "      ";
		line += len + (line[len] == '\n');
	} while (*line != '\0');
}

static void
print_usage(const struct subcommand *command, FILE *to)
{
	if (command->print_usage != NULL) {
		command->print_usage(to);
		return;
	}
	subcommand_print_synopsis(command, "usage:", to);
	fputs(command->help, to);
	options_print(command->takes, to);
}

int
command_refuse(const struct options *opt, const char *why)
{
	fprintf(stderr, "sluice %s: %s\n", opt->command->name, why);
	print_usage(opt->command, stderr);
	return COMMAND_USAGE;
}

static int
add_to_list(struct options *opt)
{
	const char **v = reallocarray(opt->claims, opt->n_claims + 1, sizeof(*v));

	if (v == NULL)
		return -ENOMEM;
	opt->claims = v;
	v[opt->n_claims++] = optarg;
	return 0;
}

static int
set(struct options *opt, const struct known_option *one)
{
	char *field = (char *)opt + one->offset;

	switch (one->kind) {
	case KIND_TEXT:
		*(const char **)(void *)field = optarg;
		return 0;
	case KIND_FLAG:
		*(bool *)(void *)field = true;
		return 0;
	case KIND_LIST:
		return add_to_list(opt);
	}
	return -EINVAL;
}

/*
 * Has getopt_long() met a letter that is no option? It may stand among others, as in "-xc". optopt
 * also names a long option that was given a value and takes none; word is that option then.
 */
static bool
is_wrong_letter(int c, const char *word)
{
	const struct known_option *one = find((char)optopt);
	const char *name = one != NULL ? one->name : "help";

	if (c != '?' || optopt == 0)
		return false;
	return strncmp(word, "--", 2) != 0 || strncmp(word + 2, name, strcspn(word + 2, "=")) != 0;
}

/*
 * The option as it was written, to which getopt_long() has returned c. Its value, if it has one,
 * may be a word of its own. text is memory for a single letter.
 */
static const char *
word_of(char **argv, int c, const struct known_option *one, char text[3])
{
	const char *word = argv[optind - 1];

	if (is_wrong_letter(c, word) && isgraph((unsigned char)optopt)) {
		snprintf(text, 3, "-%c", optopt);
		return text;
	}
	/* The first byte of several that are one character: the word is not read to its end. */
	if (is_wrong_letter(c, word))
		return argv[optind] != NULL ? argv[optind] : word;
	if (one != NULL && one->argument != NULL && optarg == word)
		word = argv[optind - 2];
	return word;
}

/*
 * getopt_long() has returned c for the word: says what is wrong with it, and what was most likely
 * meant.
 */
static int
refuse_option(const struct options *opt, int c, const char *word)
{
	char why[WHY_LEN];
	const char *best;
	struct suggest s;

	suggest_init(&s, word + strspn(word, "-"));
	for (size_t i = 0; i < N_OPTIONS; i++) {
		if (is_taken(opt->command->takes, table[i].letter))
			suggest_try(&s, table[i].name);
	}
	best = suggest_best(&s);
	if (c == ':')
		snprintf(why, sizeof(why), "%s needs a value behind it", word);
	else
		snprintf(why, sizeof(why),
			 best != NULL ? "there is no option %s; did you mean --%s?"
				      : "there is no option %s",
			 word, best);
	return command_refuse(opt, why);
}

/* The two forms of the table for getopt_long(). shorts has room for three bytes an option. */
static void
fill_forms(struct option longs[N_OPTIONS + 2], char *shorts)
{
	memcpy(shorts, ":h", 2);
	shorts += 2;
	for (size_t i = 0; i < N_OPTIONS; i++) {
		const struct known_option *one = &table[i];

		longs[i] = (struct option){one->name, one->argument != NULL, NULL, one->letter};
		if (!one->is_short)
			continue;
		*shorts++ = one->letter;
		if (one->argument != NULL)
			*shorts++ = ':';
	}
	*shorts = '\0';
	longs[N_OPTIONS] = (struct option){"help", no_argument, NULL, 'h'};
	longs[N_OPTIONS + 1] = (struct option){0};
}

/* Returns -1 to go on, with the arguments from optind on; else the exit status. */
static int
parse(struct options *opt, int argc, char **argv)
{
	struct option longs[N_OPTIONS + 2];
	char shorts[3 * N_OPTIONS + 3], letter[3];
	int c;

	fill_forms(longs, shorts);
	opterr = 0;
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct known_option *one = find((char)c);

		if (c == 'h') {
			print_usage(opt->command, stdout);
			return 0;
		}
		if (one == NULL || !is_taken(opt->command->takes, (char)c))
			return refuse_option(opt, c, word_of(argv, c, one, letter));
		if (set(opt, one) < 0)
			return command_refuse(opt, "out of memory");
	}
	if (argc - optind < opt->command->min_args || argc - optind > opt->command->max_args)
		return command_refuse(opt, argc - optind < opt->command->min_args
					       ? "an argument is missing"
					       : "there are too many arguments");
	return -1;
}

/* What was printed counts only where it was written: a full device is told. */
static int
flush(const struct subcommand *command)
{
	if (fflush(stdout) != EOF && ferror(stdout) == 0)
		return 0;
	fprintf(stderr, "sluice %s: cannot write: %s\n", command->name, strerror(errno));
	return 1;
}

int
subcommand_run(const struct subcommand *command, int argc, char **argv)
{
	struct options opt = {.command = command};
	int status = parse(&opt, argc, argv);

	if (status < 0) {
		opt.config = config_path(opt.config);
		status = command->run(&opt, argv + optind);
	}
	free(opt.claims);
	return flush(command) != 0 && status == 0 ? 1 : status;
}
