#!/bin/sh
# tls.sh [ROUNDS]: the CPU of a session with STARTTLS, smtpin's with smtpin-tls beside those of Postfix's smtpd and of exim -bs,
# and of 64 MiB over TLS beside openssl s_server. As root, with a namespace of its own for mounts and processes; needs gcc,
# meson, musl-gcc, libssl-dev, openssl and apt-get. Postfix and Exim are Debian's packages, unpacked beside the system. Prints
# tables in Markdown.
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/smtpin-bench.XXXXXX"); chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
trap '[ -z "$inside" ] || kill -9 "$inside"; wait; exit 143' TERM
trap '[ -z "$inside" ] || kill -9 "$inside"; wait; exit 130' INT
inside= # unshare ignores SIGTERM; with it ends all that is in the namespace
build() { name=$1; programs=$2; shift 2; { meson setup "$work/$name" "$source" "$@" && ninja -C "$work/$name" $programs; } >"$work/log" 2>&1 || { tail "$work/log"; exit 1; }; }
build default "smtpin smtpin-tls"
CC=musl-gcc build static smtpin -Dprefer_static=true -Db_pie=false
gcc -O2 -static -nostdlib -ffreestanding -fno-stack-protector -fcf-protection=none -fno-pie -no-pie -Wl,--build-id=none -o "$work/floor" "$source/tests/bench/floor.c"
gcc -O2 -o "$work/session" "$source/tests/bench/session.c" "$source/tests/bench/usage.c" "$source/tests/bench/secure.c" -lssl -lcrypto
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/key.pem" -out "$work/chain.pem" -days 90 \
    -subj /CN=mx.example.org -addext subjectAltName=DNS:mx.example.org 2>"$work/log" || { cat "$work/log"; exit 1; }
cat "$work/chain.pem" "$work/key.pem" >"$work/both.pem"
mkdir "$work/debs"
unpack() { (cd "$work/debs" && apt-get download "$1" && dpkg -x "$1"_*.deb "$work/$2") >"$work/log" 2>&1 || { tail "$work/log"; exit 1; }; }
unpack postfix postfix
unpack exim4-daemon-light exim
unshare -m --propagation private --pid --fork --kill-child --mount-proc python3 -B "$source/tests/bench/${SMTPIN_BENCH-tls}.py" "$work" "${1-21}" &
inside=$!
wait "$inside"
