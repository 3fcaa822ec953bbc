"""docs/faq.md: it is what docs/faq.py writes; each reply of the source is explained, and no other; the names in it exist; and what it shows is true: each reply is provoked, and what the client hears and what the log has is compared with the page."""
import base64, fcntl, importlib.util, threading
from harness import *

spec = importlib.util.spec_from_file_location("faq_writer", os.path.join(SOURCE, "docs/faq.py"))
faq = importlib.util.module_from_spec(spec)
spec.loader.exec_module(faq)
table = faq.replies(SOURCE)
text, _, rest = faq.read("docs/faq.in", SOURCE).partition("\n@entries\n")
entries, wrong = faq.read_entries(rest)
page = faq.read("docs/faq.md", SOURCE)
LMTP = os.path.join(BUILD, "smtpin-lmtp")

# The page and the source.
fresh = faq.write(SOURCE)
ok(page == fresh, "docs/faq.md is what docs/faq.py writes: python3 docs/faq.py", [l for l in fresh.split("\n") if l not in page.split("\n")][:10])
ok(not wrong, "docs/faq.in can be read", wrong)
explained = [i for e in entries for i in e["ids"]]
equal(sorted(set(table) - set(explained)), [], "every reply has an explanation")
equal(sorted(set(explained) - set(table)), [], "every explanation has a reply")
equal(sorted({i for i in explained if explained.count(i) > 1}), [], "and one only")
equal(sorted(re.findall(r"^@code (\d+) \S", text, re.M)), sorted({str(r["code"]) for r in table.values() if r["code"] >= 400}), "each code of a refusal has its heading")
# That no row is overlooked: other ways to count them.
enum = set(re.findall(r"^    SMTP_REPLY_([A-Z0-9_]+),$", faq.read("src/smtp/reply.h", SOURCE), re.M))
equal(sorted(i for i in table if i.isupper()), sorted(enum), "every row of reply.c is read")
equal(sum(i.startswith("rule ") for i in table), len(re.findall(r'REPLY\("', faq.read("src/adapters/rules.c", SOURCE))), "every row of rules.c")
equal(sum(i.split()[0] in ("exit", "code") for i in table), len(re.findall(r"\.code = \d", faq.read("src/smtp/result.c", SOURCE))), "every row of result.c")
printed = {m for n in os.listdir(SOURCE + "/src/commands") if n.endswith((".c", ".h")) for m in re.findall(r'"([45]\d\d [^"]*)"', faq.read("src/commands/" + n, SOURCE))}
equal(sorted(i[5:] for i in table if i.startswith("line ")), sorted(printed), "every line of the companion programs")
ok(len(table) > 80 and all(r["text"] and r["code"] in range(200, 600) for r in table.values()), "each has a code and a text", table)
for e in entries:
    needed = ("why",) if all(i in table and table[i]["code"] < 400 for i in e["ids"]) else ("to", "why", "decides", "cure")
    # A refusal with a rule is a record, one without is none.
    is_logged = any(i in table and table[i]["rule"] for i in e["ids"])
    ok(all(e[f] for f in needed) and is_logged == ("{reply}" in e["record"]), f"{e['ids'][0]}: what it means, who decides, the cure, the record", e)

# Names.
settings, rules, fields = faq.settings(SOURCE), faq.rules(SOURCE), faq.log_fields(SOURCE)
KINDS = set(re.findall(r'\{"(\w+)", "[0-9a-f]{32}"\}', faq.read("src/syntax/log_kinds.c", SOURCE)))
OTHERS = {"tcprules", "nc", "ps", "sendmail", "nullmailer-queue", "shutdown_clients", "maildirsize", "cps", "info", "mail", "smtpin", "auth_mechanisms", "auth_verbose", "group", "mode", "nologin", "proxy"}  # of other programs
ok(len(settings) > 50 and len(rules) > 30 and len(fields) > 30 and len(KINDS) == 8, "names of the source", (settings, rules, fields, KINDS))
manuals = {n for n in os.listdir(SOURCE + "/docs")}
choices = faq.read("src/config/setting.c", SOURCE) + faq.read("src/smtp/result.c", SOURCE)


