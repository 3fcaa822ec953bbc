"""docs/inetd.md: each super-server with its line there, real programs and a real client. The packages are unpacked beside the system: SMTPIN_PEERS."""
import getpass, glob, re, shlex, smtplib, ssl, struct, threading
from harness import *
import document

PEERS = os.environ.get("SMTPIN_PEERS", "")
ROOT = os.geteuid() == 0
USER = "nobody" if ROOT else getpass.getuser()
directory, _ = taker()
os.chmod(directory, 0o777)
taker_sh = write("take", f'#!/bin/sh\ncat >"{directory}/$SMTPIN_ID.part" || exit 75\n'
                 f'ls /proc/self/fd | tr "\\n" " " >"{directory}/$SMTPIN_ID.fds"\nenv >"{directory}/$SMTPIN_ID.env"\n'
                 f'mv "{directory}/$SMTPIN_ID.part" "{directory}/$SMTPIN_ID.msg"\n')
CONF = write("smtpin.conf", f"hostname = mx.example.org\ndomains = example.org\ndeliver = {taker_sh}\nlisten_idle = 0\nmax_connections_per_source = 0\n", 0o644)
ARGUMENTS = f"-f {CONF}"
# STARTTLS, under each of them. (The static build has no smtpin-tls of its own.)
TLS = os.environ.get("SMTPIN_TLS", os.path.join(BUILD, "smtpin-tls"))
if os.path.exists(TLS):
    with open(CONF, "a") as f: f.write(f"tls = may\ntls_certificate = self-signed\ntls_service = no\ntls_command = {TLS}\n")
else: skip("STARTTLS under super-servers", "this build has no smtpin-tls")


def recipe(name):
    """The block behind the heading."""
    return next(b.text for b in document.blocks(SOURCE, "docs/inetd.md") if b.heading == name).rstrip("\n")


def program(package, name):
    for place in glob.glob(f"{PEERS}/{package}/**/*bin/{name}", recursive=True) if PEERS else []:
        if os.access(place, os.X_OK) and not os.path.isdir(place): return place
    return shutil.which(name)


def libraries(package):
    return os.pathsep.join({os.path.dirname(p) for p in glob.glob(f"{PEERS}/{package}/**/lib*.so*", recursive=True)})


class Running:
    def __init__(self, command, package=None, environment=None):
        def prepare():
            os.setsid()
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # super-servers do, and their children have it from them
        self.command = command
        env = {**os.environ, **({"LD_LIBRARY_PATH": libraries(package)} if package and libraries(package) else {}), **(environment or {})}
        self.log = open(os.path.join(TMP, f"server{time.monotonic_ns()}.log"), "w+b")
        self.p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, preexec_fn=prepare, env=env, cwd=TMP)

    def said(self): return repr(self.command) + repr(self.p.poll()) + open(self.log.name, "rb").read().decode(errors="replace")[-1500:]

    def end(self):
        # What it has started is asked to end by its id; an inetd's children are in sessions of their own.
        children = [int(c) for c in subprocess.run(["pgrep", "-P", str(self.p.pid)], capture_output=True, text=True).stdout.split()]
        self.p.terminate()
        for c in children:
            try: os.kill(c, signal.SIGTERM)
            except ProcessLookupError: pass
        try: self.p.wait(10)
        except subprocess.TimeoutExpired: self.p.kill(); self.p.wait(10)
        for c in children: ok(gone(c, 10), "and nothing is left of it")
        self.log.close()


class OverUnix(smtplib.LMTP):
    def _get_socket(self, host, port, timeout):
        s = socket.socket(socket.AF_UNIX); s.settimeout(30); s.connect(host); return s


def client(where):
    return OverUnix(where) if isinstance(where, str) else smtplib.SMTP("127.0.0.1", where, timeout=30)


def connect(where):
    if isinstance(where, str):
        s = socket.socket(socket.AF_UNIX); s.settimeout(30); s.connect(where); return s
    return socket.create_connection(("127.0.0.1", where), timeout=30)


