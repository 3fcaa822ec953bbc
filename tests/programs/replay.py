"""smtpin-replay, trace, --explain: examples, broken configurations, sessions of real clients recorded and replayed."""
import json, re
from harness import *

EXAMPLES = os.path.join(SOURCE, "docs/examples")
CONF = os.path.join(EXAMPLES, "example.conf")
directory, deliver = taker()


def replay(*args):
    p = subprocess.run([REPLAY, "--smtpin", SMTPIN, *args], capture_output=True, timeout=120)
    return p.returncode, p.stdout.decode()


examples = sorted(os.path.join(EXAMPLES, n) for n in os.listdir(EXAMPLES) if n.endswith(".smtp"))
ok(len(examples) >= 12, "a dozen examples", examples)
for mode in ([], ["--in-process"], ["--whole"]):
    for e in examples:
        status, out = replay("-f", CONF, *mode, e)
        ok(status == 0, f"example {os.path.basename(e)} {' '.join(mode)}", out)
broken = [l.rstrip("\n").split("|", 2) for l in open(os.path.join(SOURCE, "tests/transcripts/broken")) if l[0] != "#"]
equal(sorted(b[0] for b in broken), [os.path.basename(e)[:-5] for e in examples], "each example has its broken configuration")
for name, setting, words in broken:
    status, out = replay("-f", CONF, "-o", setting, os.path.join(EXAMPLES, name + ".smtp"))
    ok(status == 1 and words in out and re.search(rf"{name}.smtp:\d+:\n- ", out), f"{name} with {setting.split('=')[0]} broken is red, and says why", out)

# The command line.
status, out = replay("-f", CONF, "--tap", *examples[:2])
ok(status == 0 and out.startswith("TAP version 13\n1..2\nok 1 - ") and out.endswith("\n# 2 passed, 0 failed\n"), "--tap", out)
status, out = replay("-f", CONF, "-o", "domains=", "--tap", *examples[:2])
ok(status == 1 and "not ok" in out and "\n# - " in out and re.search(r"\n# \d passed, \d failed\n$", out), "--tap, red", out)
BAD = (("S 220\n", 1, "neither"), ("D: runs x\n", 1, "no such D: line"), ("@dance\n", 1, "no such action"), ("C: \\q\n", 1, "backslash"), ("@message 1 2\n", 1, "octets and lines"),
       ("S: 220\nhostname = x.example\n", 2, "at the top"), ("# x\nC<<\nno\nend\n", 2, "without an end"), ("@half-close now\n", 1, "stands alone"), ("hostname = x\0y\n", 1, "a NUL"),
       ("S: 220\nS: has\n", 2, "wants the beginning"), ("S: has  ...\n", 1, "wants the beginning"), ("S: has \\q\n", 1, "backslash"), ("S: end now\n", 1, "stands alone"),
       ("S| 220\n", 1, "behind no S:"), ("S: 220\nC: QUIT\nS| 221\n", 3, "behind no S:"), ("S: 220\nD: none\nS| 221\n", 3, "behind no S:"), ("S: 220\nS| has\n", 2, "wants the beginning"),
       ("S: end\nS: end\n", 2, "behind the end"), ("S: end\nC: NOOP\n", 2, "behind the end"), ("S: end\nS| end\n@wait 1\n", 3, "behind the end"), ("S: end\nC!\nS: 220\n", 3, "behind the end"),
       ("D: signal\n", 1, "wants the number of a signal"), ("D: signal 0\n", 1, "wants the number of a signal"), ("D: signal 19\n", 1, "wants the number of a signal"),
       ("D: signal 32\n", 1, "wants the number of a signal"), ("D: signal KILL\n", 1, "wants the number of a signal"), ("D: hangs long\n", 1, "stands alone"), ("D: missing x\n", 1, "stands alone"),
       ("D: none x\n", 1, "stands alone"), ("D: exit 256\n", 1, "exit status"), ("D: exit 1\nD: exit 0\n", 2, "again how this run ends"), ("D: hangs\n# x\nD: signal 9\n", 3, "again how this run ends"),
       ("D: missing\nD: run x\n", 2, "program is missing"), ("D: says x\nD: missing\n", 2, "program is missing"), ("D: missing\nD<<\n>>D\n", 2, "program is missing"),
       ("D: missing\nC: x\nD: exit 0\n", 3, "missing from an earlier line on"))
for text, line, what in BAD:
    for eol in ("\n", "\r\n"):
        status, out = replay("-f", CONF, write("bad.smtp", text.replace("\n", eol).rstrip("\r\n"), 0o644))
        ok(status == 64 and f"bad.smtp:{line}: " in out and what in out and out.endswith("bad.smtp: can't be played\n0 passed, 1 failed\n"), f"a bad transcript ({text!r}, {eol!r}): 64", (status, out))
