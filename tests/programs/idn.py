"""Internationalized domains: U-label and A-label, upper case and decomposed forms are one domain for rules and macros; the address is handed over as it came."""
import unicodedata
from harness import *

STATIC = os.environ.get("SMTPIN_STATIC") == "1"
A, U = "xn--mller-kva.example", "müller.example"
FORMS = [A, A.upper(), U, "MÜLLER.Example", unicodedata.normalize("NFD", U), "mail." + U, "mail." + A, "xn--mller-kva.EXAMPLE"]
OTHERS = ["muller.example", "möller.example", "xn--mller-kvb.example", "a.b." + "☃" + "x.example", "\u200b.example", "xn--a-\u00fc.example", "ü" * 31 + ".example"]
seen = os.path.join(TMP, "seen")
script = write("script", f'#!/bin/sh\nprintf "%s|%s|%s|%s\\n" "$1" "$2" "$RECIPIENT" "$DOMAIN" >{seen}\n')
DELIVER = f"{script} ${{recipient}} ${{domain}}"


def rcpt(address, settings, sender="a@client.example"):
    """The replies to RCPT and to the message, and the log."""
    text = f"EHLO c.example\r\nMAIL FROM:<{sender}> SMTPUTF8\r\nRCPT TO:<{address}>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n"
    if os.path.exists(seen): os.unlink(seen)
    out, err, status = pipe(text.encode(), {"deliver": DELIVER, "log": "stderr", **settings})
    return [l.decode() for l in out.split(b"\r\n") if l[3:4] == b" "][3:], err.decode(), status


LISTS = {"A-label": f"{A} .{A}", "U-label": f"{U} .{U}", "both among others": f"example.org, {U.upper()} .{A}"}
for name, domains in LISTS.items():
    for sandbox in ("auto", "no"):
        settings = {"domains": domains, "sandbox": sandbox}
        for domain in FORMS:
            replies, err, status = rcpt("jane@" + domain, settings)
            if STATIC and not domain.isascii():
                listed = domain in {"U-label": (U, "mail." + U), "both among others": ("MÜLLER.Example",)}.get(name, ())
                ok(replies[0].startswith("250" if listed else "451 4.3.5") and status == 0, f"static, {name}, {domain}: {'as it is listed' if listed else 'later'}", (replies, err))
                if not listed: ok("rule=no_idn" in err, "and a record", err)
                continue
            if STATIC and name == "U-label":
                ok(replies[0].startswith("550 5.7.1"), f"static, {name}, {domain}: another name", (replies, err))
                continue
            if STATIC and name != "A-label" and not domain.startswith("mail"):
                continue
            shown = "".join(chr(b) if b < 128 else "?" for b in domain.encode())
            ok(replies[0] == f"250 2.1.5 <jane@{shown}> Recipient ok" and replies[2].startswith("250 2.0.0"), f"{name}, sandbox = {sandbox}: {domain}", (replies, err))
            words = open(seen).read().rstrip("\n").split("|") if os.path.exists(seen) else []
            wanted = domain if domain.isascii() else ("mail." if domain.startswith("mail") else "") + A
            equal(words, ["jane@" + domain, wanted, "jane@" + domain, wanted], f"{domain}: the address as it came, the domain as A-label")
        for domain in OTHERS:
            replies, err, status = rcpt("jane@" + domain, settings)
            code = "451 4.3.5" if STATIC and not domain.isascii() else "550 5.7.1"
            ok(replies[0].startswith(code) and status == 0, f"{name}, sandbox = {sandbox}: {domain!r} is {code}", (replies, err))
        replies, err, _ = rcpt("postmaster@" + U, settings)
        ok(replies[0].startswith("250") or STATIC, f"{name}: postmaster", (replies, err))
replies, err, _ = rcpt("pelé@example.org", {})
ok(replies[0].startswith("250"), "a local-part outside ASCII needs no library", (replies, err))

