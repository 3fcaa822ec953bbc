"""smtpin-replay: check commands and policy servers, stood in for, asked, recorded; tables of transcripts."""
import glob, threading
from harness import *

HERE = os.path.join(SOURCE, "tests/transcripts")
COMMON = os.path.join(HERE, "common.conf")
MODES = ([], ["--in-process"])
work = os.path.join(TMP, "work"); os.mkdir(work)
CONF = write("replay.conf", "hostname = mx.example.org\ndomains = example.org\ndeliver = /bin/true\nfixed_id = T\nfixed_time = 1795460000\n", 0o644)
RCPT = "S: 220\nC: EHLO x\nS: 250\nC: MAIL FROM:<a@example.com>\nS: 250\nC: RCPT TO:<b@example.org>\n"


def replay(*args, env=None, cwd=None):
    p = subprocess.run([REPLAY, "--smtpin", SMTPIN, *args], capture_output=True, timeout=120, cwd=cwd, env={**os.environ, "TMPDIR": work, **(env or {})})
    return p.returncode, p.stdout.decode()


class Server(threading.Thread):
    """A policy server that gives these answers, each b"action=..." or None: it hangs up."""
    def __init__(self, answers):
        super().__init__(daemon=True)
        self.path, self.answers, self.asked = os.path.join(TMP, f"s{Server.n}"), list(answers), []
        Server.n += 1
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.path); os.chmod(self.path, 0o666); self.socket.listen(5); self.socket.settimeout(60)
        self.start()
    n = 0

    def run(self):
        while self.answers:
            try: c, _ = self.socket.accept()
            except OSError: return
            c.settimeout(60)
            with c, c.makefile("rb") as f:
                while self.answers:
                    question = dict(l.rstrip(b"\n").decode().split("=", 1) for l in iter(f.readline, b"\n") if l)  if f.peek(1) else None
                    if question is None: break
                    self.asked.append(question)
                    answer = self.answers.pop(0)
                    if answer is None: break
                    c.sendall(answer + b"\n\n")
        self.socket.close()


# What is wrong in a transcript.
BAD = (("check:\n", 1, "no such check: line"), ("check: exit 1\n", 1, "no such check: line"), ("check: 256\n", 1, "exit status"), ("check: 1x\n", 1, "exit status"), ("check: -1\n", 1, "no such check: line"),
       ("check: none x\n", 1, "stands alone"), ("check: hangs x\n", 1, "stands alone"), ("check: 0 \\q\n", 1, "backslash"), ("check: run x\n", 1, "what the answer is"), ("S: 220\ncheck: env A=b\nS: 250\n", 2, "what the answer is"),
       ("check: env A=b\n# x\npolicy: OK\n", 1, "what the answer is"), ("check: run x\ncheck: none\n", 1, "what the answer is"), ("policy:\n", 1, "wants an action"), ("policy: end x\n", 1, "stands alone"), ("policy: none x\n", 1, "stands alone"),
       ("policy: hangs x\n", 1, "stands alone"), ("policy: asks x\n", 1, "NAME=VALUE"), ("policy: asks a=b\nC: x\n", 1, "what the answer is"), ("policy: asks a=b\n", 1, "what the answer is"), ("policy: asks a=b\npolicy: none\n", 1, "what the answer is"),
       ("policy: \\x\n", 1, "backslash"), ("policy: OK\nmax_errors = 3\n", 2, "at the top"), ("check: 0\nmax_errors = 3\n", 2, "at the top"), ("S: 220\nT<< recipients\n>>T\n", 2, "at the top"), ("T<< hostname\n>>T\n", 1, "may be a table"),
       ("T<<\n>>T\n", 1, "may be a table"), ("T<< recipients\na b\n", 1, "without an end"), ("T<< recipients\n>>T\nT<< recipients\n>>T\n", 3, "second table"))
