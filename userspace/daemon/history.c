// SPDX-License-Identifier: GPL-2.0-only
#include "history.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "journal.h"
#include "recent.h"

/* PRAGMA application_id: "agcg", so that a foreign database is not written to. */
#define APPLICATION_ID		0x61676367
#define SCHEMA_VERSION		1

/* Nobody else should have it open; whoever has must not stop the daemon. */
#define BUSY_TIMEOUT_MS		20
/* The log is copied to the file when it has so many pages, 1 KiB each. */
#define WAL_PAGES		4096
#define WAL_PAGES_MAX		(4 * WAL_PAGES)	/* then it is waited for */
#define WAL_MAX			(8 * MIB)	/* of an emptied log the file keeps so much */
/* Declarations that trust is made of. */
#define TRUST_RUNS		64

enum statement {
	BEGIN,
	COMMIT,
	ROLLBACK,
	ADD,
	TRIM_KIND,
	COUNT_USER,
	TRIM_USER,
	COUNT_ALL,
	TRIM_ALL,
	READ_KIND,
	READ_FAMILY,
	READ_USER,
	READ_DECLARED,
	READ_KINDS,
	NR_STATEMENTS,
};

struct history {
	sqlite3 *db;
	char *file;
	struct history_bounds bounds;
	pthread_t copier;
	bool has_copier;
	atomic_bool copied;		/* the copier is done */
	struct journal *journal;	/* NULL: rows go straight to the database */
	struct recent *recent;
	sqlite3_stmt *statements[NR_STATEMENTS];
};

#define COLUMNS	"time, cgroup, scope, peak, duration, declared, granted, max, outcome"

/*
 * How many rows a user has is kept by triggers: counting them would take longer
 * the more there are.  NULL stands for AGENTCG_NONE.
 */
static const char schema[] =
	"CREATE TABLE runs ("
	" id INTEGER PRIMARY KEY, uid INTEGER NOT NULL, kind TEXT NOT NULL, family TEXT NOT NULL,"
	" time INTEGER NOT NULL, cgroup INTEGER NOT NULL, scope INTEGER NOT NULL, peak INTEGER NOT NULL,"
	" duration INTEGER NOT NULL, declared INTEGER, granted INTEGER NOT NULL, max INTEGER,"
	" outcome INTEGER NOT NULL);"
	"CREATE UNIQUE INDEX runs_once ON runs (time, cgroup);"
	"CREATE INDEX runs_kind ON runs (uid, kind, id);"
	"CREATE INDEX runs_family ON runs (uid, family, id);"
	"CREATE INDEX runs_user ON runs (uid, id);"
	"CREATE INDEX runs_declared ON runs (uid, id) WHERE declared IS NOT NULL;"
	"CREATE TABLE users (uid INTEGER PRIMARY KEY, rows INTEGER NOT NULL);"
	"CREATE TRIGGER added AFTER INSERT ON runs BEGIN"
	" INSERT INTO users VALUES (new.uid, 1) ON CONFLICT (uid) DO UPDATE SET rows = rows + 1;"
	"END;"
	"CREATE TRIGGER removed AFTER DELETE ON runs BEGIN"
	" UPDATE users SET rows = rows - 1 WHERE uid = old.uid;"
	" DELETE FROM users WHERE uid = old.uid AND rows <= 0;"
	"END;"
	"PRAGMA application_id = 1634165607;"
	"PRAGMA user_version = 1;";
_Static_assert(APPLICATION_ID == 1634165607 && SCHEMA_VERSION == 1, "as in the schema above");

