"""Inside the box: the blocks of one document that are for root (tests/document.py), in their order, to the letter. $1: a build with prefix
/usr, in the tree that README means. $2: the source. $3: the document, or `conf`: what --check says of each configuration."""
import base64, http.server, imaplib, os, pty, select, shutil, ssl, threading
from manager import *
import document
from next_server import NextServer

FILE, TREE = sys.argv[3], os.path.dirname(BUILD)
posted = []


class Endpoint(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if "gone@" not in self.headers["Rcpt-To"]: posted.append((self.path, self.headers["Content-Type"], self.headers["Mail-From"], self.headers["Rcpt-To"], b"Subject: x" in body))
        self.send_response(404 if "gone@" in self.headers["Rcpt-To"] else 204); self.end_headers()

    def log_message(self, *a): pass


def mail(to, port=25, where=None, host="127.0.0.1"):
    """What a client hears at the end: its 250, or the refusal."""
    class OverUnix(smtplib.LMTP):
        def _get_socket(self, host, port, timeout):
            s = socket.socket(socket.AF_UNIX); s.settimeout(30); s.connect(where); return s
    try:
        with OverUnix("x") if where else smtplib.SMTP(host, port, timeout=30) as c:
            c.ehlo_or_helo_if_needed(); c.mail("a@example.com")
            for r in to:
                code, said = c.rcpt(r)
                if code != 250: return f"{code} {said.decode()}"
            if where: return (c.putcmd("data"), c.getreply(), c.send(b"Subject: x\r\n\r\nx\r\n.\r\n"), [str(c.getreply()[0]) for _ in to])[3][-1]
            code, said = c.data("Subject: x\r\n\r\nx\r\n")
            return f"{code} {said.decode()}"
    except (OSError, smtplib.SMTPException) as e: return repr(e)


def one_and_two(name, **where):
    for to in (["jane@example.org"], ["jane@example.org", "joe@example.org"]):
        said = mail(to, **where)
        ok(said.startswith("250"), f"{name}: mail to {len(to)}", said + "\n" + journal("-n", "20"))


def stored(user="jane", top=MAIL): return [open(f).read() for f in glob.glob(f"{top}/example.org/{user}/new/*")]


def terminal(block, user):
    """The line on a terminal: the message is in the list, is opened, and the program is left."""
    line = block.text.strip()
    argv = ["sh", "-c", line] if user == "root" else ["runuser", "-u", user, "--", "sh", "-c", line]
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execvp(argv[0], argv)
    screen, steps = b"", [(b"[Msgs:", b"\r"), (b"Subject: x", b"q"), (b"", b"q")]
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if b"Create it?" in screen: os.write(fd, b"n"); screen = b""  # a directory for mail to keep, on the first start
        if steps and steps[0][0] in screen:
            time.sleep(0.3)  # until it reads keys
            os.write(fd, steps.pop(0)[1])
            if steps: screen = b""
        if not select.select([fd], [], [], 0.3)[0]: continue
        try: piece = os.read(fd, 65536)
        except OSError: break  # it has ended
        if not piece: break
        screen += piece
    else: os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    ok(not steps and status == 0, f"{block.where}: {line}: shows the message, and ends", (steps, status, screen.decode(errors="replace")[-1500:]))


def serves(block):
    """It runs as an ordinary user until it is asked to end; meanwhile there is mail."""
    port = int(block.argument)
    p = subprocess.Popen(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "sh", "-c", document.commands(block.text)], cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
    posted.clear()
    for to in (["any@one.example"], ["any@one.example", "other@two.example"]):
        said = mail(to, port)
        ok(said.startswith("250"), f"{block.where}: mail to {len(to)}", said)
    if "/tmp/mails" in block.text:
        until(lambda: len(os.listdir("/tmp/mails")) == 2)
        got = [open("/tmp/mails/" + n).read() for n in os.listdir("/tmp/mails")]
        ok(len(got) == 2 and all(m.startswith("Return-Path: <a@example.com>\n") and m.endswith("Subject: x\n\nx\n") for m in got), f"{block.where}: each message is a file", got)
    else:
        equal(sorted(p[3] for p in posted), ["<any@one.example>"] * 2 + ["<other@two.example>"], f"{block.where}: a POST for each recipient")
        ok(mail(["gone@one.example"], port).startswith("451"), f"{block.where}: 404 is 451")
    os.killpg(p.pid, signal.SIGTERM)
    p.communicate(timeout=20)
    ok(until(lambda: not run("pgrep -f '[s]ocket-activate.*:2525'").strip()), f"{block.where}: nothing is left of it")


def listens():
    """Whatever listens gets mail."""
    for unit, where in (("smtpin.socket", {}), ("smtpin.socket", {"host": "::1"}), ("smtpin-lmtp.socket", {"where": "/run/smtpin/lmtp.sock"}), ("smtpin-devices.socket", {"port": 2525})):
        if run("systemctl", "is-active", unit).strip() == "active": one_and_two(f"{unit} {where or ''}", **where)


def configuration(text):
    write("/etc/smtpin/smtpin.conf", ("" if "domains = " in text else "domains = example.org\n") + text)
    if run("systemctl", "is-active", "smtpin.service").strip() == "active": run("systemctl reload smtpin.service; sleep 0.3")


# What stands at the end of a section.
def own_script():
    one_and_two("my-script")
    equal(open(f"{MAIL}/my-program").read().split("\n")[:-1], ["--from a@example.com -- jane@example.org"] * 2 + ["--from a@example.com -- joe@example.org"], "my-script: my-program is told of each recipient")
    ok(mail(["gone@example.org"]).startswith("550"), "my-script: 67 is 550")
    ok(mail(["jane@example.org", "gone@example.org"]).startswith("451"), "my-script: one of two is gone: 451 for both")


def first_steps():
    """What README says of the journal and of systemctl, in its text."""
    for line in [t for _, t in document.inline(SOURCE, FILE) if re.match(r"journalctl -|systemctl status", t)]:
        said = run("journalctl --sync; " + line)
        ok(("SMTP_RESULT=accepted" if line[0] == "j" else "smtpin.socket") in said, f"README: {line}", said)


def http_service():
    posted.clear(); one_and_two("HTTP")
    equal(sorted(posted), [("/mail", "message/rfc822", "<a@example.com>", "<jane@example.org>", True)] * 2 + [("/mail", "message/rfc822", "<a@example.com>", "<joe@example.org>", True)], "HTTP: the envelope and the message are there")
    ok(mail(["gone@example.org"]).startswith("451"), "HTTP: 404 is 451")
    configuration("deliver = /bin/cp -f ${credentials_directory}/token /var/mail/smtpin/token\n"); one_and_two("HTTP, the token")
    equal(open(f"{MAIL}/token").read(), "Authorization: Bearer s3cret\n", "HTTP: the secret that the command can read")
    os.unlink("/etc/smtpin/token")
    ok("250" not in mail(["jane@example.org"]), "HTTP: without the file no unit starts")


def reading():
    with imaplib.IMAP4("127.0.0.1") as c:
        ok(c.login("jane@example.org", "secret")[0] == "OK" and int(c.select()[1][0]) >= 2, "IMAP: jane sees her mail", run("doveadm log errors; journalctl -n 30 -o cat"))
        ok(b"Subject: x" in c.fetch("1", "(BODY[])")[1][0][1] and c.store("1", "+FLAGS", "\\Deleted")[0] == "OK" and c.expunge()[0] == "OK", "IMAP: reads and deletes")
    one_and_two("one person's")
    equal((len(stored("jane", "/var/vmail")), len(stored("joe", "/var/vmail"))), (2, 1), "one person's: in her directory")
    terminals.pop()()
    # The same Dovecot behind smtpin-lmtp, as its manual has it.
    if not os.path.exists("/usr/lib/dovecot/lmtp"): skip("smtpin-lmtp to Dovecot", "no dovecot-lmtpd"); return
    without_drop_ins(); empty(); configuration(next(b.text for b in document.blocks(SOURCE, "docs/smtpin-lmtp.1")))
    run("echo joe@example.org:{PLAIN}x >>/etc/dovecot/users")
    one_and_two("smtpin-lmtp to Dovecot, under the unit")
    equal((len(stored()), len(stored("joe"))), (2, 1), "smtpin-lmtp to Dovecot: in the same Maildirs")
    ok(mail(["nobody@example.org"]).startswith("550"), "smtpin-lmtp to Dovecot: who is no user there")


def devices():
    run("systemctl stop smtpin.socket smtpin-lmtp.socket smtpin.service; systemctl daemon-reload; systemctl start smtpin.socket smtpin-lmtp.socket smtpin-devices.socket")
    listens()
    s = socket.create_connection(("127.0.0.1", 2525), timeout=20); f = s.makefile("rb"); f.readline(); s.sendall(b"MAIL FROM:<>\r\n")
    ok(f.readline().startswith(b"503"), "devices: its section counts"); s.close()


def maildir_manual():
    ok(mail(["jane@example.org"]).startswith("250") and len(stored()) == 2, "smtpin-maildir: jane has it", (stored(), journal("-n", "20")))
    ok(mail(["joe@example.org"]).startswith("550 5.1.1"), "smtpin-maildir: joe has no directory", journal("-n", "20"))
    ok(mail(["jane@example.org", "joe@example.org"]).startswith("451"), "smtpin-maildir: one of two")
    ok(len(open(f"{MAIL}/example.org/jane/maildirsize").read().split("\n")) >= 3, "smtpin-maildir: her quota counts")


def by_inetd():
    configuration("")
    for to in ("jane", "joe"):
        out = subprocess.run(["runuser", "-u", "smtpin", "--", "/usr/sbin/smtpin", "-o", "log=none"], input=f"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<jane@example.org>\r\nRCPT TO:<{to}@example.org>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n", capture_output=True, text=True).stdout
        ok("\n250 2.0.0 OK" in out, "a user and a directory for a super-server: mail", out)
    equal((len(stored("jane")) >= 2, len(stored("joe"))), (True, 1), "and there it is")


def stop_and_start():
    """The commands in the text of systemd.md, each while there is a session."""
    lines = sorted({t for _, t in document.inline(SOURCE, FILE) if re.fullmatch(r"systemctl (stop|restart|reload) \S+", t)})
    ok(len(lines) >= 4, f"{FILE}: commands in its text", lines)
    for line in lines:
        run("systemctl start smtpin.socket smtpin-lmtp.socket smtpin-devices.socket")
        c = Session(); c.say("EHLO x")
        p = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60)
        ok(p.returncode == 0, f"{FILE}: {line}", p.stdout + p.stderr); c.close()