def check_tls(name, where, server):
    clear(directory)
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT); anybody.check_hostname = False; anybody.verify_mode = ssl.CERT_NONE
    try:
        with client(where) as c:
            if "pty" in name:  # where lines have ends of a terminal's, there is no place for records
                equal(c.docmd("STARTTLS")[0], 454, f"{name}: no TLS on a terminal")
                return
            c.starttls(context=anybody)
            c.sendmail("a@example.com", ["b@example.org"], b"Subject: x\r\n\r\ny\r\n")
    except Exception as e: ok(False, f"{name}: STARTTLS by smtplib", f"{e!r}\n{server.said()}"); return
    got = messages(directory)
    ok(len(got) == 1 and re.search(rb"\n\t\(TLSv1.3( to \S+)?\)\n", got[0]), f"{name}: STARTTLS by smtplib", got or server.said())
    left = {n[-3:]: open(os.path.join(directory, n)).read() for n in os.listdir(directory)}
    ok("SSL_PROTOCOL=TLSv1.3" in left["env"] and left["fds"].split()[:3] == ["0", "1", "2"] and len(left["fds"].split()) <= 4, f"{name}: the command hears of TLS, and has no leaked descriptor", (left["env"], left["fds"]))


def check(name, where, server, peer):
    """Peer: what stands behind the name in Received:."""
    for _ in range(600):
        try: connect(where).close(); break
        except OSError: time.sleep(0.05)
    clear(directory)
    try:
        with client(where) as c: c.sendmail("a@example.com", ["b@example.org"], b"Subject: x\r\n\r\ny\r\n")
    except Exception as e: ok(False, f"{name}: mail by smtplib", f"{e!r}\n{server.said()}"); return
    got = messages(directory)
    if not ok(len(got) == 1, f"{name}: mail by smtplib", server.said()): return
    received = re.search(rb"^Received: from (.*)$", got[0], re.M).group(1).decode()
    ok(received.endswith(peer) if peer else "(" not in received, f"{name}: the peer is right", received)
    left = {n[-3:]: open(os.path.join(directory, n)).read() for n in os.listdir(directory)}
    ok(left["fds"].split()[:3] == ["0", "1", "2"] and len(left["fds"].split()) <= 4, f"{name}: the command has no leaked descriptor", left["fds"])
    ok(not re.search(r"^(inetd_dummy|LISTEN_|SOCAT_|TCPREMOTE|IPCREMOTE|UNIXREMOTE|NCACHE)", left["env"], re.M), f"{name}: nor the super-server's environment", left["env"])
    if os.path.exists(TLS): check_tls(name, where, server)
    with connect(where) as s:  # a session with records of each kind
        s.sendall(b"BAD\r\nEHLO x\r\nLHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<x@elsewhere.example>\r\nQUIT\r\n")
        said = read_all(s)
        ok(said.startswith(b"220 ") and said.count(b"\r\n221 ") == 1 and all(l[:3].isdigit() for l in said.split(b"\r\n")[:-1]), f"{name}: nothing but replies reaches the client", said)
    for _ in range(20):  # clients that have left already
        s = connect(where)
        if s.family != socket.AF_UNIX: s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    good = []
    def some():
        for _ in range(20):  # a limit of the super-server's may be in the way for a moment
            try:
                with client(where) as c: c.sendmail("a@example.com", ["b@example.org"], b"z\r\n")
                good.append(1)
                return
            except Exception: time.sleep(0.2)
    threads = [threading.Thread(target=some) for _ in range(10)]
    for t in threads: t.start()
    for t in threads: t.join(60)
    equal(len(good), 10, f"{name}: after 20 that left at once, ten clients at once")


def adapt(name, port, where=""):
    """The recipe's words, for this test's port or path, user and program."""
    ids = {"$(id -u smtpin)": "65534" if ROOT else str(os.getuid()), "$(id -g smtpin)": "65534" if ROOT else str(os.getgid())}
    words = shlex.split(recipe(name))
    out = []
    for i, w in enumerate(words):
        if not ROOT and (w in ("-u", "-g") or words[i - 1] in ("-u", "-g")): continue
        if w == "/usr/sbin/smtpin": out += [SMTPIN, *ARGUMENTS.split()]
        elif w == "0" and words[i + 1] == "25": out.append("127.0.0.1")
        elif w == "25": out.append(f"127.0.0.1:{port}" if words[i - 1] == "-l" else str(port))
        elif w == "/run/smtpin/lmtp.sock": out.append(where)
        elif w == "smtpin" and words[i - 1] == "-u": out.append(USER)
        else: out.append(ids.get(w, w.replace("LISTEN:25,", f"LISTEN:{port},").replace("EXEC:/usr/sbin/smtpin", f"EXEC:{SMTPIN} {ARGUMENTS}")))
    return out


