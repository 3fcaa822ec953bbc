"""A listening smtpin, as systemd starts it or inetd with "wait", and clients of it."""
import contextlib, fcntl
from harness import *


class Parent:
    """smtpin with listening sockets; `sockets` is a list of (name, socket)."""

    def __init__(self, sockets, settings=None, conf="", wait=False, wrong=(), notify=False, env=None):
        self.sockets = sockets
        self.conf = write(f"listen{time.monotonic_ns()}.conf", "", 0o644)
        self.configure(conf)
        self.log = open(self.conf + ".log", "w+b")
        os.chmod(self.conf + ".log", 0o666)
        self.environment = {"PATH": os.environ["PATH"], **(env or {})}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if name in os.environ: self.environment[name] = os.environ[name]
        self.notified = None
        if notify:
            self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.notified.bind(self.conf + ".notify")
            os.chmod(self.conf + ".notify", 0o666)
            self.notified.settimeout(10)
            self.environment["NOTIFY_SOCKET"] = self.conf + ".notify"
        a = [SMTPIN, "-f", self.conf]
        for k, v in {"log": "stderr", **(settings or {})}.items(): a += ["-o", f"{k}={v}"]
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.dup2(self.log.fileno(), 2)
                if wait:
                    s = sockets[0][1].fileno()
                    os.dup2(s, 0); os.dup2(s, 1)
                    if wait == "stderr": os.dup2(s, 2)
                else:
                    high = [fcntl.fcntl(s.fileno(), fcntl.F_DUPFD, 200) for s in [s for _, s in sockets] + list(wrong)]
                    for i, fd in enumerate(high): os.dup2(fd, 3 + i, inheritable=True)
                    null = os.open("/dev/null", os.O_RDWR)
                    os.dup2(null, 0); os.dup2(null, 1)
                    self.environment["LISTEN_FDS"] = str(len(high))
                    self.environment["LISTEN_PID"] = str(os.getpid())
                    self.environment["LISTEN_FDNAMES"] = ":".join([n for n, _ in sockets] + ["wrong"] * len(wrong))
                os.execve(SMTPIN, a, self.environment)
            finally:
                os._exit(127)

    def configure(self, text):
        with open(self.conf, "w") as f:
            f.write(("" if text.startswith("hostname") else "hostname = mx.example.org\n") + "domains = example.org\n" + text)

    def said(self):
        return open(self.log.name, "rb").read().decode(errors="replace")

    def wait_said(self, text, seconds=30, times=1):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.said().count(text) >= times: return True
            time.sleep(0.02)
        return False

    def children(self):
        out = subprocess.run(["ps", "-o", "pid=,stat=", "--ppid", str(self.pid)], capture_output=True, text=True).stdout
        return [(int(l.split()[0]), l.split()[1]) for l in out.splitlines()]

    def hup(self):
        os.kill(self.pid, signal.SIGHUP)

    def end(self, sig=signal.SIGTERM, seconds=20):
        with contextlib.suppress(ProcessLookupError): os.kill(self.pid, sig)
        return self.wait(seconds)

    def wait(self, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid: return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        os.kill(self.pid, signal.SIGKILL); os.waitpid(self.pid, 0)
        return "did not end"


def tcp(address="127.0.0.1", family=socket.AF_INET, dual=False):
    s = socket.socket(family, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
    s.bind((address, 0)); s.listen(1024)
    return s


def connect(listener, source=None):
    if listener.family == socket.AF_UNIX:
        c = socket.socket(socket.AF_UNIX); c.settimeout(20); c.connect(listener.getsockname())
        return c
    host, port = listener.getsockname()[:2]
    host = {"::": "127.0.0.1", "0.0.0.0": "127.0.0.1"}.get(host, host)
    return socket.create_connection((host, port), timeout=20, source_address=(source, 0) if source else None)


def say(c, line, n=1):
    c.sendall(line.encode() + b"\r\n" if isinstance(line, str) else line)
    return [read_reply(c) for _ in range(n)][-1].decode()


def hello(listener, source=None):
    c = connect(listener, source)
    return c, read_reply(c).decode()
