#!/bin/sh
# report.sh [RECORDS [BUILD]]: the CPU of smtpin-report over a journal of so many records (1,000,000), beside journalctl -o json over the
# same, and beside pflogsumm over the log of a Postfix with as many messages. As root (or where unshare -r works); needs what
# tests/run.sh installs, and pflogsumm. Some 2 GB of room in TMPDIR. Prints a table in Markdown.
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
records=${1-1000000} rounds=${ROUNDS-3}
remote=$(ls /lib/systemd/systemd-journal-remote /usr/lib/systemd/systemd-journal-remote 2>/dev/null | head -n 1)
[ -n "$remote" ] && command -v pflogsumm >/dev/null || { echo "needs systemd-journal-remote and pflogsumm" >&2; exit 1; }
work=$(mktemp -d "${TMPDIR:-/tmp}/smtpin-bench.XXXXXX"); chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
build=${2-$work/build}
[ -n "${2-}" ] || { meson setup "$build" "$source" && ninja -C "$build"; } >"$work/log" 2>&1 || { tail "$work/log"; exit 1; }
make() { python3 -B "$source/tests/bench/report.py" "$@"; }
mkdir "$work/journal"
make journal "$build" "$records" 2>"$work/messages" | "$remote" -o "$work/journal/all.journal" - >"$work/log" 2>&1
messages=$(tail -n 1 "$work/messages")
make postfix "$messages" >"$work/mail.log"
journalctl -D "$work/journal" -o json >"$work/json"
journalctl -D "$work/journal" -o export >"$work/export"
best() { # COMMAND...: the least of some rounds
    i=0
    while [ $i -lt "$rounds" ]; do make cpu "$@"; i=$((i + 1)); done | sort -n | head -n 1
}
report=$build/smtpin-report
json=$(best journalctl -D "$work/journal" -o json)
ours=$(best "$report" --directory "$work/journal")
page=$(best "$report" --directory "$work/journal" --html)
from_json=$(best "$report" "$work/json")
from_export=$(best "$report" "$work/export")
perl=$(best pflogsumm "$work/mail.log")
[ "$("$report" --directory "$work/journal" | grep 'records read')" = "$("$report" "$work/export" | grep 'records read')" ]
row() { awk -v name="$1" -v s="$2" -v j="$json" -v p="$perl" 'BEGIN {printf "| %s | %.2f | %.2f | %.2f |\n", name, s, s / j, s / p}'; }
echo "$records records, $messages messages:"
echo
echo "| | CPU s | of journalctl -o json | of pflogsumm |"
echo "|---|---|---|---|"
row "smtpin-report, of the journal" "$ours"
row "smtpin-report --html, of the journal" "$page"
row "smtpin-report, of journalctl -o export" "$from_export"
row "smtpin-report, of journalctl -o json" "$from_json"
row "journalctl -o json" "$json"
row "pflogsumm, of Postfix's log ($(wc -l <"$work/mail.log") lines)" "$perl"
