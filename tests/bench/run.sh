#!/bin/sh
# run.sh [ROUNDS]: what a session and a message cost, as ratios to floors and beside peers. Builds three
# ways (shared: as without musl-gcc), takes the peers from Debian's packages, unpacked beside the system. Prints tables in Markdown,
# and writes three pictures into the directory $PICTURES, if it is set. $OLD: another source tree of smtpin, which takes its
# turns in the first table. Units: units.sh.
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
rounds=${1-21}
work=$(mktemp -d "${TMPDIR:-/tmp}/smtpin-bench.XXXXXX"); chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
build() { name=$1; shift; { meson setup "$work/$name" "${tree:-$source}" "$@" && ninja -C "$work/$name" smtpin; } >"$work/log" 2>&1 || { tail "$work/log"; exit 1; }; }
build default
build shared -Dauto_features=disabled
CC=musl-gcc build static -Dprefer_static=true -Db_pie=false
if [ "${OLD-}" ]; then
    tree=$OLD
    build old-default
    CC=musl-gcc build old-static -Dprefer_static=true -Db_pie=false
fi
gcc -O2 -static -nostdlib -ffreestanding -fno-stack-protector -fcf-protection=none -fno-pie -no-pie -Wl,--build-id=none -o "$work/floor" "$source/tests/bench/floor.c"
gcc -O2 -o "$work/session" "$source/tests/bench/session.c" "$source/tests/bench/usage.c" "$source/tests/bench/secure.c" -lssl -lcrypto
printf '#!%s queue\n' "$work/floor" >"$work/qmail-queue"; chmod 755 "$work/qmail-queue"
cat >"$work/conf" <<CONF
hostname = mx.example.org
domains = example.org
deliver = $work/floor nothing
log = none
sandbox = no
spool_dir = $work
listen_idle = 0
max_connections_per_source = 0
max_message_size = 4G
CONF
# Peers whose programs want users of their own run in a mount namespace with another /etc/passwd.
sed 's/^sandbox = no$/sandbox = yes/' "$work/conf" >"$work/conf.sandbox"
mkdir "$work/debs"
unpack() { mkdir -p "$work/$2"; (cd "$work/debs" && apt-get download "$1" >/dev/null 2>&1 && dpkg -x "$1"_*.deb "$work/$2") || echo "# $1 is not to be had" >&2; }
for p in mailfront libbg2 libcvm1; do unpack $p mailfront; done
unpack msmtp-mta msmtp; unpack nullmailer nullmailer; unpack ucspi-tcp ucspi-tcp
printf '#!%s read\n' "$work/floor" >"$work/reader"; chmod 755 "$work/reader"
set -- floor "$work/floor" deliver "$work/floor" :: "exit at once" "$work/floor" exit :: "plays, delivers nothing" "$work/floor" play \
    :: "smtpin as it comes: default build, sandbox" "$work/default/smtpin" -f "$work/conf.sandbox" :: "smtpin, default build" "$work/default/smtpin" -f "$work/conf" \
    :: "smtpin, static build, sandbox" "$work/static/smtpin" -f "$work/conf.sandbox" :: "smtpin, static build" "$work/static/smtpin" -f "$work/conf" \
    :: "smtpin, default build, log on stderr" "$work/default/smtpin" -f "$work/conf" -o log=stderr \
    :: "smtpin, without musl-gcc, sandbox" "$work/shared/smtpin" -f "$work/conf.sandbox" :: "smtpin, without musl-gcc" "$work/shared/smtpin" -f "$work/conf"
[ -z "${OLD-}" ] || for b in default static; do
    set -- "$@" :: "before: $b build, sandbox" "$work/old-$b/smtpin" -f "$work/conf.sandbox" :: "before: $b build" "$work/old-$b/smtpin" -f "$work/conf"
done
[ ! -x "$work/mailfront/usr/sbin/mailfront" ] || set -- "$@" :: "mailfront, qmail backend" LD_LIBRARY_PATH="$work/mailfront/usr/lib" \
    MODULE_PATH="$work/mailfront/usr/lib/mailfront" QMAILQUEUE="$work/qmail-queue" QMAILHOME="$work" TCPLOCALHOST=x "$work/mailfront/usr/sbin/mailfront" smtp qmail accept
[ ! -x "$work/nullmailer/usr/bin/nullmailer-smtpd" ] || set -- "$@" :: nullmailer-smtpd NULLMAILER_QUEUE="$work/reader" "$work/nullmailer/usr/bin/nullmailer-smtpd"
[ ! -x "$work/msmtp/usr/bin/msmtpd" ] || set -- "$@" :: "msmtpd --inetd" "$work/msmtp/usr/bin/msmtpd" --inetd "--command=$work/floor read"
within=
if [ "$(id -u)" = 0 ]; then
    unpack exim4-daemon-light exim; unpack postfix postfix
    mkdir -p "$work/eximspool" "$work/eximlog" "$work/queue/maildrop" "$work/queue/pid" "$work/queue/public" "$work/data"
    chmod 1777 "$work/eximspool" "$work/eximlog" "$work/queue/maildrop"
    { cat /etc/passwd; echo "Debian-exim:x:61001:61001::/nonexistent:/bin/false"; echo "postfix:x:61002:61002::/nonexistent:/bin/false"; } >"$work/passwd"
    { cat /etc/group; echo "Debian-exim:x:61001:"; echo "postfix:x:61002:"; echo "postdrop:x:61003:"; } >"$work/group"
    chown 61002 "$work/data"
    cat >"$work/exim.conf" <<CONF
primary_hostname = mx.example.org
spool_directory = $work/eximspool
log_file_path = $work/eximlog/%slog
exim_user = Debian-exim
exim_group = Debian-exim
keep_environment =
queue_only = true
acl_smtp_rcpt = take
acl_smtp_data = take
begin acl
take:
  accept
