"""smtpin-report at its edges: a story has the records of its message and no other, from a journal of plain lines too; what is left out is counted and said; what nobody sees is escaped; a wrong clock, a renewed certificate and a bound of 1970 are what they are."""
import hashlib, json, pty
from harness import *

REPORT = os.path.join(BUILD, "smtpin-report")
STATIC = bool(os.environ.get("SMTPIN_STATIC"))
ENV = {**os.environ, "TZ": "UTC"}
SESSION = "1j1e495hgc5j3i"
STARTED = 1795988127  # when it began: its id


def run(*arguments, data=b""):
    p = subprocess.run([REPORT, *map(str, arguments)], input=data, capture_output=True, timeout=300, env=ENV)
    return p.returncode, p.stdout.decode(), p.stderr.decode(errors="replace")


def parsed(data, *arguments):
    status, out, err = run("--json", *arguments, "-", data=data)
    return json.loads(out) if status == 0 else {"status": status, "err": err}


def line(kind, session=SESSION, **fields):
    return f"smtpin[7]: {kind} session={session} ".encode() + " ".join(f'{n}="{v}"' for n, v in fields.items()).encode() + b"\n"


# ---- --id of a message: its own records.
def refused(what): return line("refused", client_address="192.0.2.7", forward_path=what, reply="550 5.1.1 No", rule="recipients")
def ended(result, number=None, **more): return line("transaction", result=result, **({"id": f"{SESSION}-{number}"} if number else {}), reverse_path="joe@example.com", **more)
parts = [refused("first@example.org"), ended("accepted", 1, forward_path="one@example.org"),
         refused("gone@example.org"), ended("abandoned", forward_path="nothing@example.org"),
         refused("second@example.org"), ended("accepted", 2, forward_path="two@example.org"),
         refused("behind@example.org"), line("session", client_address="192.0.2.7", end="quit", milliseconds=5)]
# The records of another session stand between.
log = b"".join(p + line("refused", "1j1e495hgc9999", forward_path="other@example.net", reply="550 5.1.1 No") for p in parts)
with open(os.path.join(TMP, "log"), "wb") as f: f.write(log)
names = lambda told: re.findall(r"(\w+)@example\.(?:org|net)", told)
def told(number, *where, data=b""):
    status, out, err = run("--id", f"{SESSION}-{number}", *where, data=data)
    return status, list(dict.fromkeys(names(out))), out.count("An SMTP session has ended")
for where, data in ((TMP + "/log", b""), ("-", log)):
    equal(told(1, where, data=data), (0, ["first", "one"], 1), f"--id of the first message from {where[:1]}: what was refused in it, its end, the session's end")
    equal(told(2, where, data=data), (0, ["second", "two"], 1), "--id of the second: nothing of the transactions before, nothing of what was refused behind it")
status, out, err = run("--id", SESSION + "-77", "-", data=log)
ok((status, out) == (1, "") and "is not in the log" in err, "--id of a message that is not in the log, of a session that is", (status, out, err))
equal(list(dict.fromkeys(names(run("--id", SESSION, TMP + "/log")[1]))), ["first", "one", "gone", "nothing", "second", "two", "behind"], "--id of the session: all of it")
crashed = log + line("crash", process=7, client_address="192.0.2.7", signal=9)
ok("The signal: 9" in run("--id", SESSION + "-1", "-", data=crashed)[1], "a crash ends the session, and is told of each message")

