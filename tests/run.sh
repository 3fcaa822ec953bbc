#!/bin/sh
# Installs what the tests need (as root, on Debian), builds smtpin in a directory of its own, and
# runs every test. The last line counts them. Also runs as an ordinary user, and then says what it
# had to skip.
# run.sh quick: the default build, its unit tests, transcripts, and the tests with programs that take
# seconds: for each change, in two minutes.
set -u
quick=${1-}
source=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/smtpin-run.XXXXXX") || exit 1
chmod 755 "$work"
tap=$work/tap
trap 'rm -rf "$work"' EXIT
trap 'exit 143' TERM INT HUP
: >"$tap"

packages="gcc libc6-dev pkg-config meson ninja-build libcriterion-dev libsystemd-dev clang clang-tidy clang-format
 libclang-rt-14-dev musl-tools libseccomp-dev cppcheck afl++ frama-c-base systemd procps swaks curl msmtp dovecot-core
 dovecot-lmtpd dovecot-imapd mutt maildrop procmail mblaze fdm redis-server redis-tools haproxy python3 strace mandoc util-linux
 socat s6 iproute2 valgrind libevent-2.1-7 libtirpc3 libwrap0 libbsd0 jq libidn2-0"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    missing=
    for p in $packages; do
        dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
    done
    if [ -n "$missing" ]; then
        echo "# installing:$missing"
        apt-get -o DPkg::Lock::Timeout=300 update >"$work/apt" 2>&1
        # shellcheck disable=SC2086
        DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $missing >>"$work/apt" 2>&1 ||
            { tail -20 "$work/apt"; echo "# could not install:$missing"; }
    fi
fi

# Programs of packages that would take the place of the machine's own mail server, or start a service:
# unpacked beside it. unpack PACKAGE [PLACE]: PLACE is another one's, whose library it is.
unpack() {
    place=$work/peers/${2-$1}
    mkdir -p "$place" "$work/debs" && (cd "$work/debs" && apt-get download "$1" >/dev/null 2>&1 && dpkg -x "$1"_*.deb "$place")
}
if [ "$quick" != quick ] && command -v apt-get >/dev/null && command -v dpkg >/dev/null; then
    for p in exim4-daemon-light nullmailer mailfront openbsd-inetd inetutils-inetd xinetd ucspi-tcp ipsvd ucspi-unix fail2ban; do unpack $p; done
    for p in libbg2 libcvm1; do unpack $p mailfront; done
    unpack python3-systemd fail2ban
    SMTPIN_PEERS=$work/peers; export SMTPIN_PEERS
fi
if ! command -v smtp-source >/dev/null && command -v dpkg >/dev/null && unpack postfix; then
    SMTP_SOURCE=$work/peers/postfix/usr/sbin/smtp-source SMTP_SOURCE_LIBRARIES=$work/peers/postfix/usr/lib/postfix
    export SMTP_SOURCE SMTP_SOURCE_LIBRARIES
fi

# What tests/programs/real_messages.py fetches, once.
SMTPIN_COLLECTIONS=$work/collections; export SMTPIN_COLLECTIONS

# result NAME STATUS [FILE]: a test that is a command.
result() {
    if [ "$2" = 0 ]; then echo "ok - $1"; else echo "not ok - $1"; [ -z "${3-}" ] || sed 's/^/# /' "$3" | tail -40; fi | tee -a "$tap"
}
# tests NAME COMMAND...: a command that prints TAP.
tests() {
    name=$1; shift
    "$@" >"$work/out" 2>"$work/err"; status=$?
    sed "s|^\(ok\|not ok\)\( [0-9]*\)\{0,1\} -* *|\1 - $name: |" "$work/out" >"$work/named"
    cat "$work/named" >>"$tap"
    grep -B12 '^not ok' "$work/named" | grep '^#\|^not ok'
    [ "$status" = 0 ] || grep -q '^not ok' "$work/named" || result "$name (exit status $status)" 1 "$work/err"
    echo "# $name: $(grep -c '^ok' "$work/named") ok, $(grep -c '^not ok' "$work/named") not ok"
}

