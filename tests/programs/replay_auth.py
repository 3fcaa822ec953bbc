"""smtpin-replay and AUTH: what a transcript says of logins, what differs, sessions of real clients recorded and replayed without a secret."""
import base64, glob, smtplib, ssl, threading
from harness import *

TLS = os.path.join(BUILD, "smtpin-tls")
HERE = os.path.join(SOURCE, "tests/transcripts")
MODES = ([], ["--in-process"])
work, traces = os.path.join(TMP, "work"), os.path.join(TMP, "traces")
for d in (work, traces): os.mkdir(d); os.chmod(d, 0o777)
CONF = write("auth.conf", "hostname = mx.example.org\ndomains = example.org\ndeliver = /bin/true\nauth_plaintext = yes\ntls = may\ntls_certificate = /nonexistent\nfixed_id = T\nfixed_time = 1795460000\n", 0o644)
START = "S: 220\nC: EHLO x\nS: 250\n"
PLAIN = START + "C: AUTH PLAIN AGEAYg==\n"


def replay(*args, env=None, cwd=None):
    p = subprocess.run([REPLAY, "--smtpin", SMTPIN, *args], capture_output=True, timeout=120, cwd=cwd, env={**os.environ, "TMPDIR": work, **(env or {})})
    return p.returncode, p.stdout.decode()


# What is wrong in a transcript.
BAD = (("auth:\n", "wants a user's name"), ("auth: a b\n", "wants a user's name"), ("auth: a\\tb\n", "wants a user's name"), ("auth: " + 256 * "a" + "\n", "wants a user's name"), ("auth: \\xff\n", "wants a user's name"), ("auth: wrong x\n", "stands alone"),
       ("auth: later x\n", "stands alone"), ("auth: hangs x\n", "stands alone"), ("auth: none x\n", "stands alone"), ("auth: malformed x\n", "stands alone"), ("auth: \\q\n", "backslash"), ("auth: challenge \\q\n", "backslash"),
       ("auth: challenge " + 9217 * "x" + "\n", "too long"), ("auth: mechanisms plain\n", "has not the form"), ("auth: mechanisms PLAIN,LOGIN\n", "has not the form"), ("auth: mechanisms " + 21 * "A" + "\n", "has not the form"),
       ("auth: mechanisms" + 33 * " A" + "\n", "too many mechanisms"), ("auth: mechanisms" + 20 * (" " + 20 * "A") + "\n", "too many mechanisms"), ("auth: jane\nmax_errors = 3\n", "at the top"), ("auth: mechanisms PLAIN\nmax_errors = 3\n", "at the top"))
for text, what in BAD:
    line = text.count("\n")
    status, out = replay("-f", CONF, write("bad.smtp", text, 0o644))
    ok(status == 64 and f"bad.smtp:{line}: " in out and what in out and out.endswith("0 passed, 1 failed\n"), f"a bad transcript: {text[:60]!r}", (status, out))
for mode in MODES:
    status, out = replay("-f", CONF, *mode, write("forged.smtp", "auth = dovecot:/x\nS: 220\n", 0o644))
    ok(status == 64 and "forged.smtp:1: " in out and "--trust" in out, f"a transcript with auth =: 64 {mode}", (status, out))
    status, out = replay("-f", CONF, *mode, write("required.smtp", "auth_required = yes\nS: 220\n", 0o644))
    ok(status == 64 and "required.smtp:1: auth_required" in out, f"auth_required where nobody checks logins: 64 {mode}", (status, out))
    equal(replay("-f", CONF, *mode, write("required.smtp", "auth_required = yes\nS: 220\nauth: none\n", 0o644))[0], 0, f"auth_required where the transcript tells of logins {mode}")

