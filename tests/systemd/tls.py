"""TLS under a real systemd: the warm service, a cold start, port 465, a renewal, stops in mid-session, the journal. $1: build, $2: source."""
import json, ssl, threading
from manager import *

TLS = "/etc/smtpin/tls"
MESSAGE_ID = "MESSAGE_ID=5f8a3c0d7f1e4b6c9d2a7e41c3b80f"
CONF = "tls = may\nmax_connections_per_source = 0\n"
context = ssl._create_unverified_context()
serial = {}
since = "@0"  # the records that count


def renewed(n):
    """One more certificate."""
    certificate(n)
    serial[ssl.PEM_cert_to_DER_cert(open(f"{ARCHIVE}/fullchain{n}.pem").read())] = n


class Client(smtplib.SMTP):
    """A session after EHLO, and STARTTLS; or with TLS from the first octet."""

    def __init__(self, port=25, tls=True):
        self.implicit = port == 465
        super().__init__("127.0.0.1", port, timeout=30)
        self.ehlo("client.example.com")
        if tls and not self.implicit:
            self.starttls(context=context); self.ehlo("client.example.com")

    def _get_socket(self, host, port, timeout):
        s = super()._get_socket(host, port, timeout)
        return context.wrap_socket(s, server_hostname="mx.example.org") if self.implicit else s

    def deliver(self, text="x"):
        try: self.sendmail("a@example.com", ["jane@example.org"], f"Subject: {text}\r\n\r\n{text}\r\n"); return "sent"
        except (OSError, smtplib.SMTPException) as e: return repr(e)

    def certificate(self): return serial.get(self.sock.getpeercert(True))


def tls(port=25):
    """("sent", the version, the number of the certificate) of one message over TLS, or what went wrong."""
    try:
        with Client(port) as c: return c.deliver(), c.sock.version(), c.certificate()
    except (OSError, smtplib.SMTPException) as e: return repr(e)


def starttls():
    """The reply to STARTTLS alone."""
    with Client(tls=False) as c: return "{} {}".format(c.docmd("STARTTLS")[0], c.docmd("NOOP")[0])


def newest():
    """The message that came last."""
    return max((open(f).read() for f in glob.glob(f"{MAIL}/*/*/new/*")), key=lambda m: re.search(r"id=?\s*(\w+)", m)[1], default="")


def helpers(): return sorted(run("ps -eo user:20,args | grep '[s]mtpin-tls ' | cut -d' ' -f1").split())


def main(): return show("smtpin-tls.service", "MainPID")


def record(*match):
    """The fields of the last one, which may come a moment after the client has gone."""
    lines = until(lambda: journal("-o", "json", "--since", since, *match).splitlines())
    return json.loads(lines[-1]) if lines else {}


def configure(text):
    conf(text); run("systemctl try-restart smtpin.service")


def without_service(): run("systemctl stop smtpin-tls.socket")


def warm(kind):
    configure(CONF + "tls_service = only\n[submissions]\ntls = implicit\n"); empty()
    run("systemctl start smtpin-tls.socket")
    equal(show("smtpin-tls.service", "ActiveState"), "inactive", f"{kind}: no smtpin-tls before the first STARTTLS")
    equal(tls(), ("sent", "TLSv1.3", 1), f"{kind}: STARTTLS by smtpin-tls.service, whose key only root can read")
    received = newest()
    ok(re.search(r"with ESMTPS\b", received) and "TLS" in received, f"{kind}: Received: says so", received)
    equal(until(lambda: helpers() == ["smtpin-tls"]) or helpers(), True, f"{kind}: one process, of the user smtpin-tls, is left")
    equal(run("runuser", "-u", "smtpin", "--", "cat", f"{TLS}/privkey.pem").strip().split(": ")[-1], "Permission denied", f"{kind}: the user smtpin can't read the key")
    fields = record(MESSAGE_ID + "11", "SMTP_TLS=TLSv1.3")
    equal({k: fields.get("SMTP_" + k) for k in ("TLS", "TLS_CIPHER", "TLS_GROUP", "TLS_SNI", "END")},
          {"TLS": "TLSv1.3", "TLS_CIPHER": "TLS_AES_256_GCM_SHA384", "TLS_GROUP": "x25519", "TLS_SNI": None, "END": "quit"}, f"{kind}: the session's record has it")
    equal(tls(465), ("sent", "TLSv1.3", 1), f"{kind}: TLS from the first octet on port 465")
    equal(record(MESSAGE_ID + "11", "SMTP_SOCKET=submissions").get("SMTP_TLS_SNI"), "mx.example.org", f"{kind}: its record has the socket's name, and the SNI")