for text, line, what in BAD:
    status, out = replay("-f", CONF, write("bad.smtp", text, 0o644))
    ok(status == 64 and f"bad.smtp:{line}: " in out and what in out and out.endswith("0 passed, 1 failed\n"), f"a bad transcript: {text!r}", (status, out))
for key in ("aliases", "recipients", "senders", "sender_login", "check_client", "check_sender", "check_recipient", "policy"):
    value = "/bin/x" if key.startswith("check") else "unix:/x" if key == "policy" else "text:/etc/passwd"
    status, out = replay("-f", CONF, write("forged.smtp", f"{key} = {value}\nS: 220\n", 0o644))
    ok(status == 64 and "forged.smtp:1: " in out and "--trust" in out, f"a transcript with {key}: 64", (status, out))

# What differs, in both modes alike.
ONE, BOTH = ("-o", "check_recipient=/bin/c ${recipient} \"a  b\" $$x"), ("-o", "check_client=/bin/a", "-o", "check_recipient=/bin/c ${recipient}")
DIFFER = (
    (RCPT + "check: run /bin/c b@example.org \"a  b\" $x\ncheck: 0\nS: 250\n", ONE, ""),
    (RCPT + "check: run /bin/c c@example.org...\ncheck: 0\nS: 250\n", ONE, "7:\n- /bin/c c@example.org...\n+ /bin/c b@example.org \"a  b\" $x\n"),
    (RCPT + "check: env SMTPIN_CHECK=sender\ncheck: 0\nS: 250\n", ONE, "7:\n- SMTPIN_CHECK=sender\n+ SMTPIN_CHECK=recipient\n"),
    (RCPT + "check: env NOTHING=x\ncheck: 0\nS: 250\n", ONE, "7:\n- NOTHING=x\n+ (not set)\n"),
    (RCPT + "check: 67\nS: 250\n", ONE, "8:\n- 250\n+ 550 5.1.1 User unknown\n"),
    (RCPT + "check: 0\ncheck: 0\nS: 250\n", ONE, "8:\n- (a run of a check command)\n+ (none)\n"),
    (RCPT + "check: none\nS: 250\n", ONE, "8:\n- (no run of a check command)\n+ /bin/c b@example.org \"a  b\" $x\n"),
    (RCPT + "check: 0\nS: 250\n", BOTH, "8:\n- (no run of a check command)\n+ /bin/c b@example.org\n"),
    (RCPT + "check: 0\ncheck: 0\nS: 250\n", BOTH, ""),
    (RCPT + "check: 0\nS: 250\n", (), "7:\n- (a run of a check command)\n+ (none)\n"),
    (RCPT + "policy: asks protocol_state=MAIL\npolicy: asks recipient=...\npolicy: asks helo_name=x\npolicy: OK\nS: 250\n", (), "7:\n- protocol_state=MAIL\n+ protocol_state=RCPT\n"),
    (RCPT + "policy: asks nonsense=\npolicy: OK\nS: 250\n", (), "7:\n- nonsense=\n+ (not set)\n"),
    (RCPT + "policy: REJECT\nS: 250\n", (), "8:\n- 250\n+ 554 5.7.1 Access denied\n"),
    (RCPT + "policy: OK\npolicy: OK\nS: 250\n", (), "8:\n- (a question to a policy server)\n+ (none)\n"),
    (RCPT + "policy: none\nS: 250\n", (), "8:\n- (no question to a policy server)\n+ protocol_state=RCPT sender=a@example.com recipient=b@example.org\n"),
    (RCPT + "policy: OK\nS: 250\n", ("-o", "policy=unix:/a inet:b:1"), "8:\n- (no question to a policy server)\n+ protocol_state=RCPT sender=a@example.com recipient=b@example.org\n"),
    (RCPT + "policy: OK\npolicy: OK\nS: 250\n", ("-o", "policy=unix:/a inet:b:1"), ""),
    (RCPT.replace("b@", "b@x.") + "policy: OK\nS: 550\n", (), "7:\n- (a question to a policy server)\n+ (none)\n"),
    ("policy_states = CONNECT\npolicy: DEFER\nS: 421\nS: end\n", (), ""),
    ("T<< recipients\nc@example.org OK\n>>T\n" + RCPT + "S: 250\n", (), "10:\n- 250\n+ 550 5.1.1 No such user here\n"),
    ("T<< recipients\nc@example.org OK\n>>T\n" + RCPT + "S: 250\n", ("-o", f"recipients=text:{write('table', 'b@example.org OK', 0o644)}"), ""),  # -o takes precedence; the file's times say nothing
)
os.utime(os.path.join(TMP, "table"), (0, 0))
for text, extra, expected in DIFFER:
    said = {}
    for mode in MODES:
        path = write("differ.smtp", text, 0o644)
        status, out = replay("-f", CONF, *extra, *mode, path)
        said[" ".join(mode)] = (status, out.replace(path + ":", "").replace(" different\n", "").replace(" ok\n", ""))
    equal(said, {m: (int(expected != ""), expected + f"{int(expected == '')} passed, {int(expected != '')} failed\n") for m in said}, f"what differs: {text[len(RCPT):]!r} {' '.join(extra)}")

