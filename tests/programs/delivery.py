"""The hand-over: what the command gets, how it may behave, what the client is told."""
import json
from harness import *

INSPECT = write("inspect", f"""#!{sys.executable}
import json, os, signal, sys
f = [n for n in os.listdir('/proc/self/fd')]
held = {{}}
for n in f:
    try: held[n] = os.readlink('/proc/self/fd/' + n)
    except OSError: pass
at = os.lseek(0, 0, os.SEEK_CUR)
data = open(0, 'rb', closefd=False).read()
json.dump(dict(argv=sys.argv, env=dict(os.environ), fds=held, at=at,
               data=data.decode('latin-1'), uid=os.getuid(), pgid=os.getpgid(0), pid=os.getpid()),
          open(sys.argv[1], 'w'))
""")
REPORT = os.path.join(TMP, "report.json")


def inspect(data, settings=None, **more):
    if os.path.exists(REPORT):
        os.unlink(REPORT)
    out, err, status = pipe(data, {"deliver": f"{INSPECT} {REPORT} ${{recipient}}", **(settings or {})}, **more)
    return out, json.load(open(REPORT)) if os.path.exists(REPORT) else None


def reply(script, settings=None, body=b"Subject: x\r\n\r\ntext\r\n", envelope=ENVELOPE):
    return final_reply(pipe(mail(body, envelope), {"deliver": script, **(settings or {})})[0])


# What it is given.
r = os.pipe()
os.set_inheritable(r[0], True)
out, got = inspect(mail(), close_fds=False)
os.close(r[0]); os.close(r[1])
ok(got is not None, "the command runs", out)
held = {k: v for k, v in got["fds"].items() if k in "012" or not v.startswith("/proc/")}
held.pop(str(max(int(k) for k in held)), None) if len(held) > 3 else None
ok(set(k for k in held) <= {"0", "1", "2", "3"}, "it gets descriptors 0, 1, 2 and no other", held)
ok("memfd" in got["fds"]["0"], "a small message stays in memory", got["fds"])
equal(got["at"], 0, "its stdin stands at offset 0")
ok("socket" not in got["fds"]["1"] and "pipe" in got["fds"]["1"], "its stdout is not the connection", got["fds"])
equal(got["pgid"], got["pid"], "it leads a process group of its own")
signals = os.path.join(TMP, "signals")
pipe(mail(), {"deliver": f'/bin/sh -c "grep Sig[IB] /proc/self/status >{signals}"'}, preexec_fn=lambda: (
    [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 3, 13, 14, 15, 17)], signal.pthread_sigmask(signal.SIG_BLOCK, [1, 15, 17])))
ok(all(int(l.split()[1], 16) & 0x1e7ff == 0 for l in open(signals)), "no usual signal is ignored or blocked", open(signals).read())
equal(sorted(set(got["env"]) - {"LC_CTYPE", "TZ"}),
      sorted("PATH LANG SENDER RECIPIENT ORIGINAL_RECIPIENT LOCAL EXTENSION DOMAIN RECIPIENT_COUNT CLIENT_ADDRESS CLIENT_PORT "
             "CLIENT_HOSTNAME CLIENT_HELO CLIENT_PROTOCOL SMTPIN_ID SMTPIN_SIZE SMTPIN_BODY SMTPIN_REPLIES SMTPIN_DIGEST".split()),
      "its environment is built from nothing")
for program, error in (("/nonexistent/program", "No such file"), ("/etc/passwd", "Permission denied"), ("/tmp", "Permission denied")):
    for row in ("", "127:250", "127:554"):
        out, err, status = pipe(mail(), {"deliver": program, "log": "stderr", **({"exit_map": row} if row else {})})
        ok(final_reply(out).startswith("451") and b"command_end=not_started" in err and error.encode() in err, f"{program} can't be executed: 451, and why, exit_map {row!r}", (out, err))
