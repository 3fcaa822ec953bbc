"""Certificates that are replaced while clients come, and smtpin-tls killed at each system call of its own: no session fails for the one; no message is lost or doubled, and no plain text gets out, by the other."""
import concurrent.futures, itertools, threading
from harness import *
from tls_peers import *

if not os.path.exists(TLS): skip("faults of TLS", "this build has no smtpin-tls"); done()
directory, deliver = taker()

# ---- 200 certificates, each of which has one between it and the client's CA.
pair("between", "/CN=Between", "ca", authority=True)
BETWEEN = open(CERTS + "/between.pem").read()
PAIRS = []
for i in range(20):
    chain, key = pair(f"renewed{i}", "/CN=" + HOST, "between", more=names(HOST))
    PAIRS.append((open(chain).read() + BETWEEN, open(key).read()))
MOMENT = 0.004


def put(path, text, half=False):
    """In place: it is empty, then perhaps half, then whole."""
    with open(path, "w") as f:
        if half: f.write(text[:len(text) * 2 // 3]); f.flush(); time.sleep(MOMENT)
        f.write(text if not half else text[len(text) * 2 // 3:])


def move(path, text):
    """As a whole."""
    put(path + ".new~", text); os.rename(path + ".new~", path)


def link(path, target):
    if os.path.lexists(path + ".link~"): os.unlink(path + ".link~")
    os.symlink(target, path + ".link~"); os.rename(path + ".link~", path)


def swap(place, i):
    """The next pair, in one of the ways in which programs put it there; between chain and key they do not match for a moment."""
    (chain, key), chain_at, key_at = PAIRS[i % len(PAIRS)], place + "/fullchain.pem", place + "/privkey.pem"
    for at in (chain_at, key_at):
        if i % 4 and os.path.islink(at): move(at, open(at).read())
    if i % 4 == 0:  # certbot: files in another directory, and links to them
        for at, text in ((chain_at, chain), (key_at, key)):
            target = f"{place}-archive/{os.path.basename(at)}{i}"
            put(target, text); link(at, target)
            if at is chain_at: time.sleep(MOMENT)
    elif i % 4 == 1: move(key_at, key); time.sleep(MOMENT); move(chain_at, chain)
    elif i % 4 == 2: put(chain_at, chain, half=True); time.sleep(MOMENT); put(key_at, key, half=True)
    else: put(key_at, key); time.sleep(MOMENT); put(chain_at, chain, half=True)


def swaps(title, way, directory_form, count=100):
    place = os.path.join(TMP, f"live{time.monotonic_ns()}"); os.mkdir(place); os.mkdir(place + "-archive")
    move(place + "/fullchain.pem", PAIRS[-1][0]); move(place + "/privkey.pem", PAIRS[-1][1])
    certificate = place if directory_form else f"{place}/fullchain.pem {place}/privkey.pem"
    own = Warm(f"swaps{time.monotonic_ns()}.sock", [certificate], ()) if way[0] == "warm" else None
    server = Server({"deliver": deliver, "sandbox": way[1], "tls_certificate": certificate, "tls_client_ca": "", **(own.settings if own else {})})
    failed, seen, sessions, stop = [], set(), itertools.count(), threading.Event()
    def client(name):
        while not stop.is_set():
            try:
                next(sessions)
                c = start_tls(server.port[name], implicit=name == "submissions")
                seen.add(ssl.DER_cert_to_PEM_cert(c.getpeercert(True)))
                wrong = say(c, "NOOP") != "250 OK" and "NOOP" or quit_well(c)
                if wrong: failed.append(wrong)
            except Exception as e: failed.append(repr(e))
    threads = [threading.Thread(target=client, args=(n,)) for n in ("smtp", "submissions", "smtp")]
    for t in threads: t.start()
    for i in range(count): swap(place, i); time.sleep(0.02)
    time.sleep(0.1); seen_under_load = len(seen); stop.set()
    for t in threads: t.join(30)
    c = start_tls(server.port["smtp"]); last = ssl.DER_cert_to_PEM_cert(c.getpeercert(True)).split(); quit_well(c)
    n = next(sessions)
    ok(not failed and n > 20 and seen_under_load >= 10 and last == PAIRS[(count - 1) % len(PAIRS)][0].split()[:len(last)], f"{title}: {count} certificates while {n} sessions came: none failed, {seen_under_load} were seen, the last one is in use",
       (failed[:5], len(failed), n, seen_under_load, [l for l in server.said().splitlines() if "tls=" in l and "session " not in l][:5], own.said()[-800:] if own else ""))
    server.end()
    if own: own.end()


for (tls, sandbox), directory_form in itertools.product([w for w in WAYS if w[1] == "yes"], (True, False)):
    swaps(f"{tls}, {'a directory' if directory_form else 'two files'}", (tls, sandbox), directory_form)

# ---- smtpin-tls killed.
if SANITIZED or os.environ.get("SMTPIN_STATIC"): done()  # a sanitizer's own calls would be meant; the static build has the same program
if not have("strace"): skip("smtpin-tls killed at each system call", "no strace"); done()
STRACE = shutil.which("strace")
PATIENCE = 25
number = itertools.count()


def traced(inject, out="/dev/null", follow=False):
    return [STRACE, *(["-f"] if follow else []), "-qq", "-o", out, *(["-e", f"trace={inject.split(':')[0]}", "-e", "inject=" + inject] if inject else []), TLS]


def talk(c, text):
    """A session by a client that wants TLS but goes on without: (was there a 250 for the message, what came behind the 220)."""
    heard, inside = b"", None
    try:
        read_one(c); say(c, "EHLO client.example.com")
        started = say(c, "STARTTLS").startswith("220")
        if started:
            inside = Slow(c); inside.shake_hands(); c = inside
            say(c, "EHLO client.example.com")
        for line in ("MAIL FROM:<a@example.com>", "RCPT TO:<b@example.org>", "DATA"):
            if say(c, line)[:1] not in ("2", "3"): raise OSError(line)
        taken = say(c, text + b".\r\n").startswith("250 2.0.0 OK id=")
        with contextlib.suppress(OSError): say(c, "QUIT"); c.recv(10)
    except OSError: taken = False
    return taken, inside.heard if inside else b""


def attempt(work):
    """None, or what promise was broken."""
    inject, tls, sandbox = work
    n = next(number)
    store, take = taker(f"k{n}")
    own = Warm(f"k{n}.sock", CERTIFICATES[:1], (), traced(inject, follow=True)) if tls == "warm" else None
    conf = write(f"k{n}.conf", "".join(f"{k} = {v}\n" for k, v in {**SETTINGS, "tls_certificate": CERTIFICATES[0], "tls_client_ca": "", "sandbox": sandbox, "deliver": take, "tls_timeout": "5s", "command_timeout": "10s",
                 **(own.settings if own else {"tls_command": " ".join(traced(inject))})}.items()), 0o644)
    text = f"Message-ID: <{n}@example.com>\r\n\r\n".encode() + b"y" * 70 + b"\r\nthe end\r\n"
    ours, theirs = socket.socketpair(); ours.settimeout(PATIENCE)
    with open(conf + ".log", "wb") as log: p = subprocess.Popen([SMTPIN, "-f", conf], stdin=theirs, stdout=theirs, stderr=log)
    theirs.close()
    taken, heard = talk(ours, text); ours.close()
    wrong = None
    try: p.wait(PATIENCE)
    except subprocess.TimeoutExpired: p.kill(); p.wait(); wrong = "smtpin does not end"
    if own:
        for pid in subprocess.run(["pgrep", "-P", str(own.p.pid)], capture_output=True, text=True).stdout.split():  # what strace has started: it ends with it
            with contextlib.suppress(ProcessLookupError): os.kill(int(pid), signal.SIGTERM)
        own.end()
    got, said = messages(store), open(conf + ".log").read()
    if len(got) > 1 or taken and not got: wrong = f"{taken}, {len(got)} messages"
    elif any(not m.endswith(b"the end\n") for m in got): wrong = "a message cut short"
    # There without the client's knowing of it, so that it will come again: its 250 was on the way.
    elif got and not taken and "result=accepted" not in said: wrong = "a message that nobody has accepted"
    elif only_records(heard): wrong = f"plain text: {only_records(heard)}"
    elif p.returncode: wrong = f"smtpin ends with {p.returncode}"
    elif "session " not in said: wrong = "no record"
    left = ["?"]
    for _ in range(200):
        left = [l for l in subprocess.run(["pgrep", "-f", rf"k{n}\.(conf|sock)"], capture_output=True, text=True).stdout.split()]
        if not left: break
        time.sleep(0.05)
    if left and not wrong: wrong = f"left: {left}"
    shutil.rmtree(store, ignore_errors=True)
    return (wrong, taken, len(got), said[-600:]) if wrong else None, taken, bool(heard)


def calls(tls):
    """How often smtpin-tls makes each call in a session."""
    trace = os.path.join(TMP, "trace-" + tls)
    store, take = taker("base-" + tls)
    own = Warm(f"base-{tls}.sock", CERTIFICATES[:1], (), traced("", trace, True)) if tls == "warm" else None
    settings = {**SETTINGS, "tls_certificate": CERTIFICATES[0], "tls_client_ca": "", "deliver": take, **(own.settings if own else {"tls_command": " ".join(traced("", trace))})}
    conf = write(f"base-{tls}.conf", "".join(f"{k} = {v}\n" for k, v in settings.items()), 0o644)
    ours, theirs = socket.socketpair(); ours.settimeout(PATIENCE)
    p = subprocess.Popen([SMTPIN, "-f", conf], stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL); theirs.close()
    taken, heard = talk(ours, b"Subject: x\r\n\r\nthe end\r\n"); ours.close(); p.wait(PATIENCE)
    if own:
        for pid in subprocess.run(["pgrep", "-P", str(own.p.pid)], capture_output=True, text=True).stdout.split(): os.kill(int(pid), signal.SIGTERM)
        own.end()
    ok(taken and heard and len(messages(store)) == 1, f"{tls}, under strace: a message inside TLS", (taken, len(heard)))
    counts = {}
    for l in open(trace):
        m = re.match(r"(?:(\d+) +)?(\w+)\(", l)
        if m: counts[m[2], m[1]] = counts.get((m[2], m[1]), 0) + 1
    most = {}
    for (name, _), n in counts.items(): most[name] = max(most.get(name, 0), n)
    return most


for tls in dict.fromkeys(w[0] for w in WAYS):
    most = calls(tls)
    work = [(f"{name}:signal=KILL:when={when}", tls, sandbox) for name, n in sorted(most.items()) if name not in ("exit_group", "exit", "rt_sigreturn", "restart_syscall", "execve")
            for when in range(1, min(n, 60) + 1) for sandbox in (("yes", "no")[when % 2],)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool: results = list(zip(work, pool.map(attempt, work)))
    broken = [(w, r[0]) for w, r in results if r[0]]
    ok(not broken and any(r[2] and not r[1] for _, r in results), f"{tls}: killed at each of {len(work)} system calls: no message lost or doubled, no plain text, smtpin ends, nothing is left "
       f"({sum(r[1] for _, r in results)} messages taken, {sum(r[2] for _, r in results)} sessions got to TLS)", "\n".join(repr(b)[:1200] for b in broken[:6]))
done()