# What differs, in both modes alike.
DIFFER = (
    (PLAIN + "auth: jane\nS: 235\n", ""),
    (PLAIN + "auth: \\x6eone\nS: 235\nC: QUIT\nS: 221\n", ""),
    (PLAIN + "auth: wrong\nS: 235\n", "6:\n- 235\n+ 535 5.7.8 Authentication failed\n"),
    (PLAIN + "auth: jane\nauth: bob\nS: 235\n", "7:\n- (a step of a login)\n+ (none)\n".replace("7:", "6:")),
    (PLAIN + "auth: none\nS: 535\n", "6:\n- (no step of a login)\n+ AUTH PLAIN\n"),
    (PLAIN + "auth: challenge a\nS: 334 YQ==\nC: Yg==\nS: 535\n", "8:\n- (no step of a login)\n+ CONT\n"),
    (START + "auth: jane\nC: NOOP\nS: 250\n", "4:\n- (a step of a login)\n+ (none)\n"),
    (START + "C: AUTH CRAM-MD5\nauth: jane\nS: 504\n", "5:\n- (a step of a login)\n+ (none)\n"),
    (PLAIN + "auth: challenge a\nS: 334 YQ==\nC: *\nS: 501\n", ""),
    (PLAIN + "auth: challenge a\nS: 334 Yg==\n", "6:\n- 334 Yg==\n+ 334 YQ==\n"),
    (PLAIN + f"auth: challenge {9216 * 'x'}\nS: 334 {3072 * 'eHh4'}\nC: {12288 * 'A'}\nauth: jane\nS: 235\n", ""),
    (PLAIN + f"auth: challenge x\nS: 334\nC: {12289 * 'A'}\nS: 500 5.5.6\nC: NOOP\nS: 250\n", ""),
    (PLAIN + "auth: jane\nS: 235\nC: MAIL FROM:<a@example.org>\nS: 250\nC: RCPT TO:<b@example.org>\nS: 250\nC: DATA\nS: 354\nC: From: a\n" + 1300 * f"C: X-A: {900 * 'x'}\n" + "C:\nC: .\nS: 552 5.3.4\nD: none\n", ""),
    ("auth: mechanisms PLAIN\nauth: mechanisms LOGIN\n" + START.replace("S: 250\n", "S: has AUTH LOGIN\n"), ""),
    ("auth: mechanisms SCRAM-SHA-256-PLUS EXTERNAL PLAIN\n" + START.replace("S: 250\n", "S: has AUTH PLAIN\n") + "C: AUTH EXTERNAL =\nS: 504\n", ""),
    ("auth: mechanisms SCRAM-SHA-256-PLUS EXTERNAL PLAIN\n" + START + "C: STARTTLS\nS: 220\nC: EHLO x\nS: has AUTH SCRAM-SHA-256-PLUS PLAIN\nC: AUTH SCRAM-SHA-256-PLUS biws\nauth: challenge r=a\nS: 334\nC: YQ==\nauth: jane\nS: 235\n", ""),
)
for text, expected in DIFFER:
    said = {}
    for mode in ([], ["--in-process"], ["-o", "sandbox=no"], ["--chunk", "1"]):
        path = write("differ.smtp", text, 0o644)
        status, out = replay("-f", CONF, *mode, path)
        said[" ".join(mode)] = (status, out.replace(path + ":", "").replace(" different\n", "").replace(" ok\n", ""))
    equal(said, {m: (int(expected != ""), expected + f"{int(expected == '')} passed, {int(expected != '')} failed\n") for m in said}, f"what differs: {text[:40]!r} ... {text[-60:]!r}")

# Each line of the transcripts is a test: it is red when it says something else, or is not there.
def conf_of(path): return os.path.join(SOURCE, "docs/examples/example.conf") if "examples" in path else os.path.join(HERE, "common.conf")

for path in sorted(glob.glob(HERE + "/auth_*.smtp") + glob.glob(HERE + "/submission_*.smtp") + [SOURCE + "/docs/examples/submission.smtp"]):
    lines, green, block = open(path).read().split("\n"), [], False
    for i, line in enumerate(lines):
        words = line.split(" ", 2)
        block = (block or line == "D<<") and line != ">>D"
        if line in ("S: end", "S: 250") or words[0] not in ("auth:", "S:", "D:") and not (block and line and line != "D<<") or words[1:2] == ["none"] or words[1:2] == ["mechanisms"]: continue
        if words[0] == "S:" and words[1] == "has": wrong = line.replace("AUTH", "AUTHX") if "AUTH" in line else line + "X"
        elif words[0] == "S:": wrong = "S: " + ("5" if line[3] != "5" else "2") + line[4:]
        elif words[0] == "auth:": wrong = f"{line}\nauth: {'later' if words[1] != 'later' else 'wrong'}"
        elif line.endswith("..."): wrong = line[:-3] + "x"
        else: wrong = line + "x"
        changed = lines[:i] + [wrong] + lines[i + 1:]
        if replay("-f", conf_of(path), "--in-process", write("changed.smtp", "\n".join(changed), 0o644), cwd=HERE)[0] != 1: green.append(line)
    ok(green == [], f"{os.path.basename(path)}: each line that is changed makes it red", green)

