"""milter.py WORK ROUNDS: for milter.sh, in policy.sh's namespace. Starts two milters that change nothing and a Postfix, and lets session.c compare. In rounds, so that a noisy machine is noisy for all."""
import os, pathlib, signal, socket, struct, subprocess, threading

from policy import ROUNDS, WORK, configure, free_ports, mount, pid_of_smtpd, sink

SILENT = {"C": 0x1000, "H": 0x2000, "M": 0x4000, "R": 0x8000, "T": 0x10000, "L": 0x80, "N": 0x40000, "B": 0x80000}
asked = []


def serve(listener, protocol):
    """Answers `continue` to each event, or, by these terms, to the end of the message alone."""
    def receive(s, n):
        data = b""
        while len(data) < n:
            piece = s.recv(n - len(data))
            if not piece: raise EOFError
            data += piece
        return data
    def talk(s):
        with s:
            try:
                while True:
                    n, = struct.unpack(">I", receive(s, 4))
                    data = receive(s, n)
                    letter = chr(data[0])
                    if letter == "O":
                        version, actions, offered = struct.unpack(">III", data[1:13])
                        s.sendall(struct.pack(">IcIII", 13, b"O", version, 0, protocol & offered))
                    elif letter == "E": asked.append(1)
                    if letter in "CHMRTLNBEU" and not SILENT.get(letter, 0) & protocol: s.sendall(b"\0\0\0\1c")
            except (EOFError, OSError): pass
    while True: threading.Thread(target=talk, args=listener.accept()[:1], daemon=True).start()


def listen(name, protocol):
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(WORK / name)); s.listen(100)
    os.chmod(WORK / name, 0o777)
    threading.Thread(target=serve, args=[s, protocol], daemon=True).start()
    return f"unix:{WORK / name}"


def pid_of_cleanup(master):
    numbers = pathlib.Path(f"/proc/{master.pid}/task/{master.pid}/children").read_text().split()
    return next(n for n in numbers if "cleanup" in pathlib.Path(f"/proc/{n}/cmdline").read_text().split("\0")[0])


def main():
    threading.Thread(target=sink, daemon=True).start()
    milters = {"answers each event": listen("talks.socket", 0), "answers the end alone": listen("silent.socket", 0xff080)}
    os.chmod(WORK / "log.socket", 0o777)
    if os.path.exists("/dev/log"): mount(WORK / "log.socket", "/dev/log")
    (WORK / "conf").write_text(f"hostname = mx.example.org\ndomains = example.org\ndeliver = {WORK}/floor nothing\n"
                               f"spool_dir = {WORK}\nlisten_idle = 0\nmax_connections_per_source = 0\nlog = syslog\n")
    ports = free_ports(3)
    port = dict(zip((*milters, None), ports))
    # One cleanup for all: its process runs on, as smtpd does.
    master = configure([(port[m], [f"smtpd_milters={milters.get(m, '')}"]) for m in port])
    cleanup = pid_of_cleanup(master)

    def postfix(m): return f"Postfix smtpd (and cleanup){'' if m else ', no milter'}", "KIB=64", f"PORT={port[m]}", f"PROCESS={pid_of_smtpd(master, port[m])}", f"BESIDE={cleanup}"

    def smtpin(build, sandbox, m, listening=False):
        name = f"{'listening ' if listening else ''}smtpin, {build} build{', sandbox' if sandbox else ''}{'' if m else ', no milter'}"
        through = ["-o", f"deliver_through={WORK / build}/smtpin-milter --spool-dir {WORK} {milters[m]}"] if m else []
        return (name, "KIB=64", WORK / build / "smtpin", "-f", WORK / "conf", "-o", f"sandbox={'yes' if sandbox else 'no'}", *through)

    ways = [(b, s) for b in ("static", "default") for s in (False, True)]
    for m in (*milters, None):
        words, sessions = [], 40
        commands = [postfix(m), *(smtpin(*w, m) for w in ways), *(smtpin(*w, m, listening=True) for w in ways)]
        for name, *rest in commands: words += ["::", name, *map(str, rest)]
        print(f"\n## {f'The milter {m}' if m else 'Without a milter'}", flush=True)
        asked.clear()
        subprocess.run([WORK / "session", "-t", "-r", ROUNDS, "-n", str(sessions), *words[1:]], check=True, timeout=1200, env={})
        expected = int(ROUNDS) * sessions * len(commands) if m else 0
        if len(asked) != expected: raise SystemExit(f"the milter was asked {len(asked)} times, not {expected}")
    master.send_signal(signal.SIGTERM)
    master.wait(30)


if __name__ == "__main__": main()
