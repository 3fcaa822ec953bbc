"""data.py WORK PICTURES: bytes, messages, recipients and clients at once, for the two builds in WORK, beside `cat` and the floor. For run.sh."""
import os, signal, socket, statistics, subprocess, sys, threading, time
from chart import picture

WORK, PICTURES = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
BUILDS = ("static", "default")
COLUMN = b"The quick brown fox jumps over the lazy dog, and the dog does not mind it..\r\n"
SHAPES = (("76 columns", COLUMN), ("one octet", b"x\r\n"), ("dots alone", b"." * 40 + b"\r\n"))
median = statistics.median


def run(command, feed, out=None):
    """CPU seconds of the whole tree, wall seconds, what feed returned. `out`: where it writes, ours no more."""
    ours, theirs = socket.socketpair()
    start = time.monotonic()
    p = subprocess.Popen(command, stdin=theirs, stdout=theirs if out is None else out, close_fds=False)  # by vfork: no copy of us is in the figures
    theirs.close()
    if out is not None: os.close(out)
    result = feed(ours, p.pid)
    _, status, usage = os.wait4(p.pid, 0); p.returncode = status
    ours.close()
    if status: raise SystemExit(f"{command}: {status}")
    return usage.ru_utime + usage.ru_stime, time.monotonic() - start, result


def smtpin(build, *more): return [f"{WORK}/{build}/smtpin", "-f", f"{WORK}/conf", *more]


def reply(s, n=1):
    data = b""
    while n:
        piece = s.recv(65536)
        if not piece: raise SystemExit("gone")
        data += piece
        lines = data.split(b"\n"); data = lines[-1]
        for l in lines[:-1]:
            if l[:1] in b"45": raise SystemExit(l)
            n -= l[3:4] == b" "


def say(s, line): s.sendall(line + b"\r\n"); reply(s)


