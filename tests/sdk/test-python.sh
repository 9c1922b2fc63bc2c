#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The Python SDK with the real daemon, as root and as a user without rights: python.py, whose lines are numbered here.
# vm: --boot sdk --accel icount --memory 2G --timeout 400
set -u
. tests/sdk/lib.sh
sdk=userspace/sdk/python
export PYTHONPATH=$sdk PYTHONDONTWRITEBYTECODE=1

program=(python3 -W error::ResourceWarning tests/sdk/python.py)
[ "${ONLY:-root}" != root ] || sdk_as root "${program[@]}" root
[ "${ONLY:-user}" != user ] || sdk_as user "${user[@]}" "${program[@]}" user

"${user[@]}" python3 $sdk/example.py >"$work/example" 2>&1
like "the example fails first" "$(head -n 1 "$work/example")" "^exit code -9, oom_killed: .*limit 64 MiB"
is "... and succeeds then" "$(tail -n 1 "$work/example")" 83886080
done_testing