def is_name(word):
    """Does a word in backquotes say what there is? None: it is no name, but a command, a text, another program's."""
    m = re.fullmatch(r"(SMTP_)?([A-Za-z_]+)=(\S*)", word)
    if m and (m[1] or m[2].islower()): return m[2].lower() in fields and (m[2].lower() != "rule" or not m[3] or m[3] in rules)
    m = re.fullmatch(r"([a-z_]+) = (.*)", word)
    if m: return m[1] in settings | OTHERS
    m = re.fullmatch(r"([a-z.-]+)\(([1578])\)", word)
    if m: return f"{m[1]}.{m[2]}" in manuals
    if re.fullmatch(r"\$?SMTPIN_[A-Z]+", word): return word.lstrip("$") in faq.read("docs/smtpin-delivery.7", SOURCE)
    if word.startswith(("docs/", "units/")): return os.path.exists(os.path.join(SOURCE, word))
    if word.startswith("smtpin --"): return word.split()[1] in faq.read("src/main.c", SOURCE)
    if word.endswith(".conf"): return word == "smtpin.conf" or os.path.exists(os.path.join(SOURCE, "units/drop-ins", word))
    if word in ("smtpin-maildir", "smtpin-lmtp"): return word + ".1" in manuals
    if word == "smtpin-idn": return word in faq.read("docs/smtpin.8", SOURCE)
    if re.fullmatch(r"[a-z]+(_[a-z]+)+", word): return word in settings | rules | OTHERS
    # A setting of one word, a kind of record, a value that the table of settings or a preset has.
    if re.fullmatch(r"[a-z]+(-[a-z]+)*", word): return word in settings | KINDS | OTHERS or re.search(rf'[" ]{word}[" ]', choices) is not None
    return None


words = re.findall(r"(?<!`)`([^`]+)`", page.replace("\n", " "))
equal(sorted({w for w in words if is_name(w) is False}), [], "settings, rules, fields, manuals and files that the page names exist")
ok(sum(is_name(w) is True for w in words) > 200, "and there are many", len(words))
for name in ("no_such_setting", "rule=no_such", "nosuch", "no_such = 1", "no_such=", "SMTP_NO_SUCH=x", "smtpin-nothing(5)", "docs/nothing.md", "smtpin --nothing", "SMTPIN_NOTHING"):
    ok(is_name(name) is False, f"a name that there is not would be seen: {name}")
# A line `key = value` is one that the program takes.
for line in sorted({w for w in words if re.fullmatch(r"[a-z_]+ = .+", w) and w.split()[0] in settings}):
    conf = write("line.conf", f"domains = example.org\ndeliver = /bin/true\nauth = checkpassword:/bin/true\n[local]\n{line}\n", 0o644)
    p = subprocess.run([SMTPIN, "-f", conf, "-o", "socket=local", "--check"], capture_output=True, text=True, timeout=30)
    ok(not re.search(rf":\d+: {line.split()[0]}: (?!note)", p.stdout) and p.stdout, f"{line}: smtpin takes it", p.stdout)
defaults = dict(re.findall(r"^(\w+) = (.*)$", subprocess.run([SMTPIN, "-f", "/dev/null", "--print-defaults"], capture_output=True, text=True, timeout=30).stdout, re.M))
named = re.findall(r"`(\w+)`, default `?([^\s`,;()]*[^\s`,;().])", page)
equal(sorted({f"{k}: {v}" for k, v in named if defaults.get(k) != v}), [], "the defaults that the page names are smtpin's")
ok(len(named) > 12, "and there are some", named)
taken = {}
headings = {faq.slug(h, taken) for h in re.findall(r"^#+ (.*)$", page, re.M)}
equal(sorted({l for l in re.findall(r"\]\(#([^)]*)\)", page) if l not in headings}), [], "each link within the page has its heading")
codes_shown = [int(c) for c in re.findall(r"^### (\d\d\d) ", page, re.M)]
ok(codes_shown == sorted(codes_shown) and len(codes_shown) > 60, "the replies are in the order of their codes", codes_shown)

# What the page shows is true.
CLIENT = "192.0.2.7"
COMMON = {"client_address": CLIENT, "fixed_id": "T", "log": "stderr", "deliver": "/bin/true", "spool_dir": TMP}
HELO, MAIL, RCPT, RCPT2, DATA = "EHLO client.example.com", "MAIL FROM:<joe@someplace.org>", "RCPT TO:<jane@example.org>", "RCPT TO:<jim@example.org>", "DATA"
BODY = "Subject: x\r\n\r\ntext\r\n."
START = (HELO, MAIL, RCPT, DATA)
OURS = "Delivered-To: jane@example.org\r\nReceived: from x by mx.example.org (smtpin) with ESMTP id x; Mon, 23 Nov 2026 18:53:20 +0000\r\n"