def missing(name, package, what):
    path = program(package, what)
    if path is None: skip(name, f"no {what}")
    return path


# The inetds.
for name, package, what, more in (("openbsd-inetd", "openbsd-inetd", "inetd", ["-i"]), ("openbsd-inetd, wait", "openbsd-inetd", "inetd", ["-i"]),
                                  ("inetutils-inetd", "inetutils-inetd", "inetutils-inetd", ["-d", "--environment"]), ("inetutils-inetd", "inetutils-inetd", "inetutils-inetd", ["-d"]),
                                  ("inetutils-inetd, wait", "inetutils-inetd", "inetutils-inetd", ["-d"])):
    path = missing(name, package, what)
    if not path: continue
    if not ROOT: skip(name, "needs root"); continue
    port = free_port()
    line = recipe(name).replace("smtp ", f"127.0.0.1:{port} ", 1).replace(" smtpin /usr/sbin/smtpin smtpin", f" {USER} {SMTPIN} smtpin {ARGUMENTS}")
    conf = write(f"inetd{port}.conf", line + "\n", 0o644)
    s = Running([path, *more, *(["-p", f"{TMP}/inetd{port}.pid"] if "inetutils" in what else []), conf], package)
    check(name + (" --environment" if "--environment" in more else ""), port, s, "([127.0.0.1])"); s.end()

# xinetd.
for name in ("xinetd", "xinetd, wait"):
    path = missing(name, "xinetd", "xinetd")
    if not path: continue
    if not ROOT: skip(name, "needs root"); continue
    port = free_port()
    text = recipe(name).replace("service smtp", f"service smtpin-{port}").replace("= 25", f"= {port}").replace("= smtpin", f"= {USER}").replace("= /usr/sbin/smtpin", f"= {SMTPIN}")
    if "server_args" not in text: text = text.replace("}", "    server_args =\n}")
    text = re.sub(r"server_args =(.*)", rf"server_args =\1 {ARGUMENTS}", text)
    conf = write(f"xinetd{port}.conf", text + "\n", 0o644)
    s = Running([path, "-dontfork", "-f", conf, "-pidfile", f"{TMP}/xinetd{port}.pid", "-filelog", f"{TMP}/xinetd{port}.log"], "xinetd")
    check(name + " (IPv4 mapped into IPv6)", port, s, "([127.0.0.1])"); s.end()

# One program each.
for name, package, what in (("tcpserver", "ucspi-tcp", "tcpserver"), ("tcpsvd", "ipsvd", "tcpsvd"), ("socat, nofork", "socat", "socat"), ("socat", "socat", "socat"),
                            ("socat, pipes", "socat", "socat"), ("socat, pty", "socat", "socat"), ("socat, IPv6", "socat", "socat"),
                            ("systemd-socket-activate, one for each connection", "", "systemd-socket-activate"), ("systemd-socket-activate, listening", "", "systemd-socket-activate")):
    path = missing(name, package, what)
    if not path: continue
    port = free_port()
    command = adapt(name, port)
    command[0] = path
    s = Running(command, package)
    check(name, port, s, "([127.0.0.1])"); s.end()
for name, package, what in (("s6-ipcserver", "s6", "s6-ipcserver"), ("unixserver", "ucspi-unix", "unixserver")):
    path = missing(name, package, what)
    if not path: continue
    where = os.path.join(TMP, what + ".sock")
    command = adapt(name, 0, where)
    command[0] = path
    s = Running(command, package, {"PATH": os.path.dirname(path) + ":" + os.environ["PATH"]})
    for _ in range(600):
        if os.path.exists(where): break
        time.sleep(0.05)
    check(name, where, s, ""); s.end()
done()
