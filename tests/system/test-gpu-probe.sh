#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The launch probe on a worker whose libcuda keeps its own clock: what it measures, what it costs, that it lets go.
# vm: --accel icount --memory 1G --timeout 300
set -u
exec python3 tests/system/gpu_probe.py
