// SPDX-License-Identifier: GPL-2.0-only
#include "kind.h"
#include "shell.h"
#include "tap.h"

static void line_is(const char *line, const char *kind)
{
	char buf[AGENTCG_KIND_MAX];

	agentcg_kind_of_line(buf, line, strlen(line));
	tap_ok(streq(buf, kind), "%s <- %.*s", buf, (int)strcspn(line, "\n"), line);
}

#define words_are(kind, ...)							\
	do {									\
		const char *const words[] = { __VA_ARGS__ };			\
		char buf[AGENTCG_KIND_MAX];					\
										\
		agentcg_kind_of_words(buf, words, ARRAY_SIZE(words));		\
		tap_ok(streq(buf, kind), "%s <- argv %s ...", buf, words[0]);	\
	} while (0)

static void test_one_kind(void)
{
	line_is("pytest", "pytest");
	line_is("python -m pytest", "pytest");
	line_is("/x/venv/bin/pytest", "pytest");
	line_is("py.test -q", "pytest");
	line_is(". venv/bin/activate && pytest -q", "pytest");
	line_is("cd /x && timeout 60 python3.11 -m pytest tests/a.py 2>&1 | tail", "pytest");
	line_is("python -W ignore -X dev -mpytest", "pytest");
	line_is("coverage run -m pytest", "pytest");
	line_is("uv run --frozen pytest", "pytest");
	line_is("PYTHONPATH=/t:$PYTHONPATH DEBUG='a b' pytest", "pytest");
	line_is("A=1 A=1 A=1 A=1 A=1 A=1 A=1 A=1 A=1 A=1 A=1 A=1 A=1 A=1 A=1 A=1 A=1 A=1 A=1 "
		"A=1 A=1 A=1 A=1 A=1 A=1 A=1 make", "make");
	line_is("env A=b nice sudo -E make -j4", "make");
	line_is("sudo -u nobody nice -n 5 timeout -k 5 -s KILL 60 make", "make");
	line_is("timeout --signal KILL 60 make", "make");
	line_is("nohup make > log 2>&1 &", "make");
	line_is("npm run test", "npm test");
	line_is("npm t -- --watch", "npm test");
	line_is("npm i", "npm install");
	line_is("git status", "git status");
	line_is("git -C /x --no-pager -c a=b log --oneline", "git log");
	line_is("pip3 install -q x", "pip install");
	line_is("python3 -m pip install x", "pip install");
	line_is("uv pip install x", "pip install");
	line_is("/tmp/venv/bin/pip3.11 install x", "pip install");
	line_is("cargo +nightly t", "cargo test");
	line_is("find . -name '*.py' | xargs -n 1 grep x", "find");
}

static void test_interpreters(void)
{
	line_is("python3 -c 'import x; print(x)'", "python -c");
	line_is("python - < a.py", "python -");
	line_is("python3 << 'EOF'\nimport pytest\npytest && make\nEOF\necho done", "python -");
	line_is("python /a/b/script.py -m x", "python script.py");
	line_is("python setup.py build", "python setup.py build");
	line_is("./manage.py test", "manage.py");
	line_is("python manage.py test -v 2", "python manage.py test");
	line_is("python3 -m venv /tmp/v", "python -m venv");
	line_is("node -e '1'", "node -e");
	line_is("nodejs /srv/app.js", "node app.js");
	line_is("bash run.sh", "bash run.sh");
	line_is("bash", "bash");
	line_is("bash <<EOF\nmake\nEOF", "bash -");
}

static void test_lists(void)
{
	line_is("echo a; make; pytest; ls", "pytest");
	line_is("make || true", "make");
	line_is("cat a | sort | ./tool x", "tool");
	line_is("cd /x", "cd");
	line_is("cd /x\nls -l\n", "ls");
	line_is("if [ -f x ]; then make; else ls; fi", "make");
	line_is("for f in a b pytest; do gcc $f; done", "gcc");
	line_is("while ! curl x; do sleep 1; done", "curl");
	line_is("case $x in pytest) ls;; *) echo;; esac", "ls");
	line_is("f() { make; }; f", "make");
	line_is("(cd x && make) && ls", "make");
	line_is("x=$(pytest -q 2>&1); echo \"$x\"", "pytest");
	line_is("echo \"a `make` b\"", "make");
	line_is("echo $((make)) ${pytest}", "echo");
	line_is("((pytest))", AGENTCG_KIND_UNKNOWN);
	line_is("a=(pytest make) ls", "ls");
	line_is("diff <(make) <(ls)", "make");
	line_is("eval 'make -j'", "make");
	line_is("bash -lc 'cd /x && make'", "make");
	line_is("sudo bash -euo pipefail -c \"ls; pytest\"", "pytest");
}

