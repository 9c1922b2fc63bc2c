# SPDX-License-Identifier: GPL-2.0-only
#
# make demo      the main job, on any Debian 12 or later as root
# make check     all tests
# make           everything, natively; needs the tools named in README.md
# make bench-NAME [RUNS=n] [CHECK=1]; bench-gpu: on this machine's GPU
# make dist      a tar file that runs on any x86-64 Linux
#
# What is compiled lands in build/; the tests and the demo compile and run in
# a build root that scripts/root makes there (and boot it with scripts/vm).

O := build/out
PREFIX ?= /usr
KVERS ?= $(shell uname -r)

all: module userspace

# ---- natively, or in the root by way of scripts/in-root --------------------

module: ; $(MAKE) -f module/Makefile OUT=$(O)/module KVERS="$(KVERS)"
bpf: ; $(MAKE) -f bpf/Makefile O=$(O)/bpf
userspace: bpf ; $(MAKE) -f userspace/Makefile O=$(O) BPF=$(O)/bpf
tests: userspace ; $(MAKE) -f tests/Makefile OUT=$(O)/tests BPF=$(O)/bpf

install: all ; scripts/install --prefix $(PREFIX)
uninstall: ; scripts/install --remove --prefix $(PREFIX)

# ---- on any machine --------------------------------------------------------

IN_ROOT := scripts/in-root --

root: ; @scripts/root
build: root
	$(IN_ROOT) $(MAKE) -s -j2 module KVERS="6.12 7.2 7.3"
	$(IN_ROOT) $(MAKE) -s -j2 tests
	@$(MAKE) -s $(O)/bpf/verifier.txt

# What the programs cost the kernel's verifier; of those that have changed it is printed.
$(O)/bpf/verifier.txt: $(wildcard $(O)/bpf/*.bpf.o) scripts/verifier scripts/lib/verifier.c
	@scripts/verifier >$@.tmp && mv $@.tmp $@ && cat $@

demo: build ; @scripts/demo
check: build ; @tests/run
bench-%: build ; @tests/bench/run $* --runs $(or $(RUNS),20) $(if $(CHECK),--check)

# The CUDA worker, where there is a compiler; its programs for old and new GPUs.
NVCC ?= $(firstword $(shell command -v nvcc) /usr/local/cuda/bin/nvcc)
gpu-worker: $(O)/gpu-worker
$(O)/gpu-worker: userspace/gpu/worker.cu
	@mkdir -p $(@D)
	$(NVCC) -O2 -std=c++17 -gencode arch=compute_80,code=[sm_80,compute_80] -gencode arch=compute_90,code=sm_90 -Xcompiler -Wall $< -o $@
bench-gpu: ; @tests/bench/run gpu --runs $(or $(RUNS),3) $(if $(CHECK),--check)
dist: build ; @scripts/dist

clean: ; rm -rf build/out build/bench
distclean: clean ; rm -rf build

.PHONY: all module bpf userspace tests install uninstall root build demo check gpu-worker bench-gpu dist clean distclean
