"""A guard on what a connection costs that does not depend on time: tests/programs/ceilings."""
import ssl
from harness import *

if SANITIZED:
    done()
KIND = "static" if os.environ.get("SMTPIN_STATIC") else "shared" if LOADS else "default"
CEILINGS = os.path.join(SOURCE, "tests", "programs", "ceilings")
# Each octet of a name that a configuration or the log has costs instructions: names are as long wherever TMPDIR is.
PLACE = os.path.join(TMP, "x".ljust(72 - len(TMP), "x"))
os.mkdir(PLACE)
nothing = write("nothing.c", "int main(void) { return 0; }\n", 0o644)
command = os.path.join(PLACE, "nothing")
if not (have("cc") and have("strace") and have("valgrind")) or subprocess.run(["cc", "-O2", "-static", "-o", command, nothing], capture_output=True).returncode != 0:
    skip("what a connection costs", "no C compiler, strace or valgrind")
    done()
LINES = f"hostname = mx.example.org\ndomains = example.org\ndeliver = {command}\nlog = none\nspool_dir = {PLACE}\n"
CONF = write("cost.conf", LINES + "sandbox = no\n", 0o644)
LOGGED = write("logged.conf", LINES.replace("log = none", "log = stderr") + "sandbox = no\n", 0o644)
DIGEST = write("digest.conf", LINES + "sandbox = no\ndigest = always\n", 0o644)
SANDBOXED = write("sandboxed.conf", LINES + "sandbox = yes\n", 0o644)
PROXIED = write("proxied.conf", LINES + "sandbox = no\nproxy_protocol = required\ntrusted_proxies = local\n", 0o644)
PROXIED_SANDBOX = write("proxied-sandbox.conf", open(PROXIED).read().replace("sandbox = no", "sandbox = yes"), 0o644)
# What comes before the greeting: a header of version 2.
FIRST = dict.fromkeys((PROXIED, PROXIED_SANDBOX), b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + socket.inet_aton("198.51.100.7") + socket.inet_aton("203.0.113.5") + b"\x9c\x40\0\x19")
MAIL = [b"MAIL FROM:<a@example.com>\r\n", b"RCPT TO:<b@example.org>\r\n", b"DATA\r\n", b"Subject: x\r\n\r\n" + (b"y" * 74 + b"\r\n") * 26 + b".\r\n"]
SESSIONS = {"quit": [b"EHLO c.example.com\r\n", b"QUIT\r\n"], "message": [b"EHLO c.example.com\r\n", *MAIL, b"QUIT\r\n"],
            "ten": [b"EHLO c.example.com\r\n", *MAIL * 10, b"QUIT\r\n"]}
SESSIONS["logged"] = SESSIONS["proxy"] = SESSIONS["message"]
# To several recipients, whose RCPT are one write, as a client that may pipeline sends them; with SMTPIN_DIGEST too (valgrind
# has no SHA instructions: it is made in C).
SESSIONS["two"], SESSIONS["thousand"] = ([b"EHLO c.example.com\r\n", MAIL[0], b"".join(b"RCPT TO:<b%d@example.org>\r\n" % (i * 7919 % n) for i in range(n)), *MAIL[2:], b"QUIT\r\n"] for n in (2, 1000))
SESSIONS["two-digest"], SESSIONS["thousand-digest"] = SESSIONS["two"], SESSIONS["thousand"]


def read_replies(s, n):
    """The last of n replies of one line each, or the one reply."""
    if n == 1: return read_reply(s)
    data = b""
    while data.count(b"\n") < n:
        data += s.recv(65536) or b"\n" * n
    return data.splitlines()[-1]


def play(prefix, turns, conf=CONF):
    """One session: what was said on stderr, and the page faults."""
    ours, theirs = socket.socketpair()
    ours.settimeout(60)
    p = subprocess.Popen([*prefix, SMTPIN, "-f", conf], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env={"PATH": os.environ["PATH"]})
    theirs.close()
    ours.sendall(FIRST.get(conf, b""))
    read_reply(ours)
    for t in turns:
        ours.sendall(t)
        last = read_replies(ours, t.count(b"RCPT") or 1)
    if not last.startswith(b"221"): raise SystemExit(last)
    err = p.stderr.read().decode()
    _, _, usage = os.wait4(p.pid, 0); p.returncode = 0
    ours.close()
    return err, usage.ru_minflt