def stopped(kind):
    """Stops and a restart, each in the middle of a session."""
    for command in ("systemctl restart smtpin-tls.service", "systemctl stop smtpin-tls.service", "systemctl stop smtpin-tls.socket"):
        run("systemctl start smtpin-tls.socket")
        with Client() as c:
            c.mail("a@example.com"); c.rcpt("jane@example.org"); before = count()
            done = subprocess.run(command.split(), capture_output=True).returncode
            equal((done, c.data("Subject: x\r\n\r\n" + 20000 * "x\r\n")[0], count()), (0, 250, before + 1), f"{kind}: {command} in the middle of a session: its message comes")
            equal(c.deliver(), "sent", f"{kind}: and one more")
    run("systemctl start smtpin-tls.socket")
    with Client() as c:
        os.kill(int(main()), signal.SIGKILL)
        equal((tls(), c.deliver()), (("sent", "TLSv1.3", 1), "sent"), f"{kind}: the service is killed: it is back for the next session, and this one goes on")
    run("systemctl stop smtpin-tls.socket")
    equal(until(lambda: not helpers()), True, f"{kind}: with its end, no process is left")
    ok(not os.path.exists("/run/smtpin/tls.sock"), f"{kind}: and no socket")


def all_stopped(kind):
    """The end of everything, while there is a session."""
    run("systemctl start smtpin-tls.socket")
    with Client() as c:
        c.mail("a@example.com"); c.rcpt("jane@example.org"); c.docmd("DATA"); before = count()
        stop = subprocess.Popen(["systemctl", "stop", "smtpin.slice"]); time.sleep(0.5)
        c.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
        equal((c.getreply()[0], c.getreply()[0], count()), (250, 421, before + 1), f"{kind}: systemctl stop smtpin.slice: the message comes, then 421")
    equal((stop.wait(60), until(lambda: not helpers())), (0, True), f"{kind}: and all has ended")
    run("systemctl start smtpin.socket smtpin-submissions.socket")


def cold(kind):
    without_service()
    configure(CONF + "tls_service = only\n")
    equal(starttls(), "454 250", f"{kind}: tls_service = only, and no service: 454, and the session goes on")
    run("journalctl --update-catalog"); record(MESSAGE_ID + "18", "SMTP_REASON=No such file or directory")
    said = run("journalctl", "-q", "-x", "-n", "1", MESSAGE_ID + "18")
    ok("tls=unavailable" in said and "The reason against it: No such file or directory" in said, f"{kind}: the record, and journalctl -x", said)
    configure(CONF + f"tls_certificate = {TLS}/fullchain.pem {TLS}/privkey.pem\n")
    equal(starttls(), "454 250", f"{kind}: tls_service = auto, and a key that smtpin can't read: 454")
    said = lambda: record(MESSAGE_ID + "18").get("SMTP_REASON", "")
    ok(until(lambda: "ermission denied" in said()), f"{kind}: and the record says why", said())
    run(f"install -d -m 750 -g smtpin /etc/smtpin/cold; cp -L {TLS}/*.pem /etc/smtpin/cold; chgrp smtpin /etc/smtpin/cold/*; chmod 640 /etc/smtpin/cold/*")
    configure(CONF + "tls_certificate = /etc/smtpin/cold/fullchain.pem /etc/smtpin/cold/privkey.pem\n[submissions]\ntls = implicit\n")
    with Client() as c:
        pids = run("pgrep -f '[s]mtpin-tls .*--session'").split()
        equal((helpers(), c.certificate()), (["smtpin"], 1), f"{kind}: tls_service = auto, and a key that it can read: it starts smtpin-tls itself")
        ok(pids and "smtpin-tls" not in (cgroup := open(f"/proc/{pids[0]}/cgroup").read()) and kind.replace("@.service", "@") in cgroup, f"{kind}: in the cgroup and the sandbox of its own unit")
        status = open(f"/proc/{pids[0]}/status").read() if pids else ""
        ok("NoNewPrivs:\t1" in status and "CapBnd:\t0000000000000000" in status, f"{kind}: without privileges", status)
        equal(c.deliver(), "sent", f"{kind}: mail comes")
    equal(tls(465), ("sent", "TLSv1.3", 1), f"{kind}: on port 465 too")
    equal(until(lambda: not helpers()), True, f"{kind}: no process is left")
    run("systemctl start smtpin-tls.socket")
    with Client() as c: equal(helpers(), ["smtpin-tls", "smtpin-tls"], f"{kind}: tls_service = auto, and the service: it is the service's")


