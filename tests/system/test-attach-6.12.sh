#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The same on the oldest kernel, whose verifier knows less.
# vm: --boot attach-6.12 --kernel 6.12 --accel icount --memory 2G --timeout 450
exec bash tests/system/test-attach.sh
