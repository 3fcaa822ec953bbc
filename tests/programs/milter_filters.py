#!/usr/bin/env python3
"""smtpin-milter with real filters: opendkim, opendmarc, rspamd, spamass-milter; the pipe filters of docs/filters.md; and Postfix, which must make the same of a message."""
import sys, os
sys.path.insert(0, os.path.join(os.environ["SMTPIN_SOURCE"], "tests"))
from milter_peers import *
import document, email.utils, pwd

ROOT = os.geteuid() == 0
_running = []


def service(*words, env=None):
    """A server that runs in the foreground; ended by its process group, which is its own."""
    log = open(os.path.join(TMP, f"service{len(_running)}.log"), "wb")
    _running.append(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env={**os.environ, **(env or {})}))
    return log.name


def end_services():
    for p in _running:
        try: os.killpg(p.pid, signal.SIGTERM)
        except ProcessLookupError: pass
    for p in _running:
        try: p.wait(10)
        except subprocess.TimeoutExpired: os.killpg(p.pid, signal.SIGKILL); p.wait()


def answers(name, seconds=90):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if name.startswith("inet:"): socket.create_connection(("127.0.0.1", int(name.rsplit(":", 1)[1])), 1).close()
            else:
                s = socket.socket(socket.AF_UNIX); s.connect(name.split(":", 1)[1]); s.close()
            return True
        except OSError: time.sleep(0.05)
    return False


def place(name):
    """A directory that the servers' user can write to."""
    d = os.path.join(TMP, name)
    os.mkdir(d)
    os.chmod(d, 0o755)
    return d