class Heard:
    """What a session came to: the last line of each reply, the records without the program's name, what was sent."""
    def __init__(self, out, err, items=()):
        self.lines = out.decode().split("\r\n")
        self.replies = [l for l in self.lines if l[3:4] == " "]
        self.records = [l.split("]: ", 1)[1] for l in err.decode().split("\n") if "]: " in l]
        self.items = list(items)


def play(settings, *items, env=None, program=SMTPIN):
    """A whole session; each item is a command, or a message with its end."""
    p = subprocess.run([program, *arguments({**COMMON, **settings})[1:]], input="".join(i + "\r\n" for i in items).encode(), capture_output=True, timeout=60, env=env)
    return Heard(p.stdout, p.stderr, items)


def slowly(settings, *items, stop=False):
    """A client that sends this and is silent then; `stop`: SIGTERM comes once it has had its replies."""
    p, c = session({**COMMON, **settings}, stderr=subprocess.PIPE)
    replies = [read_one(c)]
    for i in items:
        c.sendall(i.encode() + b"\r\n"); replies.append(read_one(c))
    if stop: time.sleep(0.2); p.send_signal(signal.SIGTERM)
    rest = read_all(c)
    c.close()
    _, err = p.communicate(timeout=30)
    return Heard("\r\n".join(replies).encode() + b"\r\n" + rest, err)


def on_socket(settings, *items, then=b""):
    """A client of smtpin with smtpin-tls, which it starts."""
    def run():
        p, c = session({**COMMON, "tls": "may", "tls_command": os.path.join(BUILD, "smtpin-tls"), **settings}, stderr=subprocess.PIPE)
        replies = [read_one(c)]
        for i in items:
            c.sendall(i.encode() + b"\r\n"); replies.append(read_one(c))
        c.sendall(then); c.shutdown(socket.SHUT_WR)
        rest = read_all(c)
        c.close()
        _, err = p.communicate(timeout=30)
        return Heard("\r\n".join(r.strip("\r\n") for r in replies).encode() + b"\r\n" + rest, err, items)
    return run