def light():
    """An instance for each connection; then it listens again, as the page has it so far."""
    listen = f"{UNITS}/smtpin.socket.d"
    run(f"systemctl stop smtpin.socket smtpin.service; mv {listen} /run/kept; systemctl daemon-reload; systemctl start smtpin.socket")
    s = Session()
    instance = run("systemctl list-units --plain --no-legend 'smtpin@*'").split()[:1]
    equal([show(*instance, w) for w in ("ProtectHome", "PrivateNetwork", "NoNewPrivileges")] if instance else run("systemctl status smtpin.socket"), ["no", "no", "yes"], f"{FILE}: a lighter instance")
    s.close(); one_and_two("lighter instances")
    ok("confine" in run("smtpin --print-set"), f"{FILE}: confine is set", run("cat /etc/smtpin/smtpin.conf"))
    run(f"systemctl stop smtpin.socket; mv /run/kept {listen}; systemctl daemon-reload; systemctl start smtpin.socket")


def begin_tls():
    """As docs/tls.md begins."""
    run("mkdir -p /etc/smtpin; ln -s /etc/letsencrypt/live/mx.example.org /etc/smtpin/tls; systemctl enable --now smtpin-tls.socket")


def tls():
    """One service has port 25, with STARTTLS, and port 465."""
    configuration("tls = may\ntls_service = only\n[submissions]\ntls = implicit\n")
    has_tls("TLS", (25, 465))
    ok(until(lambda: "tls=TLSv1.3" in journal("SMTP_SOCKET=submissions")) and (show("smtpin-submissions.socket", "Accept"), show("smtpin-submissions.socket", "Triggers")) == ("no", "smtpin.service"), f"{FILE}: in smtpin.service", journal("-n", "20"))
    configuration("")