def main():
    directory, take = taker()
    spamd = start_spamd()

    def send(through, body=b"From: joe@sender.test\r\nTo: b@example.org\r\nSubject: x\r\nMessage-ID: <1@sender.test>\r\nDate: " + email.utils.formatdate().encode() + b"\r\n\r\ntext\r\n", settings=None, client="192.0.2.10", sender="joe@sender.test"):
        """The reply, the message, and descriptor 2."""
        clear(directory)
        env = {"PATH": os.environ["PATH"], "TCPREMOTEIP": client, "PROTO": "TCP"}
        out, err, _ = pipe(mail(body, ENVELOPE.replace(b"a@example.com", sender.encode())), {"deliver": take, "deliver_through": through, "log": "stderr", **(settings or {})}, env=env)
        got = messages(directory)
        return final_reply(out), got[0] if got else b"", err

    names = lambda message: [l.split(b":")[0].decode() for l in message.split(b"\n\n")[0].split(b"\n") if l[:1] not in b" \t"]
    through = lambda *filters: f"{MILTER} -h mx.example.org {' '.join(filters)}"

    # ---- opendkim signs; dkimverify and opendkim look at what leaves the chain.
    if not have("opendkim"): skip("opendkim", "no opendkim")
    else:
        d = place("dkim")
        key = subprocess.run(["openssl", "genrsa", "2048"], check=True, capture_output=True).stdout
        with open(d + "/key", "wb") as f: f.write(key)
        os.chmod(d + "/key", 0o600)
        public = subprocess.run(["openssl", "rsa", "-pubout", "-outform", "DER"], input=key, check=True, capture_output=True).stdout
        import base64
        record = "v=DKIM1; k=rsa; p=" + base64.b64encode(public).decode()
        write("dkim/keys", f"sel._domainkey.sender.test {record}\n", 0o644)
        write("dkim/all", "0.0.0.0/0\n", 0o644)
        common = f"Syslog no\nUMask 000\nRequireSafeKeys no\nBackground no\nPidFile {d}/pid\n"
        sign, verify = f"unix:{d}/sign.sock", f"unix:{d}/verify.sock"
        write("dkim/sign.conf", f"{common}Mode s\nDomain sender.test\nSelector sel\nKeyFile {d}/key\nSocket local:{d}/sign.sock\nInternalHosts {d}/all\nCanonicalization relaxed/simple\n", 0o644)
        write("dkim/verify.conf", f"{common}Mode v\nSocket local:{d}/verify.sock\nAlwaysAddARHeader yes\nOn-BadSignature reject\nTestPublicKeys {d}/keys\n", 0o644)
        logs = [service("opendkim", "-f", "-x", f"{d}/{n}.conf") for n in ("sign", "verify")]
        up = answers(sign) and answers(verify)
        ok(up, "opendkim runs", [open(l).read() for l in logs])
        reply, signed, err = send(through(sign))
        equal((reply[:3], names(signed)[:4]), ("250", ["Return-Path", "Delivered-To", "DKIM-Signature", "Received"]), "opendkim signs: its field stands above our Received:")
        ok(re.search(rb"\nDKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=sender.test; s=sel;\n\t", signed), "folded as it has folded it", signed)
        alone = signed[signed.index(b"DKIM-Signature"):]
        try: import dkim
        except ImportError: dkim = None
        if dkim is None and not have("dkimverify"): skip("dkimverify", "no dkimverify")
        else:
            python = "/usr/bin/python3" if dkim is None else sys.executable
            check = f"import dkim, sys; sys.exit(not dkim.verify(sys.stdin.buffer.read(), dnsfunc=lambda name, timeout=5: {record.encode()!r}))"
            good = lambda m: subprocess.run([python, "-c", check], input=m.replace(b"\n", b"\r\n"), capture_output=True, timeout=60).returncode == 0
            equal((good(alone), good(alone.replace(b"text", b"texT"))), (True, False), "dkimpy verifies what leaves the chain, and nothing else")
        inner = alone.replace(b"\n", b"\r\n")
        reply, got, err = send(through(verify), inner)
        ok(reply.startswith("250") and re.search(rb"\nAuthentication-Results: mx\.example\.org;\n\tdkim=pass", got), "opendkim verifies: Authentication-Results:, with our name (macro j)", (reply, got, err))
        reply, got, err = send(through(verify), inner.replace(b"text", b"texT"))
        ok(reply.startswith("550 5.7.0 bad DKIM signature data") and not got, "opendkim refuses a broken signature, in its own words", (reply, err))
        reply, got, err = send(through(verify, sign))
        ok(reply.startswith("250") and b"dkim=none" in got and b"DKIM-Signature" in got, "two of them, one after the other", (reply, got, err))
        reply, got, err = send(through(sign), settings={"line_ending": "crlf"})
        ok(b"DKIM-Signature" in got and b"\n" not in got.replace(b"\r\n", b""), "with line_ending = crlf", (reply, got, err))

    # ---- opendmarc. Without a name server, it says so.
    if not have("opendmarc"): skip("opendmarc", "no opendmarc")
    else:
        d = place("dmarc")
        write("dmarc/none", "198.51.100.1\n", 0o644)
        write("dmarc/conf", f"Socket local:{d}/sock\nSyslog false\nUMask 000\nBackground false\nPidFile {d}/pid\nIgnoreHosts {d}/none\nSPFIgnoreResults true\nDNSTimeout 1\n", 0o644)
        log = service("opendmarc", "-f", "-c", f"{d}/conf")
        ok(answers(f"unix:{d}/sock"), "opendmarc runs", open(log).read())
        reply, got, err = send(through(f"unix:{d}/sock"))
        ok(reply.startswith("250") and re.search(rb"\nAuthentication-Results: mx\.example\.org; dmarc=(none|temperror) ", got), "opendmarc gives its opinion, with our name", (reply, got, err))

    # ---- rspamd.
    scan = None
    if not have("rspamd"): skip("rspamd", "no rspamd")
    else:
        d = place("rspamd")
        for n in ("conf", "conf/local.d", "db", "run", "log"): os.mkdir(f"{d}/{n}")
        owner = []
        if ROOT:
            user = pwd.getpwnam("_rspamd")
            owner = ["-u", "_rspamd", "-g", "_rspamd"]
            for n in ("db", "run", "log"): os.chown(f"{d}/{n}", user.pw_uid, user.pw_gid)
        port, control = free_port(), free_port()
        local = lambda name, text: write(f"rspamd/conf/local.d/{name}", text, 0o644)
        local("worker-proxy.inc", f'bind_socket = "127.0.0.1:{port}"; milter = yes; timeout = 30s; count = 1; upstream "local" {{ default = yes; self_scan = yes; }}\n')
        local("worker-controller.inc", f'bind_socket = "127.0.0.1:{control}"; password = "q1"; secure_ip = "127.0.0.1";\n')
        for n in ("worker-normal", "worker-fuzzy"): local(n + ".inc", "enabled = false;\n")
        local("options.inc", 'dns { nameserver = ["127.0.0.53:53:1"]; timeout = 100ms; retransmits = 1; }\n')  # without one, it does not start
        local("logging.inc", 'type = "console"; level = "warning";\n')
        local("milter_headers.conf", 'use = ["x-spamd-bar", "x-spam-level", "x-spam-status"]; skip_local = false; skip_authenticated = false;\n')
        for n in "rbl fuzzy_check asn phishing mid mx_check greylist ratelimit replies history_redis neural spf dkim dkim_signing dmarc arc emails surbl url_redirector".split(): local(n + ".conf", "enabled = false;\n")
        log = service("rspamd", "-f", *owner, "--var=LOCAL_CONFDIR=" + d + "/conf", "--var=DBDIR=" + d + "/db", "--var=RUNDIR=" + d + "/run", "--var=LOGDIR=" + d + "/log", "-p", d + "/run/pid", env={"RES_OPTIONS": "timeout:1 attempts:1"})  # it looks for servers of its own when it starts
        scan = f"127.0.0.1:{control}"
        ok(answers(f"inet:127.0.0.1:{port}") and answers(f"inet:{scan}"), "rspamd runs", open(log).read()[-3000:])
        reply, got, err = send(through(f"inet:127.0.0.1:{port}"))
        ok(reply.startswith("250") and b"\nX-Spamd-Bar: " in got, "rspamd adds its fields", (reply, got, err))
        gtube = b"Subject: x\r\n\r\nXJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"
        reply, got, err = send(through(f"inet:{port}@127.0.0.1"), gtube)
        ok(re.match(r"55[04] 5\.7\.1 Gtube pattern", reply) and not got, "rspamd refuses GTUBE in its own words", (reply, err))

    pipes(send, scan)
    spamassassin(send, through, spamd)
    beside_postfix()