def message(shape, size):
    block = shape * (65536 // len(shape))
    def feed(s, pid):
        reply(s); say(s, b"EHLO x"); say(s, b"MAIL FROM:<a@example.com>"); say(s, b"RCPT TO:<b@example.org>"); say(s, b"DATA"); s.sendall(b"Subject: x\r\n\r\n")
        sent = 0
        while sent < size: s.sendall(block[:size - sent] if size - sent >= len(block) else shape * max(1, (size - sent) // len(shape))); sent += len(block)
        s.sendall(b".\r\n"); reply(s)
        peak = next(int(l.split()[1]) for l in open(f"/proc/{pid}/status") if l.startswith("VmHWM"))
        say(s, b"QUIT")
        return peak
    return feed


def chunked(body, block):
    """64 MiB, a header first."""
    def feed(s, pid):
        reply(s); say(s, b"EHLO x"); say(s, b"MAIL FROM:<a@example.com>" + body); say(s, b"RCPT TO:<b@example.org>"); say(s, b"BDAT 14\r\nSubject: x\r\n")
        n = (64 << 20) // len(block)
        for i in range(n): s.sendall(b"BDAT %d%s\r\n" % (len(block), b" LAST" if i + 1 == n else b"") + block); reply(s)
        say(s, b"QUIT")
    return feed


def bytes_alone(shape, size):
    block = shape * (65536 // len(shape))
    def feed(s, pid):
        sent = 0
        while sent < size: s.sendall(block); sent += len(block)
        s.shutdown(socket.SHUT_WR)
    return feed


def cat(shape, size):
    # Into a file that goes with it, as a spool's: what it costs to be rid of it is counted for both, and the next
    # one takes the same memory, which costs a virtual machine less than memory that was never touched.
    return run(["cat"], bytes_alone(shape, size), os.open(WORK, os.O_TMPFILE | os.O_WRONLY, 0o600))


def many(messages, recipients):
    def feed(s, pid=0):
        reply(s); say(s, b"EHLO x")
        for _ in range(messages):
            say(s, b"MAIL FROM:<a@example.com>")
            # In one piece: many small ones fill a socket's buffer, and then both sides would wait for the other to read.
            s.sendall(b"".join(b"RCPT TO:<b%d@example.org>\r\n" % i for i in range(recipients)))
            reply(s, recipients); say(s, b"DATA"); s.sendall(b"x\r\n.\r\n"); reply(s)
        say(s, b"QUIT")
    return feed


M = 1 << 20
print("\n## DATA: CPU seconds a GiB, and as a multiple of `cat >file`\n\n| lines | size | cat | static | | default | |\n|---|---|---|---|---|---|---|")
for name, shape in SHAPES:
    for size in (M, 64 * M) + ((1024 * M,) if name == "76 columns" else ()):
        rounds = 7 if size == M else 5 if size < 1024 * M else 3
        got = {b: [] for b in ("cat", *BUILDS)}
        cat(shape, size)
        for _ in range(rounds):
            for b in got:
                took = cat(shape, size)[0] if b == "cat" else run(smtpin(b), message(shape, size))[0]
                got[b].append(took * 1024 * M / size)
        print(f"| {name} | {size // M} MiB | {median(got['cat']):.2f} | " + " | ".join(f"{median(got[b]):.2f} | {median(got[b]) / median(got['cat']):.1f}" for b in BUILDS) + " |", flush=True)
print("\n## The same in the sandbox, 64 MiB\n\n| lines | cat | static | | default | |\n|---|---|---|---|---|---|")
for name, shape in SHAPES:
    rows = [[cat(shape, 64 * M)[0] * 16] + [run([f"{WORK}/{b}/smtpin", "-f", f"{WORK}/conf.sandbox"], message(shape, 64 * M))[0] * 16 for b in BUILDS] for _ in range(7)]
    print(f"| {name} | {median(r[0] for r in rows):.2f} | {median(r[1] for r in rows):.2f} | {median(r[1] / r[0] for r in rows):.1f} | {median(r[2] for r in rows):.2f} | {median(r[2] / r[0] for r in rows):.1f} |", flush=True)
print("\n## In chunks of 1 MiB (BDAT), 64 MiB: CPU as a multiple of `cat >file`, and of the same by DATA\n\n| build | DATA | BDAT, text | | BDAT, binary | |\n|---|---|---|---|---|---|")
WAYS = (lambda: message(COLUMN, 64 * M), lambda: chunked(b"", COLUMN * (M // len(COLUMN))), lambda: chunked(b" BODY=BINARYMIME", os.urandom(M)))
for conf, name in (("conf", ""), ("conf.sandbox", ", sandbox")):
    for b in BUILDS:
        rows = [[cat(COLUMN, 64 * M)[0]] + [run([f"{WORK}/{b}/smtpin", "-f", f"{WORK}/{conf}", "-o", "binarymime=yes"], way())[0] for way in WAYS] for _ in range(7)]
        base, data, text, binary = (median(r[i] for r in rows) for i in range(4))
        print(f"| {b}{name} | {data / base:.2f} | {text / base:.2f} | {text / data:.2f} | {binary / base:.2f} | {binary / data:.2f} |", flush=True)
print("\n## Memory: KiB at the most, with a message of\n\n| build | 1 MiB | 64 MiB | 1 GiB |\n|---|---|---|---|")
for b in BUILDS: print(f"| {b} | " + " | ".join(str(run(smtpin(b), message(COLUMN, n * M))[2]) for n in (1, 64, 1024)) + " |", flush=True)
print("\n## CPU us a message and a recipient\n\n| build | messages in a session: 1 | 10 | 100 | 1000 | recipients of a message: 1 | 10 | 100 | 1000 |\n|---|---|---|---|---|---|---|---|---|")
for b in BUILDS:
    start = median(run(smtpin(b), many(0, 0))[0] for _ in range(21)) * 1e6
    a = [(median(run(smtpin(b), many(n, 1))[0] for _ in range(5)) * 1e6 - start) / n for n in (1, 10, 100, 1000)]
    r = [(median(run(smtpin(b), many(1, n))[0] for _ in range(5)) * 1e6 - start) / n for n in (1, 10, 100, 1000)]
    print(f"| {b} | " + " | ".join(f"{v:.0f}" for v in a + r) + " |", flush=True)
print("\n## From exec to greeting, us, wall\n\n| floor | static | default |\n|---|---|---|")


def greeting(command):
    ours, theirs = socket.socketpair()
    p = subprocess.Popen(command, stdin=theirs, stdout=theirs, close_fds=False); theirs.close()
    start = time.monotonic()  # Popen returns once the program has been executed
    ours.recv(100); took = time.monotonic() - start
    ours.close(); p.wait()
    return took * 1e6


rows = [[greeting(c) for c in ([WORK + "/floor", "play"], smtpin("static"), smtpin("default"))] for _ in range(101)]
print("| " + " | ".join(f"{median(c):.0f}" for c in zip(*rows)) + " |")


TCPSERVER = f"{WORK}/ucspi-tcp/usr/bin/tcpserver"
NOBODY = [f"{WORK}/floor", "deliver", f"{WORK}/floor"]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s: return str(s.getsockname()[1])


def listening(command):
    """A process that accepts by itself, given its socket."""
    s = socket.create_server(("127.0.0.1", 0), backlog=1024)
    pid = os.fork()
    if pid == 0:
        os.dup2(s.fileno(), 3); os.set_inheritable(3, True)
        os.execve(command[0], command, {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())})
    port = s.getsockname()[1]; s.close()
    return pid, port


def under(server):
    def start(command):
        port = free_port()
        pid = subprocess.Popen([w.replace("PORT", port) for w in server] + command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False).pid
        for _ in range(500):
            try: socket.create_connection(("127.0.0.1", int(port))).close(); break
            except OSError: time.sleep(0.01)
        return pid, int(port)
    return start


def at_once(start, command, n, sessions=384):
    """CPU us a session with n clients at once, and sessions a second."""
    pid, port = start(command)
    def client():
        for _ in range(sessions // n):
            with socket.create_connection(("127.0.0.1", port)) as c: turns(c)
    threads = [threading.Thread(target=client) for _ in range(n)]
    began = time.monotonic()
    for t in threads: t.start()
    for t in threads: t.join()
    took = time.monotonic() - began
    time.sleep(0.1)  # the last ones are waited for by their parent
    os.kill(pid, signal.SIGTERM)
    usage = os.wait4(pid, 0)[2]
    return (usage.ru_utime + usage.ru_stime) * 1e6 / sessions, sessions / took


def turns(s):
    """The turns that the floor knows."""
    reply(s); say(s, b"EHLO x"); say(s, b"MAIL FROM:<a@example.com>"); say(s, b"RCPT TO:<b@example.org>"); say(s, b"DATA"); s.sendall(b"x\r\n" * 700 + b".\r\n"); reply(s); say(s, b"QUIT")


CLIENTS = (1, 8, 64)
SERVERS = [("listening", listening)]
SANDBOXED = ["-f", f"{WORK}/conf.sandbox"]
if os.access(TCPSERVER, os.X_OK): SERVERS.append(("tcpserver", under([TCPSERVER, "-R", "-H", "-l", "0", "-c", "100", "127.0.0.1", "PORT"])))
SERVERS.append(("systemd-socket-activate", under(["systemd-socket-activate", "--inetd", "-a", "-l", "127.0.0.1:PORT"])))
print("\n## By super-server and clients at once: CPU us a session, sessions a second\n\n| server | program | " + " | ".join(f"{n} at once | /s" for n in CLIENTS) + " |\n|---|---" + "|---" * 2 * len(CLIENTS) + "|")
lines = {}
for name, start in SERVERS:
    for program, command in [("floor", NOBODY)] * (name != "listening") + [(b, smtpin(b)) for b in BUILDS] + [("static, sandbox", [smtpin("static")[0], *SANDBOXED])]:
        got = [[at_once(start, command, n) for _ in range(3)] for n in CLIENTS]
        lines[f"{name}, {program}"] = [median(g[0] for g in rounds) for rounds in got]
        print(f"| {name} | {program} | " + " | ".join(f"{median(g[0] for g in r):.0f} | {median(g[1] for g in r):.0f}" for r in got) + " |", flush=True)


if PICTURES:
    sizes = [1 << k for k in range(10, 29, 2)]
    by_size = {"cat": [median(cat(COLUMN, n)[0] for _ in range(5)) * 1e3 for n in sizes]}
    for b in BUILDS: by_size[b] = [median(run(smtpin(b), message(COLUMN, n))[0] for _ in range(5)) * 1e3 for n in sizes]
    picture(f"{PICTURES}/performance-size.svg", "CPU of a session with one message, by its size, beside cat >file", sizes, ["1K", "4K", "16K", "64K", "256K", "1M", "4M", "16M", "64M", "256M"], by_size, "ms", [0.1, 1, 10, 100, 1000])
    shown = {k: [v / 1e3 for v in lines[k]] for k in lines if "default" not in k and "socket-activate" not in k and "sandbox" not in k}
    picture(f"{PICTURES}/performance-clients.svg", "CPU of a session with one message, by clients at once", list(CLIENTS), list(CLIENTS), shown, "ms", [0, 0.2, 0.4, 0.6, 0.8, 1])