hash_name = write("a # TODO.smtp", "S: 250\n", 0o644)
status, out = replay("-f", CONF, "--tap", hash_name)
ok(status == 1 and "not ok 1 - " in out and "a \\# TODO.smtp\n" in out, "--tap: a name with a '#' is no order to the reader", out)
if have("prove"):
    p = subprocess.run(["prove", "--exec", f"{REPLAY} --smtpin {SMTPIN} -f {CONF} --tap", *examples[:2], hash_name], capture_output=True, text=True, timeout=60)
    ok(p.returncode == 1 and "Failed test:  1\n" in p.stdout and "Parse errors" not in p.stdout and "Tests=3," in p.stdout, "--tap: prove reads it", p.stdout + p.stderr)
else:
    skip("--tap: prove reads it", "no prove")
status, out = replay("-f", CONF, examples[0], write("red.smtp", "S: 221\n", 0o644), examples[1], write("bad.smtp", "x\n", 0o644))
ok(status == 64 and out.endswith("\n2 passed, 2 failed\n"), "the last line counts", out)
equal(replay("/nonexistent.smtp")[0], 64, "a transcript that is not there: 64")
equal(replay()[0], 64, "no transcript: 64")
status, out = replay("-f", CONF, "-o", "nonsense=1", write("421.smtp", "S: 421\n", 0o644))
equal(status, 0, "a configuration with a mistake is a 421")
mistaken = write("mistaken.conf", "hostname = mx.example.org\ndomain = example.org\n", 0o644)
for mode in ([], ["--chunk", "1"], ["--whole"], ["--in-process"]):
    for top in ("", "max_errors = 3\n"):
        status, out = replay("-f", mistaken, *mode, write("421.smtp", top + "S: 421 mx.example.org Service not available; closing connection\nS: end\n", 0o644))
        equal(status, 0, f"a file with a mistake never takes mail {' '.join(mode)} {top.strip()}")

# Settings at the top of a transcript that are wrong, alone or with the configuration's.
for text, extra, said in (("# x\ndomain = x.example\n", (), ("2: domain: no such key",)), ("max_errors = none\n", (), ("1: max_errors: must be a number, at least 1",)),
                          ("client_address = 192.0.2.1\nmax_error = 1\nmax_errors = x\n", (), ("2: max_error: ", "3: max_errors: ")), ("= x\n", (), ("1: no such key",)),
                          ("max_errors = 3 # few\n", (), ("1: max_errors: has a '#'",)), ("socket = a b\n", (), ("1: socket: ",)), ("bare_line_ends = normalize\n", (), ("1: bare_line_ends: ",)),
                          ("max_errors = x\n", ("-o", "max_errors=3"), ("1: max_errors: ",)), ("max_errors = x\n", ("-o", "nonsense=1"), ("1: max_errors: ",)),
                          ("deliver_per = recipient\nmax_errors = 3\n", ("-o", "deliver_replies=each"), ("1: deliver_replies: each works only with",)),
                          ("deliver_replies = each\nmax_errors = 3\n", ("-o", "deliver_per=recipient"), ("1: deliver_replies: each works only with",)),
                          ("deliver_per = recipient\ndeliver_replies = each\nmax_errors = 3\n", (), ("2: deliver_replies: each works only with",))):
    for mode in ([], ["--in-process"]):
        status, out = replay("-f", CONF, *extra, *mode, write("top.smtp", text + "S: 421\n", 0o644))
        ok(status == 64 and [l.split("top.smtp:", 1)[1].startswith(s) for l, s in zip(out.split("\n"), said)] == [True] * len(said) and out.count("\n") == len(said) + 2,
           f"a setting that is wrong ({text!r} {' '.join(extra)} {' '.join(mode)}): its file and line", (status, out))
sections = write("sections.conf", "hostname = mx.example.org\ndomains = example.org\ndeliver = /bin/true\n[each]\ndeliver_replies = each\ndeliver_per = recipient\n", 0o644)
status, out = replay("-f", sections, write("top.smtp", "socket = each\nS: 421\n", 0o644))
equal(status, 0, "a section with a mistake is no mistake of the transcript that is about it")
store = os.path.join(TMP, "store"); os.mkdir(store); os.chmod(store, 0o777)
real = write("real.smtp", "S: 220\nC: MAIL FROM:<a@example.com>\nC: RCPT TO:<b@example.org>\nC: DATA\nS: 250\nS: 250\nS: 354\nC: text\nC: .\nD: env LOCAL=b\nS: 250\nC: QUIT\nS: 221\n", 0o644)
status, out = replay("-f", CONF, "-o", f'deliver=/bin/sh -c "cat >{store}/m"', real)
ok(status == 0 and os.listdir(store) == [], "the command is not run", out)
status, out = replay("-f", CONF, "-o", f'deliver=/bin/sh -c "cat >{store}/m"', "--deliver", real)
ok(status == 0 and open(store + "/m").read().endswith("text\n"), "--deliver: it is", out)

