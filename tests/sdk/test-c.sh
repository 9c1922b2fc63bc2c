#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# libagentcg with the real daemon: c.c against what is installed, as root and as a user without rights, and with the
# sanitizers; and the example of its README.
# vm: --boot sdk --accel icount --memory 2G --timeout 300
set -u
. tests/sdk/lib.sh
built=$out/tests
LD_LIBRARY_PATH=$(dirname "$(find "$built/stage" -name libagentcg.so.0)")
export LD_LIBRARY_PATH

sdk_as c-root "$built/sdk-c" c-root
sdk_as c-user "${user[@]}" "$built/sdk-c" c-user all
sdk_as c-asan "${user[@]}" "$built/sdk-c-asan" c-asan
# Where clone3() is forbidden, as in some containers.
sdk_as c-fork "${user[@]}" "$built/without-clone3" "$built/sdk-c" c-fork spawns

"${user[@]}" "$built/sdk-c-example" >"$work/example" 2>&1
like "the README's example fails first" "$(head -n 1 "$work/example")" "^exit code 137, oom_killed: .*limit 64 MiB"
like "... and succeeds then" "$(tail -n 1 "$work/example")" "^exit code 0, ok: "
done_testing
