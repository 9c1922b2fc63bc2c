// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every byte is looked at a few times at most: what is nested is scanned once
 * more for each level, and levels are bounded.
 */
#include "shell.h"

#define TEXT_MAX	4096	/* bytes of one command's words; the rest is cut */
#define HERES_MAX	4	/* here documents that begin on one line */
#define DELIMITER_MAX	32
#define DEPTH_MAX	3	/* $() in $() */

static void scan(const char *line, size_t len, unsigned int depth, agentcg_shell_fn *fn,
		 void *data);

struct scanner {
	const char *p, *end;
	agentcg_shell_fn *fn;
	void *data;
	unsigned int depth;
	unsigned int parens;		/* subshells that are open */

	struct agentcg_words words;		/* of the command so far */
	char text[TEXT_MAX];		/* theirs */
	size_t used;

	enum { WORD, TARGET, DELIMITER } next;	/* what the next word is */
	bool strip;			/* <<- */
	struct {
		char delimiter[DELIMITER_MAX];
		bool strip;
	} heres[HERES_MAX];
	size_t nr_heres;
};

bool agentcg_shell_is_assignment(const char *word)
{
	const char *p = word;

	while (*p == '_' || (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
	       (p > word && *p >= '0' && *p <= '9'))
		p++;
	return p > word && (*p == '=' || (*p == '+' && p[1] == '='));
}

static int peek(const struct scanner *s, size_t ahead)
{
	return (size_t)(s->end - s->p) > ahead ? (unsigned char)s->p[ahead] : -1;
}

static void finish(struct scanner *s)
{
	if (s->words.n)
		s->fn(s->data, &s->words);
	s->words = (struct agentcg_words){};
	s->used = 0;
	s->next = WORD;
}

static void put(struct scanner *s, char c)
{
	if (s->used + 1 < sizeof(s->text))
		s->text[s->used++] = c;
}

/* The end of what a quote opens, or of everything. */
static const char *quote_end(const char *p, const char *end, char quote)
{
	while (p < end && *p != quote)
		p += *p == '\\' && quote != '\'' && end - p > 1 ? 2 : 1;
	return p;
}

/* The parenthesis that closes the one before @p. */
static const char *paren_end(const char *p, const char *end)
{
	unsigned int open = 1;

	for (; p < end; p++) {
		if (*p == '\\' && end - p > 1) {
			p++;
		} else if (*p == '\'' || *p == '"' || *p == '`') {
			p = quote_end(p + 1, end, *p);
			if (p == end)
				break;
		} else if (*p == '(') {
			open++;
		} else if (*p == ')' && !--open) {
			break;
		}
	}
	return p;
}

/* A substitution from @p on is done with at @end: its commands count as well. */
static void substitute(struct scanner *s, const char *p, const char *end)
{
	if (s->depth < DEPTH_MAX)
		scan(p, (size_t)(end - p), s->depth + 1, s->fn, s->data);
	s->p = end < s->end ? end + 1 : end;
}

/* True if something was substituted at s->p, a '$' or '`'. */
static bool read_dollar(struct scanner *s)
{
	const char *p = s->p;

	if (*p == '`') {
		substitute(s, p + 1, quote_end(p + 1, s->end, '`'));
	} else if (peek(s, 1) == '(' && peek(s, 2) == '(') {
		s->p = paren_end(p + 2, s->end);	/* a sum */
		s->p += s->p < s->end;
	} else if (peek(s, 1) == '(') {
		substitute(s, p + 2, paren_end(p + 2, s->end));
	} else if (peek(s, 1) == '{') {
		s->p = quote_end(p + 2, s->end, '}');
		s->p += s->p < s->end;
	} else {
		return false;
	}
	put(s, '$');
	return true;
}

static void read_double_quotes(struct scanner *s)
{
	for (s->p++; s->p < s->end && *s->p != '"';) {
		if ((*s->p == '$' || *s->p == '`') && read_dollar(s))
			continue;
		if (*s->p == '\\' && s->end - s->p > 1)
			s->p++;
		put(s, *s->p++);
	}
	s->p += s->p < s->end;
}

static void read_single_quotes(struct scanner *s)
{
	const char *end = quote_end(s->p + 1, s->end, '\'');

	for (s->p++; s->p < end;)
		put(s, *s->p++);
	s->p += s->p < s->end;
}

static void end_word(struct scanner *s, size_t start)
{
	const char *word = s->text + start;

	s->text[s->used] = 0;
	if (s->used + 1 < sizeof(s->text))
		s->used++;
	if (s->next == DELIMITER && s->nr_heres < HERES_MAX) {
		snprintf(s->heres[s->nr_heres].delimiter, DELIMITER_MAX, "%s", word);
		s->heres[s->nr_heres++].strip = s->strip;
	}
	if (s->next == WORD && s->words.n < AGENTCG_WORDS_MAX &&
	    !((peek(s, 0) == '<' || peek(s, 0) == '>') && !word[strspn(word, "0123456789")]) &&
	    (s->words.n || !agentcg_shell_is_assignment(word)))
		s->words.v[s->words.n++] = word;
	else
		s->used = start;
	s->next = WORD;
}

static void read_word(struct scanner *s)
{
	size_t start = s->used;

	while (s->p < s->end && !(*s->p && strchr(" \t\r\n;&|<>()", *s->p))) {
		if (*s->p == '\'') {
			read_single_quotes(s);
		} else if (*s->p == '"') {
			read_double_quotes(s);
		} else if ((*s->p == '$' || *s->p == '`') && read_dollar(s)) {
			continue;
		} else if (*s->p == '\\' && s->end - s->p > 1) {
			if (s->p[1] != '\n')
				put(s, s->p[1]);
			s->p += 2;
		} else {
			put(s, *s->p ?: '?');
			s->p++;
		}
	}
	if (peek(s, 0) == '(' && s->used > start && s->text[s->used - 1] == '=') {
		s->p = paren_end(s->p + 1, s->end);	/* an array */
		s->p += s->p < s->end;
	}
	end_word(s, start);
}

static void read_redirection(struct scanner *s)
{
	if (peek(s, 1) == '(') {	/* <(command) */
		substitute(s, s->p + 2, paren_end(s->p + 2, s->end));
		return;
	}
	s->next = TARGET;
	if (*s->p == '<') {
		s->words.fed = true;
		if (peek(s, 1) == '<' && peek(s, 2) != '<') {
			s->next = DELIMITER;
			s->strip = peek(s, 2) == '-';
			s->p += 2 + s->strip;
			return;
		}
	}
	while (s->p < s->end && strchr("<>&|", *s->p) && *s->p)
		s->p++;
}

/* The line that @p is on, up to its end or everything's. */
static size_t line_length(const char *p, const char *end)
{
	const char *nl = memchr(p, '\n', (size_t)(end - p));

	return (size_t)((nl ?: end) - p);
}

/* After a newline: the here documents whose delimiters came before it. */
static void skip_heres(struct scanner *s)
{
	for (size_t i = 0; i < s->nr_heres; i++) {
		const char *delimiter = s->heres[i].delimiter;
		bool found = false;

		while (s->p < s->end && !found) {
			size_t n = line_length(s->p, s->end);
			const char *p = s->p;

			s->p += n + (s->p + n < s->end);
			while (s->heres[i].strip && n && *p == '\t')
				p++, n--;
			/* A delimiter that was cut ends what begins with it. */
			found = n >= strlen(delimiter) &&
				memcmp(p, delimiter, strlen(delimiter)) == 0 &&
				(n == strlen(delimiter) || strlen(delimiter) == DELIMITER_MAX - 1);
		}
	}
	s->nr_heres = 0;
}

static void read_paren(struct scanner *s)
{
	const char *p = s->p + 1;

	if (*s->p == ')') {
		if (s->parens)
			s->parens--;
		else
			s->words.n = 0;		/* a pattern of case */
		finish(s);
		s->p++;
		return;
	}
	while (p < s->end && *p == ' ')
		p++;
	if (s->words.n == 1 && p < s->end && *p == ')') {
		s->words.n = 0;			/* name() begins a function */
		s->p = p + 1;
	} else if (!s->words.n && peek(s, 1) == '(') {
		s->p = paren_end(s->p + 1, s->end);	/* ((sum)) */
		s->p += s->p < s->end;
	} else {
		s->parens++;
		s->p++;
	}
	finish(s);
}

static void scan(const char *line, size_t len, unsigned int depth, agentcg_shell_fn *fn,
		 void *data)
{
	struct scanner s = { .p = line, .end = line + len, .fn = fn, .data = data, .depth = depth };

	while (s.p < s.end) {
		if (*s.p == '\\' && peek(&s, 1) == '\n') {
			s.p += 2;
			continue;
		}
		switch (*s.p) {
		case ' ': case '\t': case '\r':
			s.p++;
			break;
		case '#':
			s.p += line_length(s.p, s.end);
			break;
		case '\n':
			finish(&s);
			s.p++;
			skip_heres(&s);
			break;
		case '(': case ')':
			read_paren(&s);
			break;
		case '<': case '>':
			read_redirection(&s);
			break;
		case ';': case '|': case '&':
			if (*s.p == '&' && peek(&s, 1) == '>') {
				s.p++;
				break;
			}
			finish(&s);
			s.p++;
			break;
		default:
			read_word(&s);
		}
	}
	finish(&s);
}

void agentcg_shell_scan(const char *line, size_t len, agentcg_shell_fn *fn, void *data)
{
	scan(line, len, 0, fn, data);
}