def refused_mail():
    """What faq.md's reader looks for."""
    run("ip addr add 192.0.2.7/32 dev lo; systemctl start smtpin.socket")
    s = socket.create_connection(("127.0.0.1", 25), timeout=30, source_address=("192.0.2.7", 0))
    s.sendall(b"MAIL FROM:<joe@someplace.org>\r\nRCPT TO:<x@elsewhere.example>\r\nRCPT TO:<jane@example.org>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n")
    while s.recv(4096): pass
    run("journalctl --sync")


AT_START = {"docs/faq.md": refused_mail, "docs/systemd.md": begin_tls}
AT_END = {("README.md", "systemd"): first_steps, ("README.md", "Delivering to your own script"): own_script, ("README.md", "Delivering to an HTTP service"): http_service, ("README.md", "Reading the mail"): reading,
          ("docs/systemd.md", "Lighter instances"): light, ("docs/systemd.md", "Sockets and settings"): devices, ("docs/systemd.md", "TLS"): tls, ("docs/smtpin-maildir.1", "EXAMPLES"): maildir_manual, ("docs/inetd.md", "smtpin under other super-servers"): by_inetd}
NEEDS = {("docs/systemd.md", "TLS"): ("openssl",), ("README.md", "Reading the mail"): ("dovecot", "mutt", "/usr/lib/dovecot/imap"), ("README.md", "Delivering to an HTTP service"): ("curl",), ("README.md", "Everything, for a test"): ("curl",)}
terminals = []


