"""Every delivery command in the documents, as it stands there, with one and with two recipients of whom one is refused: nobody hears 250 for a refused one, nor 5yz for one that is stored."""
import glob, http.server, json, threading
from harness import *
import document

LMTP = os.path.join(BUILD, "smtpin-lmtp")
GOOD, GONE = "good@example.org", "gone@example.org"
stored = os.path.join(TMP, "stored")


def settings_of(text):
    """({key: value}, the first key that stands twice or None) of lines `key = value` outside of sections."""
    settings, twice = {}, None
    for m in re.finditer(r"^([a-z_]+) = (.*)$", re.sub(r"\n[ \t]+", " ", text).split("\n[")[0], re.M):
        if m[1] == "tls_certificate" and m[1] in settings: settings[m[1]] += ", " + m[2]; continue
        if m[1] in settings: twice = twice or m[1]
        settings[m[1]] = m[2]
    return settings, twice


def recipes():
    """(where, {key: value}, the key that stands twice): each `conf` block of the documents; `deliver = ...` in running text; and the examples in units/, behind a #."""
    for b in document.blocks(SOURCE):
        # Filters are not there: who runs such a block has some.
        if b.language == "conf" and not b.text.startswith("[") and not b.argument.startswith("tests/programs/milter"): yield (b.where, *settings_of(b.text))
    examples = ["units/smtpin.conf", *sorted(glob.glob("units/drop-ins/*.conf", root_dir=SOURCE))]
    for name in [*document.names(SOURCE), *examples]:
        text = open(os.path.join(SOURCE, name)).read()
        for m in re.finditer(r"`deliver = ([^`]*)`(?: with `(\w+) = (\w+)`)?", " ".join(l.lstrip("# ") for l in text.split("\n"))):
            if "..." not in m[1]: yield name, {"deliver": m[1], **({m[2]: m[3]} if m[2] else {})}, None
        if name in examples:
            for m in re.finditer(r"(?:^# *[a-z_]+ = .*\n)+", text, re.M):
                settings, twice = settings_of(re.sub("^# *", "", m[0], flags=re.M))
                if "deliver" in settings: yield f"{name}:{text.count(chr(10), 0, m.start()) + 1}", settings, twice


def stand_in(name, body):
    return write(os.path.join("bin", name), f"#!{sys.executable}\nimport os, sys\ndef store(who): open({stored!r}, 'a').write(who + '\\n')\nargs = sys.argv[1:]\n" + body)


os.mkdir(os.path.join(TMP, "bin"))
# Of programs that take a machine of their own: what their manuals say of words and exit statuses (commands.py runs them).
one = "who = args.pop(args.index('-d') + 1)\nargs.remove('-d')\nif '-f' in args: del args[args.index('-f'):args.index('-f') + 2]\nif [a for a in args if a not in ('-e', '-t')]: sys.exit(64)\nwho = who.split('@')[0]\nif who == 'gone': sys.exit(67)\nstore(who)\n"
PROGRAMS = {
    "dovecot-lda": stand_in("dovecot-lda", one), "procmail": stand_in("procmail", one), "maildrop": stand_in("maildrop", one),
    # Each recipient is a queue's own business later, or a directory's: these refuse a message, not a recipient.
    "sendmail": stand_in("sendmail", "assert args[:3] == ['-i', '-f', 's@example.com'] and args[3] == '--'\n[store(a.split('@')[0]) for a in args[4:]]\n"),
    "my-script": stand_in("my-script", "who = args[2:] if args else [os.environ['RECIPIENT']]\nif 'gone@example.org' in who: sys.exit(67 if len(who) == 1 else 75)\n[store(w.split('@')[0]) for w in who]\n"),
    "sh": "/bin/sh", "smtpin-lmtp": LMTP, "smtpin-maildir": MAILDIR,
}
box = os.path.join(TMP, "fdm"); os.mkdir(box)
write("bin/fdm", "#!/bin/sh\ncat >/dev/null\necho good >>%s\necho 1 messages processed\n" % stored)