probe = write("signals", f"#!/bin/sh\ngrep -E '^Sig(Ign|Blk)' /proc/self/status >{TMP}/signals.out; umask >>{TMP}/signals.out\n")
def ignore_all():
    for n in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGALRM, signal.SIGTERM, signal.SIGCHLD, signal.SIGXFSZ,
              signal.SIGUSR1, signal.SIGUSR2, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU): signal.signal(n, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
pipe(mail(), {"deliver": probe, "log": "none"}, preexec_fn=ignore_all)
equal(open(TMP + "/signals.out").read().split(), ["SigBlk:", "0" * 16, "SigIgn:", "0" * 16, "0077"], "the command inherits no signal that is ignored or blocked")
creds = write("creds", f"#!/bin/sh\nprintf '%s|%s\\n' \"$1\" \"${{CREDENTIALS_DIRECTORY-unset}}\" >{TMP}/creds.out\n")
for env, expected in (({"CREDENTIALS_DIRECTORY": "/run/credentials/x y"}, "/run/credentials/x y|/run/credentials/x y\n"), ({}, "|unset\n")):
    pipe(mail(), {"deliver": creds + " ${credentials_directory}", "log": "none"}, env={"PATH": os.environ["PATH"], **env})
    equal(open(TMP + "/creds.out").read(), expected, f"systemd's credentials: {env}")
equal(without_trace(got["data"].encode("latin-1")), b"Subject: x\n\ntext\n", "the message, with LF")

out, got = inspect(mail(), {"line_ending": "crlf"})
data = got["data"].encode("latin-1")
equal(without_trace(data, b"\r\n"), b"Subject: x\r\n\r\ntext\r\n", "the message, with CRLF")
ok(b"\n" not in data.replace(b"\r\n", b""), "our trace fields have CRLF too", data)

out, got = inspect(mail(), {"trace_headers": ""})
equal(got["data"], "Subject: x\n\ntext\n", "trace_headers = none of them")
out, got = inspect(mail(), {"trace_headers": "received"})
ok(got["data"].startswith("Received: from client.example.com"), "trace_headers = received", got["data"])

# Text without a header, or with a first line that goes on with another, is no part of our trace fields.
for body in (b"RAID degraded\r\nDelivered-To: b@example.org\r\n", b" (spf=pass); Mon, 01 Jan 2001 00:00:00 +0000\r\nSubject: x\r\n\r\nhi\r\n", b"x" * 3000 + b"\r\n", b"From now on\r\nit is broken\r\n"):
    for more in ({}, {"deliver_per": "recipient"}, {"line_ending": "crlf"}, {"spool_memory": "0", "spool_dir": TMP}, {"trace_headers": "received"}, {"trace_headers": "delivered-to", "deliver_per": "recipient"}, {"sandbox": "no"}):
        eol = "\r\n" if "line_ending" in more else "\n"
        out, got = inspect(mail(body), {"log": "stderr", **more})
        head, text = got["data"].split(eol + eol, 1)
        ok(text == body.decode().replace("\r\n", eol) and "Received:" in head + "Received:" * ("delivered-to" == more.get("trace_headers")), f"an empty line before {body[:20]} {more}", got["data"])
    out, got = inspect(mail(body), {"trace_headers": ""})
    equal(got["data"], body.decode().replace("\r\n", "\n"), "none where nothing of ours stands before it")
for body, note in ((b"text\r\n", b"note=no_header"), (b"From: a\r\nno field\r\n\r\nx\r\n", b"note=header_end"), (b"From: a\r\n\r\nno field\r\n", None), (b"From x@y Mon\r\nSubject: x\r\n\r\nx\r\n", None)):
    out, err, _ = pipe(mail(body), {"deliver": "/bin/true", "log": "stderr"})
    ok(final_reply(out).startswith("250") and (note or b"note=") in err + (b"" if note else b"note="), f"{body[:20]}: {note}", err)
    ok(note or b"note=" not in err, f"{body[:20]}: {note}", err)
# The record says when no command ran, and when its lines are not as many as the recipients.
out, err, _ = pipe(mail(b"From: a\r\nno field\r\n\r\nx\r\n"), {"deliver": "/bin/true", "header_end": "refuse", "log": "stderr"})
ok(b"rule=header_end" in err and b"command_" not in err, "no command ran: the record has no end of one", err)
for lines, note in ((b"", True), (b"250 2.0.0 a\\n250 2.0.0 b\\n", True), (b"250 2.0.0 a\\n", False)):
    out, err, _ = pipe(mail(), {"deliver": f'/usr/bin/printf "{lines.decode()}"' if lines else "/bin/true", "deliver_replies": "each", "log": "stderr"})
    equal((b"note=reply_lines" in err, final_reply(out)[:3]), (note, "451" if note else "250"), f"deliver_replies = each, {lines}: {'a note' if note else 'no note'}")
big = b"".join(b"%07d " % i + b"x" * 60 + b"\r\n" for i in range(20000))
for memory, where in (("10M", "memfd"), ("100K", TMP), ("0", TMP)):
    out, got = inspect(mail(big), {"spool_memory": memory, "spool_dir": TMP})
    ok(got is not None and where in got["fds"]["0"], f"spool_memory = {memory}: spooled in {where.split('/')[-1][:6]}",
       got and got["fds"])
    equal(without_trace(got["data"].encode("latin-1")), big.replace(b"\r\n", b"\n"), f"spool_memory = {memory}: whole")
equal([n for n in os.listdir(TMP) if n.startswith("smtpin.")], [], "no spool file has a name")
out, _, _ = pipe(mail(big), {"spool_memory": "0", "spool_dir": "/nonexistent", "deliver": "/bin/true"})
ok(final_reply(out).startswith("452 4.3.1"), "no spool: 452", out)
if os.path.exists("/dev/shm") and os.geteuid() == 0 and have("unshare"):
    small = os.path.join(TMP, "small")
    os.mkdir(small)
    p = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c",
                        f"mount -t tmpfs -o size=200k tmpfs {small} && exec \"$@\"", "sh"] +
                       arguments({"spool_memory": "0", "spool_dir": small, "deliver": "/bin/true"}),
                       input=mail(big, ENVELOPE.replace(b"QUIT", b"")), capture_output=True, timeout=60)
    ok(final_reply(p.stdout).startswith("452 4.3.1") and codes(p.stdout)[-1] == "221",
       "a full spool: 452, and the session goes on", p.stdout + p.stderr)
