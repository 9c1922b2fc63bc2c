#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# root: --timeout 120
# libagentcg with servers whose answers make no sense, and with the sanitizers.
exec python3 tests/sdk/odd.py build/out/tests/sdk-odd
