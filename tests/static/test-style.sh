#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# root: --timeout 600
# The house rules that a program can check: checkpatch, shellcheck, the folders, the length of files.
set -euo pipefail
. tests/lib/tap.sh

tree=$PWD
source=/usr/src/linux-7.2
shopt -s nullglob globstar

# patch_check IGNORE WIDTH FILE...: prints one line for each complaint. In /tmp, for it leaves a cache where it runs.
patch_check() {
	local ignore=$1 width=$2
	shift 2
	[ $# -gt 0 ] || { echo "no files to check"; return; }
	(cd /tmp && perl $source/scripts/checkpatch.pl --strict --no-tree --root=$source --no-summary --terse --show-types \
		--max-line-length="$width" --ignore "$ignore" -f "${@/#/$tree/}") 2>&1 | sed "s|^$tree/||" | real_complaints || true
}

# Two of its complaints are about what it cannot parse: "sd_varlink *link" is no product where it does not know the type
# (that is all that its rule for a space before '*' but none after can find), and "(char[8]){}" is no block.
real_complaints() {
	local complaint file line
	while IFS= read -r complaint; do
		IFS=: read -r file line _ <<<"$complaint"
		case $complaint in
		*"CHECK:SPACING: spaces preferred around that '*' (ctx:WxV)") ;;
		*"ERROR:SPACING: space required before the open brace '{'")
			sed -n "${line}p" "$file" | grep '\]){' >/dev/null || echo "$complaint" ;;
		*) echo "$complaint" ;;
		esac
	done
}

# Kernel and BPF. Ignored:
#  ALLOC_WITH_SIZEOF                        kzalloc_obj() is newer than the oldest kernel we build for
#  LINUX_VERSION_CODE, CONSTANT_COMPARISON  module/compat is for them, and CONSTANT_COMPARISON misreads KERNEL_VERSION()
#  CAMELCASE                                the only one is _Static_assert
#  AVOID_EXTERNS                            kfuncs are declared "extern ... __ksym" in BPF
#  VOLATILE                                 knobs of BPF programs are "const volatile": the loader sets them
kernel_ignore=ALLOC_WITH_SIZEOF,CONSTANT_COMPARISON,CAMELCASE,AVOID_EXTERNS,VOLATILE
versions_ignore=$kernel_ignore,LINUX_VERSION_CODE
# Tracepoints are written as in the kernel's include/trace/events, which is laid out otherwise than functions.
trace_ignore=$kernel_ignore,OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT

# User space: the same style, but for what only the kernel has, or what its interfaces are called.
#  PREFER_KERNEL_TYPES                      uint64_t is the type here
#  PREFER_DEFINED_ATTRIBUTE_MACRO, STRCPY, ARRAY_SIZE, VOLATILE   __printf(), strscpy(), ARRAY_SIZE(), READ_ONCE() are the kernel's
#  CAMELCASE                                fields of varlink and keys of the policy are written so
#  LONG_LINE_STRING, SPLIT_STRING           messages stay in one piece; long texts of several sentences may be in more
#  EMBEDDED_FUNCTION_NAME                   takes words such as "run" and "freeze" in messages for names of functions
#  COMPLEX_MACRO, MACRO_ARG_REUSE, MACRO_ARG_PRECEDENCE   macros that stand for entries of tables
#  OPEN_ENDED_LINE, PARENTHESIS_ALIGNMENT   SD_JSON_BUILD_OBJECT(), SD_VARLINK_DEFINE_*() are nested tables, laid out as in systemd
#  REPEATED_WORD                            takes "enum section section" for a slip
#  LINE_SPACING                             does not know _cleanup_free_ and its like: takes a declaration for a statement
#  STATIC_CONST_CHAR_ARRAY                  a template of mkstemp() is written to
user_ignore=PREFER_KERNEL_TYPES,PREFER_DEFINED_ATTRIBUTE_MACRO,STRCPY,ARRAY_SIZE,VOLATILE,CAMELCASE,LONG_LINE_STRING
user_ignore+=,SPLIT_STRING,EMBEDDED_FUNCTION_NAME,COMPLEX_MACRO,MACRO_ARG_REUSE,MACRO_ARG_PRECEDENCE,OPEN_ENDED_LINE
user_ignore+=,PARENTHESIS_ALIGNMENT,REPEATED_WORD,LINE_SPACING,STATIC_CONST_CHAR_ARRAY
# Tables have one line for each entry.
user_width=144

