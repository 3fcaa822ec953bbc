"""What goes wrong around a session: each of its system calls made to fail in turn, kill -9 at each, no room, no descriptors, no memory, commands that misbehave. Never a 250 without a stored message, never two of it, never a hang, never a process left."""
import concurrent.futures, re, resource
from harness import *

if SANITIZED or os.environ.get("SMTPIN_STATIC"):
    done()  # a sanitizer's own calls would be meant; the code is the same in both builds
if not have("strace"):
    skip("faults", "no strace")
    done()
TEXT = b"Subject: x\r\n\r\n" + b"y" * 70 + b"\r\nthe end\r\n"
SAID = b"EHLO c.example.com\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<jane@example.org>\r\nDATA\r\n" + TEXT + b".\r\nQUIT\r\n"
PATIENCE = 25


def configuration(name, root, **more):
    settings = {"hostname": "mx.example.org", "domains": "example.org", "log": "none", "spool_dir": root, "deliver_timeout": "5",
                "deliver": f"{MAILDIR} -l domain/user -- {root}/mail ${{recipient}}", **more}
    return write(name, "".join(f"{k} = {v}\n" for k, v in settings.items()), 0o644)


def talk(command, said=SAID, **more):
    """What the client of one session heard, whether it was cut off in time, and the process."""
    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE)
    p = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, **more)
    theirs.close()
    heard, fine = b"", True
    try:
        ours.sendall(said)
        while True:
            piece = ours.recv(65536)
            if not piece: break
            heard += piece
    except (TimeoutError, socket.timeout): fine = False
    except (BrokenPipeError, ConnectionResetError): pass
    ours.close()
    try: p.wait(PATIENCE)
    except subprocess.TimeoutExpired: fine = False; p.kill(); p.wait()
    return heard, fine


def stored(root):
    return [open(os.path.join(d, f), "rb").read() for d, _, files in os.walk(os.path.join(root, "mail")) if os.path.basename(d) == "new" for f in files]


def left_over(conf):
    """Processes of that configuration that are still there a moment later."""
    for _ in range(400):
        found = subprocess.run(["pgrep", "-f", re.escape(conf)], capture_output=True, text=True).stdout.split()
        if not found: return []
        time.sleep(0.05)
    return found


def judge(heard, fine, root):
    """None, or what promise was broken."""
    taken = [l for l in heard.split(b"\r\n") if l.startswith(b"250 2.0.0 OK id=")]
    got = stored(root)
    if not fine: return "a hang"
    if len(taken) > 1 or len(got) > 1: return f"{len(taken)} times 250, {len(got)} messages"
    if taken and not got: return "250 without a message"
    if any(not m.endswith(b"the end\n") for m in got): return "a message cut short"
    return None


def root_of(name):
    root = os.path.join(TMP, name)
    os.makedirs(os.path.join(root, "mail"))
    return root


number = iter(range(10 ** 6))


def attempt(inject, sandbox):
    root = root_of(f"r{next(number)}")
    conf = configuration(os.path.basename(root) + ".conf", root, sandbox=sandbox)
    heard, fine = talk(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + inject.split(":")[0], "-e", "inject=" + inject, SMTPIN, "-f", conf])
    wrong = judge(heard, fine, root)
    left = left_over(conf)
    shutil.rmtree(root, ignore_errors=True)
    return wrong or (f"left: {left}" if left else None), heard


def calls_of(sandbox):
    """How often each process made each call, at the most."""
    root, trace = root_of("base-" + sandbox), os.path.join(TMP, "trace-" + sandbox)
    conf = configuration(f"base-{sandbox}.conf", root, sandbox=sandbox)
    heard, fine = talk(["strace", "-f", "-qq", "-o", trace, SMTPIN, "-f", conf])
    ok(fine and b"250 2.0.0 OK" in heard and len(stored(root)) == 1, f"sandbox = {sandbox}, under strace: a message", heard)
    counts = {}
    for l in open(trace):
        m = re.match(r"(\d+) +(\w+)\(", l)
        if m: counts[m[2], m[1]] = counts.get((m[2], m[1]), 0) + 1
    most = {}
    for (name, _), n in counts.items(): most[name] = max(most.get(name, 0), n)
    return most