def certbot():
    """What certbot has made; a server listens."""
    document.certificates("tls_certificate = /etc/letsencrypt/live/mx.example.org\ntls_certificate = /etc/letsencrypt/live/mail.example.net\n", readable=False)
    run("mkdir -p /etc/smtpin /etc/letsencrypt/renewal-hooks/deploy; ip addr add 192.0.2.7/32 dev lo; systemctl start smtpin.socket")


def tls_mail(port):
    """What a client hears at the end, inside TLS; and the name in the certificate."""
    context = ssl._create_unverified_context()
    try:
        with smtplib.SMTP_SSL("127.0.0.1", port, timeout=30, context=context) if port == 465 else smtplib.SMTP("127.0.0.1", port, timeout=30) as c:
            if port != 465: c.starttls(context=context)
            pem = ssl.DER_cert_to_PEM_cert(c.sock.getpeercert(True))
            c.sendmail("a@example.com", ["jane@example.org"], "Subject: x\r\n\r\nx\r\n")
    except (OSError, smtplib.SMTPException) as e: return repr(e)
    return subprocess.run(["openssl", "x509", "-noout", "-ext", "subjectAltName"], input=pem, capture_output=True, text=True).stdout.strip().split()[-1]


def has_tls(name, ports=(25,)):
    for port in ports: equal(tls_mail(port), "DNS:mx.example.org", f"{FILE}: {name}: mail inside TLS, port {port}")


def tls_first_hour():
    has_tls("the first hour", (25, 465))
    ok(sum("with ESMTPS " in m and "\ttls TLS_" in m for m in stored()) == 2, f"{FILE}: Received: says so", stored())
    ok(run("runuser -u smtpin -- cat /etc/letsencrypt/live/mx.example.org/privkey.pem 2>&1").strip().endswith("Permission denied"), f"{FILE}: and smtpin's user can't read the key")


def tls_cold():
    run("systemctl stop smtpin-tls.socket smtpin-tls.service")
    for value in ("/etc/letsencrypt/live/mx.example.org", "/etc/smtpin/certificate"):
        configuration(f"tls = may\ntls_certificate = {value}\n")
        has_tls(f"without the service, {value}")
    run("systemctl start smtpin-tls.socket"); configuration("tls = may\ntls_certificate = /etc/letsencrypt/live/mx.example.org\n[submissions]\ntls = implicit\n")


AT_START |= {"docs/tls.md": certbot}
AT_END |= {("docs/tls.md", "The first hour"): tls_first_hour, ("docs/tls.md", "Without systemd"): tls_cold, ("README.md", "TLS"): lambda: has_tls("TLS")}
NEEDS |= {("docs/tls.md", "Testing"): ("swaks",)}


