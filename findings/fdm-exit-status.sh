#!/bin/sh
# fdm 1.9+git20181219-1+b2 (Debian 12): `fdm -a stdin fetch` exits with 0 although its one action failed and
# the message is stored nowhere.
#
# A program that hands fdm a message on standard input and looks at its exit status, as a delivery
# command of a mail server is looked at, takes the failure for success. Only what fdm prints tells:
#
#     stdin: .../box: Not a directory          (standard error)
#     stdin: fetching error. aborted
#     stdin: 0 messages processed in 0.008 seconds   (standard output)
#     exit status 0
#
# Where the action works it prints "1 messages processed", and exits with 0 too. Runs as any user on
# Debian 12; fails if one of these changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download fdm=1.9+git20181219-1+b2 >/dev/null 2>&1 || { echo "fdm 1.9+git20181219-1+b2 can't be had"; exit 1; }
dpkg -x fdm_*.deb unpacked

fetch() { # MAILDIR
    printf 'set lock-file "%s/lock"\naction "keep" maildir "%s"\naccount "stdin" stdin\nmatch all action "keep"\n' "$work" "$1" >conf
    chmod 600 conf
    status=0
    printf 'From: a@example.org\nSubject: x\n\ntext\n' |
        HOME=$work USER=$(id -un) unpacked/usr/bin/fdm -m -a stdin -f conf fetch >out 2>err || status=$?
}

mkdir good
fetch "$work/good"
echo "into a directory: exit status $status, $(cat out)"
[ "$status" = 0 ] && grep -q '1 messages processed' out && [ "$(find good -type f | wc -l)" = 1 ]

: >file
fetch "$work/file/box"
echo "below a file:     exit status $status, $(cat out), $(sed "s|$work/||" err | tr '\n' ' ')"
grep -q 'Not a directory' err && grep -q '0 messages processed' out && [ "$(find . -name box | wc -l)" = 0 ]
[ "$status" = 0 ] || { echo "fdm says now that it failed: exit status $status"; exit 1; }
echo "as found: a failed action is exit status 0"