# Tables: a text table's key may have either form, in any case and composed or not; without the library nobody is refused for good.
KEYS = [A, U, "MÜLLER.Example", unicodedata.normalize("NFD", U)]
for key in KEYS:
    for domain in (A, U, "Müller.EXAMPLE"):
        ours = {"domains": f"{A} {U} Müller.EXAMPLE example.org"}
        for setting, value, sender, to, wanted in (
                ("recipients", "", "a@client.example", f"jane@{domain}", "250"), ("recipients", "550 5.1.6 Moved", "a@client.example", f"jane@{domain}", "550 5.1.6"),
                ("aliases", "550 5.1.6 Moved", "a@client.example", f"jane@{domain}", "550 5.1.6"), ("senders", "550 5.7.1 Not you", f"jane@{domain}", "bob@example.org", "550 5.7.1"),
                ("sender_login", "jane", f"jane@{domain}", "bob@example.org", "550 5.7.1")):
            source = text_table("keys", f"jane@{key} {value}\n")
            replies, err, _ = rcpt(to, {**ours, setting: source}, sender=sender)
            if STATIC: wanted = (wanted, "451", "250") if setting != "recipients" or key == domain else ("451", "250", wanted)
            ok(replies[0].startswith(wanted) and not (STATIC and replies[0].startswith("550 5.1.1")), f"{setting}: the key jane@{key}, and {sender if setting.startswith('sender') else to}: {wanted}", (replies, err))
    for parent in ("", "."):
        source = text_table("keys", f"{parent}{key} OK\n")
        for domain in (A, U):
            replies, err, _ = rcpt(f"jane@{'mail.' if parent else ''}{domain}", {"domains": source})
            ok(replies[0].startswith(("250", "451") if STATIC else "250"), f"domains: the key {parent}{key}, and {domain}", (replies, err))
    # What it stands for is one recipient, however it is written.
    if not STATIC:
        source = text_table("keys", f"both@example.org jane@{key}, jane@{A}, jane@{U}\n")
        replies, err, _ = rcpt("both@example.org", {"domains": f"{A} example.org", "aliases": source})
        ok(replies[0].startswith("250") and re.findall(r"alias=\"?([^\s\"]*)", err) == [f"jane@{key}"], f"an alias for jane@{key} and its other forms is one recipient", (replies, err))
other = text_table("keys", "jane@müllers.example OK\njane@☃\u200b.example OK\n")
replies, err, _ = rcpt("jane@" + A, {"domains": A, "recipients": other})
ok(replies[0].startswith("451" if STATIC else "550 5.1.1"), "another domain's key", (replies, err))
for name, key, status in (("a key outside ASCII", f"jane@{U}", 0), ("its domain's", f"@{U}", 0), ("one that is no domain", "jane@☃\u200b.example", 0 if STATIC else 78)):
    p = subprocess.run([*arguments({"recipients": text_table("keys", key + " OK\n"), "domains": A, "deliver": "/bin/true"}), "--check"], capture_output=True, text=True, timeout=60)
    ok(p.returncode == status, f"--check: {name}", p.stdout)

# Who has no library says so.
conf = write("idn.conf", f"domains = {A}\ndeliver = /bin/true\nspool_dir = {TMP}\nuser = \n", 0o644)
p = subprocess.run([SMTPIN, "-f", conf, "--check"], capture_output=True, text=True)
ok(("libidn2" in p.stdout) == STATIC and p.returncode == 0, "--check says whether libidn2 can be loaded", p.stdout + p.stderr)
p = subprocess.run([SMTPIN, "-f", conf, "-o", "domains=☃☃\u200b.example", "--check"], capture_output=True, text=True)
ok(p.returncode == (0 if STATIC else 78), "a word that is no domain name", p.stdout + p.stderr)
p = subprocess.run([SMTPIN, "-f", conf, "--explain", "--sender", "a@b.example", "--recipient", "jane@" + A], capture_output=True, text=True)
ok("domains: accept" in p.stdout and p.returncode == 0, "--explain", p.stdout + p.stderr)
if not STATIC:
    maps = pipe(b"EHLO c\r\nQUIT\r\n", {"domains": A, "deliver": "/bin/true"})
    trace = os.path.join(TMP, "trace")
    if have("strace") and not SANITIZED:
        subprocess.run(["strace", "-f", "-e", "trace=openat", "-o", trace] + arguments({"domains": A, "deliver": "/bin/true", "log": "none"}), input=mail(), capture_output=True, timeout=60)
        ok("idn" not in open(trace).read(), "no library is loaded for a domain in ASCII")
        subprocess.run(["strace", "-f", "-e", "trace=openat", "-o", trace] + arguments({"domains": A, "deliver": "/bin/true", "log": "none"}), input=mail(envelope=f"EHLO c\r\nMAIL FROM:<> SMTPUTF8\r\nRCPT TO:<a@{U}>\r\nDATA\r\n".encode()), capture_output=True, timeout=60)
        ok("libidn2" in open(trace).read(), "it is, for one outside ASCII")
