#!/bin/sh
# run.sh [SECONDS [WORK]]: each fuzzer for so long (60), with what the transcripts say as seeds, as TAP.
# WORK is kept: what was found lies there, and the corpus. With afl-fuzz, the session again by AFL++.
set -u
seconds=${1-60}
source=$(cd "$(dirname "$0")/../.." && pwd)
if [ -n "${2-}" ]; then work=$2; mkdir -p "$work"; else work=$(mktemp -d) || exit 1; trap 'rm -rf "$work"' EXIT; fi
cd "$source" || exit 1
command -v clang >/dev/null || { echo "ok - fuzzers # SKIP no clang (Debian: clang)"; exit 0; }
paths='-DSMTPIN_VERSION="x" -DSMTPIN_BINDIR="/x" -DSMTPIN_SBINDIR="/x" -DSMTPIN_SYSCONFDIR="/x" -DSMTPIN_UNITDIR="/x"'
core="$(echo src/base/*.c src/smtp/*.c)"
replay=src/commands/replay milter=src/commands/milter
shell="src/config/*.c src/syntax/*.c src/io/*.c src/adapters/*.c"
sources() {
    case $1 in
    session) echo "tests/fuzz/drive*.c $core" ;;
    alias) echo "src/adapters/alias.c src/adapters/lookup.c src/adapters/head.c src/config/config.c src/syntax/idn*.c src/syntax/table_source.c $core" ;;
    auth) echo "src/adapters/auth_connection.c src/adapters/auth_dovecot.c src/adapters/auth_line.c src/adapters/auth_state.c src/io/exchange.c src/io/clock.c src/syntax/tls_facts.c $core" ;;
    proxy) echo "src/adapters/proxied.c src/syntax/proxy.c src/syntax/proxy_tlv.c src/syntax/network.c src/syntax/tls_facts.c $core" ;;
    policy) echo "src/adapters/policy.c src/adapters/policy_action.c src/syntax/policy_server.c src/io/connect.c src/io/exchange.c src/io/clock.c $core" ;;
    table) echo "src/adapters/table.c src/adapters/cdb.c src/adapters/text_table.c src/syntax/idn*.c src/syntax/table_source.c src/io/clock.c $core" ;;
    texts | config) echo "$shell $core" ;;
    transcript) echo "$replay/read*.c $replay/diff*.c $replay/transcript.c $replay/told_tls.c $replay/play.c $replay/replies.c $replay/listener.c $shell $core" ;;
    lmtp) echo "src/commands/lmtp-*.c src/io/*.c src/syntax/idn*.c $core" ;;
    milter) echo "$milter/answer.c $milter/changes.c $milter/envelope.c $milter/message.c $milter/packet.c $milter/reply.c src/io/spool.c $core" ;;
    report) echo "$(ls src/commands/report/*.c | grep -vE '/(smtpin-report|journal|source|story)\.c') src/syntax/log_kinds.c src/syntax/network.c src/io/clock.c $core" ;;
    request) echo "tests/fuzz/request_input.c tests/fuzz/request_make.c src/sandbox/monitor*.c src/sandbox/request.c src/sandbox/packet.c src/backend/record.c $shell $core" ;;
    esac
}
seeds() {
    case $1 in
    session) python3 tests/fuzz/seeds.py tests/transcripts "$work/seeds-session" ;;
    transcript) cp tests/transcripts/*.smtp docs/examples/*.smtp "$work/seeds-transcript" ;;
    alias) printf '_<all@x>\nall@x jane+a@x, bob@y, @z\njane@x jane@x, "a b"@x\nbob@y 550 5.1.1 No\n@z OK\n' >"$work/seeds-alias/all" ;;
    auth)
        printf '\001OK\t1\tuser=jane\tnologin\tproxy' >"$work/seeds-auth/ok"
        printf '\001FAIL\t1\tuser=jane\ttemp\tcode=temp_fail\tcode=invalid_base64' >"$work/seeds-auth/fail"
        printf '\001CONT\t1\tAAAA\tchannel_binding=tls-exporter' >"$work/seeds-auth/cont"
        printf '\001SCRAM-SHA-256-PLUS\tchannel-binding\tplaintext\tprivate\tanonymous' >"$work/seeds-auth/mech"
        g='VERSION\t1\t2\nMECH\tX_1\nMECH\tEXTERNAL\nSPID\t1\nCUID\t1\nCOOKIE\tff\nDONE\n'
        # shellcheck disable=SC2059
        printf "\\002192.0.2.1|${g}CONT\t1\tAAAA\tchannel_binding=tls-exporter\nOK\t1\tuser=jane\nCANCELLED\t1\nFAIL\t2\nCONT\t3\t\nCONT\t3\t\n" >"$work/seeds-auth/secure"
        # shellcheck disable=SC2059
        printf "\\0002001:db8::1|${g}OK\t1\tuser=jane\nOK\t2\tuser=j\nCONT\t3\t\nCONT\t3\tAAAA\n" >"$work/seeds-auth/plain" ;;
    milter) python3 tests/fuzz/seeds_milter.py "$work/seeds-milter" ;;
    policy)
        printf '\376action=DEFER_IF_PERMIT 4.2.0 Greylisted\n\n' >"$work/seeds-policy/greylisted"
        printf '\376x=y\r\naction=prepend X-A: b \r\naction=REJECT 5.7.1 No\r\n\r\n' >"$work/seeds-policy/prepend"
        printf '\060action=550 5.7.23 SPF\n\naction=421 4.3.2 Bye\n\n' >"$work/seeds-policy/code"
        printf '\001c.example|joe@sender.example|jane@example.org|mx.c.example|ID' >"$work/seeds-policy/request" ;;
    proxy)
        python3 -c 'import glob, sys; sys.path.insert(0, "tests/fuzz"); import seeds
for n, path in enumerate(sorted(glob.glob("tests/transcripts/proxy_*.smtp"))): open(f"{sys.argv[1]}/{n}", "wb").write(bytes([n % 2]) + seeds.said_in(path))' "$work/seeds-proxy"
        printf '\002NAME=c.example ADDR=IPV6:2001:db8::7 PORT=40000 PROTO=ESMTP HELO=c.example LOGIN=a+2Bb DESTADDR=203.0.113.5 DESTPORT=[UNAVAILABLE]' >"$work/seeds-proxy/xclient" ;;
    report)
        printf '\0Nov 29 21:35:27 mx smtpin[7]: transaction result=deferred id=1j1e495hgc5j3i-1 session=1j1e495hgc5j3i client_address=2001:db8::7 reverse_path=a@b size=12 command=/x delivery_milliseconds=12 reply="451 4.3.0 x" rule=delivery forward_path="a\\x22 b" forward_path=c' >"$work/seeds-report/line"
        printf '\1{"__REALTIME_TIMESTAMP":"1796000000000000","MESSAGE_ID":"5f8a3c0d7f1e4b6c9d2a7e41c3b80f11","SMTP_HELO":"a\\u00fc\\n","SMTP_END":[113,117],"SMTP_FORWARD_PATH":["a","b"],"X":null}' >"$work/seeds-report/json"
        printf '\2__REALTIME_TIMESTAMP=1796000000000000\nMESSAGE_ID=5f8a3c0d7f1e4b6c9d2a7e41c3b80f15\nSMTP_VIOLATION\n\3\0\0\0\0\0\0\0a\nb\n\nSYSLOG_IDENTIFIER=smtpin\nMESSAGE=session end=quit\n\n' >"$work/seeds-report/export"
        printf '\2smtpin[1]: session end=quit\nSun 2026-11-29 21:20:18 UTC mx x: refused rule=relay reply="550 x"\n' >"$work/seeds-report/lines"
        printf '\0032 hours 5min ago' >"$work/seeds-report/ago"
        printf '\0032026-11-29 21:20:18' >"$work/seeds-report/date"
        printf '\4smtpin-report state 1\ncursor s=1\nrecords 3\n' >"$work/seeds-report/state" ;;
    table)
        printf '\0bob@example.org OK\n@example.org 550 5.1.1 No\nbob@example.org x\nexample.net \n' >"$work/seeds-table/made"
        printf '\1a 1\nb 2\nc 3\n\0\0\20\377' >"$work/seeds-table/altered"
        printf '\2# c\nBob@example.org OK\n\n"a b"@example.org 550\n  5.1.1 No\n@example.org' >"$work/seeds-table/text"
        command -v cdb >/dev/null && printf 'bob@example.org OK\n@example.org x@example.com\n' | cdb -c -m "$work/seeds-table/cdb" && sed -i '1s/^/\x04/' "$work/seeds-table/cdb" ;;
    texts)
        printf 'tSSL_PROTOCOL=TLSv1.3\0SSL_CIPHER=TLS_AES_256_GCM_SHA384\0SSL_CIPHER_USEKEYSIZE=256\0SSL_GROUP=x25519\0SSL_TLS_SNI=mx.example.org\0SSL_SERVER_V_END=2027-02-28T23:59:59Z\0' >"$work/seeds-texts/facts"
        printf 'tSSL_PROTOCOL=TLSv1.2\0SSL_CLIENT_VERIFY=FAILED:x\0SSL_CLIENT_S_DN=CN=c,O=(x)\0SSL_CLIENT_NAME=c.example\0SSL_CLIENT_FINGERPRINT=AA:BB\0' >"$work/seeds-texts/client"
        printf 'tSSL_PROTOCOL=TLSv1.3\0SSL_TLS_SNI_SERVERNAME=a.example\0SSL_PEER_CERT_HASH=SHA256:ab\0\0' >"$work/seeds-texts/s6"
        printf 't2026-12-31T23:59:59Z' >"$work/seeds-texts/date" ;;
    config) cp units/smtpin.conf tests/transcripts/common.conf "$work/seeds-config" ;;
    esac 2>/dev/null
    [ ! -d "tests/fuzz/found/$1" ] || cp tests/fuzz/found/"$1"/* "$work/seeds-$1"
}
fuzzers='session alias auth policy proxy table texts config transcript lmtp milter report request'
flags='-gline-tables-only -O1 -std=c17 -fno-sanitize-recover=all'
# What several fuzzers are made of is compiled once.
object() { echo "$work/objects/$(echo "$1" | tr / _).o"; }
objects() { for f; do object "$f"; done; }
mkdir -p "$work/objects"
# shellcheck disable=SC2046,SC2086
for t in $fuzzers; do printf '%s\n' tests/fuzz/$t.c $(sources $t); done | sort -u | while read -r f; do echo "$(object "$f") $f"; done |
    xargs -P 2 -n 2 clang $flags $paths -D_GNU_SOURCE -fsanitize=fuzzer-no-link,address,undefined -Isrc -Itests/fuzz -c -o 2>"$work/objects.build"
for t in $fuzzers; do
    mkdir -p "$work/corpus-$t" "$work/seeds-$t"; seeds $t
    # shellcheck disable=SC2046,SC2086
    if ! clang $flags -fsanitize=fuzzer,address,undefined -o "$work/$t" $(objects tests/fuzz/$t.c $(sources $t)) 2>"$work/$t.build"; then
        sed 's/^/# /' "$work/objects.build" "$work/$t.build" | head -20; echo "not ok - fuzz $t: build"; continue
    fi
    "$work/$t" -dict=tests/fuzz/smtp.dict -max_total_time="$seconds" -max_len=8192 -timeout=10 -print_final_stats=1 -artifact_prefix="$work/$t-" \
        "$work/corpus-$t" "$work/seeds-$t" >"$work/$t.log" 2>&1
    status=$?
    sed -n 's/^stat::number_of_executed_units: */# executions: /p' "$work/$t.log"
    grep -o 'cov: [0-9]* ft: [0-9]*' "$work/$t.log" | tail -1 | sed 's/^/# /'
    if [ $status = 0 ]; then echo "ok - fuzz $t, $seconds s"; else grep -E 'ERROR|broken|runtime error|Test unit' "$work/$t.log" | sed 's/^/# /'; echo "not ok - fuzz $t"; fi
