// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "history.h"
#include "tap.h"

static char folder[] = "/tmp/agentcg-history-XXXXXX";
static char file[128];

static void remove_file(void)
{
	static const char *const ends[] = {
		"", "-wal", "-shm", ".damaged", ".damaged-wal", ".damaged-shm",
	};
	char path[160];

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		snprintf(path, sizeof(path), "%s%s", file, ends[i]);
		unlink(path);
	}
}

static struct history *open_it(const struct history_bounds *bounds, int expected)
{
	struct history *h = NULL;
	char why[AGENTCG_WHY_MAX] = "";
	int r = agentcg_history_open(file, bounds, &h, why);

	if (r != expected)
		tap_ok(false, "opens: %d, not %d: %s", r, expected, why);
	return h;
}

static struct observation observation(uint64_t peak)
{
	static uint64_t id;

	return (struct observation){
		.id = ++id,
		.time_usec = 1000 + peak, .scope = 0xffffffffffffff01ULL, .peak = peak,
		.duration_usec = 5 * peak, .declared = AGENTCG_NONE, .granted = 64 * MIB,
		.limit = AGENTCG_NONE, .outcome = AGENTCG_OK,
	};
}

static int add(struct history *h, uid_t uid, const char *kind, uint64_t peak)
{
	struct observation o = observation(peak);

	return agentcg_history_add(h, uid, kind, &o);
}

/* How many rows of @uid there are, all together. */
static int count(struct history *h, uid_t uid)
{
	static struct observation rows[70000];

	return agentcg_history_read_user(h, uid, rows, ARRAY_SIZE(rows));
}

/* A statement by another connection, as an administrator might have. */
static int by_hand(const char *sql)
{
	sqlite3 *db;
	int r = sqlite3_open(file, &db);

	if (r == SQLITE_OK)
		r = sqlite3_exec(db, sql, NULL, NULL, NULL);
	sqlite3_close(db);
	return r;
}

static void test_rows(void)
{
	_cleanup_(agentcg_history_closep) struct history *h = open_it(NULL, 0);
	struct observation o = observation(7), out[8];
	struct stat st;

	o.declared = 2 * GIB;
	o.limit = 4 * GIB;
	o.outcome = AGENTCG_OOM_KILLED;
	tap_ok(agentcg_history_add(h, 1000, "git status", &o) == 0, "a row is added");
	tap_ok(agentcg_history_add(h, 1000, "git status", &o) == 0 && count(h, 1000) == 1, "... once");
	add(h, 1000, "git log", 8);
	add(h, 1000, "gitk", 9);
	add(h, 1001, "git status", 10);
	tap_ok(agentcg_history_read_kind(h, 1000, "git status", out, 8) == 1 &&
	       out[0].time_usec == 1007 && out[0].scope == o.scope && out[0].peak == 7 &&
	       out[0].duration_usec == 35 && out[0].declared == 2 * GIB &&
	       out[0].granted == 64 * MIB && out[0].limit == 4 * GIB &&
	       out[0].outcome == AGENTCG_OOM_KILLED, "and read as it was");
	tap_ok(agentcg_history_read_family(h, 1000, "git diff", out, 8) == 2 &&
	       out[0].peak == 8 && out[0].declared == AGENTCG_NONE && out[0].limit == AGENTCG_NONE,
	       "a family is all with the same first word, newest first");
	tap_ok(agentcg_history_read_user(h, 1000, out, 8) == 3 && out[0].peak == 9,
	       "a user's rows are its own");
	tap_ok(agentcg_history_read_user(h, 1000, out, 2) == 2, "no more than asked for");
	tap_ok(agentcg_history_add(h, 1000, "git status", &o) == 0 && count(h, 1000) == 3,
	       "a run that is told twice is one row");
	tap_ok(agentcg_history_read_kind(h, 1000, "'; DROP TABLE runs; --", out, 8) == 0,
	       "a kind is no SQL");
	tap_ok(stat(file, &st) == 0 && (st.st_mode & 0777) == 0600, "nobody else reads the file");
	agentcg_history_close(TAKE_PTR(h));
	h = open_it(NULL, 0);
	tap_ok(count(h, 1000) == 3, "they are there after a restart");
	tap_ok(agentcg_history_add(NULL, 0, "x", &o) == 0 && count(NULL, 0) == 0 &&
	       agentcg_history_trust(NULL, 0) == 100, "no history is no error");
}