def mail_programs():
    """What docs/submission.md's reader has: TLS, README's Dovecot, and a mail server that sends."""
    certbot()
    run("ln -s /etc/letsencrypt/live/mx.example.org /etc/smtpin/tls; systemctl enable --now smtpin-tls.socket")
    if not shutil.which("dovecot"): return
    for b in [b for b in document.blocks(SOURCE, "README.md") if b.heading == "Reading the mail" and b.how == "root"][:3]:
        if b.language == "sh": run(document.commands(b.text))
        else: [write(path, text) for path, text in b.files()]
    global sending
    sending = NextServer(10025)


def submitted():
    got = sending.take()
    ok([g[:2] for g in got] == [("jane@example.org", ["joe@elsewhere.example"])] * 2, f"{FILE}: the next server has both messages, and no other", (got, journal("-n", "30")))
    for g in got: ok(b"with ESMTPSA" in g[2] and b"\r\nMessage-I" in g[2] and b"Return-Path" not in g[2], f"{FILE}: a message", g)
    said = journal("SMTP_SASL_METHOD=PLAIN", "-o", "json") + journal("SMTP_SASL_METHOD=LOGIN", "-o", "json")
    ok('"SMTP_SOCKET":"submission"' in said and '"SMTP_SOCKET":"submissions"' in said and base64.b64encode(b"\0jane@example.org\0secret").decode() not in run("journalctl -o export"), f"{FILE}: the login is in the journal, the password is not", said[-2000:])
    ok(run("runuser -u nobody -- python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"/run/dovecot/auth-client\")' 2>&1").strip().endswith("Permission denied"), f"{FILE}: others can't ask Dovecot")
    # Both in smtpin.service.
    run("systemctl stop smtpin.socket smtpin-submission.socket smtpin-submissions.socket")
    for name in ("smtpin", "smtpin-submission", "smtpin-submissions"): drop_in(f"{name}.socket", f"listen-{name}.conf", "listen.conf")
    for name in ("submission", "submissions"): drop_in("smtpin.service", f"serve-smtpin-{name}.conf", f"{name}.conf")
    run("cp /etc/systemd/system/smtpin-submission@.service.d/network.conf /etc/systemd/system/smtpin.service.d/; systemctl daemon-reload; systemctl start smtpin.socket smtpin-submission.socket smtpin-submissions.socket")
    for line in [l for b in document.blocks(SOURCE, FILE) if b.heading == "The first hour" for l in b.text.split("\n") if re.match("(! )?swaks", l)]:
        p = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=120)
        ok(p.returncode == 0, f"{FILE}: in smtpin.service: {line[:60]}", p.stdout[-2000:])
    equal((len(sending.take()), show("smtpin-submission.socket", "Triggers"), show("smtpin-submissions.socket", "Triggers")), (2, "smtpin.service", "smtpin.service"), f"{FILE}: in smtpin.service: two messages")


AT_START |= {"docs/submission.md": mail_programs}
AT_END |= {("docs/submission.md", "The first hour"): submitted}
NEEDS |= {("docs/submission.md", h): ("dovecot", "swaks") for h in ("The first hour", "The log")}


def answers_logins():
    """Somebody on Dovecot's socket, for --check."""
    os.makedirs("/run/dovecot", exist_ok=True)
    s = socket.socket(socket.AF_UNIX); s.bind("/run/dovecot/auth-client"); os.chmod("/run/dovecot/auth-client", 0o666); s.listen()

    def serve():
        while True:
            with s.accept()[0] as c: c.sendall(b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t00\nDONE\n"); c.recv(4096)
    threading.Thread(target=serve, daemon=True).start()
    write("/etc/smtpin/sender_login", "info@example.org jane@example.org\n")


def stand_ins():
    write("/usr/local/bin/my-program", f"#!/bin/sh\ncase $* in *gone@*) exit 67 ;; esac\ncat >/dev/null && printf '%s\\n' \"$*\" >>{MAIL}/my-program\n", 0o755)
    run("useradd -m jane; mkdir -p /etc/fail2ban/filter.d /etc/fail2ban/jail.d")
    if os.path.isdir("/etc/dovecot/conf.d") and not os.path.exists("/etc/dovecot/private/dovecot.pem"): write("/etc/dovecot/conf.d/10-ssl.conf", "ssl = no\n")  # of ssl-cert, which Dovecot only recommends
    document.certificates("tls_certificate = /etc/letsencrypt/live/mx.example.org\n", readable=False)
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Endpoint)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    write(f"{TREE}/message", "Subject: x\n\nx\n")