# What somebody else's transcript may not do.
for setting in (f"deliver = /bin/sh -c \"touch {TMP}/forged\"", f"  deliver={TMP}/x", f"deliver_through = /bin/touch {TMP}/forged", f"maildir = {TMP}", f"spool_dir = {TMP}", f"trace = {TMP}/forged", "user = root"):
    forged = write("forged.smtp", "# a recording\n" + setting + "\n" + open(real).read(), 0o644)
    for mode in (["--deliver"], [], ["--in-process"]):
        status, out = replay("-f", CONF, *mode, forged)
        ok(status == 64 and "forged.smtp:2: " in out and "--trust" in out and not os.path.exists(TMP + "/forged"), f"a transcript with {setting.strip().split()[0]}: 64 {mode}", (status, out))
os.mkdir(TMP + "/forged")
status, out = replay("-f", CONF, "--trust", "--deliver", write("forged.smtp", f'deliver = /bin/sh -c "cat >{TMP}/forged/m"\n' + open(real).read(), 0o644))
ok(status == 0 and os.path.exists(TMP + "/forged/m"), "--trust: it may", (status, out))

# What differs is said once, for a whole reply, and the comparison goes on behind it.
EHLO = "S: 220\nC: EHLO x\nS: 250-mx.example.org Hello x\nS: 250-SIZE 1048576\nS: 250-LIMITS MAILMAX=1000 RCPTMAX=1000\nS: 250-PIPELINING\nS: 250-8BITMIME\nS: 250-SMTPUTF8\nS: 250-ENHANCEDSTATUSCODES\nS: 250 HELP\nC: NOOP\nS: 250 2.0.0 OK\nC: QUIT\nS: 221\nS: end\n"
HELP = "".join(f"+ 214-{line}\n" for line in ("EHLO hostname", "HELO hostname", "MAIL FROM:<address> [parameters]", "RCPT TO:<address> [parameters]", "DATA", "RSET", "NOOP [text]", "VRFY user [SMTPUTF8]", "EXPN list [SMTPUTF8]", "HELP [command]", "QUIT", "BDAT octets [LAST]")) + "+ 214 HELP with a command shows this one alone\n"
DIFFER = (
    (EHLO, (), ""),
    (EHLO, ("-o", "max_message_size=2M"), "4:\n- 250-SIZE 1048576\n+ 250-SIZE 2097152\n"),
    (EHLO, ("-o", "smtputf8=no"), "8:\n- 250-SMTPUTF8\n"),
    (EHLO.replace("S: 250-SMTPUTF8\n", ""), (), "8:\n+ 250-SMTPUTF8\n"),
    (EHLO.replace("S: 250-SMTPUTF8\n", "").replace("S: 250-SIZE", "S: 250-SIZ\nS: 250-SIZE"), (), "4:\n- 250-SIZ\n9:\n+ 250-SMTPUTF8\n"),
    (EHLO.replace("S: 250 HELP\n", "S: 250-HELP\n# a comment\nS: 250 DSN\n"), (), "10:\n- 250-HELP\n+ 250 HELP\n12:\n- 250 DSN\n"),
    (EHLO.replace("S: 250-SIZE 1048576\n", "S: 250-SIZE 1\nS| 250-SIZE 2...\n"), (), "4:\n- 250-SIZE 1\n| 250-SIZE 2...\n+ 250-SIZE 1048576\n"),
    (EHLO.replace("2.0.0 OK", "2.0.0 Fine").replace("S: 250-SIZE 1048576\n", ""), (), "4:\n+ 250-SIZE 1048576\n11:\n- 250 2.0.0 Fine\n+ 250 2.0.0 OK\n"),
    ("S: 220\nC: EHLO x\nS: 250-mx.example.org ...\nS: 250-SIZE 1\nS: 250\nC: QUIT\nS: 221\n", (), "4:\n- 250-SIZE 1\n+ 250-SIZE 1048576\n"),
    ("S: 220\nC: EHLO x\nS: 250-mx.example.org ...\nS: 250-FOO\nS: 250-SIZE 1048576\nS: 250\nC: QUIT\nS: 221\n", (), "4:\n- 250-FOO\n"),
    ("S: 220\nC: QUIT\nS: 250-FOO\nS: 250 BAR\nS: end\n", (), "3:\n- 250-FOO\n+ 221 mx.example.org closing connection\n4:\n- 250 BAR\n"),
    ("S: 220\nC: NOOP\nS: 221\nC: HELP\nC: QUIT\nS: 250\nS| has HULP\nS: 220\n", (), "3:\n- 221\n+ 250 OK\n6:\n- 250\n| has HULP\n" + HELP + "8:\n- 220\n+ 221 mx.example.org closing connection\n"),
    ("S: 220\nC: HELP\nC: NOOP\nS: has FOO\nS: has EHLO\nS: has BAR\nS: 250\nC: QUIT\nS: 221\n", (),
     "4:\n- has FOO\n6:\n- has BAR\n" + HELP + ""),
    ("S: 220\nC: NOOP\nS: 250\nS: end\nD: none\n", (), "4:\n- end\n+ (nothing, for too long)\n"),
    ("S: 220\nC: NOOP\nC: NOOP\nS: 250\nS: end\n", (), "5:\n- end\n+ 250 OK\n"),
    ("S: 220\nC: NOOP\nC: NOOP\nC: QUIT\nS: 250\n", (), "5:\n- (nothing more)\n+ 250 OK\n+ 221 mx.example.org closing connection\n"),
    ("S: 220\nC: QUIT\nS: 221\nS: 250\nS: 250\nS: 250-a\nS: has b\n", (), "4:\n- 250\n+ (connection closed)\n"),
    ("S: \\x68as x\n", (), "1:\n- has x\n+ 220 mx.example.org ESMTP smtpin\n"), ("S: ending\n", (), "1:\n- ending\n+ 220 mx.example.org ESMTP smtpin\n"),
    ("S: 220\x00\nC: QUIT\nS: has \\x00\n", (), "1:\n- 220\\x00\n+ 220 mx.example.org ESMTP smtpin\n3:\n- has \\x00\n+ 221 mx.example.org closing connection\n"),
)
for text, extra, expected in DIFFER:
    said = {}
    for mode in ([], ["--chunk", "1"], ["--whole"], ["--in-process"]):
        path = write("differ.smtp", text, 0o644)
        status, out = replay("-f", CONF, "-o", "chunking=no", "--timeout", "300ms", *extra, *mode, path)
        said[" ".join(mode)] = (status, out.replace(path + ":", "").replace(" different\n", "").replace(" ok\n", ""))
    equal(said, {m: (expected != "", expected + f"{int(expected == '')} passed, {int(expected != '')} failed\n") for m in said}, f"what differs is said once: {expected!r}")
