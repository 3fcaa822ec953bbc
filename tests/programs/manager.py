"""libsystemd: loaded by those that the service manager starts itself, and by no other; gone before the first fork of a listening process; done without where it is not installed; and told of in the program's ELF notes."""
from harness import *
import json, struct

if not LOADS: done()  # this smtpin does it all by hand


def notes(path):
    """The texts of section .note.dlopen."""
    data = open(path, "rb").read()
    assert data[:5] == b"\x7fELF\x02"
    at, = struct.unpack_from("<Q", data, 40)
    size, number, names = struct.unpack_from("<HHH", data, 58)
    sections = [struct.unpack_from("<IIQQQQ", data, at + i * size) for i in range(number)]
    string = lambda n: data[sections[names][4] + n:].split(b"\0", 1)[0]
    for s in sections:
        if string(s[0]) != b".note.dlopen": continue
        assert s[1] == 7, "SHT_NOTE"
        at, end = s[4], s[4] + s[5]
        while at < end:
            owner, octets, kind = struct.unpack_from("<III", data, at)
            assert (owner, kind, data[at + 12:at + 16]) == (4, 0x407c0c0a, b"FDO\0"), (owner, kind)
            yield json.loads(data[at + 16:at + 16 + octets].rstrip(b"\0"))
            at += 16 + (octets + 3) // 4 * 4


if not SANITIZED: # which puts octets of its own between variables
    found = [n for text in notes(SMTPIN) for n in text]
    equal(sorted((n["soname"][0], n["priority"]) for n in found), [("libidn2.so.0", "recommended"), ("libsystemd.so.0", "recommended")], "smtpin: a note for each library that it loads")
    equal([n["soname"] for text in notes(MAILDIR) for n in text], [["libidn2.so.0"]], "smtpin-maildir: the same")
ldd = subprocess.run(["ldd", SMTPIN], capture_output=True, text=True).stdout
ok("libc.so" in ldd and "systemd" not in ldd, "smtpin is not linked with it", ldd)


def has_library(pid):
    return "/libsystemd.so" in open(f"/proc/{pid}/maps").read()


def read_line(s):
    d = b""
    while not d.endswith(b"\n"): d += s.recv(1) or b"\n"
    return d.decode()


# A session; its records go to the journal, where there is one.
BEHIND = r"""
import os, signal, socket, subprocess, sys
os.makedirs("/run/systemd/journal")
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("/run/systemd/journal/socket"); s.settimeout(20); os.chmod("/run/systemd/journal/socket", 0o666)
if sys.argv[1] == "hidden":
    for l in subprocess.run(["ldconfig", "-p"], capture_output=True, text=True).stdout.splitlines():
        if "libsystemd.so.0 " in l: subprocess.run(["mount", "--bind", "/dev/null", l.split("=> ")[1]], check=True)
log = open("/run/stderr", "w"); st = os.fstat(log.fileno())
ours, theirs = socket.socketpair(); ours.settimeout(20)
p = subprocess.Popen(sys.argv[2:], stdin=theirs, stdout=theirs, stderr=log, env={**os.environ, "JOURNAL_STREAM": f"{st.st_dev}:{st.st_ino}"}); theirs.close()
ours.recv(500); ours.sendall(b"EHLO x\r\n"); ours.recv(500)
before = "/libsystemd.so" in open(f"/proc/{p.pid}/maps").read()
ours.sendall(b"MAIL FROM:<a@example.com>\r\nRCPT TO:<x@elsewhere.example>\r\n")
record = b""
for _ in range(3):
    if b"MESSAGE=refused " not in record: record = s.recv(70000)
after = "/libsystemd.so" in open(f"/proc/{p.pid}/maps").read()
children = open(f"/proc/{p.pid}/task/{p.pid}/children").read().split()
worker = any("/libsystemd.so" in open(f"/proc/{c}/maps").read() for c in children)
ours.sendall(b"QUIT\r\n"); p.wait(20)
print(before, after, worker, len(children), b"MESSAGE=refused " in record, open("/run/stderr").read().count("refused"))
"""
inside = ["unshare", *([] if os.geteuid() == 0 else ["-r"]), "--mount", "--propagation", "private", "sh", "-c", 'mount -t tmpfs tmpfs /run && exec "$@"', "sh"]
if subprocess.run([*inside, "true"], capture_output=True).returncode == 0:
    behind = write("behind.py", BEHIND, 0o644)
    for before, way in WAYS.items():
        for library in ("there", "hidden"):
            for sandbox, children in (("no", 0), ("yes", 1)):
                if sandbox == "yes" and SANITIZED: continue
                p = subprocess.run([*inside, sys.executable, behind, library, *before, *arguments({"sandbox": sandbox})], capture_output=True, text=True, timeout=60)
                loaded = way == "libsystemd" and library == "there"
                equal(p.stdout, f"False {loaded} False {children} True 0\n", f"{way}, library {library}, sandbox {sandbox}: {'loaded with the first record, and in no worker' if loaded else 'never loaded'}; the journal has the record")
                if p.stderr: print("#", p.stderr)
