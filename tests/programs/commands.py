"""The delivery programs that people have: success, no such user, full, missing; LMTP and PRDR with real clients."""
import http.server, json, smtplib, threading
from harness import *

ROOT = os.geteuid() == 0
PEERS = os.environ.get("SMTPIN_PEERS", "")
BODY = b"From: a@example.com\r\nSubject: test\r\n\r\nline\r\n.dot\r\nFrom here\r\nlast\r\n"
SENT = BODY.replace(b"\r\n", b"\n").replace(b"\n.dot", b"\n.dot")
WIRE = BODY.replace(b"\r\n.", b"\r\n..")
LMTP = os.path.join(BUILD, "smtpin-lmtp")
os.chmod(TMP, 0o755)


def send(settings, rcpt="jane@example.org", body=WIRE, command=None, **more):
    data = f"EHLO x\r\nMAIL FROM:<s@example.com>\r\nRCPT TO:<{rcpt}>\r\nDATA\r\n".encode() + body + b".\r\nQUIT\r\n"
    p = subprocess.run((command or []) + arguments({"log": "stderr", **settings}), input=data, capture_output=True, timeout=120, **more)
    return final_reply(p.stdout) or p.stdout.decode() + p.stderr.decode()


def files(directory):
    return [open(os.path.join(d, f), "rb").read() for d, _, fs in os.walk(directory) for f in fs
            if not f.startswith("dovecot") and f not in ("maildirsize", "maildirfolder", "subscriptions")]


def table(name, settings, store, unknown=None, full=None, missing="451 4.3.0", exact=True, **more):
    """Success, no such user, over quota or its nearest, program missing: reply, bytes, nothing stored on failure."""
    before = len(store())
    got = send(settings, **more)
    ok(got.startswith("250 2."), f"{name}: success is 250", got)
    stored = store()[before:] if len(store()) > before else []
    ok(len(stored) == 1 and (all(w in stored[0] for w in (b"line", b".dot", b"last")) if exact == "loose" else without_trace(stored[0]).endswith(SENT) if exact else b"\nline\n" in stored[0]), f"{name}: the stored bytes", stored or store())
    count = len(store())
    for what, case in (("no such user", unknown), ("over quota", full)):
        if case:
            got = send({**settings, **case[0]}, **{**more, **(case[2] if len(case) > 2 else {})})
            ok(got.startswith(case[1]) and len(store()) == count, f"{name}: {what} is {case[1]}, nothing is stored", (got, len(store()), count))
    got = send({**settings, "deliver": "/nonexistent/" + settings["deliver"].split()[0].split("/")[-1]}, **more)
    ok(got.startswith(missing) and len(store()) == count, f"{name}: a missing program is {missing}, nothing is stored", got)


def maildirs(*directories):
    return lambda: [m for d in directories for m in files(d)]