# How a run ends, as smtpin itself sees it (its log says so); in the process alike.
ENDS = (("signal 9", "command_end=signal command_status=9 "), ("signal 11", "command_end=signal command_status=11 "), ("signal 31", "command_end=signal command_status=31 "),
        ("hangs", "command_end=timeout "), ("missing", 'command_end=not_started command_error="No such file or directory" '), ("exit 111", "command_end=exit command_status=111 "))
work = os.path.join(TMP, "work"); os.mkdir(work)


def traces_of(directory):
    """Processes with the directory on their command line, and files in it."""
    left = os.listdir(directory)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if directory.encode() in open(f"/proc/{pid}/cmdline", "rb").read(): left.append(pid)
        except OSError: pass
    return left


for end, logged in ENDS:
    for settings, verb, reply in (((), "HELO", "S: 451 Delivery failed, try again later\n"), (("deliver_format=qmail-queue",), "HELO", "S: 451 Delivery failed, try again later\n"),
                                  (("protocol=lmtp", "deliver_replies=each"), "LHLO", "S: 451 4.3.0 Delivery failed, try again later\n" * 2)):
        text = f"S: 220\nC: {verb} x\nS: 250\nC: MAIL FROM:<a@example.com>\nS: 250\nC: RCPT TO:<b@example.org>\nS: 250\nC: RCPT TO:<c@example.org>\nS: 250\nC: DATA\nS: 354\nC: text\nC: .\n" + ("" if end == "missing" else "D: says 250 2.0.0 Fine\n" * 2) + f"D: {end}\n{reply}C: QUIT\nS: 221\nS: end\n"
        if end == "exit 111" and settings:
            text = text.replace("D: says 250 2.0.0 Fine\n", "")
        for mode in ([], ["--in-process"]):
            p = subprocess.run([REPLAY, "--smtpin", SMTPIN, "-f", CONF, "-o", "deliver=/bin/true ${recipient}", "-o", "deliver_timeout=700ms", *[a for o in settings for a in ("-o", o)], "--verbose", *mode, write("ends.smtp", text, 0o644)],
                               capture_output=True, text=True, timeout=60, env={**os.environ, "TMPDIR": work}, cwd=TMP)
            ok(p.returncode == 0 and (mode or logged in p.stderr), f"a command that ends so: {end} {' '.join(settings)} {' '.join(mode)}", p.stdout + p.stderr)
            equal([n for n in os.listdir(TMP) if n.startswith("core")], [], f"a command that ends so: {end}: no core")
        wrong = text.replace("S: 451", "S: 250")
        for mode in ([], ["--in-process"]):
            if not settings and end in ("signal 9", "missing"):
                status, out = replay("-f", CONF, *mode, write("ends.smtp", wrong, 0o644))
                ok(status == 1 and "- 250 Delivery failed" in out and "+ 451 Delivery failed" in out, f"a command that ends so: {end}: another reply is a difference {' '.join(mode)}", out)
