"""counts.py NAME [VARIABLE=value...] COMMAND... [:: NAME ...]...: of the session that session.c plays, what no clock is in: system calls and page faults of the whole process tree, instructions where callgrind can count them, and private memory while it waits after EHLO. For run.sh."""
import os, re, socket, subprocess, sys, tempfile, time

TURNS = (b"EHLO client.example.com\r\n", b"MAIL FROM:<a@example.com>\r\n", b"RCPT TO:<b@example.org>\r\n", b"DATA\r\n",
         b"Subject: a test\r\n\r\n" + b"The quick brown fox jumps over the lazy dog, and the dog does not mind it..\r\n" * 26 + b".\r\n", b"QUIT\r\n")


def reply(s):
    data = b""
    while not (data.endswith(b"\n") and data.rstrip(b"\r\n").split(b"\n")[-1][3:4] == b" "):
        piece = s.recv(65536)
        if not piece: raise SystemExit(f"gone: {data}")
        data += piece
    return data


def tree(pid):
    pids = [pid]
    for p in pids:
        try: pids += map(int, open(f"/proc/{p}/task/{p}/children").read().split())
        except OSError: pass
    return pids


def private(pid):
    """What this session has of its own: what its two processes share with each other counts once."""
    return sum(int(l.split()[1]) for p in tree(pid) for l in open(f"/proc/{p}/smaps_rollup") if l.startswith("Pss_Dirty"))


def play(command, environment, idle=False):
    ours, theirs = socket.socketpair()
    ours.settimeout(60)
    p = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env={"PATH": os.environ["PATH"], **environment})
    theirs.close()
    reply(ours)
    memory = None
    for i, t in enumerate(TURNS):
        ours.sendall(t); reply(ours)
        if idle and i == 0: time.sleep(0.05); memory = private(p.pid)
    ours.close()
    err = p.stderr.read().decode(errors="replace")
    usage = os.wait4(p.pid, 0)[2]; p.returncode = 0
    return usage.ru_minflt, memory, err


print("| server | system calls | page faults | thousand instructions | idle, private dirty KiB |\n|---|---|---|---|---|")
for part in " \0".join(sys.argv[1:]).split(" \0:: \0"):
    name, *words = part.split(" \0")
    if name.startswith("exit"): continue  # it has no session
    environment = {}
    while "=" in words[0] and not words[0].startswith("/"): k, v = words.pop(0).split("=", 1); environment[k] = v
    trace = tempfile.NamedTemporaryFile()
    try:
        play(["strace", "-f", "-qq", "-o", trace.name, *[w for k, v in environment.items() for w in ("-E", f"{k}={v}")], *words], {})
        calls = sum(1 for l in open(trace.name, errors="replace") if not re.match(r"\d+ +(<\.\.\.|---|\+\+\+)", l))
        runs = [play(words, environment, True) for _ in range(5)]
        faults, memory = min(r[0] for r in runs), min(r[1] for r in runs)
        counted = "sandbox" not in name and re.search(r"Collected : (\d+)", play(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *words], environment)[2])
    except SystemExit as e: print(f"| {name} | {e} | | | |"); continue
    print(f"| {name} | {calls} | {faults} | {int(counted[1]) // 1000 if counted else '-'} | {memory} |", flush=True)
