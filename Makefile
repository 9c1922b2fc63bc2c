# SPDX-License-Identifier: GPL-2.0-only
#
# make demo      the main job, on any Debian 12 or later as root
# make check     all tests
# make           everything, natively; needs the tools named in README.md
# make bench-NAME [RUNS=n] [CHECK=1]
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

clean: ; rm -rf build/out build/bench
distclean: clean ; rm -rf build

.PHONY: all module bpf userspace tests install uninstall root build demo check clean distclean