# ---- The journal: records that came as plain lines have no field with the session's id.
remote = next((p for p in ("/lib/systemd/systemd-journal-remote", "/usr/lib/systemd/systemd-journal-remote") if os.path.exists(p)), None)
if STATIC: pass # it does not read the journal: report.py
elif remote:
    journal, export = os.path.join(TMP, "journal"), b""
    os.mkdir(journal)
    for i, l in enumerate(log.splitlines()):
        export += b"__CURSOR=s=1;i=%d\n__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=%s\nSYSLOG_IDENTIFIER=smtpin\nPRIORITY=5\nMESSAGE=%s\n\n" % (i, STARTED * 1000000 + i, 100 + i, b"a" * 32, l.split(b"]: ", 1)[1])
    with open(os.path.join(TMP, "export"), "wb") as f: f.write(export)
    subprocess.run([remote, "-o", journal + "/all.journal", TMP + "/export"], capture_output=True)
    equal([told(n, "--directory", journal) for n in (1, 2)], [told(n, TMP + "/log") for n in (1, 2)], "--id of a message in a journal of plain lines")
    equal(len(names(run("--id", SESSION, "--directory", journal)[1])), len(names(run("--id", SESSION, TMP + "/log")[1])), "--id of a session in a journal of plain lines")
    equal(run("--id", SESSION + "-77", "--directory", journal)[0], 1, "--id of a message that is not there")
    cursor = os.path.join(TMP, "cursor")
    there = lambda: len(re.findall(r"^\d{4}-", run("--recipient", "two@example.org", "--directory", journal, "--cursor-file", cursor)[1], re.M))
    first = there()
    later = export[export.rindex(b"__CURSOR="):].replace(b"%d\n" % (STARTED * 1000000 + i), b"%d\n" % (STARTED * 1000000 + i + 1)).replace(b"STAMP=%d\n" % (100 + i), b"STAMP=%d\n" % (101 + i))
    with open(os.path.join(TMP, "export"), "wb") as f: f.write(later.replace(b"other@example.net", b"two@example.org").replace(b"1j1e495hgc9999", SESSION.encode()))
    subprocess.run([remote, "-o", journal + "/more.journal", TMP + "/export"], capture_output=True)
    equal((first, there(), there()), (2, 1, 0), "--recipient --cursor-file: both readings begin where the run before has ended")
else: skip("the journal", "no systemd-journal-remote (Debian: systemd-journal-remote)")

# ---- --recipient of a message to many, of which its record names the first 30.
many = b"EHLO client.example.com\r\nMAIL FROM:<joe@example.com>\r\n" + b"".join(b"RCPT TO:<r%d@example.org>\r\n" % n for n in range(40)) + b"DATA\r\nSubject: x\r\n\r\ntext\r\n.\r\nQUIT\r\n"
err = pipe(many, {"log": "stderr", "deliver": "/bin/true", "client_address": "192.0.2.7"})[1]
err = b"".join(l + b"\n" for l in err.splitlines() if b"mistake=" not in l)
equal((err.count(b" transaction "), err.count(b" forward_path=")), (1, 30), "a record of 40 recipients names 30, as the manual says")
status, out, said = run("--recipient", "r5@example.org", "-", data=err)
ok(status == 0 and not said, "--recipient: one that is named", (status, said))
status, out, said = run("--recipient", "r35@example.org", "-", data=err)
ok((status, out) == (1, "") and "1 message had more recipients than its record names" in said, "one that is not named: it is said that there may be more", (status, out, said))
ok("2 messages had more recipients than their records name" in run("--recipient", "r35@example.org", "-", data=err + err)[2], "and of how many messages")
ok("more recipients" not in run("--recipient", "nobody@example.org", TMP + "/log")[2], "where records name all: nothing of the kind")
manual = re.sub(r"\s+", " ", open(os.path.join(SOURCE, "docs/smtpin-report.1")).read())
named = re.search(r"RECIPIENTS_LOGGED = (\d+)", open(os.path.join(SOURCE, "src/backend/record.c")).read())[1]
ok(f"names the first {named} recipients" in manual, "the manual states the limit of src/backend/record.c")

# ---- More sessions than --recipient has room for; each of the others is found.
crowd = b"".join(line("refused", f"1j1e495h{n:06d}", forward_path="jane@example.org", reply="550 5.1.1 No") * 2 + line("session", f"1j1e495h{n:06d}", end="quit") for n in range(4100))
status, out, err = run("--recipient", "JANE@example.org", "-", data=crowd)
equal((status, out.count("An SMTP command was refused"), out.count("An SMTP session has ended")), (0, 2 * 4096, 4096), "--recipient: all of 4096 sessions")
ok("More sessions have 8 records of it." in out, "what had no room is counted in records", out[-300:])

