#!/usr/bin/python3
"""A delivery command that tries what the unit forbids, and writes down what happened. $1: where."""
import ctypes, errno, json, mmap, os, resource, socket, subprocess, sys, time

descriptors = sorted(int(n) for n in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + n))
libc = ctypes.CDLL(None, use_errno=True)
found = {}


def call(name, function):
    try:
        value = function()
        found[name] = "done" if value is None or (isinstance(value, int) and value >= 0) else value
    except OSError as e:
        found[name] = errno.errorcode.get(e.errno, str(e.errno))


def libc_call(name, *arguments):
    def f():
        if getattr(libc, name)(*arguments) < 0: raise OSError(ctypes.get_errno(), name)
    return f


def syscall(number, *arguments):
    def f():
        if libc.syscall(ctypes.c_long(number), *arguments) < 0: raise OSError(ctypes.get_errno(), "syscall")
    return f


def touch(path):
    def f():
        with open(path, "w"): pass
        os.unlink(path)
    return f


status = dict(l.split(":", 1) for l in open("/proc/self/status").read().splitlines())
found["user"] = os.popen("id -un").read().strip()
found["groups"] = os.popen("id -Gn").read().split()
for name in ("CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"): found[name] = status[name].strip()
found["umask"] = status["Umask"].strip()
for place in ("/usr", "/etc", "/var/lib", "/root", "/home", "/sys", "/proc/sys/kernel/hostname", "/sys/fs/cgroup"):
    call(f"write {place}", touch(place + "/x") if os.path.isdir(place) or not os.path.exists(place) else lambda: os.close(os.open(place, os.O_WRONLY)))
for place in ("/home/someone", "/root", "/run/user", "/etc/smtpin/token"): call(f"read {place}", lambda: len(os.listdir(place) if os.path.isdir(place) else open(place).read()))
found["mail"] = os.access("/var/mail/smtpin", os.W_OK)
call("tmp", lambda: sorted(os.listdir("/tmp")))
call("devices", lambda: sorted(n for n in os.listdir("/dev") if os.path.exists("/dev/" + n) and n in ("kmsg", "mem", "sda", "vda", "tty", "null", "zero", "urandom")))
call("processes", lambda: sorted(n for n in os.listdir("/proc") if n.isdigit() and os.path.exists(f"/proc/{n}/comm") and open(f"/proc/{n}/comm").read().strip() == "systemd"))
call("proc", lambda: [n for n in ("kallsyms", "kmsg", "modules", "meminfo") if os.path.exists("/proc/" + n)])
call("interfaces", lambda: os.listdir("/sys/class/net"))
for name, family in (("INET", socket.AF_INET), ("INET6", socket.AF_INET6), ("NETLINK", socket.AF_NETLINK), ("PACKET", socket.AF_PACKET), ("UNIX", socket.AF_UNIX)):
    call(f"socket {name}", lambda: socket.socket(family, socket.SOCK_RAW if family == socket.AF_PACKET else socket.SOCK_DGRAM if family == socket.AF_UNIX else socket.SOCK_STREAM if family != socket.AF_NETLINK else socket.SOCK_RAW).close())
def abstract():
    with socket.socket(socket.AF_UNIX) as c: c.connect("\0smtpin-probe")


call("abstract socket", abstract)
call("shared memory", libc_call("shmget", 0x736d7470, 0, 0))
call("signal smtpin", lambda: os.kill(os.getppid(), 0))
call("unshare", libc_call("unshare", 0x10000000))
call("mount", libc_call("mount", b"none", b"/mnt", b"tmpfs", 0, None))
call("setuid 0", lambda: os.setresuid(0, 0, 0))
call("setuid 1", lambda: os.setresuid(1, 1, 1) if os.fork() == 0 and os._exit(0) else None)
call("personality", libc_call("personality", 0x0008))
call("realtime", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)))
call("wx memory", lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close())
call("keyctl", syscall(250, 0, -3, 0))
call("ptrace", syscall(101, 16, 1, 0, 0))
call("bpf", syscall(321, 0, 0, 0))
call("io_uring", syscall(425, 1, 0))
now = (ctypes.c_long * 2)(*divmod(time.time_ns(), 1000000000))
call("clock", syscall(227, 0, now))
call("hostname", libc_call("sethostname", b"x", 1))
call("kernel log", syscall(103, 3, 0, 0))
call("module", syscall(175, 0, 0, b""))


def suid():
    path = "/tmp/suid"
    open(path, "w").close()
    try: os.chmod(path, 0o4755)
    finally: os.unlink(path)


call("suid", suid)
found["nofile"] = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
found["core"] = resource.getrlimit(resource.RLIMIT_CORE)[0]
try: found["credentials"] = open(os.environ["CREDENTIALS_DIRECTORY"] + "/token").read()
except (KeyError, OSError) as e: found["credentials"] = type(e).__name__
found["cgroup"] = [l.split(":", 2)[2] for l in open("/proc/self/cgroup").read().splitlines() if l.startswith("0:")]
found["descriptors"] = descriptors
with open(sys.argv[1], "w") as f: json.dump(found, f)

