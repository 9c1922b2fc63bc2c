#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# root: --timeout 300
# The headers in module/uapi compile on their own for the kernel, for user space and for BPF, and every struct in them has the
# same members at the same offsets in all three; so it has in the module and the BPF programs as they were built.
set -euo pipefail
. tests/lib/tap.sh

work=$(mktemp -d)
headers=(module/uapi/*.h)
mapfile -t structs < <(sed -nE 's/^struct (agentcg_[a-z_]+) \{$/\1/p' "${headers[@]}")

# A variable of each struct, so that the compiler describes it.
{
	for h in "${headers[@]}"; do echo "#include \"${h##*/}\""; done
	for s in "${structs[@]}"; do echo "struct $s the_$s; extern struct $s the_$s;"; done
} >"$work/abi.h"

user() {
	printf '#include "abi.h"\n' >"$work/user.c"
	gcc -std=gnu11 -g -Wall -Wextra -Wpedantic -Werror -I"$work" -Imodule/uapi -c "$work/user.c" -o "$work/user.o"
}

bpf() {
	printf '#include "vmlinux.h"\n#include "abi.h"\n' >"$work/policy.c"
	clang -g -O2 -Wall -Werror -fms-extensions -Wno-microsoft-anon-tag -target bpf -mcpu=v3 -I"$work" -Imodule/uapi \
		-Ibuild/out/bpf -c "$work/policy.c" -o "$work/bpf.o"
}

kernel() {
	local dir=$work/$1
	mkdir -p "$dir"
	printf '#include "abi.h"\n' >"$dir/abi.c"
	echo "obj-m := abi.o
ccflags-y := -I$work -I$PWD/module/uapi -Werror" >"$dir/Kbuild"
	make -s -C /lib/modules/"$1"[.-]*/build M="$dir" abi.o
	cp "$dir/abi.o" "$work/kernel-$1.o"
}

# layout FILE [OPTION of pahole]...: lines "struct member offset size" of all of ours that FILE knows
layout() {
	local file=$1 s
	shift
	for s in "${structs[@]}"; do
		pahole "$@" --suppress_aligned_attribute -C "$s" "$file" 2>/dev/null | awk -v s="$s" '
			/\/\* +[0-9]+ +[0-9]+ \*\// {
				offset = $(NF - 2); size = $(NF - 1)
				sub(/ *\/\*.*/, ""); sub(/;$/, "")
				if (match($0, /\(\*[a-z_]+\)/)) name = substr($0, RSTART + 2, RLENGTH - 3)
				else name = $NF
				print s, name, offset, size
			}
			/\/\* size:/ { print s, "size", $3 + 0 }'
	done
}

# same FILE [OPTION]...: like in user space; a file that uses only some of the structs is compared in these
same() {
	layout "$@" >"$work/got"
	[ -s "$work/got" ] || { echo "$1 describes none of the structs"; return 1; }
	cut -d' ' -f1 "$work/got" | sort -u >"$work/known"
	grep -wFf "$work/known" "$work/want" | diff - "$work/got"
}

all_known() { [ "$(wc -l <"$work/known")" -eq ${#structs[@]} ]; }

# Modules name the types of vmlinux by number.
base() { ls /usr/src/linux-headers-"$1"[.-]*/vmlinux; }

check "the headers name structs (${#structs[@]})" test ${#structs[@]} -ge 10
check "they compile for user space" user
layout "$work/user.o" -F dwarf >"$work/want"
check "they compile for BPF" bpf
check "the same layout in BPF and user space" same "$work/bpf.o" -F btf
check "all structs were compared" all_known
for series in 6.12 7.2 7.3; do
	check "they compile for kernel $series" kernel $series
	check "the same layout in kernel $series and user space" same "$work/kernel-$series.o" -F dwarf
	check "all structs were compared" all_known
	if base=$(base $series 2>/dev/null); then
		check "the same layout in the module built for $series" same build/out/module/$series/agentcg.ko -F btf --btf_base "$base"
	else
		skip "the same layout in the module built for $series" "the root has no BTF of that kernel"
	fi
done
for program in memory sched gpu; do
	check "the same layout in $program.bpf.o" same build/out/bpf/$program.bpf.o -F btf
done

done_testing
