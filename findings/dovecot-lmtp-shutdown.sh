#!/bin/sh
# Dovecot 2.3.19.1 (Debian 12, 1:2.3.19.1+dfsg1-2.1+deb12u7 or a later security update): when it is told to
# end, its LMTP server can answer 421 for a message that it has stored.
#
# A sender hears a temporary refusal after the final dot, keeps the message and sends it again, as it
# must: the recipient has it twice. Seen here, of some hundred messages that were on their way when
# `dovecot` got SIGTERM:
#
#     354 OK
#     (message) .
#     421 4.3.2 HOST Shutting down        the message is in new/
#
# With `shutdown_clients = no` sessions end by themselves, and no such answer was seen. Needs root (a
# mount namespace of its own); fails if no stored message is answered with 421 in ten rounds, or if one
# is with `shutdown_clients = no`.
set -eu
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 1; }
work=$(mktemp -d)
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/debs/partial" "$work/unpacked"
apt-get -o Dir::Cache::Archives="$work/debs" install -y --reinstall --download-only dovecot-core dovecot-lmtpd >/dev/null 2>&1
for d in "$work"/debs/*.deb; do dpkg -x "$d" "$work/unpacked"; done
mkdir -p "$work/unpacked/usr"
cat >"$work/try.py" <<'PYTHON'
import os, pwd, signal, smtplib, subprocess, sys, threading, time
WORK = sys.argv[1]
NOBODY = pwd.getpwnam("nobody")

def dovecot(name, more):
    top = f"{WORK}/{name}"
    os.makedirs(top + "/run"); os.makedirs(top + "/mail"); os.chown(top + "/mail", NOBODY.pw_uid, NOBODY.pw_gid)
    open(top + "/conf", "w").write(f"""base_dir = {top}/run
state_dir = {top}
log_path = {top}/log
protocols = lmtp
ssl = no
mail_location = maildir:{top}/mail/%n
first_valid_uid = 1
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = nobody
{more}
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid={NOBODY.pw_uid} gid={NOBODY.pw_gid} home={top}/mail/%n allow_all_users=yes
}}
service lmtp {{
  unix_listener lmtp {{
    mode = 0666
  }}
}}
service auth {{
  unix_listener auth-userdb {{
    mode = 0666
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
protocol lmtp {{
  postmaster_address = postmaster@example.org
}}
""")
    return top

def one_round(top, number):
    p = subprocess.Popen(["dovecot", "-F", "-c", top + "/conf"], stderr=subprocess.DEVNULL)
    for _ in range(200):
        if os.path.exists(top + "/run/lmtp"): break
        time.sleep(0.05)
    answers, stop = {}, threading.Event()
    def send(k):
        for i in range(200):
            if stop.is_set(): return
            subject = f"message {number}-{k}-{i}"
            try:
                c = smtplib.LMTP(top + "/run/lmtp"); c.ehlo_or_helo_if_needed()
                c.mail("s@example.com"); c.rcpt(f"user{k}@example.org")
                c.putcmd("data")
                if c.getreply()[0] != 354: continue
                c.send(f"Subject: {subject}\r\n\r\ntext\r\n.\r\n".encode())
                answers[subject] = c.getreply()[0]
                c.close()
            except (OSError, smtplib.SMTPException): pass
    threads = [threading.Thread(target=send, args=(k,)) for k in range(8)]
    for t in threads: t.start()
    time.sleep(0.7)
    os.kill(p.pid, signal.SIGTERM)
    time.sleep(0.5); stop.set()
    for t in threads: t.join()
    p.wait(60)
    stored = set()
    for d, _, files in os.walk(top + "/mail"):
        if d.endswith("/new"): stored.update(l.split(": ", 1)[1].strip() for f in files for l in open(os.path.join(d, f)) if l.startswith("Subject: "))
    return len(answers), sum(1 for s, code in answers.items() if code == 421 and s in stored)

version = subprocess.run(["dovecot", "--version"], capture_output=True, text=True).stdout.strip()
print(version)
if not version.startswith("2.3.19.1 "): sys.exit("another version than the one that was seen")
top, sent, wrong = dovecot("usual", ""), 0, 0
for number in range(10):
    n, w = one_round(top, number)
    sent, wrong = sent + n, wrong + w
    if wrong: break
print(f"by default: {sent} messages answered, {wrong} stored and answered with 421")
top, sent, quiet = dovecot("waits", "shutdown_clients = no"), 0, 0
for number in range(3):
    n, w = one_round(top, number)
    sent, quiet = sent + n, quiet + w
print(f"shutdown_clients = no: {sent} messages answered, {quiet} stored and answered with 421")
sys.exit(0 if wrong and not quiet else 1)
PYTHON
# The packages' files over those of the machine, for this one process.
unshare --mount --propagation private sh -c 'mount -t overlay -o "lowerdir=$1/unpacked/usr:/usr" overlay /usr && exec timeout 300 python3 "$1/try.py" "$1"' sh "$work"
echo "as found"
