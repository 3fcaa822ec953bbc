"""smtpin-report: real sessions leave a log, and each form of it gives the same report; what strangers have sent harms neither HTML, nor JSON, nor a terminal; memory is bounded; counters never go back; a story has all that the log knows."""
import glob, html.parser, importlib.util, json, pty, select, struct
from harness import *

REPORT = os.path.join(BUILD, "smtpin-report")
STATIC = bool(os.environ.get("SMTPIN_STATIC"))
PEERS = os.environ.get("SMTPIN_PEERS", "")
KINDS = dict(re.findall(r'\{"(\w+)", "([0-9a-f]{32})"\}', open(os.path.join(SOURCE, "src/syntax/log_kinds.c")).read()))
ENV = {**os.environ, "TZ": "UTC"}


def report(*arguments, data=b"", status=0, env=ENV):
    p = subprocess.run([REPORT, *map(str, arguments)], input=data, capture_output=True, timeout=300, env=env)
    if p.returncode != status: ok(False, f"smtpin-report {' '.join(map(str, arguments))}: exit status {p.returncode}", p.stderr.decode(errors="replace"))
    return p.stdout.decode()


def parsed(*arguments, **more): return json.loads(report("--json", *arguments, **more))


def keep(name, data):
    path = os.path.join(TMP, name)
    with open(path, "wb") as f: f.write(data)
    return path


# ---- Real sessions.
slow = write("slow.sh", "#!/bin/sh\ncat >/dev/null\nsleep 0.3\necho 'the mailbox is locked' >&2\nexit 75\n")
HELLO = b"EHLO client.example.com\r\nMAIL FROM:<joe@Sender.example>\r\n"
TEXT = b"DATA\r\nSubject: x\r\n\r\ntext\r\n.\r\n"
HOSTILE = b'EHLO x\r\nMAIL FROM:<"<script>alert(1)</script>"@evil.example>\r\nRCPT TO:<"\xe2\x80\xae<img src=x onerror=alert(1)>&\'"@example.org>\r\n'
log = b""
def play(said, settings=None, client="192.0.2.7"):
    """What is added to the log."""
    global log
    err = pipe(said, {"log": "stderr", "deliver": "/bin/true", "client_address": client, **(settings or {})})[1]
    err = b"".join(l + b"\n" for l in err.splitlines() if b"mistake=\"note" not in l)
    log += err
    return err
for _ in range(3): play(HELLO + b"RCPT TO:<jane@example.org>\r\n" + TEXT + b"QUIT\r\n")
play(HELLO + b"RCPT TO:<jane@example.org>\r\nRCPT TO:<bob@example.org>\r\n" + TEXT + b"QUIT\r\n", client="192.0.2.8")
locked = play(HELLO + b"RCPT TO:<jane@example.org>\r\n" + TEXT + b"RSET\r\nMAIL FROM:<joe@sender.example>\r\nRCPT TO:<bob@example.org>\r\n" + TEXT + b"QUIT\r\n", {"deliver": slow}, client="2001:db8::7")
play(HELLO + b"RCPT TO:<jane@example.org>\r\n" + TEXT + b"QUIT\r\n", {"deliver": "/bin/sh -c \"exit 67\""})
play(HELLO + b"RCPT TO:<x@elsewhere.example>\r\nQUIT\r\n", client="198.51.100.1")
play(HELLO + b"RCPT TO:<jane@example.org>\r\nDATA\r\nSubject: cut")
play(b"GET / HTTP/1.0\r\n\r\n", client="198.51.100.2")
play(HOSTILE.replace(b"\r\nRCPT", b" SMTPUTF8\r\nRCPT") + TEXT + b"QUIT\r\n")
records = log.count(b"\n")
crash = b'crash process=7 session=1j1e495hgc5j3i client_address=192.0.2.66 violation="asks for <b>what</b> it may not" request=DELIVER signal=9\n'
full = log + b"smtpin[7]: " + crash
path = keep("log", full)