static void test_bounds(void)
{
	const struct history_bounds bounds = { .per_kind = 10, .per_user = 30, .all = 50 };
	_cleanup_(agentcg_history_closep) struct history *h = open_it(&bounds, 0);
	struct observation out[64];
	char kind[16];
	int n;

	for (int i = 0; i < 25; i++)
		add(h, 1, "make", i);
	n = agentcg_history_read_kind(h, 1, "make", out, 64);
	tap_ok(n == 10 && out[0].peak == 24 && out[9].peak == 15, "%d of a kind: the newest", n);
	for (int i = 0; i < 100; i++) {
		snprintf(kind, sizeof(kind), "k%d", i);
		add(h, 1, kind, 1000 + i);
	}
	n = agentcg_history_read_user(h, 1, out, 64);
	tap_ok(n == 30 && out[29].peak == 1070, "%d of a user, of whatever kind", n);
	for (int i = 0; i < 15; i++)
		add(h, 2, "make", i);
	tap_ok(count(h, 1) == 30 && count(h, 2) == 10, "one user's rows do not push out another's");
	for (int i = 0; i < 15; i++)
		add(h, 3, "make", i);
	tap_ok(count(h, 1) == 30 && count(h, 2) == 10 && count(h, 3) == 10, "50 in all");
	for (int i = 0; i < 5; i++)
		add(h, 4, "make", i);
	tap_ok(count(h, 1) == 25 && count(h, 4) == 5, "then the oldest go");
	agentcg_history_close(TAKE_PTR(h));
	tap_ok(by_hand("SELECT 1/(sum(rows) = 50) FROM users") == SQLITE_OK &&
	       by_hand("DELETE FROM runs") == SQLITE_OK, "counts are kept");
	h = open_it(&bounds, 0);
	add(h, 5, "make", 1);
	tap_ok(count(h, 5) == 1, "also when someone deletes by hand");
}

static void test_kinds(void)
{
	_cleanup_(agentcg_history_closep) struct history *h = open_it(NULL, 0);
	struct observation runs[64];
	struct kind_name kinds[64];
	char kind[16];
	uint64_t start, took;
	int n;

	tap_ok(agentcg_history_read_kinds(h, 1, kinds, 64) == 0, "who ran nothing has no kinds");
	add(h, 1, "make", 1);
	add(h, 1, "git status", 2);
	add(h, 2, "pytest", 3);
	add(h, 1, "make", 4);
	n = agentcg_history_read_kinds(h, 1, kinds, 64);
	tap_ok(n == 2 && streq(kinds[0].text, "make") && streq(kinds[1].text, "git status"),
	       "those of the newest runs come first, and nobody else's");
	tap_ok(agentcg_history_read_kinds(h, 1, kinds, 1) == 1 && streq(kinds[0].text, "make"), "no more than wanted");
	/* As much as a user can have: what is asked must not hold up the daemon. */
	for (int i = 0; i < 8192; i++) {
		snprintf(kind, sizeof(kind), "k%d", i % 64);
		add(h, 3, kind, i);
	}
	start = now_usec(CLOCK_MONOTONIC);
	n = agentcg_history_read_kinds(h, 3, kinds, 64);
	for (int i = 0; i < n; i++)
		agentcg_history_read_kind(h, 3, kinds[i].text, runs, 64);
	took = now_usec(CLOCK_MONOTONIC) - start;
	tap_ok(n == 64 && took < USEC_PER_SEC, "64 runs of 64 kinds are read in %llu us", (unsigned long long)took);
	tap_ok(agentcg_history_read_kinds(NULL, 1, kinds, 64) == 0, "no history is no error");
}

