#!/bin/sh
# run.sh [quick]: installs what the tests need (as root, on Debian), builds smtpin in a directory of its own, and runs
# every test. Suites wait for half of their time, so there is one more at once than there are processors (or SMTPIN_JOBS).
# What a suite says is printed when it ends. At the end stand what has failed, each with its cause, what was skipped, and as
# the last line the numbers. Also runs as an ordinary user, and then says what it had to skip.
# quick: the default build, its unit tests, transcripts, and the tests with programs that take seconds: for each change.
set -u

# Which of tests/programs/*.py runs against which build, whether the quick run has it, and why not against the others. A
# test that is not listed runs against the first three, and in the quick run.
#   gcc        the default build, smtpin itself with musl: every test.
#   sanitized  AddressSanitizer and UndefinedBehaviorSanitizer: where C code reads what others have made: clients, next
#              servers, workers of an attacker's, mailboxes, the environment, settings. Each program has its hostile input here.
#   static     musl, no library: what depends on the C library: start-up and what a super-server leaves behind, how commands
#              are started, names of users and domains, directories, time, and the system calls that the sandbox must allow.
#   shared     the default build without musl-gcc, smtpin itself with glibc: what it does with libraries, its cost, and the
#              system calls that the sandbox must allow.
table() {
    cat <<'END'
abuse            | gcc sanitized        |       | floods: the buffers are our own, not the C library's
adding           | gcc                  |       | builds a copy of the tree, in a way of its own
ahead            | gcc sanitized        |       | what is read, and where to: our own code alone
auth             | gcc sanitized        |       | servers that stand still; the memory of processes, which a sanitizer's own fills
auth_backends    | gcc sanitized        | quick | servers and commands of the test's own, which fail in every way; real ones
auth_check       | gcc sanitized        | quick | servers and commands of the test's own
auth_clients     | gcc           static | quick | clients that behave
bdat             | gcc sanitized        |       | what clients send: our own code alone; a gigabyte of it
blocks           | gcc                  |       | each block of the documents; a real systemd for some
clients          | gcc           static | quick | clients that behave
commands         | gcc sanitized        | quick | how a command is started: delivery, superservers
confine          | gcc sanitized static | quick |
cost             | gcc           static shared | quick | a sanitizer's own calls would be counted
disconnect       | gcc sanitized        | quick | where a session's octets end: our own code alone
documents        | gcc                  | quick | lines of the documents; the programs in them: delivery, lmtp, maildir_replies
faq              | gcc                  | quick | a page of the documents, with a session for each reply
faults           | gcc                  |       | a sanitizer's own calls would fail; the static build handles a failure by the same code
listening        | gcc sanitized static |       |
lmtp             | gcc sanitized static |       |
lmtp_parameters  | gcc                  |       | real servers on both sides
maildir_faults   | gcc sanitized static |       |
maildir_replies  | gcc sanitized        | quick | what is said for several recipients: our own code alone
manager          |     sanitized        shared | quick | smtpin with musl loads no library
idn              | gcc sanitized static shared | quick |
manners          | gcc sanitized        | quick | pauses, and what a client says too early: our own code alone
milter           | gcc sanitized        | quick | filters of the test's own, which fail in every way: our own code alone
milter_filters   | gcc                  |       | real filters, which take seconds to start
penalties        | gcc sanitized        |       | who is turned away where smtpin listens: our own code alone
pictures         | gcc                  | quick | the documents
policy           | gcc sanitized static | quick | servers of the test's own, which fail in every way
policy_servers   | gcc           static shared |      | real servers
process          | gcc sanitized static shared | quick |
proxy            | gcc sanitized static | quick | hostile headers, real proxies
records          | gcc sanitized static shared | quick |
real_messages    | gcc                  |       | mail of every day, much of it
replay           | gcc sanitized        | quick | each build's smtpin-replay plays all transcripts
report           | gcc sanitized static |       |
report_more      | gcc sanitized        |       | the static build reads logs by the same code
replay_auth      | gcc sanitized        | quick | clients that behave, lines parted everywhere, a real Dovecot: our own code alone
replay_tls       | gcc sanitized        | quick | the static build has no smtpin-tls; it plays the transcripts with the default build's
sameness         | gcc sanitized static |       |
sandbox          | gcc sanitized static shared |       |
scale            | gcc                  |       | HAProxy, clients that behave
standards        | gcc                  | quick | the documents and the sources
static_pie       | gcc                  |       | a build of its own
stopping         | gcc sanitized        |       | signals and waits; listening has them for the static build
submission       | gcc sanitized        | quick | fields are added and removed: our own code alone
superservers     | gcc           static |       | real super-servers, clients that behave
submission_documents | gcc              | quick | the documents
tables           | gcc sanitized        | quick | files that others have made: our own code reads them
tls              | gcc sanitized        | quick | what clients send, in every way
tls_check        | gcc sanitized        | quick | the static build has no smtpin-tls
tls_clients      | gcc           static | quick | clients that behave
tls_documents    | gcc                  | quick | the documents
tls_faults       | gcc sanitized        |       | a sanitizer's own calls would be meant by its second half
tls_helper       | gcc sanitized        | quick | the static build has no smtpin-tls
tls_hostile      | gcc sanitized        |       | what a program says that smtpin starts: our own code alone
tls_mtas         | gcc                  |       | mail servers that behave; testssl.sh, which takes minutes
END
}
has() { # BUILD TEST: does it run?
    [ "$2" != harness ] && table | awk -F' *[|] *' -v b="$1" -v t="$2" -v quick=$quick '
        $1 == t {listed = 1}
        $1 == t && (!index(" " $2 " ", " " b " ") || quick == "yes" && $3 != "quick") {no = 1} END {exit no || b == "shared" && !listed}'
}
# What a suite needs and does not look for by itself: programs that have their package's name.
lacks() { # NAME SUITE: true where something is missing, which is said
    case $2 in
    documents | inside) set -- "$1" curl ;;
    units) set -- "$1" curl maildrop ;;
    tls) set -- "$1" openssl ;;
    *) return 1 ;;
    esac
    n=$1; shift
    for p; do command -v "$p" >/dev/null || { echo "ok - $n # SKIP no $p (Debian: $p)" >>"$here/tap"; return 0; }; done
    return 1
}

