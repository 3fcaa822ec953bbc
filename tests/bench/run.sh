#!/bin/sh
# run.sh [ROUNDS]: what a session and a message cost, as ratios to floors and beside peers. Builds both
# ways, takes the peers from Debian's packages, unpacked beside the system. Prints tables in Markdown,
# and writes two pictures into the directory $PICTURES, if it is set. Units: units.sh.
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
rounds=${1-21}
work=$(mktemp -d "${TMPDIR:-/tmp}/smtpin-bench.XXXXXX"); chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
build() { name=$1; shift; { meson setup "$work/$name" "$source" -Dbuildtype=release "$@" && ninja -C "$work/$name" smtpin; } >"$work/log" 2>&1 || { tail "$work/log"; exit 1; }; }
build default
CC=musl-gcc build static -Dprefer_static=true -Db_pie=false
gcc -O2 -static -nostdlib -ffreestanding -fno-stack-protector -fcf-protection=none -fno-pie -no-pie -Wl,--build-id=none -o "$work/floor" "$source/tests/bench/floor.c"
gcc -O2 -o "$work/session" "$source/tests/bench/session.c"
printf '#!%s queue\n' "$work/floor" >"$work/qmail-queue"; chmod 755 "$work/qmail-queue"
cat >"$work/conf" <<CONF
hostname = mx.example.org
domains = example.org
deliver = $work/floor nothing
log = none
spool_dir = $work
listen_idle = 0
max_connections_per_source = 0
max_message_size = 4G
CONF
mkdir "$work/debs"
unpack() { mkdir -p "$work/$2"; (cd "$work/debs" && apt-get download "$1" >/dev/null 2>&1 && dpkg -x "$1"_*.deb "$work/$2") || echo "# $1 is not to be had" >&2; }
for p in mailfront libbg2 libcvm1; do unpack $p mailfront; done
unpack msmtp-mta msmtp
set -- floor "$work/floor" deliver "$work/floor" :: "static build" "$work/static/smtpin" -f "$work/conf" \
    :: "listening, static build" "$work/static/smtpin" -f "$work/conf" :: "default build" "$work/default/smtpin" -f "$work/conf" \
    :: "listening, default build" "$work/default/smtpin" -f "$work/conf"
[ ! -x "$work/mailfront/usr/sbin/mailfront" ] || set -- "$@" :: "mailfront, qmail backend" LD_LIBRARY_PATH="$work/mailfront/usr/lib" \
    MODULE_PATH="$work/mailfront/usr/lib/mailfront" QMAILQUEUE="$work/qmail-queue" QMAILHOME="$work" TCPLOCALHOST=x "$work/mailfront/usr/sbin/mailfront" smtp qmail accept
[ ! -x "$work/msmtp/usr/bin/msmtpd" ] || set -- "$@" :: "msmtpd --inetd" "$work/msmtp/usr/bin/msmtpd" --inetd "--command=$work/floor read"
echo "## A session: EHLO, MAIL, RCPT, DATA with 2 KiB, QUIT, each command alone"
"$work/session" -r "$rounds" -n 50 "$@"
echo; echo "## The same with MAIL, RCPT and DATA in one write"
"$work/session" -p -r "$rounds" -n 50 floor "$work/floor" deliver "$work/floor" :: "static build" "$work/static/smtpin" -f "$work/conf" \
    :: "listening, static build" "$work/static/smtpin" -f "$work/conf" :: "default build" "$work/default/smtpin" -f "$work/conf"
python3 "$source/tests/bench/data.py" "$work" "${PICTURES-}"
