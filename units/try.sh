#!/bin/sh
# Builds smtpin and receives mail on a loopback port into a Maildir. Nothing is installed but the
# packages that the build needs, and nothing runs when this script has ended.
#   sh units/try.sh          port 2525, until Ctrl-C
#   PORT=2626 sh units/try.sh </dev/null    one message, then the end
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
port=${PORT-2525}
need=
for p in gcc libc6-dev pkg-config meson ninja-build systemd curl; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || need="$need $p"
done
if [ -n "$need" ]; then
    [ "$(id -u)" = 0 ] || { echo "try.sh: as root, please: apt-get install$need" >&2; exit 1; }
    echo "== installing$need"
    apt-get update >/dev/null
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $need >/dev/null
fi

dir=${DIR-$(mktemp -d "${TMPDIR:-/tmp}/smtpin-try.XXXXXX")}
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
trap 'kill $server 2>/dev/null || :; wait $server 2>/dev/null || :; [ -n "${DIR-}" ] || rm -rf "$dir"' EXIT
trap 'exit 0' INT TERM HUP
printf 'From: you@example.com\r\nTo: jane@example.org\r\nSubject: hello\r\n\r\nIt works.\r\n' >"$dir/message"
tries=0
until curl -sS "smtp://127.0.0.1:$port/try" --mail-from you@example.com --mail-rcpt jane@example.org --upload-file "$dir/message" 2>"$dir/curl"; do
    tries=$((tries + 1))
    [ $tries -lt 50 ] || { cat "$dir/curl" "$dir/log" >&2; exit 1; }
    sleep 0.1
done
echo "== received:"
cat "$dir"/mail/example.org/jane/new/*
cat <<NEXT

== now you:
    printf 'Subject: two\r\n\r\nHello.\r\n' | curl smtp://127.0.0.1:$port --mail-from me@example.com --mail-rcpt bob@example.org --upload-file -
    ls -R $dir/mail
    \$EDITOR $dir/etc/smtpin/smtpin.conf      # the next connection reads it
    man $source/docs/smtpin.conf.5
  to install it for good, with systemd units:
    meson setup build --prefix=/usr && meson install -C build
    systemd-sysusers && systemd-tmpfiles --create && systemctl enable --now smtpin.socket
NEXT
[ -t 0 ] || exit 0
echo "  Ctrl-C ends it."
wait $server
