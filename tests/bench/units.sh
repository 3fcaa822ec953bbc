#!/bin/sh
# units.sh [CONNECTIONS]: what a connection costs under each kind of unit, a program that does nothing
# beside smtpin. As root; needs what tests/run.sh installs. Prints a table in Markdown.
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/smtpin-bench.XXXXXX"); chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
{ meson setup "$work/build" "$source" --prefix=/usr && ninja -C "$work/build"; } >"$work/log" 2>&1 || { tail "$work/log"; exit 1; }
${CC-musl-gcc} -O2 -static -o "$work/noop" "$source/tests/bench/noop.c"
BIND="$source $work" "$source/tests/systemd/box" python3 -B "$source/tests/bench/units.py" "$work/build" "$source" "$work/noop" "${1-100}"