r = parsed(path)
equal({k: r["messages"][k] for k in ("accepted", "deferred", "refused", "abandoned")}, {"accepted": 5, "deferred": 2, "refused": 1, "abandoned": 2}, "messages by result")
equal((r["octets"], r["recipients_accepted"]), (5 * 20, 6), "octets and recipients of what was accepted")
equal(r["sessions"]["all"], 10, "sessions")
equal({x["rule"]: (x["for_now"], x["for_good"]) for x in r["rules"]}, {"relay": (0, 1), "delivery": (2, 1), "not_smtp": (1, 0)}, "rules that refused")
equal((r["crashes"], r["violations"], len(r["last_crashes"])), (0, 1, 1), "a violation")
top = lambda name: {x["value"]: x["count"] for x in r[name]}
equal(top("sender_domains"), {"sender.example": 9, "evil.example": 1}, "domains of senders, in small letters")
equal(top("networks"), {"192.0.2.0/24": 7, "2001:db8::/64": 1, "198.51.100.0/24": 2}, "networks")
equal(top("clients")["2001:db8::7"], 1, "clients")
equal((top("recipients")["jane@example.org"], top("recipients")["bob@example.org"]), (7, 2), "recipients")
equal(top("refused_clients"), {"198.51.100.1": 1, "198.51.100.2": 1}, "clients that were refused")
equal([x["end"] for x in r["odd_ends"]], ["not_smtp"], "sessions that ended oddly")
d = r["delivery"]
ok(d["n"] == 8 and d["slowest"][0]["command"] == slow and d["slowest"][0]["result"] == "deferred" and d["slowest"][0]["milliseconds"] >= 300 and d["median_milliseconds"] < d["p95_milliseconds"] <= d["p99_milliseconds"] <= d["most_milliseconds"] == d["slowest"][0]["milliseconds"], "delivery times, and the slowest with command and recipient", d)
ok(d["slowest"][0]["recipient"] in ("jane@example.org", "bob@example.org"), "the slowest has a recipient")
equal((r["records"], r["foreign"], r["undated"]), (records + 1, 0, 0), "all records were read, and have a time: of the session's id")
text = report(path)
lines = text.splitlines()
ok(lines[2] == "Look at this first" and "violation: asks for <b>what</b> it may not, request DELIVER, client 192.0.2.66" in text and text.index("violation") < text.index("Messages"), "a violation stands first", text[:600])
ok(re.search(r"^\d\d-\d\d +5 +2 +1 +2  #+\++-+\.+$", text, re.M) or re.search(r"^\d\d-\d\d .*#", text, re.M), "an hour has a bar")

# ---- Each form gives the same.
def fields_of(line):
    """A line of smtpin's as the fields that it sends to the journal: [(name, octets)]."""
    kind, rest = line.split(b"]: ", 1)[1].split(b" ", 1)
    values = re.findall(rb'([a-z_]+)=(?:"([^"]*)"|(\S*))', rest)
    return [("SYSLOG_IDENTIFIER", b"smtpin"), ("MESSAGE_ID", KINDS[kind.decode()].encode()), ("PRIORITY", b"5"), ("MESSAGE", kind + b" " + rest)] + \
        [("SMTP_" + n.decode().upper(), (q or p).replace(b"\\x22", b'"')) for n, q, p in values]
def time_of(line):
    n = 0
    for c in re.search(rb" session=(\w{11})", line)[1].decode(): n = n * 32 + "0123456789abcdefghijklmnopqrstuv".index(c)
    return n
def as_export(lines, trusted=(), binary=False):
    out = b""
    for l in lines:
        out += f"__CURSOR=s=1;i={len(out)}\n__REALTIME_TIMESTAMP={time_of(l)}\n__MONOTONIC_TIMESTAMP=1\n_BOOT_ID={'a' * 32}\n".encode()
        for name, value in [*fields_of(l), *trusted]:
            out += name.encode() + (b"\n" + struct.pack("<Q", len(value)) + value + b"\n" if binary or b"\n" in value else b"=" + value + b"\n")
        out += b"\n"
    return out
def as_json(lines):
    out = b""
    for l in lines:
        o = {"__REALTIME_TIMESTAMP": str(time_of(l)), "_BOOT_ID": "a" * 32, "NESTED": None}
        for name, value in fields_of(l):
            try: shown = value.decode()
            except UnicodeDecodeError: shown = list(value)
            o[name] = shown if name not in o else [*(o[name] if isinstance(o[name], list) and isinstance(o[name][0], str) else [o[name]]), shown]
        out += json.dumps(o).encode() + b"\n"
    return out