static void test_trust(void)
{
	_cleanup_(agentcg_history_closep) struct history *h = open_it(NULL, 0);
	struct observation o = observation(100 * MIB);

	tap_ok(agentcg_history_trust(h, 1) == 100, "who has said nothing is trusted");
	o.declared = 2 * GIB;
	for (int i = 0; i < 40; i++, o.id++)
		agentcg_history_add(h, 1, "make", &o);
	tap_ok(agentcg_history_trust(h, 1) < 20, "who over-declares is not: %u %%",
	       agentcg_history_trust(h, 1));
	o.declared = 120 * MIB;
	for (int i = 0; i < 100; i++, o.id++)
		agentcg_history_add(h, 1, "make", &o);
	tap_ok(agentcg_history_trust(h, 1) == 100, "until it has declared better for a while");
}

static void refused(int error, const char *part)
{
	char why[AGENTCG_WHY_MAX] = "";
	struct history *h = NULL;

	tap_ok(agentcg_history_open(file, NULL, &h, why) == error && !h && strstr(why, part),
	       "refused: %s", why);
}

static void test_newer(void)
{
	struct history *h = open_it(NULL, 0);

	add(h, 1, "make", 1);
	agentcg_history_close(h);
	by_hand("PRAGMA user_version = 2");
	refused(-ENOTSUP, "newer agentcg");
	by_hand("PRAGMA user_version = 1");
	h = open_it(NULL, 0);
	tap_ok(count(h, 1) == 1, "and left as it was");
	agentcg_history_close(h);
	remove_file();
	by_hand("CREATE TABLE t (x)");
	refused(-ENOTSUP, "not agentcg's");
	remove_file();
	if (symlink("/etc/passwd", file) < 0)
		perror("symlink");
	refused(-ELOOP, "h.db");
	remove_file();
	snprintf(file, sizeof(file), "%s/none/h.db", folder);
	refused(-ENOENT, "none/h.db");
}

static void overwrite(off_t at, const char *bytes, size_t n)
{
	_cleanup_close_ int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || pwrite(fd, bytes, n, at) != (ssize_t)n)
		perror(file);
}

static void test_damage(void)
{
	struct observation o = observation(1);
	char junk[4096], why[AGENTCG_WHY_MAX] = "", damaged[160];
	struct history *h;
	int r;

	memset(junk, 0x5a, sizeof(junk));
	snprintf(damaged, sizeof(damaged), "%s.damaged", file);
	for (off_t page = 0; page < 4; page++) {
		remove_file();
		h = open_it(NULL, 0);
		for (int i = 0; i < 500; i++)
			add(h, i, "make", i);
		agentcg_history_close(h);
		overwrite(page * 4096, junk, sizeof(junk));
		r = agentcg_history_open(file, NULL, &h, why);
		tap_ok(r == 1 && strstr(why, "begins anew") && access(damaged, F_OK) == 0,
		       "page %d is overwritten: %s", (int)page, why);
		tap_ok(r >= 0 && count(h, 1) == 0 && add(h, 1, "make", 1) == 0 && count(h, 1) == 1,
		       "an empty one takes its place");
		agentcg_history_close(r >= 0 ? h : NULL);
	}
	remove_file();
	overwrite(0, junk, sizeof(junk));
	r = agentcg_history_open(file, NULL, &h, why);
	tap_ok(r == 1, "what is no database: %s", why);
	by_hand("DROP TABLE users");
	tap_ok(agentcg_history_add(h, 1, "make", &o) == -EUCLEAN, "damaged while it is open: told");
	agentcg_history_close(h);
	h = open_it(NULL, 1);
	tap_ok(add(h, 1, "make", 1) == 0, "opening again begins anew");
	agentcg_history_close(h);
	remove_file();
	overwrite(0, "", 0);
	h = open_it(NULL, 0);
	tap_ok(h, "an empty file is a new one");
	agentcg_history_close(h);
}