static const char *const texts[NR_STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[ADD] = "INSERT OR IGNORE INTO runs (uid, kind, family, " COLUMNS ")"
		" VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
	[TRIM_KIND] = "DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE uid = ? AND kind = ?"
		" ORDER BY id DESC LIMIT -1 OFFSET ?)",
	[COUNT_USER] = "SELECT rows FROM users WHERE uid = ?",
	[TRIM_USER] = "DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE uid = ?"
		" ORDER BY id LIMIT ?)",
	[COUNT_ALL] = "SELECT sum(rows) FROM users",
	[TRIM_ALL] = "DELETE FROM runs WHERE id IN (SELECT id FROM runs ORDER BY id LIMIT ?)",
	[READ_KIND] = "SELECT " COLUMNS " FROM runs WHERE uid = ? AND kind = ?"
		" ORDER BY id DESC LIMIT ?",
	[READ_FAMILY] = "SELECT " COLUMNS " FROM runs WHERE uid = ? AND family = ?"
		" ORDER BY id DESC LIMIT ?",
	[READ_USER] = "SELECT " COLUMNS " FROM runs WHERE uid = ? ORDER BY id DESC LIMIT ?",
	[READ_DECLARED] = "SELECT " COLUMNS " FROM runs WHERE uid = ? AND declared IS NOT NULL"
		" ORDER BY id DESC LIMIT ?",
	/* Of the index alone, and no more of it than the bound on a user's rows. */
	[READ_KINDS] = "SELECT kind FROM runs INDEXED BY runs_kind WHERE uid = ? GROUP BY kind"
		" ORDER BY max(id) DESC LIMIT ?",
};

static int to_errno(int code)
{
	switch (code & 0xff) {
	case SQLITE_OK: case SQLITE_ROW: case SQLITE_DONE:
		return 0;
	case SQLITE_CORRUPT: case SQLITE_NOTADB: case SQLITE_FORMAT: case SQLITE_SCHEMA:
	case SQLITE_ERROR:	/* such as: a table is missing */
		return -EUCLEAN;
	case SQLITE_BUSY: case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY: case SQLITE_PERM: case SQLITE_AUTH:
		return -EACCES;
	default:
		return -EIO;
	}
}

static int exec(struct history *h, const char *sql)
{
	return to_errno(sqlite3_exec(h->db, sql, NULL, NULL, NULL));
}

static void take_first(sqlite3_stmt *s, int64_t *ret)
{
	*ret = sqlite3_column_int64(s, 0);
}

/* Runs @s, whose parameters are bound, to its end; its first value is in @ret. */
static int step(sqlite3_stmt *s, int64_t *ret)
{
	int code = sqlite3_step(s);

	if (ret) {
		*ret = 0;
		if (code == SQLITE_ROW)
			take_first(s, ret);
	}
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return to_errno(code);
}

static int run(struct history *h, enum statement which)
{
	return step(h->statements[which], NULL);
}

/* A pragma's number. */
static int get_number(struct history *h, const char *sql, int64_t *ret)
{
	sqlite3_stmt *s;
	int r = to_errno(sqlite3_prepare_v2(h->db, sql, -1, &s, NULL));

	if (r < 0)
		return r;
	r = step(s, ret);
	sqlite3_finalize(s);
	return r;
}

/*
 * Copying the log to the file waits for the disk, which the daemon must not: a
 * thread does it, with a connection of its own.  Adding goes on meanwhile.
 */
static void *copy_log(void *data)
{
	struct history *h = data;
	sqlite3 *db;

	if (sqlite3_open_v2(h->file, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
			    SQLITE_OPEN_NOFOLLOW, NULL) == SQLITE_OK)
		sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	sqlite3_close(db);
	atomic_store(&h->copied, true);
	return NULL;
}

static void join_copier(struct history *h)
{
	if (h->has_copier)
		pthread_join(h->copier, NULL);
	h->has_copier = false;
}

