#!/bin/sh
# lookup.sh [ROUNDS]: what a look-up costs in a cdb of ten keys, 100,000 and ten million, by itself and in a session; and
# in text tables. Needs gcc, meson, and tinycdb's cdb, and for a minute 2 GB of $TMPDIR, which should be a disk. Prints
# tables in Markdown.
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
rounds=${1-21}
work=$(mktemp -d "${TMPDIR:-/tmp}/smtpin-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
{ meson setup "$work/build" "$source" && ninja -C "$work/build" smtpin; } >"$work/log" 2>&1 || { tail "$work/log"; exit 1; }
(cd "$source/src" && gcc -O2 -std=c17 -D_GNU_SOURCE -I. -o "$work/lookup" ../tests/bench/lookup.c adapters/table.c adapters/cdb.c \
    adapters/text_table.c syntax/table_source.c io/clock.c base/*.c)
gcc -O2 -o "$work/session" "$source/tests/bench/session.c"
cat >"$work/conf" <<CONF
hostname = mx.example.org
domains = example.org
deliver = /bin/true
log = none
spool_dir = $work
CONF
keys() { "$work/lookup" keys "$1"; echo b@example.org OK; }
echo "## A look-up in a cdb: open, find, close"
set --
for n in 10 100000 10000000; do
    keys $n | cdb -c -m "$work/$n.cdb"
    set -- "$@" $n "cdb:$work/$n.cdb"
done
"$work/lookup" -r "$rounds" "$@"
echo; echo "## A look-up in a text table"
set --
for n in 10 1000 25000; do
    keys $n >"$work/$n.text"
    touch -d '1 hour ago' "$work/$n.text" # nobody is writing it
    set -- "$@" $n "text:$work/$n.text"
done
"$work/lookup" -r "$rounds" "$@"
echo; echo "## A session with one recipient, without the sandbox and with it"
for sandbox in no yes; do
    set -- "no table" "$work/build/smtpin" -f "$work/conf" -o sandbox=$sandbox
    for n in cdb:10 cdb:100000 cdb:10000000 text:10 text:1000 text:25000; do
        set -- "$@" :: "$n keys" "$work/build/smtpin" -f "$work/conf" -o sandbox=$sandbox -o "recipients=${n%:*}:$work/${n#*:}.${n%:*}"
    done
    "$work/session" -r "$rounds" -n 20 "$@"
done