# Each line of the transcripts is a test: it is red when it says something else, or is not there.
for path in sorted(glob.glob(HERE + "/check*.smtp") + glob.glob(HERE + "/policy*.smtp")):
    lines, green = open(path).read().split("\n"), []
    for i, line in enumerate(lines):
        words = line.split(" ", 2)
        if words[0] not in ("check:", "policy:", "S:") or line in ("S: end",) or words[1] == "none":
            continue
        if words[0] == "S:":
            wrong = "S: " + ("5" if line[3] != "5" else "2") + line[4:]
        elif words[1] in ("asks", "env", "run"):
            wrong = line + "x"
        else:
            wrong = line + "\n" + ("check: 100 wrong" if words[0] == "check:" else "policy: 421 4.0.0 wrong")
        changed = lines[:i] + [wrong] + lines[i + 1:]
        if replay("-f", COMMON, "--in-process", write("changed.smtp", "\n".join(changed), 0o644), cwd=HERE)[0] != 1: green.append(line)
    ok(green == [], f"{os.path.basename(path)}: each line that is changed makes it red", green)

# Without such lines the real ones are asked.
check = write("check", '#!/bin/sh\n[ "$LOCAL" = b ] || { echo 5.1.1 "$LOCAL is nobody"; exit 67; }\n')
for mode in MODES:
    server = Server([b"action=450 4.2.0 Greylisted"])
    status, out = replay("-f", CONF, *mode, "-o", f"check_recipient={check}", "-o", f"policy=unix:{server.path}", write("real.smtp", RCPT + "S: 450 4.2.0 Greylisted\nC: RCPT TO:<c@example.org>\nS: 550 5.1.1 c is nobody\n", 0o644))
    ok(status == 0 and [q["recipient"] for q in server.asked] == ["b@example.org"], f"without such lines the real ones are asked {' '.join(mode)}", (out, server.asked))
    status, out = replay("-f", CONF, *mode, "-o", f"check_recipient={check}", write("real.smtp", RCPT.replace("<b@", "<c@") + "policy: none\nS: 550 5.1.1 c is nobody\n", 0o644))
    equal(status, 0, f"one kind is stood in for, the other is asked {' '.join(mode)}")
broken = write("broken.smtp", "S: 421\nS: end\ncheck: none\npolicy: none\n", 0o644)
for mode in MODES:
    equal(replay("-f", CONF, "-o", "nonsense=1", *mode, broken)[0], 0, f"a configuration with a mistake asks nobody {' '.join(mode)}")