/* After each commit, with the length of the log.  If no thread can be had, the next will try. */
static int on_commit(void *data, sqlite3 *db, const char *name, int pages)
{
	struct history *h = data;
	sigset_t all, old;

	if (pages < WAL_PAGES)
		return SQLITE_OK;
	if (pages < WAL_PAGES_MAX && h->has_copier && !atomic_load(&h->copied))
		return SQLITE_OK;
	join_copier(h);
	/* Rows came without a pause: the thread never copied the last of them. */
	if (pages >= WAL_PAGES_MAX) {
		sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
		return SQLITE_OK;
	}
	atomic_store(&h->copied, false);
	/* The daemon's signals are for its event loop. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	h->has_copier = pthread_create(&h->copier, NULL, copy_log, h) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return SQLITE_OK;
}

static bool is_sound(struct history *h)
{
	bool good = false;
	sqlite3_stmt *s;

	if (sqlite3_prepare_v2(h->db, "PRAGMA quick_check(1)", -1, &s, NULL) != SQLITE_OK)
		return false;
	if (sqlite3_step(s) == SQLITE_ROW)
		good = streq((const char *)sqlite3_column_text(s, 0) ?: "", "ok");
	sqlite3_finalize(s);
	return good;
}

/* Whether it is ours, and not too new; nothing is written before that is known. */
static int identify(struct history *h, const char *file, bool *ret_empty, char *why)
{
	int64_t id = 0, version = 0, tables = 0;
	int r;

	r = get_number(h, "PRAGMA application_id", &id);
	if (r >= 0)
		r = get_number(h, "PRAGMA user_version", &version);
	if (r >= 0)
		r = get_number(h, "SELECT count(*) FROM sqlite_schema", &tables);
	if (r < 0)
		return r;
	if (tables && id != APPLICATION_ID)
		return agentcg_why(-ENOTSUP, why, "%s is a database, but not agentcg's: move it away",
			      file);
	if (version > SCHEMA_VERSION)
		return agentcg_why(-ENOTSUP, why,
			      "%s was written by a newer agentcg (schema %lld, this one knows %d): install that one again, or move the file away",
			      file, (long long)version, SCHEMA_VERSION);
	*ret_empty = !tables;
	return 0;
}

static int make_tables(struct history *h)
{
	int r = exec(h, "BEGIN IMMEDIATE");

	if (r >= 0)
		r = exec(h, schema);
	return r < 0 ? r : exec(h, "COMMIT");
}

static int prepare(struct history *h, const char *file, char *why)
{
	char limit[64];
	bool empty = false;
	int r;

	sqlite3_busy_timeout(h->db, BUSY_TIMEOUT_MS);
	sqlite3_db_config(h->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(h->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	r = identify(h, file, &empty, why);
	if (r < 0)
		return r;
	snprintf(limit, sizeof(limit), "PRAGMA journal_size_limit = %llu", WAL_MAX);
	/* Small pages: a row changes a dozen, and each goes to the log as a whole. */
	r = exec(h, "PRAGMA page_size = 1024;"
		    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
		    "PRAGMA cell_size_check = ON; PRAGMA cache_size = -512;");
	if (r >= 0)
		r = exec(h, limit);
	if (r >= 0 && empty)
		r = make_tables(h);
	else if (r >= 0 && !is_sound(h))
		r = agentcg_why(-EUCLEAN, why, "%s is damaged", file);
	for (size_t i = 0; r >= 0 && i < NR_STATEMENTS; i++)
		r = to_errno(sqlite3_prepare_v3(h->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
						&h->statements[i], NULL));
	sqlite3_wal_hook(h->db, on_commit, h);
	return r;
}

/* What an earlier daemon left there is put where it belongs. */
static void open_journal(struct history *h)
{
	_cleanup_free_ char *file = NULL;

	if (asprintf(&file, "%s.new", h->file) < 0 || agentcg_journal_open(file, &h->journal) < 0)
		return;
	agentcg_history_fold(h);
}

static int open_once(const char *file, const struct history_bounds *bounds, struct history **ret,
		     char *why)
{
	static const struct history_bounds defaults = AGENTCG_HISTORY_BOUNDS;
	_cleanup_(agentcg_history_closep) struct history *h = calloc(1, sizeof(*h));
	int r, fd;

	if (!h)
		return agentcg_why(-ENOMEM, why, "%s: out of memory", file);
	h->bounds = bounds ? *bounds : defaults;
	h->file = strdup(file);
	h->recent = calloc(1, sizeof(*h->recent));
	if (!h->file || !h->recent)
		return agentcg_why(-ENOMEM, why, "%s: out of memory", file);
	/* What users run is nobody else's business; sqlite gives -wal and -shm the same mode. */
	fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return agentcg_why(-errno, why, "%s: %m", file);
	close(fd);
	r = to_errno(sqlite3_open_v2(file, &h->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
				     SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE, NULL));
	if (r < 0 && !h->db)
		return agentcg_why(r, why, "%s: out of memory", file);
	if (why)
		why[0] = 0;
	if (r >= 0)
		r = prepare(h, file, why);
	if (r < 0 && why && !why[0])
		agentcg_why(r, why, "%s: %s", file, sqlite3_errmsg(h->db));
	if (r < 0)
		return r;
	open_journal(h);
	*ret = TAKE_PTR(h);
	return 0;
}

/* With its log, which belongs to what is damaged and not to what comes next. */
static int move_aside(const char *file)
{
	/* The log first: left beside a new file it would be taken for that one's. */
	static const char *const parts[] = { "-wal", "-shm", "" };
	char from[4096], to[4096];

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if ((size_t)snprintf(from, sizeof(from), "%s%s", file, parts[i]) >= sizeof(from) ||
		    (size_t)snprintf(to, sizeof(to), "%s.damaged%s", file, parts[i]) >= sizeof(to))
			return -ENAMETOOLONG;
		if (rename(from, to) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

int agentcg_history_open(const char *file, const struct history_bounds *bounds,
			 struct history **ret, char *why)
{
	char cause[AGENTCG_WHY_MAX] = "";
	int r = open_once(file, bounds, ret, cause);

	if (r != -EUCLEAN)
		return r < 0 ? agentcg_why(r, why, "%s", cause) : 0;
	r = move_aside(file);
	if (r < 0)
		return agentcg_why(r, why, "%.200s; it cannot be moved away: %s", cause, strerror(-r));
	r = open_once(file, bounds, ret, why);
	if (r < 0)
		return r;
	return agentcg_why(1, why, "%.200s: it is now %.200s.damaged, and the history begins anew",
		      cause, file);
}

struct history *agentcg_history_close(struct history *h)
{
	if (!h)
		return NULL;
	agentcg_history_fold(h);	/* or the next one does */
	agentcg_journal_close(h->journal);
	join_copier(h);
	for (size_t i = 0; i < NR_STATEMENTS; i++)
		sqlite3_finalize(h->statements[i]);
	sqlite3_close(h->db);
	free(h->recent);
	free(h->file);
	free(h);
	return NULL;
}

/* Numbers beyond 63 bits mean nothing here. */
static void bind(sqlite3_stmt *s, int at, uint64_t value)
{
	sqlite3_bind_int64(s, at, (int64_t)min_u64(value, INT64_MAX));
}

static void bind_or_none(sqlite3_stmt *s, int at, uint64_t value)
{
	if (value != AGENTCG_NONE)
		bind(s, at, value);
}

static void bind_text(sqlite3_stmt *s, int at, const char *text)
{
	sqlite3_bind_text(s, at, text, -1, SQLITE_TRANSIENT);
}

static int insert(struct history *h, uid_t uid, const char *kind, const struct observation *o)
{
	sqlite3_stmt *s = h->statements[ADD];
	char family[AGENTCG_KIND_MAX];

	bind(s, 1, uid);
	bind_text(s, 2, kind);
	bind_text(s, 3, agentcg_kind_family(family, kind));
	bind(s, 4, o->time_usec);
	bind(s, 5, o->id);
	sqlite3_bind_int64(s, 6, (int64_t)o->scope);	/* a hash: all 64 bits */
	bind(s, 7, o->peak);
	bind(s, 8, o->duration_usec);
	bind_or_none(s, 9, o->declared);
	bind(s, 10, o->granted);
	bind_or_none(s, 11, o->limit);
	bind(s, 12, o->outcome);
	return step(s, NULL);
}

static int trim(struct history *h, uid_t uid, const char *kind)
{
	sqlite3_stmt *s = h->statements[TRIM_KIND];
	int64_t rows;
	int r;

	bind(s, 1, uid);
	bind_text(s, 2, kind);
	bind(s, 3, h->bounds.per_kind);
	r = step(s, NULL);
	if (r < 0)
		return r;
	s = h->statements[COUNT_USER];
	bind(s, 1, uid);
	r = step(s, &rows);
	if (r >= 0 && rows > h->bounds.per_user) {
		s = h->statements[TRIM_USER];
		bind(s, 1, uid);
		bind(s, 2, (uint64_t)rows - h->bounds.per_user);
		r = step(s, NULL);
	}
	if (r >= 0)
		r = step(h->statements[COUNT_ALL], &rows);
	if (r >= 0 && rows > h->bounds.all) {
		s = h->statements[TRIM_ALL];
		bind(s, 1, (uint64_t)rows - h->bounds.all);
		r = step(s, NULL);
	}
	return r;
}

int agentcg_history_add(struct history *h, uid_t uid, const char *kind,
			const struct observation *o)
{
	int r;

	if (!h)
		return 0;
	r = run(h, BEGIN);
	if (r < 0)
		return r;
	r = insert(h, uid, kind, o);
	if (r >= 0)
		r = trim(h, uid, kind);
	if (r >= 0)
		r = run(h, COMMIT);
	if (r < 0)
		run(h, ROLLBACK);
	else
		agentcg_recent_add(h->recent, uid, kind, o);
	return r;
}

/* Killed in between, it is done again by the next daemon: rows that are there are not added twice. */
int agentcg_history_fold(struct history *h)
{
	const struct journal_row *rows;
	size_t n;
	int r;

	if (!h || !h->journal)
		return 0;
	n = agentcg_journal_rows(h->journal, &rows);
	if (!n)
		return 0;
	r = run(h, BEGIN);
	if (r < 0)
		return r;
	for (size_t i = 0; r >= 0 && i < n; i++) {
		r = insert(h, rows[i].uid, rows[i].kind, &rows[i].o);
		if (r >= 0)
			r = trim(h, rows[i].uid, rows[i].kind);
	}
	if (r >= 0)
		r = run(h, COMMIT);
	if (r < 0) {
		run(h, ROLLBACK);
		return r;
	}
	return agentcg_journal_empty(h->journal);
}

int agentcg_history_note(struct history *h, uid_t uid, const char *kind, const struct observation *o)
{
	int r = h && h->journal ? agentcg_journal_add(h->journal, uid, kind, o) : -ENOBUFS;

	if (r < 0) {
		r = agentcg_history_fold(h);
		return r < 0 ? r : agentcg_history_add(h, uid, kind, o);
	}
	agentcg_recent_add(h->recent, uid, kind, o);
	return 1;
}

static uint64_t get(sqlite3_stmt *s, int at)
{
	int64_t v = sqlite3_column_int64(s, at);

	return v > 0 ? (uint64_t)v : 0;
}

static uint64_t get_or_none(sqlite3_stmt *s, int at)
{
	return sqlite3_column_type(s, at) == SQLITE_NULL ? AGENTCG_NONE : get(s, at);
}

/* @text: NULL if the statement has no such parameter. */
static int query(struct history *h, enum statement which, uid_t uid, const char *text,
		     struct observation *out, size_t max)
{
	sqlite3_stmt *s;
	int n = 0, code;

	s = h->statements[which];
	bind(s, 1, uid);
	if (text)
		bind_text(s, 2, text);
	bind(s, text ? 3 : 2, max);
	while ((code = sqlite3_step(s)) == SQLITE_ROW && (size_t)n < max)
		out[n++] = (struct observation){
			.time_usec = get(s, 0),
			.id = get(s, 1),
			.scope = (uint64_t)sqlite3_column_int64(s, 2),
			.peak = get(s, 3),
			.duration_usec = get(s, 4),
			.declared = get_or_none(s, 5),
			.granted = get(s, 6),
			.limit = get_or_none(s, 7),
			.outcome = min_u64(get(s, 8), AGENTCG_PIDS_EXCEEDED),
		};
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return to_errno(code) < 0 ? to_errno(code) : n;
}

static int read_rows(struct history *h, enum recent_kind of, uid_t uid, const char *text,
		     struct observation *out, size_t max)
{
	static const enum statement statements[] = {
		[AGENTCG_RECENT_OF_KIND] = READ_KIND, [AGENTCG_RECENT_OF_FAMILY] = READ_FAMILY,
		[AGENTCG_RECENT_ALL] = READ_USER, [AGENTCG_RECENT_DECLARED] = READ_DECLARED,
	};
	const struct recent_list *known;
	struct recent_list *list;
	int n;

	if (!h)
		return 0;
	if (max > AGENTCG_OBSERVATIONS_MAX) {
		agentcg_history_fold(h);
		return query(h, statements[of], uid, text, out, max);
	}
	known = agentcg_recent_find(h->recent, of, uid, text ?: "");
	if (!known) {
		struct observation runs[AGENTCG_OBSERVATIONS_MAX];

		agentcg_history_fold(h);	/* what cannot be added is not seen, either */
		n = query(h, statements[of], uid, text, runs, ARRAY_SIZE(runs));
		if (n < 0)
			return n;
		list = agentcg_recent_make(h->recent, of, uid, text ?: "");
		list->n = (size_t)n;
		memcpy(list->runs, runs, list->n * sizeof(runs[0]));
		known = list;
	}
	n = (int)min_u64(known->n, max);
	memcpy(out, known->runs, (size_t)n * sizeof(*out));
	return n;
}

int agentcg_history_read_kind(struct history *h, uid_t uid, const char *kind,
			      struct observation *out, size_t max)
{
	return read_rows(h, AGENTCG_RECENT_OF_KIND, uid, kind, out, max);
}

int agentcg_history_read_family(struct history *h, uid_t uid, const char *kind,
				struct observation *out, size_t max)
{
	char family[AGENTCG_KIND_MAX];

	return read_rows(h, AGENTCG_RECENT_OF_FAMILY, uid, agentcg_kind_family(family, kind), out, max);
}

int agentcg_history_read_user(struct history *h, uid_t uid, struct observation *out, size_t max)
{
	return read_rows(h, AGENTCG_RECENT_ALL, uid, NULL, out, max);
}

int agentcg_history_read_kinds(struct history *h, uid_t uid, struct kind_name *out, size_t max)
{
	sqlite3_stmt *s;
	int n = 0, code;

	if (!h)
		return 0;
	s = h->statements[READ_KINDS];
	bind(s, 1, uid);
	bind(s, 2, max);
	while ((code = sqlite3_step(s)) == SQLITE_ROW && (size_t)n < max)
		snprintf(out[n++].text, AGENTCG_KIND_MAX, "%s", (const char *)sqlite3_column_text(s, 0) ?: "");
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return to_errno(code) < 0 ? to_errno(code) : n;
}

unsigned int agentcg_history_trust(struct history *h, uid_t uid)
{
	struct observation runs[TRUST_RUNS];
	int n = read_rows(h, AGENTCG_RECENT_DECLARED, uid, NULL, runs, ARRAY_SIZE(runs));

	return n < 0 ? 100 : agentcg_predict_trust(runs, (size_t)n);
}
