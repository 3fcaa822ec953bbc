"""Real clients over loopback, under systemd-socket-activate: one message each, byte for byte."""
import smtplib
from harness import *

directory, deliver = taker()
BODY = b"From: a@example.com\r\nTo: b@example.org\r\nSubject: test\r\nMessage-ID: <1@example.com>\r\nDate: Mon, 23 Nov 2026 00:00:00 +0000\r\n\r\n.dot first\r\n..two\r\n\r\n8 bit: \xc3\xa9\r\nlast line\r\n"
EXPECTED = BODY.replace(b"\r\n", b"\n")
FILE = os.path.join(TMP, "message")
open(FILE, "wb").write(BODY)
FILE_LF = os.path.join(TMP, "message.lf")
open(FILE_LF, "wb").write(EXPECTED)


if not have("systemd-socket-activate"):
    skip("real clients", "no systemd-socket-activate")
    done()
PORT = free_port()
server = subprocess.Popen(["systemd-socket-activate", "--accept", "--inetd", "-l", f"127.0.0.1:{PORT}"] +
                          arguments({"deliver": deliver, "log": "none"}), stderr=subprocess.DEVNULL)
for _ in range(200):
    try:
        socket.create_connection(("127.0.0.1", PORT)).close()
        break
    except OSError:
        time.sleep(0.05)


def check(name, command, run=None):
    clear(directory)
    if command and not have(command[0]):
        skip(name, f"no {command[0]}")
        return
    try:
        p = run() if run else subprocess.run(command, capture_output=True, timeout=60, stdin=open(FILE_LF))
        detail = p and (p.stdout + p.stderr)
    except Exception as e:
        detail = repr(e)
    for _ in range(100):
        if messages(directory): break
        time.sleep(0.05)
    got = messages(directory)
    ok(len(got) == 1, f"{name}: one message", detail)
    if got:
        equal(without_trace(got[0]), EXPECTED, f"{name}: byte for byte")
        ok(b"([127.0.0.1])" in got[0].split(b"\n")[2], f"{name}: the peer", got[0])


SWAKS = os.path.join(TMP, "message.swaks")
open(SWAKS, "wb").write(EXPECTED[:-1])  # swaks ends the last line itself
check("swaks", ["swaks", "--server", "127.0.0.1", "--port", str(PORT), "--from", "a@example.com", "--to", "b@example.org",
                "--data", "@" + SWAKS])
check("curl", ["curl", "-sS", f"smtp://127.0.0.1:{PORT}", "--mail-from", "a@example.com", "--mail-rcpt", "b@example.org",
               "--upload-file", FILE])
check("msmtp", ["msmtp", "--host=127.0.0.1", f"--port={PORT}", "--from=a@example.com", "--auth=off", "--tls=off", "--set-date-header=off", "--set-msgid-header=off", "b@example.org"])


def with_smtplib():
    with smtplib.SMTP("127.0.0.1", PORT, timeout=30) as s:
        s.sendmail("a@example.com", ["b@example.org"], BODY, ["BODY=8BITMIME"])


check("smtplib", None, with_smtplib)
clear(directory)
with smtplib.SMTP("127.0.0.1", PORT, timeout=30) as s:
    for i in range(20):
        s.sendmail("a@example.com", ["b@example.org", "c@example.org"], BODY)
    refused = s.sendmail("a@example.com", ["b@example.org", "x@elsewhere.example"], BODY)
equal(len(messages(directory)), 21, "smtplib: 21 messages in one session")
equal(list(refused), ["x@elsewhere.example"], "smtplib: a refused recipient")
server.send_signal(signal.SIGTERM)
server.wait(30)
done()