bad=$(mktemp --suffix=.c)
printf '// SPDX-License-Identifier: GPL-2.0-only\nint f(int a){return(a);}\n' >"$bad"
found() { patch_check $kernel_ignore 100 "$(realpath --relative-to=. "$bad")" | grep -c 'SPACING\|RETURN_PARENTHESES'; }
check "checkpatch finds faults that are there" found

kernel_files=() trace_files=() version_files=()
for f in module/**/*.[ch] bpf/*.[ch]; do
	case $f in
	module/trace.h) trace_files+=("$f") ;;
	module/compat/*) version_files+=("$f") ;;
	*) kernel_files+=("$f") ;;
	esac
done
nothing "checkpatch: module and BPF" patch_check $kernel_ignore 100 "${kernel_files[@]}"
nothing "checkpatch: module/trace.h" patch_check $trace_ignore 100 "${trace_files[@]}"
nothing "checkpatch: module/compat" patch_check $versions_ignore 100 "${version_files[@]}"
nothing "checkpatch: user space" patch_check $user_ignore $user_width userspace/**/*.[ch]
nothing "checkpatch: test programs" patch_check $user_ignore $user_width tests/**/*.[ch]

# Scripts have no suffix: the first line says what they are. Not asked about: code that only traps and "$@" reach (SC2317,
# SC2329), "A && B || C" (SC2015), and a $ of another language in single quotes (SC2016).
shell_scripts() { grep -lE '^#!/.*\b(ba)?sh\b|^# shellcheck shell=' -r scripts tests .ci --exclude='*.[ch]'; }
mapfile -t scripts < <(shell_scripts)
nothing "shellcheck (${#scripts[@]} scripts)" shellcheck --external-sources --exclude=SC2015,SC2016,SC2317,SC2329 "${scripts[@]}"

# --- The tree ---------------------------------------------------------------------------------------------------------

allowed=' Kbuild module bpf userspace cgroup-policies scripts tests README.md Makefile LICENSE .ci .clang-format .gitignore '
misplaced() {
	local f
	for f in $(git ls-files --cached --others --exclude-standard | cut -d/ -f1 | sort -u); do
		[ ! -e "$f" ] || [[ $allowed == *" $f "* ]] || echo "$f does not belong at the top"
	done
}
# The tree belongs to whoever checked it out, the root to root.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'
if git rev-parse --git-dir >/dev/null 2>&1; then
	nothing "the top level holds what it should" misplaced
else
	skip "the top level holds what it should" "this tree is no git checkout"
fi

without_readme() {
	local d
	for d in module bpf userspace cgroup-policies scripts tests; do [ -s $d/README.md ] || echo "$d has no README.md"; done
}
nothing "every folder has a README.md" without_readme

sources() { find Kbuild Makefile .ci module bpf userspace cgroup-policies scripts tests -type f; }
longer_than() { sources | grep -E "$2" | xargs wc -l | awk -v max="$1" '$2 != "total" && $1 > max { print $2 " has " $1 " lines" }'; }
nothing "no file has more than 800 lines" longer_than 800 .
nothing "no Makefile has more than 80 lines" longer_than 80 '(^|/)(Makefile|Kbuild)$'

named() { sources | grep -E '\.[ch]$|Makefile|Kbuild'; }
unlicensed() { named | grep -v '^userspace/sdk/' | xargs grep -L 'SPDX-License-Identifier: GPL-2.0-only' || true; }
nothing "every source names its licence" unlicensed
# What agents link: nothing of the rest may come in.
other_than_mit() {
	grep -rL 'SPDX-License-Identifier: MIT' userspace/sdk --include={'*.[ch]','*.py',Makefile,'*.map','*.3'} || true
	grep -rn '#include "\.\./\|GPL-2' userspace/sdk --include={'*.[ch]','*.py'} || true
}
nothing "the clients are under MIT" other_than_mit
unfinished() { sources | grep -v tests/static/ | xargs grep -nE '\b(TODO|FIXME|XXX)\b' || true; }
nothing "nothing is left to do in comments" unfinished

done_testing
