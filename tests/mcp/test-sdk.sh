#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The official TypeScript SDK (both generations) and the inspector with agentcg mcp and the real daemon. They are fetched here, for a
# guest has no network, and run in a guest (in-guest.sh).
# host: --beside --timeout 900
set -u
. tests/lib/tap.sh

log=build/cache/mcp.log
mkdir -p build/cache
if ! timeout 300 tests/mcp/install build/cache/mcp build/cache/agents >$log 2>&1; then
	skip "the official clients of MCP" "they cannot be installed: $(tail -n 1 $log)"
	done_testing
	exit
fi
scripts/vm --memory 2G --timeout 500 -- bash tests/mcp/in-guest.sh