static void test_text_is_no_command(void)
{
	line_is("echo 'a && pytest'", "echo");
	line_is("echo \"a; pytest\"", "echo");
	line_is("echo a\\;pytest", "echo");
	line_is("ls # && pytest", "ls");
	line_is("ls > pytest", "ls");
	line_is(">pytest ls", "ls");
	line_is("2>/dev/null ls", "ls");
	line_is("ls 2>pytest 3<make &>tox", "ls");
	line_is("cat <<< 'pytest' | wc", "cat");
	line_is("cat <<EOF > x\npytest\nEOF\nls", "cat");
	line_is("cat <<-'E O' <<B\n\tpytest\n\tE O\npytest\nB\nmake", "make");
	line_is("cat <<EOF && make\npytest\nEOF", "make");
	line_is("cat <<A_DELIMITER_THAT_IS_MUCH_LONGER_THAN_KEPT\nx\n"
		"A_DELIMITER_THAT_IS_MUCH_LONGER_THAN_KEPT\nmake", "make");
	line_is("git log \\\n  --oneline", "git log");
	line_is("git \\\n log", "git log");
	line_is("git $x", "git");
}

static void test_argv(void)
{
	words_are("pytest", "/usr/bin/python3", "-m", "pytest", "-q");
	words_are("make", "bash", "-c", "cd /x && exec make");
	words_are("cat", "cat", "a; pytest");
	words_are("make", "env", "A=1", "B=2", "make", "CC=gcc");
	words_are(AGENTCG_KIND_UNKNOWN, "");
	words_are("bash -c", "bash", "-c",
		  "bash -c \"bash -c 'bash -c \\\"bash -c make\\\"'\"");
}

/* What no shell would take must be harmless, and a kind printable. */
static void test_anything(void)
{
	static const char bytes[] = "a$('\"`\\;&|<>(){}\n \t#=0-\0\x80\xff!";
	static char line[100000];
	uint32_t seed = 1;
	bool good = true;

	for (int i = 0; i < 20000; i++) {
		char buf[AGENTCG_KIND_MAX];
		size_t n = seed % 60;

		for (size_t j = 0; j < n; j++) {
			seed = seed * 1664525 + 1013904223;
			line[j] = bytes[(seed >> 16) % (sizeof(bytes) - 1)];
		}
		seed = seed * 1664525 + 1013904223;
		agentcg_kind_of_line(buf, line, n);
		good &= *buf && strlen(buf) < AGENTCG_KIND_MAX;
		for (const char *p = buf; *p; p++)
			good &= *p >= ' ' && *p < 0x7f;
	}
	tap_ok(good, "any bytes give a printable kind");
	for (const char *p = "$('\"`\\;&|<({a "; *p; p++) {
		uint64_t start = now_usec(CLOCK_MONOTONIC);
		char buf[AGENTCG_KIND_MAX];

		for (size_t i = 0; i < sizeof(line); i++)
			line[i] = *p == '$' && i % 2 ? '(' : *p;
		agentcg_kind_of_line(buf, line, sizeof(line));
		good &= now_usec(CLOCK_MONOTONIC) - start < USEC_PER_SEC;
	}
	tap_ok(good, "100 kB of one sign take no second");
	line_is("\xc3\xa9t\xc3\xa9 x", "??t??");
	line_is("a-name-that-is-longer-than-a-kind-may-be-and-goes-on-and-on-and-on-and-on",
		"a-name-that-is-longer-than-a-kind-may-be-and-goes-on-and-on-and-");
	line_is("", AGENTCG_KIND_UNKNOWN);
	line_is("python3 -c 'import", "python -c");
	line_is("pip install a &amp;&amp; make", "make");
}

static void family_is(const char *kind, const char *family)
{
	char buf[AGENTCG_KIND_MAX];

	tap_ok(streq(agentcg_kind_family(buf, kind), family), "%s is of the family %s", kind, buf);
}

int main(void)
{
	test_one_kind();
	test_interpreters();
	test_lists();
	test_text_is_no_command();
	test_argv();
	test_anything();
	family_is("git status", "git");
	family_is("pytest", "pytest");
	return tap_done();
}
