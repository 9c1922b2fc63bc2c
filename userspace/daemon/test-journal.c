// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "history.h"
#include "journal.h"
#include "recent.h"
#include "tap.h"

static char folder[] = "/tmp/agentcg-journal-XXXXXX";
static char file[128], journal[160];

static struct observation observation(uint64_t id)
{
	return (struct observation){
		.id = id, .time_usec = 1000 + id, .peak = id, .duration_usec = 5, .declared = AGENTCG_NONE,
		.granted = 64 * MIB, .limit = AGENTCG_NONE, .outcome = AGENTCG_OK,
	};
}

static int note(struct history *h, const char *kind, uint64_t id)
{
	struct observation o = observation(id);

	return agentcg_history_note(h, 7, kind, &o);
}

/* In the database, as another connection sees it. */
static int in_database(void)
{
	sqlite3_stmt *s;
	sqlite3 *db;
	int n = -1;

	if (sqlite3_open(file, &db) == SQLITE_OK &&
	    sqlite3_prepare_v2(db, "SELECT count(*) FROM runs", -1, &s, NULL) == SQLITE_OK) {
		if (sqlite3_step(s) == SQLITE_ROW)
			n = sqlite3_column_int(s, 0);
		sqlite3_finalize(s);
	}
	sqlite3_close(db);
	return n;
}

static struct history *open_it(void)
{
	struct history *h = NULL;

	if (agentcg_history_open(file, NULL, &h, NULL) < 0)
		tap_ok(false, "opens");
	return h;
}

/* A daemon that notes @n runs, of ids from @first on, and is killed. */
static void note_and_die(uint64_t first, int n)
{
	pid_t pid = fork();

	if (!pid) {
		struct history *h = open_it();

		for (int i = 0; i < n; i++)
			note(h, "make", first + (uint64_t)i);
		kill(getpid(), SIGKILL);
	}
	waitpid(pid, NULL, 0);
}

static void test_notes(void)
{
	struct observation out[AGENTCG_OBSERVATIONS_MAX];
	struct history *h = open_it();
	struct stat st;

	tap_ok(note(h, "make", 1) == 1 && in_database() == 0, "a note is not yet in the database");
	tap_ok(agentcg_history_read_kind(h, 7, "make", out, 8) == 1 && out[0].peak == 1, "... but is read");
	tap_ok(note(h, "make", 2) == 1 && agentcg_history_read_kind(h, 7, "make", out, 8) == 2 && out[0].peak == 2,
	       "... the newest first, also once that was asked for");
	tap_ok(agentcg_history_read_kind(h, 8, "make", out, 8) == 0 && agentcg_history_read_kind(h, 7, "ma", out, 8) == 0,
	       "not by another user, and not for another kind");
	tap_ok(agentcg_history_fold(h) == 0 && in_database() == 2, "folding puts them there");
	tap_ok(stat(journal, &st) == 0 && st.st_size == 0 && (st.st_mode & 0777) == 0600, "and empties the file, which is root's");
	for (uint64_t i = 3; i < 3 + 2 * AGENTCG_JOURNAL_ROWS; i++)
		note(h, "cc", i);
	tap_ok(in_database() > AGENTCG_JOURNAL_ROWS / 4 &&
	       agentcg_history_read_kind(h, 7, "cc", out, 64) == 64 && out[0].peak == 2 + 2 * AGENTCG_JOURNAL_ROWS,
	       "when there is no room it is made");
	agentcg_history_close(h);
	h = open_it();
	tap_ok(agentcg_history_read_kind(h, 7, "make", out, 8) == 2, "closing folds");
	agentcg_history_close(h);
}

static void test_kills(void)
{
	struct observation out[AGENTCG_OBSERVATIONS_MAX];
	int before = in_database(), fd;
	struct history *h;

	note_and_die(5000, 3);
	tap_ok(in_database() == before, "a daemon dies before it folds");
	note_and_die(6000, 2);
	tap_ok(in_database() == before + 3, "the next one does");
	/* As if it had died between the commit and the emptying of the file. */
	note_and_die(6000, 2);
	h = open_it();
	tap_ok(in_database() == before + 5, "what is there already is not added twice");
	agentcg_history_close(h);

	note_and_die(7000, 2);
	fd = open(journal, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)sizeof(struct journal_row) * 3 / 2) < 0)
		tap_ok(false, "cut");
	close(fd);
	h = open_it();
	tap_ok(agentcg_history_read_kind(h, 7, "make", out, 1) == 1 && out[0].peak == 7000, "half a row is none");
	agentcg_history_close(h);
	note_and_die(8000, 2);
	fd = open(journal, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || pwrite(fd, "x", 1, sizeof(struct journal_row) + 40) != 1)
		tap_ok(false, "spoil");
	close(fd);
	h = open_it();
	tap_ok(agentcg_history_read_kind(h, 7, "make", out, 1) == 1 && out[0].peak == 8000, "nor is one that is spoilt");
	agentcg_history_close(h);
}

static void test_recent(void)
{
	static struct recent r;
	struct observation o = observation(1);
	char name[32];

	for (int i = 0; i < AGENTCG_RECENT_LISTS; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		agentcg_recent_make(&r, AGENTCG_RECENT_OF_KIND, 1, name);
	}
	agentcg_recent_find(&r, AGENTCG_RECENT_OF_KIND, 1, "k0");
	agentcg_recent_make(&r, AGENTCG_RECENT_OF_KIND, 1, "new");
	tap_ok(agentcg_recent_find(&r, AGENTCG_RECENT_OF_KIND, 1, "k0") && !agentcg_recent_find(&r, AGENTCG_RECENT_OF_KIND, 1, "k1"),
	       "the list that was asked for longest ago makes room");
	agentcg_recent_make(&r, AGENTCG_RECENT_OF_FAMILY, 1, "git");
	agentcg_recent_make(&r, AGENTCG_RECENT_ALL, 1, "");
	agentcg_recent_make(&r, AGENTCG_RECENT_DECLARED, 1, "");
	agentcg_recent_add(&r, 1, "git log", &o);
	o.declared = MIB;
	agentcg_recent_add(&r, 1, "git log", &o);
	agentcg_recent_add(&r, 2, "git log", &o);
	tap_ok(agentcg_recent_find(&r, AGENTCG_RECENT_OF_FAMILY, 1, "git")->n == 2 &&
	       agentcg_recent_find(&r, AGENTCG_RECENT_ALL, 1, "")->n == 2 &&
	       agentcg_recent_find(&r, AGENTCG_RECENT_DECLARED, 1, "")->n == 1, "a row goes into all lists that it belongs to");
	for (int i = 0; i < 2 * AGENTCG_OBSERVATIONS_MAX; i++)
		agentcg_recent_add(&r, 1, "git log", &o);
	tap_ok(agentcg_recent_find(&r, AGENTCG_RECENT_ALL, 1, "")->n == AGENTCG_OBSERVATIONS_MAX, "as many as there is room for");
}

int main(void)
{
	static const char *const ends[] = { "", "-wal", "-shm", ".new" };

	if (!mkdtemp(folder))
		return 1;
	snprintf(file, sizeof(file), "%s/h.db", folder);
	snprintf(journal, sizeof(journal), "%s.new", file);
	test_notes();
	test_kills();
	test_recent();
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		char path[160];

		snprintf(path, sizeof(path), "%s%s", file, ends[i]);
		unlink(path);
	}
	rmdir(folder);
	return tap_done();
}
