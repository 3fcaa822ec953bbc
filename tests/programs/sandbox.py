"""The sandbox: what the worker has, what one that belongs to an attacker can do (tests/sandbox), what the command has of it."""
import concurrent.futures, re
from harness import *

COMPROMISED = os.path.join(os.environ["SMTPIN_BUILD"], "compromised")
directory, deliver = taker()
STATUS = os.path.join(TMP, "status")
command = write("command", f'#!/bin/sh\ncat >/dev/null\n{{ cat /proc/self/status; ulimit -a; ls /proc/self/fd; }} >{STATUS}\n')
LINES = f"hostname = mx.example.org\ndomains = example.org\nlog = stderr\nspool_dir = {TMP}\nmax_recipients = 100\n"
CONF = write("sandbox.conf", LINES + f"deliver = {command}\nsandbox = yes\n", 0o644)
OPEN = write("no-sandbox.conf", LINES + f"deliver = {command}\nsandbox = no\n", 0o644)


class Session:
    """smtpin on a socket pair, its log in a file."""
    def __init__(self, arguments, before=()):
        self.c, theirs = socket.socketpair()
        self.c.settimeout(100)
        self.log_file = tempfile.TemporaryFile(dir=TMP)
        self.p = subprocess.Popen([*before, SMTPIN, *arguments], stdin=theirs, stdout=theirs, stderr=self.log_file)
        theirs.close()

    def reply(self): return read_reply(self.c)
    def say(self, line): self.c.sendall(line + b"\r\n"); return self.reply()

    def close(self):
        self.c.close()
        self.p.wait(100)

    def log(self):
        self.log_file.seek(0)
        return self.log_file.read().decode()


def compromised(attack, conf=CONF, seconds=60):
    """What it wrote to the client, its exit status, its log."""
    try: p = subprocess.run([COMPROMISED, conf, attack], stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, cwd=TMP)
    except subprocess.TimeoutExpired: return "", f"still there after {seconds} seconds", ""
    return p.stdout.decode(), p.returncode, p.stderr.decode()