def script(heading):
    """The script of docs/filters.md below that heading, and its configuration."""
    blocks = [b for b in document.blocks(SOURCE, "docs/filters.md") if b.heading == heading]
    scripts = [b for b in blocks if b.language == "sh" and b.how == "at"]
    path = write(os.path.basename(scripts[0].argument), scripts[0].text) if scripts else None
    conf = next(b.text for b in blocks if b.language == "conf")
    line = re.search(r"^deliver_through = (.*)$", conf, re.M)[1]
    return line.replace(scripts[0].argument, path) if scripts else line


def pipes(send, scan):
    # The scripts keep the message in a file that has no name by then.
    if scan is None or not have("rspamc"): skip("rspamc", "no rspamd")
    else:
        line = script("rspamc").replace("127.0.0.1:11334", scan)
        path = line.split()[0]
        text = open(path).read().replace("127.0.0.1:11334", scan)
        open(path, "w").write(text)
        reply, got, err = send(line)
        ok(reply.startswith("250") and b"X-Spam" in got and got.endswith(b"text\n"), "rspamc: a pipe filter", (reply, got, err))
        open(path, "w").write(text.replace(scan, "127.0.0.1:1"))
        reply, got, err = send(line)
        ok(reply.startswith("451") and not got, "rspamc: no server: 451", (reply, got, err))
    if not have("bogofilter"): skip("bogofilter", "no bogofilter")
    else:
        line = script("bogofilter")
        d = place("bogofilter")
        os.chmod(d, 0o777)
        for option, word in (("-s", b"pills pills pills"), ("-n", b"meeting minutes agenda")): subprocess.run(["bogofilter", "-d", d, option], input=b"Subject: x\n\n" + word + b"\n", check=True, timeout=60)
        path = line.split()[0]
        text = open(path).read().replace("/var/lib/bogofilter", d)
        open(path, "w").write(text)
        reply, got, err = send(line, b"Subject: x\r\n\r\npills pills\r\n")
        ok(reply.startswith("250") and b"\nX-Bogosity: " in got and got.endswith(b"pills pills\n"), "bogofilter: a pipe filter", (reply, got, err))
        open(path, "w").write(text.replace(d, d + "/away"))
        reply, got, err = send(line)
        ok(reply.startswith("451") and not got, "bogofilter: no word list: 451", (reply, got, err))
    if not have("dkimverify"): skip("dkimverify", "no dkimverify")
    else:
        line = script("dkimverify")
        path = line.split()[0]
        text = open(path).read()
        ok("dkimverify" in text, "dkimverify: it is in the script")
        # No name server: a signature can't be verified; a stand-in says yes and no.
        for status, code, stored in ((0, "250", True), (1, "550 5.7.20", False)):
            stand_in = write("dkimverify", f"#!/bin/sh\ncat >/dev/null; echo 'signature said'; exit {status}\n")
            open(path, "w").write(text.replace("dkimverify", stand_in, 1))
            reply, got, err = send(line)
            ok(reply.startswith(code) and bool(got) == stored and (not got or got.endswith(b"text\n")), f"dkimverify exits with {status}", (reply, got, err))
        open(path, "w").write(text)
        reply, got, err = send(line)
        ok(reply.startswith("550 5.7.20") and not got, "dkimverify: a message without a signature", (reply, got, err))