hangs = "S: 220\nC: HELO x\nS: 250\nC: MAIL FROM:<a@example.com>\nS: 250\nC: RCPT TO:<b@example.org>\nS: 250\nC: DATA\nS: 354\nC: .\nD: hangs\nS: 451\n"
start = time.monotonic()
status, out = replay("-f", CONF, "-o", "deliver=/bin/true", write("hangs.smtp", hangs, 0o644))
ok(status == 0 and 0.9 < time.monotonic() - start < 8, "D: hangs waits for a second", (status, out))
for extra, top in ((("-o", "deliver_timeout=1h"), ""), ((), "deliver_timeout = 1h\n")):
    p = subprocess.run([REPLAY, "--smtpin", SMTPIN, "-f", CONF, "--timeout", "500ms", *extra, write("hangs.smtp", top + hangs, 0o644)], capture_output=True, text=True, timeout=60, env={**os.environ, "TMPDIR": work})
    ok(p.returncode == 1 and "- 451\n+ (nothing, for too long)\n" in p.stdout, "D: hangs, and a deliver_timeout of somebody's own counts", p.stdout)
for _ in range(100):
    if traces_of(work) == []: break
    time.sleep(0.05)
equal(traces_of(work), [], "neither a process nor a file is left behind, also of a command that hangs")
p = subprocess.Popen([REPLAY, "--smtpin", SMTPIN, "-f", CONF, "-o", "deliver_timeout=1h", "--timeout", "30s", write("hangs.smtp", hangs, 0o644)], stdout=subprocess.DEVNULL, env={**os.environ, "TMPDIR": work})
for _ in range(200):
    hanging = [pid for pid in traces_of(work) if pid.isdigit() and b"--as-command\0" in open(f"/proc/{pid}/cmdline", "rb").read().split(b"-o\0")[0]]
    if hanging: break
    time.sleep(0.05)
server = open(f"/proc/{hanging[0]}/stat").read().rsplit(")", 1)[1].split()[1] if hanging else 0
if ok(hanging, "a command that hangs is a process"):
    os.kill(int(server), signal.SIGKILL)
    ok(gone(hanging[0]), "it ends with the smtpin that has started it")
p.wait(60)
status, out = replay("-f", CONF, "-o", "deliver=/bin/true", "--deliver", write("real.smtp", hangs.replace("S: 451", "S: 250"), 0o644))
equal(status, 0, "--deliver: the command's own end counts")
status, out = replay("-f", CONF, "-o", "deliver=/bin/true", "--deliver", write("real2.smtp", hangs.replace("S: 451", "S: 250").replace("hangs", "missing"), 0o644))
equal(status, 0, "--deliver: its program is not taken away")
for says in ("y" * 3000000, "\nD: says ".join(["line"] * 5000)):
    for mode in ([], ["--in-process"]):
        status, out = replay("-f", CONF, *mode, write("says.smtp", hangs.replace("hangs", f"exit 67\nD: says {says}").replace("S: 451", "S: 550"), 0o644))
        equal(status, 0, f"a command that says much {' '.join(mode)}")

# Sessions of real clients, recorded, replayed, and replayed with a reply changed.
traces = os.path.join(TMP, "traces"); os.mkdir(traces); os.chmod(traces, 0o777)
conf = write("record.conf", "hostname = mx.example.org\ndomains = example.org\n", 0o644)
message = os.path.join(TMP, "m"); open(message, "w").write("Subject: x\n\n.dot\ntext \\ \u00e9\n")
open(message + ".crlf", "wb").write(open(message, "rb").read().replace(b"\n", b"\r\n"))
server_socket = socket.create_server(("127.0.0.1", 0)); PORT = server_socket.getsockname()[1]; server_socket.close()
smtp_source = os.environ.get("SMTP_SOURCE") or shutil.which("smtp-source")
clients = {
    "swaks": ["swaks", "--server", "127.0.0.1", "--port", str(PORT), "--from", "a@example.com", "--to", "b@example.org,x@elsewhere.example", "--data", "@" + message],
    "curl": ["curl", "-sS", f"smtp://127.0.0.1:{PORT}", "--mail-from", "a@example.com", "--mail-rcpt", "b@example.org", "--upload-file", message + ".crlf"],
    "smtp-source": [smtp_source or "smtp-source", "-d", "-m", "3", "-s", "1", "-l", "5000", "-f", "a@example.com", "-t", "b@example.org", f"127.0.0.1:{PORT}"],
}
if not have("systemd-socket-activate"):
    skip("recordings", "no systemd-socket-activate")
    clients = {}
