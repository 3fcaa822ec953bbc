#!/bin/sh
# Inside the box: what README and units/ promise about systemd, tried. TAP. $1: a build with prefix /usr. $2: the source.
build=$1 source=$2
n=0
ok() { n=$((n + 1)); if [ "$1" = 0 ]; then echo "ok $n - $2"; else [ -z "${3-}" ] || printf '%s\n' "$3" | head -40 | sed 's/^/# /'; echo "not ok $n - $2"; fi; }
is() { [ "$1" = "$2" ]; ok $? "$3" "expected $2, got $1"; }
count() { find /var/mail/smtpin -type f -path '*/new/*' | wc -l; }
send() { printf 'Subject: %s\r\n\r\nhello\r\n' "$1" >/tmp/m; curl -sS "smtp://${2-127.0.0.1}:25/client.example.com" --mail-from a@example.com --mail-rcpt jane@example.org --upload-file /tmp/m 2>&1; }

# The lines of README, as they stand there, but for the build.
out=$(meson install --no-rebuild -C "$build" 2>&1); ok $? "meson install" "$out"
sed -n '/^## systemd/,/^## TLS/{/^```sh root$/,/^```$/p}' "$source/README.md" | grep -v '^```' | grep -v '^meson' | grep -n . >/tmp/lines
is "$(wc -l </tmp/lines)" 3 "README has three lines more"
while IFS= read -r line; do
    out=$(sh -c "${line#*:}" 2>&1); ok $? "README: ${line#*:}" "$out"
done </tmp/lines
is "$(stat -c '%U %a' /var/mail/smtpin)" "smtpin 700" "/var/mail/smtpin is smtpin's own"
is "$(systemctl is-active smtpin.socket)" active "the socket listens"

out=$(smtpin --check 2>&1); is "$out" "smtpin: the configuration is good" "--check: no word of the user, which the unit sets"