def renewal(kind, n):
    """Links exchanged, as certbot does it, while there are sessions."""
    configure(CONF + "tls_service = only\n"); run("systemctl start smtpin-tls.socket")
    old, said, enough = Client(), [], threading.Event()
    def load():
        while not enough.is_set(): said.append(tls())
    equal((old.certificate(), old.deliver()), (n, "sent"), f"{kind}: before the renewal")
    worker = threading.Thread(target=load); worker.start()
    process = main(); renewed(n + 1); link(n + 1)
    ok(until(lambda: said and said[-1][-1] == n + 1, 30), f"{kind}: a renewed certificate is served, and nobody has restarted anything", said[-1:])
    enough.set(); worker.join(60)
    ok(len(said) > 2 and all(s in (("sent", "TLSv1.3", n), ("sent", "TLSv1.3", n + 1)) for s in said), f"{kind}: and no session of {len(said)} has failed meanwhile", said)
    ok(main() not in (process, "0"), f"{kind}: it was a restart of the service")
    equal((old.deliver(), old.certificate()), ("sent", n), f"{kind}: a session from before it goes on")
    # Half of a renewal.
    process = main(); renewed(n + 2); link(n + 2, "fullchain")
    ok(until(lambda: show("smtpin-tls-renew.service", "Result") == "exit-code", 20), f"{kind}: a certificate without its key: smtpin-tls-renew.service has failed")
    equal((main(), tls()), (process, ("sent", "TLSv1.3", n + 1)), f"{kind}: and the service keeps what it has")
    ok("does not match" in journal("-u", "smtpin-tls-renew.service"), f"{kind}: the journal says why", journal("-u", "smtpin-tls-renew.service"))
    link(n + 2, "privkey")
    ok(until(lambda: tls() == ("sent", "TLSv1.3", n + 2), 30), f"{kind}: with its key, it is served", (tls(), journal("-u", "smtpin-tls-renew.service")))
    equal(show("smtpin-tls-renew.service", "Result"), "success", f"{kind}: smtpin-tls-renew.service is well again")
    old.quit()


PROBE = """
import ctypes, errno, mmap, os, socket, subprocess
def attempt(name, f):
    try: f(); print('probe', name, 'done', flush=True)
    except OSError as e: print('probe', name, errno.errorcode[e.errno], flush=True)
attempt('unix', lambda: socket.socket(socket.AF_UNIX)); attempt('inet', lambda: socket.socket(socket.AF_INET)); attempt('pair', lambda: socket.socketpair())
attempt('exec', lambda: os.execv('/bin/true', ['true']))
for place in ('/etc', '/var', '/tmp', '/usr', '/run', '/dev/shm'): attempt('write ' + place, lambda: open(place + '/x', 'w'))
for place in ('/etc/passwd', '/var/mail/smtpin', '/etc/smtpin', '/etc/letsencrypt', '/root', '/home'): attempt('read ' + place, lambda: os.stat(place) and os.listdir(place))
attempt('wx', lambda: mmap.mmap(-1, 4096, prot=7)); attempt('setuid', lambda: os.setresuid(0, 0, 0)); attempt('renice', lambda: os.nice(-1))
attempt('key', lambda: open(os.environ['CREDENTIALS_DIRECTORY'] + '/privkey.pem').read())
attempt('write key', lambda: open(os.environ['CREDENTIALS_DIRECTORY'] + '/privkey.pem', 'w'))
"""
FORBIDDEN = {"unix": "EPERM", "inet": "EPERM", "pair": "EPERM", "exec": "EACCES", "write /etc": "EROFS", "write /var": "EROFS", "write /usr": "EROFS", "write /run": "EACCES",
             "read /etc/passwd": "ENOENT", "read /var/mail/smtpin": "ENOENT", "read /etc/smtpin": "ENOENT", "read /etc/letsencrypt": "ENOENT", "read /root": "EACCES", "read /home": "EACCES",
             "wx": "EPERM", "setuid": "EPERM", "key": "done", "write key": "EROFS"}


