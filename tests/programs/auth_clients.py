"""Real clients that log in with a real Dovecot, inside TLS that begins with STARTTLS and from the first octet on, with and without the sandbox: right, and wrong."""
import concurrent.futures, itertools, json, smtplib, urllib.parse
from harness import *
from tls_peers import *
from auth_peers import *

if not os.path.exists(TLS): skip("logins of real clients", "this build has no smtpin-tls"); done()
if not have("dovecot"): skip("logins of real clients", "no dovecot"); done()
directory, deliver = taker()
USER, PASSWORD = "jane@example.org", "Wonderful!Secret"
BODY = b"From: jane@example.org\r\nTo: b@elsewhere.example\r\nSubject: test\r\nMessage-ID: <1@example.org>\r\nDate: Mon, 23 Nov 2026 00:00:00 +0000\r\n\r\ntext\r\n"
MESSAGE = os.path.join(TMP, "message")
with open(MESSAGE, "wb") as f: f.write(BODY)
LF = BODY.replace(b"\r\n", b"\n")
number = itertools.count(1)
TO = "b@elsewhere.example"  # whom nobody may write to but those who have logged in


class Attempt:
    def __init__(self, client, mechanism, implicit, sandbox, right=True, initial=True):
        self.client, self.mechanism, self.implicit, self.right, self.initial = client, mechanism, implicit, right, initial
        self.server = servers[sandbox]
        self.port = self.server.port["submissions" if implicit else "smtp"]
        self.sender = f"s{next(number)}@example.com"
        self.certificate = CLIENT if mechanism == "EXTERNAL" else None
        self.user = "client.example.com" if mechanism == "EXTERNAL" else USER
        self.token = mechanism in ("XOAUTH2", "OAUTHBEARER")
        self.secret = "wrong" if not right else token(USER, KEY) if self.token else PASSWORD
        self.title = f"{client}, {mechanism}{'' if initial else ' without an initial response'}, {'implicit' if implicit else 'STARTTLS'}, sandbox = {sandbox}, {'right' if right else 'wrong'}"


# ---- Each client: its command, and what it reads. Or it runs itself, and says nothing.
def swaks(a):
    return ["swaks", "--server", "127.0.0.1", "--port", str(a.port), "--from", a.sender, "--to", TO, "--helo", "client.example.com", "--data", "@" + MESSAGE, "--tlsc" if a.implicit else "--tls",
            "--auth", a.mechanism, "--auth-user", a.user, "--auth-password", a.secret], None


def curl(a):
    return ["curl", "-sS", f"smtp{'s' if a.implicit else ''}://{HOST}:{a.port}/client.example.com", "--resolve", f"{HOST}:{a.port}:127.0.0.1", "--ssl-reqd", "--cacert", CA[0], "--login-options", "AUTH=" + a.mechanism, *(["--sasl-ir"] if a.initial else []),
            *(["--user", f"{a.user}:", "--oauth2-bearer", a.secret] if a.token else ["--user", f"{a.user}:", "--cert", CLIENT[0], "--key", CLIENT[1]] if a.certificate else ["--user", f"{a.user}:{a.secret}"]),
            "--mail-from", a.sender, "--mail-rcpt", TO, "--upload-file", MESSAGE], None


def msmtp(a):
    return ["msmtp", "--host=127.0.0.1", f"--port={a.port}", "--from=" + a.sender, "--auth=" + a.mechanism.lower(), "--user=" + a.user, f"--passwordeval=echo '{a.secret}'", "--tls=on", f"--tls-starttls={'off' if a.implicit else 'on'}", "--tls-certcheck=off",
            "--domain=client.example.com", *([f"--tls-cert-file={CLIENT[0]}", f"--tls-key-file={CLIENT[1]}"] if a.certificate else []), TO], LF


def with_smtplib(a):
    context = client_context(verify=False)
    with (smtplib.SMTP_SSL("127.0.0.1", a.port, "client.example.com", timeout=30, context=context) if a.implicit else smtplib.SMTP("127.0.0.1", a.port, "client.example.com", timeout=30)) as s:
        if not a.implicit: s.starttls(context=context)
        s.ehlo()
        s.user, s.password = a.user, a.secret
        s.auth(a.mechanism, getattr(s, "auth_" + a.mechanism.lower().replace("-", "_")), initial_response_ok=a.initial)
        s.sendmail(a.sender, [TO], BODY)


