#!/bin/sh
# Builds smtpin and receives mail on a loopback port into a Maildir. Nothing is installed but the
# packages that the build needs, and nothing runs when this script has ended.
#   sh units/try.sh          port 2525, until Ctrl-C
#   PORT=2626 sh units/try.sh </dev/null    one message, then the end
#   DIR=/some/dir sh units/try.sh           builds and receives there, and leaves it
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
port=${PORT-2525}
# A program, and the Debian package that has it.
need='' programs=''
while read -r program package; do
    command -v "$program" >/dev/null || { programs="$programs $program" need="$need $package"; }
done <<WANTED
gcc gcc
pkg-config pkg-config
meson meson
ninja ninja-build
systemd-socket-activate systemd
curl curl
musl-gcc musl-tools
WANTED
pkg-config --exists libsystemd 2>/dev/null || { programs="$programs libsystemd.pc" need="$need libsystemd-dev"; }
pkg-config --exists "openssl >= 3.0" 2>/dev/null || { programs="$programs openssl.pc" need="$need libssl-dev"; }
# A compiler without the headers of libc is no compiler.
echo '#include <stdio.h>' | gcc -E - >/dev/null 2>&1 || { programs="$programs stdio.h" need="$need libc6-dev"; }
if [ -n "$need" ]; then
    command -v apt-get >/dev/null || { echo "try.sh: please install what has$programs, and start again" >&2; exit 1; }
    [ "$(id -u)" = 0 ] || { echo "try.sh: as root, please: apt-get install$need" >&2; exit 1; }
    echo "== installing$need"
    apt-get -o DPkg::Lock::Timeout=300 update >/dev/null
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $need >/dev/null
fi

[ -z "${DIR-}" ] || mkdir -p "$DIR"
dir=${DIR:-$(mktemp -d "${TMPDIR:-/tmp}/smtpin-try.XXXXXX")}
server=
end() {
    [ -z "$server" ] || { kill "$server" 2>/dev/null || :; wait "$server" 2>/dev/null || :; }
    [ -n "${DIR-}" ] || rm -rf "$dir"
}
trap end EXIT
trap 'exit 0' INT TERM HUP
echo "== building in $dir"
{ meson setup "$dir/build" "$source" --prefix="$dir" -Dsysconfdir="$dir/etc" && meson install -C "$dir/build"; } >"$dir/build.log" 2>&1 ||
    { tail -20 "$dir/build.log" >&2; exit 1; }
PATH=$dir/bin:$dir/sbin:$PATH
mkdir -p "$dir/etc/smtpin" "$dir/mail"
cat >"$dir/etc/smtpin/smtpin.conf" <<CONF
hostname = try.example
domains = example.org
maildir = $dir/mail
CONF
if [ "$(id -u)" = 0 ]; then
    # What the super-server leaves as root, smtpin gives up itself.
    echo "user = nobody" >>"$dir/etc/smtpin/smtpin.conf"
    chmod 755 "$dir"; chown nobody "$dir/mail"
fi
"$dir/sbin/smtpin" --check

echo "== listening on 127.0.0.1:$port"
systemd-socket-activate --accept --inetd -l "127.0.0.1:$port" "$dir/sbin/smtpin" 2>"$dir/log" &
server=$!
printf 'From: you@example.com\r\nTo: jane@example.org\r\nSubject: hello\r\n\r\nIt works.\r\n' >"$dir/message"
listens() { # Somebody else's port is not where this message belongs.
    kill -0 $server 2>/dev/null && return
    cat "$dir/log" >&2
    echo "try.sh: can't listen on port $port (PORT=NUMBER chooses another); who does:" >&2
    command -v ss >/dev/null && ss -Hltnp "sport = :$port" >&2
    exit 1
}
tries=0
sleep 0.2
listens
until curl -sS "smtp://127.0.0.1:$port/try" --mail-from you@example.com --mail-rcpt jane@example.org --upload-file "$dir/message" 2>"$dir/curl"; do
    tries=$((tries + 1))
    [ $tries -lt 50 ] || { cat "$dir/curl" "$dir/log" >&2; exit 1; }
    listens
    sleep 0.1
done
echo "== received:"
cat "$dir"/mail/example.org/jane/new/*
[ -t 0 ] || [ -n "${DIR-}" ] || exit 0
cat <<NEXT

== now you:
    printf 'Subject: two\r\n\r\nHello.\r\n' | curl smtp://127.0.0.1:$port --mail-from me@example.com --mail-rcpt bob@example.org --upload-file -
    ls -R $dir/mail
    \$EDITOR $dir/etc/smtpin/smtpin.conf      # the next connection reads it
    man $source/docs/smtpin.conf.5
  to install it for good, with systemd units:
    meson setup build --prefix=/usr && meson install -C build
    systemd-sysusers && systemd-tmpfiles --create && journalctl --update-catalog && systemctl enable --now smtpin.socket
NEXT
[ -t 0 ] || exit 0
[ -n "${DIR-}" ] && what=leaves || what=removes
echo "  Ctrl-C ends it, and $what $dir."
wait $server
