#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# root: --timeout 300
# What `make install` puts where, that the removal takes back exactly that, and the module by way of DKMS. All in the root's
# overlay, which is gone afterwards.
set -euo pipefail
. tests/lib/tap.sh

release=$(awk '$1 == "7.2" { print $3 }' /boot/kernels)
version=$(scripts/dkms version)
work=$(mktemp -d)

# The kernel that runs here is the host's, which has no headers in the root.
make_install() { make -s install KVERS=7.2 DESTDIR="$1" PREFIX="$2"; }
files() { (cd "$1" && find . -type f | sort | sed 's/^\.//'); }
has() { [ -e "$1" ] || { echo "no $1"; return 1; }; }

# --- Files ------------------------------------------------------------------------------------------------------------

check "make install into a scratch root" make_install "$work/a" /usr
for f in /usr/bin/agentcg /usr/sbin/agentcgd /usr/lib/systemd/system/agentcgd.service /usr/lib/modules-load.d/agentcg.conf \
	/etc/agentcg/policy.conf /usr/include/agentcg/agentcg.h /usr/share/man/man3/libagentcg.3 /usr/share/man/man1/agentcg.1 "/usr/src/agentcg-$version/dkms.conf" "/usr/src/agentcg-$version/module/main.c"; do
	check "it has $f" has "$work/a$f"
done
check "the installed command runs" "$work/a/usr/bin/agentcg" --help
check "so does the prefix for agent tools" test "$(AGENTCG_SOCKET=/none "$work/a/usr/libexec/agentcg/shell-prefix" "echo hello")" = hello
# shellcheck disable=SC2046 # several words
with_library() {
	echo '#include <agentcg/agentcg.h>
	int main(void) { return !*agentcg_version(); }' >"$work/uses.c"
	gcc "$work/uses.c" -o "$work/uses" $(tests/sdk/installed "$1")
	LD_LIBRARY_PATH=$(dirname "$(find "$1" -name libagentcg.so.0)") "$work/uses"
}
check "a program is built with the installed library, and runs" with_library "$work/a"
with_python() { PYTHONPATH=$work/a/usr/lib/python3/dist-packages python3 -c 'import agentcg.aio; print(agentcg.Client)'; }
check "the installed Python package is there" with_python
manual() { sed 's/\\&//; s/\\-/-/g; s/\\e/\\/g' "$work/a/usr/share/man/$1"; }
shows() { local want; want=$("${@:2}") && [[ $(manual "$1") == *"$want"* ]]; }
check "agentcg(1) says what the command says" shows man1/agentcg.1 build/out/agentcg run --help
check "agentcgd(8), too" shows man8/agentcgd.8 build/out/agentcgd --help
check "agentcg.conf(5) is the commented policy" shows man5/agentcg.conf.5 cat cgroup-policies/policy.conf
check "the installed daemon runs" "$work/a/usr/sbin/agentcgd" --help

files "$work/a" >"$work/first"
check "make install again" make_install "$work/a" /usr
files "$work/a" >"$work/second"
check "it puts the same files" diff "$work/first" "$work/second"

echo '# ours' >>"$work/a/etc/agentcg/policy.conf"
check "an update" make_install "$work/a" /usr
check "an update keeps a changed policy" grep -q '^# ours$' "$work/a/etc/agentcg/policy.conf"
echo foreign >"$work/a/usr/bin/foreign"
remove() { DESTDIR=$1 scripts/install --remove --prefix "$2"; }
check "removal" remove "$work/a" /usr
files "$work/a" >"$work/left"
check "it leaves the changed policy and what is not ours, and nothing else" \
	diff "$work/left" <(printf '%s\n' /etc/agentcg/policy.conf /usr/bin/foreign)

check "make install with a prefix" make_install "$work/b" /usr/local
check "the unit names the prefix" grep -qx 'ExecStart=/usr/local/sbin/agentcgd' \
	"$work/b/usr/local/lib/systemd/system/agentcgd.service"
pc_prefix() { find "$work/b" -name libagentcg.pc -exec grep -qx 'prefix=/usr/local' {} +; }
check "so does libagentcg.pc" pc_prefix
check "removal with a prefix" remove "$work/b" /usr/local
nothing "it leaves nothing" files "$work/b"
nothing "nor an empty folder" find "$work/b" -mindepth 1
nothing_there() { ! remove "$work/b" /usr/local; }
check "there is nothing to remove twice" nothing_there

# --- The unit ---------------------------------------------------------------------------------------------------------

install -D build/out/agentcgd /usr/sbin/agentcgd
cp userspace/agentcgd.service /etc/systemd/system/
verify() { SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no --recursive-errors=no /etc/systemd/system/agentcgd.service; }
nothing "systemd-analyze verify has nothing to say about the unit" verify

# --- DKMS -------------------------------------------------------------------------------------------------------------

is_installed() { dkms status -m agentcg -v "$version" -k "$release" | grep ': installed' >/dev/null; }
module() { find "/lib/modules/$release" -name 'agentcg.ko*'; }
vermagic() { modinfo -F vermagic "$(module)" | grep "^$release " >/dev/null; }
by_modprobe() { modprobe --set-version "$release" --show-depends agentcg | grep agentcg.ko >/dev/null; }
not_installed() { [ -z "$(module)$(dkms status -m agentcg)" ] && [ ! -e "/usr/src/agentcg-$version" ]; }
check "DKMS adds, builds and installs the module for $release" scripts/dkms install --kernel "$release"
check "DKMS says it is installed" is_installed
check "it is for that kernel" vermagic
check "modprobe finds it" by_modprobe
check "once more, over itself" scripts/dkms install --kernel "$release"
check "DKMS still says it is installed" is_installed
check "removal from DKMS" scripts/dkms remove
check "nothing is left in DKMS, /lib/modules and /usr/src" not_installed

done_testing