done
if command -v afl-fuzz >/dev/null && command -v afl-clang-fast >/dev/null; then
    # shellcheck disable=SC2086
    AFL_QUIET=1 AFL_USE_ASAN=1 afl-clang-fast -g -O1 -std=c17 -D_GNU_SOURCE -fsanitize=fuzzer -Isrc -Itests/fuzz -o "$work/afl-session" tests/fuzz/session.c tests/fuzz/drive*.c $core >"$work/afl.build" 2>&1
    AFL_NO_UI=1 AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_NO_AFFINITY=1 AFL_BENCH_UNTIL_CRASH=1 \
        timeout $((seconds + 120)) afl-fuzz -V "$seconds" -t 5000+ -m none -x tests/fuzz/smtp.dict -i "$work/seeds-session" -o "$work/afl" "$work/afl-session" >"$work/afl.log" 2>&1
    crashes=$(find "$work/afl" -path '*crashes*' -name 'id*' 2>/dev/null | wc -l)
    sed -n 's/^execs_done *: /# executions: /p; s/^edges_found *: /# edges: /p' "$work/afl/default/fuzzer_stats" 2>/dev/null
    if [ -f "$work/afl/default/fuzzer_stats" ] && [ "$crashes" = 0 ]; then echo "ok - fuzz session by AFL++, $seconds s"; else tail -5 "$work/afl.log" | sed 's/^/# /'; echo "not ok - fuzz session by AFL++: $crashes"; fi
else echo "ok - fuzz session by AFL++ # SKIP no afl-fuzz (Debian: afl++)"; fi
