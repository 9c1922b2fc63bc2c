# SPDX-License-Identifier: GPL-2.0-only
"""Uses as many MiB as the last line of its input says, and prints "at MIB" when it does; ends at the line "end"."""
import ctypes
import mmap
import sys

PIECE = 1 << 20
pieces = []
print("at 0", flush=True)
for line in sys.stdin:
    if line.strip() == "end":
        break
    wanted = int(line)
    while len(pieces) > wanted:
        pieces.pop().close()
    while len(pieces) < wanted:
        pieces.append(mmap.mmap(-1, PIECE, flags=mmap.MAP_PRIVATE))
        ctypes.memset(ctypes.addressof(ctypes.c_char.from_buffer(pieces[-1])), 1, PIECE)
    print("at", wanted, flush=True)
