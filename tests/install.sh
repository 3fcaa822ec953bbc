#!/bin/sh
# install.sh SOURCE WORK: what `meson install` gives, the manuals, the units, try.sh; as TAP.
source=$1 work=$2/install
mkdir -p "$work"
ok() { if [ "$1" = 0 ]; then echo "ok - $2"; else [ -z "${3-}" ] || sed 's/^/# /' "$3" | tail -30; echo "not ok - $2"; fi; }
skip() { echo "ok - $1 # SKIP $2"; }
{ meson setup "$work/build" "$source" --prefix=/usr && DESTDIR="$work/root" meson install -C "$work/build"; } >"$work/log" 2>&1
ok $? "meson install" "$work/log"
cd "$work/root" 2>/dev/null || exit 1
for f in usr/sbin/smtpin $(command -v musl-gcc >/dev/null && echo usr/sbin/smtpin-idn) usr/bin/smtpin-maildir usr/bin/smtpin-milter usr/bin/smtpin-replay usr/bin/smtpin-report usr/share/man/man1/smtpin-report.1 usr/share/doc/smtpin/grafana-smtpin.json usr/share/doc/smtpin/prometheus-smtpin.rules.yml usr/lib/systemd/system/smtpin-report.service usr/lib/systemd/system/smtpin-report.timer usr/sbin/smtpin-tls usr/share/man/man8/smtpin-tls.8 usr/lib/systemd/system/smtpin.socket \
    usr/lib/systemd/system/smtpin@.service usr/lib/systemd/system/smtpin-lmtp@.service usr/lib/systemd/system/smtpin-lmtp.socket \
    usr/lib/systemd/system/smtpin-submission@.service usr/lib/systemd/system/smtpin-submission.socket \
    usr/lib/systemd/system/smtpin-submissions@.service usr/lib/systemd/system/smtpin-submissions.socket usr/sbin/smtpin-tls \
    usr/lib/systemd/system/smtpin-tls.socket usr/lib/systemd/system/smtpin-tls.service usr/lib/systemd/system/smtpin-tls-renew.path \
    usr/lib/systemd/system/smtpin-tls-renew.service usr/lib/smtpin/light/smtpin@.service usr/lib/smtpin/light/smtpin-lmtp@.service \
    usr/lib/smtpin/light/smtpin-submission@.service usr/lib/smtpin/light/smtpin-submissions@.service \
    usr/lib/systemd/system/smtpin.service usr/lib/systemd/system/smtpin.slice usr/lib/sysusers.d/smtpin.conf \
    usr/lib/tmpfiles.d/smtpin.conf usr/lib/systemd/catalog/smtpin.catalog usr/share/doc/smtpin/smtpin.conf \
    usr/share/doc/smtpin/inetd.conf usr/share/doc/smtpin/tls.md usr/share/doc/smtpin/submission.md usr/share/doc/smtpin/proxy.md usr/share/man/man8/smtpin.8 usr/share/man/man5/smtpin.conf.5 \
    usr/share/man/man7/smtpin-delivery.7 usr/share/man/man7/smtpin-rules.7 usr/share/man/man1/smtpin-maildir.1 usr/share/man/man1/smtpin-milter.1 usr/share/doc/smtpin/filters.md; do
    [ -s "$f" ]; ok $? "installed: $f"
done
# Each picture is where its document looks for it.
for d in usr/share/doc/smtpin/*.md; do
    grep -o '](\([^)]*\.svg\))' "$d" | tr -d '()]' | while read -r f; do echo "$d $f"; [ -s "$(dirname "$d")/$f" ] || echo "$d: no $f" >&2; done
done >"$work/pictures" 2>"$work/missing"
[ ! -s "$work/missing" ] && [ "$(wc -l <"$work/pictures")" -ge 5 ]; ok $? "installed: the pictures of the documents" "$work/missing"
readelf -dW usr/sbin/smtpin | awk '/NEEDED/ && !/libc\.so/' >"$work/libraries"
[ ! -s "$work/libraries" ]; ok $? "smtpin links nothing but libc" "$work/libraries"
if command -v mandoc >/dev/null; then
    mandoc -T lint -W warning "$source"/docs/*.[1578] >"$work/mandoc" 2>&1; ok $? "manuals: mandoc -T lint" "$work/mandoc"
else skip manuals "no mandoc (Debian: mandoc)"; fi
# Every key of the configuration has its paragraph, and the manual names no key that is none.
sed -n 's/.*{KEY("\([a-z0-9_]*\)".*/\1/p' "$source/src/config/setting.c" | sort >"$work/keys"
sed -n 's/^\.It Cm \([a-z0-9_]\{1,\}\( , [a-z0-9_]\{1,\}\)*\)$/\1/p' "$source/docs/smtpin.conf.5" | tr -s ' ,' '\n\n' | grep . | sort >"$work/documented"
diff "$work/keys" "$work/documented" >"$work/diff"; ok $? "manual: every key, and no other" "$work/diff"
sed -n 's/.*{FACT("\([a-z_]*\)".*/\1/p' "$source/src/syntax/macro.c" | while read -r m; do
    grep -q "{$m}" "$source/docs/smtpin-delivery.7" || echo "$m"