NODE = write("send.js", """const o = JSON.parse(process.argv[2]);
require('nodemailer').createTransport(o.transport).sendMail({envelope: {from: o.from, to: [o.to]}, raw: require('fs').readFileSync(o.file)}, e => { if (e) { console.error(e); process.exit(1); } });
""", 0o644)


def nodemailer(a):
    transport = {"host": "127.0.0.1", "port": a.port, "secure": a.implicit, "requireTLS": not a.implicit, "name": "client.example.com", "tls": {"rejectUnauthorized": False}, "authMethod": a.mechanism,
                 "auth": {"type": "OAuth2", "user": a.user, "accessToken": a.secret} if a.token else {"user": a.user, "pass": a.secret}}
    return ["node", NODE, json.dumps({"transport": transport, "from": a.sender, "to": TO, "file": MESSAGE})], None


def s_nail(a):  # what it calls OAUTHBEARER is XOAUTH2
    quoted = urllib.parse.quote(a.user, "") + (":" + urllib.parse.quote(a.secret, "") if not a.certificate else "")
    return ["s-nail", "-:/", "-Snosave", "-Sv15-compat", "-Sttycharset=utf-8", "-Ssendwait", "-Stls-verify=ignore", "-Shostname=client.example.com", f"-Smta=smtp{'s' if a.implicit else ''}://{quoted}@127.0.0.1:{a.port}",
            "-Ssmtp-auth=" + ("oauthbearer" if a.token else a.mechanism.lower()), *([] if a.implicit else ["-Ssmtp-use-starttls"]), *([f"-Stls-config-pairs=Certificate={CLIENT[0]},PrivateKey={CLIENT[1]}"] if a.certificate else []), "-r", a.sender, "-s", "test", TO], b"text\n"


