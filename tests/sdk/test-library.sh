#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# root: --timeout 120
# libagentcg as a file: what it exports and needs, and its header in C and C++.
set -euo pipefail
. tests/lib/tap.sh

stage=$PWD/build/out/tests/stage
lib=$(find "$stage" -name libagentcg.so.0)
header=$stage/usr/include/agentcg/agentcg.h
work=$(mktemp -d)

# Programs were linked against these: a line may come, none may go.
recorded() { grep -v '^#' tests/sdk/libagentcg.symbols; }
exported() { nm -D --defined-only --with-symbol-versions "$lib" | awk '$2 == "T" { print $3 }' | sort; }
others() { nm -D --defined-only "$lib" | awk '$2 != "T" && $2 != "A"'; }
mapped() { sed -n 's/^\t\(agentcg_.*\);/\1/p' userspace/sdk/c/libagentcg.map | sort; }
declared() { grep -oE '\bagentcg_[a-z_]+\(' "$header" | tr -d '(' | sort -u; }
check "it exports what is recorded" diff <(recorded) <(exported)
nothing "... and nothing else" others
check "... which is what its map says" diff <(mapped) <(exported | sed 's/@.*//')
check "... and its header declares" diff <(declared) <(exported | sed 's/@.*//')
undocumented() { local f; for f in $(mapped); do grep -q "\b$f(" userspace/sdk/c/libagentcg.3 || echo "$f"; done; }
nothing "... and the manual page shows" undocumented

dynamic() { readelf -d "$lib" | sed -n "s/.*($1).*\[\(.*\)\]/\1/p" | sort; }
check "its soname" diff <(echo libagentcg.so.0) <(dynamic SONAME)
check "it needs libsystemd and the C library only" diff <(printf '%s\n' libc.so.6 libsystemd.so.0) <(dynamic NEEDED)
newer() { nm -D --undefined-only --with-symbol-versions "$lib" | grep -oE '[a-z_]+@LIBSYSTEMD_[0-9]+' | grep -v '@LIBSYSTEMD_257$' || true; }
nothing "... of libsystemd no more than version 257 has" newer
speaks() { nm -D --undefined-only "$lib" | grep -wE 'v?f?printf|puts|fputs|putchar|perror|syslog|stdout|stderr|exit|abort|__assert_fail' || true; }
nothing "it neither prints nor exits" speaks
state() { objdump -t "$lib" | grep -E ' O \.(data|bss|tdata|tbss)\b' | grep -v '\.data\.rel\.ro\|completed\.0$\|\s0000000000000000 ' || true; }
nothing "it has no state" state

cat >"$work/all.c" <<'C'
#include <agentcg/agentcg.h>
int main()
{
	struct agentcg_error error = AGENTCG_ERROR_INIT;
	struct agentcg_intent intent = AGENTCG_INTENT_INIT;
	struct agentcg_session session = AGENTCG_SESSION_INIT;
	struct agentcg_begin begin = AGENTCG_BEGIN_INIT;
	struct agentcg_spawn spawn = AGENTCG_SPAWN_INIT;
	struct agentcg *cg;
	int r = agentcg_connect("/run/agentcg/nowhere", &cg, &error);

	begin.intent = &intent;
	return r == error.error && session.pidfd == -1 && spawn.in == -1 && intent.memory == AGENTCG_UNSET && begin.agent == 0 ? 0 : 1;
}
C
cp "$work/all.c" "$work/all.cc"
# The flags are several words.
# shellcheck disable=SC2046
compile() { "$@" -Wall -Wextra -pedantic -Werror -o "$work/all" $(tests/sdk/installed "$stage"); }
run() { LD_LIBRARY_PATH=${lib%/*} "$work/all"; }
for std in c99 c11 c23; do
	check "a program in $std" compile gcc -std=$std "$work/all.c"
	check "... runs" run
done
for std in c++11 c++20; do
	check "a program in $std" compile clang++ -std=$std -nostdlib++ "$work/all.cc"
	check "... runs" run
done

# What the compiler makes of the structs, on machines with 64 bits.
cat >"$work/sizes.c" <<'C'
#include <agentcg/agentcg.h>
#include <stdio.h>
#define SHOW(name, last) printf("%s %zu %zu\n", #name, sizeof(struct agentcg_##name), offsetof(struct agentcg_##name, last))
int main(void)
{
	SHOW(error, text);
	SHOW(intent, json);
	SHOW(granted, detach);
	SHOW(result, running);
	SHOW(session, pidfd);
	SHOW(killed, command);
	SHOW(finished, result);
	SHOW(begin, parameters);
	SHOW(spawn, flags);
	SHOW(event, lost);
	return 0;
}
C
check "a program that looks at the structs" compile gcc "$work/sizes.c"
layout() { sed -n 's/^#struct //p' tests/sdk/libagentcg.symbols; }
check "they are as recorded" diff <(layout) <(run)
version() { PKG_CONFIG_PATH=${lib%/*}/pkgconfig pkg-config --modversion libagentcg; }
check "pkg-config knows its version" diff <(sed -n 's/^#define LIBAGENTCG_VERSION.*"\(.*\)"/\1/p' "$header") <(version)
done_testing