CONF
    mkdir "$work/postfix-etc"; : >"$work/postfix-etc/master.cf"
    cat >"$work/postfix-etc/main.cf" <<CONF
queue_directory = $work/queue
data_directory = $work/data
daemon_directory = $work/postfix/usr/lib/postfix/sbin
command_directory = $work/postfix/usr/sbin
shlib_directory = $work/postfix/usr/lib/postfix
import_environment = LD_LIBRARY_PATH MAIL_CONFIG
export_environment = LD_LIBRARY_PATH MAIL_CONFIG
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.example.org
mydestination = example.org
inet_interfaces = loopback-only
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
local_recipient_maps =
alias_maps =
compatibility_level = 3.6
CONF
    [ ! -x "$work/exim/usr/sbin/exim4" ] || set -- "$@" :: "exim -bs, into its queue" "$work/exim/usr/sbin/exim4" -C "$work/exim.conf" -bs
    [ ! -x "$work/postfix/usr/lib/postfix/sbin/smtpd" ] || set -- "$@" :: "Postfix smtpd -S, into its queue" LD_LIBRARY_PATH="$work/postfix/usr/lib/postfix" \
        MAIL_CONFIG="$work/postfix-etc" "$work/postfix/usr/lib/postfix/sbin/smtpd" -S
    within="unshare -m --propagation private sh $work/within"
    cat >"$work/within" <<CONF
mount --bind "$work/passwd" /etc/passwd && mount --bind "$work/group" /etc/group && exec "\$@"
CONF
fi
echo "## A session: EHLO, MAIL, RCPT, DATA with 2 KiB, QUIT, each command alone"
# shellcheck disable=SC2086
$within "$work/session" -r "$rounds" -n 20 "$@" 2>/dev/null | tee "$work/sessions"
[ -z "${PICTURES-}" ] || python3 -B "$source/tests/bench/chart.py" "$PICTURES/performance-session.svg" <"$work/sessions"
echo; echo "## The same, counted"
# shellcheck disable=SC2086
$within python3 "$source/tests/bench/counts.py" "$@"
echo; echo "## Recipients: the same session with one, two and 1,000 of them, RCPT in one write; the digest is SMTPIN_DIGEST"
set --
for n in 1 2 1000; do
    set -- "$@" "floor, $n" RECIPIENTS=$n "$work/floor" deliver "$work/floor" ::
    for b in static default; do
        for c in conf conf.sandbox; do
            [ $c = conf ] && name="$b build" || name="$b build, sandbox"
            set -- "$@" "$name, $n" RECIPIENTS=$n "$work/$b/smtpin" -f "$work/$c" ::
            [ $n = 1 ] || set -- "$@" "$name, $n, digest" RECIPIENTS=$n "$work/$b/smtpin" -f "$work/$c" -o digest=always ::
        done
    done
done
"$work/session" -r "$rounds" -n 10 "$@"
proxies="-o trusted_proxies=127.0.0.1 -o proxy_protocol"
for b in static default; do
    for c in conf conf.sandbox; do
        [ $c = conf ] && name="$b build" || name="$b build, sandbox"
        echo; echo "## Behind a proxy, over TCP, with a PROXY header of version 2: $name"
        # shellcheck disable=SC2086
        "$work/session" -t -r "$rounds" -n 50 "no header" "$work/$b/smtpin" -f "$work/$c" $proxies=no :: "version 2" PROXY=2 "$work/$b/smtpin" -f "$work/$c" $proxies=required :: \
            "no header" "$work/$b/smtpin" -f "$work/$c" $proxies=no :: "version 2" PROXY=2 "$work/$b/smtpin" -f "$work/$c" $proxies=required
    done
done
for b in static default; do
    for c in conf conf.sandbox; do
        [ $c = conf ] && name="$b build" || name="$b build, sandbox"
        echo; echo "## The same with 64 MiB, $name"
        # Each before and after the other: who comes first gets other memory for the file.
        set -- "1" KIB=65536 "$work/$b/smtpin" -f "$work/$c" :: "2" KIB=65536 RECIPIENTS=2 "$work/$b/smtpin" -f "$work/$c" :: \
            "2, digest" KIB=65536 RECIPIENTS=2 "$work/$b/smtpin" -f "$work/$c" -o digest=always :: \
            "2" KIB=65536 RECIPIENTS=2 "$work/$b/smtpin" -f "$work/$c" :: "1" KIB=65536 "$work/$b/smtpin" -f "$work/$c"
        "$work/session" -r "$rounds" -n 1 "$@"
    done
done
set -- floor "$work/floor" deliver "$work/floor" :: "static build" "$work/static/smtpin" -f "$work/conf" :: "listening, static build" "$work/static/smtpin" -f "$work/conf" \
    :: "listening, static build, sandbox" "$work/static/smtpin" -f "$work/conf.sandbox" :: "default build" "$work/default/smtpin" -f "$work/conf" \
    :: "default build, sandbox" "$work/default/smtpin" -f "$work/conf.sandbox" \
    :: "listening, default build" "$work/default/smtpin" -f "$work/conf" :: "listening, default build, sandbox" "$work/default/smtpin" -f "$work/conf.sandbox" \
    :: "listening, without musl-gcc, sandbox" "$work/shared/smtpin" -f "$work/conf.sandbox"
echo; echo "## The same over TCP"
"$work/session" -t -r "$rounds" -n 50 "$@"
echo; echo "## Over TCP, with MAIL, RCPT and DATA in one write"
"$work/session" -t -p -r "$rounds" -n 50 "$@"
python3 -B "$source/tests/bench/data.py" "$work" "${PICTURES-}"