def shell(block, expected):
    p = subprocess.run(["sh", "-c", document.commands(block.text)], cwd=TREE, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    ok(p.returncode == expected, f"{block.where}: {block.text.split(chr(10))[0]}", p.stdout[-3000:] + p.stderr[-3000:] + f"\nexit status {p.returncode}")
    if re.search(r"systemctl.*\bstart\b|enable --now", block.text): listens()
    if "journalctl" in block.text: ok("No entries" not in p.stdout, f"{block.where}: each finds records", p.stdout)
    return p.stdout + p.stderr


def play():
    said, heading = "", None
    if FILE in AT_START: AT_START[FILE]()
    blocks = [b for b in document.blocks(SOURCE, FILE)]
    for block, behind in zip(blocks, blocks[1:] + [None]):
        need = [n for n in NEEDS.get((FILE, block.heading), ()) if not shutil.which(n)]
        if need:
            if block.heading != heading: skip(f"{FILE}: {block.heading}", "no " + ", ".join(need))
            heading = block.heading; continue
        if block.heading != heading and FILE == "README.md" and heading:  # each section for itself
            without_drop_ins(); configuration(""); empty()
            if os.path.isdir("/etc/smtpin"): listens()
        heading = block.heading
        if block.how == "root" and block.language == "sh": said = shell(block, int((block.argument or "exit 0").split()[1]))
        elif block.how == "root" and block.language == "console":
            for line, printed in document.turns(block.text):
                said = run(line)
                ok(document.alike(said, printed), f"{block.where}: $ {line}", said)
        elif block.how == "root" and block.language == "conf":
            configuration(block.text)
            out = run("smtpin", "--check")
            equal(mistakes(out), [], f"{block.where}: --check")
        elif block.how == "root":
            for path, text in block.files():
                if path == "/etc/smtpin/smtpin.conf": configuration(text)
                else: write(path, text)
                if path.endswith(".socket"): equal(run("systemd-analyze", "verify", path), "", f"{block.where}: systemd-analyze verify {path}")
            ok(block.files(), f"{block.where}: files")
        elif block.how == "at": write(os.path.join(TREE, block.argument), block.text, 0o755 if block.language == "sh" else 0o644)
        elif block.how == "serves": serves(block)
        elif block.how == "terminal":
            if block.argument: terminals.append(lambda block=block: terminal(block, block.argument))
            else: terminal(block, "root")
        elif block.language == "text" and not block.how: ok(document.alike(said, block.text), f"{block.where}: the output", said)
        if behind is None or behind.heading != heading:
            if verify := AT_END.get((FILE, heading)): verify()
    if FILE == "docs/systemd.md": stop_and_start()


def mistakes(out):
    """But for what smtpin-tls says of a certificate: its file, then lines with blanks in front."""
    return [l for l in out.split("\n") if l and ": note: " not in l and "configuration is good" not in l and (not re.match(r"  |/\S+$", l) or " wrong: " in l)]


if FILE == "README.md": stand_ins(); play()
elif FILE == "conf":
    install()
    stand_ins(); answers_logins(); run("mkdir -p /usr/local/bin; touch /usr/local/bin/my-script; chmod 755 /usr/local/bin/my-script")
    for block in document.blocks(SOURCE):
        if block.language != "conf": continue
        text = document.certificates(block.text, "/etc/readable")
        write("/etc/smtpin/check.conf", ("" if "domains = " in text else "domains = example.org\n") + text)
        for program in re.findall(r"^deliver(?:_through)? = (/\S+)", block.text, re.M):
            if os.path.exists(program): continue
            with open(program, "w") as f: f.write("#!/bin/sh\nexit 75\n") # the box forgets it; --check runs nothing
            os.chmod(program, 0o755)
        out = run("smtpin", "-f", "/etc/smtpin/check.conf", "--check")
        equal(mistakes(out), [], f"{block.where}: --check, as it stands")
else:
    out = run("meson", "install", "--no-rebuild", "-C", BUILD)
    if FILE in ("docs/smtpin.8", "docs/inetd.md"): stand_ins()
    else: install(); stand_ins()
    run("systemctl daemon-reload" + ("; systemctl start smtpin.socket" if FILE.startswith("docs/smtpin-") else ""))
    play()
done()
