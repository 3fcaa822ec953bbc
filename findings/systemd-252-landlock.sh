#!/bin/sh
# systemd 252.39-1~deb12u2 (Debian 12): no set of system calls has Landlock's.
#
# A unit with the usual SystemCallFilter=@system-service refuses landlock_create_ruleset(2) and its two
# companions, though its kernel (6.1) has them, and no other set than @known names them (the set @sandbox
# is of a later systemd). With SystemCallErrorNumber=EPERM, a program that asks for the version of Landlock
# hears EPERM, takes it for a kernel without Landlock, and goes on unconfined: the harder unit is the
# softer one. A unit of such a program must name the three calls.
#
# Output seen:
#
#     @system-service: no Landlock
#     sets with Landlock: @known
#     @system-service has openat
#
# Fails if one of these changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
for p in systemd=252.39-1~deb12u2 libsystemd-shared=252.39-1~deb12u2; do
    apt-get download "$p" >/dev/null 2>&1 || { echo "$p can't be had"; exit 1; }
done
for p in ./*.deb; do dpkg -x "$p" unpacked; done
LD_LIBRARY_PATH=$(find "$work/unpacked" -type d -name systemd -path '*lib/*-linux-gnu/*' | head -n 1); export LD_LIBRARY_PATH
sets() { SYSTEMD_PAGER='' unpacked/usr/bin/systemd-analyze syscall-filter "$@" 2>/dev/null || SYSTEMD_PAGER='' unpacked/bin/systemd-analyze syscall-filter "$@"; }
# Each set with all that it includes; an indented word is one of the set that stands before it.
sets >all
awk '/^@/ {set = $1; next} /^ +[@a-z]/ {sub(/^ +/, ""); print set, $1}' all >members
reach() { # SET: its calls
    todo=$1 done=' '
    while [ -n "$todo" ]; do
        set -- $todo; s=$1; shift; todo="$*"
        case $done in *" $s "*) continue ;; esac
        done="$done$s "
        for m in $(awk -v s="$s" '$1 == s {print $2}' members); do case $m in @*) todo="$todo $m" ;; *) echo "$m" ;; esac; done
    done
}
said=$(
    if reach @system-service | grep -q '^landlock_'; then echo '@system-service: Landlock'; else echo '@system-service: no Landlock'; fi
    echo "sets with Landlock: $(awk '$2 ~ /^landlock_/ {print $1}' members | sort -u | paste -sd ' ')"
    # The lists are read as they should be:
    if reach @system-service | grep -qx openat; then echo '@system-service has openat'; else echo '@system-service has no openat'; fi
)
echo "$said"
[ "$said" = "@system-service: no Landlock
sets with Landlock: @known
@system-service has openat" ]
