"""docs/submission.md: its configurations with clients that log in inside TLS, its scripts and tables, the lines for other programs: a real Postfix, msmtp, cvm, inetd."""
import base64, glob, ssl, threading
from harness import *
import document
from next_server import NextServer

TLS = os.path.join(BUILD, "smtpin-tls")
PEERS = os.environ.get("SMTPIN_PEERS", "")
ROOT = os.geteuid() == 0
if not os.path.exists(TLS): skip("docs/submission.md", "this build has no smtpin-tls"); done(); sys.exit()
BLOCKS = list(document.blocks(SOURCE, "docs/submission.md"))
following = NextServer()
etc = os.path.join(TMP, "etc"); os.mkdir(etc); os.chmod(etc, 0o755)
SOCKET = os.path.join(TMP, "auth-client")


def block(language, word): return next(b for b in BLOCKS if b.language == language and word in b.text)


class Passwords(threading.Thread):
    """What Dovecot does with PLAIN and LOGIN: who has which password."""
    def __init__(self, users):
        super().__init__(daemon=True)
        self.users = users
        self.s = socket.socket(socket.AF_UNIX); self.s.bind(SOCKET); self.s.listen(); os.chmod(SOCKET, 0o777)
        self.start()

    def run(self):
        while True:
            c, _ = self.s.accept()
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        with c, c.makefile("rb") as f:
            c.sendall(b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t00\nDONE\n")
            for line in f:
                fields = line.decode().rstrip("\n").split("\t")
                if fields[0] != "AUTH": continue
                _, user, password = base64.b64decode(fields[-1].removeprefix("resp=")).decode().split("\0")
                c.sendall((f"OK\t{fields[1]}\tuser={user}\n" if self.users.get(user) == password else f"FAIL\t{fields[1]}\tuser={user}\n").encode())


Passwords({"jane@example.org": "secret", "joe@example.org": "secret"})


numbers = iter(range(100))


def configuration(text, **more):
    """The same with what this machine has."""
    for old, new in (("/etc/smtpin/", etc + "/"), ("/run/dovecot/auth-client", SOCKET), ("smtpin-lmtp -s 127.0.0.1:10025", f"{BUILD}/smtpin-lmtp -s 127.0.0.1:{following.port}"), ("/usr/local/bin/", etc + "/")): text = text.replace(old, new)
    text = re.sub(r"^tls_certificate = .*\n", "", text, flags=re.M)
    top, _, sections = text.partition("\n[")
    own = {"hostname": "mx.example.org", "tls_certificate": "self-signed", "tls_command": TLS, "tls_service": "no", "log": "stderr", "spool_dir": TMP, "auth_failure_delay": "0", "deliver": "/bin/true", **more}
    return write(f"{next(numbers)}.conf", top + "\n" + "".join(f"{k} = {v}\n" for k, v in own.items()) + ("\n[" + sections if sections else ""), 0o644)


def plain(user, password): return "AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()).decode()


JANE = plain("jane@example.org", "secret")
TEXT = "Subject: x\r\nFrom: jane@example.org\r\nBcc: secret@elsewhere.example\r\n\r\nx\r\n."


def letter(*recipients, sender="jane@example.org", text=TEXT): return [f"MAIL FROM:<{sender}>", *[f"RCPT TO:<{r}>" for r in recipients], "DATA", text]


def last(reply): return reply.decode().strip().split("\r\n")[-1] or "closed"


def talk(conf, items, name="submissions", before_tls=()):
    """(the last line of each reply behind EHLO's, EHLO's, the records) of a session inside TLS."""
    ours, theirs = socket.socketpair()
    p = subprocess.Popen([SMTPIN, "-f", conf, "-o", f"socket={name}", "-o", "client_address=192.0.2.7"], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE)
    theirs.close(); ours.settimeout(60)
    heard, hello = [], b""
    def say(to, line): to.sendall(line.encode() + b"\r\n"); return read_reply(to)
    try:
        if name == "submission":
            read_reply(ours); hello = say(ours, "EHLO phone.example.com")
            for i in before_tls: heard.append(last(say(ours, i)))
            heard.append(say(ours, "STARTTLS").decode().strip())
        with ssl._create_unverified_context().wrap_socket(ours) as s:
            if name == "submissions": read_reply(s)
            hello = say(s, "EHLO phone.example.com")
            for i in items: heard.append(last(say(s, i)))
            s.sendall(b"QUIT\r\n"); read_all(s)
    except OSError as e: heard.append(repr(e))
    finally: ours.close()
    return heard, hello.decode(), p.communicate(timeout=60)[1].decode()


def codes(heard): return [h[:3] for h in heard]


# The first hour: both ports.
first = block("conf", "[submission]")
conf = configuration(first.text)
p = subprocess.run([SMTPIN, "-f", conf, "--check"], capture_output=True, text=True, timeout=60)
ok(p.returncode == 0 and "clients are offered: PLAIN" in p.stdout, f"{first.where}: --check", p.stdout + p.stderr)
for name in ("submission", "submissions"):
    heard, hello, err = talk(conf, [JANE, *letter("joe@elsewhere.example", "bob@example.org")], name)
    got = following.take()
    ok(codes(heard)[-5:] == ["235", "250", "250", "250", "354"][-4:] + ["250"] or codes(heard)[-6:] == ["235", "250", "250", "250", "354", "250"], f"{first.where}: {name}: a login, mail to anybody", (heard, err))
    ok(len(got) == 1 and got[0][:2] == ("jane@example.org", ["joe@elsewhere.example", "bob@example.org"]), f"{first.where}: {name}: the next server has it", got)
    text = got[0][2].decode() if got else ""
    fields = re.findall(r"^([A-Za-z-]+):", text.split("\r\n\r\n")[0], re.M)
    equal(fields, ["Received", "Date", "Message-ID", "Subject", "From"], f"{first.where}: {name}: its header, without Bcc:")
    ok("with ESMTPSA" in text and "jane@example.org" not in text.split("Date:")[0], f"{first.where}: {name}: Received: tells of the login, but not whose", text)
    ok(all(f"{kind} " in err and re.search(rf"{kind} .*sasl_username=jane@example\.org sasl_method=PLAIN", err) for kind in ("transaction", "session")), f"{first.where}: {name}: both records have the login", err)
    heard, hello, err = talk(conf, ["MAIL FROM:<jane@example.org>", plain("jane@example.org", "wrong"), plain("joe", "secret"), plain("x", "y")], name)
    equal(codes(heard)[-4:], ["530", "535", "535", "421"], f"{first.where}: {name}: no login, wrong ones")
    heard, hello, err = talk(conf, [JANE, *letter("joe@elsewhere.example", text="Subject: x\r\n\r\nx\r\n.")], name)
    ok(heard[-1].startswith("554 5.6.0 Message has no From:"), f"{first.where}: {name}: no From:", heard)
    ok(following.take() == [], f"{first.where}: {name}: nothing of it has been sent")
heard, hello, err = talk(conf, [], "submission", before_tls=[JANE, "MAIL FROM:<jane@example.org>"])
equal(codes(heard)[:2], ["530", "530"], f"{first.where}: nothing outside TLS")
p = subprocess.run([SMTPIN, "-f", conf, "-o", "socket=smtp", "-o", "deliver=/bin/true"], input="EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<jane@example.org>\r\nRCPT TO:<x@elsewhere.example>\r\nQUIT\r\n", capture_output=True, text=True, timeout=60)
ok("AUTH" not in p.stdout and "\n250 2.1.5" in p.stdout and "\n550 5.7.1 Relaying" in p.stdout, f"{first.where}: port 25 is as it was", p.stdout)
# What becomes of a refusal.
heard, _, err = talk(conf, [JANE, *letter("gone@elsewhere.example"), *letter("joe@elsewhere.example", "gone@elsewhere.example")])
equal([h[:3] for h in heard if h[:3] in ("550", "451")], ["550", "451"], "smtpin-lmtp: the next server refuses the one; one of two")
following.take()

# A file of passwords.
b = block("conf", "cvm-checkpassword")
line = block("text", "jane:$6$").text
if not have("cvm-checkpassword") or not have("openssl"): skip(f"{b.where}: cvm", "no cvm-checkpassword (Debian: cvm), or no openssl")
else:
    hashed = subprocess.run(["openssl", "passwd", "-6", "secret"], capture_output=True, text=True, check=True).stdout.strip()
    write("etc/passwords", re.sub(r"\$6\$[^:]*", lambda m: hashed, line), 0o644)
    cvm = configuration(b.text)
    heard, hello, err = talk(cvm, [plain("jane", "wrong"), plain("joe", "secret"), plain("jane", "secret"), *letter("joe@elsewhere.example")])
    equal((codes(heard), "AUTH PLAIN LOGIN" in hello), (["535", "535", "235", "250", "250", "354", "250"], True), f"{b.where}: cvm-pwfile")
    following.take()
b = block("python", "check-login")
write("etc/tokens", "jane s3cret\njoe x\n", 0o644)
write("etc/check-login", b.text.replace("/etc/smtpin/", etc + "/").replace("/usr/bin/python3", sys.executable))
value = re.search(r"^# (auth = .*)$", b.text, re.M)[1]
own = configuration(f"domains = example.org\n[submissions]\n{value}\n")
heard, hello, err = talk(own, [plain("jane", "x"), plain("bob", "x"), plain("jane", "s3cret")])
equal(codes(heard), ["535", "535", "235"], f"{b.where}: a program of one's own")

# Own mail, and that of others.
b = block("sh", "deliver = /usr/local/bin/submit")
mail = os.path.join(TMP, "mail"); os.makedirs(mail)
write("etc/submit", b.text.replace("smtpin-maildir", MAILDIR).replace("/var/mail/smtpin", mail).replace("smtpin-lmtp", f"{BUILD}/smtpin-lmtp").replace("10025", str(following.port)))
settings = "".join(m + "\n" for m in re.findall(r"^# (deliver.* = .*)$", b.text, re.M))
split = configuration(f"domains = example.org\n[submissions]\nauth = dovecot:/run/dovecot/auth-client\n{settings}trace_headers = received\n")
heard, hello, err = talk(split, [JANE, *letter("Bob@Example.org", "joe@elsewhere.example"), *letter("gone@elsewhere.example")])
ok([h[:3] for h in heard][:7] == ["235", "250", "250", "250", "354", "250", "250"] and heard[-1].startswith("550"), f"{b.where}: mail for both, and a refusal", (heard, err))
ok([g[1] for g in following.take()] == [["joe@elsewhere.example"]] and len(glob.glob(mail + "/example.org/bob/new/*")) == 1, f"{b.where}: each is where it belongs")

# Whose senders.
b = block("conf", "sender_login")
table = block("text", "logins that may use it")
write("etc/sender_login", table.text, 0o644); os.utime(etc + "/sender_login", (0, 0))
owners = configuration(b.text)
JOE = plain("joe@example.org", "secret")
for login, sender, good in ((JANE, "jane@example.org", True), (JANE, "info@example.org", True), (JANE, "JANE@example.org", True), (JANE, "", True), (JANE, "joe@example.org", False), (JANE, "x@lists.example.org", False), (JANE, "jane@elsewhere.example", False), (JANE, "jane+shop@example.org", False),
                            (JOE, "x@lists.example.org", True), (JOE, "info+x@example.org", True), (JOE, "jane@example.org", False)):
    heard, _, err = talk(owners, [login, f"MAIL FROM:<{sender}>", "RCPT TO:<a@elsewhere.example>"])
    ok(heard[-1].startswith("250" if good else "550 5.7.1 Sender address belongs"), f"{table.where}: {base64.b64decode(login.split()[-1])[1:4].decode()} as {sender or '<>'}: {'yes' if good else 'no'}", heard)
p = subprocess.run([SMTPIN, "-f", owners, "-o", "socket=submissions", "--lookup", "sender_login", "info@example.org"], capture_output=True, text=True, timeout=60)
ok(p.returncode == 0 and p.stdout.startswith("info@example.org\tjane@example.org, joe@example.org\t"), f"{table.where}: --lookup", p.stdout + p.stderr)

# Other programs that send.
b = block("conf", "msmtprc")
rc = block("msmtprc", "account default")
if not have("msmtp"): skip(f"{b.where}: msmtp", "no msmtp (Debian: msmtp)")
else:
    provider, deliver = taker("provider")
    port = free_port()
    write("etc/provider", "#!/usr/bin/env python3\nimport os, sys\nsys.exit(0 if os.read(3, 512).split(b'\\0')[:2] == [b'example-org', b's3cret'] else 1)\n")
    up = configuration(f"domains = provider.example\n[submissions]\nauth = checkpassword:{etc}/provider\nauth_required = yes\n", deliver=deliver)
    listener = subprocess.Popen(["systemd-socket-activate", "--accept", "--inetd", "-l", f"127.0.0.1:{port}", SMTPIN, "-f", up, "-o", "socket=submissions"], stderr=subprocess.DEVNULL) if have("systemd-socket-activate") else None
    if not listener: skip(f"{b.where}: msmtp", "no systemd-socket-activate")
    else:
        for _ in range(200):
            try: socket.create_connection(("127.0.0.1", port)).close(); break
            except OSError: time.sleep(0.05)
        write("etc/msmtprc", rc.text.replace("smtp.provider.example", "127.0.0.1").replace("port 465", f"port {port}") + "tls_certcheck off\n", 0o600)
        heard, _, err = talk(configuration(b.text), [JANE, *letter("joe@elsewhere.example", "bob@elsewhere.example")])
        env = [dict(l.split("=", 1) for l in open(f"{provider}/{n}").read().split("\n") if "=" in l) for n in os.listdir(provider) if n.endswith(".env")]
        ok(heard[-1].startswith("250") and len(env) == 1 and (env[0]["SENDER"], env[0]["SASL_USERNAME"], env[0]["RECIPIENT_COUNT"], env[0]["CLIENT_PROTOCOL"]) == ("jane@example.org", "example-org", "2", "ESMTPSA"), f"{b.where}: msmtp: the provider has it", (heard, env, err))
        listener.terminate(); listener.wait(20)
        heard, _, err = talk(configuration(b.text), [JANE, *letter("joe@elsewhere.example")])
        ok(heard[-1].startswith("451"), "msmtp: the provider is down: 451", (heard, err))
b = block("sh", "nullmailer-queue")
shown = [l for l in b.text.split("\n") if l and not l.startswith("#")]
ok(len(shown) == 1 and shown[0].replace("\\n", "\\\\n") in open(os.path.join(SOURCE, "tests/programs/commands.py")).read(), f"{b.where}: tests/programs/commands.py runs this script with a real nullmailer-queue", shown)

b = block("postfix", "smtpd")
postfix = os.path.join(PEERS, "postfix/usr/lib/postfix")
if not (ROOT and PEERS and os.path.exists(postfix + "/sbin/master")): skip(f"{b.where}: Postfix", "needs root and Postfix unpacked")
else:
    from tls_peers import end_postfix, own_postfix
    port = free_port()

    def listens(_):
        try: socket.create_connection(("127.0.0.1", port)).close(); return True
        except OSError: return False
    master, queue, _, _ = own_postfix("postfix", """myhostname = mx.example.org
mydestination = example.org
local_recipient_maps =
defer_transports = smtp local
""", b.text.replace("10025", str(port)), listens)
    to_postfix = write("postfix-client.conf", open(conf).read().replace(f":{following.port}", f":{port}"), 0o644)
    heard, _, err = talk(to_postfix, [JANE, *letter("joe@elsewhere.example", "no-such-user@example.org")])
    log = open(queue + "/log").read() if os.path.exists(queue + "/log") else ""
    ok(heard[-1].startswith("250") and "queued as" in heard[-1], f"{b.where}: Postfix has it in its queue, for every recipient", (heard, err, log[-2000:]))
    ok("postfix/submitted/smtpd" in log, f"{b.where}: and logs it by this name", log[-2000:])
    end_postfix(master)

# inetd.
b = block("inetd", "submission stream")
inetd = next(iter(glob.glob(f"{PEERS}/openbsd-inetd/**/*bin/inetd", recursive=True) if PEERS else []), shutil.which("inetd"))
if not inetd or not ROOT: skip(f"{b.where}: inetd", "no inetd (Debian: openbsd-inetd)" if not inetd else "needs root")
else:
    import smtplib
    ports = {"submission": free_port(), "submissions": free_port()}
    lines = re.sub(r"^(\w+) stream", lambda m: f"127.0.0.1:{ports[m[1]]} stream", b.text, flags=re.M).replace(" smtpin /usr/sbin/smtpin smtpin", f" nobody {SMTPIN} smtpin -f {conf}")
    p = subprocess.Popen([inetd, "-i", write("inetd.conf", lines, 0o644)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for name, port in ports.items():
        for _ in range(200):
            try: socket.create_connection(("127.0.0.1", port)).close(); break
            except OSError: time.sleep(0.05)
        said = ""
        try:
            with smtplib.SMTP_SSL("127.0.0.1", port, timeout=60, context=ssl._create_unverified_context()) if name == "submissions" else smtplib.SMTP("127.0.0.1", port, timeout=60) as c:
                if name == "submission": c.starttls(context=ssl._create_unverified_context())
                c.login("jane@example.org", "secret")
                c.sendmail("jane@example.org", ["joe@elsewhere.example"], TEXT.removesuffix("."))
        except (OSError, smtplib.SMTPException) as e: said = repr(e)
        ok(not said and len(following.take()) == 1, f"{b.where}: inetd, {name}", said)
    p.terminate(); p.wait(20)
following.end()
done()
