#!/bin/sh
# policy.sh [ROUNDS]: the CPU of a session in which a policy server is asked, smtpin's beside that of Postfix's smtpd, which
# runs already and takes one session after the other. As root, with a namespace of its own for mounts and processes; needs
# gcc, meson, musl-gcc, libssl-dev and apt-get. Postfix is Debian's package, unpacked beside the system. Prints tables in Markdown.
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/smtpin-bench.XXXXXX"); chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
trap '[ -z "$inside" ] || kill -9 "$inside"; wait; exit 143' TERM
trap '[ -z "$inside" ] || kill -9 "$inside"; wait; exit 130' INT
inside= # unshare ignores SIGTERM; with it ends all that is in the namespace
build() { name=$1; shift; { meson setup "$work/$name" "$source" "$@" && ninja -C "$work/$name" smtpin smtpin-milter; } >"$work/log" 2>&1 || { tail "$work/log"; exit 1; }; }
build default
CC=musl-gcc build static -Dprefer_static=true -Db_pie=false
gcc -O2 -static -nostdlib -ffreestanding -fno-stack-protector -fcf-protection=none -fno-pie -no-pie -Wl,--build-id=none -o "$work/floor" "$source/tests/bench/floor.c"
gcc -O2 -o "$work/session" "$source/tests/bench/session.c" "$source/tests/bench/usage.c" "$source/tests/bench/secure.c" -lssl -lcrypto
mkdir "$work/debs"
(cd "$work/debs" && apt-get download postfix && dpkg -x postfix_*.deb "$work/postfix") >"$work/log" 2>&1 || { tail "$work/log"; exit 1; }
unshare -m --propagation private --pid --fork --kill-child --mount-proc python3 -B "$source/tests/bench/${SMTPIN_BENCH-policy}.py" "$work" "${1-21}" &
inside=$!
wait "$inside"