/* Adds rows, and says after each how many there are. */
static void writer(int fd)
{
	const struct history_bounds bounds = {
		.per_kind = 1000000, .per_user = 1000000, .all = 1000000,
	};
	struct history *h = NULL;
	int n;

	if (agentcg_history_open(file, &bounds, &h, NULL) != 0)
		_exit(1);
	for (n = count(h, 1) + 1; add(h, 1, "make", n) == 0; n++)
		if (write(fd, &n, sizeof(n)) != sizeof(n))
			break;
	_exit(1);
}

/* Kills the writer after @usec; returns the last row that it said was there. */
static int kill_writer(unsigned int usec)
{
	int fds[2], n, last = 0;
	pid_t pid;

	if (pipe(fds) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		writer(fds[1]);
	close(fds[1]);
	/* Its first row, so that also late ones are killed in the middle of something. */
	if (read(fds[0], &n, sizeof(n)) == sizeof(n))
		last = n;
	usleep(usec);
	kill(pid, SIGKILL);
	while (read(fds[0], &n, sizeof(n)) == sizeof(n))
		last = n;
	close(fds[0]);
	waitpid(pid, NULL, 0);
	return last;
}

static void test_kill(void)
{
	bool opened = true, complete = true;
	int said = 0, found = 0;

	for (int i = 0; i < 40; i++) {
		_cleanup_(agentcg_history_closep) struct history *h = NULL;
		char why[AGENTCG_WHY_MAX] = "";

		said = kill_writer(i * 317 % 5000);
		opened &= agentcg_history_open(file, NULL, &h, why) == 0 && !why[0];
		found = count(h, 1);
		/* One more may have been added and not told. */
		complete &= said > 0 && (found == said || found == said + 1);
	}
	tap_ok(opened, "the file is sound after each of 40 kills");
	tap_ok(complete, "no row is lost: %d said, %d found", said, found);
}

/* The log does not grow for ever, though adding never copies it. */
static void test_log(void)
{
	_cleanup_(agentcg_history_closep) struct history *h = open_it(NULL, 0);
	struct stat st = {};
	char log[160];
	off_t most = 0;

	snprintf(log, sizeof(log), "%s-wal", file);
	for (int i = 0; i < 4000; i++) {
		add(h, i % 50, "make", i);
		if (stat(log, &st) == 0 && st.st_size > most)
			most = st.st_size;
	}
	tap_ok(most > (off_t)MIB && most < 24 * (off_t)MIB, "its log has %lld KiB at most",
	       (long long)most / 1024);
	tap_ok(count(h, 7) == 80, "and nothing is missing");
}

static void test_locked(void)
{
	_cleanup_(agentcg_history_closep) struct history *h = open_it(NULL, 0);
	uint64_t start;
	sqlite3 *db;
	int r;

	sqlite3_open(file, &db);
	sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	start = now_usec(CLOCK_MONOTONIC);
	r = add(h, 1, "make", 1);
	tap_ok(r == -EBUSY && now_usec(CLOCK_MONOTONIC) - start < USEC_PER_SEC,
	       "someone else's lock is not waited for");
	tap_ok(count(h, 1) == 0, "reading goes on");
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_close(db);
	tap_ok(add(h, 1, "make", 1) == 0 && count(h, 1) == 1, "and adding, once it is gone");
	by_hand("CREATE TRIGGER t BEFORE INSERT ON runs BEGIN SELECT RAISE(ABORT, ''); END");
	tap_ok(add(h, 1, "make", 2) == -EIO && by_hand("DROP TRIGGER t") == SQLITE_OK &&
	       add(h, 1, "make", 3) == 0, "what fails leaves nothing locked");
}

int main(void)
{
	static void (*const tests[])(void) = {
		test_rows, test_bounds, test_kinds, test_trust, test_newer, test_damage, test_kill, test_log,
		test_locked,
	};

	if (!mkdtemp(folder)) {
		perror(folder);
		return 1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		snprintf(file, sizeof(file), "%s/h.db", folder);
		tests[i]();
		snprintf(file, sizeof(file), "%s/h.db", folder);
		remove_file();
	}
	rmdir(folder);
	return tap_done();
}