def inside():
    """What the service can do, tried from within it."""
    python = os.path.realpath("/usr/bin/python3")
    write("/usr/lib/smtpin-probe.py", PROBE)
    drop_in("smtpin-tls.service", f"[Service]\nExecStart=\nExecStart={python} -S /usr/lib/smtpin-probe.py\nExecPaths={python}\nRestart=no\nType=oneshot\nSyslogLevel=notice\n")
    run("systemctl daemon-reload; systemctl start smtpin-tls.service")
    found = dict(re.findall(r"^probe (.*) (\w+)$", journal("-u", "smtpin-tls.service"), re.M))
    equal({k: found.get(k) for k in FORBIDDEN}, FORBIDDEN, f"smtpin-tls.service: {len(FORBIDDEN)} things that it may not do, or may, tried from within")
    without_drop_ins(); run("systemctl reset-failed")


install()
renewed(1); link(1)
ok("ssertion failed" in run("systemctl start smtpin-tls.socket"), "without a certificate, systemctl start smtpin-tls.socket says that something is missing")
run(f"ln -s {LIVE} {TLS}")
equal(run("systemctl enable --now -q smtpin-tls.socket"), "", "systemctl enable --now smtpin-tls.socket")
equal((show("smtpin-tls.socket", "ActiveState"), show("smtpin-tls-renew.path", "ActiveState"), run("stat -c '%U %G %a' /run/smtpin/tls.sock").strip()), ("active", "active", "root smtpin 660"),
      "the socket is for the group smtpin, and the certificate is watched")
inside()
for kind in ("smtpin@.service", "smtpin.service"):
    since = f"@{int(time.time())}"
    if kind == "smtpin.service":
        drop_in("smtpin.socket", "listen-smtpin.conf", "listen.conf"); drop_in("smtpin-submissions.socket", "listen-smtpin-submissions.conf", "listen.conf"); drop_in("smtpin.service", "serve-smtpin-submissions.conf", "submissions.conf")
        run("systemctl daemon-reload")
        link(1)
    else: drop_in("smtpin.socket", "[Socket]\nMaxConnectionsPerSource=100\n"); run("systemctl daemon-reload")
    without_service(); run("systemctl restart smtpin.socket smtpin-submissions.socket")
    warm(kind); stopped(kind); all_stopped(kind); cold(kind); renewal(kind, 1)
    run("systemctl stop smtpin.socket smtpin-submissions.socket")
    without_drop_ins()

# Another user.
link(1); run("systemctl try-restart smtpin-tls.service")
run("useradd -r -d /var/vmail -s /usr/sbin/nologin vmail; install -d -o vmail -m 700 /var/vmail")
drop_in("smtpin@.service", "virtual-mail.conf"); run("systemctl daemon-reload; systemctl start smtpin.socket"); conf(CONF + "tls_service = only\nmaildir = /var/vmail\n")
equal(tls(), ("sent", "TLSv1.3", 1), "virtual-mail.conf: its user reaches smtpin-tls.service")
run("systemctl stop smtpin.socket")

# The key goes away, and the service is started: smtpin does without it. The key comes: so does the service.
run(f"mv {TLS} {TLS}.away; systemctl restart smtpin-tls.service; systemctl start smtpin.socket")
equal(starttls(), "454 250", "the certificate is gone: 454, and the session goes on")
ok("243/CREDENTIALS" in journal("-u", "smtpin-tls.service"), "the journal says why", journal("-u", "smtpin-tls.service"))
run(f"mv {TLS}.away {TLS}")
ok(until(lambda: tls() == ("sent", "TLSv1.3", 1), 60), "it is there again: TLS is back by itself", run("systemctl status smtpin-tls.service"))

run("systemctl disable --now smtpin-tls.socket; systemctl stop smtpin.socket")
equal([show(u, "ActiveState") for u in ("smtpin-tls.socket", "smtpin-tls.service", "smtpin-tls-renew.path")], ["inactive"] * 3, "systemctl disable --now smtpin-tls.socket: all of it ends")
equal((until(lambda: not helpers()), run("systemctl list-units --failed --no-legend 'smtpin*'")), (True, ""), "nothing is left, and nothing has failed")
done()