def as_syslog(lines):
    return b"".join(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_of(l) // 1000000)).encode() + b".%06d+00:00 mx.example.org " % (time_of(l) % 1000000) + l + b"\n" + b"Nov 29 21:20:18 mx postfix/smtpd[1]: connect from x[192.0.2.1]\n" for l in lines)
lines = full.splitlines()
foreign = lambda text: "".join(l + "\n" for l in text.splitlines() if "no records of smtpin" not in l)
forms = {"export": as_export(lines), "export with lengths": as_export(lines, binary=True), "JSON": as_json(lines), "lines of a syslog": as_syslog(lines),
         "lines with CR": full.replace(b"\n", b"\r\n"), "export with other fields": as_export(lines, (("_UID", b"0"), ("X", b"a\nb\n\n__CURSOR=1")))}
for name, data in forms.items():
    for how, out in (("a file", lambda *a: report(*a, keep("form", data))), ("standard input", lambda *a: report(*a, "-", data=data))):
        equal(foreign(out()), text, f"{name} from {how}: the same report")
    equal(json.loads(report("--json", "-", data=data)) | {"foreign": 0}, r, f"{name}: the same JSON")
    equal(report("--html", "-", data=data).split('<p class="note">')[0], report("--html", path).split('<p class="note">')[0], f"{name}: the same HTML")
equal(parsed("-", data=as_syslog(lines))["foreign"], len(lines), "lines of others are counted")
remote = next((p for p in ("/lib/systemd/systemd-journal-remote", "/usr/lib/systemd/systemd-journal-remote") if os.path.exists(p)), None)
journal = os.path.join(TMP, "journal")
if remote and not STATIC:
    os.mkdir(journal)
    other = b"__REALTIME_TIMESTAMP=%d\n_BOOT_ID=%s\nMESSAGE=other\nSYSLOG_IDENTIFIER=cron\n\n" % (time_of(lines[0]) + 1, b"a" * 32)
    p = subprocess.run([remote, "-o", f"{journal}/all.journal", keep("journal.export", as_export(lines) + other)], capture_output=True, text=True)
    for a in (("--directory", journal), ("--file", f"{journal}/all.journal")): equal(report(*a), text, f"the journal by {a[0]}: the same report")
    if have("journalctl"):
        for form in ("json", "export"):
            shown = subprocess.run(["journalctl", "-D", journal, "-o", form], capture_output=True).stdout
            equal(foreign(report("-", data=shown)), text, f"journalctl -o {form}: the same report")
            equal(parsed("-", data=shown)["foreign"], 1, f"journalctl -o {form}: an entry of another program is none of ours")
    # The cursor: nothing twice, nothing left out.
    cursor = os.path.join(TMP, "cursor")
    first = parsed("--directory", journal, "--cursor-file", cursor)
    again = parsed("--directory", journal, "--cursor-file", cursor)
    subprocess.run([remote, "-o", f"{journal}/more.journal", keep("more.export", as_export([l.replace(b"session=1", b"session=2") for l in lines[:2]]))], capture_output=True)
    more = parsed("--directory", journal, "--cursor-file", cursor)
    equal((first["records"], again["records"], more["records"]), (len(lines), 0, 2), "--cursor-file: the next run goes on where the one before has ended")
    parts, at = [], os.path.join(TMP, "parts")
    for until in (f"@{time_of(lines[0]) // 1000000 - 1}", f"@{time_of(lines[len(lines) // 2]) // 1000000}", "now"): parts.append(parsed("--directory", journal, "--cursor-file", at, "--until", until)["records"])
    equal((parts[0], sum(parts)), (0, len(lines)), "--cursor-file with --until: the cursor stays where the span ends")
    # The journal is cut, and what the cursor pointed to is gone: no record behind it is missing.
    cut = os.path.join(TMP, "cut"); os.mkdir(cut)
    write_journal = lambda name, part: subprocess.run([remote, "-o", f"{cut}/{name}.journal", keep(name + ".export", as_export(part))], capture_output=True)
    state = os.path.join(TMP, "cut.state")
    write_journal("one", lines[:3]); report("--prometheus", "--directory", cut, "--state", state)
    write_journal("two", lines[3:6]); os.unlink(f"{cut}/one.journal")
    equal(re.search(r"^smtpin_records_total (\d+)", report("--prometheus", "--directory", cut, "--state", state), re.M)[1], "6", "--state: the journal was cut behind the last record: none is left out")
    if os.getuid() == 0:
        os.chmod(TMP, 0o755); os.chmod(journal, 0o755)
        for f in glob.glob(journal + "/*"): os.chmod(f, 0o640)
        p = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", REPORT, "--json", "--directory", journal], capture_output=True)
        equal((p.returncode, b"may not read" in p.stderr), (66, True), "--directory with a journal that this user may not read")
    ok(open(cursor).read().startswith("s=") and os.stat(cursor).st_mode & 0o777 == 0o600, "the cursor's file")
    os.unlink(f"{journal}/more.journal")
    state = os.path.join(TMP, "state")
    a = report("--prometheus", "--state", state, "--directory", journal)
    b = report("--prometheus", "--state", state, "--directory", journal)
    equal(b, a, "--state with a journal: nothing is counted twice, nothing is forgotten")
    equal(report("--directory", TMP + "/none", status=66), "", "a journal that is not there")
    alone = ["unshare", *([] if os.geteuid() == 0 else ["-r"]), "--mount", "--propagation", "private", "sh", "-c", 'mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/log && exec "$@"', "sh"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode == 0:
        p = subprocess.run([*alone, REPORT], capture_output=True, text=True, env=ENV)
        ok(p.returncode == 66 and "systemd-journal may" in p.stderr, "a journal that nobody may read is no empty report", (p.returncode, p.stderr, p.stdout[:100]))
elif STATIC:
    p = subprocess.run([REPORT], capture_output=True, text=True)
    ok(p.returncode == 66 and "journalctl -t smtpin -o json | smtpin-report -" in p.stderr, "the static build says how to give it the journal", p.stderr)
else: skip("the journal itself", "no systemd-journal-remote (Debian: systemd-journal-remote)")

# ---- The time.
begin = time_of(lines[0]) // 1000000
equal(parsed("--since", f"@{begin - 1}", "-", data=log)["records"], records, "--since before all")
equal(parsed("--since", f"@{begin + 3000}", "-", data=log)["records"], 0, "--since behind all")
equal(parsed("--until", f"@{begin - 1}", "-", data=log)["records"], 0, "--until before all")
equal(parsed("--since", "-1h", "--until", "+1h", "-", data=log)["records"], records, "--since -1h --until +1h")
equal(parsed("-", data=b"smtpin[1]: service event=started\n" + log)["undated"], 1, "a record without any time is counted as that")
equal(parsed("-", data=log + b"smtpin[1]: service event=started\n")["undated"], 0, "and else has that of the record before")
equal({k: parsed("--since", "yesterday", "-", data=b"smtpin[1]: crash process=7 client_address=192.0.2.9 signal=11\n")[k] for k in ("crashes", "undated")}, {"crashes": 1, "undated": 1}, "with --since, a crash without a time is told all the same")
# Other programs log what strangers say.
forged = b"Nov 29 21:20:18 mx postfix/smtpd[71]: warning: non-SMTP command from unknown[198.51.100.9]: smtpin[7]: crash session=1j1e495hgc5j3i violation=x client_address=203.0.113.5\n"
equal({k: parsed("-", data=forged)[k] for k in ("records", "foreign", "violations")}, {"records": 0, "foreign": 1, "violations": 0}, "a stranger's text in another program's line is no record")
equal(parsed("-", data=b"PATH=/bin started\n" + log)["records"], records, "a log that begins with an assignment is one of lines")
# The file of --output: what it may be read by, and what it must not replace.
made = os.path.join(TMP, "made.html")
for mask, before, after in ((0o077, None, 0o600), (0o022, 0o640, 0o640), (0o022, None, 0o644)):
    if os.path.exists(made): os.unlink(made)
    if before: keep("made.html", b""); os.chmod(made, before)
    old = os.umask(mask); report("--html", "--output", made, path); os.umask(old)
    equal(os.stat(made).st_mode & 0o777, after, f"--output: the mode of a file with umask {mask:03o}" + (f" that had {before:o}" if before else ""))
pipe_at = os.path.join(TMP, "a-pipe"); os.mkfifo(pipe_at)
report("--html", "--output", pipe_at, path, status=74)
ok(os.path.exists(pipe_at) and not os.path.isfile(pipe_at), "--output replaces no pipe")
mixed = b"smtpin[1]: transaction result=mixed id=1j1e495hgc5j3i-1 session=1j1e495hgc5j3i recipients=2 accepted=1 refused=1 size=100\n"
equal({k: parsed("-", data=mixed)[k] for k in ("octets", "recipients_accepted")}, {"octets": 100, "recipients_accepted": 1}, "of a mixed result, some have the message")
for wrong in (("--since", "x"), ("--nothing",), ("--json", "--html"), ("--id", "x", "--recipient", "y")): report(*wrong, status=64)
report(TMP + "/none", status=66)
report(TMP, status=66)
ok(True, "wrong usage, and what can't be read")
if os.path.exists("/dev/full"):
    with open("/dev/full", "wb") as f: said = {a: subprocess.run([REPORT, *a], stdin=open(path, "rb"), stdout=f, stderr=subprocess.DEVNULL).returncode for a in (("-",), ("--html", "-"), ("--rules",), ("--help",), ("--openmetrics", "-"), ("--id", "1j1e495hgc5j3i", "-"))}
    equal(set(said.values()), {74}, "output that can't be written is a failure")

if have("systemd-analyze"):
    forms = ("now", "today", "yesterday", "tomorrow", "-2h", "+90min", "2 hours ago", "1d 3h ago", "1 week ago", "@1796000000", "2026-11-29", "2026-11-29 21:20", "2026-11-29 21:20:18", "2024-02-29 23:59:59", "21:20", "03:04:05")
    wrong = []
    for zone in ("UTC", "Europe/Berlin", "America/St_Johns"):
        env = {**ENV, "TZ": zone}
        for form in forms:
            ours = json.loads(report("--json", "--since", form, "-", env=env))["since"]
            theirs = subprocess.run(["systemd-analyze", "timestamp", "--", form], capture_output=True, text=True, env=env).stdout
            theirs = float(re.search(r"UNIX seconds: @([0-9.]+)", theirs)[1])
            if abs(ours - theirs) > 10: wrong.append((zone, form, ours, theirs))
    equal(wrong, [], "--since takes times as systemd does")
else: skip("--since beside systemd's own", "no systemd-analyze (Debian: systemd)")

# ---- Hostile values: HTML.
page = report("--html", path)
class Look(html.parser.HTMLParser):
    def __init__(self): super().__init__(); self.tags = []; self.attributes = []
    def handle_starttag(self, tag, attrs): self.tags.append(tag); self.attributes += [(tag, k, v) for k, v in attrs]
look = Look(); look.feed(page)
equal(sorted(set(look.tags) - {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "table", "tr", "td", "th", "b", "section", "svg", "path", "text", "rect"}), [], "HTML: no element but the report's own")
ok(not [a for a in look.attributes if a[1].startswith("on") or a[1] in ("src", "href")] and look.tags.count("svg") == 2, "HTML: no attribute that runs or fetches, two pictures")
ok("&lt;img src=x onerror=alert(1)&gt;&amp;&#39;" in page and "default-src 'none'" in page, "HTML: the hostile address is there, as text", page[-2000:])
ok("\u202e" not in page + text + json.dumps(r, ensure_ascii=False) + report("--json", path), "no mark of direction anywhere")
control = lambda s: sorted({c for c in s if (ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160})
nasty = b"".join(b'smtpin[1]: session session=1j1e495hgc5j3i client_address="\\x1b[2J\\x9b" helo="%s" end=quit\n' % v for v in (b"\\x1b]0;x\\x07", b"\xe2\x80\xae", b"\xc2\x9b31m", b"\\x0d\\x0a", b"</script>", b"\xff\xfe", b"\x1b[31m", b"\\x00"))
for how in ("--top=10", "--json", "--html", "--openmetrics", "--follow"):
    if how == "--follow": p = subprocess.run([REPORT, how, "-"], input=nasty, capture_output=True, env=ENV)
    else: p = subprocess.run([REPORT, how, "-"], input=nasty, capture_output=True, env=ENV)
    shown = p.stdout.decode()
    ok(p.returncode == 0 and not control(shown) and "\u202e" not in shown, f"{how}: no control character", (p.stderr, control(shown)))
equal(len(json.loads(report("--json", "-", data=nasty))["helo_names"]), 8, "JSON of hostile values is JSON, and keeps them apart")

chromium = next((p for p in ("chromium", "chromium-browser", "google-chrome") if have(p)), None)
if chromium and not SANITIZED and not STATIC:
    # A browser with scripts, so that one which the page held would run; it changes the title.
    bad = "<script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">"
    probe = report("--html", "-", data=full + b"smtpin[1]: session session=1j1e495hgc5j3i client_address=192.0.2.9 helo=\"%s\" end=quit\n" % bad.replace('"', "\\x22").encode())
    def dom(page_path):
        p = subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={TMP}/chromium", "--virtual-time-budget=2000", "--dump-dom", "file://" + page_path], capture_output=True, text=True, timeout=120, env={**ENV, "HOME": TMP})
        return p.stdout or p.stderr
    shown = dom(write("page.html", probe, 0o644))
    ok("<title>Mail of smtpin</title>" in shown and shown.count("<svg") == 2 and shown.count("<rect") > 4 and "&lt;script&gt;document.title=" in shown, "Chromium: the page is shown with its pictures, and no script ran", shown[:1500])
    shown = dom(write("control.html", f"<title>Mail of smtpin</title>{bad}", 0o644))
    ok("<title>ran</title>" in shown, "(where a page holds the script, it runs)", shown[:500])
elif not chromium: skip("the HTML in a browser", "no chromium (Debian: chromium)")

# ---- Memory, and errors that are told.
many = b"".join(b"smtpin[1]: transaction result=accepted session=1j1e495h%05d client_address=10.%d.%d.%d reverse_path=u%d@d%d.example size=1 delivery_milliseconds=%d forward_path=r%d@example.org\n" % (n % 100000, n >> 16 & 255, n >> 8 & 255, n & 255, n, n, n % 5000, n) + (b"smtpin[1]: transaction result=accepted reverse_path=often@often.example forward_path=often@example.org\n" if n % 10 == 0 else b"") for n in range(150000))
keep("many", many)
import resource
LIMIT = 6 << 20
def limit(): resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))
p = subprocess.run([REPORT, "--json", TMP + "/many"], capture_output=True, env=ENV, preexec_fn=None if SANITIZED else limit)
ok(p.returncode == 0, f"150,000 senders, recipients and clients: in {LIMIT >> 20} MiB of memory", p.stderr)
big = json.loads(p.stdout)
first = big["sender_domains"][0]
ok(first["value"] == "often.example" and 0 <= first["count"] - 15000 <= first["error"] <= 165000 // 1000, "who is there often is the first, and its error is told", first)
ok("too high" in report(TMP + "/many"), "the text says how wrong the counts may be")
ok(abs(big["delivery"]["median_milliseconds"] - 2500) <= 2500 // 64 + 1 and abs(big["delivery"]["p99_milliseconds"] - 4950) <= 4950 // 64 + 1, "quantiles are as exact as the manual says", big["delivery"])
long_line = b"smtpin[1]: session session=" + b"x" * 3000000 + b"\n"
equal((parsed("-", data=long_line + log)["skipped"], parsed("-", data=long_line + log)["records"]), (1, records), "a line that is too long is skipped and counted")
huge = b"__REALTIME_TIMESTAMP=1\nX\n" + struct.pack("<Q", 5000000) + b"y" * 5000000 + b"\n\n"
equal(parsed("-", data=huge + as_export(lines))["records"], len(lines), "a field that is too long, too")
equal(parsed("-", data=b"__REALTIME_TIMESTAMP=1\nX\n" + b"\xff" * 8 + b"abc")["records"], 0, "a length without its octets")
equal(parsed("-", data=as_export(lines) + b"X\n" + struct.pack("<Q", 1) + b"ab\n\n")["records"], len(lines), "a length that is not the value's")
# Cut anywhere, nothing breaks.
for data in (full[:3000], as_json(lines[:4]), as_export(lines[:4], binary=True)):
    for n in range(0, len(data), max(1, len(data) // 60)): report("-", data=data[:n])
ok(True, "logs that are cut anywhere")

# ---- Metrics.
prom, om = report("--prometheus", path), report("--openmetrics", path)
ok(om.endswith("# EOF\n") and "EOF" not in prom, "OpenMetrics ends with # EOF")
ok('smtpin_messages_total{result="accepted"} 5\n' in prom and 'smtpin_messages_total{result="accepted"} 5\n' in om and 'smtpin_delivery_seconds_bucket{le="+Inf"} 8\n' in om, "samples")
rules = set(re.findall(r"^([a-z_0-9]+): ", report("--rules"), re.M))
ok(set(re.findall(r'rule="([^"]*)"', om)) == rules | {"other"}, "labels are rules that smtpin has, and one more")
equal(set(re.findall(r"^(\S+) [0-9.]+$", report("--openmetrics", "-", data=nasty.replace(b"end=quit", b'end="x\\x22} 1" rule=evil reply="550 x"')), re.M)) - set(re.findall(r"^(\S+) [0-9.]+$", om, re.M)), set(), "no label is a stranger's")
promtool = next((p for p in (shutil.which("promtool"), PEERS + "/prometheus/usr/bin/promtool") if p and os.path.exists(p)), None)
if promtool:
    p = subprocess.run([promtool, "check", "metrics"], input=prom, capture_output=True, text=True)
    ok(p.returncode == 0 and not p.stderr + p.stdout, "promtool check metrics", p.stderr + p.stdout)
else: skip("promtool check metrics", "no promtool (Debian: prometheus)")
python = next((p for p in (sys.executable, "/usr/bin/python3") if subprocess.run([p, "-c", "import prometheus_client"], capture_output=True).returncode == 0), None)
if python:
    p = subprocess.run([python, "-c", "import sys\nfrom prometheus_client.openmetrics.parser import text_string_to_metric_families as parse\nprint(sorted(f.name for f in parse(sys.stdin.read())))"], input=om, capture_output=True, text=True)
    ok(p.returncode == 0 and "'smtpin_messages'" in p.stdout and "'smtpin_delivery_seconds'" in p.stdout, "a parser of OpenMetrics takes it", p.stderr)
else: skip("a parser of OpenMetrics", "no prometheus_client (Debian: python3-prometheus-client)")
# The alert rules, each where it should fire and where not; the dashboard asks for metrics that there are.
rules_file = os.path.join(TMP, "prometheus-smtpin.rules.yml")
shutil.copy(os.path.join(SOURCE, "docs/prometheus-smtpin.rules.yml"), rules_file)
shutil.copy(os.path.join(SOURCE, "tests/prometheus-smtpin.test.yml"), TMP)
names = set(re.findall(r"^# TYPE (\S+)", prom, re.M))
names |= {n + end for n in names for end in ("_bucket", "_sum", "_count")}
asked = set(re.findall(r"smtpin_[a-z_]+", "".join(re.findall(r"expr: .*(?:\n          .*)*", open(rules_file).read()))))
ok(len(asked) > 6 and asked <= names, "the alert rules ask for metrics that there are", asked - names)
dashboard = json.load(open(os.path.join(SOURCE, "docs/grafana-smtpin.json")))
expressions = [t["expr"] for p in dashboard["panels"] for t in p["targets"]]
asked = {n for e in expressions for n in re.findall(r"smtpin_[a-z_]+", e)}
ok(len(expressions) > 15 and asked <= names and names - asked - {n for n in names if not n.startswith("smtpin_")} <= {n for n in names if n.endswith(("_bucket", "_sum", "_count"))} | {"smtpin_delivery_seconds", "smtpin_accepted_recipients_total", "smtpin_records_total"}, "the dashboard shows all metrics", (asked - names, names - asked))
if promtool:
    for what in (("check", "rules", rules_file), ("test", "rules", TMP + "/prometheus-smtpin.test.yml")):
        p = subprocess.run([promtool, *what], capture_output=True, text=True, cwd=TMP)
        ok(p.returncode == 0 and "SUCCESS" in p.stdout, f"promtool {what[0]} {what[1]}: the alert rules", p.stdout + p.stderr)
    equal(sorted(re.findall(r"alert: (\w+)", open(rules_file).read())), sorted(re.findall(r'alertname="(\w+)"', open(TMP + "/prometheus-smtpin.test.yml").read())), "each alert is tried")
    made = "groups:\n- name: x\n  rules:\n" + "".join(f"  - record: x{i}\n    expr: {json.dumps(e.replace('$__rate_interval', '5m').replace('$instance', '.*'))}\n" for i, e in enumerate(expressions))
    p = subprocess.run([promtool, "check", "rules", write("dashboard.yml", made, 0o644)], capture_output=True, text=True)
    ok(p.returncode == 0, "the dashboard's expressions are PromQL", p.stdout + p.stderr)
exporter = next((p for p in (shutil.which("prometheus-node-exporter"), PEERS + "/prometheus/usr/bin/prometheus-node-exporter") if p and os.path.exists(p)), None)
if exporter and not SANITIZED:
    import urllib.request
    for form, typed in (("--prometheus", True), ("--openmetrics", False)):
        there, port = os.path.join(TMP, "textfile" + form), free_port()
        os.mkdir(there)
        report(form, "--output", there + "/smtpin.prom", path)
        p = subprocess.Popen([exporter, "--collector.disable-defaults", "--collector.textfile", f"--collector.textfile.directory={there}", f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        scraped, end = "", time.monotonic() + 20
        while not scraped and time.monotonic() < end:
            try: scraped = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
            except OSError: time.sleep(0.1)
        p.terminate(); p.wait()
        ok("node_textfile_scrape_error 0" in scraped and 'smtpin_messages_total{result="accepted"} 5' in scraped and ("# TYPE smtpin_messages_total counter" in scraped) == typed and ("# TYPE smtpin_delivery_seconds histogram" in scraped), f"node_exporter's textfile collector takes {form}, {'as counters' if typed else 'counters without their type'}", scraped[-1500:])
elif not exporter: skip("node_exporter", "no prometheus-node-exporter (Debian: prometheus-node-exporter)")
# Counters go on from run to run; a state that was changed is refused, and left alone.
state, out = os.path.join(TMP, "totals"), os.path.join(TMP, "smtpin.prom")
sample = lambda t, name: float(re.search(r"^" + re.escape(name) + r" (\S+)$", t, re.M)[1])
seen = []
for n in range(3):
    report("--prometheus", "--state", state, "--output", out, "-", data=log)
    seen.append({m[1]: float(m[2]) for m in re.finditer(r"^(\S+) ([0-9.]+)$", open(out).read(), re.M)})
ok(all(seen[1][k] >= v and seen[2][k] >= seen[1][k] for k, v in seen[0].items()) and seen[2]["smtpin_records_total"] == 3 * records, "counters only grow", seen[2])
ok(os.stat(out).st_mode & 0o777 == 0o644 and os.stat(state).st_mode & 0o777 == 0o600 and not [n for n in os.listdir(TMP) if n.startswith(("totals.", "smtpin.prom."))], "files are replaced, and none is left")
kept = open(state).read()
ok(kept.startswith("smtpin-report state 1\ncursor \nrecords ") and re.search(r"^sum [0-9a-f]{64}\n\Z", kept, re.M), "the state's format", kept[:300])
for name, changed in (("a changed number", kept.replace("records ", "records 9", 1)), ("cut", kept[:200]), ("another file", "x\n"), ("too large", "x" * 100000)):
    open(state, "w").write(changed); before = open(out).read()
    report("--prometheus", "--state", state, "--output", out, "-", data=log, status=65)
    ok(open(state).read() == changed and open(out).read() == before, f"a state that is {name} is refused, and nothing is written")
os.unlink(state); os.mkdir(state)
report("--prometheus", "--state", state, "-", data=log, status=65)

# ---- Live.
def on_terminal(env):
    ours, theirs = pty.openpty()
    read, w = os.pipe()
    p = subprocess.Popen([REPORT, "--follow", "-"], stdin=read, stdout=theirs, stderr=subprocess.DEVNULL, env={**ENV, "TERM": "xterm", **env})
    os.close(theirs); os.close(read)
    said, at = b"", []
    for part in (l + b"\n" for l in full.splitlines()):
        os.write(w, part)
        if b" session session=" in part:
            seen = said.count(b"\n")
            while said.count(b"\n") == seen and select.select([ours], [], [], 20)[0]: said += os.read(ours, 65536)
            at.append(said.count(b"\n") == seen + 1)
    os.close(w)
    try:
        while True: said += os.read(ours, 65536)
    except OSError: pass
    os.close(ours)
    return p.wait(), at, said.decode().splitlines()
status, at, said = on_terminal({})
ok(status == 0 and len(at) == 10 and all(at), "--follow: a line as soon as a session has ended", at)
colours = [re.findall(r"\x1b\[([0-9;]+)m", l)[:1] for l in said]
equal(colours, [["32"]] * 4 + [["33"], ["31"], ["31"], ["2"], ["33"], ["32"], ["1;31"]], "coloured by result")
ok("joe@sender.example to bob@example.org  rule delivery  quit" in said[4] and "deferred 2" in said[4] and "violation" in said[-1], "what a line says", said[4])
equal("".join(on_terminal({"NO_COLOR": "1"})[2]).count("\x1b"), 0, "NO_COLOR")
equal("".join(on_terminal({"NO_COLOR": ""})[2]).count("\x1b") > 0, True, "an empty NO_COLOR is none (no-color.org)")
equal(report("--follow", "-", data=full).count("\x1b"), 0, "no colours where there is no terminal")

# ---- One message's story.
ids = re.findall(rb" id=(\S+)", locked)
story = report("--id", ids[1].decode(), path)
ok(len(ids) == 2 and ids[0].decode() not in story and "An SMTP transaction has ended: deferred" in story and f"The command {slow} ended: exit 75." in story and "It wrote to its standard error: the mailbox is locked" in story and "The client was told: 451 4.3.0" in story and "client 2001:db8::7" in story and "An SMTP session has ended" in story, "--id of a message: its own records, in words, with reply and stderr", story)
ok(ids[0].decode() in report("--id", ids[0].decode().split("-")[0], path) and ids[1].decode() in report("--id", ids[0].decode().split("-")[0], path), "--id of a session: all its messages")
for data in ((path,), ("-",)):
    whole = report("--recipient", "BOB@example.org", *data, data=full)
    equal((whole.count("An SMTP transaction has ended"), whole.count("An SMTP session has ended")), (2, 2), f"--recipient from {'a pipe' if data == ('-',) else 'a file'}: both of its messages, and how their sessions ended")
order = re.findall(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)  ", whole, re.M)
equal(order, sorted(order), "in order")
equal(report("--id", "1j0000000000aaa", path, status=1), "", "--id of nobody")
equal(report("--recipient", "nobody@example.org", path, status=1), "", "--recipient of nobody")
ok("\x1b" not in report("--id", "1j1e495hgc5j3i", "-", data=nasty), "a story of hostile values")
if remote and not STATIC:
    equal(report("--id", ids[1].decode(), "--directory", journal), story, "--id in the journal: the same story")
    equal(report("--recipient", "bob@example.org", "--directory", journal), whole, "--recipient in the journal: the same")

    # Live, from the journal: what is there already is past.
    p = subprocess.Popen([REPORT, "--follow", "--directory", journal], stdout=subprocess.PIPE, env=ENV)
    time.sleep(0.5)
    subprocess.run([remote, "-o", f"{journal}/live.journal", keep("live.export", as_export([l for l in lines if b"198.51.100.2" in l]))], capture_output=True)
    came = select.select([p.stdout], [], [], 20)[0] and os.read(p.stdout.fileno(), 65536).decode()
    p.terminate(); p.wait(); p.stdout.close()
    ok(came and came.count("\n") == 1 and "198.51.100.2" in came and "rule not_smtp" in came, "--follow in the journal: a session that ends now, and none before", came)

# ---- Progress is for who waits at a terminal.
p = subprocess.run([REPORT, "-"], input=full, capture_output=True, env=ENV)
equal(p.stderr, b"", "no progress where standard error is no terminal")
ours, theirs = pty.openpty()
p = subprocess.Popen([REPORT, "--json", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=theirs, env=ENV)
os.close(theirs)
p.stdin.write(many[:1000000]); p.stdin.flush(); time.sleep(1.3)
p.stdin.write(many[1000000:3000000].partition(b"\n")[2]); p.stdin.flush()
said = os.read(ours, 65536).decode() if select.select([ours], [], [], 20)[0] else ""
out = p.communicate()[0]
try:
    while True: said += os.read(ours, 65536).decode()
except OSError: pass
os.close(ours)
ok("reading, " in said and said.endswith("\r\x1b[K") and json.loads(out)["records"] > 10000, "at a terminal it says how far it is, and takes that back", said)

# ---- Words.
def module(name):
    spec = importlib.util.spec_from_file_location(name, os.path.join(SOURCE, f"docs/{name}.py"))
    m = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(m)
    return m
words, faq = module("words"), module("faq")
for target, text_of in words.TARGETS.items():
    is_now = open(os.path.join(SOURCE, target)).read()
    equal(text_of(SOURCE, is_now), is_now, f"{target} is what docs/words.py writes from the table in the source")
table = words.rules(SOURCE)
equal(report("--rules"), "".join(f"{n}: {m}\n" for n, m in table) + "".join(f"end={n}: {m}\n" for n, m in words.ends(SOURCE)), "--rules has the words of the table")
said = report(path)
ok(all(f"{x['rule']}: {dict(table)[x['rule']]}" in said for x in r["rules"]), "the report has them too")
equal(sorted(n for n, _ in table), sorted(faq.rules(SOURCE) - {"authenticated", "domains", "postmaster", "relay_clients"}), "the table has each rule that refuses, and no other")
ends = {w for n in ("src/serve.c", "src/serve_client.c", "src/serve_secure.c", "src/serve_wire.c", "src/services.c", "src/backend/backend.c", "src/backend/record.c", "src/sandbox/sandbox.c", "src/syntax/proxy.c", "src/syntax/proxy_tlv.c") for w in re.findall(r'(?:services_end|backend_end|record_end|is_wrong|return)\b[^;]*?"(?:proxy_|)[a-z_]+"[^;]*;', open(os.path.join(SOURCE, n)).read()) for w in re.findall(r'"([a-z_]+)"', w)}
known = {n for n, _ in words.ends(SOURCE)} | {n for n, _ in table}
ok({n for n, _ in words.ends(SOURCE)} <= ends and {e for e in ends if e.startswith(("proxy_", "tls_"))} <= known, "the table has each end, and no other", ({n for n, _ in words.ends(SOURCE)} - ends, {e for e in ends if e.startswith(("proxy_", "tls_"))} - known))
done()