# --deliver, also as another user.
store = os.path.join(TMP, "store"); os.mkdir(store); os.chmod(store, 0o777)
delivered = write("delivered.smtp", RCPT + "check: 0\npolicy: PREPEND X-A: b\nS: 250\nC: DATA\nS: 354\nC: Subject: x\nC:\nC: .\nD: header X-A: b\nD<<\nSubject: x\n\n>>D\nS: 250\n", 0o644)
for user in ("", *(["nobody"] if os.geteuid() == 0 else [])):
    os.chmod(work, 0o755)
    status, out = replay("-f", CONF, "--deliver", "-o", "check_recipient=/bin/c", "-o", f"user={user}", "-o", f'deliver=/bin/sh -c "cat >{store}/m{user}"', delivered)
    ok(status == 0 and "X-A: b\n" in open(f"{store}/m{user}").read(), f"--deliver, and stand-ins for the others{user and ', as ' + user}", out)

# Nothing is left behind, whatever becomes of the player.
hangs = write("hangs.smtp", RCPT + "policy: hangs\nS: 451\n", 0o644)
for mode in MODES:
    start = time.monotonic()
    status, out = replay("-f", CONF, *mode, hangs)
    ok(status == 0 and 0.9 < time.monotonic() - start < 8, f"policy: hangs waits for a second {' '.join(mode)}", out)
    start = time.monotonic()
    status, out = replay("-f", CONF, *mode, "-o", "check_recipient=/bin/c", write("hangs2.smtp", RCPT + "check: hangs\nS: 451 4.3.0\n", 0o644))
    ok(status == 0 and 0.9 < time.monotonic() - start < 8, f"check: hangs waits for a second {' '.join(mode)}", out)
equal((os.listdir(work), processes(work.encode())), ([], []), "neither a file nor a process is left behind")
for mode in MODES:
    p = subprocess.Popen([REPLAY, "--smtpin", SMTPIN, "-f", CONF, "-o", "policy_timeout=1h", "--timeout", "40s", *mode, hangs], stdout=subprocess.DEVNULL, env={**os.environ, "TMPDIR": work})
    children = []
    for _ in range(200):
        try: children = open(f"/proc/{p.pid}/task/{p.pid}/children").read().split()
        except OSError: pass
        if len(children) == 2 - len(mode) and glob.glob(work + "/*/policy.0.environment"): break
        time.sleep(0.05)
    p.kill(); p.wait(20)
    ok(children and all([gone(c) for c in children]), f"the stand-in ends with the player {' '.join(mode)}", children)
    for d in glob.glob(work + "/*"): shutil.rmtree(d)

# A place that can't be used is said to be none.
for name, why in (("a b", "Invalid argument"), ("x" * 100, "name too long")):
    place = os.path.join(work, name); os.mkdir(place)
    for mode in MODES:
        status, out = replay("-f", CONF, *mode, write("place.smtp", RCPT + "policy: OK\nS: 250\n", 0o644), env={"TMPDIR": place})
        ok(status == 1 and why in out and os.listdir(place) == [], f"TMPDIR with {name[:3]!r}: {why} {' '.join(mode)}", out)
status, out = replay("-f", CONF, write("place.smtp", RCPT + "S: 250\n", 0o644), env={"TMPDIR": os.path.join(work, "a b")})
equal(status, 0, "a place with a blank does for a delivery command")
status, out = replay("-f", CONF, write("place.smtp", "T<< recipients\n>>T\n" + RCPT + "S: 550\n", 0o644), env={"TMPDIR": os.path.join(work, "a b")})
ok(status == 1 and "Invalid argument" in out, "a place with a blank does not for a table", out)
status, out = replay("-f", CONF, write("place.smtp", "T<< recipients\nx@example.org\n>>T\n" + RCPT + "policy: none\nS: 550\n", 0o644), env={"TMPDIR": "."}, cwd=work)
equal(status, 0, "a place may be named from where we are")