else:
    skip("a full spool", "needs root")

# Hostile addresses are data.
marker = os.path.join(TMP, "owned")
for local in (f'"$(touch {marker})"', f'"`touch {marker}`"', f'"; touch {marker};"', '"a\\"b"', '-rf', "%n$s", "$HOME",
              "'", "!x", "&", "|"):
    envelope = f"EHLO x\r\nMAIL FROM:<{local}@example.com>\r\nRCPT TO:<{local}@example.org>\r\nDATA\r\n".encode()
    out, got = inspect(mail(envelope=envelope))
    ok(got is not None and len(got["argv"]) == 3 and got["argv"][2] == got["env"]["RECIPIENT"]
       and not os.path.exists(marker), f"{local} is one word", (out, got and got["argv"]))
equal(got["env"]["LOCAL"], "|", "LOCAL is the local-part")

# How it may end.
for status, code in ((0, "250 2.0.0"), (65, "554 5.6.0"), (67, "550 5.1.1"), (68, "550 5.1.2"), (77, "550 5.7.1"),
                     (100, "554 5.3.0"), (1, "451 4.3.0"), (69, "451 4.3.0"), (75, "451 4.3.0"), (126, "451 4.3.0"),
                     (127, "451 4.3.0"), (255, "451 4.3.0")):
    ok(reply(f'/bin/sh -c "exit {status}"').startswith(code), f"exit {status}: {code}")
for name in ("KILL", "TERM", "SEGV", "PIPE", "ALRM"):
    ok(reply(f'/bin/sh -c "kill -{name} $$$$"').startswith("451 4.3.0"), f"SIG{name}: 451")
ok(reply("/nonexistent/program").startswith("451 4.3.0"), "a missing program: 451")
ok(reply("no-such-program-at-all").startswith("451 4.3.0"), "a program that is not in the path: 451")
ok(reply(TMP).startswith("451 4.3.0"), "a directory as program: 451")
ok(reply(write("no-interpreter", "#!/nonexistent\n")).startswith("451 4.3.0"), "a missing interpreter: 451")
ok(reply("true").startswith("250"), "a bare name is found in the path; stdin left unread is taken")
equal(reply('/bin/sh -c "echo 4.2.2 Mailbox full; exit 1"'), "452 4.2.2 Mailbox full", "its words decide the reply")
equal(reply('/bin/sh -c "echo secret >&2; exit 67"'), "550 5.1.1 User unknown", "stderr is not the client's")
ok(reply(r'''/usr/bin/printf "5.1.1 a\r\n250 forged\n"'''.replace('"', '"')).startswith("250 2.0.0 OK id="),
   "no second line reaches the client")