# ---- How a delivery is told.
out = run("--id", SESSION + "-9", "-", data=ended("accepted", 9, command="/x", command_end="exit", command_status=0, delivery_milliseconds=611))[1]
ok("    Delivery took 611 ms.\n    The command /x ended: exit 0.\n" in out, "the time is the delivery's, the end the command's", out)
out = run("--id", SESSION + "-9", "-", data=ended("accepted", 9, command_end="exit", command_status=0, delivery_milliseconds=611))[1]
ok("    The command ended: exit 0.\n" in out, "a command without a name", out)

# ---- --follow: yellow for now, red for good.
def colours(*replies):
    data = b"".join(line("refused", f"1j1e495h{i:06d}", reply=r, rule="x") for i, rs in enumerate(replies) for r in rs) + b"".join(line("session", f"1j1e495h{i:06d}", end="quit") for i in range(len(replies)))
    ours, theirs = pty.openpty()
    p = subprocess.Popen([REPORT, "--follow", "-"], stdin=subprocess.PIPE, stdout=theirs, stderr=subprocess.DEVNULL, env={**{k: v for k, v in ENV.items() if k != "NO_COLOR"}, "TERM": "xterm"})
    os.close(theirs)
    p.stdin.write(data); p.stdin.close()
    said = b""
    try:
        while part := os.read(ours, 65536): said += part
    except OSError: pass # the program has ended
    os.close(ours)
    p.wait()
    return [c for c in re.findall(r"\x1b\[([0-9;]+)m", said.decode()) if c != "0"]
equal(colours(["451 4.7.1 Later"], ["550 5.1.1 No"], ["550 5.1.1 No", "451 4.7.1 Later"], [], ["421 4.7.0 Later", "451 4.7.1 Later"]), ["33", "31", "31", "2", "33"], "--follow: refusals for now are yellow, for good red")

# ---- A refusal that stands for many.
r = parsed(line("refused", client_address="192.0.2.7", count=41, reply="421 4.7.0 Later", rule="connections_per_client") + refused("x@example.org"))
equal([(x["value"], x["count"]) for x in r["refused_clients"]], [("192.0.2.7", 42)], "clients by refused commands: a record with count= counts as many")

# ---- What is too long is counted; what is of others, and too long, takes nothing with it.
def export(*fields): return b"__REALTIME_TIMESTAMP=1796000000000000\nSYSLOG_IDENTIFIER=smtpin\nMESSAGE=session session=%s end=quit\n" % SESSION.encode() + b"".join(n + b"=" + v + b"\n" for n, v in fields) + b"\n"
r = parsed(export((b"SMTP_HELO", b"x" * 65536)) + export((b"SMTP_HELO", b"x" * 65537)) + export())
equal((r["records"], r["skipped"]), (3, 1), "export: a field of more than 64 KiB is left out and counted")
MESSAGE_ID = dict(re.findall(r'\{"(\w+)", "([0-9a-f]{32})"\}', open(os.path.join(SOURCE, "src/syntax/log_kinds.c")).read()))["session"]
def entry(**fields): return json.dumps({"__REALTIME_TIMESTAMP": "1796000000000000", "MESSAGE_ID": MESSAGE_ID, "SYSLOG_IDENTIFIER": "smtpin", **fields, "SMTP_HELO": "a\tb", "SMTP_END": "quit"}).encode() + b"\n"
escaped = "\n" * 70000
for what, fields in (("a text", {"X": escaped}), ("two", {"X": escaped[:40000], "Y": escaped[:40000]}), ("octets", {"X": [255] * 70000}), ("several", {"X": [escaped, "y"]}), ("a name", {escaped: "y"}), ("an object", {"X": {"y": [escaped, 1]}})):
    r = parsed(entry(**fields))
    equal((r["records"], r["foreign"], [x["value"] for x in r["helo_names"]]), (1, 0, ["a\\x09b"]), f"JSON: more than 64 KiB in fields of others, {what}: the record is there")
r = parsed(entry(SMTP_NOTE=escaped, SMTP_CLIENT_ADDRESS="192.0.2.7") + entry())
equal((r["records"], r["foreign"], [x["value"] for x in r["clients"]]), (2, 0, ["192.0.2.7"]), "JSON: a field of ours of more than 64 KiB: the rest of the record is there")
ok("1" in re.findall(r"(\d+)[^\n]*(?:room|too long)", run("-", data=entry(SMTP_NOTE=escaped))[1]), "and the field is counted", run("-", data=entry(SMTP_NOTE=escaped))[1])