class Server(threading.Thread):
    """An LMTP server that has no mailbox gone@."""
    def __init__(self):
        super().__init__(daemon=True)
        self.path = os.path.join(TMP, "lmtp.sock"); self.s = socket.socket(socket.AF_UNIX); self.s.bind(self.path); self.s.listen()
        self.start()

    def run(self):
        while True:
            c, _ = self.s.accept()
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        f = c.makefile("rb"); c.sendall(b"220 x\r\n"); taken = []
        for line in f:
            verb = line[:4].upper()
            if verb == b"RCPT" and b"gone" in line: c.sendall(b"550 5.1.1 no such user\r\n")
            elif verb == b"RCPT": taken.append("good"); c.sendall(b"250 ok\r\n")
            elif verb == b"DATA":
                c.sendall(b"354 go\r\n")
                while f.readline() != b".\r\n": pass
                for t in taken: open(stored, "a").write(t + "\n"); c.sendall(b"250 2.0.0 stored\r\n")
            else: c.sendall(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
        c.close()


class Endpoint(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        gone = GONE in str(self.headers)
        # The whole envelope, one recipient.
        if self.headers["Content-Type"] != "message/rfc822" or self.headers["Mail-From"] != "<s@example.com>" or not re.fullmatch(r"<\w+@example\.org>", self.headers["Rcpt-To"] or ""): gone = True
        if not gone: open(stored, "a").write("good\n")
        self.send_response(404 if gone else 200); self.end_headers()

    def log_message(self, *a): pass


server = Server()
web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
threading.Thread(target=web.serve_forever, daemon=True).start()
redis_socket = os.path.join(TMP, "redis.sock")
redis = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", redis_socket, "--dir", TMP, "--save", ""], stdout=subprocess.DEVNULL) if have("redis-server") else None
token = write("token", "Authorization: Bearer x\n", 0o644)
for _ in range(200):
    if os.path.exists(redis_socket) or not redis: break
    time.sleep(0.05)


def here(settings):
    """The same with what this machine has: the program, the servers' addresses."""
    words = settings["deliver"].split()
    name = words[0].split("/")[-1]
    line = settings["deliver"].replace(words[0], PROGRAMS.get(name, name), 1)
    if name == "smtpin-lmtp": line = f"{LMTP} {server.path} -- " + line.split(" -- ", 1)[1]
    if name == "smtpin-maildir": line = re.sub(r"/\S+ (\$\{recipient\})", rf"{mail} \1", line)
    if name == "curl": line = re.sub(r"https?://\S+", f"http://127.0.0.1:{web.server_port}/in", line)
    if name == "redis-cli": line = re.sub(r"(-s \S+ )?-x", f"-s {redis_socket} -x", line, count=1)
    if name == "sh": line = line.replace("fdm", os.path.join(TMP, "bin/fdm"), 1)
    if "tls" in settings: settings = {**settings, "tls_command": os.path.join(BUILD, "smtpin-tls")}
    if "tls_certificate" in settings: settings = {**settings, "tls_certificate": document.certificates(f"tls_certificate = {settings['tls_certificate']}", os.path.join(TMP, "tls")).split(" = ", 1)[1]}
    return name, {**settings, "deliver": line}


def send(settings, recipients, **more):
    if os.path.exists(stored): os.unlink(stored)
    if os.path.isdir(mail): clear(mail + "/example.org/good/new")
    if redis: subprocess.run(["redis-cli", "-s", redis_socket, "DEL", "mail"], capture_output=True)
    text = "EHLO c\r\nMAIL FROM:<s@example.com>\r\n" + "".join(f"RCPT TO:<{r}>\r\n" for r in recipients) + "DATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n"
    if more.get("protocol") == "lmtp": text = "L" + text.replace("EHLO", "HLO", 1)
    out, err, _ = pipe(text.encode(), {**settings, **more, "log": "stderr"}, env={**os.environ, "CREDENTIALS_DIRECTORY": TMP})
    have_it = sorted(set(open(stored).read().split())) if os.path.exists(stored) else []
    if MAILDIR in settings["deliver"]:
        have_it = [""] * len(os.listdir(mail + "/example.org/good/new")) and ["good"]
    if redis and "redis-cli" in settings["deliver"]:
        have_it = ["gone" if GONE in json.dumps(e) else "good" for e in json.loads(subprocess.run(["redis-cli", "-s", redis_socket, "--json", "-3", "XRANGE", "mail", "-", "+"], capture_output=True, text=True).stdout or "[]")]
    return [l.decode() for l in out.split(b"\r\n") if l[3:4] == b" "][4 + len(recipients):-1], have_it, err.decode()


# Maildirs: the directories are the list of users.
mail = os.path.join(TMP, "mail")
for user in ("good", "good2"):
    for d in ("new", "cur", "tmp"): os.makedirs(f"{mail}/example.org/{user}/{d}")
BOTH = [GOOD, "good2@example.org"]


REFUSES = {"smtpin-maildir", "smtpin-lmtp", "curl", "my-script", "dovecot-lda", "procmail", "maildrop"}
seen = set()
for where, settings, twice in recipes():
    if twice:
        ok(False, f"{where}: {twice} stands twice"); continue
    if "deliver" not in settings: settings = {**settings, "deliver": "smtpin-maildir -n -- /var/mail/smtpin ${recipient}", "deliver_replies": "each"}
    program, local = here(settings)
    where = f"{where}: {program}"
    seen.add(program)
    if program == "redis-cli" and not redis: skip(where, "no redis-server"); continue
    if program == "curl" and not have("curl"): skip(where, "no curl"); continue
    conf = write("documents.conf", "".join(f"{k} = {v}\n" for k, v in {"domains": "example.org", "spool_dir": TMP, **local}.items()), 0o644)
    p = subprocess.run([SMTPIN, "-f", conf, "--check"], capture_output=True, text=True)
    ok(p.returncode == 0 and not re.search(r"deliver_\w+: (?!note)", p.stdout), f"{where}: --check", p.stdout + p.stderr)
    replies, have_it, err = send(local, BOTH)
    ok(len(replies) == 1 and replies[0].startswith("250") and have_it and "gone" not in have_it, f"{where}: two recipients", (replies, have_it, err))
    replies, have_it, err = send(local, [GOOD])
    ok(len(replies) == 1 and replies[0].startswith("250") and have_it == ["good"], f"{where}: one recipient", (replies, have_it, err))
    if program in REFUSES:
        replies, have_it, err = send(local, [GONE])
        ok(replies[0][0] in "45" and have_it == [], f"{where}: one who is refused is not told 250", (replies, have_it, err))
        for recipients in ([GOOD, GONE], [GONE, GOOD]):
            replies, have_it, err = send(local, recipients)
            ok(replies[0].startswith("451"), f"{where}: two, one of them refused: 451 for both", (replies, have_it, err))
        replies, have_it, err = send(local, [GOOD, GONE], protocol="lmtp")
        each = settings.get("deliver_per") == "recipient" or settings.get("deliver_replies") == "each"
        if each: ok(replies[0].startswith("250") and replies[1][0] in "45" and have_it == ["good"], f"{where}: each its own, by LMTP", (replies, have_it, err))
        else: ok([r[:3] for r in replies] == ["451", "451"], f"{where}: one answer for both, by LMTP", (replies, have_it, err))
ok({"smtpin-lmtp", "curl", "redis-cli", "my-script", "dovecot-lda", "procmail", "sendmail", "sh"} <= seen, "all were found", seen)

# The same command lines of our own with the settings that do not fit them: never 250 for a refusal, never 5yz for what is stored.
OURS = {"smtpin-lmtp": f"{LMTP} {server.path} -- ${{sender}} ${{recipient}}"}
OURS.update({f"smtpin-maildir {o}": f"{MAILDIR} {o} -- {mail} ${{recipient}}" for o in ("-nr", "-n")})
for what, command in OURS.items():
    for settings in ({}, {"deliver_replies": "each"}, {"deliver_per": "recipient"}, {"deliver_format": "qmail-queue"}, {"exit_map": "qmail"}, {"exit_map": "sysexits"}, {"exit_map": "qmail", "deliver_per": "recipient"},
                     {"reply_codes": "yes"}, {"deliver_through": "/usr/bin/nice"}, {"deliver_through": "/usr/bin/env -i", "deliver_replies": "each"}, {"deliver_through": "/usr/bin/env -i"}, {"digest": "always"}, {"partial": "single", "deliver_replies": "each"}):
        for protocol in ("smtp", "lmtp"):
            for recipients in ([GOOD], [GONE], [GOOD, GONE], [GONE, GOOD], [GONE, "gone2@example.org"]):
                replies, have_it, err = send({"deliver": command, **settings}, recipients, protocol=protocol)
                has = have_it == ["good"]
                each = replies if protocol == "lmtp" else replies * len(recipients)
                if settings.get("partial") == "single" and protocol == "smtp": continue
                wrong = [(r, reply) for r, reply in zip(recipients, each) if (reply[0] == "2" and r != GOOD) or (reply[0] == "2" and not has) or (reply[0] == "5" and r == GOOD)]
                ok(not wrong and len(each) == len(recipients), f"{what} {settings} {protocol} {[r.split('@')[0] for r in recipients]}: no refusal is told as 250", (replies, has, err))

# Behind what cleans the environment, both have it: 250, and once.
for what, command in OURS.items():
    if what == "smtpin-maildir -n": continue
    for settings in ({"deliver_replies": "each"}, {}):
        replies, have_it, err = send({"deliver": command, "deliver_through": "/usr/bin/env -i", **settings}, BOTH)
        ok(len(replies) == 1 and replies[0].startswith("250") and have_it == ["good"], f"{what} behind env -i, {settings}: two good recipients, 250", (replies, have_it, err))

# --check names what does not go together.
for settings, words in (({"deliver": f"{LMTP} /x -- ${{sender}} ${{recipient}}"}, "note: if one"), ({"deliver": f"/usr/bin/nice {MAILDIR} -n -- {mail} ${{recipient}}"}, "note: if one"), ({"deliver": "/usr/bin/env curl -f x", "deliver_replies": "each"}, "prints no line"),
                        ({"deliver": PROGRAMS["dovecot-lda"] + " -d ${recipient}"}, "takes one recipient"), ({"deliver": PROGRAMS["maildrop"] + " -d ${user}", "deliver_through": "/usr/bin/nice"}, "takes one recipient"), ({"deliver": f"{LMTP} /x -- s r", "deliver_format": "qmail-queue"}, "does not read the envelope"),
                        ({"deliver": f"{LMTP} /x -- ${{sender}} ${{recipient}}", "deliver_replies": "each"}, None), ({"deliver": f"{LMTP} /x -- ${{sender}} ${{recipient}}", "deliver_per": "recipient"}, None), ({"deliver": PROGRAMS["maildrop"] + " -d ${user}", "deliver_per": "recipient"}, None),
                        ({"deliver": PROGRAMS["my-script"] + " maildrop ${recipient}"}, None), ({"deliver": "nice " + PROGRAMS["my-script"] + " --via curl ${recipient}", "deliver_replies": "each"}, None), ({"deliver": "nice -n 5 env A=b curl x", "deliver_replies": "each"}, "prints no line"), ({"deliver_per": "recipient", "maildir": TMP}, None), ({"maildir": TMP}, None)):
    conf = write("clash.conf", "".join(f"{k} = {v}\n" for k, v in {"domains": "example.org", "spool_dir": TMP, **settings}.items()), 0o644)
    p = subprocess.run([SMTPIN, "-f", conf, "--check"], capture_output=True, text=True)
    good = words is None or words.startswith("note")
    ok((words is None or words in p.stdout) and (words or "deliver_" not in p.stdout) and p.returncode in ((0, 78) if "maildir" in settings else (0 if good else 78,)), f"--check {settings}: {words}", p.stdout + p.stderr)
web.shutdown()
if redis: redis.terminate(); redis.wait(20)
done()