ok(reply('/bin/sh -c "exec >&- 2>&-; exit 67"').startswith("550 5.1.1"), "closed descriptors")
ok(reply('/bin/sh -c "head -c 30000000 /dev/zero; exit 67"').startswith("550 5.1.1"), "a flood of output")
ok(reply('/bin/sh -c "head -c 3000000 /dev/zero >&2; exit 67"').startswith("550 5.1.1"), "a flood of complaints")
start = time.monotonic()
pidfile = os.path.join(TMP, "pid")
ok(reply(f'/bin/sh -c "sleep 30 & echo $$! >{pidfile}; exit 0"').startswith("250"), "a child left behind")
ok(time.monotonic() - start < 10, "holding the pipe open, it does not hold us up")
os.kill(int(open(pidfile).read()), signal.SIGKILL)

# Its time.
start = time.monotonic()
script = write("hangs", f"#!/bin/sh\ntrap '' TERM\nsleep 60 & echo $! >{pidfile}\necho half; wait\nsleep 60\n")
ok(reply(script, {"deliver_timeout": "300ms"}).startswith("451 4.3.0"), "deliver_timeout: 451")
ok(time.monotonic() - start < 10, "a command that ignores SIGTERM is killed")
ok(gone(int(open(pidfile).read())), "and its children with it")

# qmail-queue's descriptors.
queue = write("qmail-queue", f"""#!{sys.executable}
import json, os, sys
json.dump(dict(message=open(0,'rb').read().decode('latin-1'), envelope=open(1,'rb').read().decode('latin-1')),
          open({REPORT!r}, 'w'))
if len(sys.argv) > 2: os.write(6, sys.argv[2].encode())
sys.exit(int(sys.argv[1]))
""")
two = b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<\"c d\"@example.org>\r\nDATA\r\n"
q = {"deliver_format": "qmail-queue", "trace_headers": "received"}
ok(reply(f"{queue} 0", q, envelope=two).startswith("250 2.0.0"), "qmail-queue: 0")
got = json.load(open(REPORT))
equal(got["envelope"], 'F\0Tb@example.org\0Tc d@example.org\0\0', "qmail-queue: the envelope")
ok(got["message"].startswith("Received: from x") and got["message"].endswith("text\n"), "qmail-queue: the message")
for status, code in ((11, "554"), (31, "554"), (40, "554"), (10, "451"), (41, "451"), (53, "451"), (81, "451"), (91, "451")):
    ok(reply(f"{queue} {status}", q).startswith(code), f"qmail-queue: {status} is {code}")
equal(reply(f'{queue} 82 "Dno thanks"', q), "554 5.3.0 no thanks", "qmail-queue: 82, D")
equal(reply(f'{queue} 82 "Znot now"', q), "451 4.3.0 not now", "qmail-queue: 82, Z")
ok(reply(f"{queue} 82", q).startswith("451"), "qmail-queue: 82 without a word")
many = b"EHLO x\r\nMAIL FROM:<a@x>\r\n" + b"".join(b"RCPT TO:<%s%d@example.org>\r\n" % (b"u" * 100, i) for i in range(1000)) + b"DATA\r\n"
ok(reply(f"{queue} 0", q, envelope=many).startswith("250 2.0.0"), "qmail-queue: 1,000 recipients")
equal(json.load(open(REPORT))["envelope"].count("\0"), 1002, "qmail-queue: all of them")
out, got = inspect(mail(envelope=many))
equal(got and len(got["argv"]), 1002, "1,000 recipients as 1,000 words")

# Many at once need few descriptors.
import resource
sixteen = b"EHLO x\r\nMAIL FROM:<a@example.com>\r\n" + b"".join(b"RCPT TO:<r%d@example.org>\r\n" % i for i in range(16)) + b"DATA\r\n"
out, err, _ = pipe(mail(envelope=sixteen), {"deliver": '/bin/sh -c "cat >/dev/null; sleep 0.1"', "deliver_per": "recipient", "deliver_parallel": "16", "log": "stderr"},
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (66, 66)))
ok(final_reply(out).startswith("250") and b"accepted=16" in err, "16 runs at once with 66 descriptors", (out, err))
# However long the client's names are, no line of ours has more than 998 octets (RFC 5322 2.1.1).
long = b"\xfc" * 63 + b"." + b"\xfc" * 63 + b"." + b"\xfc" * 63 + b"." + b"\xfc" * 60
out, got = inspect(mail(envelope=ENVELOPE.replace(b"client.example.com", long)), {"client_address": "2001:db8::1234:5678:9abc:def0", "client_name": ".".join(["x" * 63] * 3 + ["y" * 60])})
ok(got and "=FC=FC" in got["data"] and max(len(l) for l in got["data"].split("\n")) <= 998, "a long name: lines are folded", got and [len(l) for l in got["data"].split("\n")])
done()
