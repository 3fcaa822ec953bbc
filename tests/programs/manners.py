"""Manners of clients in real time: the greeting that is held back, the pause before a reply to a mistake, commands that come too early; with the sandbox and without, listening, inside TLS, in recordings; and real clients that notice nothing of it."""
import smtplib
from harness import *
from parent import Parent, connect, hello, say, tcp

directory, deliver = taker()
STRANGER, LONG = "198.51.100.7", "60s"
COMMON = {"deliver": deliver, "log": "stderr", "client_address": STRANGER}
EARLY = "554 mx.example.org Client has not waited for the greeting; closing connection"
TOO_EARLY = "Next command sent before this reply; closing connection"


class Session:
    """A session on a socket pair, with a stopwatch."""
    def __init__(self, **settings):
        self.began = time.monotonic()
        self.p, self.c = session({**COMMON, **settings}, stderr=subprocess.PIPE)

    def seconds(self): return time.monotonic() - self.began

    def say(self, line):
        self.began = time.monotonic()
        return say(self.c, line)

    def end(self):
        """What is still heard, the exit status, the log."""
        rest = read_all(self.c).decode(); self.c.close()
        err = self.p.communicate(timeout=30)[1].decode()
        return rest, self.p.returncode, err


for sandbox in ("yes", "no"):
    at = f", sandbox = {sandbox}"
    # ---- greet_delay.
    s = Session(sandbox=sandbox, greet_delay="300ms")
    heard = read_one(s.c)
    ok(heard == "220 mx.example.org ESMTP smtpin" and 0.3 <= s.seconds() < 10, f"a client that waits is greeted after greet_delay{at}", (heard, s.seconds()))
    clear(directory)
    said = [say(s.c, l) for l in ("EHLO client.example.com", "MAIL FROM:<a@example.com>", "RCPT TO:<b@example.org>", "DATA", b"Subject: x\r\n\r\ny\r\n.\r\n", "QUIT")]
    equal(([r[:3] for r in said], len(messages(directory))), (["250", "250", "250", "354", "250", "221"], 1), f"and its mail is taken{at}")
    _, status, err = s.end()
    ok(status == 0 and "end=quit" in err and "refusals=0" in err, f"nothing is refused{at}", err)

    for pause, what in ((0, "at once"), (0.2, "while it should wait")):
        s = Session(sandbox=sandbox, greet_delay=LONG)
        time.sleep(pause); s.c.sendall(b"EHLO spam.example.com\r\nMAIL FROM:<a@example.com>\r\n")
        heard = read_one(s.c)
        took = s.seconds()
        rest, status, err = s.end()
        ok(heard == EARLY and took < 20 and rest == "", f"who speaks {what} hears 554 in the place of the greeting, without a wait{at}", (heard, took, rest))
        ok(status == 0 and "rule=early_talker" in err and "end=early_talker" in err and f"client_address={STRANGER}" in err, f"the log says so{at}", err)
    s = Session(sandbox=sandbox, greet_delay=LONG)
    s.c.sendall(b"\n"); equal(read_one(s.c), EARLY, f"one octet is enough{at}"); s.end()

    s = Session(sandbox=sandbox, greet_delay=LONG)
    time.sleep(0.2); s.c.close(); err = s.p.communicate(timeout=30)[1].decode()
    ok(s.p.returncode == 0 and s.seconds() < 20 and "end=eof" in err, f"a client that hangs up is not waited for{at}", (s.seconds(), err))
    s = Session(sandbox=sandbox, greet_delay=LONG)
    time.sleep(0.3); s.p.terminate(); heard = read_one(s.c); took = s.seconds()
    _, status, err = s.end()
    ok(heard == "421 mx.example.org Service shutting down; closing connection" and took < 20 and status == 0 and "end=shutdown" in err, f"SIGTERM ends the wait: 421{at}", (heard, took, status, err))
    s = Session(sandbox=sandbox, greet_delay=LONG, session_timeout="400ms")
    heard = read_one(s.c); took = s.seconds()
    ok(heard.startswith("421 mx.example.org Session too long") and took < 20, f"session_timeout counts{at}", (heard, took)); s.end()

    for what, more in (("relay_clients", {"relay_clients": "198.51.100.0/24"}), ("loopback", {"client_address": "127.0.0.1"}), ("loopback, IPv6", {"client_address": "::1"}), ("a local socket", {"client_address": ""})):
        s = Session(sandbox=sandbox, greet_delay=LONG, **more)
        heard = read_one(s.c)
        ok(heard.startswith("220") and s.seconds() < 20, f"no wait for {what}{at}", (heard, s.seconds())); s.c.sendall(b"QUIT\r\n"); s.end()
    s = Session(sandbox=sandbox, greet_delay=LONG, protocol="lmtp")
    heard = read_one(s.c)
    ok(heard == "220 mx.example.org LMTP smtpin" and s.seconds() < 20, f"nor for LMTP{at}", (heard, s.seconds())); s.c.sendall(b"QUIT\r\n"); s.end()
    s = Session(sandbox=sandbox, greet_delay=LONG, policy="unix:/nonexistent/policy", policy_states="CONNECT", policy_default="550 5.7.1 Go away")
    heard = read_one(s.c)
    ok(heard == "554 Go away" and s.seconds() < 20, f"whom a policy server refuses need not wait{at}", (heard, s.seconds())); s.c.sendall(b"QUIT\r\n"); s.end()

    # ---- error_delay.
    s = Session(sandbox=sandbox, error_delay="300ms")
    read_one(s.c)
    for line, code, slow in (("EHLO client.example.com", "250", False), ("NONSENSE", "500", True), ("NOOP", "250", False), ("TURN", "502", True), ("RCPT TO:<b@example.org>", "503", True),
                             ("MAIL FROM:<a@example.com>", "250", False), ("RCPT TO:<b@elsewhere.example>", "550", False), ("RCPT TO:<b@example.org>", "250", False), ("RSET", "250", False)):
        heard = s.say(line); took = s.seconds()
        ok(heard.startswith(code) and (took >= 0.3) == slow and took < 10, f"{line}: {'held back' if slow else 'at once'}{at}", (heard, took))
    s.began = time.monotonic(); s.c.sendall(b"A\r\nNOOP\r\nB\r\nC\r\nQUIT\r\n")
    heard = [read_one(s.c)[:3]]; first = s.seconds()
    heard += [read_one(s.c)[:3] for _ in range(4)]; all_of = s.seconds()
    ok(heard == ["500", "250", "500", "500", "221"] and 0.3 <= first < all_of and all_of >= 0.9, f"mistakes in one group: a pause before each{at}", (heard, first, all_of)); s.end()
    s = Session(sandbox=sandbox, error_delay=LONG)
    read_one(s.c); s.c.sendall(b"NONSENSE\r\n"); time.sleep(0.2); s.c.close()
    err = s.p.communicate(timeout=30)[1].decode()
    ok(s.p.returncode == 0 and s.seconds() < 20 and ("end=eof" in err or "end=lost" in err), f"a client that hangs up ends the pause{at}", (s.seconds(), err))
    s = Session(sandbox=sandbox, error_delay=LONG)
    read_one(s.c); s.c.sendall(b"NONSENSE\r\n"); time.sleep(0.3); s.p.terminate()
    heard = [read_one(s.c), read_one(s.c)]; took = s.seconds(); _, status, err = s.end()
    ok([h[:3] for h in heard] == ["500", "421"] and took < 20 and status == 0 and "end=shutdown" in err, f"SIGTERM ends the pause: the reply, then 421{at}", (heard, took, err))
    s = Session(sandbox=sandbox, error_delay=LONG, session_timeout="600ms")
    read_one(s.c); s.c.sendall(b"NONSENSE\r\nNONSENSE\r\nNONSENSE\r\n")
    heard = [read_one(s.c), read_one(s.c)]; took = s.seconds(); rest, status, err = s.end()
    ok([h[:3] for h in heard] == ["500", "421"] and "Session too long" in heard[1] and rest == "" and took < 20, f"session_timeout ends it{at}", (heard, rest, took))
    s = Session(sandbox=sandbox, error_delay=LONG, max_errors="1")
    read_one(s.c); s.c.sendall(b"GET / HTTP/1.0\r\n"); heard = read_one(s.c)
    ok(heard.startswith("421") and s.seconds() < 20, f"a reply that ends the session is not held back{at}", (heard, s.seconds())); s.end()
    s = Session(sandbox=sandbox, error_delay=LONG)
    read_one(s.c); s.c.sendall(b"NO\nOP\r\n"); heard = read_one(s.c)
    ok(heard.startswith("500") and s.seconds() < 20, f"nor a 5yz that ends it{at}", (heard, s.seconds())); s.end()
    s = Session(sandbox=sandbox, error_delay=LONG, protocol="lmtp")
    read_one(s.c); heard = s.say("NONSENSE")
    ok(heard.startswith("500") and s.seconds() < 20, f"no pause for LMTP{at}", (heard, s.seconds())); s.c.sendall(b"QUIT\r\n"); s.end()

    # ---- unexpected_pipelining.
    for lines, codes_of, end in ((b"EHLO c.example.com\r\nMAIL FROM:<a@example.com>\r\n", ["503"], "unexpected_pipelining"), (b"NOOP\r\nNOOP\r\n", ["503"], "unexpected_pipelining"),
                                 (b"QUIT\r\nNOOP\r\n", ["221"], "quit"), (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", ["421"], "not_smtp")):
        s = Session(sandbox=sandbox, unexpected_pipelining="refuse")
        read_one(s.c); s.c.sendall(lines)
        rest, status, err = s.end()
        ok([l[:3] for l in rest.splitlines()] == codes_of and status == 0 and f"end={end}" in err, f"{lines.split()[0].decode()} with more behind it{at}", (rest, err))
    # As Postfix and Exim write it: QUIT in the same write as the final dot. Nothing of the message is lost.
    s = Session(sandbox=sandbox, unexpected_pipelining="refuse")
    read_one(s.c); clear(directory)
    say(s.c, "EHLO client.example.com"); s.c.sendall(b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"); before = [read_one(s.c)[:3] for _ in range(3)]
    s.c.sendall(b"Subject: x\r\n\r\ny\r\n.\r\nQUIT\r\n"); rest, status, err = s.end()
    ok(before == ["250", "250", "354"] and [l[:3] for l in rest.splitlines()] == ["250", "221"] and len(messages(directory)) == 1, f"QUIT right behind the final dot{at}", (before, rest, err))

# ---- helo_is_us: our own address is the one that the client has connected to.
listener, second = tcp(), tcp()
p = Parent([("smtp", listener), ("friends", second)], {"deliver": deliver},
           f"client_address = {STRANGER}\nhelo_is_us = refuse\n[friends]\nhelo_is_us = accept\nhelo_bare_name = refuse\n")
for name, at, code in (("[127.0.0.1]", listener, "550"), ("mx.EXAMPLE.org", listener, "550"), ("[127.0.0.2]", listener, "250"), ("pc7", listener, "250"), ("[127.0.0.1]", second, "250"), ("pc7", second, "550")):
    c, _ = hello(at)
    heard = say(c, "EHLO " + name); c.close()
    ok(heard.startswith(code), f"EHLO {name} on {'a socket' if at is listener else 'one with another section'}: {code}", heard)
p.wait_said("end=", times=6); p.end()
ok(re.search(r"rule=helo_is_us key=\[?127", p.said()) or 'key="[127.0.0.1]"' in p.said(), "the record has the name", p.said())

# ---- Where smtpin listens: sections, penalties.
p = Parent([("smtp", listener), ("friends", second)], {"deliver": deliver, "penalty_exempt": "192.0.2.0/24", "penalty_abuse": "1h", "penalty_min": "5400s", "penalty_max": "1d"},
           f"client_address = {STRANGER}\ngreet_delay = 30s\nunexpected_pipelining = refuse\n[friends]\ngreet_delay = 0\n")
begun = time.monotonic()
c, heard = hello(second); ok(heard.startswith("220") and time.monotonic() - begun < 20, "a section has its own greet_delay", heard)
waiting = connect(listener); time.sleep(0.2)
c2, heard = hello(second); ok(heard.startswith("220"), "who waits does not keep the others", heard); c2.close()
c2 = connect(listener); c2.sendall(b"HELO x\r\n"); heard = read_all(c2).decode(); c2.close()
ok(heard.strip() == EARLY, "an early talker where smtpin listens", heard)
c.sendall(b"NOOP\r\nNOOP\r\n"); heard = read_all(c).decode(); c.close()
ok(heard.strip().endswith(TOO_EARLY), "and one that does not wait for replies", heard)
ok(p.wait_said("event=penalty"), "both are abuse, and their seconds add up", p.said())
c, heard = hello(second); c.close(); ok("Too many offences" in heard, "so the source is turned away", heard)
os.kill(p.pid, signal.SIGTERM); heard = read_all(waiting).decode(); waiting.close()
ok(heard == "421 mx.example.org Service shutting down; closing connection\r\n" and p.wait() == 0, "SIGTERM: who waits hears 421", heard)

# ---- Recordings say what was said, and when.
traces = os.path.join(TMP, "traces"); os.mkdir(traces); os.chmod(traces, 0o777)
conf = write("trace.conf", "hostname = mx.example.org\ndomains = example.org\ndeliver = /bin/true\n", 0o644)
for name, settings, lines in (("an early talker", {"greet_delay": LONG}, b"EHLO c.example.com\r\nNOOP\r\n"), ("what came too early", {"unexpected_pipelining": "refuse"}, b"EHLO c.example.com\r\nMAIL FROM:<a@example.com>\r\n")):
    s = Session(trace=traces, **settings)
    if name != "an early talker": read_one(s.c)
    s.c.sendall(lines); s.end()
    (recording,) = os.listdir(traces); recording = os.path.join(traces, recording)
    text = open(recording).read()
    r = subprocess.run([REPLAY, "--smtpin", SMTPIN, "-f", conf, *[w for k, v in settings.items() for w in ("-o", f"{k}={v}")], recording], capture_output=True, text=True, timeout=60)
    ok(r.returncode == 0 and all("C: " + l in text for l in lines.decode().split("\r\n") if l), f"a recording of {name} is replayed", (r.stdout, text))
    r = subprocess.run([REPLAY, "--smtpin", SMTPIN, "-f", conf, recording], capture_output=True, text=True, timeout=60)
    ok(r.returncode == 1, "and differs without the setting", r.stdout)
    os.unlink(recording)

# ---- Real clients, with all of it: they wait, and notice nothing.
p = Parent([("smtp", listener)], {"deliver": deliver},
           f"client_address = {STRANGER}\ngreet_delay = 300ms\nerror_delay = 100ms\nunexpected_pipelining = refuse\nhelo_is_us = refuse\nhelo_required = yes\n")
PORT = listener.getsockname()[1]
text = b"From: a@example.com\r\nTo: b@example.org\r\nSubject: x\r\n\r\ntext\r\n"
message, lines = os.path.join(TMP, "message"), os.path.join(TMP, "lines")
open(message, "wb").write(text); open(lines, "wb").write(text.replace(b"\r", b""))


def by_smtplib():
    with smtplib.SMTP("127.0.0.1", PORT, "client.example.com", timeout=30) as s: s.sendmail("a@example.com", ["b@example.org"], text)


CLIENTS = {
    "curl": ["curl", "-sS", f"smtp://127.0.0.1:{PORT}/client.example.com", "--mail-from", "a@example.com", "--mail-rcpt", "b@example.org", "--upload-file", message],
    "msmtp": ["msmtp", "--host=127.0.0.1", f"--port={PORT}", "--from=a@example.com", "--auth=off", "--tls=off", "--domain=client.example.com", "b@example.org"],
    "swaks": ["swaks", "--server", "127.0.0.1", "--port", str(PORT), "--ehlo", "client.example.com", "--from", "a@example.com", "--to", "b@example.org"],
    "smtplib": by_smtplib,
}
for name, run in CLIENTS.items():
    if isinstance(run, list) and not have(run[0]): skip(name, f"no {run[0]}"); continue
    clear(directory)
    detail = run() if callable(run) else subprocess.run(run, capture_output=True, timeout=60, stdin=open(lines, "rb"))
    end = time.monotonic() + 20
    while not messages(directory) and time.monotonic() < end: time.sleep(0.02)
    ok(len(messages(directory)) == 1, f"{name}: its mail is taken", detail)
ok("rule=" not in p.said() and p.end() == 0, "and nothing was refused", p.said())
for s in (listener, second): s.close()
# A recording without message texts has none of one that came before its time, either.
for what, settings in (("early talker", {"greet_delay": LONG}), ("pipelining", {"unexpected_pipelining": "refuse"})):
    traces = os.path.join(TMP, "masked-" + what.replace(" ", "-")); os.mkdir(traces)
    s = Session(trace=traces, trace_messages="no", **settings)
    s.c.sendall(b"EHLO client.example.com\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nSubject: x\r\n\r\nMAIL me the TOPSECRET thing\r\nrset TOPSECRET\r\n.\r\nBDAT 9\r\nTOPSECRET"); s.c.shutdown(socket.SHUT_WR); s.end()
    text = "".join(open(os.path.join(traces, f)).read() for f in os.listdir(traces))
    ok("EHLO" in text and "SECRET" not in text, f"a recording of {what}: no text of a message", text)
done()