# A real server is asked where the transcript does not tell of logins.
check = write("checkpassword", "#!" + sys.executable + "\nimport os, sys\nuser, password = os.read(3, 512).split(b'\\0')[:2]\nif user == b'later': sys.exit(111)\nif (user, password) != (b'alice', b'Rabbit-Hole-9876'): sys.exit(1)\nos.execvp(sys.argv[1], sys.argv[1:])\n")
REAL = ("-o", f"auth=checkpassword:{check}", "-o", "auth_failure_delay=0")
right, wrong = (base64.b64encode(f"\0alice\0{p}".encode()).decode() for p in ("Rabbit-Hole-9876", "x"))
for mode in MODES:
    text = START.replace("S: 250\n", "S: has AUTH PLAIN LOGIN\n") + f"C: AUTH PLAIN {wrong}\nS: 535\nC: AUTH PLAIN {right}\nS: 235\n"
    equal(replay("-f", CONF, *REAL, *mode, write("real.smtp", text, 0o644))[0], 0, f"without auth: lines the real one is asked {mode}")
    equal(replay("-f", CONF, *REAL, *mode, write("real.smtp", text.replace("S: 535", "auth: bob\nS: 235").replace(f"\nC: AUTH PLAIN {right}\nS: 235", ""), 0o644))[0], 0, f"with them it is not {mode}")
    equal(replay("-f", CONF, *mode, write("none.smtp", START + "C: AUTH PLAIN AGEAYg==\nS: 500\n", 0o644))[0], 0, f"neither: no AUTH {mode}")
    start = time.monotonic()
    equal(replay("-f", CONF, *mode, write("hangs.smtp", PLAIN + "auth: hangs\nS: 454\n", 0o644))[0], 0, f"auth: hangs {mode}")
    ok(0.9 < time.monotonic() - start < 8, f"auth: hangs waits for a second {mode}")
equal(replay("-f", CONF, "-o", "auth_timeout=300ms", write("hangs.smtp", PLAIN + "auth: hangs\nS: 454\n", 0o644))[0], 0, "auth: hangs, and a time of somebody's own")
if os.geteuid() == 0:
    store = os.path.join(TMP, "store"); os.mkdir(store); os.chmod(store, 0o777)
    os.chmod(work, 0o755)
    delivered = write("delivered.smtp", PLAIN + "auth: jane\nS: 235\nC: MAIL FROM:<a@example.com>\nS: 250\nC: RCPT TO:<b@example.org>\nS: 250\nC: DATA\nS: 354\nC: .\nD: env SASL_USERNAME=jane\nS: 250\n", 0o644)
    status, out = replay("-f", CONF, "--deliver", "-o", "user=nobody", "-o", f'deliver=/bin/sh -c "echo $$SASL_USERNAME >{store}/m"', delivered)
    ok(status == 0 and open(f"{store}/m").read() == "jane\n", "--deliver as another user, and a stand-in for logins", out)


# Recordings ------------------------------------------------------------------------------------------------------------------
PASSWORD, USER = "Rabbit-Hole-9876", "alice"
SECRETS = [PASSWORD, "Tr0mbone-Kiwi-5713", "secret"]