else:
    skip("the library in a session", "no mount namespace to be had")

# What systemd says of the client of an instance: the path of a local one is no address, whatever it looks like.
def instance(kind, env, before, conf={}):
    """(replies, log) of a session on a socket of that kind."""
    if kind == "unix": ours, theirs = socket.socketpair()
    else:
        l = socket.create_server(("127.0.0.1", 0)); ours = socket.create_connection(l.getsockname()); theirs, _ = l.accept(); l.close()
    ours.sendall(b"EHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<x@elsewhere.example>\r\nQUIT\r\n")
    p = subprocess.run([*before, *arguments({"log": "stderr", "relay_clients": "192.0.2.0/24", **conf})], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env={**os.environ, **env}, timeout=60); theirs.close()
    said = read_all(ours).decode(); ours.close()
    return said, p.stderr.decode()


managed = next(w for w in WAYS if WAYS[w] == "libsystemd")
for before, kind, relayed, field in ((managed, "unix", False, "client_path=192.0.2.7"), (managed, "tcp", True, "client_address=192.0.2.7"), ((), "unix", True, "client_address=192.0.2.7")):
    said, log = instance(kind, {"REMOTE_ADDR": "192.0.2.7", "SO_COOKIE": "18446744073709551615"}, before)
    equal("\r\n250 2.1.5 " in said, relayed, f"REMOTE_ADDR of a {kind} client{', started by systemd' if before else ', behind a wrapper'}: {'an address' if relayed else 'no address'}")
    ok(field in log or relayed, f"REMOTE_ADDR of a {kind} client: {field}", log)
    if not relayed: ok("so_cookie=18446744073709551615" in log, "SO_COOKIE of this very process is in the record", log)
said, log = instance("unix", {"REMOTE_ADDR": "@\x1b[2J", "SO_COOKIE": "7x"}, managed)
ok('client_path="@\\x1b[2J"' in log and "so_cookie" not in log, "a client's own name is escaped, a cookie that is no number left out", log)

# A listening process: told by the library, which is gone when the first connection comes.
listener = socket.create_server(("127.0.0.1", 0)); os.set_inheritable(listener.fileno(), True)
told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); told.bind(os.path.join(TMP, "notify")); told.settimeout(20)
p = subprocess.Popen(["sh", "-c", f'exec 3<&{listener.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES=smtp exec "$@"', "sh", *arguments({"log": "none"})],
                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={**os.environ, "NOTIFY_SOCKET": os.path.join(TMP, "notify")}, close_fds=False)
try:
    ok(told.recv(4096).startswith(b"READY=1\nSTATUS=0 connections"), "listening: READY=1")
    for turn in range(2):
        c = socket.create_connection(listener.getsockname()); c.settimeout(20)
        ok(read_line(c).startswith("220 "), "listening: a greeting")
        status = told.recv(4096).decode()
        ok(status.startswith("STATUS="), "listening: a status", status)
        time.sleep(0.2)
        children = open(f"/proc/{p.pid}/task/{p.pid}/children").read().split()
        ok(children and not any(has_library(pid) for pid in (p.pid, *children)), "listening: neither the parent nor a child keeps the library")
        c.close()
finally:
    p.terminate(); p.wait(20)

# Signs of life, and who is to go first where memory is short.
listener = socket.create_server(("127.0.0.1", 0)); os.set_inheritable(listener.fileno(), True)
for pid, micros, alive in (("$$", 2000000, True), ("$$", 1000, True), ("1", 2000000, False)):
    p = subprocess.Popen(["sh", "-c", f'exec 3<&{listener.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$ WATCHDOG_USEC={micros} WATCHDOG_PID={pid} exec "$@"', "sh", *arguments({"log": "none"})],
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={**os.environ, "NOTIFY_SOCKET": os.path.join(TMP, "notify")}, close_fds=False)
    try:
        told.settimeout(20)
        while not told.recv(4096).startswith(b"READY=1"): pass
        told.settimeout(4)
        try: first = told.recv(4096)
        except TimeoutError: first = b""
        equal(first, b"WATCHDOG=1" if alive else b"", f"WATCHDOG_PID {'its own' if alive else 'another'}: {'signs of life' if alive else 'none'}")
        c = socket.create_connection(listener.getsockname()); c.settimeout(20); read_line(c)
        score = lambda pid: int(open(f"/proc/{pid}/oom_score_adj").read())
        children = open(f"/proc/{p.pid}/task/{p.pid}/children").read().split()
        equal([score(child) for child in children], [min(1000, score(p.pid) + 100)] * len(children), "a session goes before the listening process where memory is short")
        c.close()
    finally:
        p.terminate(); p.wait(20)
done()
