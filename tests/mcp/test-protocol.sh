#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# agentcg mcp, every version of the protocol and what breaks it, with a daemon that plays its part: protocol.py.
# root: --timeout 120
exec python3 -W error::ResourceWarning tests/mcp/protocol.py
