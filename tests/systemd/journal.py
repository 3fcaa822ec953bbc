"""The journal as docs/systemd.md tells of it: each line of its cookbook, and the fail2ban filter. $1: build, $2: source, $3: unpacked packages, or nothing."""
import shutil
from manager import *
import document

install(); listening(); run("systemctl daemon-reload; systemctl start smtpin.socket smtpin-lmtp.socket")
conf(); send("accepted")
c = Session(); c.say("EHLO bad.example"); c.say("MAIL FROM:<a@example.com>"); c.say("RCPT TO:<x@elsewhere.example>"); c.say("QUIT"); c.close()
conf("deliver = /bin/false\n"); run("systemctl reload smtpin.service"); until(lambda: "reloaded" in journal("SMTP_EVENT=reloaded"))
send("deferred")
conf("tls = may\n"); run("systemctl reload smtpin.service"); time.sleep(0.3)
c = Session(); c.say("EHLO x"); equal(c.say("STARTTLS")[:3], "454", "STARTTLS without a certificate"); c.close()
l = Session(path="/run/smtpin/lmtp.sock"); l.say("LHLO x"); l.say("QUIT"); l.close()
c = Session(); os.kill(int(run(f"pgrep -P {show('smtpin.service', 'MainPID')}").split()[0]), signal.SIGABRT); c.close()
until(lambda: "crash" in journal("MESSAGE_ID=5f8a3c0d7f1e4b6c9d2a7e41c3b80f15"))
run("journalctl --sync; journalctl --update-catalog")
session = re.search(r"session=(\w+)", journal("SMTP_RESULT=accepted")).group(1)
text = open(f"{SOURCE}/docs/systemd.md").read()
lines = re.findall(r"^(journalctl .*)$", text[text.index("## The journal"):text.index("## fail2ban")], re.M)
ok(len(lines) >= 9, "docs/systemd.md has a cookbook", lines)
for line in lines:
    command = line.split("  #")[0].strip().replace("192.0.2.1", "127.0.0.1").replace("SMTP_SESSION=1j13n1ocm1vh5t", f"SMTP_SESSION={session}")
    if "jq" in command and not shutil.which("jq"): skip(command, "no jq"); continue
    out = run(command + " 2>&1")
    ok(len(out.splitlines()) > 0 and "No entries" not in out and "rror" not in out.split("\n")[0], f"{command.replace(session, 'ID')}", out)
ok(run("journalctl -q -x SMTP_RESULT=deferred -n 1").count("Look at SMTP_COMMAND_END=") == 1, "journalctl -x says what to look at")

# smtpin-report, of the real journal, and as its unit.
import json
r = json.loads(run("smtpin-report --json"))
count = lambda match: len(run(f"journalctl -q -o cat {match}").splitlines())
equal((r["messages"]["accepted"], r["messages"]["deferred"], r["sessions"]["all"], r["crashes"], r["tls_unavailable"]), (count("SMTP_RESULT=accepted"), count("SMTP_RESULT=deferred"), *(count(f"MESSAGE_ID=5f8a3c0d7f1e4b6c9d2a7e41c3b80f{n}") for n in (11, 15, 18))), "smtpin-report counts what journalctl shows")
equal(json.loads(run("journalctl -o json | smtpin-report --json -"))["rules"], r["rules"], "and by journalctl -o json the same")
ok("An SMTP session has ended" in run(f"smtpin-report --id {session}") and "An SMTP transaction has ended: deferred" in run("smtpin-report --recipient jane@example.org --since -1h"), "stories")
run("systemctl start smtpin-report.service")
ok(not os.path.exists("/var/lib/prometheus/node-exporter/smtpin.prom"), "smtpin-report.service does nothing where there is no directory for it")
run("mkdir -p /var/lib/prometheus/node-exporter; chown nobody /var/lib/prometheus/node-exporter")
samples = []
for _ in range(2):
    said = run("systemctl start smtpin-report.service; systemctl show -P Result smtpin-report.service")
    samples.append(int(re.search(r'^smtpin_messages_total\{result="accepted"\} (\d+)$', open("/var/lib/prometheus/node-exporter/smtpin.prom").read(), re.M)[1]))
    send("accepted"); conf(); run("systemctl reload smtpin.service; sleep 0.3"); send("accepted"); run("journalctl --sync")