def on_socket(attack, conf, env):
    """The same, on a connection: smtpin-tls takes nothing else."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        p = subprocess.Popen([COMPROMISED, conf, attack], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, cwd=TMP, env={**os.environ, **env})
        theirs.close(); ours.settimeout(60)
        said, log = read_all(ours).decode(), p.stderr.read().decode()
        p.stderr.close()
        return said, p.wait(60), log


listed = [l.split("\t") for l in subprocess.run([COMPROMISED, CONF], capture_output=True, text=True).stdout.splitlines()]
calls = [l[1] for l in listed if l[0] == "call"]
attacks = [l[1:] for l in listed if l[0] == "request"]  # name, kind, what the client sees, violation, configuration
kinds = [l[1] for l in listed if l[0] == "kind"]
tls_calls = [l[1] for l in listed if l[0] == "tls_call"]

# System calls: the process dies of each, before it comes back; of its stack by SIGSEGV.
for name in calls:
    if SANITIZED: break
    if name == "sleep_on": continue
    said, status, log = compromised(name)
    signal_is = 11 if name == "use_stack" else 31
    ok(said == "" and status == 70 and re.search(rf"crash process=\d+ session=\S+ client_address=192.0.2.1 signal={signal_is}$", log, re.M), f"{name}: ends it, and is a record", (said, status, log))
ok(not os.path.exists("/tmp/smtpin-compromised"), "no file came of it")

# Requests: answered as any client would be, or the end.
ok(len(kinds) > 8 and set(kinds) <= {a[1] for a in attacks}, "each kind of request is attacked", set(kinds) - {a[1] for a in attacks})
TRACES = os.path.join(TMP, "traces"); os.mkdir(TRACES)
lines = open(CONF).read()
# Whom the tables of these attacks know.
TABLE = text_table("recipients", "b@example.org OK\nc@example.org OK\nlater@example.org 450 4.2.1 Later\nboth@example.org b@example.org, away@elsewhere.example\n")
# Where no policy server is, policy_default is what one says at each of the steps.
NO_SERVER = lambda states, default: f"policy = unix:{TMP}/nobody\npolicy_states = {states}\npolicy_default = {default}\n"
tables = lines + f"recipients = {TABLE}\nvrfy = yes\nmax_refused_recipients = 5\nmax_errors = 4\n"
# In smtpin-tls's place, for the requests about TLS.
GOOD = tls_stand_in("tls-good", "hear(); say(b'ready\\0'); hear(); say(b'secure\\0' + facts); carry()")
NONE = tls_stand_in("tls-none", "hear(); say(b'unavailable\\0reason=no certificate\\0'); hear()")
FAILED = tls_stand_in("tls-failed", "hear(); say(b'ready\\0'); hear(); say(b'failed\\0reason=http request\\0')")
tls = lambda kind, program=GOOD: f"tls = {kind}\ntls_service = no\ntls_command = {program}\n"
# Who checks a login, and says the same to each; or knows jane's password.
auth = lambda command, more="auth_plaintext = yes\n": f"auth = checkpassword:{command}\nauth_failure_delay = 0\nvrfy = yes\n{more}"
SECRET = write("secret", "#!/bin/sh\n[ \"$(tr '\\0' ' ' <&3)\" = 'jane secret  ' ]\n")
LOGINS = text_table("logins", "jane@example.org jane\nboss@example.org boss\n")
# The peer of these attacks is a proxy.
PROXY = "proxy_protocol = required\ntrusted_proxies = 192.0.2.1\n"
XCLIENT = "xclient_clients = 192.0.2.1\n"
slow = write("slow", "#!/bin/sh\nsleep 2\n")
CONFS = {
    "usual": CONF,
    "traced": write("traced.conf", lines + f"trace = {TRACES}\ntrace_size = 10000\n", 0o644),
    "single": write("single.conf", lines + "partial = single\n", 0o644),
    "hung": write("hung.conf", lines + "session_timeout = 1\ncommand_timeout = 1\n", 0o644),
    "many": write("many.conf", lines.replace("max_recipients = 100", "max_recipients = 5000"), 0o644),
    "small": write("small.conf", lines + "max_message_size = 65536\nmax_commands = 10\nsession_timeout = 5\n", 0o644),
    "tables": write("tables.conf", tables, 0o644),
    "few": write("few.conf", tables + "max_commands = 10\n", 0o644),
    "slow": write("slow.conf", lines + f"check_recipient = {slow}\nsession_timeout = 1\ncommand_timeout = 1\n", 0o644),
    "dsn": write("dsn.conf", lines + "dsn = yes\n", 0o644),
    "binary": write("binary.conf", lines + "binarymime = yes\n", 0o644),
    "tls": write("tls.conf", lines + tls("may"), 0o644),
    "tls_none": write("tls_none.conf", lines + tls("may", NONE), 0o644),
    "tls_failed": write("tls_failed.conf", lines + tls("required", FAILED), 0o644),
    "tls_required": write("tls_required.conf", tables + tls("required"), 0o644),
    "tls_implicit": write("tls_implicit.conf", lines + tls("implicit"), 0o644),
    "tls_steps": write("tls_steps.conf", lines + NO_SERVER("CONNECT EHLO MAIL DATA", "DUNNO") + tls("may"), 0o644),
    "requiretls": write("requiretls.conf", lines + tls("may") + "requiretls = yes\n", 0o644),
    "auth": write("auth.conf", lines + auth("/bin/true"), 0o644),
    "auth_wrong": write("auth_wrong.conf", lines + auth("/bin/false"), 0o644),
    "auth_secret": write("auth_secret.conf", lines + auth(SECRET), 0o644),
    "auth_few": write("auth_few.conf", lines + auth("/bin/true") + "max_commands = 10\n", 0o644),
    "auth_tls": write("auth_tls.conf", lines + auth("/bin/true", "") + tls("may"), 0o644),
    "auth_both": write("auth_both.conf", lines + auth("/bin/true") + tls("may"), 0o644),
    "auth_both_required": write("auth_both_required.conf", lines + auth("/bin/true") + tls("may") + "auth_required = yes\n", 0o644),
    "auth_required": write("auth_required.conf", lines + auth("/bin/true") + "auth_required = yes\n", 0o644),
    "auth_required_wrong": write("auth_required_wrong.conf", lines + auth("/bin/false") + "auth_required = yes\n", 0o644),
    "auth_senders": write("auth_senders.conf", lines + auth("/bin/true") + f"sender_login = {LOGINS}\n", 0o644),
    "proxy": write("proxy.conf", lines + PROXY + "relay_clients = 198.51.100.0/24\n", 0o644),
    "proxy_tls": write("proxy_tls.conf", lines + PROXY + tls("required") + "proxy_tls = yes\n", 0o644),
    "proxy_no_tls": write("proxy_no_tls.conf", lines + PROXY + tls("required"), 0o644),
    "xclient": write("xclient.conf", lines + XCLIENT + "relay_clients = 198.51.100.0/24\n", 0o644),
    "xclient_login": write("xclient_login.conf", lines + XCLIENT + "xclient_login = yes\nauth_required = yes\n", 0o644),
    "xclient_few": write("xclient_few.conf", lines + XCLIENT + "max_commands = 10\n", 0o644),
    "xclient_steps": write("xclient_steps.conf", lines + XCLIENT + NO_SERVER("CONNECT EHLO", "DUNNO"), 0o644),
    "steps": write("steps.conf", lines + NO_SERVER("CONNECT EHLO MAIL DATA", "DUNNO"), 0o644),
    **{name: write(f"{name}.conf", lines + NO_SERVER(state, "550 5.7.1 No") + "helo_required = yes\n", 0o644)
       for name, state in (("no_client", "CONNECT"), ("no_greeting", "EHLO"), ("no_sender", "MAIL"), ("no_data", "DATA"))},
}
# Several at once: some take their time, up to ten seconds, and most of it is waiting.
def attack(a):
    start = time.monotonic()
    return a, compromised(a[0], conf=CONFS[a[4]]), time.monotonic() - start
hangs = ["sleep_on", None, "", None, "hung"]
with concurrent.futures.ThreadPoolExecutor(4) as pool: (_, hung, hung_for), *done_to = list(pool.map(attack, [hangs] + [a for a in attacks if not (SANITIZED and a[0] == "crash")]))
UNREADABLE = ("long_list", "too_long", "more_octets", "padded", "garbage", "no_kind", "forge_log", "ask_for_long_sender", "ask_with_long_name", "ask_two_at_once", "ask_nothing", "claim_facts", "claim_user")
for (name, kind, wanted, violation, conf), (said, status, log), took in done_to:
    violation = None if violation == "-" else violation
    # The end may come before what was written was.
    fine = said.replace("back\n", "").strip("\n") == wanted and (status == 0 if violation is None else status == 70)
    # What could not be read is named after no other request.
    if violation: fine = fine and f'violation="{violation}"' in log and (f" request={kind} " in log if name not in UNREADABLE and kind != "NONE" else name not in UNREADABLE or " request=" not in log)
    # Ten seconds are the longest that one of them may take; the rest is for a machine that has much to do.
    ok(fine and took < 40, f"{name}: {violation or 'as a client may'}", (said, status, log[-700:], took))
    records = [l for l in log.splitlines() if not l.startswith("smtpin[")]
    equal(records, [], f"{name}: each line of the log is smtpin's own")
    ok("client_address=192.0.2.66" not in re.sub(r'"[^"]*"', '""', log), f"{name}: and the client's address is")
    ok(len(re.findall(r"^smtpin\[\d+\]: session session=", log, re.M)) == 1, f"{name}: one record of the session", log)

ok(0 < sum(os.path.getsize(os.path.join(TRACES, f)) for f in os.listdir(TRACES)) < 30000, "a recording keeps its size", [os.path.getsize(os.path.join(TRACES, f)) for f in os.listdir(TRACES)])

# With smtpin-tls itself beside it: its key, its memory and its sockets are out of reach.
TLS = os.environ.get("SMTPIN_TLS", os.path.join(BUILD, "smtpin-tls"))
if os.path.exists(TLS) and have("openssl") and not SANITIZED:
    KEY, CHAIN = os.path.join(TMP, "key.pem"), os.path.join(TMP, "chain.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=mx.example.org", "-days", "30", "-keyout", KEY, "-out", CHAIN], check=True, capture_output=True)
    real = write("real.conf", lines + f"tls = may\ntls_service = no\ntls_command = {TLS}\ntls_certificate = {CHAIN} {KEY}\n", 0o644)
    for name in tls_calls:
        said, status, log = on_socket(name, real, {"SMTPIN_TEST_KEY": KEY})
        ok(said == "ready " and status == 70 and re.search(r"crash process=\d+ session=\S+ client_address=192.0.2.1 signal=31$", log, re.M), f"{name}, beside smtpin-tls: ends it, and is a record", (said, status, log))
elif not SANITIZED: skip("system calls beside smtpin-tls", "no smtpin-tls or no openssl (Debian: openssl)")

# A session that hangs is ended when its time is over, with 10 seconds for last words.
said, status, log = hung
ok(status == 70 and 'violation="outlives its time"' in log and 10 <= hung_for < 40, "who hangs is ended", (status, hung_for, log))

# What a worker of smtpin itself has, from outside.
p = Session(["-f", CONF])
p.reply()
monitor = p.p.pid
worker = int(open(f"/proc/{monitor}/task/{monitor}/children").read())
def facts(pid): return dict(l.split(":\t", 1) for l in open(f"/proc/{pid}/status").read().splitlines() if ":\t" in l)
f = facts(worker)
if not SANITIZED: ok(f["Seccomp"] == "2" and f["NoNewPrivs"] == "1", "in the sandbox: a filter, no new privileges", f)
limits = open(f"/proc/{worker}/limits").read()
held = {n: os.readlink(f"/proc/{worker}/fd/{n}") for n in sorted(os.listdir(f"/proc/{worker}/fd"), key=int)}
ok(len(held) == 4 and "2" not in held and [v.split(":")[0] for v in held.values()] == ["socket", "socket", "anon_inode", "socket"], "it holds its connection, what tells it to stop and the way to ask, nothing else", held)
ok(re.search(r"Max core file size\s+0\s+0", limits), "it leaves no core", limits)
ok(re.search(r"Max stack size\s+1048576\s+1048576", limits), "its stack is limited", limits)
f = facts(monitor)
ok(f["Seccomp"] == facts(os.getpid())["Seccomp"] and f["NoNewPrivs"] == facts(os.getpid())["NoNewPrivs"], "outside: nothing of it", f)
for line in (b"EHLO c.example.com", b"MAIL FROM:<a@example.com>", b"RCPT TO:<b@example.org>", b"DATA"): p.say(line)
equal(p.say(b"x\r\n.")[:3], b"250", "a message")
sandboxed = open(STATUS).read()
# The monitor's end is the other one's, and the other way round.
os.kill(monitor, signal.SIGKILL)
ok(gone(worker, 20), "without its monitor it is gone")
p.close()

p = Session(["-f", CONFS["tls"]])
p.reply()
children = open(f"/proc/{p.p.pid}/task/{p.p.pid}/children").read().split()
held = [os.readlink(f"/proc/{children[0]}/fd/{n}").split(":")[0] for n in os.listdir(f"/proc/{children[0]}/fd")]
equal(sorted(held), ["anon_inode", "socket", "socket", "socket", "socket"], "with TLS, the worker holds its end of the plain text too")
equal(len(children), 1, "and nobody does TLS before it is asked for")
p.close()

p = Session(["-f", OPEN])
p.reply()
ok(open(f"/proc/{p.p.pid}/task/{p.p.pid}/children").read() == "", "sandbox = no: one process")
for line in (b"EHLO c.example.com", b"MAIL FROM:<a@example.com>", b"RCPT TO:<b@example.org>", b"DATA"): p.say(line)
equal(p.say(b"x\r\n.")[:3], b"250", "a message without the sandbox")
def constant(text): return [l for l in text.splitlines() if l.split(":")[0] in ("Seccomp", "Seccomp_filters", "NoNewPrivs", "SigBlk", "SigIgn", "SigCgt", "CapEff", "CapBnd", "Uid", "Gid", "Groups", "Umask") or "(" in l or l.isdigit()]
equal(constant(sandboxed), constant(open(STATUS).read()), "the command: its filters, signals, limits and descriptors are those of sandbox = no")
p.say(b"QUIT"); p.close()

# Forty sessions at once where no filter can be had, on a machine that has much to do: each client hears the same.
WITHOUT = os.path.join(TMP, "without")
built = have("cc") and subprocess.run(["cc", "-O1", "-o", WITHOUT, os.path.join(SOURCE, "tests", "programs", "without.c")], capture_output=True).returncode == 0
if built and not SANITIZED:
    busy = [subprocess.Popen([sys.executable, "-c", "import time\nend = time.monotonic() + 120\nwhile time.monotonic() < end: pass"]) for _ in range(4)]
    for value, greeting in (("yes", b"421"), ("auto", b"220")):
        conf = write(f"{value}.conf", open(CONF).read().replace("sandbox = yes", f"sandbox = {value}"), 0o644)
        crowd = [Session(["-f", conf], before=[WITHOUT, "filter"]) for _ in range(40)]
        heard = [p.reply() for p in crowd]
        ok(all(h[:3] == greeting for h in heard), f"sandbox = {value}, forty sessions without a filter: each hears {greeting.decode()}", heard)
        if value == "auto": ok(all(p.say(b"QUIT")[:3] == b"221" for p in crowd), "and goes on")
        for p in crowd: p.close()
        logs = "".join(p.log() for p in crowd)
        ok("crash" not in logs and "violation" not in logs and logs.count("no seccomp filter can be had here") == 40, "each has its record, none is a crash", [l for l in logs.splitlines() if "crash" in l][:3])
        equal({p.p.returncode for p in crowd}, {0}, "and ends as ever")
    for p in busy: p.kill(); p.wait()
elif not SANITIZED: skip("forty sessions without a filter", "no C compiler")

# Where no filter can be had. strace makes prctl(PR_SET_SECCOMP), the third one, fail.
if have("strace") and not SANITIZED:
    tampered = ["strace", "-f", "-o", "/dev/null", "-e", "trace=prctl", "-e", "inject=prctl:error=EINVAL:when=3"]
    for value, greeting, says in (("yes", b"421", "no seccomp filter can be had here"), ("auto", b"220", "the session runs without")):
        conf = write(f"{value}.conf", open(CONF).read().replace("sandbox = yes", f"sandbox = {value}"), 0o644)
        p = Session(["-f", conf], before=tampered)
        equal(p.reply()[:3], greeting, f"sandbox = {value}, without a filter: {greeting.decode()}")
        if greeting == b"220": equal(p.say(b"QUIT")[:3], b"221", "and goes on")
        p.close()
        ok(says in p.log() and "crash" not in p.log(), "and a record", p.log())
    for value, status in (("yes", 78), ("auto", 0)):
        c = subprocess.run(["strace", "-f", "-o", "/dev/null", "-e", "trace=prctl", "-e", "inject=prctl:error=EINVAL:when=2", SMTPIN, "-f", os.path.join(TMP, f"{value}.conf"), "--check"], capture_output=True, text=True)
        ok(c.returncode == status and "seccomp" in c.stdout, f"--check says so: {status}", (c.returncode, c.stdout, c.stderr))
elif not SANITIZED: skip("without a filter", "no strace")
done()