def wait_for(path, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.path.exists(path): return True
        time.sleep(0.05)
    return False


# smtpin-maildir, the embedded one.
store = os.path.join(TMP, "embedded"); os.mkdir(store)
table("smtpin-maildir", {"deliver": f"{MAILDIR} -r -- {store} ${{recipient}}", "deliver_replies": "each"}, maildirs(store),
      ({"deliver": f"{MAILDIR} -rn -- {store} ${{recipient}}"}, "550 5.1.1", {"rcpt": "nobody@example.org"}), ({"deliver": f"{MAILDIR} -r -q 100 -- {store} ${{recipient}}"}, "452 4.2.2"))
three = b"MAIL FROM:<s@example.com>\r\nRCPT TO:<jane@example.org>\r\nRCPT TO:<joe@example.org>\r\nRCPT TO:<nobody@example.org>\r\nDATA\r\n" + WIRE + b".\r\n"
os.makedirs(store + "/example.org/joe/new"); os.mkdir(store + "/example.org/joe/tmp"); os.mkdir(store + "/example.org/joe/cur")
for i in range(2):
    out, err, _ = pipe(b"EHLO x\r\n" + three.replace(b"nobody", b"joe") + b"QUIT\r\n", {"deliver": f"{MAILDIR} -rn -- {store} ${{recipient}}", "deliver_replies": "each"})
    ok(final_reply(out).startswith("250"), "all have it: 250", out)
equal(len(files(store)), 5, "and the same bytes sent once more are another message")
each = {"deliver": f"{MAILDIR} -rn -- {store} ${{recipient}}", "deliver_replies": "each"}
count = len(files(store))
for i in range(3):
    out, err, _ = pipe(b"EHLO x\r\n" + three + b"QUIT\r\n", {**each, "log": "stderr"})
    ok(final_reply(out).startswith("451 4.3.0"), "partial = defer: two have it, one is nobody: 451", out)
    equal(len(files(store)), count + 2, "partial = defer: whoever has it does not get it twice (SMTPIN_DIGEST)")
out, _, _ = pipe(b"EHLO x\r\nMAIL FROM:<s@example.com>\r\nRCPT TO:<jane@example.org>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n", {"deliver": f"{MAILDIR} -r -- {TMP}/embedded ${{recipient}}", "deliver_replies": "each", "fixed_id": "T"})
equal(final_reply(out), "250 2.0.0 OK id=T-1", "the id is in the last reply")
ok(b'failed="nobody@example.org 550 5.1.1 No such mailbox here"' in err, "the log says whose mail failed, and why", err)
ok(b"digest=" in err and b"result=mixed" in err and b"accepted=2" in err, "the digest is in the log", err)
out, _, _ = pipe(b"LHLO x\r\n" + three + b"QUIT\r\n", {**each, "protocol": "lmtp"})
ok([l[:9] for l in out.split(b"\r\n") if l[3:4] == b" "][-4:-1] == [b"250 2.0.0", b"250 2.0.0", b"550 5.1.1"], "LMTP through smtpin-maildir: three fates", out)

# mdeliver (mblaze), fdm, procmail, maildrop.
box = os.path.join(TMP, "mblaze"); os.makedirs(box + "/new"); os.mkdir(box + "/tmp"); os.mkdir(box + "/cur")
if have("mdeliver"):
    table("mdeliver", {"deliver": f"mdeliver {box}"}, maildirs(box), ({"deliver": f"mdeliver {box}/nobody"}, "451 4.3.0"))
else: skip("mdeliver", "not installed")
if have("fdm"):
    box = os.path.join(TMP, "fdm"); os.mkdir(box)
    conf = write("fdm.conf", f'set lock-file "{TMP}/fdm.lock"\naction "keep" maildir "{box}"\naction "fail" pipe "false"\naccount "stdin" stdin\nmatch "^X-Never" in headers action "fail"\nmatch all action "keep"\n', 0o600)
    bad = write("fdm2.conf", f'set lock-file "{TMP}/fdm.lock"\naction "full" maildir "{conf}/box"\naccount "stdin" stdin\nmatch all action "full"\n', 0o600)
    # fdm exits with 0 when its action fails: only what it prints tells.
    fdm = '/bin/sh -c "HOME=%s USER=root fdm -m -a stdin -f %%s fetch 2>&1 | grep -q \'1 messages processed\' || exit 75"' % TMP
    table("fdm", {"deliver": fdm % conf}, maildirs(box), None, ({"deliver": fdm % bad}, "451 4.3.0"), exact=False)
    ok(send({"deliver": f"/usr/bin/env HOME={TMP} USER=root fdm -m -a stdin -f {bad} fetch"}).startswith("250"), "fdm alone: a failed action is taken for success, as the manual warns")
else: skip("fdm", "not installed")
if have("procmail"):
    box = os.path.join(TMP, "procmail")
    rc = write("procmailrc", f"MAILDIR={TMP}\nDEFAULT={box}/\nLOGFILE={TMP}/procmail.log\n:0\n* ^X-Full\n{TMP}/nowhere/at/all/\n", 0o600)
    full = write("procmailrc2", f"MAILDIR={TMP}\nLOGFILE={TMP}/procmail.log\nEXITCODE=75\nHOST\n", 0o600)
    table("procmail", {"deliver": f"procmail -t -f ${{sender}} -m {rc}"}, maildirs(box),
          ({"deliver": "procmail -t -d ${user}"}, "550 5.1.1" if ROOT else "4", {"rcpt": "nobody-here@example.org"}) if ROOT else None, ({"deliver": f"procmail -t -m {full}"}, "451 4.3.0"))
else: skip("procmail", "not installed")
if have("maildrop"):
    box = os.path.join(TMP, "maildrop")
    subprocess.run(["maildirmake.maildrop" if have("maildirmake.maildrop") else "maildirmake", box], capture_output=True)
    if not os.path.isdir(box): os.makedirs(box + "/new"); os.mkdir(box + "/cur"); os.mkdir(box + "/tmp")
    rc = write("mailfilter", f"HOME=\"{TMP}\"\nto \"{box}/\"\n", 0o600)
    full = write("mailfilter2", f"HOME=\"{TMP}\"\nEXITCODE=75\nexit\n", 0o600)
    table("maildrop", {"deliver": f"/usr/bin/env HOME={TMP} LOGNAME=root maildrop {rc}"}, maildirs(box),
          ({"deliver": "maildrop -d ${user}"}, "550 5.1.1", {"rcpt": "nobody-here@example.org"}) if ROOT else None, ({"deliver": f"/usr/bin/env HOME={TMP} LOGNAME=root maildrop {full}"}, "451 4.3.0"))
else: skip("maildrop", "not installed")

# redis-cli, curl.
if have("redis-server") and have("redis-cli"):
    sock = os.path.join(TMP, "redis.sock")
    redis = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", sock, "--dir", TMP, "--save", ""], stdout=subprocess.DEVNULL)
    wait_for(sock)
    cli = lambda *a: subprocess.run(["redis-cli", "-s", sock, *a], capture_output=True, timeout=20).stdout
    entries = lambda: [e.encode() for e in json.loads(subprocess.run(["redis-cli", "-s", sock, "--json", "-3", "XRANGE", "mail", "-", "+"], capture_output=True, timeout=20, text=True).stdout or "[]") and
                       [x[1][x[1].index("message") + 1] for x in json.loads(subprocess.run(["redis-cli", "-s", sock, "--json", "-3", "XRANGE", "mail", "-", "+"], capture_output=True, timeout=20, text=True).stdout)]]
    add = f"redis-cli -e -s {sock} -x XADD mail * id ${{queue_id}} from ${{sender}} message"
    table("redis-cli -e -x XADD", {"deliver": add}, entries)
    cli("SET", "other", "string")
    got = send({"deliver": add.replace("XADD mail", "XADD other")})
    ok(got.startswith("451 4.3.0"), "redis-cli -e: an error reply is 451", got)
    got = send({"deliver": add.replace("XADD mail", "XADD other").replace("-e ", "")})
    ok(got.startswith("250"), "redis-cli without -e: an error reply is taken for success, as the manual warns", got)
    redis.terminate(); redis.wait(20)
    ok(send({"deliver": add}).startswith("451 4.3.0"), "redis-cli: no server is 451")
else: skip("redis-cli", "not installed")
if have("curl"):
    posted = []

    class Endpoint(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            data = self.rfile.read(int(self.headers["Content-Length"]))
            good = self.path == "/in"
            if good: posted.append(data)
            self.send_response(200 if good else int(self.path[1:])); self.end_headers()

        def log_message(self, *a): pass

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{web.server_port}"
    table("curl -f", {"deliver": f"curl -fsS --data-binary @- {url}/in"}, lambda: posted, ({"deliver": f"curl -fsS --data-binary @- {url}/404"}, "451 4.3.0"), ({"deliver": f"curl -fsS --data-binary @- {url}/507"}, "451 4.3.0"))
    ok(send({"deliver": f"curl -sS --data-binary @- {url}/500"}).startswith("250"), "curl without -f: a 500 is taken for success, as the manual warns")
    ok(send({"deliver": "curl -fsS --data-binary @- http://127.0.0.1:1/in"}).startswith("451"), "curl: no connection is 451")
    web.shutdown()

# msmtp, to another smtpin.
directory, deliver = taker()
PORT = free_port()
if have("msmtp") and have("systemd-socket-activate"):
    server = subprocess.Popen(["systemd-socket-activate", "--accept", "--inetd", "-l", f"127.0.0.1:{PORT}"] + arguments({"deliver": deliver, "log": "none", "trace_headers": ""}), stderr=subprocess.DEVNULL)
    for _ in range(200):
        try: socket.create_connection(("127.0.0.1", PORT)).close(); break
        except OSError: time.sleep(0.05)
    msmtp = f"msmtp --host=127.0.0.1 --port={PORT} --auth=off --tls=off -f ${{sender}} -- ${{recipient}}"
    table("msmtp", {"deliver": msmtp, "domains": "example.org elsewhere.example", "trace_headers": "received"}, lambda: messages(directory), ({}, "554 5.6.0", {"rcpt": "x@elsewhere.example"}), exact=True)
    server.terminate(); server.wait(20)
    ok(send({"deliver": msmtp}).startswith("451"), "msmtp: no server is 451")
else: skip("msmtp", "not installed")

# Dovecot: dovecot-lda, and LMTP through smtpin-lmtp.
if ROOT and have("dovecot"):
    dv = os.path.join(TMP, "dv"); os.makedirs(dv + "/mail"); os.makedirs(dv + "/run")
    nobody = __import__("pwd").getpwnam("nobody")
    os.chown(dv + "/mail", nobody.pw_uid, nobody.pw_gid)
    open(dv + "/users", "w").write("jane@example.org:{PLAIN}x::::::\nfull@example.org:{PLAIN}x::::::userdb_quota_rule=*:bytes=10\n")
    open(dv + "/conf", "w").write(f"""base_dir = {dv}/run
state_dir = {dv}
log_path = {dv}/log
protocols = lmtp
ssl = no
mail_location = maildir:{dv}/mail/%u
first_valid_uid = 1
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = nobody
mail_plugins = quota
plugin {{
  quota = maildir:User quota
  quota_rule = *:storage=1M
}}
passdb {{
  driver = passwd-file
  args = {dv}/users
}}
userdb {{
  driver = passwd-file
  args = {dv}/users
  default_fields = uid={nobody.pw_uid} gid={nobody.pw_gid} home={dv}/mail/%u
}}
service auth {{
  unix_listener auth-userdb {{
    mode = 0666
  }}
}}
service lmtp {{
  unix_listener lmtp {{
    mode = 0666
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
protocol lda {{
  postmaster_address = postmaster@example.org
}}
protocol lmtp {{
  postmaster_address = postmaster@example.org
}}
""")
    os.chmod(TMP, 0o755)
    dovecot = subprocess.Popen(["dovecot", "-F", "-c", dv + "/conf"], stderr=subprocess.DEVNULL)
    if ok(wait_for(dv + "/run/lmtp") and wait_for(dv + "/run/auth-userdb"), "Dovecot runs", open(dv + "/log").read() if os.path.exists(dv + "/log") else ""):
        lda = f"/usr/lib/dovecot/dovecot-lda -c {dv}/conf -e -f ${{sender}} -d ${{user}}@${{domain}}"
        table("dovecot-lda -e", {"deliver": lda}, maildirs(dv + "/mail"), ({}, "550 5.1.1", {"rcpt": "nobody@example.org"}), ({"exit_map": "77:552"}, "552 5.2.2", {"rcpt": "full@example.org"}))
        lmtp = {"deliver": f"{LMTP} {dv}/run/lmtp -- ${{sender}} ${{recipient}}", "deliver_replies": "each"}
        table("smtpin-lmtp to Dovecot", lmtp, maildirs(dv + "/mail"), ({}, "550 5.1.1", {"rcpt": "nobody@example.org"}), ({}, "552 5.2.2", {"rcpt": "full@example.org"}), exact=False)
        count = len(files(dv + "/mail"))
        out, err, _ = pipe(b"LHLO x\r\nMAIL FROM:<s@example.com>\r\nRCPT TO:<jane@example.org>\r\nRCPT TO:<nobody@example.org>\r\nRCPT TO:<full@example.org>\r\nDATA\r\n" + WIRE + b".\r\nQUIT\r\n", {**lmtp, "protocol": "lmtp"})
        got = [l[:9].decode() for l in out.split(b"\r\n") if l[3:4] == b" "][-4:-1]
        equal(got, ["250 2.0.0", "550 5.1.1", "552 5.2.2"], "three recipients, three fates, through LMTP at both ends")
        equal(len(files(dv + "/mail")), count + 1, "and one message stored")
        got = send({**lmtp, "deliver": f"{LMTP} {dv}/run/none 127.0.0.1:1 unix:{dv}/run/lmtp -- ${{sender}} ${{recipient}}"})
        ok(got.startswith("250 2.0.0"), "servers are tried in order", got)
        got = send({**lmtp, "deliver": f"{LMTP} {dv}/run/none 127.0.0.1:1 -- ${{sender}} ${{recipient}}"})
        ok(got.startswith("451"), "no server is 451", got)
    dovecot.terminate(); dovecot.wait(30)
else: skip("Dovecot", "needs root and dovecot-lmtpd")

# The embedded delivery, whatever deliver_per says.
broken_store = os.path.join(TMP, "broken"); os.makedirs(broken_store + "/example.org"); open(broken_store + "/example.org/jane", "w").close()
for per in ("message", "recipient"):
    p = subprocess.run([SMTPIN, "-f", "/dev/null", "-o", "domains=example.org", "-o", f"maildir={broken_store}", "-o", f"deliver_per={per}", "-o", "log=none", "-o", f"deliver_through={write('here', '#!/bin/sh' + chr(10) + 'shift' + chr(10) + 'exec ' + MAILDIR + ' ' + chr(34) + '$@' + chr(34) + chr(10))}"], input=mail(envelope=ENVELOPE.replace(b"b@", b"jane@")), capture_output=True, timeout=60)
    ok(final_reply(p.stdout).startswith("451 4.3.0"), f"the embedded delivery with deliver_per = {per}: a failure is 451", p.stdout + p.stderr)
out, _, _ = pipe(b"EHLO x\r\n" + b"".join([b"MAIL FROM:<s@x> PRDR\r\n" + b"".join(b"RCPT TO:<u%d@example.org>\r\n" % i for i in range(25)) + b"DATA\r\nx\r\n.\r\n"] * 2) + b"QUIT\r\n",
                 {"deliver_per": "recipient", "deliver": '/bin/sh -c "case $$LOCAL in u1) exit 0;; esac; exit 67"'})
equal(codes(out)[-2:], ["250", "221"], "PRDR: results of recipients are not the client's errors")

# LMTP by a real client, on a unix socket as on port 25.
fates = write("fates", '#!/bin/sh\ncase $LOCAL in a) exit 0;; b) echo 5.2.2 full; exit 1;; *) exit 75;; esac\n')
sock = os.path.join(TMP, "lmtp.sock"); l = socket.socket(socket.AF_UNIX); l.bind(sock); l.listen()
def serve_one(extra={}):
    c, _ = l.accept()
    p = subprocess.Popen(arguments({"deliver": fates, "deliver_per": "recipient", "log": "none", **extra}) + ["--lmtp"], stdin=c, stdout=c)
    c.close()
    p.wait(30)
for parallel in ("1", "3"):
    threading.Thread(target=serve_one, args=({"deliver_parallel": parallel},), daemon=True).start()
    c = smtplib.LMTP(sock)
    c.ehlo_or_helo_if_needed(); c.mail("s@example.com")
    for r in "abc": c.rcpt(r + "@example.org")
    c.putcmd("data"); c.getreply(); c.send(WIRE + b".\r\n")
    equal([c.getreply()[0] for _ in range(3)], [250, 552, 451], f"Python's LMTP, deliver_parallel = {parallel}: three fates")
    c.close()
took = {}
for parallel in ("1", "4"):
    many = b"LHLO x\r\nMAIL FROM:<s@x>\r\n" + b"".join(b"RCPT TO:<u%d@example.org>\r\n" % i for i in range(12)) + b"DATA\r\nx\r\n.\r\nQUIT\r\n"
    start = time.monotonic()
    out, _, _ = pipe(many, {"protocol": "lmtp", "deliver_per": "recipient", "deliver_parallel": parallel, "deliver": write("odd", '#!/bin/sh\nsleep 0.2\ncase $LOCAL in *[13579]) exit 67;; esac\n')})
    equal(codes(out)[-13:-1], ["250", "550"] * 6, f"deliver_parallel = {parallel}: each its own, in order")
    took[parallel] = time.monotonic() - start
ok(took["4"] < took["1"] * 0.8, "four at once take a third of the time or so", took)
out, _, _ = pipe(b"LHLO x\r\n", {"protocol": "lmtp"}, env={**os.environ, "TCPLOCALPORT": "25"})
ok(out.startswith(b"421"), "LMTP is not spoken on port 25 (RFC 2033 5)", out)

start = time.monotonic()
out, _, _ = pipe(many, {"protocol": "lmtp", "deliver_per": "recipient", "deliver_timeout": "3s", "deliver": '/bin/sh -c "sleep 0.7"'})
got = codes(out)[-13:-1]
ok(got[:2] == ["250"] * 2 and got[-6:] == ["451"] * 6 and time.monotonic() - start < 20, "deliver_timeout bounds the runs of a message together: the rest are told to come again", got)

# Each run has a file of its own, some rewind it.
rewinds = write("rewinds", f'#!{sys.executable}\nimport os\nat = os.lseek(0, 0, 1)\nhalf = os.read(0, 20); os.lseek(0, 0, 0); all = b""\nwhile True:\n    b = os.read(0, 65536)\n    if not b: break\n    all += b\nopen("{TMP}/copy." + os.environ["LOCAL"], "wb").write(all + (b"" if at == 0 else b"BAD"))\n')
for headers, memory in (("return-path delivered-to received", "1M"), ("received", "1M"), ("", "1M"), ("return-path delivered-to received", "0"), ("received", "0")):
    out, _, _ = pipe(b"LHLO x\r\nMAIL FROM:<s@x>\r\nRCPT TO:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<c@example.org>\r\nDATA\r\n" + WIRE + b".\r\nQUIT\r\n",
                     {"protocol": "lmtp", "deliver_per": "recipient", "deliver_parallel": "3", "deliver": rewinds, "trace_headers": headers, "spool_memory": memory, "spool_dir": TMP})
    copies = {n: open(f"{TMP}/copy.{n}", "rb").read() for n in "abc"}
    ok(all(without_trace(c) == SENT and (b"Delivered-To: %s@" % n.encode() in c) == ("delivered" in headers) for n, c in copies.items()), f"a file of its own for each run ({headers or 'no headers'}, spool_memory {memory})", copies)

# 1,000 recipients in one transaction, memory bounded.
thousand = b"LHLO x\r\nMAIL FROM:<s@x>\r\n" + b"".join(b"RCPT TO:<%s%d@example.org>\r\n" % (b"u" * 50, i) for i in range(1000)) + b"DATA\r\nx\r\n.\r\nQUIT\r\n"
def limit(): __import__("resource").setrlimit(__import__("resource").RLIMIT_AS, (64 << 20, 64 << 20))
out, _, status = pipe(thousand, {"protocol": "lmtp", "deliver_per": "recipient", "deliver": "/bin/true", "deliver_parallel": "8"}, timeout=200, preexec_fn=None if SANITIZED else limit)
equal((codes(out).count("250"), status), (2002, 0), "1,000 recipients, a run each, in 64 MiB of address space")
lines = write("lines", '#!/bin/sh\nwhile [ $# -gt 0 ]; do echo 250 2.1.5 ok; shift; done\n')
out, _, status = pipe(thousand, {"protocol": "lmtp", "deliver_replies": "each", "deliver": f"{lines} ${{recipient}}"}, timeout=200)
equal((codes(out).count("250"), status), (2002, 0), "1,000 recipients, one run with 1,000 reply lines")

# Programs that would take the place of the machine's mail server: unpacked beside it, and given an
# /etc, a /usr/sbin and whatever else they have compiled in, in a mount namespace of their own.
def private(etc, over, binds=()):
    lines = [f"mount -t overlay -o lowerdir={etc}:/etc overlay /etc"]
    lines += [f"mount -t overlay -o lowerdir={PEERS}/{o}:/{o.split('/', 1)[1]} overlay /{o.split('/', 1)[1]}" for o in over]
    lines += [f"mount --bind {a} {b}" for a, b in binds]
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", " && ".join(lines) + ' && exec "$@"', "sh"]


def own_etc(name, users):
    etc = os.path.join(TMP, name); os.makedirs(etc, exist_ok=True)
    for file in ("passwd", "group"):
        text = open("/etc/" + file).read()
        for user, number in users:
            if f"\n{user}:" not in text:
                text += f"{user}:x:{number}:{number}::/:/bin/false\n" if file == "passwd" else f"{user}:x:{number}:\n"
        write(f"{name}/{file}", text, 0o644)
    return etc


def peer(name):
    return ROOT and os.path.isdir(os.path.join(PEERS, name))


if peer("postfix"):
    etc = own_etc("etc-postfix", (("postfix", 65531), ("postdrop", 65530)))
    os.makedirs(etc + "/postfix"); queue = os.path.join(TMP, "pfq"); os.mkdir(queue); os.chmod(queue, 0o755)
    for d, mode in (("maildrop", 0o730), ("pid", 0o755), ("public", 0o710), ("data", 0o700)):
        os.mkdir(f"{queue}/{d}"); os.chmod(f"{queue}/{d}", mode); os.chown(f"{queue}/{d}", 65531, 65530)
    write("etc-postfix/postfix/main.cf", f"compatibility_level = 3.6\nqueue_directory = {queue}\ncommand_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\n"
          f"data_directory = {queue}/data\nmyhostname = q.example.org\nmessage_size_limit = 2000\nsetgid_group = postdrop\nmail_owner = postfix\nmaillog_file =\n", 0o644)
    inside = private(etc, ["postfix/usr/sbin", "postfix/usr/lib"])
    table("sendmail (Postfix)", {"deliver": "/usr/sbin/sendmail -i -f ${sender} -- ${recipient}", "trace_headers": "received"}, maildirs(queue + "/maildrop"), None,
          ({}, "451 4.3.0", {"body": b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 100}), exact="loose", command=inside)
else: skip("sendmail (Postfix)", "needs root and Postfix unpacked")
if peer("nullmailer"):
    etc = own_etc("etc-nullmailer", ()); os.makedirs(etc + "/nullmailer"); write("etc-nullmailer/nullmailer/me", "null.example.org\n", 0o644)
    spool = os.path.join(TMP, "spool"); mail = __import__("pwd").getpwnam("mail")
    for d in ("", "/nullmailer", "/nullmailer/queue", "/nullmailer/tmp", "/nullmailer/failed"):
        os.mkdir(spool + d); os.chown(spool + d, mail.pw_uid, mail.pw_gid)
    os.mkfifo(spool + "/nullmailer/trigger"); os.chown(spool + "/nullmailer/trigger", mail.pw_uid, mail.pw_gid)
    inside = private(etc, ["nullmailer/usr/sbin"], [(spool, "/var/spool")])
    wrap = write("to-nullmailer", '#!/bin/sh\n{ printf "%s\\n" "$@"; echo; cat; } | nullmailer-queue\n')
    bad = write("to-nullmailer-badly", '#!/bin/sh\n{ echo; cat; } | nullmailer-queue\n')
    table("nullmailer-queue", {"deliver": f"{wrap} ${{sender}} ${{recipient}}", "trace_headers": "received"}, maildirs(spool + "/nullmailer/queue"), ({"deliver": bad}, "451 4.3.0"), None, exact=False, command=inside)
else: skip("nullmailer-queue", "needs root and nullmailer unpacked")
if peer("mailfront") and os.path.exists(PEERS + "/mailfront/usr/lib/libbg.so.2"):
    # The interface of qmail-queue as another front end speaks it to the same program.
    both = write("envelopes", f'#!/bin/sh\ncat >{TMP}/q.msg; cat <&1 >{TMP}/q.env\n')
    rules = write("rules", "k*:*:ok\nk*:*@example.org:ok\n", 0o644)
    dialogue = b'EHLO x\r\nMAIL FROM:<s@example.com>\r\nRCPT TO:<jane@example.org>\r\nRCPT TO:<"x y"@example.org>\r\nDATA\r\n' + WIRE + b".\r\nQUIT\r\n"
    subprocess.run([PEERS + "/mailfront/usr/sbin/mailfront", "smtp", "qmail", "mailrules"], input=dialogue, capture_output=True, timeout=60,
                   env={"LD_LIBRARY_PATH": PEERS + "/mailfront/usr/lib", "MODULE_PATH": PEERS + "/mailfront/usr/lib/mailfront", "QMAILQUEUE": both, "MAILRULES": rules, "QMAILHOME": TMP, "TCPLOCALHOST": "x", "PATH": "/bin:/usr/bin"})
    theirs = [open(TMP + "/q.env", "rb").read(), open(TMP + "/q.msg", "rb").read()]
    os.unlink(TMP + "/q.env")
    pipe(dialogue, {"deliver": both, "deliver_format": "qmail-queue", "trace_headers": ""})
    equal([open(TMP + "/q.env", "rb").read(), open(TMP + "/q.msg", "rb").read()], theirs, "qmail-queue: the same envelope and message as mailfront hands over")
else: skip("qmail-queue beside mailfront", "needs mailfront unpacked")

# Descriptors run short: what could not be run is 451, what was run is said, nothing hangs.
counted = os.path.join(TMP, "counted")
for most in (8, 10, 12, 14, 20, 40):
    if os.path.exists(counted): os.unlink(counted)
    some = b"LHLO x\r\nMAIL FROM:<s@x>\r\n" + b"".join(b"RCPT TO:<u%d@example.org>\r\n" % i for i in range(40)) + b"DATA\r\nx\r\n.\r\nQUIT\r\n"
    out, _, status = pipe(some, {"protocol": "lmtp", "deliver_per": "recipient", "deliver_parallel": "16", "deliver": f'/bin/sh -c "echo x >>{counted}"', "log": "none"}, timeout=100,
                          preexec_fn=lambda: __import__("resource").setrlimit(__import__("resource").RLIMIT_NOFILE, (most, most)))
    got = codes(out)[-41:-1]
    runs = len(open(counted).read().split()) if os.path.exists(counted) else 0
    ok(got.count("250") == runs and got.count("250") + got.count("451") == 40 and status == 0, f"{most} descriptors: {runs} runs, as many 250", (got, runs))

# PRDR by Exim, a real client.
if peer("exim4-daemon-light") and have("systemd-socket-activate"):
    server = subprocess.Popen(["systemd-socket-activate", "--accept", "--inetd", "-l", f"127.0.0.1:{PORT}"] + arguments({"deliver": fates, "deliver_per": "recipient", "log": "none", "trace": TMP}), stderr=subprocess.DEVNULL)
    for _ in range(200):
        try: socket.create_connection(("127.0.0.1", PORT)).close(); break
        except OSError: time.sleep(0.05)
    time.sleep(0.2)
    spool = os.path.join(TMP, "exim"); os.mkdir(spool); os.chown(spool, nobody.pw_uid if have("dovecot") else 65534, 65534)
    for f in [f for f in os.listdir(TMP) if f.endswith(".smtp")]: os.unlink(os.path.join(TMP, f))
    conf = write("exim.conf", f"""exim_user = nobody
exim_group = nogroup
spool_directory = {spool}
log_file_path = {spool}/%slog
primary_hostname = client.example.com
never_users =
keep_environment =
begin routers
all:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = smtp
begin transports
smtp:
  driver = smtp
  port = {PORT}
  hosts_try_prdr = *
  hosts_try_fastopen =
begin retry
* * F,1h,1h
""", 0o644)
    # Debian's Exim wants its user in the user database and its configuration in a list.
    etc = own_etc("etc-exim", (("Debian-exim", 65533),)); os.makedirs(etc + "/exim4")
    write("etc-exim/exim4/trusted_configs", conf + "\n", 0o644)
    inside = private(etc, ["exim4-daemon-light/usr/sbin"])

    def run_exim(*args, **more):
        return subprocess.run([*inside, "/usr/sbin/exim4", "-C", conf, *args], capture_output=True, timeout=60, **more)

    p = run_exim("-odi", "-f", "s@example.com", "a@example.org", "b@example.org", "c@example.org", input=b"Subject: x\n\ntext\n")
    for _ in range(50):
        queue = run_exim("-bp").stdout.decode()
        if "D a@example.org" in queue: break
        time.sleep(0.1)
    ok("D a@example.org" in queue, "Exim, PRDR: the first is done", queue)
    ok("D b@example.org" in queue, "Exim, PRDR: the second is done (bounced)", queue)
    ok("c@example.org" in queue and "D c@example.org" not in queue, "Exim, PRDR: the third will be tried again, alone", queue)
    traces = "".join(open(os.path.join(TMP, f)).read() for f in os.listdir(TMP) if f.endswith(".smtp"))
    ok("PRDR\n" in traces and "S: 353 A reply for each recipient follows\nS: 250 2.0.0 OK" in traces and "\nS: 552 5.2.2 full\nS: 451 4.3.0 " in traces and "RCPT TO:<s@example.com>" in traces, "Exim has asked for PRDR, and has got 353", traces)
    server.terminate(); server.wait(20)
else: skip("PRDR by Exim", "needs root and exim4")
done()