def run_all(title, work):
    with concurrent.futures.ThreadPoolExecutor(4) as pool: results = list(pool.map(lambda w: (w, attempt(*w)), work))
    broken = [(w, r[0], r[1][-200:]) for w, r in results if r[0]]
    ok(not broken, f"{title}: {len(work)} sessions, each promise kept", broken[:5])
    return sum(b"250 2.0.0 OK" in r[1] for _, r in results)


for sandbox in ("no", "yes"):
    most = calls_of(sandbox)
    work = []
    for name, n in sorted(most.items()):
        if name in ("exit_group", "exit", "rt_sigreturn", "restart_syscall"): continue
        for error in ("EINTR", "ENOSPC", "EMFILE", "ENOMEM", "EIO"):
            for when in range(2 if name == "execve" else 1, min(n, 10) + 1): work.append((f"{name}:error={error}:when={when}", sandbox))
        if name in ("pwrite64", "memfd_create", "pipe2", "openat", "open", "vfork", "clone", "socketpair", "write", "fsync", "link", "linkat", "rename"): work.append((f"{name}:error=ENOSPC:when=1+", sandbox))
    good = run_all(f"sandbox = {sandbox}, a call fails", work)
    ok(good > 0, f"sandbox = {sandbox}: and {good} of them took the message all the same")
    total = max(40, min(130, sum(most.values())))
    run_all(f"sandbox = {sandbox}, kill -9 at a call", [(f"all:signal=KILL:when={n}", sandbox) for n in range(1, total)])

# Short reads and writes: a library before libc's gives a few octets of what was asked for. (What comes in
# packets is whole or lost, so recv(2) is not touched.)
if have("cc"):
    source = write("short.c", """#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
static size_t few(size_t n) { static unsigned i; size_t most = 1 + i++ % 7; return n < most ? n : most; }
ssize_t read(int fd, void *p, size_t n) { return syscall(SYS_read, fd, p, few(n)); }
ssize_t __read_chk(int fd, void *p, size_t n, size_t room) { (void)room; return read(fd, p, n); }
ssize_t write(int fd, const void *p, size_t n) { return syscall(SYS_write, fd, p, few(n)); }
ssize_t pwrite(int fd, const void *p, size_t n, off_t at) { return syscall(SYS_pwrite64, fd, p, few(n), at); }
ssize_t pwrite64(int fd, const void *p, size_t n, off_t at) { return syscall(SYS_pwrite64, fd, p, few(n), at); }
ssize_t pread(int fd, void *p, size_t n, off_t at) { return syscall(SYS_pread64, fd, p, few(n), at); }
ssize_t pread64(int fd, void *p, size_t n, off_t at) { return syscall(SYS_pread64, fd, p, few(n), at); }
ssize_t send(int fd, const void *p, size_t n, int flags) { return syscall(SYS_sendto, fd, p, fd < 3 ? few(n) : n, flags, 0, 0); }
ssize_t sendfile(int out, int in, off_t *at, size_t n) { return syscall(SYS_sendfile, out, in, at, few(n)); }
ssize_t sendfile64(int out, int in, off_t *at, size_t n) { return syscall(SYS_sendfile, out, in, at, few(n)); }
ssize_t copy_file_range(int in, off_t *a, int out, off_t *b, size_t n, unsigned f) { return syscall(SYS_copy_file_range, in, a, out, b, few(n), f); }
""", 0o644)
    shim = os.path.join(TMP, "short.so")
    built = subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", shim, source], capture_output=True, text=True)
    for sandbox in ("no", "yes"):
        for more in ({}, {"spool_memory": "100"}, {"deliver_per": "recipient", "deliver": f"{shared('smtpin-maildir')} -l domain/user -- {{}}/mail ${{recipient}}"}):
            root = root_of(f"s{next(number)}")
            conf = configuration(os.path.basename(root) + ".conf", root, sandbox=sandbox, **{k: v.replace("{}", root) for k, v in more.items()})
            heard, fine = talk([shared("smtpin"), "-f", conf], env={**os.environ, "LD_PRELOAD": shim})
            got = stored(root)
            ok(fine and b"250 2.0.0 OK" in heard and len(got) == 1 and got[0].endswith(b"y" * 70 + b"\nthe end\n"), f"sandbox = {sandbox}, short reads and writes {more}: the message is whole", (heard[-200:], got, built.stderr))