run("systemctl start smtpin-report.service")
samples.append(int(re.search(r'^smtpin_messages_total\{result="accepted"\} (\d+)$', open("/var/lib/prometheus/node-exporter/smtpin.prom").read(), re.M)[1]))
ok("success" in said and samples[0] == r["messages"]["accepted"] and samples[2] == count("SMTP_RESULT=accepted") and samples[0] < samples[2], "smtpin-report.service: in its sandbox, each run goes on where the one before has ended", (said, samples))
ok(os.stat("/var/lib/smtpin-report/state").st_mode & 0o777 == 0o600, "its state is its own")

# fail2ban
PEERS = sys.argv[3] if len(sys.argv) > 3 else ""
regex = f"{PEERS}/fail2ban/usr/bin/fail2ban-regex"
if os.path.exists(regex):
    c = Session("127.0.0.1"); c.s.sendall(b"GET / HTTP/1.0\r\n\r\n"); c.close()
    # Words of a client's that look like a refusal of somebody else.
    c = Session(); c.say('EHLO client_address=192.0.2.66'); c.say('MAIL FROM:<"x client_address=192.0.2.66 rule=relay"@example.com>'); c.say("RSET"); c.say("EHLO x rule=relay"); c.say("QUIT"); c.close()
    # Three wrong passwords, and a client that only says so.
    conf("auth = checkpassword:/bin/false\nauth_plaintext = yes\nauth_failure_delay = 0\n"); run("systemctl reload smtpin.service"); until(lambda: journal("SMTP_EVENT=reloaded").count("reloaded") >= 5)
    c = Session(); c.say("EHLO x")
    equal([c.say("AUTH PLAIN AGphbmUAd3Jvbmc=")[:3] for _ in range(3)], ["535", "535", "421"], "three wrong passwords"); c.close()
    c = Session(); c.say("EHLO rule=auth"); c.say("AUTH PLAIN"); c.say("*"); c.say("AUTH X"); c.say("QUIT"); c.close()
    before = run("journalctl --sync; journalctl -q -o cat SMTP_RULE=not_smtp | wc -l").strip()
    write("/run/fail2ban.sh", f"PYTHONPATH={PEERS}/fail2ban/usr/lib/python3/dist-packages exec /usr/bin/python3 {regex} -v --print-all-matched \"$@\"\n")
    conf_dir = f"{PEERS}/fail2ban/etc/fail2ban"
    run(f"mkdir -p /etc/fail2ban; cp -r {conf_dir}/. /etc/fail2ban/; cp /usr/share/doc/smtpin/fail2ban/smtpin.conf /etc/fail2ban/filter.d/")
    out = run("sh /run/fail2ban.sh systemd-journal /etc/fail2ban/filter.d/smtpin.conf", timeout=120)
    m = re.search(r"Lines: (\d+) lines, (\d+) ignored, (\d+) matched", out)
    ok(m and int(m.group(3)) == 5, "fail2ban-regex: a relay attempt, an HTTP client and three wrong passwords are found, and nobody else", out[-3000:])
    equal(re.findall(r"^\|\s+([0-9a-f.:]+)\s+\w+ \w+ ", out, re.M), ["127.0.0.1"] * 5, "by the client's own address")
    for path, body in [f for b in document.blocks(SOURCE, "docs/systemd.md") if b.heading == "fail2ban" for f in b.files()]: write(path, body)
    out = run(f"PYTHONPATH={PEERS}/fail2ban/usr/lib/python3/dist-packages /usr/bin/python3 {PEERS}/fail2ban/usr/bin/fail2ban-client -d", timeout=120)
    ok("['start', 'smtpin']" in out and "'addjournalmatch'" in out and "ERROR" not in out, "fail2ban takes the jail", out[-3000:])
else:
    skip("fail2ban", "not unpacked")
done()
