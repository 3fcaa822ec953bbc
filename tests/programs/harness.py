"""What the tests with real programs share: TAP, sessions with smtpin, a command that records."""
import os, re, shutil, signal, socket, subprocess, sys, tempfile, time

BUILD = os.environ["SMTPIN_BUILD"]
SMTPIN = os.path.join(BUILD, "smtpin")
MAILDIR = os.path.join(BUILD, "smtpin-maildir")
REPLAY = os.path.join(BUILD, "smtpin-replay")
SOURCE = os.environ["SMTPIN_SOURCE"]
sys.path.insert(0, os.path.join(SOURCE, "tests"))
from tap import equal, finish, ok, skip

SANITIZED = os.environ.get("SMTPIN_SANITIZED") == "1"
LOADS = b"/ld-" in open(SMTPIN, "rb").read(4096)  # smtpin can load a library: it has a dynamic linker
# What stands before a program that the service manager starts itself, which speaks through libsystemd where it can; and nothing.
WAYS = {(): "by hand", ("sh", "-c", 'SYSTEMD_EXEC_PID=$$ exec "$@"', "sh"): "libsystemd"}
if not LOADS: WAYS = {(): "by hand"}
TMP = tempfile.mkdtemp(prefix="smtpin-test.")
os.chmod(TMP, 0o755)



def shared(name):
    """The program as it is with shared glibc, for a library that is to come before its own."""
    path = os.path.join(BUILD, name)
    return path + "-shared" if os.path.exists(path + "-shared") else path


def done():
    shutil.rmtree(TMP, ignore_errors=True)
    finish()


def have(program):
    return shutil.which(program) is not None


_ports = []


def free_port():
    """A port of 127.0.0.1 for a server (one that sets SO_REUSEADDR), which no other test gets meanwhile: it is held, but not listened on."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", 0))
    _ports.append(s)
    return s.getsockname()[1]


def taker(name="taken"):
    """A directory, and a `deliver =` that stores each message, environment and argv in it."""
    directory = os.path.join(TMP, name)
    os.makedirs(directory, exist_ok=True)
    os.chmod(directory, 0o777)
    script = os.path.join(TMP, name + ".sh")
    with open(script, "w") as f:
        f.write('#!/bin/sh\nd=$1; shift\ncat >"$d/$SMTPIN_ID.part" || exit 75\n'
                'env >"$d/$SMTPIN_ID.env"\nprintf "%s\\n" "$@" >"$d/$SMTPIN_ID.argv"\n'
                'mv "$d/$SMTPIN_ID.part" "$d/$SMTPIN_ID.msg"\n')
    os.chmod(script, 0o755)
    return directory, f"{script} {directory} ${{sender}} ${{recipient}}"


def tls_stand_in(name, body):
    """A program in smtpin-tls's place: `control` is its control socket; hear() is the next packet, after which fds has the descriptors that came; facts are good ones."""
    return write(name, f'''#!{sys.executable}
import os, signal, socket, sys, time
control, fds = socket.socket(fileno=0), []
facts = b"SSL_PROTOCOL=TLSv1.3\\0SSL_CIPHER=TLS_AES_128_GCM_SHA256\\0SSL_CIPHER_IANA=TLS_AES_128_GCM_SHA256\\0"
def hear():
    octets, came, *_ = socket.recv_fds(control, 8192, 4)
    fds.extend(came)
    return octets
def say(octets): control.send(octets)
# Until smtpin has closed its end of the plain text: read from the descriptor that came last.
def carry():
    while os.read(fds[2], 65536): pass
try:
{"".join("    " + l + chr(10) for l in body.splitlines())}except OSError: pass
''')


def text_table(name, text):
    """A text table that nobody is writing now (smtpin-rules(7)); its source."""
    path = write(name, text, 0o644)
    os.utime(path, (0, 0))
    return "text:" + path


def messages(directory):
    return [open(os.path.join(directory, n), "rb").read()
            for n in sorted(os.listdir(directory)) if n.endswith(".msg")]


def clear(directory):
    for n in os.listdir(directory):
        os.unlink(os.path.join(directory, n))


def arguments(settings):
    a = [SMTPIN, "-f", "/dev/null"]
    for k, v in {"hostname": "mx.example.org", "domains": "example.org", **settings}.items():
        a += ["-o", f"{k}={v}"]
    return a


def pipe(data, settings=None, timeout=60, env=None, **more):
    """A whole session on a pipe: (stdout, stderr, status)."""
    p = subprocess.run(arguments(settings or {}), input=data, capture_output=True, timeout=timeout,
                       env=env, **more)
    return p.stdout, p.stderr, p.returncode


def session(settings=None, **more):
    """smtpin on one end of a socket pair: (process, our end)."""
    ours, theirs = socket.socketpair()
    p = subprocess.Popen(arguments(settings or {}), stdin=theirs, stdout=theirs,
                         stderr=more.pop("stderr", subprocess.DEVNULL), **more)
    theirs.close()
    ours.settimeout(30)
    return p, ours


def read_reply(s):
    data = b""
    while True:
        piece = s.recv(4096)
        if not piece:
            return data
        data += piece
        lines = data.split(b"\r\n")
        if data.endswith(b"\r\n") and lines[-2][3:4] == b" ":
            return data


_held = {}


def read_one(c):
    """One reply of several that may come together."""
    data = _held.pop(c, b"")
    while True:
        lines = data.split(b"\r\n")
        for i, l in enumerate(lines[:-1]):
            if l[3:4] == b" ":
                _held[c] = b"\r\n".join(lines[i + 1:])
                return b"\r\n".join(lines[:i + 1]).decode()
        piece = c.recv(4096)
        if not piece: return data.decode()
        data += piece


def read_all(s):
    data = b""
    while True:
        try:
            piece = s.recv(65536)
        except ConnectionResetError:
            return data
        if not piece:
            return data
        data += piece


ENVELOPE = b"EHLO client.example.com\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"


def mail(body=b"Subject: x\r\n\r\ntext\r\n", envelope=ENVELOPE):
    return envelope + body + b".\r\nQUIT\r\n"


def codes(out):
    return [l[:3].decode() for l in out.split(b"\r\n") if l[3:4] == b" "]


def final_reply(out):
    """The reply to the message: the last but one."""
    lines = [l for l in out.split(b"\r\n") if l[3:4] == b" "]
    return lines[-2].decode() if len(lines) > 1 else ""


def without_trace(message, eol=b"\n"):
    """What the client sent: our three fields stand before it."""
    lines = message.split(eol)
    for name in (b"Return-Path:", b"Delivered-To:", b"Received:"):
        if lines and lines[0].startswith(name):
            lines.pop(0)
            while lines and lines[0][:1] == b"\t":
                lines.pop(0)
    # An empty line of ours stands before text that is no header.
    if len(lines) > 2 and lines[0] == b"" and lines[1] and not re.match(rb"[!-9;-~]+[ \t]*:", lines[1]):
        lines.pop(0)
    return eol.join(lines)


def gone(pid, seconds=20):
    """Has the process ended (or is nobody's any more)?"""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with open(f"/proc/{pid}/stat") as f:
                if f.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


def processes(words):
    """The ids of those that have these octets in their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if words in open(f"/proc/{pid}/cmdline", "rb").read(): found.append(pid)
        except OSError: pass
    return found


def write(name, text, mode=0o755):
    path = os.path.join(TMP, name)
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)
    return path