else: skip("short reads and writes", "no C compiler")

# Few descriptors, little memory: started or not, a 250 is a message.
for what, kind, values in (("descriptors", resource.RLIMIT_NOFILE, range(3, 20)), ("MiB of address space", resource.RLIMIT_AS, [n << 20 for n in range(1, 20)])):
    for sandbox in ("no", "yes"):
        broken, good = [], 0
        for value in values:
            root = root_of(f"l{next(number)}")
            conf = configuration(os.path.basename(root) + ".conf", root, sandbox=sandbox)
            # The loader's own start is not meant: prlimit(1) sets it, then smtpin is executed.
            heard, fine = talk(["prlimit", f"--{'nofile' if kind == resource.RLIMIT_NOFILE else 'as'}={value}", SMTPIN, "-f", conf])
            wrong, left = judge(heard, fine, root), left_over(conf)
            good += b"250 2.0.0 OK" in heard
            if wrong or left: broken.append((value, wrong, left, heard[-200:]))
        ok(not broken and good > 0, f"sandbox = {sandbox}, few {what}: each promise kept, {good} of {len(values)} took the message", (broken[:3], good))

# A disk without room, without inodes, read-only: below a mount namespace of its own.
big = SAID.replace(b"y" * 70 + b"\r\n", (b"y" * 70 + b"\r\n") * 9000)
if os.geteuid() == 0:
    for what, options in (("full", "size=64k"), ("without inodes", "nr_inodes=1"), ("read-only", "ro")):
        for sandbox in ("no", "yes"):
            root = root_of(f"d{next(number)}")
            disk = os.path.join(TMP, "disk"); os.makedirs(disk, exist_ok=True)
            conf = configuration(os.path.basename(root) + ".conf", root, spool_dir=disk, sandbox=sandbox, spool_memory="0")
            heard, fine = talk(["unshare", "-m", "--propagation", "private", "sh", "-c", f"mount -t tmpfs -o {options} none {disk} && exec {SMTPIN} -f {conf}"], big)
            ok(judge(heard, fine, root) is None and not left_over(conf) and b"452 4.3.1 Insufficient system storage\r\n221" in heard and not stored(root), f"sandbox = {sandbox}, a spool {what}: 452", (heard, fine))
else: skip("a disk without room", "needs root for a mount of its own")

# Commands that misbehave.
COMMANDS = {"hangs": "sleep 100", "hangs, deaf to SIGTERM": "trap '' TERM; sleep 100 & wait; wait", "forks": "sleep 3 & exit 0", "floods": "head -c 30000000 /dev/zero; head -c 30000000 /dev/zero >&2; exit 75",
            "closes everything": "exec <&- >&- 2>&-; sleep 100", "kills its parent": "kill -9 $PPID; sleep 1", "kills its group": "kill -9 0"}
for what, script in COMMANDS.items():
    for sandbox in ("no", "yes"):
        root = root_of(f"c{next(number)}")
        conf = configuration(os.path.basename(root) + ".conf", root, sandbox=sandbox, deliver=write(f"c{next(number)}.sh", f"#!/bin/sh\n# {root}\n{script}\n"), deliver_timeout="1")
        start = time.monotonic()
        heard, fine = talk([SMTPIN, "-f", conf])
        taken = b"250 2.0.0 OK" in heard
        ok(fine and taken == (what == "forks") and time.monotonic() - start < 40 and not left_over(conf) and not left_over(root), f"sandbox = {sandbox}, a command that {what}: {'250' if what == 'forks' else 'no 250'}, no hang, nothing left", (heard, fine, time.monotonic() - start))
done()
