#!/bin/sh
# static.sh SOURCE BUILD: what can be said of the sources without running them, as TAP.
source=$1 build=$2
out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT
say() { # STATUS NAME FILE
    if [ "$1" = 0 ]; then echo "ok - $2"; else sed 's/^/# /' "$3" | head -60; echo "not ok - $2"; fi
}
skip() { echo "ok - $1 # SKIP $2"; }
cd "$source" || exit 1
files=$(find src -name '*.c')

# base and smtp reach for nothing: the only undefined symbols are of the C language itself.
nm -u "$build/libsmtpin-core.a" | awk '$1 == "U" {print $2}' | sort -u >"$out/wanted"
nm --defined-only "$build/libsmtpin-core.a" | awk 'NF == 3 {print $3}' | sort -u >"$out/own"
grep -vxF -f "$out/own" "$out/wanted" |
    grep -vxE 'mem(cpy|chr|cmp|set|move)|str(len|cmp)|__stack_chk_fail|__mem(cpy|set|move)_chk|_GLOBAL_OFFSET_TABLE_' >"$out/foreign"
[ ! -s "$out/foreign" ]; say $? "the core calls nothing but memory and string functions" "$out/foreign"

# Who includes whom, a line for each pair: a header and its .c are one.
grep -o '#include "[^"]*"' $(find src -name '*.[ch]') | sed 's|^src/\(.*\)\.[ch]:#include "\(.*\)\.h"$|\1 \2|' |
    awk '$1 != $2' | sort -u >"$out/includes"

# Each floor includes only those that it may: tests/floors, docs/architecture.md.
awk '{for (i = 1; i <= 2; i++) if (!sub("/[^/]*$", "", $i)) $i = "."; if ($1 != $2) print}' "$out/includes" | sort -u >"$out/floors"
awk 'NR == FNR {for (i = 2; i <= NF; i++) may[$1, $i] = 1; next} !(($1, $2) in may) {print $1 " includes " $2}' tests/floors "$out/floors" >"$out/wrong"
[ ! -s "$out/wrong" ] && [ "$(wc -l <"$out/floors")" -gt 30 ]; say $? "each floor includes only those that it may" "$out/wrong"

# No circles: neither among the files' includes nor among the floors', nor in who calls whom. tsort says
# what is in one.
circle() { # FILE WHAT
    tsort "$1" >/dev/null 2>"$out/circle"
    [ ! -s "$out/circle" ] && [ "$(wc -l <"$1")" -gt 30 ]; say $? "no circle of $2" "$out/circle"
}
nm -A "$build"/*.p/src_*.o | awk '{split($1, o, ":"); sub(".*/", "", o[1])}
    $(NF - 1) ~ /[TRD]/ {where[$NF] = o[1]} $(NF - 1) == "U" {uses[o[1] " " $NF]}
    END {for (u in uses) {split(u, a, " "); if (a[2] in where && where[a[2]] != a[1]) print a[1], where[a[2]]}}' |
    sed 's/src_//g; s/\.c\.o//g' | sort -u >"$out/calls"
circle "$out/includes" "includes among files"
circle "$out/floors" "includes among floors"
circle "$out/calls" "calls among files"