done >"$work/macros"
[ ! -s "$work/macros" ] && grep -q '{FACT("sender"' "$source/src/syntax/macro.c"; ok $? "manual: every macro" "$work/macros"
if command -v systemd-analyze >/dev/null; then
    mkdir "$work/units"
    cp usr/lib/systemd/system/* "$work/units"
    sed -i "s|^ExecStart=/usr|ExecStart=$work/root/usr|; s/^User=.*/User=daemon/" "$work"/units/*.service
    for u in smtpin smtpin-lmtp smtpin-submission smtpin-submissions; do cp "$work/units/$u@.service" "$work/units/$u@0.service"; done
    (cd "$work/units" && systemd-analyze verify ./smtpin.socket ./smtpin-lmtp.socket ./smtpin-submission.socket ./smtpin-submissions.socket ./smtpin@0.service ./smtpin-lmtp@0.service ./smtpin-submission@0.service ./smtpin-submissions@0.service ./smtpin.service ./smtpin.slice \
        ./smtpin-tls.socket ./smtpin-tls.service ./smtpin-tls-renew.path ./smtpin-tls-renew.service ./smtpin-report.timer ./smtpin-report.service) 2>&1 |
        grep -i smtpin | grep -v 'man smtpin' >"$work/verify"
    [ ! -s "$work/verify" ]; ok $? "systemd-analyze verify, every unit" "$work/verify"
    # Each drop-in beside what it is for, listening too.
    for d in listen-smtpin:smtpin.socket listen-smtpin-lmtp:smtpin-lmtp.socket serve-smtpin-lmtp:smtpin.service listen-smtpin-submission:smtpin-submission.socket serve-smtpin-submission:smtpin.service listen-smtpin-submissions:smtpin-submissions.socket serve-smtpin-submissions:smtpin.service virtual-mail:smtpin@.service network-program:smtpin.service system-users:smtpin@.service; do
        mkdir -p "$work/units/${d#*:}.d" && cp "usr/share/doc/smtpin/drop-ins/${d%:*}.conf" "$work/units/${d#*:}.d/"
    done
    sed -i 's/^User=.*/User=daemon/' "$work"/units/*.d/virtual-mail.conf
    (cd "$work/units" && systemd-analyze verify ./smtpin.socket ./smtpin-lmtp.socket ./smtpin-submission.socket ./smtpin-submissions.socket ./smtpin@0.service ./smtpin.service) 2>&1 |
        grep -i smtpin | grep -v 'man smtpin' >"$work/verify"
    [ ! -s "$work/verify" ]; ok $? "systemd-analyze verify, with the drop-ins" "$work/verify"
    rm -rf "$work"/units/*.d
    score=$(systemd-analyze security --offline=true "$work/units/smtpin@0.service" 2>"$work/security.err" | sed -n 's/.*exposure level for .*: \([0-9.]*\) .*/\1/p')
    echo "# exposure $score"
    awk -v s="$score" 'BEGIN {exit !(s != "" && s <= 0.3)}'; ok $? "systemd-analyze security: $score" "$work/security.err"
    journalctl --update-catalog --root="$work/root" >"$work/catalog" 2>&1 && SYSTEMD_CATALOG="$work/root/var/lib/systemd/catalog/database" journalctl --list-catalog 2>/dev/null | grep -c '^5f8a3c0d' >"$work/count" || :
    if [ -s "$work/root/var/lib/systemd/catalog/database" ]; then
        [ "$(strings "$work/root/var/lib/systemd/catalog/database" 2>/dev/null | grep -c 'Defined-By: smtpin')" = 8 ]; ok $? "the catalog has eight entries"
    else skip "the catalog" "journalctl made no database"; fi
else skip "units" "no systemd-analyze (Debian: systemd)"; fi
# A port that nobody has, and that the kernel gives nobody who asks for any.
free_port() {
    python3 -c 'import random, socket
while True:
    port = random.randrange(10000, 30000)
    try: socket.create_server(("127.0.0.1", port)); print(port); break
    except OSError: pass'
}
PORT=$(free_port) TMPDIR=$work sh "$source/units/try.sh" </dev/null >"$work/try" 2>&1; ok $? "units/try.sh" "$work/try"
grep -q '^It works' "$work/try"; ok $? "units/try.sh shows the message" "$work/try"
# On a port that somebody has, no message goes to whoever that is.
python3 - "$source/units/try.sh" "$work" >"$work/try" 2>&1 <<'TAKEN'
import os, socket, subprocess, sys
s = socket.create_server(("127.0.0.1", 0)); s.settimeout(0)
p = subprocess.run(["sh", sys.argv[1]], stdin=subprocess.DEVNULL, capture_output=True, text=True, env={**os.environ, "PORT": str(s.getsockname()[1]), "TMPDIR": sys.argv[2]})
print(p.returncode, p.stderr)
try:
    s.accept()
    sys.exit("somebody has connected")
except BlockingIOError: sys.exit(p.returncode != 1 or "can't listen on port" not in p.stderr)
TAKEN
ok $? "units/try.sh on a port that is taken" "$work/try"
# A directory that is not there yet, and stays.
PORT=$(free_port) DIR="$work/kept" sh "$source/units/try.sh" </dev/null >"$work/try" 2>&1 &&
    ls "$work"/kept/mail/example.org/jane/new/* >>"$work/try" 2>&1; ok $? "units/try.sh with DIR" "$work/try"