# ---- When the newest record was written: not tomorrow's morrow.
stamp = lambda text: float(m[1]) if (m := re.search(r"^smtpin_last_record_timestamp_seconds (\S+)$", text, re.M)) else None
def at(seconds): return time.strftime("%Y-%m-%dT%H:%M:%S+00:00 mx ", time.gmtime(seconds)).encode() + line("session", end="quit")
state, now = os.path.join(TMP, "state"), int(time.time())
def metrics(data): return stamp(run("--prometheus", "--state", state, "-", data=data)[1])
equal((metrics(at(now - 60)), metrics(at(now + 30 * 86400)), metrics(at(now - 30)), metrics(at(now + 3600))), (now - 60, now - 60, now - 30, now + 3600), "a time more than a day past now is not when the newest record was written")
kept = open(state).read()
stuck = re.sub(r"^last_record \d+$", "last_record %d" % ((now + 365 * 86400) * 1000000), kept[:kept.index("\nsum ") + 1], flags=re.M)
with open(state, "w") as f: f.write(stuck + "sum " + hashlib.sha256(stuck.encode()).hexdigest() + "\n")
equal(metrics(at(now - 20)), now - 20, "a state that has such a time forgets it")

# ---- A bound of 1970 is one.
for bound in ("@0", "1970-01-01", "-3000w"):
    equal((parsed(log, "--until", bound).get("records"), parsed(log, "--since", bound).get("records")), (0, 2 * len(parts)), f"--until {bound}: nothing; --since {bound}: all")

# ---- What nobody sees.
unseen = [0xad, 0x34f, 0x61c, 0x115f, 0x1160, 0x17b4, 0x17b5, *range(0x180b, 0x1810), *range(0x200b, 0x2010), *range(0x2028, 0x202f), *range(0x2060, 0x2070), 0x3164, 0xe000, 0xf8ff, 0xfdd0, 0xfdef, *range(0xfe00, 0xfe10), 0xfeff, 0xffa0, *range(0xfff0, 0xfffc), 0xfffe, 0xffff,
          *range(0x1d173, 0x1d17b), 0x1fffe, 0x2ffff, 0xe0000, 0xe0001, 0xe007f, 0xe0100, 0xe0fff, 0xf0000, 0xffffd, 0x100000, 0x10fffd, 0x10ffff]
seen = [0xa1, 0xe9, 0x34e, 0x350, 0x61b, 0x115e, 0x1161, 0x17b6, 0x180a, 0x1810, 0x2010, 0x205e, 0x2070, 0x3163, 0x3165, 0x4e2d, 0xd7a3, 0xfdcf, 0xfdf0, 0xfe10, 0xff9f, 0xffa1, 0xfffc, 0xfffd, 0x1d172, 0x1d17b, 0x1f600, 0x20000, 0xdfffd, 0xe1000]
def all_shown(characters):
    # One list for all: each name has its own number in front.
    data = b"".join(line("session", helo=f"{i}a{chr(c)}b", end="quit") for i, c in enumerate(characters))
    values = {x["value"].partition("a")[0]: x["value"].partition("a")[2] for x in parsed(data, "--top", 1000)["helo_names"]}
    return [values[str(i)] for i in range(len(characters))]
equal([hex(c) for c, v in zip(unseen, all_shown(unseen)) if v != "".join(f"\\x{b:02x}" for b in chr(c).encode()) + "b"], [], "characters that nobody sees are escaped")
equal([hex(c) for c, v in zip(seen, all_shown(seen)) if v != chr(c) + "b"], [], "their neighbours are not")

# ---- A certificate that was renewed.
def secure(minute, **more): return time.strftime("%Y-%m-%dT%H:%M:%S+00:00 mx ", time.gmtime(STARTED + 60 * minute)).encode() + line("session", tls="TLSv1.3", end="quit", **more)
old, new, plain = secure(1, certificate_ends="2026-12-05"), secure(3), at(STARTED + 300)
equal([parsed(d).get("certificate_ends", "") for d in (old, old + new, new + old, old + plain)], ["2026-12-05", "", "", "2026-12-05"], "a later session with TLS that does not say that the certificate ends soon: it was renewed")
done()
