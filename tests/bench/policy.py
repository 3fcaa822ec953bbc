"""policy.py WORK ROUNDS: for policy.sh, in its namespace. Starts a policy server that answers DUNNO, a sink for the log and a Postfix, and lets session.c compare. In rounds, so that a noisy machine is noisy for all."""
import os, pathlib, signal, socket, subprocess, sys, threading, time

WORK, ROUNDS = pathlib.Path(sys.argv[1]), sys.argv[2]
OWNER, GROUP = 61002, 61003  # Postfix wants users of its own
asked = []


def serve(listener):
    def answer(s):
        with s:
            held = b""
            while piece := s.recv(65536):
                held += piece
                if held.endswith(b"\n\n"):
                    held = b""
                    asked.append(1)
                    s.sendall(b"action=DUNNO\n\n")
    while True: threading.Thread(target=answer, args=listener.accept()[:1], daemon=True).start()


def listen(family, address):
    s = socket.socket(family)
    s.bind(address)
    s.listen(100)
    threading.Thread(target=serve, args=[s], daemon=True).start()
    return s.getsockname()


def sink():
    """The log of both. What Postfix complains of is to be seen."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(str(WORK / "log.socket"))
    while True:
        line = s.recv(65536)
        if any(word in line for word in (b"warning:", b"fatal:", b"panic:")): print("#", line.decode(errors="replace"), file=sys.stderr, flush=True)


def mount(what, where):
    subprocess.run(["mount", "--bind", what, where], check=True)


def free_ports(n):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in held]
    for s in held: s.close()
    return ports


def configure(smtpds, settings="", others=(), silent=()):
    """Starts a Postfix, with the least that smtpd needs and what takes a message and discards it. `smtpds`: port and options of each smtpd; `settings`: lines for main.cf; `others`: more services, as in the list below; `silent`: as `smtpds`, but only TLS or logins will do there."""
    for name, line in (("passwd", f"bench-postfix:x:{OWNER}:{OWNER}::/nonexistent:/bin/false"), ("group", f"bench-postfix:x:{OWNER}:\nbench-postdrop:x:{GROUP}:")):
        (WORK / name).write_text(pathlib.Path("/etc", name).read_text() + line + "\n")
        mount(WORK / name, f"/etc/{name}")
    queue = WORK / "queue"
    for name in "active bounce corrupt defer deferred flush hold incoming private saved trace public maildrop ../data".split():
        (queue / name).mkdir(parents=True)
        os.chown(queue / name, OWNER, GROUP)
        (queue / name).chmod(0o755 if name in ("public", "maildrop") else 0o700)
    (queue / "pid").mkdir()
    etc, programs = WORK / "etc", WORK / "postfix/usr/lib/postfix"
    etc.mkdir()
    (etc / "main.cf").write_text(f"""queue_directory = {queue}