def forms(secret):
    """Pieces of it that must not be found: of itself, and of its base64 wherever it begins there."""
    texts = [secret]
    for before in range(3):
        encoded = base64.b64encode(before * b"\0" + secret.encode()).decode().rstrip("=")
        texts.append(encoded[-(-before * 8 // 6):-1])
    return {t[i:i + 5] for t in texts for i in range(len(t) - 4)}


PIECES = set().union(*(forms(s) for s in SECRETS[:2]))


def found(text):
    joined = re.sub(r"\n(?:#.*\n|S: .*\n|auth: .*\n)*(?:C[:!] ?)", "", text)
    return sorted(p for p in PIECES if p in text or p in joined or p in text.replace(" ", ""))


equal([bool(found("C: " + x)) for x in (right, base64.b64encode(PASSWORD.encode()).decode(), "x" + PASSWORD, "C! Rab\nC! bit-Hole", "xxxxxxxxxxxx")], [True, True, True, True, False], "this test would find a password")


def recording():
    for _ in range(200):
        files = [os.path.join(traces, f) for f in os.listdir(traces)]
        if len(files) == 1 and "# ended by" in open(files[0], errors="replace").read(): break
        time.sleep(0.05)
    return files[0], open(files[0]).read()


def replays(f, text, what, settings=None, modes=([], ["--in-process"], ["--chunk", "1"], ["-o", "sandbox=no"])):
    same = [w for k, v in {"tls": "off", **(settings or {})}.items() if k in ("tls", "auth_plaintext") for w in ("-o", f"{k}={v}")]
    equal(found(text), [], f"{what}: nothing of a password in the recording") or print("#", text.replace("\n", "\n# "))
    for mode in modes:
        status, out = replay("-f", CONF, *same, *mode, f)
        equal((status, out.count("\n")), (0, 2), f"{what}: replays green {' '.join(mode)}") or print("#", out.replace("\n", "\n# "), text.replace("\n", "\n# "))


SETTINGS = {"trace": traces, "log": "none", "deliver": "/bin/true", "auth": f"checkpassword:{check}", "auth_plaintext": "yes", "auth_failure_delay": "0"}


class Listener(threading.Thread):
    """smtpin for one connection of a client's, on a port."""
    def __init__(self, settings):
        super().__init__(daemon=True)
        clear(traces)
        self.settings = settings
        self.socket = socket.create_server(("127.0.0.1", 0)); self.socket.settimeout(60)
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        c, _ = self.socket.accept()
        with self.socket, c: subprocess.run(arguments(self.settings), stdin=c, stdout=c, stderr=subprocess.DEVNULL, timeout=60)


message = os.path.join(TMP, "m"); open(message, "wb").write(b"Subject: x\r\n\r\ntext\r\n")


def by_smtplib(port, user, password, method, tls=False):
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as s:
        if tls:
            c = ssl.create_default_context(); c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
            s.starttls(context=c)
        s.ehlo()
        s.user, s.password = user, password
        try: s.auth(method, getattr(s, "auth_" + method.lower()), initial_response_ok=method == "PLAIN")
        except smtplib.SMTPAuthenticationError: return
        s.sendmail("alice@example.org", ["joe@someplace.org"], "Subject: x\r\n\r\ntext\r\n")


def run(*words): return lambda port, user, password, method: subprocess.run([w.format(port=port, user=user, password=password, method=method) for w in words], capture_output=True, timeout=60)


CLIENTS = {
    "smtplib": by_smtplib,
    "smtplib in TLS": lambda *a: by_smtplib(*a, tls=True),
    "swaks": run("swaks", "--server", "127.0.0.1", "--port", "{port}", "--from", "alice@example.org", "--to", "joe@someplace.org", "--auth", "{method}", "--auth-user", "{user}", "--auth-password", "{password}", "--data", "@" + message),
    "swaks in TLS": run("swaks", "-tls", "--server", "127.0.0.1", "--port", "{port}", "--from", "alice@example.org", "--to", "joe@someplace.org", "--auth", "{method}", "--auth-user", "{user}", "--auth-password", "{password}", "--data", "@" + message),
    "curl": run("curl", "-sS", "smtp://127.0.0.1:{port}", "--login-options", "AUTH={method}", "--user", "{user}:{password}", "--mail-from", "alice@example.org", "--mail-rcpt", "joe@someplace.org", "--upload-file", message),
    "curl --sasl-ir": run("curl", "-sS", "--sasl-ir", "smtp://127.0.0.1:{port}", "--login-options", "AUTH={method}", "--user", "{user}:{password}", "--mail-from", "alice@example.org", "--mail-rcpt", "joe@someplace.org", "--upload-file", message),
}
for name, client in CLIENTS.items():
    if name.split()[0] != "smtplib" and not have(name.split()[0]): skip(f"recording {name}", f"no {name.split()[0]}"); continue
    if "TLS" in name and not os.path.exists(TLS): skip(f"recording {name}", "this build has no smtpin-tls"); continue
    for method in ("PLAIN", "LOGIN"):
        for user, password, answer in ((USER, PASSWORD, "auth: alice\nS: 235"), (USER, SECRETS[1], "auth: wrong\nS: 535"), ("later", PASSWORD, "auth: later\nS: 454")):
            for sandbox in ("yes", "no"):
                more = {"tls": "may", "tls_command": TLS, "tls_service": "no", "tls_certificate": "self-signed", "auth_plaintext": "no"} if "TLS" in name else {}
                listener = Listener({**SETTINGS, **more, "sandbox": sandbox})
                client(listener.port, user, password, method)
                listener.join(60)
                f, text = recording()
                what = f"{name}, {method}, {answer[6:11]}, sandbox {sandbox}"
                ok(f"\nauth: mechanisms PLAIN LOGIN\n" in text and f"{answer} " in text and re.search(rf"(?m)^C: AUTH {method}( x+)?$", text), f"{what}: the recording tells of the login", text)
                replays(f, text, what, more, ([], ["--in-process"]))


def record(data, settings=None):
    clear(traces)
    out, err, status = pipe(data, {**SETTINGS, **(settings or {})})
    f, text = recording()
    return f, text, out


def b64(s): return base64.b64encode(s.encode() if isinstance(s, str) else s)


EHLO, SECRET = b"EHLO x\r\n", PASSWORD.encode()
initial = b"AUTH PLAIN " + right.encode() + b"\r\n"
asked = b"AUTH LOGIN\r\n" + b64(USER) + b"\r\n" + b64(PASSWORD) + b"\r\n"
for what, data, lines in (
    ("mechanism in small letters", EHLO + b"auth plain " + right.encode() + b"\r\nQUIT\r\n", ["C: auth plain " + len(right) * "x"]),
    ("blanks at the end", EHLO + initial[:-2] + b"  \r\nQUIT\r\n", ["auth: alice"]),
    ("an empty initial response", EHLO + b"AUTH LOGIN =\r\n*\r\nQUIT\r\n", ["C: AUTH LOGIN =", "C: *"]),
    ("cancelled", EHLO + b"AUTH LOGIN\r\n" + b64(USER) + b"\r\n*\r\nNOOP\r\n" + asked + b"QUIT\r\n", ["C: *", "C: NOOP", "auth: challenge Username:", "S: 334 VXNlcm5hbWU6", "auth: alice"]),
    ("the password where the base64 should be", EHLO + b"AUTH PLAIN " + SECRET + b"\r\nAUTH LOGIN\r\n" + SECRET + b"\r\nAUTH LOGIN\r\n" + b64(USER) + b"\r\n" + SECRET + b"\r\nAUTH LOGIN\r\n" + SECRET[:8] + b"\r\nQUIT\r\n", [f"C: AUTH PLAIN {15 * 'x'}!"]),
    ("no mechanism", EHLO + b"AUTH " + right.encode() + b"\r\nAUTH " + SECRET + b"\r\nAUTH\r\nQUIT\r\n", [f"C: AUTH {len(right) * 'x'}", "C: AUTH"]),
    ("a mechanism of nobody's", EHLO + b"AUTH X-" + SECRET + b" " + right.encode() + b"\r\nAUTH CRAM-MD5\r\nQUIT\r\n", ["C: AUTH CRAM-MD5"]),
    ("pipelined behind a refusal", b"AUTH LOGIN\r\n" + b64(USER) + b"\r\n" + b64(PASSWORD) + b"\r\n" + EHLO + b"QUIT\r\n", ["C: AUTH LOGIN"]),
    ("too long", EHLO + b"AUTH LOGIN\r\n" + 1000 * b64(PASSWORD) + b"\r\nNOOP\r\nAUTH PLAIN " + 1000 * b64(PASSWORD) + b"\r\nQUIT\r\n", ["C: NOOP"]),
    ("a long response", EHLO + b"AUTH LOGIN\r\n" + 500 * b64(PASSWORD[:9]) + b"\r\nQUIT\r\n\r\n", []),
    ("bare line ends", EHLO + b"AUTH LOGIN\r\n" + b64(PASSWORD) + b"\n" + b64(USER) + b"\r" + b64(PASSWORD) + b"\r\n" + b64(PASSWORD) + b"\r\nQUIT\r\n", []),
    ("bare line ends in AUTH", EHLO + initial.replace(b"\r\n", b"\n") + initial.replace(b"\r\n", b"\rx") + b"NOOP\rx" + initial + b"QUIT\r\n", []),
    ("a bare CR before AUTH", b"NOOP\rxAUTH PLAIN " + right.encode() + b"\r\nNOOP\rA" + initial + b"QUIT\r\n", []),
    ("control octets", EHLO + b"AUTH PLAIN\t" + right.encode() + b"\r\nAUTH PLAIN " + right[:8].encode() + b"\x00" + right[8:].encode() + b"\r\nAUTH LOGIN\r\n" + b64(PASSWORD) + b"\x7f\r\nQUIT\r\n", []),
    ("commands within a login", EHLO + b"AUTH LOGIN\r\nQUIT\r\nRCPT TO:<" + SECRET + b">\r\nAUTH LOGIN\r\nHELP " + SECRET + b"\r\nQUIT\r\n", []),
    ("AUTH twice, and in a transaction", EHLO + initial + initial + b"MAIL FROM:<a@example.org>\r\n" + initial + b"QUIT\r\n", []),
    ("a login, and mail", EHLO + asked + ENVELOPE.split(b"\r\n", 1)[1] + b"Subject: x\r\n\r\n.\r\nQUIT\r\n", ["auth: alice"]),
    ("too many", EHLO + 4 * (b"AUTH PLAIN " + wrong.encode() + b"\r\n"), ["auth: wrong"])):
    for sandbox in ("yes", "no"):
        f, text, out = record(data, {"sandbox": sandbox})
        ok(all(f"\n{l}\n" in text for l in lines), f"{what}, sandbox {sandbox}: the recording has its lines", (lines, text))
        replays(f, text, f"{what}, sandbox {sandbox}")
f, text, out = record(initial + initial, {"auth": "", "auth_plaintext": "no"})
replays(f, text, "where there is no AUTH", {"auth_plaintext": "no"})
everything, worst = EHLO + b"AUTH LOGIN =\r\n" + b64(USER) + b"\r\n" + b64(PASSWORD) + b"\r\n", []
for data in (EHLO + initial, everything):
    for cut in range(len(EHLO), len(data)): # where it ends there, or is parted there
        for rest in (b"", b"\r\n", b"\n", b"\rx" + data[cut:], b"\r\n" + data[cut:]):
            f, text, out = record(data[:cut] + rest, {"sandbox": "no"})
            if found(text): worst.append((data[:cut], rest, text))
            elif cut % 16 == 0 and tuple(replay("-f", CONF, "-o", "tls=off", *mode, f)[0] for mode in MODES) != (0, 0): worst.append((data[:cut], rest, text, "not green"))
equal(worst[:3], [], "wherever a line is parted, nothing of a password is written down, and it replays")


class Dovecot(threading.Thread):
    """Speaks as Dovecot, with a mechanism that has challenges of its own; says `answers`, whatever it is asked."""
    def __init__(self, mechanism, answers):
        super().__init__(daemon=True)
        self.path, self.mechanism, self.answers = os.path.join(TMP, "dovecot"), mechanism, list(answers)
        if os.path.exists(self.path): os.unlink(self.path)
        self.socket = socket.socket(socket.AF_UNIX); self.socket.bind(self.path); os.chmod(self.path, 0o666); self.socket.listen(5); self.socket.settimeout(60)
        self.start()

    def run(self):
        c, _ = self.socket.accept()
        with self.socket, c, c.makefile("rb") as lines:
            c.sendall(b"VERSION\t1\t2\nMECH\t" + self.mechanism + b"\nSPID\t1\nCUID\t1\nCOOKIE\t0\nDONE\n")
            for line in lines:
                words = line.rstrip(b"\n").split(b"\t")
                if words[0] in (b"AUTH", b"CONT") and self.answers: c.sendall(self.answers.pop(0).replace(b"ID", words[1]) + b"\n")


server_first, server_final = b"r=abc" + SECRET + b",s=c2FsdA==,i=4096", b"v=" + b64(PASSWORD)
for sandbox in ("yes", "no"):
    for what, answers, said, lines in (
        ("a success", [b"CONT\tID\t" + b64(server_first), b"CONT\tID\t" + b64(server_final), b"OK\tID\tuser=none"], b"YQ==\r\n\r\n", [f"auth: challenge {len(server_first) * 'x'}", f"auth: challenge {len(server_final) * 'x'}", "auth: \\x6eone"]),
        ("a failure", [b"CONT\tID\t" + b64(server_first[:-1]), b"FAIL\tID\tuser=x"], b"YQ==\r\n", ["auth: wrong"]),
        ("no response", [b"CONT\tID\t", b"FAIL\tID\tcode=invalid_base64"], b"YQ==\r\n", ["auth: challenge", "S: 334\\x20", "auth: malformed"]),
        ("no answer", [b"CONT\tID\t" + b64(server_first[:-2]), b"FAIL\tID\ttemp"], b"YQ==\r\n", ["auth: later"])):
        d = Dovecot(b"SCRAM-SHA-256", answers)
        f, text, out = record(EHLO + b"AUTH SCRAM-SHA-256 " + b64("n,,n=alice,r=abc" + PASSWORD) + b"\r\n" + said + b"QUIT\r\n", {"sandbox": sandbox, "auth": f"dovecot:{d.path}"})
        d.join(60)
        ok(all(f"\n{l}\n" in text.replace("challenge \n", "challenge\n").replace("S: 334 \n", "S: 334\\x20\n") for l in ["auth: mechanisms SCRAM-SHA-256", *lines]), f"challenges, {what}, sandbox {sandbox}: their length is in the recording", text)
        replays(f, text, f"challenges, {what}, sandbox {sandbox}")

# A real Dovecot, and mechanisms that have challenges.
if not have("dovecot") or not have("msmtp"):
    skip("logins with a real Dovecot, recorded", "no dovecot or no msmtp")
else:
    from auth_peers import Dovecot as RealDovecot
    dovecot = RealDovecot(penalty=False)
    SECRETS[:] = ["Wonderful!Secret", "Tr0mbone-Kiwi-5713"]
    PIECES = set().union(*(forms(s) for s in SECRETS))
    for method in ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "XOAUTH2"):
        for password in SECRETS:
            for sandbox in ("yes", "no"):
                listener = Listener({**SETTINGS, "auth": f"dovecot:{dovecot.socket}", "sandbox": sandbox})
                p = subprocess.run(["msmtp", "--host=127.0.0.1", f"--port={listener.port}", f"--auth={method.lower()}", "--user=jane@example.org", f"--passwordeval=echo '{password}'", "--from=jane@example.org", "--tls=off", "joe@someplace.org"],
                                   input=b"Subject: x\n\ntext\n", capture_output=True, timeout=60)
                listener.join(60)
                f, text = recording()
                right = password == SECRETS[0]
                what = f"Dovecot, {method}, {'right' if right else 'wrong'}, sandbox {sandbox}"
                ok((p.returncode == 0) == right and ("\nauth: jane@example.org\nS: 235 " in text) == right and ("\nauth: wrong\nS: 535 " in text) != right and re.search(r"(?m)^auth: mechanisms PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256 XOAUTH2 OAUTHBEARER( APOP)?$", text), f"{what}: the recording tells of the login", (p.stderr, text))
                ok("c=biws" not in text and not re.search(r"(?m)^S: 334 (?!(eHh4)*(eHg=|eA==)?$|VXNlcm5hbWU6$|UGFzc3dvcmQ6$)", text), f"{what}: no challenge but those of LOGIN", text)
                replays(f, text, what, modes=([], ["--in-process"]))
    dovecot.end()

# Nothing is left behind.
equal(os.listdir(work), [], "no directory is left")
for _ in range(100):
    left = processes(TMP.encode())
    if not left: break
    time.sleep(0.1)
equal(left, [], "no process is left")
done()