for messages_too in ("no", "yes"):
    if not clients:
        break
    server = subprocess.Popen(["systemd-socket-activate", "--accept", "--inetd", "-l", f"127.0.0.1:{PORT}", SMTPIN, "-f", conf,
                               "-o", f"trace={traces}", "-o", f"trace_messages={messages_too}", "-o", f"deliver={deliver}", "-o", "log=none"], stderr=subprocess.DEVNULL)
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", PORT)).close(); break
        except OSError:
            time.sleep(0.05)
    for name, command in clients.items():
        if not have(command[0]):
            skip(f"recording {name}", f"no {command[0]}")
            continue
        time.sleep(0.2)
        clear(traces)
        clear(directory)
        env = dict(os.environ)
        if os.environ.get("SMTP_SOURCE_LIBRARIES") and name == "smtp-source":
            env["LD_LIBRARY_PATH"] = os.environ["SMTP_SOURCE_LIBRARIES"]
        p = subprocess.run(command, capture_output=True, timeout=60, env=env)
        for _ in range(100):
            files = os.listdir(traces)
            if files and "# ended by" in open(os.path.join(traces, files[0]), errors="replace").read(): break
            time.sleep(0.05)
        files = [os.path.join(traces, f) for f in os.listdir(traces)]
        if not ok(len(files) == 1 and os.stat(files[0]).st_mode & 0o777 == 0o600, f"{name}: one recording, mode 0600", (files, p.stdout, p.stderr)):
            continue
        text = open(files[0]).read()
        ok(("text \\\\ \u00e9" in text or name == "smtp-source") == (messages_too == "yes") or name == "smtp-source", f"{name}: trace_messages = {messages_too}", text)
        status, out = replay("-f", conf, "-o", f"deliver={deliver}", files[0])
        equal((status, out.count("\n")), (0, 2), f"{name}, messages {messages_too}: the recording replays green")
        replies = [i for i, l in enumerate(text.split("\n")) if l.startswith("S: ")]
        red = 0
        for i in replies:
            lines = text.split("\n")
            lines[i] = lines[i][:3] + ("5" if lines[i][3] != "5" else "2") + lines[i][4:]
            red += replay("-f", conf, "-o", f"deliver={deliver}", write("mutated.smtp", "\n".join(lines), 0o644))[0] == 1
        equal(red, len(replies), f"{name}, messages {messages_too}: each reply that is changed makes it red")
    server.terminate(); server.wait(30)


def record(data, settings=None):
    clear(traces)
    out, err, status = pipe(data, {"trace": traces, "deliver": deliver, "log": "none", **(settings or {})})
    files = [os.path.join(traces, f) for f in os.listdir(traces)]
    return files[0], open(files[0]).read(), out


for command, line in (("kill -9 $$$$", "D: signal 9"), ("sleep 20", "D: hangs"), ("exit 67", "D: exit 67")):
    f, text, out = record(ENVELOPE + b"a\r\n.\r\nQUIT\r\n", {"deliver": f'/bin/sh -c "{command}"', "deliver_timeout": "300ms"})
    status, out = replay("-f", conf, "-o", f"deliver={deliver}", f)
    ok(f"\n{line}\n" in text and status == 0, f"a command that ends by `{command}`: {line}, and it replays so", (text, out))
f, text, _ = record(b"LHLO x\r\nQUIT\r\n", {"socket": "lmtp"})
status, out = replay("-f", conf, "-o", f"deliver={deliver}", f)
ok("socket = lmtp\n" in text and status == 0, "a recording names its socket, and replays with its section", (text, out))

for what, data in (("bare LF", ENVELOPE + b"a\nb\r\n.\r\n"), ("bare CR", ENVELOPE + b"a\r\na\rb"), ("end of file in a message", ENVELOPE + b"abc\r\nde"),
                   ("end of file in a command", b"EHLO x\r\nMAIL FR"), ("a long line", b"NOOP " + b"x" * 5000 + b"\r\nQUIT\r\n"), ("odd bytes", b"NOOP \xff\x80\\ \xc3\xa9\t\r\nNO\x00\r\nQUIT\r\n"),
                   ("too many hops", ENVELOPE + b"Received: x\r\n" * 200 + b".\r\nQUIT\r\n"), ("a long text line", ENVELOPE + b"x" * 70000 + b"\r\n.\r\nQUIT\r\n"),
                   ("an empty message", ENVELOPE + b".\r\nQUIT\r\n"), ("HTTP", b"GET / HTTP/1.0\r\n\r\n"), ("smuggling", ENVELOPE + b"a\r\n.\nMAIL FROM:<x@y>\r\n.\r\n")):
    for messages_too in ("no", "yes"):
        f, text, _ = record(data, {"trace_messages": messages_too})
        status, out = replay("-f", conf, "-o", f"deliver={deliver}", f)
        equal((status, out.count("\n")), (0, 2), f"{what}, messages {messages_too}: replays green")
three = ENVELOPE.replace(b"DATA", b"RCPT TO:<c@example.org>\r\nRCPT TO:<d@example.org>\r\nDATA").replace(b"EHLO", b"LHLO")
for settings, code in (({"deliver_per": "recipient", "deliver": '/bin/sh -c "case $$LOCAL in b) exit 0;; c) echo 5.2.2 full; exit 1;; *) exit 67;; esac"'}, "250 552 550"),
                       ({"deliver_replies": "each", "deliver": '/bin/sh -c "echo 250 one; echo 550 5.1.1 two; echo 450 three"'}, "250 550 450"),
                       ({"deliver_replies": "each", "deliver": '/bin/sh -c "echo 250 one"'}, "451 451 451")):
    f, text, out = record(three + b"x\r\n.\r\nQUIT\r\n", {"protocol": "lmtp", **settings})
    equal(" ".join(codes(out)[-4:-1]), code, f"three fates: {code}")
    for mode in ([], ["--in-process"]):
        status, out = replay("-f", conf, "-o", "protocol=lmtp", *[a for k, v in settings.items() for a in ("-o", f"{k}={v}")], *mode, f)
        equal((status, out.count("\n")), (0, 2), f"three fates, recorded: replays green {' '.join(mode)}")