out=$(send one); ok $? "mail by curl over IPv4" "$out"
out=$(send two '[::1]'); ok $? "mail by curl over IPv6" "$out"
is "$(count)" 2 "two messages in /var/mail/smtpin/example.org/jane/new"
f=$(find /var/mail/smtpin -type f -path '*/new/*' | head -n 1)
is "$(stat -c '%U %a' "$f")" "smtpin 600" "a message is smtpin's, mode 600"
grep -q 'hello' "$f"; ok $? "the message" "$(cat "$f")"
grep -qs '^Received: from client.example.com (\[127.0.0.1\])' /var/mail/smtpin/example.org/jane/new/*; ok $? "Received: has the IPv4 peer" "$(cat /var/mail/smtpin/example.org/jane/new/*)"
grep -qs '^Received: from client.example.com (\[IPv6:::1\])' /var/mail/smtpin/example.org/jane/new/*; ok $? "Received: has the IPv6 peer"

# The journal.
journalctl --sync; journalctl --update-catalog
is "$(journalctl -q -o cat SMTP_RESULT=accepted | wc -l)" 2 "journalctl SMTP_RESULT=accepted"
is "$(journalctl -q -o cat SMTP_CLIENT_ADDRESS=127.0.0.1 MESSAGE_ID=5f8a3c0d7f1e4b6c9d2a7e41c3b80f12 | wc -l)" 1 "journalctl SMTP_CLIENT_ADDRESS=127.0.0.1"
out=$(journalctl -q -o verbose SMTP_RESULT=accepted)
for field in SMTP_REVERSE_PATH=a@example.com SMTP_FORWARD_PATH=jane@example.org 'SMTP_REPLY=250 2.0.0 OK id=' SMTP_PROTOCOL=ESMTP SYSLOG_IDENTIFIER=smtpin PRIORITY=5; do
    printf '%s\n' "$out" | grep -qF "$field"; ok $? "journal field $field" "$out"
done
journalctl -q -x SMTP_RESULT=accepted | grep -q 'The client was told: 250 2.0.0 OK'; ok $? "journalctl -x explains it" "$(journalctl -q -x | tail -20)"
journalctl -q -t systemd | grep -q 'Started.*SMTP session'; [ $? = 1 ]; ok $? "the manager's own lines for each connection are left out"

# What the unit takes away, seen from inside the delivery command.
cat >/usr/local/bin/probe <<'P'
#!/bin/sh
exec >/var/mail/smtpin/probe 2>&1
id -un
grep -E '^(CapBnd|CapEff|NoNewPrivs|Seccomp):' /proc/self/status | tr '\t' ' '
for d in /usr /etc /var/lib; do touch $d/x 2>/dev/null && echo "writable $d"; done
ls /home /root >/dev/null 2>&1 && ls -A /home | grep -q . && echo "home seen"
echo "interfaces $(ls /sys/class/net | tr '\n' ' ')"; [ -e /proc/net ] && echo "proc/net seen"; [ -e /proc/1 ] && echo "other processes seen"
unshare -r true 2>/dev/null && echo "unshare"
ls -l /proc/self/fd | grep -q socket && echo "socket held"
umask
P
chmod 755 /usr/local/bin/probe; mkdir -p /home/someone
printf 'domains = example.org\ndeliver = /usr/local/bin/probe\n' >/etc/smtpin/smtpin.conf
out=$(send probe); ok $? "a delivery command of our own" "$out"
is "$(tr '\n' ';' </var/mail/smtpin/probe)" "smtpin;CapEff: 0000000000000000;CapBnd: 0000000000000000;NoNewPrivs: 1;Seccomp: 2;interfaces lo ;0077;" \
    "as smtpin, without capabilities, network, homes or a place to write but its own"
echo 'domains = example.org' >/etc/smtpin/smtpin.conf

# Nothing piles up; nothing closes the port.
python3 - <<'P'
import socket, struct
for i in range(60):
    for data in (b"", b"\x16\x03\x01", b"GET / HTTP/1.0\r\n\r\n", b"EHLO x\r\nMAIL FROM:<"):
        s = socket.create_connection(("127.0.0.1", 25))
        if data: s.sendall(data)
        if i % 2: s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
P
sleep 2
is "$(systemctl list-units --failed --no-legend 'smtpin*' | wc -l)" 0 "240 scanners leave no failed unit"
is "$(systemctl is-active smtpin.socket)" active "and the port stays open"
tries=0; while [ $tries -lt 50 ] && [ "$(systemctl show -P NConnections smtpin.socket)" != 0 ]; do tries=$((tries + 1)); sleep 0.2; done
is "$(systemctl show -P NConnections smtpin.socket)" 0 "no session is left"
is "$(python3 - <<'P'
import socket
held = [socket.create_connection(("127.0.0.1", 25)) for _ in range(11)]
for s in held: s.settimeout(20)
print(sum(s.recv(3) == b"220" for s in held))
P
)" 10 "MaxConnectionsPerSource: ten of eleven are greeted"

# A domain outside ASCII: libidn2 is at hand behind all that the unit takes away, for smtpin and for smtpin-maildir.
for unit in /usr/lib/systemd/system /usr/lib/smtpin/light; do
    cp "$unit/smtpin@.service" /etc/systemd/system/ && systemctl daemon-reload
    echo 'domains = example.org xn--mller-kva.example' >/etc/smtpin/smtpin.conf
    out=$(printf 'EHLO c\r\nMAIL FROM:<a@example.com> SMTPUTF8\r\nRCPT TO:<jane@m\303\274ller.example>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n' | socat -t 20 - TCP:127.0.0.1:25)
    printf '%s\n' "$out" | grep -q '^250 2.0.0 OK' && [ -n "$(ls /var/mail/smtpin/xn--mller-kva.example/jane/new)" ]; ok $? "$unit: mail to a domain outside ASCII" "$out"
    rm -rf /var/mail/smtpin/xn--mller-kva.example
done
rm /etc/systemd/system/smtpin@.service; systemctl daemon-reload
echo 'domains = example.org' >/etc/smtpin/smtpin.conf

# A stop leaves sessions to finish.
python3 - <<'P'
import socket, subprocess, sys
s = socket.create_connection(("127.0.0.1", 25)); s.settimeout(20); f = s.makefile("rb")
f.readline()
s.sendall(b"MAIL FROM:<a@example.com>\r\nRCPT TO:<jane@example.org>\r\nDATA\r\n")
[f.readline() for _ in range(3)]
subprocess.run(["systemctl", "stop", "smtpin.socket"], check=True)
s.sendall(b"Subject: three\r\n\r\nx\r\n.\r\n")
sys.exit(not f.readline().startswith(b"250"))
P
ok $? "systemctl stop smtpin.socket in the middle of a message: it is delivered"
is "$(count)" 3 "once"
score=$(systemd-analyze security smtpin@0.service 2>/dev/null | sed -n 's/.*exposure level for .*: \([0-9.]*\) .*/\1/p')
awk -v s="$score" 'BEGIN {exit !(s != "" && s <= 0.2)}'; ok $? "systemd-analyze security: $score"
echo "1..$n"