def start_spamd():
    """It takes its time: it starts beside the others."""
    if not (have("spamd") and have("spamc")): return None
    d = place("spamd")
    os.chmod(d, 0o777)
    return d, service("spamd", "-L", f"--socketpath={d}/sock", "--socketmode=0666", "-m", "1", "--min-children=1", "-x", *(["-u", "nobody"] if ROOT else []), env={"HOME": d})


def spamassassin(send, through, spamd):
    if spamd is None: return skip("spamc", "no spamd, no spamc")
    d, log = spamd
    if not answers(f"unix:{d}/sock", 40): return ok(False, "spamd runs", open(log).read()[-2000:])
    line = script("spamc").replace("/run/spamd.sock", d + "/sock")
    reply, got, err = send(line)
    ok(reply.startswith("250") and b"X-Spam-" in got and got.endswith(b"text\n"), "spamc: a pipe filter", (reply, got, err))
    reply, got, err = send(line.replace(d + "/sock", d + "/away"))
    ok(reply.startswith("451") and not got, "spamc: no server: 451", (reply, got, err))
    if not have("spamass-milter"): return skip("spamass-milter", "no spamass-milter")
    service("spamass-milter", "-p", d + "/milter", "-r", "15", "--", "-U", d + "/sock", env={"HOME": d})
    ok(answers(f"unix:{d}/milter"), "spamass-milter runs")
    reply, got, err = send(through(f"unix:{d}/milter"))
    ok(reply.startswith("250") and b"X-Spam-" in got, "spamass-milter adds its fields", (reply, got, err))
    reply, got, err = send(through(f"unix:{d}/milter"), b"Subject: x\r\n\r\nXJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n")
    ok(reply.startswith("550 5.7.1 Blocked by SpamAssassin") and not got, "spamass-milter refuses", (reply, err))