data_directory = {WORK}/data
daemon_directory = {programs}/sbin
command_directory = {WORK}/postfix/usr/sbin
shlib_directory = {programs}
import_environment = LD_LIBRARY_PATH MAIL_CONFIG
export_environment = LD_LIBRARY_PATH MAIL_CONFIG
mail_owner = bench-postfix
setgid_group = bench-postdrop
myhostname = mx.example.org
mydestination = example.org
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
local_recipient_maps =
alias_maps =
local_transport = discard:
default_transport = discard:
max_use = 1000000
max_idle = 1h
in_flow_delay = 0
compatibility_level = 3.6
{settings}""")
    rows = [f"127.0.0.1:{port} inet n - n - 1 smtpd" + "".join(f" -o {o}" for o in options) for port, options in (*smtpds, *silent)]
    rows += [f"{name} unix {private} - n - {limit} {program}" for name, private, limit, program in (
        ("cleanup", "n", 0, "cleanup"), ("qmgr", "n", 1, "qmgr"), ("rewrite", "-", 1, "trivial-rewrite"), ("discard", "-", 1, "discard"),
        ("bounce", "-", 0, "bounce"), ("defer", "-", 0, "bounce"), ("trace", "-", 0, "bounce"), ("proxymap", "-", 1, "proxymap"), ("anvil", "-", 1, "anvil"), *others)]
    (etc / "master.cf").write_text("\n".join(rows) + "\n")
    # In an environment of its own: nothing of the caller's.
    master = subprocess.Popen([programs / "sbin/master", "-c", etc, "-d"], start_new_session=True,
                              env={"PATH": "/bin:/usr/bin", "LD_LIBRARY_PATH": str(programs), "MAIL_CONFIG": str(etc)})
    deadline = time.monotonic() + 30
    for port, _ in smtpds:
        while True:
            try: socket.create_connection(("127.0.0.1", port), timeout=30).close()
            except OSError:
                if time.monotonic() > deadline: raise SystemExit("Postfix does not start")
                time.sleep(0.1)
            else: break
    # All that it starts for a message, and what it then has in memory.
    for port, _ in smtpds: subprocess.run([WORK / "session", "-t", "-r", "1", "-n", "50", "warm", f"PORT={port}", f"PROCESS={master.pid}"], check=True, timeout=60, stdout=subprocess.DEVNULL)
    time.sleep(1)
    return master


def pid_of_smtpd(master, port):
    """Of one of `smtpds` that runs on."""
    numbers = pathlib.Path(f"/proc/{master.pid}/task/{master.pid}/children").read_text().split()
    return next(n for n in numbers if f"127.0.0.1:{port}" in pathlib.Path(f"/proc/{n}/cmdline").read_text().split("\0"))


def compare(title, options, sessions, commands):
    words = []
    for name, *rest in commands: words += ["::", name, *map(str, rest)]
    print(f"\n## {title}", flush=True)
    asked.clear()
    subprocess.run([WORK / "session", "-t", *options, "-r", ROUNDS, "-n", str(sessions), *words[1:]], check=True, timeout=1200, env={})
    expected = int(ROUNDS) * sessions * sum("no policy" not in c[0] and not c[0].startswith("exit") for c in commands)
    if len(asked) != expected: raise SystemExit(f"the policy server was asked {len(asked)} times, not {expected}")


def smtpin(build, sandbox, policy, listening=False):
    name = f"{'listening ' if listening else ''}smtpin, {build} build{', sandbox' if sandbox else ''}{'' if policy else ', no policy'}"
    return (name, WORK / build / "smtpin", "-f", WORK / "conf", "-o", f"sandbox={'yes' if sandbox else 'no'}", *(["-o", f"policy={policy}"] if policy else []))


def main():
    threading.Thread(target=sink, daemon=True).start()
    unix = "unix:" + listen(socket.AF_UNIX, str(WORK / "policy.socket"))
    inet = "inet:127.0.0.1:%d" % listen(socket.AF_INET, ("127.0.0.1", 0))[1]
    os.chmod(WORK / "policy.socket", 0o777)
    os.chmod(WORK / "log.socket", 0o777)
    if os.path.exists("/dev/log"): mount(WORK / "log.socket", "/dev/log")
    (WORK / "conf").write_text(f"hostname = mx.example.org\ndomains = example.org\ndeliver = {WORK}/floor nothing\n"
                               f"spool_dir = {WORK}\nlisten_idle = 0\nmax_connections_per_source = 0\nlog = syslog\n")
    ports = free_ports(4)
    port = dict(zip((unix, inet, None), ports))
    asks = lambda p: f"smtpd_recipient_restrictions={'check_policy_service,' + p if p else ''}"
    master = configure([*((port[p], [asks(p)]) for p in port), (ports[3], [asks(unix), "max_use=1"])])

    def smtpd(policy):
        return "Postfix smtpd" + ("" if policy else ", no policy"), f"PORT={port[policy]}", f"PROCESS={pid_of_smtpd(master, port[policy])}"

    ways = [(b, s) for b in ("static", "default") for s in (False, True)]
    started = "Postfix smtpd, started for each session", f"PORT={ports[3]}", f"PROCESS={master.pid}"
    whole = "all of Postfix", f"PORT={ports[0]}", f"FAMILY={master.pid}"
    full = [smtpd(unix), whole, started, ("exit at once", WORK / "floor", "exit"), *(smtpin(*w, unix) for w in ways), *(smtpin(*w, unix, listening=True) for w in ways),
            smtpd(None), *(smtpin(*w, None) for w in ways), *(smtpin(*w, None, listening=True) for w in ways)]
    compare("EHLO, MAIL, RCPT, QUIT; the policy server on a Unix socket", ["-q"], 100, full)
    compare("The same, the policy server on TCP", ["-q"], 100, [smtpd(inet), *(smtpin(*w, inet) for w in ways), *(smtpin(*w, inet, listening=True) for w in ways)])
    compare("With a message of 2 KiB", [], 20, full)
    master.send_signal(signal.SIGTERM)
    master.wait(30)


if __name__ == "__main__": main()