# smtpin-maildir: a domain's directory is its A-labels; where these can't be had, nobody is refused for good, and nothing goes
# into a second mailbox.
def box(domain, *args):
    p = subprocess.run([MAILDIR, *args, "--", store, "jane@" + domain], input=b"Subject: x\n\nx\n", capture_output=True, timeout=30)
    return p.returncode
for existing in (A, U):
    store = os.path.join(TMP, "store-" + existing)
    for sub in ("new", "cur", "tmp"): os.makedirs(os.path.join(store, existing, "jane", sub))
    for domain in (A, U):
        wanted = 75 if STATIC and domain != existing else 0
        equal(box(domain, "-n"), wanted, f"smtpin-maildir -n, {existing} is there, mail for {domain}: {wanted}")
        equal(box(domain), wanted, f"smtpin-maildir, {existing} is there, mail for {domain}")
    equal(sorted(d for d in os.listdir(store)), [existing], "and no second mailbox")
store = os.path.join(TMP, "store-new"); os.mkdir(store)
equal(box(U), 0, "a new Maildir is made")

# smtpin with musl asks the smtpin-idn beside it, and believes it no more than a client: whatever that does, nobody is refused for
# good, nobody waits for long, and nothing is left.
if not LOADS and not STATIC:
    place = os.path.join(TMP, "place"); os.mkdir(place)
    shutil.copy(SMTPIN, place)
    helper, asked = os.path.join(place, "smtpin-idn"), os.path.join(TMP, "asked")
    REAL = os.path.join(BUILD, "smtpin-idn")
    TALK = f"#!{sys.executable}\nimport os, socket, sys, time\ns = socket.socket(fileno=0)\n"
    late, fine, wrong = "451 4.3.5", "250 2.1.5", "550 5.7.1"
    def answers(what): return TALK + f"while s.recv(4096): s.send({what!r})\n"
    for name, script, wanted in (
            ("is not there", None, late), ("ends at once", "#!/bin/sh\nexit 0\n", late), ("can't be executed", "", late), ("closes its socket", TALK + "s.close(); time.sleep(60)\n", late),
            ("hangs", TALK + "time.sleep(60)\n", late), ("says what it was asked", TALK + "s.send(s.recv(4096)); time.sleep(60)\n", late), ("says nothing of it", answers(b"o"), late),
            ("says too much", answers(b"o" + b"x" * 600), late), ("says a name that is none", answers(b"ox..y"), wrong), ("says one outside ASCII", answers("oü.example".encode()), wrong),
            ("says one with a control character", answers(b"o" + A.encode() + b"\r\n250 ok"), wrong), ("says one with NUL", answers(b"o" + A.encode() + b"\0"), wrong), ("says another", answers(b"ootter.example"), wrong),
            ("says that it is none", answers(b"n"), wrong), ("says that it is none, and more", answers(b"nx"), late), ("has no library", answers(b"m"), late), ("says it in capital letters", answers(b"o" + A.upper().encode()), fine),
            ("is itself", f"#!/bin/sh\n{{ env; ls -l /proc/self/fd; }} >{asked}\nexec {REAL}\n", fine)):
        if os.path.exists(helper): os.unlink(helper)
        if script is not None: write(helper, script, 0o755 if script else 0o644)
        for sandbox in ("no", "auto"):
            text = f"EHLO c.example\r\nMAIL FROM:<a@b.example> SMTPUTF8\r\nRCPT TO:<jane@{U}>\r\nRCPT TO:<joe@{A}>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n"
            began = time.monotonic()
            p = subprocess.run([os.path.join(place, "smtpin"), *arguments({"domains": A, "deliver": DELIVER, "log": "none", "sandbox": sandbox})[1:]], input=text.encode(), capture_output=True, timeout=60)
            replies = [l.decode() for l in p.stdout.split(b"\r\n") if l[3:4] == b" "][3:]
            ok(replies[0].startswith(wanted) and replies[1].startswith(fine) and replies[3].startswith("250 2.0.0") and p.returncode == 0, f"smtpin-idn {name}, sandbox = {sandbox}: {wanted}; another recipient gets it", (replies, p.stderr))
            ok(time.monotonic() - began < 20, "and soon", time.monotonic() - began)
    was = open(asked).read()
    ok("HOME" not in was and "SMTPIN" not in was and len(set(re.findall(r"socket:\S*", was))) == 1 and "-> /" not in re.sub(r"(?m)^.* (?:1|255) -> .*$|^.*/proc/.*$", "", was), "smtpin-idn gets its socket, no other descriptor, and no environment", was)
    # A table with many such keys starts one for all of them.
    write(helper, f"#!/bin/sh\necho >>{asked}\nexec {REAL}\n"); os.unlink(asked)
    table = text_table("many", "".join(f"jane@ü{n}.example OK\n" for n in range(500)) + f"jane@{U} OK\n")
    p = subprocess.run([os.path.join(place, "smtpin"), *arguments({"domains": A, "deliver": DELIVER, "log": "none", "recipients": table})[1:]], input=mail(envelope=f"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<jane@{A}>\r\nDATA\r\n".encode()), capture_output=True, timeout=60)
    ok(b"250 2.1.5" in p.stdout and len(open(asked).read()) <= 2, "a table with 501 keys outside ASCII: one smtpin-idn for a look-up", (p.stdout, open(asked).read()))
    # One for a session, whatever is asked; a name that may be had on another day is not decided about.
    started = os.path.join(TMP, "started")
    COUNTED = f"#!{sys.executable}\nimport os, socket, subprocess\nopen({started!r}, 'a').write('x')\nleft = LEFT\ns = socket.socket(fileno=0)\nours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)\np = subprocess.Popen([{REAL!r}], stdin=theirs)\nwhile left != 0 and (said := s.recv(4096)):\n    left -= 1\n    ours.send(said); s.send(ours.recv(4096))\nours.close(); p.kill(); p.wait()\n"
    targets = ", ".join(f"t{n}@b\u00fccher{n}.example" for n in range(60))
    many = text_table("many-aliases", f"jane@{A} {targets}\n")
    few = text_table("few-aliases", f"jane@{A} k@{U}\nk@{A} real@{U}\n")
    senders = text_table("logins", f"x@{U} nobody\n")

    def said(settings, *rcpts, sender="a@b.example", login=None):
        if os.path.exists(started): os.unlink(started)
        if os.path.exists(seen): os.unlink(seen)
        text = f"EHLO c.example\r\nMAIL FROM:<{sender}> SMTPUTF8\r\n" + "".join(f"RCPT TO:<{r}>\r\n" for r in rcpts) + "DATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n"
        began = time.monotonic()
        p = subprocess.run([os.path.join(place, "smtpin"), *arguments({"domains": A, "deliver": DELIVER, "log": "none", **settings})[1:]], input=text.encode(), capture_output=True, timeout=90)
        replies = [l.decode() for l in p.stdout.split(b"\r\n") if l[3:4] == b" "]
        return replies, os.path.exists(started) and len(open(started).read()) or 0, time.monotonic() - began

    for sandbox in ("no", "auto"):
        write(helper, COUNTED.replace("LEFT", "-1"))
        replies, starts, _ = said({"aliases": many, "sandbox": sandbox}, f"jane@{U}", f"jane@{A}", f"joe@{U}")
        ok(replies[3].startswith("250") and starts == 1, f"an alias for 60 addresses outside ASCII, three times, sandbox = {sandbox}: one smtpin-idn", (replies, starts))
        for answers in range(9):
            write(helper, COUNTED.replace("LEFT", str(answers)))
            for name, settings in (("a stranger", {"aliases": few}), ("a trusted client", {"aliases": few, "relay_clients": "192.0.2.0/24", "client_address": "192.0.2.7"})):
                env = {"TCPREMOTEIP": "192.0.2.7", "PROTO": "TCP"} if "relay" in str(settings) else {}
                settings = {k: v for k, v in settings.items() if k != "client_address"}
                os.environ.update(env)
                replies, _, _ = said({**settings, "sandbox": sandbox}, f"jane@{U}")
                for k in env: del os.environ[k]
                words = open(seen).read().rstrip("\n").split("|")[:2] if os.path.exists(seen) else None
                ok(replies[3].startswith("451 4.3.5") and words is None or replies[3].startswith("250") and words == [f"real@{U}", A], f"{answers} answers, {name}, sandbox = {sandbox}: the right mailbox, or later", (replies, words))
            write(helper, COUNTED.replace("LEFT", "-1"))
        replies, _, _ = said({"domains": U, "sandbox": sandbox}, f"jane@{A}")
        ok(replies[3].startswith("250"), f"domains in UTF-8, sandbox = {sandbox}", replies)
        write(helper, COUNTED.replace("LEFT", "0"))
        replies, _, _ = said({"domains": U, "sandbox": sandbox}, f"jane@{A}")
        ok(replies[0].startswith("421"), f"domains in UTF-8, smtpin-idn fails, sandbox = {sandbox}: 421, no 550", replies)
    write(helper, TALK + "time.sleep(60)\n")
    replies, _, took = said({"aliases": text_table("three", f"joe@{A} a@ü1.example, b@ü2.example, c@ü3.example\n")}, f"joe@{A}", *(f"j{n}@{U}" for n in range(5)))
    ok(all(r.startswith("451 4.3.5") for r in replies[3:9]) and took < 9, "smtpin-idn hangs: a session waits for it once", (replies, took))
    for n in (1, 5):
        began = time.monotonic()
        p = subprocess.run([shutil.copy(MAILDIR, place), "--", TMP, *(f"j{n}@{U}" for n in range(n))], input=b"x: y\n\n", capture_output=True, timeout=60)
        ok(p.returncode == 75 and time.monotonic() - began < 6, f"smtpin-maildir, {n} recipients, smtpin-idn hangs: 75, and soon", (p, time.monotonic() - began))
    write(helper, COUNTED.replace("LEFT", "0"))
    p = subprocess.run([os.path.join(place, "smtpin"), "-f", "/dev/null", "-o", "hostname=x.example", "-o", f"domains={U}", "-o", "deliver=/bin/true", "--check"], capture_output=True, text=True, timeout=60)
    ok(p.returncode == 78 and "can't be had in ASCII now" in p.stdout + p.stderr, "--check says so", p.stdout + p.stderr)
    time.sleep(0.3)
    left = [c for c in (open(f"/proc/{d}/cmdline").read() for d in os.listdir("/proc") if d.isdigit() and os.path.exists(f"/proc/{d}/cmdline")) if place in c or REAL in c]
    ok(left == [], "no smtpin-idn is left", left)
    # In its filter it can take no memory: names of every kind and length, many of them, are no reason to be killed.
    import random
    chance, broken, known = random.Random(24), [], 0
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET); ours.settimeout(20)
    p = subprocess.Popen([REAL], stdin=theirs, env={}); theirs.close()
    letters = [(0x61, 0x7a), (0xdf, 0xff), (0x100, 0x24f), (0x300, 0x36f), (0x5d0, 0x5ea), (0x620, 0x64a), (0x1100, 0x11ff), (0x4e00, 0x9fff), (0x1f300, 0x1f9ff), (0x2e, 0x2e)]
    for i in range(20000):
        name = chance.randbytes(chance.randint(1, 300)) if i % 4 == 0 else ("ü" * chance.randint(1, 63) + ".").encode() * 4 if i % 4 == 1 else "".join(chr(chance.randint(*chance.choice(letters))) for _ in range(chance.randint(1, 8 if i % 4 == 2 else 120))).encode()
        try: ours.send(name[:300]); answer = ours.recv(4096)
        except OSError as e: broken.append((i, name, e)); break
        known += answer[:1] == b"o"
    filtered = re.search(r"Seccomp:\s*2", open(f"/proc/{p.pid}/status").read()) if not broken else None
    ours.close()
    ok(p.wait(20) == 0 and not broken and known > 100, "smtpin-idn answers 20,000 names of every kind", (broken, known, p.returncode))
    ok(filtered, "and can make no other system call than those of the worker")
    p = subprocess.run([REAL], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    ok(p.returncode == 64 and "smtpin starts it" in p.stderr, "smtpin-idn by hand says what it is", p.stderr)

# What comes without a domain gets one in ASCII.
conf = write("own.conf", f"hostname = mx.example.org\ndomains = {U} example.net\ndeliver = {DELIVER}\nlog = none\n[local]\ntolerate = unqualified\n", 0o644)
p = subprocess.run([SMTPIN, "-f", conf, "-o", "socket=local"], input=b"EHLO c\r\nMAIL FROM:<root>\r\nRCPT TO:<root>\r\nQUIT\r\n", capture_output=True, timeout=30)
own = "example.net" if STATIC else A
ok(f"<root@{own}> Sender ok".encode() in p.stdout and f"<root@{own}> Recipient ok".encode() in p.stdout, "unqualified: a domain in ASCII", p.stdout)
done()