case ${1-} in
'') quick=no ;;
quick) quick=yes ;;
*) echo "usage: run.sh [quick]" >&2; exit 64 ;;
esac
source=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/smtpin-run.XXXXXX") || exit 1
chmod 755 "$work"
tap=$work/tap; : >"$tap"
number=0 running=0 began=$(date +%s)
PATH=$PATH:/usr/sbin:/sbin
PYTHONDONTWRITEBYTECODE=1; export PATH PYTHONDONTWRITEBYTECODE

# ---- The end, whenever it comes: no process and no file is left.
# family: the processes of this run, but for this shell: its descendants, and whoever is in a session of a suite.
family() {
    ps -e -o pid= -o ppid= -o sess= -o stat= -o comm= >"$work/processes"
    cat "$work"/*/session "$work/sessions" 2>/dev/null | awk -v me=$$ -v sessions="$work/sessions" '
        NR == FNR {known[$1]; next}
        $4 ~ /^Z/ || ($2 == me && $5 == "ps") {next}
        {parent[$1] = $2; session[$1] = $3}
        END {for (p in parent) {
            if (p == me) continue
            for (a = p; a in parent && a != me && !(session[a] in known); a = parent[a]);
            if (a != me && !(a in parent)) continue
            print p
            if (session[p] != session[me] && !(session[p] in known)) print session[p] >>sessions
        }}' - "$work/processes"
}
stop() {
    : >"$work/told"; : >"$work/sessions"
    tries=0
    while [ $tries -lt 150 ]; do
        family >"$work/family"
        [ -s "$work/family" ] || break
        # Each is asked once: what it does then may take its time. Who is there after ten seconds is killed.
        if [ $tries -lt 100 ]; then
            for p in $(grep -vxF -f "$work/told" "$work/family"); do echo "$p" >>"$work/told"; kill "$p" 2>/dev/null; done
        else for p in $(cat "$work/family"); do kill -9 "$p" 2>/dev/null; done; fi
        sleep 0.1
        tries=$((tries + 1))
    done
}
trap 'trap "" TERM INT HUP; [ $running = 0 ] || stop; rm -rf "$work"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
trap 'exit 129' HUP

# ---- What is needed.
packages="gcc libc6-dev pkg-config meson ninja-build libcriterion-dev libsystemd-dev libssl-dev clang clang-tidy clang-format
 libclang-rt-14-dev musl-tools libseccomp-dev cppcheck afl++ frama-c-base systemd procps swaks curl msmtp dovecot-core
 dovecot-lmtpd dovecot-imapd mutt maildrop procmail mblaze fdm redis-server redis-tools haproxy python3 strace mandoc util-linux
 s-nail gsasl postgrey postfwd postfix-policyd-spf-python systemd-journal-remote chromium python3-prometheus-client tinycdb libcdb-dev openssl checkpw cvm
 testssl.sh gnutls-bin nodejs libtls-dev libmbedtls-dev libwolfssl-dev
 rspamd opendkim dbconfig-no-thanks opendmarc spamd spamc spamass-milter bogofilter python3-dkim
 socat s6 iproute2 valgrind libevent-2.1-7 libtirpc3 libwrap0 libbsd0 jq libidn2-0"
not_installed() {
    for p in $packages; do
        dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || printf '%s ' "$p"
    done
}
why() { grep '^[EW]: ' "$1" | tail -n 1; } # apt's own words
if command -v dpkg-query >/dev/null; then
    missing=$(not_installed)
    if [ -n "$missing" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "# installing: $missing"
        DEBIAN_FRONTEND=noninteractive; export DEBIAN_FRONTEND
        apt-get -o DPkg::Lock::Timeout=300 update >"$work/apt" 2>&1 || echo "# could not update the lists of packages: $(why "$work/apt")"
        # All together; where that fails, each by itself, so that one which can't be had is no reason to go without the others.
        # shellcheck disable=SC2086
        apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $missing >"$work/apt" 2>&1 ||
            for p in $missing; do
                apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$p" >"$work/apt" 2>&1 ||
                    echo "# could not install $p: $(why "$work/apt")"
            done
    elif [ -n "$missing" ]; then echo "# not installed (as root, this script installs them): $missing"; fi
fi
for p in cc:gcc meson:meson ninja:ninja-build python3:python3 ps:procps; do
    command -v "${p%:*}" >/dev/null || { echo "not ok - there is no ${p%:*} (Debian: ${p#*:}), and nothing runs without it"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
done

# ---- A suite.
environment() { # BUILD: for its tests
    SMTPIN_BUILD=$work/$1 SMTPIN_SOURCE=$source
    export SMTPIN_BUILD SMTPIN_SOURCE
    case $1 in
    sanitized) SMTPIN_SANITIZED=1 ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1; export SMTPIN_SANITIZED ASAN_OPTIONS UBSAN_OPTIONS ;;
    static) SMTPIN_STATIC=1 SMTPIN_TLS=$work/gcc/smtpin-tls; export SMTPIN_STATIC SMTPIN_TLS ;; # it has none of its own
    esac
}
# run COMMAND...: in a session of its own, by which it is found, and with every signal as it should be (a shell's
# background ignores some). What is still there a moment after it is named in $here/left, and ended.
patience=$((1200 + 10 * ${SMTPIN_FUZZ-10})) # seconds
run() {
    setsid sh -c 'echo $$ >"$0/session"; exec "$@"' "$here" timeout -k 10 $patience env --default-signal "$@" 3>&-
    status=$?
    tries=0
    while ps -o pid=,stat=,args= -s "$(cat "$here/session")" >"$here/processes" && awk '$2 !~ /^Z/' "$here/processes" >"$here/left" && [ -s "$here/left" ]; do
        [ $tries -lt 50 ] || { awk '{print $1}' "$here/left" | xargs kill -9 2>/dev/null; break; }
        sleep 0.1
        tries=$((tries + 1))
    done
    rm -f "$here/session"
    return $status
}
# failed NAME FILE: a failure, the end of the file is its cause.
failed() { sed 's/^/# /' "$2" | tail -n 40; echo "not ok - $1"; }
# tests NAME COMMAND...: a suite is a command that prints TAP.
tests() {
    name=$1 since=$(date +%s); shift
    mkdir -m 1777 "$here/t"
    : >"$here/left"
    TMPDIR=$here/t run "$@" >"$here/out" 2>"$here/err"; status=$?
    {
        sed -E "s%^(ok|not ok)( [0-9]+)? *-? *%\\1 - $name: %" "$here/out"
        if [ $status = 124 ] || [ $status = 137 ]; then failed "$name: it has not ended after $patience s" "$here/err"
        elif [ $status != 0 ]; then grep -q '^not ok' "$here/out" && grep -q '^1\.\.' "$here/out" || failed "$name: exit status $status" "$here/err"; fi
        [ ! -s "$here/left" ] || failed "$name: processes are left" "$here/left"
        (cd "$here/t" && find . ! -name .) >"$here/files"
        [ ! -s "$here/files" ] || failed "$name: files are left" "$here/files"
    } >"$here/named"
    rm -rf "$here/t"
    cat "$here/named" >>"$here/tap"
    show "$name" $(($(date +%s) - since))
}
show() { # NAME SECONDS: what has failed, with the lines before it that tell why; what could not be had; numbers
    awk '/^# could not/ {print; next} /^#/ {said = said $0 "\n"; next} /^not ok/ {printf "%s%s\n", said, $0} {said = ""}' "$here/named"
    echo "# $1: $(grep -c '^ok' "$here/named") ok, $(grep -c '^not ok' "$here/named") not ok, $2 s"
}
# one NAME STATUS FILE: a test that is a command.
one() {
    if [ "$2" = 0 ]; then echo "ok - $1"; else failed "$1" "$3"; fi >>"$here/named"
}

# ---- The suites' kinds, each a job: a word, and its arguments.
build() { # BUILD [MESON ARGUMENTS]; $CC chooses the compiler
    since=$(date +%s) name=$1; shift
    run sh -c 'build=$1; shift; meson setup "$build" "$@" && ninja -C "$build"' sh "$work/$name" "$source" "$@" >"$here/out" 2>&1
    status=$?
    one "build $name" $status "$here/out"
    grep -q 'dependency criterion found: NO' "$here/out" && [ "$name" != static ] && echo "ok - unit tests $name # SKIP no criterion (Debian: libcriterion-dev pkg-config)" >>"$here/named"
    if [ "$name" = static ] && [ $status = 0 ]; then ! ldd "$work/static/smtpin" >"$here/out" 2>&1; one "the static build has no library" $? "$here/out"; fi
    cp "$here/named" "$here/tap"
    [ $status != 0 ] || : >"$work/ready-$name"
    show "build $name" $(($(date +%s) - since))
}
build_gcc() {
    build gcc
    [ -e "$work/gcc/smtpin-shared" ] || { echo "ok - smtpin with musl # SKIP no musl-gcc (Debian: musl-tools)" >>"$here/tap"; return; }
    mkdir "$work/shared" && ln -s "$work"/gcc/* "$work/shared/" || return
    for p in smtpin smtpin-lmtp smtpin-maildir; do ln -sf "$work/gcc/$p-shared" "$work/shared/$p" || return; done
    : >"$work/ready-shared"
}
build_sanitized() { CC=clang build sanitized -Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=debug; }
build_static() { CC=musl-gcc build static -Dprefer_static=true -Db_pie=false; }
units() { # BUILD
    environment "$1"
    for unit in "$SMTPIN_BUILD"/unit-*; do
        [ -x "$unit" ] && [ ! -d "$unit" ] && tests "$1 $(basename "$unit")" "$unit" --tap=-
    done
}
transcripts() { # BUILD
    environment "$1"
    replay="$SMTPIN_BUILD/smtpin-replay --tap --smtpin $SMTPIN_BUILD/smtpin -f $source/tests/transcripts/common.conf"
    [ "$1" != static ] || replay="$replay -o tls_command=$work/gcc/smtpin-tls" # it has none of its own
    cd "$source/tests/transcripts" || exit 1
    # shellcheck disable=SC2086
    {
        tests "$1 transcripts" $replay ./*.smtp
        tests "$1 transcripts, byte by byte" $replay --chunk 1 ./*.smtp
        tests "$1 transcripts, all at once" $replay --whole ./*.smtp
        tests "$1 transcripts, the core alone" $replay --in-process ./*.smtp
        tests "$1 transcripts, the core alone, byte by byte" $replay --in-process --chunk 1 ./*.smtp
        tests "$1 transcripts with time" $replay program/*.smtp
        tests "$1 transcripts, without the sandbox" $replay -o sandbox=no ./*.smtp
    }
}
program() { # BUILD TEST
    environment "$1"
    cd "$source" || exit 1
    lacks "$1 $2" "$2" || tests "$1 $2" python3 "$source/tests/programs/$2.py"
}
script() { # NAME ARGUMENTS...: of those in tests/
    script=$1
    case $script in
    static) tests static sh "$source/tests/static.sh" "$source" "$work/gcc" ;;
    eva) tests eva sh "$source/tests/eva/run.sh" ;;
    fuzz) tests fuzz sh "$source/tests/fuzz/run.sh" "${SMTPIN_FUZZ-8}" "$work/fuzz" ;;
    install) tests install sh "$source/tests/install.sh" "$source" "$work"; : >"$work/ready-install" ;;
    esac
}
# A real systemd. One box after the other: each installs from the same directory. Where there can be no box, one line says so.
box() { # TEST
    BIND="$source $work"; export BIND
    if [ "$1" = inside ]; then
        if run "$source/tests/systemd/box" true >"$here/out" 2>&1; then : >"$work/a-box"; else echo "ok - a real systemd # SKIP $(head -n 1 "$here/out")" >>"$here/tap"; fi
    fi
    if [ -e "$work/a-box" ] && ! lacks "a real systemd, $1" "$1"; then
        case $1 in
        inside) tests "a real systemd" "$source/tests/systemd/box" sh "$source/tests/systemd/inside.sh" "$work/install/build" "$source" ;;
        *) tests "a real systemd, $1" "$source/tests/systemd/box" python3 -B "$source/tests/systemd/$1.py" "$work/install/build" "$source" "$work/peers" ;;
        esac
    fi
    : >"$work/ready-$1"
}
# Programs of packages that would take the place of the machine's own mail server, or start a service: unpacked beside it.
# Each in a place of its own, or in that of another one, whose library it is.
peers() {
    all= since=$(date +%s)
    [ $quick = yes ] || all="exim4-daemon-light nullmailer mailfront libbg2:mailfront libcvm1:mailfront openbsd-inetd inetutils-inetd xinetd
        prometheus prometheus-node-exporter:prometheus ucspi-tcp ipsvd ucspi-unix nginx libnginx-mod-mail:nginx fail2ban python3-systemd:fail2ban postfix postfix-cdb:postfix node-nodemailer"
    [ -z "${SMTP_SOURCE-}" ] || [ $quick = no ] || all="$all postfix"
    if command -v apt-get >/dev/null && command -v dpkg >/dev/null; then
        mkdir "$work/debs" && cd "$work/debs" || exit 1
        # shellcheck disable=SC2046
        run apt-get download $(for p in $all; do echo "${p%:*}"; done) >"$here/out" 2>&1
        for p in $all; do
            place=$work/peers/${p#*:} p=${p%:*}
            mkdir -p "$place"
            # All together; where that fails, each by itself.
            if ! ls "$p"_*.deb >/dev/null 2>&1 && ! run apt-get download "$p" >"$here/out" 2>&1; then echo "# could not download $p: $(why "$here/out")"
            elif ! dpkg -x "$p"_*.deb "$place" >"$here/out" 2>&1; then echo "# could not unpack $p: $(tail -n 1 "$here/out")"; fi
        done
    elif [ -n "$all" ]; then echo "# could not download:" $all "(no apt-get)"; fi
    : >"$work/ready-peers"
    echo "# downloads: $(($(date +%s) - since)) s"
}
[ $quick = yes ] || { SMTPIN_PEERS=$work/peers; export SMTPIN_PEERS; }
if ! command -v smtp-source >/dev/null; then
    SMTP_SOURCE=$work/peers/postfix/usr/sbin/smtp-source SMTP_SOURCE_LIBRARIES=$work/peers/postfix/usr/lib/postfix
    export SMTP_SOURCE SMTP_SOURCE_LIBRARIES
fi

# ---- The jobs, in the order in which they start. add NEEDS JOB...: words without blanks; NEEDS are what must be ready, with
# commas, or -.
add() { echo "$*" >>"$work/queue"; }
programs() { # BUILD [TEST...]: these alone, or all but those that have been added
    b=$1; shift
    [ $# -gt 0 ] || set -- $(cd "$source/tests/programs" && for t in *.py; do echo "${t%.py}"; done)
    for t; do
        has "$b" "$t" && ! grep -q " program $b $t\$" "$work/queue" || continue
        case $t in commands | lmtp_parameters | milter_filters | proxy | replay | report | submission_documents | superservers | tables | tls_documents) add "$b,peers" program "$b" "$t" ;; *) add "$b" program "$b" "$t" ;; esac
    done
}
: >"$work/queue"
# The long ones early: at the end all processors should have something to do. But not all of them at once: the others wait for
# half of their time.
add - build_gcc
add - peers
add gcc units gcc
add gcc transcripts gcc
if [ $quick = no ]; then
    if command -v clang >/dev/null; then add - build_sanitized; else echo "ok - sanitized build # SKIP no clang (Debian: clang)" | tee -a "$tap"; fi
    if command -v musl-gcc >/dev/null; then add - build_static; else echo "ok - static build # SKIP no musl-gcc (Debian: musl-tools)" | tee -a "$tap"; fi
    add - script install
    add gcc script static
    add install box inside
    add inside box units
    add units box tls
    add tls box listening
    add listening,peers box journal
fi
programs gcc faults replay documents commands
[ $quick = yes ] || add - script eva
programs gcc auth auth_backends auth_clients bdat blocks cost
[ $quick = yes ] || add - script fuzz
programs gcc
programs shared
if [ $quick = no ]; then
    for b in sanitized static; do
        grep -q " build_$b\$" "$work/queue" || continue
        add $b units $b
        case $b in static) add $b,gcc transcripts $b ;; *) add $b transcripts $b ;; esac
        programs $b
    done
fi

# ---- All of them. A job writes its number to this pipe when it ends.
most=${SMTPIN_JOBS-$(($(nproc) + 1))}
mkfifo "$work/ended" && exec 3<>"$work/ended" || exit 1
start() { # the first job that can start; false when there is none
    ready=" - $(cd "$work" && echo ready-*) "
    job=$(awk -v ready="$ready" -v rest="$work/rest" '{
        n = split($1, need, ","); good = !found
        for (i = 1; i <= n && good; i++) good = need[i] == "-" || index(ready, " ready-" need[i] " ")
        if (good) {found = 1; $1 = ""; print} else print >rest} BEGIN {printf "" >rest}' "$work/queue")
    mv "$work/rest" "$work/queue"
    [ -n "$job" ] || return 1
    number=$((number + 1)) running=$((running + 1))
    # shellcheck disable=SC2086
    {
        (here=$work/$number; mkdir "$here"; : >"$here/named"; : >"$here/tap"; $job) >"$work/$number.said" 2>&1
        echo $number >&3
    } &
}
echo "# $most suites at once"
while :; do
    while [ $running -lt "$most" ] && start; do :; done
    [ $running -gt 0 ] || break
    read -r ended <&3
    cat "$work/$ended.said"
    cat "$work/$ended/tap" >>"$tap"
    rm -rf "${work:?}/$ended" "$work/$ended.said"
    running=$((running - 1))
done
wait

# ---- The end of the log.
sed 's/^[^ ]* /# not run, for its build is not there: /' "$work/queue"
times >"$work/times"
echo "# $number jobs in $(($(date +%s) - began)) s, $most at once; processor time (user, system): $(tail -n 1 "$work/times")"
awk '/^#/ {note[n++] = $0; next}
    /^not ok/ {sub(/^not ok - /, ""); print "# failed: " $0; for (i = n > 10 ? n - 10 : 0; i < n; i++) print "#     " substr(note[i], 3, 500)}
    {n = 0}' "$tap"
sed -n 's/^ok - \(.*\) # SKIP \(.*\)/# skipped: \1: \2/p' "$tap"
passed=$(grep -c '^ok' "$tap"); failed=$(grep -c '^not ok' "$tap"); skipped=$(grep -c '^ok.*# SKIP' "$tap")
echo "$((passed - skipped)) passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
