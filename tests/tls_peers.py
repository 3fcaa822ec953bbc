"""What the tests of TLS share: certificates, smtpin listening with and without its warm service, a client that starts TLS."""
import atexit, contextlib, fcntl, glob, ssl
from harness import *

# The static build has no smtpin-tls of its own.
TLS = os.environ.get("SMTPIN_TLS", os.path.join(BUILD, "smtpin-tls"))
PEERS = os.environ.get("SMTPIN_PEERS", "")
ROOT = os.geteuid() == 0
CERTS = os.path.join(TMP, "certs")
os.mkdir(CERTS)
HOST, OTHER = "mx.example.org", "mail.other.example"
# How a session gets its TLS, and whether its parser is in the sandbox.
WAYS = [(tls, sandbox) for tls in os.environ.get("SMTPIN_TLS_WAYS", "cold warm").split() for sandbox in ("yes", "no")]


def openssl(*words, **more):
    return subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60, **more).stdout


def pair(name, subject, by=None, kind="ec", days=90, more="", authority=None):
    """A key and a certificate in files of that name, by itself or by another pair (its name): (chain, key)."""
    path = os.path.join(CERTS, name)
    algorithm = {"ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["rsa:2048"]}[kind]
    # `req` alone makes one that another has signed only where a request comes between.
    openssl("req", "-new", "-newkey", *algorithm, "-nodes", "-keyout", path + ".key", "-subj", subject, "-out", path + ".csr")
    signed = ["-CA", f"{CERTS}/{by}.pem", "-CAkey", f"{CERTS}/{by}.key", "-set_serial", str(time.monotonic_ns())] if by else ["-signkey", path + ".key"]
    with open(path + ".ext", "w") as f: f.write(f"basicConstraints=critical,CA:{'TRUE' if authority or not by else 'FALSE'}\n{more}\n")
    openssl("x509", "-req", "-in", path + ".csr", "-days", str(days), "-extfile", path + ".ext", "-out", path + ".pem", *signed)
    os.chmod(path + ".key", 0o644)  # a delivery command that is another user's may look at it in vain; clients are others' too
    return path + ".pem", path + ".key"


def names(*dns): return "subjectAltName=" + ",".join("DNS:" + n for n in dns) + "\ncrlDistributionPoints=URI:http://crl.example.org/all.crl"


CA = pair("ca", "/CN=Test CA")
SERVER = pair("server", "/CN=" + HOST, "ca", more=names(HOST))
SERVER_RSA = pair("server-rsa", "/CN=" + HOST, "ca", "rsa", more=names(HOST))
SERVER_OTHER = pair("server-other", "/CN=" + OTHER, "ca", more=names(OTHER))
CLIENT_CA, STRANGE_CA = pair("client-ca", "/CN=Client CA"), pair("strange-ca", "/CN=Strange CA")
CLIENT = pair("client", "/O=Clients/CN=client.example.com", "client-ca", more=names("client.example.com"))
STRANGER = pair("stranger", "/CN=stranger.example.net", "strange-ca", more=names("stranger.example.net"))
CERTIFICATES = [f"{c} {k}" for c, k in (SERVER, SERVER_RSA, SERVER_OTHER)]
SETTINGS = {"hostname": HOST, "domains": "example.org", "tls": "may", "tls_certificate": ", ".join(CERTIFICATES), "tls_client_ca": CLIENT_CA[0],
            "tls_command": TLS, "tls_service": "no", "log": "stderr", "max_connections_per_source": "0"}


def client_context(version=None, certificate=None, verify=True):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if verify: c.load_verify_locations(CA[0])
    else: c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
    if version: c.minimum_version = c.maximum_version = version
    if certificate: c.load_cert_chain(*certificate)
    return c


_running = []


@atexit.register
def _end_all():
    """Of a test that fails in its middle."""
    for pid in _running:
        with contextlib.suppress(ProcessLookupError): os.kill(pid, signal.SIGTERM)


class Warm:
    """smtpin-tls as a service."""
    def __init__(self, name="tls.sock", certificates=CERTIFICATES, more=("--client-ca", CLIENT_CA[0]), command=(TLS,)):
        self.socket = os.path.join(TMP, name)
        self.log = open(self.socket + ".log", "w+b")
        words = [w for c in certificates for w in ("--certificate", c)]
        self.p = subprocess.Popen([*command, *words, *more, "--serve", self.socket], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        _running.append(self.p.pid)
        for _ in range(400):
            if os.path.exists(self.socket) or self.p.poll() is not None: break
            time.sleep(0.02)
        self.settings = {"tls_service": "only", "tls_socket": self.socket}

    def said(self): return open(self.log.name, "rb").read().decode(errors="replace")

    def end(self):
        self.p.terminate(); _running.remove(self.p.pid)
        try: self.p.wait(20)
        except subprocess.TimeoutExpired: self.p.kill(); self.p.wait()
        self.log.close()


class Server:
    """smtpin, listening on a TCP socket for each section. `port` has the sockets' ports."""
    def __init__(self, settings, sections=None, notify=None):
        sections = sections or {"smtp": {}, "submissions": {"tls": "implicit"}}
        self.conf = write(f"server{time.monotonic_ns()}.conf", "".join(f"{k} = {v}\n" for k, v in {**SETTINGS, **settings}.items()) +
                          "".join(f"[{name}]\n" + "".join(f"{k} = {v}\n" for k, v in some.items()) for name, some in sections.items()), 0o644)
        self.log = open(self.conf + ".log", "w+b")
        self.port, high = {}, []
        for name in sections:
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", 0)); s.listen(1024)
            self.port[name] = s.getsockname()[1]
            high.append(fcntl.fcntl(s.fileno(), fcntl.F_DUPFD_CLOEXEC, 200))
            s.close()
        environment = {n: os.environ[n] for n in ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS") if n in os.environ}
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.dup2(self.log.fileno(), 2)
                null = os.open("/dev/null", os.O_RDWR)
                os.dup2(null, 0); os.dup2(null, 1)
                for i, fd in enumerate(high): os.dup2(fd, 3 + i, inheritable=True)
                os.execve(SMTPIN, [SMTPIN, "--listen", "-f", self.conf], {**environment, "LISTEN_FDS": str(len(high)), "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": ":".join(sections)})
            finally: os._exit(127)
        _running.append(self.pid)
        for fd in high: os.close(fd)

    def said(self): return open(self.log.name, "rb").read().decode(errors="replace")

    def records(self, *words, times=1, seconds=15):
        """Lines of the log with all these words, once there are so many."""
        end = time.monotonic() + seconds
        while True:
            found = [l for l in self.said().splitlines() if all(w in l for w in words)]
            if len(found) >= times or time.monotonic() > end: return found
            time.sleep(0.02)

    def children(self):
        out = subprocess.run(["ps", "-o", "pid=,stat=", "--ppid", str(self.pid)], capture_output=True, text=True).stdout
        return [int(l.split()[0]) for l in out.splitlines() if not l.split()[1].startswith("Z")]

    def end(self, seconds=20):
        """Exit status; nothing may be left of it."""
        _running.remove(self.pid)
        with contextlib.suppress(ProcessLookupError): os.kill(self.pid, signal.SIGTERM)
        end, status = time.monotonic() + seconds, "did not end"
        while time.monotonic() < end:
            pid, state = os.waitpid(self.pid, os.WNOHANG)
            if pid: status = os.waitstatus_to_exitcode(state); break
            time.sleep(0.02)
        else: os.kill(self.pid, signal.SIGKILL); os.waitpid(self.pid, 0)
        self.log.close()
        return status


class Slow:
    """TLS on a socket by hand: what the client sends is cut by `cut(octets)`, what it gets is kept as `heard`."""
    def __init__(self, c, cut=lambda o: [o], context=None):
        self.c, self.cut, self.heard = c, cut, b""
        self.come, self.go = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.s = (context or client_context()).wrap_bio(self.come, self.go, server_hostname=HOST)

    def shake_hands(self):
        self.until(self.s.do_handshake)
        return self

    def until(self, what, *arguments):
        while True:
            try: return what(*arguments)
            except ssl.SSLWantReadError: pass
            finally:
                for piece in self.cut(self.go.read()):
                    if piece: self.c.sendall(piece)
            got = self.c.recv(65536)
            self.heard += got
            if got: self.come.write(got)
            else: self.come.write_eof()

    def sendall(self, octets): self.until(self.s.write, octets)
    def recv(self, n): return self.until(self.s.read, n)
    def close(self): self.c.close()


def connect(port, timeout=30):
    c = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return c


def say(c, line):
    c.sendall(line if isinstance(line, bytes) else line.encode() + b"\r\n")
    return read_one(c)


def start_tls(port, context=None, name=HOST, implicit=False):
    """A session that is encrypted: the client's socket, after the greeting (implicit) or the handshake."""
    c = connect(port)
    if not implicit:
        read_one(c); say(c, "EHLO client.example.com")
        said = say(c, "STARTTLS")
        if not said.startswith("220"): raise OSError(said)
    tls = (context or client_context()).wrap_socket(c, server_hostname=name, suppress_ragged_eofs=False)
    if implicit: read_one(tls)
    return tls


def quit_well(c):
    """QUIT is answered by 221, close_notify and the end: None, or what came instead."""
    said = say(c, "QUIT")
    try:
        rest = c.recv(100)  # SSLEOFError: the end without close_notify
        return None if said.startswith("221") and rest == b"" else (said, rest)
    except OSError as e: return said, e
    finally: c.close()


# Records of TLS (RFC 8446 5.1) in what a client's socket got.
def only_records(data):
    """None, or what is no TLS record; the last one may be cut."""
    at = 0
    while at < len(data):
        head = data[at:at + 5]
        if head[0] not in (20, 21, 22, 23) or (len(head) > 1 and head[1] != 3): return data[at:at + 60]
        if len(head) < 5: return None
        at += 5 + int.from_bytes(head[3:5], "big")
    return None


def environment_of(directory, sender):
    """(environment, message) of the delivery of that sender's."""
    for n in sorted(os.listdir(directory)):
        if not n.endswith(".msg"): continue
        env = dict(l.split("=", 1) for l in open(os.path.join(directory, n[:-4] + ".env")).read().splitlines() if "=" in l)
        if env.get("SENDER") == sender: return env, open(os.path.join(directory, n), "rb").read()
    return None, None


def program(package, name):
    """One that is unpacked beside the system, or the system's own."""
    for place in glob.glob(f"{PEERS}/{package}/**/*bin/{name}", recursive=True) if PEERS else []:
        if os.access(place, os.X_OK) and not os.path.isdir(place): return place
    return shutil.which(name)


def private(etc, over=()):
    """What stands before a program that has its places compiled in: it gets them in a mount namespace of its own."""
    lines = [f"mount -t overlay -o lowerdir={etc}:/etc overlay /etc"] + [f"mount -t overlay -o lowerdir={PEERS}/{o}:/{o.split('/', 1)[1]} overlay /{o.split('/', 1)[1]}" for o in over]
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", " && ".join(lines) + ' && exec "$@"', "sh"]


def own_etc(name, users):
    """A directory to lay over /etc, with these users (name, number)."""
    etc = os.path.join(TMP, name); os.makedirs(etc, exist_ok=True)
    for file in ("passwd", "group"):
        text = open("/etc/" + file).read()
        for user, number in users:
            text = re.sub(rf"^{user}:.*\n", "", text, flags=re.M) + (f"{user}:x:{number}:{number}::/:/bin/false\n" if file == "passwd" else f"{user}:x:{number}:\n")
        write(f"{name}/{file}", text, 0o644)
    return etc


def own_exim(name, routers, transports):
    """An Exim that sends, in the directory NAME. What runs it, and its spool. Debian's wants its user in the user database and
    its configuration in a list."""
    spool = os.path.join(TMP, name); os.mkdir(spool); os.chown(spool, 65533, 65533)
    conf = write(name + ".conf", f"""exim_user = Debian-exim
exim_group = Debian-exim
spool_directory = {spool}
log_file_path = {spool}/%slog
primary_hostname = q.example.net
never_users =
keep_environment =
begin routers
{routers}begin transports
{transports}begin retry
* * F,1h,1h
""", 0o644)
    etc = own_etc("etc-" + name, (("Debian-exim", 65533),)); os.makedirs(etc + "/exim4")
    write(f"etc-{name}/exim4/trusted_configs", conf + "\n", 0o644)
    return [*private(etc, ["exim4-daemon-light/usr/sbin"]), "/usr/sbin/exim4", "-C", conf], spool


def own_postfix(name, main, master, ready):
    """A Postfix of its own, in the directory NAME: `main` and `master` are what its files have beyond what all have. Waits
    until ready(queue). The process, its queue and how its commands are run: a prefix and an environment."""
    at, owner, group = os.path.join(PEERS, "postfix/usr/lib/postfix"), 65531, 65530
    prefix = private(own_etc("etc-postfix", (("postfix", owner), ("postdrop", group))))
    queue, conf = os.path.join(TMP, name + "-queue"), os.path.join(TMP, name + "-conf")
    for d in "active bounce corrupt defer deferred flush hold incoming private saved trace public maildrop data".split():
        os.makedirs(f"{queue}/{d}"); os.chown(f"{queue}/{d}", owner, group); os.chmod(f"{queue}/{d}", 0o755 if d in ("public", "maildrop") else 0o700)
    os.chmod(queue, 0o755); os.makedirs(queue + "/pid"); os.mkdir(conf)
    write(name + "-conf/main.cf", f"""compatibility_level = 3.6
queue_directory = {queue}
data_directory = {queue}/data
daemon_directory = {at}/sbin
command_directory = {PEERS}/postfix/usr/sbin
shlib_directory = {at}
import_environment = LD_LIBRARY_PATH MAIL_CONFIG
export_environment = LD_LIBRARY_PATH MAIL_CONFIG
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = loopback-only
inet_protocols = ipv4
alias_maps =
maillog_file = {queue}/log
maillog_file_prefixes = {TMP}
{main}""", 0o644)
    services = (("cleanup", "n", "cleanup"), ("qmgr", "n", "qmgr"), ("rewrite", "-", "trivial-rewrite"), ("bounce", "-", "bounce"), ("defer", "-", "bounce"), ("trace", "-", "bounce"), ("tlsmgr", "-", "tlsmgr"), ("proxymap", "-", "proxymap"), ("error", "-", "error"), ("retry", "-", "error"), ("scache", "-", "scache"), ("anvil", "-", "anvil"))
    write(name + "-conf/master.cf", master + "postlog unix-dgram n - n - 1 postlogd\npickup unix n - n 60 1 pickup\n" + "".join(f"{service} unix {own} - n - {1 if service in ('qmgr', 'tlsmgr') else 0} {runs}\n" for service, own, runs in services), 0o644)
    env = {"PATH": "/bin:/usr/bin:/usr/sbin", "LD_LIBRARY_PATH": at, "MAIL_CONFIG": conf}
    # Told to end, it tells its process group.
    process = subprocess.Popen([*prefix, at + "/sbin/master", "-c", conf, "-d"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    for _ in range(200):
        if ready(queue): break
        time.sleep(0.05)
    return process, queue, prefix, env


def end_postfix(process):
    process.terminate()
    try: process.wait(20)
    except subprocess.TimeoutExpired: process.kill(); process.wait()
