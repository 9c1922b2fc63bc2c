#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# root: --timeout 300
# Builds what the suites here run in the guest, whose root has no write access to the tree.
set -euo pipefail
. tests/lib/tap.sh

check "the kernel's cgroup and sched_ext selftests and our loader compile" make -s -f tests/selftests/Makefile
done_testing