# build NAME [MESON ARGUMENTS]: into $work/NAME; $CC chooses the compiler.
build() {
    name=$1; shift
    { meson setup "$work/$name" "$source" "$@" && ninja -C "$work/$name"; } >"$work/$name.log" 2>&1
    result "build $name" $? "$work/$name.log"
    grep -q 'dependency criterion found: NO' "$work/$name.log" && echo "ok - unit tests $name # SKIP no criterion" | tee -a "$tap"
}

suite() { # NAME: unit tests, transcripts and programs against one build
    SMTPIN_BUILD=$work/$1 SMTPIN_SOURCE=$source
    export SMTPIN_BUILD SMTPIN_SOURCE
    for unit in "$SMTPIN_BUILD"/unit-*; do
        [ -x "$unit" ] && [ ! -d "$unit" ] && tests "$1 $(basename "$unit")" "$unit" --tap=-
    done
    replay="$SMTPIN_BUILD/smtpin-replay --tap --smtpin $SMTPIN_BUILD/smtpin -f $source/tests/transcripts/common.conf"
    cd "$source/tests/transcripts" || exit 1
    tests "$1 transcripts" $replay ./*.smtp
    tests "$1 transcripts, byte by byte" $replay --chunk 1 ./*.smtp
    tests "$1 transcripts, all at once" $replay --whole ./*.smtp
    tests "$1 transcripts, the core alone" $replay --in-process ./*.smtp
    tests "$1 transcripts, the core alone, byte by byte" $replay --in-process --chunk 1 ./*.smtp
    tests "$1 transcripts with time" $replay program/*.smtp
    tests "$1 transcripts, without the sandbox" $replay -o sandbox=no ./*.smtp
    cd "$source" || exit 1
    for t in "$source"/tests/programs/*.py; do
        # The companion programs are the same whoever builds them: their long tests run once.
        case $1:$t in *:*/harness.py | sanitized:*/real_messages.py | static:*/real_messages.py | sanitized:*/adding.py | static:*/adding.py) continue ;; esac
        case $quick:$(basename "$t" .py) in quick:faults | quick:[ls]* | quick:maildir_faults | quick:abuse | quick:sandbox | quick:real_messages | quick:adding | quick:blocks) continue ;; esac
        tests "$1 $(basename "$t" .py)" python3 "$t"
    done
}

PYTHONDONTWRITEBYTECODE=1; export PYTHONDONTWRITEBYTECODE
count() {
    passed=$(grep -c '^ok' "$tap"); failed=$(grep -c '^not ok' "$tap"); skipped=$(grep -c '^ok.*# SKIP' "$tap")
    grep '# SKIP' "$tap"
    echo "$((passed - skipped)) passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ]
}

build gcc
suite gcc
if [ "$quick" = quick ]; then count; exit; fi
CC=clang build sanitized -Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=debug
SMTPIN_SANITIZED=1 ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1
export SMTPIN_SANITIZED ASAN_OPTIONS UBSAN_OPTIONS
suite sanitized
unset SMTPIN_SANITIZED ASAN_OPTIONS UBSAN_OPTIONS
if command -v musl-gcc >/dev/null; then
    CC=musl-gcc build static -Dprefer_static=true -Db_pie=false
    ! ldd "$work/static/smtpin" >"$work/ldd" 2>&1; result "the static build has no library" $? "$work/ldd"
    SMTPIN_STATIC=1; export SMTPIN_STATIC
    suite static
    unset SMTPIN_STATIC
else echo "ok - static build # SKIP no musl-gcc" | tee -a "$tap"; fi
tests static sh "$source/tests/static.sh" "$source" "$work/gcc"
tests eva sh "$source/tests/eva/run.sh"
tests fuzz sh "$source/tests/fuzz/run.sh" "${SMTPIN_FUZZ-10}" "$work/fuzz"
tests install sh "$source/tests/install.sh" "$source" "$work"
if BIND="$source $work" "$source/tests/systemd/box" true 2>"$work/box"; then
    BIND="$source $work"; export BIND
    tests "a real systemd" "$source/tests/systemd/box" sh "$source/tests/systemd/inside.sh" "$work/install/build" "$source"
    for t in units listening journal; do
        tests "a real systemd, $t" "$source/tests/systemd/box" python3 -B "$source/tests/systemd/$t.py" "$work/install/build" "$source" "$work/peers"
    done
else echo "ok - a real systemd # SKIP $(head -n 1 "$work/box")" | tee -a "$tap"; fi

count