def crowd(settings, offence=None):
    """A listening smtpin and two clients, at once, or (`offence`) one after the other has said this: what the second hears."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        conf = write("crowd.conf", "hostname = mx.example.org\n" + "".join(f"{k} = {v}\n" for k, v in {"log": "stderr", "deliver": "/bin/true", "domains": "example.org", **settings}.items()), 0o644)
        ready, err = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                passed, err = fcntl.fcntl(listener.fileno(), fcntl.F_DUPFD, 100), fcntl.fcntl(err, fcntl.F_DUPFD, 100)
                for fd, to in ((os.open("/dev/null", os.O_RDWR), 0), (0, 1), (err, 2), (passed, 3)): os.dup2(fd, to, inheritable=True)
                os.execve(SMTPIN, [SMTPIN, "-f", conf, "--listen"], {**os.environ, "LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())})
            finally: os._exit(127)
        os.close(err)
        with socket.create_connection(listener.getsockname(), timeout=20) as first:
            read_reply(first)
            if offence: first.sendall(offence); read_all(first)
            for _ in range(200):  # (what the first has done is known when its process has been reaped)
                with socket.create_connection(listener.getsockname(), timeout=20) as second:
                    if offence: second.sendall(b"QUIT\r\n")
                    heard = read_all(second)
                if not heard.startswith(b"220"): break
                time.sleep(0.1)
        os.kill(pid, signal.SIGTERM)
        with os.fdopen(ready, "rb") as f: said = f.read()
        os.waitpid(pid, 0)
    return Heard(heard, said)


def exits(status, **settings):
    return lambda: play({"deliver": f'/bin/sh -c "exit {status}"', **settings}, *START, BODY)


def maildir(words, before="", each=True, recipients=(RCPT,), body=BODY):
    """smtpin-maildir, as it is embedded; `before`: what a shell does first."""
    command = f"{MAILDIR} {words} ${{recipient}}"
    if before: command = f'/bin/sh -c "{before}exec \\"$$@\\"" sh {command}'
    return lambda: play({"deliver": command, **({"deliver_replies": "each"} if each else {})}, HELO, MAIL, *recipients, DATA, body)


def next_server(script, recipients=(RCPT,), each=True, mail=MAIL, domains="example.org", env="", options="", settings={}, body=BODY, program=LMTP):
    """smtpin-lmtp, and an LMTP server that says for each command what `script` has for it, else 250; None: it closes."""
    def run():
        path = os.path.join(TMP, "next.sock")
        s = socket.socket(socket.AF_UNIX); s.bind(path); os.chmod(path, 0o666); s.listen(); s.settimeout(20)

        def serve():
            try: c, _ = s.accept()
            except OSError: return
            c.settimeout(20)
            f = c.makefile("rb")
            c.sendall(b"220 next LMTP\r\n")
            for line in f:
                verb = line[:4].decode(errors="replace").upper().strip()
                answer = script.get(line.decode(errors="replace").strip(), script.get(verb, "250 ok"))
                if verb == "DATA" and answer == "250 ok":
                    c.sendall(b"354 go\r\n")
                    while f.readline() not in (b".\r\n", b""): pass
                    answer = script.get(".", "250 ok")
                if answer is None: break
                c.sendall(answer.encode() + b"\r\n")
                if verb == "QUIT": break
            f.close(); c.close()
        t = threading.Thread(target=serve, daemon=True); t.start()
        try: return play({"deliver": f"{env}{program} {options}unix:{path} -- ${{sender}} ${{recipient}}", "domains": domains, **settings, **({"deliver_replies": "each"} if each else {})}, HELO, mail, *recipients, DATA, body)
        finally: s.close(); os.unlink(path); t.join(20)
    return run


def in_turn(settings, *items):
    return lambda: play(settings, *items)


os.makedirs(os.path.join(TMP, "box/example.org/jane/new")); os.mkdir(os.path.join(TMP, "box/example.org/jane/cur"))
# A tmp/ where nobody, not even root, can make a file.
box = os.path.join(TMP, "box"); os.symlink("/proc", os.path.join(box, "example.org/jane/tmp"))
good = os.path.join(TMP, "good"); [os.makedirs(os.path.join(good, "example.org/jane", d)) for d in ("new", "cur", "tmp")]
pending = write("pending.py", "import os, signal, sys\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\nos.kill(os.getpid(), signal.SIGTERM)\nos.execv(sys.argv[1], sys.argv[1:])\n", 0o644)
# A library that is none: as on a machine without libidn2.
none = os.path.join(TMP, "none"); os.mkdir(none); open(os.path.join(none, "libidn2.so.0"), "w").close()
people = text_table("people", "jane@example.org OK\npelé@example.org OK\n")
logins = text_table("logins", "joe@someplace.org joe\n")
checker = write("checkpassword", f"#!{sys.executable}\nimport os, sys\nuser, password = os.read(3, 512).split(b'\\0')[:2]\nsys.exit(0 if password == b'good' else 111 if password == b'later' else 1)\n")
LOGINS = {"auth": f"checkpassword:{checker}", "auth_plaintext": "yes", "auth_failure_delay": "0"}


def plain(password): return "AUTH PLAIN " + base64.b64encode(b"\0jane\0" + password).decode()


UTF8 = MAIL + " SMTPUTF8"
relay = "RCPT TO:<x@elsewhere.example>"

SESSIONS = {
    "GREETING": in_turn({}), "GREETING_LMTP": in_turn({"protocol": "lmtp"}), "BYE": in_turn({}, HELO, "QUIT"), "HELLO": in_turn({}, "HELO client.example.com"),
    "OK": in_turn({}, HELO, "RSET"), "SENDER_OK": in_turn({}, HELO, MAIL), "RECIPIENT_OK": in_turn({}, HELO, MAIL, RCPT), "START_DATA": in_turn({}, *START),
    "START_REPORT": in_turn({"deliver_per": "recipient"}, HELO, MAIL + " PRDR", RCPT, RCPT2, DATA, BODY), "VRFY": in_turn({}, HELO, "VRFY jane"), "HELP": in_turn({}, HELO, "HELP DATA"),
    "exit 0": exits(0), "code 250": exits(99, exit_map="99:250"),
    "FOREIGN": in_turn({}, "GET / HTTP/1.1"),
    "EARLY_TALKER": in_turn({"greet_delay": "30s"}, HELO), "PIPELINED": in_turn({"unexpected_pipelining": "refuse"}, HELO, MAIL), "NOT_IMPLEMENTED": in_turn({}, HELO, "ETRN example.org"),
    "HELO_IS_US": in_turn({"helo_is_us": "refuse"}, "EHLO mx.example.org"), "HELO_BARE_NAME": in_turn({"helo_bare_name": "refuse"}, "EHLO pc7"),
    "TOO_MANY_ERRORS": in_turn({"max_errors": "2"}, HELO, "EXPN list", "XYZZY", "NOOP"),
    "TOO_MANY_REFUSED": in_turn({"max_refused_recipients": "1"}, HELO, MAIL, relay, relay),
    "TOO_MANY_COMMANDS": in_turn({"max_commands": "2"}, HELO, "NOOP", "NOOP"),
    "TOO_MANY_TRANSACTIONS": in_turn({"max_transactions": "1"}, HELO, MAIL, "RSET", MAIL),
    "TIMEOUT": lambda: slowly({"command_timeout": "300ms"}, HELO), "TOO_SLOW": lambda: slowly({"data_timeout": "300ms"}, *START), "SESSION_OVER": lambda: slowly({"session_timeout": "400ms"}, HELO),
    "UNAVAILABLE": in_turn({"nonsense": "1"}), "SHUTDOWN": lambda: slowly({}, HELO, stop=True),
    "TOO_MANY_CONNECTIONS": lambda: crowd({"max_connections": "1"}), "TOO_MANY_OF_SOURCE": lambda: crowd({"max_connections_per_source": "1"}),
    "PENALTY": lambda: crowd({"penalty_min": "0", "penalty_exempt": "192.0.2.0/24"}, b"GET / HTTP/1.0\r\n\r\n"),
    "rule no_idn": lambda: play({"domains": "xn--mller-kva.example"}, HELO, UTF8, "RCPT TO:<jane@müller.example>", program=shared("smtpin"), env={**os.environ, "LD_LIBRARY_PATH": none}),
    "NO_LOOKUP": in_turn({"recipients": "cdb:/nonexistent/recipients.cdb"}, HELO, MAIL, RCPT),
    "rule relay_suffix": lambda: play({}, HELO, MAIL, RCPT, env={"RELAYCLIENT": "@no_domain"}),
    "rule recipients": in_turn({"recipients": people}, HELO, MAIL, "RCPT TO:<nobody@example.org>"),
    "rule routing": in_turn({}, HELO, MAIL, "RCPT TO:<jane%elsewhere.example@example.org>"),
    "rule sender_login": in_turn({"sender_login": logins}, HELO, MAIL, RCPT),
    "USER": in_turn({"recipients": people, "vrfy": "yes"}, HELO, "VRFY jane"), "VRFY_NEEDS_UTF8": in_turn({"recipients": people, "vrfy": "yes"}, HELO, "VRFY <pelé@example.org>"),
    "NO_SUCH_PARAMETER": in_turn({"smtputf8": "no"}, HELO, "VRFY jane SMTPUTF8"),
    "rule no_domains": in_turn({"domains": ""}, HELO, MAIL, RCPT),
    "DELIVERY_FAILED": in_turn({"deliver": '/bin/sh -c "echo disk full >&2; exit 75"'}, *START, BODY),
    "line 451 4.3.0 Mailbox can't be looked up": maildir(f"-n -- {TMP}/nothing"), "line 451 4.3.0 Mailbox can't be made": maildir(f"-- {TMP}/nothing"), "line 451 4.3.0 Mailbox can't be written": maildir(f"-n -- {box}"),
    "line 451 4.3.0 Message can't be read": maildir(f"-- {good}", "exec <&-; "),
    "line 451 4.3.0 Delivery was interrupted": in_turn({"deliver": f"{sys.executable} {pending} {MAILDIR} -- {good} ${{recipient}}"}, *START, BODY),
    "line 451 4.1.1 No such mailbox here for one of the recipients": maildir(f"-n -- {good}", each=False, recipients=(RCPT, RCPT2)),
    "line 451 4.4.1 No server takes the message now": in_turn({"deliver": f"{LMTP} {TMP}/nothing -- ${{sender}} ${{recipient}}"}, *START, BODY),
    "line 451 4.4.2 The next server did not answer": next_server({".": None}), "line 451 4.4.2 The next server stopped before it answered": next_server({".": "421 bye"}),
    "line 451 4.4.2 The next server gave one reply too many": next_server({".": "250 ok\r\n250 and more"}),
    "line 451 4.3.0 The next server took the message for some recipients only": next_server({RCPT2: "550 5.1.1 nobody"}, (RCPT, RCPT2), each=False),
    "line 451 4.3.5 No server takes SMTPUTF8, and there is no libidn2 for A-labels": next_server({}, ("RCPT TO:<jane@müller.example>",), mail=UTF8, domains="müller.example", env=f"/usr/bin/env LD_LIBRARY_PATH={none} ", program=shared("smtpin-lmtp")),
    "line 550 5.3.3 No server takes DELIVERBY": next_server({}, mail=MAIL + " BY=60;R", options="-s ", settings={"deliver_by": "yes"}),
    "line 554 5.6.3 No server takes BINARYMIME": next_server({}, env="/usr/bin/env SMTPIN_BODY=BINARYMIME "),
    "line 550 5.6.7 No server takes SMTPUTF8": next_server({}, ("RCPT TO:<jäne@example.org>",), mail=UTF8),
    "line 554 5.6.9 No server takes a header outside ASCII": next_server({}, mail=UTF8, body="Subject: Grüße\r\n\r\nx\r\n."),
    "TOO_MANY_RECIPIENTS": in_turn({"max_recipients": "100"}, HELO, MAIL, *[RCPT] * 101), "ONE_RECIPIENT": in_turn({"partial": "single"}, HELO, MAIL, RCPT, RCPT2),
    "REFUSED_LATER": in_turn({"max_refused_recipients": "1"}, HELO, MAIL, RCPT, relay, relay),
    "NO_MEMORY": in_turn({"max_recipients": "100000", "max_commands": "100000"}, HELO, MAIL, *[f"RCPT TO:<{i}{'a' * 100}@example.org>" for i in range(9000)]),
    "NO_SPOOL": in_turn({"spool_dir": "/nonexistent", "spool_memory": "0"}, *START, BODY),
    "line 452 4.2.2 Mailbox full": maildir(f"-q 1 -- {good}"), "line 452 4.2.2 No room for the message": maildir(f"-- {good}", "ulimit -f 1; ", body="Subject: x\r\n\r\n" + "text\r\n" * 1000 + "."),
    "START_TLS": on_socket({"tls_certificate": "self-signed"}, HELO, "STARTTLS"), "TLS_UNAVAILABLE": on_socket({"tls_service": "no"}, HELO, "STARTTLS"), "TLS_FIRST": in_turn({"tls": "required"}, HELO, MAIL),
    "TLS_NOT_ALONE": in_turn({"tls": "may"}, HELO, "STARTTLS", "EHLO again"), "IN_TRANSACTION": in_turn({"tls": "may"}, HELO, MAIL, "STARTTLS"), "TLS_TWICE": lambda: play({"tls": "may"}, HELO, "STARTTLS", env={**os.environ, "SSL_PROTOCOL": "TLSv1.3"}),
    "LOGIN": in_turn(LOGINS, HELO, plain(b"good")), "LOGIN_TWICE": in_turn(LOGINS, HELO, plain(b"good"), plain(b"good")), "LOGIN_WRONG": in_turn(LOGINS, HELO, plain(b"bad")), "LOGIN_LATER": in_turn(LOGINS, HELO, plain(b"later")),
    "TOO_MANY_LOGINS": in_turn(LOGINS, HELO, *[plain(b"bad")] * 3), "LOGIN_FIRST": in_turn({**LOGINS, "auth_required": "yes"}, HELO, MAIL), "LOGIN_NEEDS_TLS": in_turn({**LOGINS, "auth_plaintext": "no"}, HELO, plain(b"good")),
    "LOGIN_MECHANISM": in_turn(LOGINS, HELO, "AUTH CRAM-MD5"), "LOGIN_CANCELLED": in_turn(LOGINS, HELO, "AUTH LOGIN", "*"), "LOGIN_MALFORMED": in_turn(LOGINS, HELO, "AUTH PLAIN ;"), "LOGIN_TOO_LONG": in_turn(LOGINS, HELO, "AUTH PLAIN", "A" * 12400),
    "NO_AUTHOR": in_turn({"require_from": "yes"}, *START, BODY),
    "UNKNOWN_COMMAND": in_turn({}, HELO, "STARTTLS"), "BAD_BYTES": in_turn({}, HELO, "NO\x08OP"), "BAD_BYTES_ARGUMENT": in_turn({}, HELO, "NOOP \x08"), "LINE_TOO_LONG": in_turn({}, HELO, "x" * 3000),
    "BARE_LF": in_turn({}, HELO, "NOOP\nNOOP"), "BARE_CR": in_turn({}, HELO, "NO\rOP"), "NO_ARGUMENT": in_turn({}, HELO, "DATA now"), "WANTS_ARGUMENT": in_turn({}, HELO, "MAIL <joe@someplace.org>"),
    "BAD_NAME": in_turn({}, "EHLO <client>"), "BAD_REVERSE_PATH": in_turn({}, HELO, "MAIL FROM:joe@someplace.org"), "BAD_FORWARD_PATH": in_turn({}, HELO, MAIL, "RCPT TO:<jane>"),
    "LONG_REVERSE_PATH": in_turn({}, HELO, f"MAIL FROM:<{'a' * 129}@someplace.org>"), "LONG_FORWARD_PATH": in_turn({}, HELO, MAIL, f"RCPT TO:<{'a' * 129}@example.org>"),
    "SENDER_NEEDS_UTF8": in_turn({}, HELO, "MAIL FROM:<jöe@someplace.org>"), "RECIPIENT_NEEDS_UTF8": in_turn({}, HELO, MAIL, "RCPT TO:<jäne@example.org>"),
    "BAD_PARAMETERS": in_turn({}, HELO, MAIL + " SIZE=big"), "UNKNOWN_PARAMETER": in_turn({}, HELO, MAIL + " RET=HDRS"), "NO_EXPN": in_turn({}, HELO, "EXPN list"),
    "HELLO_FIRST": in_turn({"helo_required": "yes"}, MAIL, HELO), "MAIL_TWICE": in_turn({}, HELO, MAIL, MAIL), "TURNED_AWAY": in_turn({"policy": "unix:/nonexistent", "policy_states": "CONNECT", "policy_default": "554 5.7.1 No"}, HELO), "MAIL_FIRST": in_turn({}, HELO, RCPT), "RCPT_FIRST": in_turn({}, HELO, MAIL, DATA),
    "IN_CHUNKS": in_turn({}, HELO, MAIL, RCPT, "BDAT 2\r\n", DATA), "BDAT_FIRST": in_turn({"binarymime": "yes"}, HELO, MAIL + " BODY=BINARYMIME", RCPT, DATA),
    "NO_BDAT": in_turn({"chunking": "no"}, HELO, "BDAT 2\r\n"), "BAD_CHUNK": in_turn({}, HELO, "BDAT x"), "MUCH_DISCARDED": in_turn({"max_discarded_size": "3"}, HELO, "BDAT 4\r\nabcd"),
    "NO_VALID_RECIPIENTS": in_turn({}, HELO, MAIL, relay, DATA), "rule relay": in_turn({}, HELO, MAIL, relay),
    "rule mailbox_name": lambda: Heard(*subprocess_without_deliver(HELO, MAIL, "RCPT TO:<jane/x@example.org>"), (HELO, MAIL, "RCPT TO:<jane/x@example.org>")),
    "line 550 5.1.1 No such mailbox here": maildir(f"-n -- {good}", recipients=(RCPT2,)),
    "TOO_LARGE": in_turn({"max_message_size": "64K"}, *START, "Subject: x\r\n\r\n" + "text\r\n" * 20000 + "."),
    "DATA_LOOP": in_turn({"max_received": "2"}, *START, "Received: x\r\n" * 3 + BODY), "DATA_BARE_LF": in_turn({}, *START, "a\nb\r\n."), "DATA_BARE_CR": in_turn({}, *START, "a\rb\r\n."),
    "DATA_LONG_LINE": in_turn({"max_text_line": "1000"}, *START, "Subject: x\r\n\r\n" + "x" * 2000 + "\r\n."), "DATA_HEADER_END": in_turn({"header_end": "refuse"}, *START, "Subject: x\r\nno field\r\n."),
    "DELIVERED_BEFORE": in_turn({}, *START, OURS + BODY), "code 451": in_turn({"deliver": '/bin/sh -c "echo disk full >&2; exit 75"', "exit_map": "75:451"}, *START, BODY),
    **{f"exit {n}": exits(n) for n in (65, 67, 68, 77, 100)}, **{f"code {n}": exits(99, exit_map=f"99:{n}") for n in (450, 452, 550, 552, 554)},
}
NOT_PROVOKED = {
    "REFUSED": "the last rule of the chain refuses with words of its own",
    "DEFERRED": "the monitor has ended, or its memory is full where the worker's is not",
    "line 451 4.4.2 The connection to the next server was lost": "the next server must close between the last octet of the message and the final dot",
}


def subprocess_without_deliver(*items):
    """The embedded delivery: a `deliver` of the harness would be another."""
    a = arguments({k: v for k, v in COMMON.items() if k != "deliver"})
    p = subprocess.run(a, input="".join(i + "\r\n" for i in items).encode(), capture_output=True, timeout=60)
    return p.stdout, p.stderr


def matches(template, record):
    """`...` stands for any fields, or for what is in a value."""
    pattern = re.escape(template).replace(r"\ \.\.\.\ ", "(?: .*)? ").replace(r"\ \.\.\.", "(?: .*)?").replace(r"\.\.\.", ".*")
    return re.fullmatch(pattern, record) is not None


ok(matches("a x=1 ... y=2 ...", "a x=1 y=2") and matches("a ... y=2 ...", "a z=3 y=2 k=4") and not matches("a ... y=2", "a y=2 z=3") and not matches("a ... y=2", "a yy=2"), "how records are compared")
equal(sorted(set(SESSIONS) | set(NOT_PROVOKED)), sorted(table), "each reply has its session, or a reason why not")
equal(sorted(set(SESSIONS) & set(NOT_PROVOKED)), [], "and not both")
VERBS = {"EHLO", "MAIL", "RCPT", "DATA", "EXPN", "STARTTLS", "AUTH"}
for e in entries:
    for n, (i, said, logged, rule) in enumerate(faq.all_shown(e, table)):
        if i not in SESSIONS: continue
        heard = SESSIONS[i]()
        found = [k for k, line in enumerate(heard.lines) if line == said]
        ok(found, f"{i}: the client hears what the page shows: {said}", "\n".join(heard.lines[-6:] + heard.records))
        for template in filter(None, (e["record"], e["also"])):
            template = faq.in_log(template, logged, rule)
            ok(any(matches(template, r) for r in heard.records), f"{i}: its record", "\n".join([template, *heard.records]))
        to = faq.nth(e["to"], n)
        if said in heard.replies and heard.items and to in VERBS | {"message"}:
            answered = heard.items[min(heard.replies.index(said), len(heard.items)) - 1]
            is_message = answered.endswith("\r\n.")
            ok(is_message if to == "message" else not is_message and answered.split()[0] == to, f"{i}: it is to {to}", answered)

# The records of the text.
half = lambda: play({"deliver": '/bin/sh -c "test $$RECIPIENT = jane@example.org || exit 67"', "deliver_per": "recipient"}, HELO, MAIL, RCPT, RCPT2, DATA, BODY, "QUIT")


def leaves():
    """A client that does not wait for the reply to its message."""
    p, c = session({**COMMON, "deliver": "/bin/sleep 1"}, stderr=subprocess.PIPE)
    read_one(c)
    for i in START: c.sendall(i.encode() + b"\r\n"); read_one(c)
    c.sendall(BODY.encode() + b"\r\n")
    c.close()
    return Heard(b"", p.communicate(timeout=30)[1])


TEXT = {
    "own words": lambda: play({"deliver": '/bin/sh -c "echo 5.2.2 Over quota; exit 75"'}, *START, BODY), "left": in_turn({}, HELO, "QUIT"), "accepted": in_turn({}, *START, BODY),
    "loop": in_turn({}, HELO, MAIL, RCPT, RCPT2, DATA, OURS + BODY), "mixed": half, "lost": leaves,
    "no certificate": on_socket({"tls_certificate": "/nonexistent/fullchain.pem"}, HELO, "STARTTLS"), "handshake": on_socket({"tls_certificate": "self-signed"}, HELO, "STARTTLS", then=b"EHLO again\r\n"),
}
shown = dict(re.findall(r"^ *@record (.*)\n *(.*)$", text, re.M))
equal(sorted(shown), sorted(TEXT), "each record of the text has its session")
for name, template in shown.items():
    heard = TEXT[name]() if name in TEXT else Heard(b"", b"")
    ok(any(matches(template, r) for r in heard.records), f"the text's record, {name}", "\n".join([template, *heard.records]))
done()
