#!/bin/sh
# run.sh: Frama-C's Eva over base and smtp, as TAP: for each entry of the files here, no alarm.
# Bounded: inputs are as short as these files say, and what SSE2 does instead is not looked at (the fuzzers do that).
source=$(cd "$(dirname "$0")/../.." && pwd)
command -v frama-c >/dev/null || { echo "ok - Frama-C's Eva # SKIP no frama-c (Debian: frama-c-base)"; exit 0; }
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cp -r "$source/src" "$source/tests/eva" "$tmp"
cd "$tmp" || exit 1
# Where the length of an address, or of a proxy's value, is known, each length is a case of its own.
sed -i 's|^    smtp_add_local(&address, local);|    /*@ dynamic_split address.n; */\n&|' src/smtp/path.c
sed -i 's|^    \*left = span_from(\*left, 3 + v->octets.n);|    /*@ dynamic_split v->octets.n; */\n&|' src/syntax/proxy_tlv.c
grep -q dynamic_split src/syntax/proxy_tlv.c || { echo "not ok - Eva: proxy_tlv.c is not what it was"; exit 1; }
grep -q dynamic_split src/smtp/path.c || { echo "not ok - Eva: path.c is not what it was"; exit 1; }
if ! frama-c -machdep gcc_x86_64 -c11 -cpp-extra-args="-I$tmp/src -D_GNU_SOURCE -U__SSE2__ -include eva/first_bit.h -D__builtin_ctzll=eva_first_bit '-D_Alignof(t)=16UL'" \
    eva/*.c src/base/*.c src/smtp/*.c src/syntax/proxy*.c -save "$tmp/ast" >"$tmp/parse" 2>&1; then sed 's/^/# /' "$tmp/parse" | tail -20; echo "not ok - Eva: the sources are read"; exit 1; fi
cat >one <<'EOF'
frama-c -load ast -main "$1" -eva -eva-domains cvalue -eva-slevel 100000 -eva-split-return full -eva-split-limit 1000 \
    -eva-ilevel 64 -eva-plevel 2048 -eva-unroll-recursive-calls 2 -eva-alloc-builtin fresh_weak -eva-no-alloc-returns-null \
    -warn-invalid-pointer -eva-no-print -eva-no-show-progress -eva-msg-key=-initial-state,-final-states \
    -eva-slevel-merge-after-loop clean,store,smtp_add_local,smtp_is_dot_string,clean_line,is_domain,is_keyword,is_value,span_has_control,span_find,span_find_line_end,number_parse >"$1.out" 2>&1
sed -n 's/^\[eva:alarm\] \([^ ]*:[0-9]*\): Warning:.*/\1/p' "$1.out" | sort -u >"$1.alarms"
reached=$(grep -o '[0-9]* statements reached (out of [0-9]*)' "$1.out")
# An entry that reaches little proves little.
enough=$(echo "$reached" | awk '{gsub(/[^0-9 ]/, " "); print ($1 * 100 >= $2 * 65)}')
if grep -q 'ANALYSIS SUMMARY' "$1.out" && [ ! -s "$1.alarms" ] && [ "$enough" = 1 ]; then echo "ok - Eva $1: $reached, no alarm"
else { cat "$1.alarms"; tail -5 "$1.out"; } | sed 's/^/# /'; echo "not ok - Eva $1"; fi
EOF
sed -n 's/^void \(eva_[a-z0-9_]*\)(void)$/\1/p' eva/*.c | xargs -P 2 -I ENTRY sh one ENTRY