CLIENTS = {
    swaks: ("swaks", "swaks", ("PLAIN", "LOGIN", "CRAM-MD5")),
    curl: ("curl", "curl", ("PLAIN", "LOGIN", "CRAM-MD5", "OAUTHBEARER", "EXTERNAL")),
    msmtp: ("msmtp", "msmtp", ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER", "EXTERNAL")),
    with_smtplib: ("smtplib", None, ("PLAIN", "LOGIN", "CRAM-MD5")),
    nodemailer: ("nodemailer", "node", ("PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2")),
    s_nail: ("s-nail", "s-nail", ("PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2", "EXTERNAL")),
}
NODE_PATH = next((p for p in (PEERS + "/node-nodemailer/usr/share/nodejs", "/usr/share/nodejs") if os.path.isdir(p + "/nodemailer")), None)


def run(a, command, data):
    try:
        p = subprocess.run(command, input=data, stdin=subprocess.DEVNULL if data is None else None, capture_output=True, timeout=60, env={**os.environ, "NODE_PATH": NODE_PATH or "", "HOME": TMP})
        return p.returncode, (p.stdout + p.stderr).decode(errors="replace")
    except subprocess.TimeoutExpired as e: return "hangs", (e.stdout or b"")[-500:]


def attempt(a):
    """None, or what is wrong."""
    try:
        given = a.go(a)
        status, said = run(a, *given) if given else (0, "")
    except Exception as e: status, said = "exception", repr(e)
    if not a.right:
        env, _ = environment_of(directory, a.sender)
        return None if status not in (0, "hangs") and env is None else (a.title, "is not refused", status, said)
    if status != 0: return a.title, status, said[-400:]
    end = time.monotonic() + 20
    while time.monotonic() < end:
        env, message = environment_of(directory, a.sender)
        if env: break
        time.sleep(0.05)
    if not env: return a.title, "no message", said[-400:]
    expected = {"SASL_USERNAME": a.user, "SASL_METHOD": a.mechanism, "CLIENT_PROTOCOL": "ESMTPSA"}
    wrong = {k: (v, env.get(k)) for k, v in expected.items() if env.get(k) != v}
    if wrong: return a.title, wrong
    if b" with ESMTPSA id " not in message: return a.title, message[:500]
    record = a.server.records(" session ", f"session={env['SMTPIN_ID'].rsplit('-', 1)[0]}", "milliseconds=")
    if len(record) != 1 or f" sasl_username={a.user} sasl_method={a.mechanism} " not in record[0]: return a.title, record
    return None


# ---- gsasl logs in, and has no mail: its session's record tells.
def gsasl(server, mechanism, user, password):
    p = subprocess.run(["gsasl", "--client", "--smtp", "--verbose", *([] if mechanism.endswith("-PLUS") else ["--no-cb"]), f"--connect=127.0.0.1:{server.port['smtp']}", "--mechanism=" + mechanism, "--authentication-id=" + user, "--password=" + password, "--hostname=localhost", "--service=smtp", "--x509-ca-file="],
                       input=b"QUIT\r\n", capture_output=True, timeout=60, env={**os.environ, "HOME": TMP})
    # Its exit status is that of what it has sent behind its login.
    said = (p.stdout + p.stderr).decode(errors="replace")
    return next((c for c in ("235", "535") if f"\n{c} " in said), None), said


dovecot = Dovecot(penalty=False)
servers = {sandbox: Server({"deliver": deliver, "sandbox": sandbox, "auth": "dovecot:" + dovecot.socket, "tls_ask_certificate": "yes", "auth_failure_delay": "0", "max_auth_errors": "100"}) for sandbox in ("yes", "no")}
turn = itertools.cycle(("yes", "no"))
for go, (name, needs, mechanisms) in CLIENTS.items():
    if go is nodemailer and not NODE_PATH: skip(name, "node-nodemailer is not installed (Debian: node-nodemailer)"); continue
    if needs and not have(needs): skip(name, f"no {needs}"); continue
    work = [Attempt(name, m, implicit, sandbox) for m in mechanisms for implicit, sandbox in ((False, "yes"), (True, "no"), *(((False, "no"), (True, "yes")) if m == "PLAIN" else ()))]
    work += [Attempt(name, m, implicit, next(turn), right=False) for m in mechanisms if m != "EXTERNAL" for implicit in (False, True)]
    if go in (curl, with_smtplib): work += [Attempt(name, m, False, next(turn), right, initial=False) for m in ("PLAIN", "LOGIN") for right in (True, False)]
    for a in work: a.go = go
    with concurrent.futures.ThreadPoolExecutor(4) as pool: broken = [r for r in pool.map(attempt, work) if r]
    ok(not broken, f"{name}: {len(work)} logins by {', '.join(mechanisms)}; the right ones have their message, and the facts", "\n".join(repr(b)[:1500] for b in broken[:6]))
    clear(directory)

if have("gsasl"):
    for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"):
        for password, right in ((PASSWORD, True), ("wrong", False)):
            server = servers[next(turn)]
            status, said = gsasl(server, mechanism, USER, password)
            ok(status == ("235" if right else "535"), f"gsasl: {mechanism}, {'right' if right else 'wrong'}", said)
    # Dovecot 2.4 binds the login to the TLS session: here a server of the test's own speaks as that one does.
    for sandbox in ("yes", "no"):
        s = StandIn(serve_24)
        bound = Server({"deliver": deliver, "sandbox": sandbox, "auth": "dovecot:" + s.path, "auth_failure_delay": "0"})
        for password, right in (("secret", True), ("wrong", False)):
            status, said = gsasl(bound, "SCRAM-SHA-256-PLUS", "jane", password)
            ok(status == ("235" if right else "535"), f"gsasl: SCRAM-SHA-256-PLUS, sandbox = {sandbox}, {'right' if right else 'wrong'}", said)
        ok(bound.records("sasl_username=jane sasl_method=SCRAM-SHA-256-PLUS"), "and its record", bound.said())
        ok(any("\tchannel_binding=" in l for l in s.heard), "the server has heard of the TLS session", s.heard)
        equal(bound.end(), 0, "the listening process ends"); s.end()
else: skip("gsasl", "no gsasl")

for sandbox, server in servers.items():
    said = server.said()
    ok(PASSWORD not in said and b64(PASSWORD) not in said and plain(USER, PASSWORD) not in said, f"sandbox = {sandbox}: no password is in the log")
    ok("crash" not in said, f"sandbox = {sandbox}: no session has crashed", [l for l in said.splitlines() if "crash" in l][:3])
    equal(server.end(), 0, f"sandbox = {sandbox}: the listening process ends")
equal(dovecot.bugs(), [], "nothing that Dovecot calls a bug")
dovecot.end()
done()