f, text, _ = record(b"EHLO x\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\nauth LOGIN secret\r\nQUIT\r\n")
ok("C: AUTH PLAIN " + 20 * "x" + "\nS:" in text and "C: auth LOGIN xxxxx!\n" in text and "secret" not in text and "AGFs" not in text, "credentials are blanked", text)
SECRETS = (b"NOOP\nAUTH PLAIN AGSECRET\r\nQUIT\r\n", b"AUTH PLAIN\tAGSECRET\r\n", b" AUTH PLAIN AGSECRET\r\n", b"AUTH=AGSECRET\r\n", b"AUTH LOGIN\r\nAGSECRET\r\n",
           b"AUTH XOAUTH2 " + b"x" * 3000 + b"AGSECRET\r\n", b"AUTH PLAIN AGSECRET", b"AUTH PLAIN AGSECRET\n", ENVELOPE.replace(b"\r\n", b"\n") + b"Subject: AGSECRET\n.\n",
           b"EHLO x\r\nDATA\r\nSubject: AGSECRET\r\n\r\nAGSECRET\r\n.\r\n", b"\x16\x03AGSECRET\r\n")
for data in SECRETS:
    f, text, _ = record(data)
    ok("AGSECRET" not in text, f"{data[:20]!r}: not written down", text)
    status, out = replay("-f", conf, "-o", f"deliver={deliver}", f)
    equal((status, out.count("\n")), (0, 2), f"{data[:20]!r}: replays green")
for size in range(4096, 4700, 40):
    f, text, _ = record(ENVELOPE + b"x\r\n.\r\n" + b"NOOP\r\n" * 300 + b"QUIT\r\n", {"trace_size": str(size)})
    if replay("-f", conf, "-o", f"deliver={deliver}", f)[0] != 0:
        ok(False, f"cut at {size}: replays green", text[-200:])
f, text, _ = record(mail(), {"deliver": '/bin/sh -c "echo 5.1.1 gone; kill -9 $$$$"'})
equal(replay("-f", conf, "-o", "deliver=/bin/x", f)[0], 0, "a command that was killed: replays green")
clear(traces)
p, ours = session({"trace": traces, "command_timeout": "200ms", "log": "none"}); read_reply(ours); ours.sendall(b"EHLO x\r\n"); read_all(ours); p.wait(20); ours.close()
equal(replay("-f", conf, *[os.path.join(traces, n) for n in os.listdir(traces)])[0], 0, "a session that timed out: replays green")
one = write("one.smtp", "S: 220\nC: MAIL FROM:<a@example.com>\nC: RCPT TO:<b@example.org>\nC: DATA\nS: 250\nS: 250\nS: 354\nC: Received: by x\nC:\nC: text\nC: .\nD: run /bin/true\nD<<\nReceived: by x\n\ntext\n>>D\nS: 250\nC: QUIT\nS: 221\n", 0o644)
for extra in ([], ["--in-process"], ["-o", "trace_headers=return-path"], ["-o", "trace_headers="], ["-o", "line_ending=crlf"]):
    status, out = replay("-f", conf, "-o", "deliver=/bin/true", *extra, one)
    equal((status, out.count("\n")), (0, 2), f"a command of one word, the client's own Received: {' '.join(extra)}")
status, out = replay("-f", conf, "-o", f'deliver=/bin/sh -c "printf %s \\"one  two\\" >{store}/q"', "--deliver", write("q.smtp", open(real).read(), 0o644))
equal(open(store + "/q").read() if os.path.exists(store + "/q") else out, "one  two", "--deliver runs the words as they are, quotes too")
embedded = write("embedded.smtp", 'S: 220\nC: MAIL FROM:<a@example.com>\nS: 250\nC: RCPT TO:<".x/y"@example.org>\nS: 550\nC: RCPT TO:<b@example.org>\nS: 250\n', 0o644)
equal((replay("-f", conf, embedded)[0], replay("-f", conf, "--in-process", embedded)[0]), (0, 0), "the embedded delivery keeps its rules")
extra = write("extra.smtp", "S: 220\nC: MAIL FROM:<a@example.com>\nC: RCPT TO:<b@example.org>\nC: DATA\nS: 250\nS: 250\nS: 354\nC! a\\n\n@message 6000000 60000\n", 0o644)
for mode in ([], ["--whole"], ["--in-process"]):
    equal(replay("-f", conf, *mode, extra)[0], 1, f"a reply too many is a difference {' '.join(mode)}")
