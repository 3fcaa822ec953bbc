#!/bin/sh
# order.sh: writes src/session.ld again, after what sessions ran under valgrind: the three builds, with and without the sandbox,
# with and without a log. Which process is the worker, its record tells: it has no delivery.
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/smtpin-bench.XXXXXX"); chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
printf 'EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<x@example.org>\r\nDATA\r\nA: b\r\n\r\nhello\r\n.\r\nNOOP\r\nQUIT\r\n' >"$work/session"
set --
for b in default glibc static; do
    # valgrind makes calls of its own in the worker: there is no filter where a sanitizer is.
    case $b in default) cc=gcc more= ;; glibc) cc=gcc more=-Dauto_features=disabled ;; *) cc=musl-gcc more="-Dprefer_static=true -Db_pie=false" ;; esac
    # shellcheck disable=SC2086
    { CC=$cc CFLAGS=-D__SANITIZE_ADDRESS__ meson setup "$work/$b" "$source" $more && ninja -C "$work/$b" smtpin; } >"$work/log" 2>&1 || { tail "$work/log"; exit 1; }
    set -- "$@" "$work/$b"
    for sandbox in yes no; do
        for log in none stderr; do
            rm -f "$work"/record.*
            valgrind --tool=callgrind --callgrind-out-file="$work/record.%p" "$work/$b/smtpin" -f /dev/null -o hostname=mx.example.org -o domains=example.org \
                -o deliver=/bin/true -o "log=$log" -o "sandbox=$sandbox" -o "spool_dir=$work" -o listen_idle=0 -o max_message_size=4G -o maildir_layout=user <"$work/session" >"$work/said" 2>"$work/log"
            grep -q '^250 2.0.0 OK id=' "$work/said" || { cat "$work/said" "$work/log"; exit 1; }
            for r in "$work"/record.*; do
                if [ $sandbox = no ]; then kind=single; elif grep -q ' deliver_all' "$r"; then kind=monitor; else kind=worker; fi
                mv "$r" "$work/$b/callgrind.$kind.$log.$sandbox"
                set -- "$@" "$work/$b/callgrind.$kind.$log.$sandbox"
            done
        done
    done
done
python3 -B "$source/tests/bench/order.py" "$@" >"$work/session.ld"
mv "$work/session.ld" "$source/src/session.ld"