# Recordings have the answers, in the sandbox or without, and replay where nobody can be asked.
traces = os.path.join(TMP, "traces"); os.mkdir(traces); os.chmod(traces, 0o777)
asked = write("asked", """#!/bin/sh
case $SMTPIN_CHECK$LOCAL in
client) echo '  two  words '; echo 'second \\ \002'; exit 99;;
recipienta) echo recipient z@example.org;;
recipientb) echo '550 5.1.6 gone '; exit 67;;
recipientc) kill -9 $$;;
recipientd) exec sleep 20;;
esac
""")
ACTIONS = (b"action=DUNNO", b"action=DUNNO", b"action=end", b"action= none ", b"action=", b"action=PREPEND X-A: \\b \xc3\xa9\xff", None, None, b"action=OK", b"action=warn x")
STATES = "MAIL RCPT DATA END-OF-MESSAGE"
session_of = (b"EHLO x\r\nMAIL FROM:<s@example.com>\r\n" + b"".join(b"RCPT TO:<%c@example.org>\r\n" % c for c in b"abcdefghi") + b"DATA\r\nSubject: x\r\n\r\n.\r\nQUIT\r\n")
for sandbox in ("yes", "no"):
    clear(traces)
    server = Server(ACTIONS)
    out, err, status = pipe(session_of, {"trace": traces, "log": "none", "deliver": "/bin/true", "sandbox": sandbox, "check_client": asked, "check_sender": asked, "check_recipient": asked, "check_timeout": "500ms",
                                         "policy": f"unix:{server.path}", "policy_states": STATES})
    files = glob.glob(traces + "/*")
    text = open(files[0], "rb").read() if files else b""
    rows = [l for l in text.decode("latin-1").split("\n") if l.startswith(("check:", "policy:"))]
    equal(rows, ["policy: DUNNO", "check: 99 \\x20 two  words \\x0asecond \\\\ \\x02", "check: 0", "check: 0 recipient z@example.org", "policy: DUNNO", "check: 67 550 5.1.6 gone\\x20", "check: 75", "check: hangs",
                 "check: 0", "policy: \\x65nd", "check: 0", "policy: \\x6eone", "check: 0", "policy: \\x20", "check: 0", "policy: PREPEND X-A: \\\\b \xc3\xa9\\xff", "check: 0", "policy: end", "policy: OK", "policy: warn x"],
          f"a recording has the answers (sandbox = {sandbox})")
    for mode in MODES:
        status, out = replay("-f", CONF, "-o", "check_client=/x", "-o", "check_sender=/x", "-o", "check_recipient=/x", "-o", "policy=unix:/x", "-o", f"policy_states={STATES}", *mode, *files)
        equal((status, out.count("\n")), (0, 2), f"a recording with answers (sandbox = {sandbox}) replays green {' '.join(mode)}")
# What does not fit ends the recording before it, whoever writes it.
loud = write("loud", "#!/bin/sh\nprintf '%0200d\\n' 0\n")
many = b"EHLO x\r\nMAIL FROM:<s@example.com>\r\n" + b"RCPT TO:<b@example.org>\r\n" * 16 + b"QUIT\r\n"
for sandbox in ("yes", "no"):
    red, cut = [], 0
    for size in range(4096, 4096 + 300, 30):
        clear(traces)
        pipe(many, {"trace": traces, "trace_size": str(size), "log": "none", "deliver": "/bin/true", "sandbox": sandbox, "check_recipient": loud})
        files = glob.glob(traces + "/*")
        text = open(files[0]).read() if files else ""
        cut += "# trace_size: the rest is not recorded\n@disconnect\n" in text and len(text) < size + 100
        if replay("-f", CONF, "-o", "check_recipient=/x", "--in-process", *files)[0] != 0: red.append((size, text[-300:]))
    equal((red, cut), ([], 10), f"trace_size bounds a recording with answers, which replays green (sandbox = {sandbox})")
done()