qmail = write("qmail.smtp", open(one).read().replace("D<<\nReceived: by x\n\ntext\n>>D\n", "D: exit 31\n").replace("S: 250\nC: QUIT", "S: 554\nC: QUIT"), 0o644)
for mode in ([], ["--in-process"]):
    status, out = replay("-f", conf, "-o", "deliver=/bin/true", "-o", "deliver_format=qmail-queue", *mode, qmail)
    equal((status, out.count("\n")), (0, 2), f"deliver_format = qmail-queue {' '.join(mode)}")
for server, what in (("#!/bin/sh\nprintf '220junk\\r\\n'\n", "220junk"), ("#!/bin/sh\nprintf '220 x\\n'\n", "bare LF"), ("#!/bin/sh\nexit 1\n", "exit 1"), ("#!/bin/sh\nwhile :; do echo; sleep 0.1; done\n", "a drip"),
                     ("#!/bin/sh\nexec yes 220-x\n", "a reply without end"), ("#!/bin/sh\nexec yes '220 x'\n", "replies without end"), ("#!/bin/sh\nexec tr '\\0' x </dev/zero\n", "a line without end"),
                     ("#!/bin/sh\nprintf '220-x\\r\\n'\n", "half a reply"), ("#!/bin/sh\nprintf '220-x\\r\\n'; sleep 5\n", "half a reply, and then nothing")):
    for row in ("220", "has x", "end", "220-x\nS: 220 y", "221\nS| end"):
        start = time.monotonic()
        p = subprocess.run([REPLAY, "--smtpin", write("server", server), "--timeout", "300ms", write("s.smtp", f"S: {row}\n", 0o644)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
        ok(p.returncode == 1 and time.monotonic() - start < 20 and len(p.stdout) < 70000 and re.match(rb"\S+s.smtp:\d:\n- ", p.stdout), f"a server that is none ({what}) is red: {row!r}", p.stdout[:2000])
equal(replay("-f", conf, "-o", "max_message_size=1G", "--in-process", write("huge.smtp", "S: 220\nC: MAIL FROM:<a@example.com>\nC: RCPT TO:<b@example.org>\nC: DATA\nS: 250\nS: 250\nS: 354\n@message 135000000 135000\nC: .\nS: 452\n", 0o644))[0], 0, "--in-process: a message too large for its memory ends")
f, text, _ = record(ENVELOPE + b"x\r\n.\r\n" + b"NOOP\r\n" * 1000 + b"QUIT\r\n", {"trace_size": "4K"})
ok(len(text) < 4400 and "trace_size" in text, "trace_size bounds a recording", len(text))
out, err, status = pipe(b"QUIT\r\n", {"trace": "/nonexistent", "log": "stderr"})
ok(b"key=trace" in err and codes(out) == ["220", "221"], "a trace that can't be written is in the log, and harms nothing", err)


def explain(*args):
    p = subprocess.run([SMTPIN, "-f", CONF, "--explain", *args], capture_output=True, timeout=30)
    return p.returncode, p.stdout.decode()


status, out = explain("--client", "198.51.100.7", "--helo", "c.example", "--sender", "joe@example.com", "--recipient", "x@elsewhere.example")
ok(status == 1 and "rule      relay_clients: no opinion" in out and "rule      relay: refuse" in out and "550 5.7.1 Relaying denied" in out, "--explain: a refusal and its rule", out)
status, out = explain("-o", "deliver=/bin/true -f ${sender} ${recipient}", "--client", "192.0.2.1", "--sender", "", "--recipient", "x@elsewhere.example", "--json", "--size", "100")
answer = json.loads(out)
equal((status, answer["delivery"]["words"]), (0, ["/bin/true", "-f", "", "x@elsewhere.example"]), "--explain --json: the command line")
equal([(r["rule"], r["opinion"]) for c in answer["commands"] for r in c.get("rules", [])], [("relay_clients", "accept"), ("routing", "no opinion")], "--explain --json: the rules")
ok(answer["delivery"]["head"][0] == "Return-Path: <>" and "SENDER=" in answer["delivery"]["environment"], "--explain --json: head and environment", answer)
status, out = explain("--sender", "a@b c\"\\", "--recipient", "b@example.org", "--size", "2M", "--json")
equal((status, [c["reply"] for c in json.loads(out)["commands"]][0][0][:3]), (1, "501"), "--explain: a bad address")
equal(explain("--client", "192.0.2.300", "--recipient", "a@b")[0], 64, "--explain: a client that is no address: 64")
equal(explain("--sender", "a@b")[0], 64, "--explain without a recipient: 64")
equal(subprocess.run([SMTPIN, "-o", "x=1", "--explain", "--recipient", "a@b"], capture_output=True, timeout=30).returncode, 78, "--explain with a bad configuration: 78")
done()