def calls(path):
    """Lines of strace -f but those of the command itself: what a process does after an execve that is not the first."""
    n, executed, first = 0, set(), None
    for l in open(path):
        pid, rest = l.split(None, 1)
        first = first or pid
        if rest.startswith(("---", "+++", "<...")): continue
        if pid in executed: continue
        n += 1
        if rest.startswith("execve(") and pid != first: executed.add(pid)
    return n


def secure_calls(conf):
    """Of the session 'message', after STARTTLS."""
    ours, theirs = socket.socketpair()
    ours.settimeout(60)
    p = subprocess.Popen(["strace", "-f", "-o", trace, SMTPIN, "-f", conf], stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, env={"PATH": os.environ["PATH"]})
    theirs.close()
    read_reply(ours)
    for t in (b"EHLO c.example.com\r\n", b"STARTTLS\r\n"):
        ours.sendall(t)
        read_reply(ours)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(ours) as s:
        for t in SESSIONS["message"]:
            s.sendall(t)
            last = read_reply(s)
    if not last.startswith(b"221"): raise SystemExit(last)
    p.wait(60)
    return [calls(trace)]


ceilings = {tuple(l.split()[:2]): [int(v) for v in l.split()[2:]] for l in open(CEILINGS) if l.strip() and l[0] != "#"}
trace = os.path.join(TMP, "trace")
# A slow moment costs a poll or a page fault more, and a command that takes more than 5 ms is waited for in another way (io/child.c):
# the least of so many runs counts. On a machine that has nothing else to do, the first one is it; on a busy one, it takes many.
RUNS = 80


def least_of(run, most):
    """The least of each figure that run() tells, until none is above most."""
    least = None
    for _ in range(RUNS):
        now = run()
        least = now if least is None else [min(a, b) for a, b in zip(least, now)]
        if most and all(l <= m for l, m in zip(least, most)): break
    return least


def calls_and_faults(turns, conf):
    play(["strace", "-f", "-o", trace], turns, conf)
    return [calls(trace), play([], turns, conf)[1]]


def thousand_instructions(turns, conf):
    err = play(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"], turns, conf)[0]
    return [int(err.split("Collected :")[1].split()[0]) // 1000]


for name, turns in SESSIONS.items():
    conf = {"logged": LOGGED, "proxy": PROXIED, "two-digest": DIGEST, "thousand-digest": DIGEST}.get(name, CONF)
    most = ceilings.get((KIND, name), [])
    least = least_of(lambda: calls_and_faults(turns, conf), most[:2]) + least_of(lambda: thousand_instructions(turns, conf), most[2:])
    print(f"# {KIND} {name}: {least[0]} calls, {least[1]} faults, {least[2]} thousand instructions")
    ok(most and all(l <= m for l, m in zip(least, most)), f"{KIND} build, session '{name}': no more than {most} calls, faults, thousand instructions", least)
# In the sandbox, whose filter would end valgrind: no instructions.
for name in ("quit", "message", "ten", "proxy", "two", "thousand"):
    most = ceilings.get((KIND, "sandbox-" + name), [])
    conf = PROXIED_SANDBOX if name == "proxy" else SANDBOXED
    least = least_of(lambda: calls_and_faults(SESSIONS[name], conf), most)
    print(f"# {KIND} sandbox-{name}: {least[0]} calls, {least[1]} faults")
    ok(most and all(l <= m for l, m in zip(least, most)), f"{KIND} build, session '{name}' in the sandbox: no more than {most} calls, faults", least)
# With STARTTLS, where the build has smtpin-tls: smtpin's own calls, and no faults, since those of smtpin-tls would be among them.
TLS = os.path.join(BUILD, "smtpin-tls")
if os.path.exists(TLS) and have("openssl"):
    pair = os.path.join(TMP, "pair.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", pair + ".key", "-out", pair, "-days", "30", "-subj", "/CN=mx.example.org"], check=True, capture_output=True)
    for name, sandbox in (("tls", "no"), ("sandbox-tls", "yes")):
        conf = write(name + ".conf", LINES + f"sandbox = {sandbox}\ntls = may\ntls_service = no\ntls_command = {TLS}\ntls_certificate = {pair} {pair}.key\n", 0o644)
        most = ceilings.get((KIND, name), [])
        least = least_of(lambda: secure_calls(conf), most)
        print(f"# {KIND} {name}: {least[0]} calls")
        ok(most and least[0] <= most[0], f"{KIND} build, session '{name}': no more than {most} calls", least)
done()
