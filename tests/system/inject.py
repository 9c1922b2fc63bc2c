#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""inject.py error|stall: makes the running CPU scheduler fail, by the program that it has for that.

bpftool does not run programs of this type, so this calls bpf(2) itself.
"""
import ctypes
import os
import struct
import sys

BPF_OBJ_GET, BPF_PROG_TEST_RUN = 7, 10
SYS_BPF = 321
libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attributes):
    attr = ctypes.create_string_buffer(attributes, 128)
    result = libc.syscall(SYS_BPF, command, attr, len(attr))
    if result < 0:
        sys.exit(f"inject.py: {os.strerror(ctypes.get_errno())}")
    return result


path = ctypes.create_string_buffer(b"/sys/fs/bpf/agentcg/sched-inject")
program = bpf(BPF_OBJ_GET, struct.pack("QII", ctypes.addressof(path), 0, 0))
# struct agentcg_inject_arg: what, pad, result
arg = ctypes.create_string_buffer(struct.pack("IIq", {"error": 1, "stall": 2}[sys.argv[1]], 0, 0))
# prog_fd, retval, data_size_in, data_size_out, data_in, data_out, repeat, duration, ctx_size_in, ctx_size_out, ctx_in
bpf(BPF_PROG_TEST_RUN, struct.pack("IIIIQQIIIIQ", program, 0, 0, 0, 0, 0, 0, 0, 16, 0, ctypes.addressof(arg)))
sys.exit(f"inject.py: {os.strerror(-struct.unpack('IIq', arg.raw[:16])[2])}"
         if struct.unpack("IIq", arg.raw[:16])[2] else 0)