def beside_postfix():
    """The same filter with a Postfix: both make the same of a message."""
    at = os.environ.get("SMTPIN_PEERS", "") + "/postfix/usr/lib/postfix"
    if not (ROOT and os.path.exists(at + "/sbin/master")): return skip("Postfix makes the same", "needs root and Postfix unpacked")
    from tls_peers import end_postfix, own_postfix
    replies = []
    f = Filter({"E": lambda d: b"".join(replies) + CONTINUE}, protocol=LEADING_BLANK)
    port, taken = free_port(), place("postfix-taken")
    os.chmod(taken, 0o777)
    script = write("postfix-take", f"#!/bin/sh\ncat >{taken}/part && mv {taken}/part {taken}/$1\n")
    master, queue, _, _ = own_postfix("postfix", f"""myhostname = mx.example.org
mydestination = example.org
local_recipient_maps =
local_transport = take
local_header_rewrite_clients =
smtpd_milters = {f.name}
smtpd_peername_lookup = no
""", f"127.0.0.1:{port} inet n - n - - smtpd\ntake unix - n n - - pipe user=nobody argv={script} $" + "{sender}\n", lambda queue: os.path.exists(queue + "/public/pickup"))
    try:
        answers(f"inet:127.0.0.1:{port}")
        fields = b"From: joe@example.com\nX-A: 1\nTo:  two\n\tlines\nX-A:\t2\nSubject:x\n"
        for i, (name, wanted) in enumerate({
                "nothing": [], "add": [add("X-B", " 3"), add("X-C", "4"), add("X-D", "\t5\n\t6\n 7")],
                "insert at 0": [insert(0, "X-B", " 3"), insert(0, "X-C", " 4")], "insert at 1": [insert(1, "X-B", " 3"), insert(1, "X-C", " 4")], "insert at 3": [insert(3, "X-B", " 3\n\tfolded")],
                "insert at 0 and 1": [insert(0, "X-B", " 3"), insert(1, "X-C", " 4"), insert(2, "X-D", " 5")], "insert behind the end": [insert(6, "X-B", " 3"), insert(100, "X-C", " 4")],
                "change": [change(1, "x-a", " 3"), change(2, "X-A", " 4\n\t5"), change(1, "To", " z")], "change at 0": [change(0, "X-A", " 3")], "change what is not there": [change(3, "X-A", " 3"), change(1, "X-B", " 4")],
                "delete": [change(2, "X-A", ""), change(1, "From", "")], "delete twice": [change(1, "X-A", ""), change(1, "X-A", "")], "delete what is not there": [change(3, "X-A", ""), change(1, "X-B", "")],
                "our own Received:": [change(1, "Received", " z")], "a new body": [packet("b", b"new\r\nbody\r\n"), packet("b", b"more\r\n")], "all": [insert(0, "X-B", " 3"), change(1, "To", ""), add("X-C", " 4"), packet("b", b"new\r\n")]}.items()):
            replies[:] = wanted
            c = socket.create_connection(("127.0.0.1", port), 20)
            read_one(c)
            for command in (b"EHLO helo.example.com\r\n", b"MAIL FROM:<s%d@example.com>\r\n" % i, b"RCPT TO:<jane@example.org>\r\n", b"DATA\r\n", (fields + b"\ntext\n").replace(b"\n", b"\r\n") + b".\r\n", b"QUIT\r\n"): c.sendall(command); said = read_one(c)
            c.close()
            path = f"{taken}/s{i}@example.com"
            for _ in range(400):
                if os.path.exists(path): break
                time.sleep(0.05)
            theirs = open(path, "rb").read() if os.path.exists(path) else b""
            own = re.search(rb"^Received: from helo[^\n]*\n(?:[ \t][^\n]*\n)*", theirs, re.M)
            r = Run([f.name], message=RECEIVED + fields + b"\ntext\n")
            equal(r.message and r.message.replace(RECEIVED, b"Received: OWN\n"), theirs.replace(own[0], b"Received: OWN\n") if own else theirs, f"as Postfix does it: {name}")
            again = [x for l, x in f.said[-2] if l == "L"]
            equal([x for l, x in f.said[-1] if l == "L"], again, f"as Postfix says it: {name}")
    finally:
        end_postfix(master); f.end()


try: main()
finally: end_services()
done()