# Nothing that changes is global: no object of ours in a writable section. (.data.rel.ro is constant
# once the program has been loaded.)
for o in "$build"/smtpin.p/*.o "$build"/libsmtpin-*.a.p/*.o "$build"/smtpin-*.p/*.o; do
    objdump -t "$o" | awk -v o="$(basename "$o")" '$3 == "O" && ($4 == ".data" || $4 == ".bss") {print o, $NF}'
done >"$out/writable"
[ ! -s "$out/writable" ]; say $? "no globals that change" "$out/writable"

grep -o 'KEY("[a-z0-9_]*' src/config/setting.c >"$out/keys"; [ "$(wc -l <"$out/keys")" -gt 40 ] && LC_ALL=C sort -cu "$out/keys" 2>"$out/order"; say $? "the table of settings is in order" "$out/order"

awk 'FNR == 1 && f {if (n > 500) print f, n} FNR == 1 {f = FILENAME; n = 0} {n++} END {if (n > 500) print f, n}' $files >"$out/long"
[ ! -s "$out/long" ]; say $? "no file of more than 500 lines" "$out/long"

if command -v clang-format >/dev/null; then
    find src tests -name '*.[ch]' | xargs clang-format --dry-run -Werror >"$out/format" 2>&1; say $? "clang-format" "$out/format"
else skip clang-format "no clang-format (Debian: clang-format)"; fi
if command -v clang-tidy >/dev/null && command -v clang >/dev/null; then
    # What is compiled for glibc and for musl is looked at once, unless it says where it is not the same. (clang has no -specs.)
    python3 - "$build" >"$out/compile_commands.json" <<'COMMANDS'
import json, os, sys
entries = json.load(open(os.path.join(sys.argv[1], "compile_commands.json")))
plain = {e["file"] for e in entries if " -specs=" not in e["command"]}
differs = lambda e: "defined(SMTPIN_STATIC" in open(os.path.join(e["directory"], e["file"])).read()
kept = [e for e in entries if " -specs=" not in e["command"] or e["file"] not in plain or differs(e)]
for e in kept: e["command"] = " ".join(w for w in e["command"].split(" ") if not w.startswith("-specs="))
json.dump(kept, sys.stdout)
COMMANDS
    echo $files | tr ' ' '\n' | xargs -P 2 -n 6 clang-tidy --quiet -p "$out" >"$out/tidy" 2>/dev/null
    grep -E 'warning:|error:' "$out/tidy" >"$out/tidy.found"
    [ ! -s "$out/tidy.found" ]; say $? "clang-tidy" "$out/tidy.found"
else skip clang-tidy "no clang-tidy or clang (Debian: clang-tidy clang)"; fi
if command -v gcc >/dev/null; then
    { echo $files | tr ' ' '\n'; grep -l 'defined(SMTPIN_STATIC' $files | sed 's/^/-DSMTPIN_STATIC /'; } | xargs -P 2 -L 1 gcc -std=c17 -D_GNU_SOURCE -DSMTPIN_VERSION='"x"' -DSMTPIN_BINDIR='"/x"' -DSMTPIN_SBINDIR='"/x"' \
        -DSMTPIN_SYSCONFDIR='"/x"' -DSMTPIN_UNITDIR='"/x"' -Isrc -O2 -Wall -Wextra -fanalyzer -c -o /dev/null >"$out/analyzer" 2>&1
    grep -E 'warning:|error:' "$out/analyzer" >"$out/analyzer.found"
    [ ! -s "$out/analyzer.found" ]; say $? "gcc -fanalyzer" "$out/analyzer.found"
else skip "gcc -fanalyzer" "no gcc (Debian: gcc)"; fi
if command -v cppcheck >/dev/null; then
    cppcheck --enable=warning,performance,portability --inline-suppr --std=c17 --quiet -D__x86_64__ -I src src >"$out/cppcheck" 2>&1
    [ ! -s "$out/cppcheck" ]; say $? "cppcheck" "$out/cppcheck"
else skip cppcheck "no cppcheck (Debian: cppcheck)"; fi

# The programs as they are built by default: position independent, read-only relocations bound at the
# start, no executable stack, CET, stack protector, checked string functions.
hardened() { # PROGRAM
    p=$build/$1
    readelf -hW "$p" | grep -q 'Type: *DYN' || echo "$1: not position independent"
    readelf -lW "$p" | grep -q GNU_RELRO || echo "$1: no RELRO"
    readelf -dW "$p" | grep -q 'BIND_NOW\|NOW' || echo "$1: not bound at its start"
    readelf -lW "$p" | grep GNU_STACK | grep -q ' RW ' || echo "$1: executable stack"
    readelf -lW "$p" | awk '$1 == "LOAD" && /RWE/' | grep . && echo "$1: a segment that is written and executed"
    # (The program's own mark also needs a C library that was built so, which Debian's is not.)
    [ "$(uname -m)" != x86_64 ] || [ "$(objdump -d "$p" | grep -c endbr64)" -gt 20 ] || echo "$1: no CET"
    nm "$p" | grep -q __stack_chk_fail || echo "$1: no stack protector"
    # (musl has none, and smtpin-idn calls none.)
    { readelf -lW "$p" | grep -q INTERP && [ "$1" != smtpin-idn ]; } || return
    nm -D "$p" | grep -q '_chk@\|_chk$' || echo "$1: no checked functions"
    readelf -dW "$p" | awk '/NEEDED/ && !/libc\.so/' | grep -v "${2-^$}" && echo "$1: a library but libc"
}
{ for p in smtpin smtpin-maildir smtpin-lmtp smtpin-milter smtpin-replay smtpin-idn smtpin-shared; do [ ! -e "$build/$p" ] || hardened $p; done; hardened smtpin-tls 'lib\(ssl\|crypto\)\.so'; hardened smtpin-report 'libsystemd\.so'; } >"$out/hardened"
[ ! -s "$out/hardened" ]; say $? "hardened: PIE, full RELRO, no W+X, CET, stack protector, _FORTIFY_SOURCE (not with musl), libc alone (smtpin-tls: OpenSSL; smtpin-report: libsystemd)" "$out/hardened"
# No TLS in who reads the client: neither linked nor named to be loaded.
for p in smtpin smtpin-replay smtpin-report; do
    readelf -dW "$build/$p" | grep -E 'NEEDED.*lib(ssl|crypto|gnutls|tls|nss|mbed|wolf)'
    strings "$build/$p" | grep -E 'lib(ssl|crypto|gnutls|tls|nss|mbed|wolf)[a-z0-9]*\.so'
    nm -D "$build/$p" 2>/dev/null | grep -E ' (SSL|EVP|gnutls|tls)_'
done >"$out/tls"
[ ! -s "$out/tls" ]; say $? "no TLS library in smtpin, smtpin-replay and smtpin-report" "$out/tls"
grep -q -- '-D_FORTIFY_SOURCE=3' "$build/compile_commands.json"; say $? "_FORTIFY_SOURCE=3" /dev/null
