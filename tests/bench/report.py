"""The logs that tests/bench/report.sh measures with. Records are made by the real program: each kind of session is played
once, and what smtpin sends to the journal is the template of many sessions with other clients, addresses, ids and times.

report.py journal BUILD RECORDS     an export of the journal (journalctl -o export) on standard output; on standard error the
                                    number of messages in it
report.py postfix MESSAGES          the mail log of a Postfix with as many messages, and as many sessions without one: the lines
                                    that Postfix 3.7 writes for a message that its smtpd takes and its pipe(8) delivers, for
                                    one that is deferred, for a client that may not relay, and for one that says nothing
report.py cpu COMMAND...            what it takes of the processor, in seconds; its output is dropped
report.py picture HTML              docs/report.svg, out of a page of smtpin-report --html"""
import os, random, re, resource, subprocess, sys, tempfile, time

LISTENER = r"""
import os, socket, subprocess, sys
os.makedirs("/run/systemd/journal")
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("/run/systemd/journal/socket"); s.setblocking(False); os.chmod("/run/systemd/journal/socket", 0o666)
log = open(sys.argv[1], "w"); st = os.fstat(log.fileno())
env = {**os.environ, "JOURNAL_STREAM": f"{st.st_dev}:{st.st_ino}"}
subprocess.run(sys.argv[2:], stdin=0, stdout=subprocess.DEVNULL, stderr=log, env=env)
while True:
    try: sys.stdout.write(s.recv(70000).decode() + "\n")
    except BlockingIOError: break
"""
INSIDE = ["unshare", *([] if os.geteuid() == 0 else ["-r"]), "--mount", "--propagation", "private", "sh", "-c", 'mount -t tmpfs tmpfs /run && exec "$@"', "sh"]
HELLO = b"EHLO client-h.example.com\r\nMAIL FROM:<sender-s@example.com>\r\n"
TO = b"RCPT TO:<jane-r@example.org>\r\n"
MAIL = b"DATA\r\nSubject: x\r\n\r\n" + b"A line of a message of every day, and some more words.\r\n" * 60 + b".\r\n"
QUIT = b"QUIT\r\n"
# (how often, settings, what the client says)
SESSIONS = [
    (60, {}, HELLO + TO + MAIL + QUIT),
    (5, {}, HELLO + TO + b"RCPT TO:<bob-r@example.org>\r\n" + MAIL + QUIT),
    (8, {"deliver": "/bin/sh -c \"cat >/dev/null; echo mailbox is locked >&2; exit 75\""}, HELLO + TO + MAIL + QUIT),
    (3, {"deliver": "/bin/sh -c \"cat >/dev/null; exit 67\""}, HELLO + TO + MAIL + QUIT),
    (12, {}, HELLO + b"RCPT TO:<jane-r@elsewhere.example>\r\n" + QUIT),
    (4, {}, b"EHLO client-h.example.com\r\n" + QUIT),
    (4, {}, b""),
    (3, {}, b"GET / HTTP/1.0\r\n\r\n"),
    (1, {}, HELLO + TO + b"DATA\r\nSubject: cut\r\n"),
]
# What journald adds to each record of a service.
TRUSTED = """_TRANSPORT=journal
_UID=995
_GID=995
_COMM=smtpin
_EXE=/usr/sbin/smtpin
_CMDLINE=/usr/sbin/smtpin
_CAP_EFFECTIVE=0
_SELINUX_CONTEXT=unconfined
_SYSTEMD_CGROUP=/smtpin.slice/smtpin.service
_SYSTEMD_UNIT=smtpin.service
_SYSTEMD_SLICE=smtpin.slice
_SYSTEMD_INVOCATION_ID=3e2f0c5b7c3f4cf7a6f1c1fb6ab6b1ce
_BOOT_ID=4c1c5a2e9d8f4d6fb3c7a1e2d3f4a5b6
_MACHINE_ID=0f1e2d3c4b5a69788796a5b4c3d2e1f0
_HOSTNAME=mx.example.org
_RUNTIME_SCOPE=system
"""


def base32(n):
    digits = ""
    while True:
        digits = "0123456789abcdefghijklmnopqrstuv"[n % 32] + digits
        n //= 32
        if n == 0: return digits


def templates(build):
    """[(how often, [record as text])]"""
    made = []
    with tempfile.TemporaryDirectory() as work:
        os.chmod(work, 0o755)
        with open(f"{work}/listener.py", "w") as f: f.write(LISTENER)
        for often, settings, said in SESSIONS:
            settings = {"hostname": "mx.example.org", "domains": "example.org", "deliver": "/bin/sh -c \"cat >/dev/null\"", "client_address": "192.0.2.1", "client_name": "client-h.example.com", **settings}
            command = [*INSIDE, sys.executable, f"{work}/listener.py", f"{work}/stream", f"{build}/smtpin", "-f", "/dev/null", *[w for k, v in settings.items() for w in ("-o", f"{k}={v}")]]
            out = subprocess.run(command, input=said, capture_output=True, check=True).stdout.decode()
            records = [r + "\n" for r in out.split("\n\n") if r and "MESSAGE=configuration" not in r]
            assert records, (settings, out)
            # Marks in the place of what differs from session to session.
            session = re.search(r"^SMTP_SESSION=(.*)$", out, re.M)[1]
            made.append((often, [r.replace(session, "\0i").replace("192.0.2.1", "\0a").replace("client-h", "\0h").replace("sender-s@example.com", "\0s").replace("jane-r", "\0r").replace("bob-r", "\0q")
                                 .replace("delivery_milliseconds=", "delivery_milliseconds=\0m").replace("DELIVERY_MILLISECONDS=", "DELIVERY_MILLISECONDS=\0m") for r in records]))
    return made


class Traffic:
    """Clients and addresses: a few that are there often, many that are there once."""
    def __init__(self): self.random = random.Random(20261129)
    def rank(self): return int(self.random.paretovariate(0.6)) % 200000
    def client(self):
        n = self.rank() * 7919 % 0xdf0000 + 0x010000
        return f"{(n >> 16) % 223 + 1}.{n >> 8 & 255}.{n & 255}.{self.random.randrange(1, 4)}"
    def sender(self): return f"user{self.random.randrange(50)}@d{self.rank()}.example.com"
    def recipient(self): return f"user{self.rank() % 20000}"
    def helo(self): return f"mail{self.rank()}"
    def milliseconds(self): return str(int(self.random.lognormvariate(2.5, 1)))[:4]


def journal(build, records):
    kinds, traffic, out = templates(build), Traffic(), sys.stdout
    weights, bodies = [k for k, _ in kinds], [b for _, b in kinds]
    begin = int(time.time() * 1000000) - 7 * 86400 * 1000000
    made = messages = 0
    while made < records:
        at = begin + made * 6 * 86400 * 1000000 // records
        marks = {"\0i": base32(at) + base32(1000 + made % 30000), "\0a": traffic.client(), "\0h": traffic.helo(), "\0s": traffic.sender(), "\0r": traffic.recipient(), "\0q": traffic.recipient(), "\0m": traffic.milliseconds()}
        for record in traffic.random.choices(bodies, weights)[0]:
            text = re.sub("\0.", lambda m: marks[m[0]], record)
            messages += "MESSAGE=transaction" in text
            out.write(f"__REALTIME_TIMESTAMP={at + made % 7}\n__MONOTONIC_TIMESTAMP={at - begin + 1000 + made % 7}\n{TRUSTED}_PID={1000 + made % 30000}\n_SOURCE_REALTIME_TIMESTAMP={at}\n{text}\n")
            made += 1
    print(messages, file=sys.stderr)


def postfix(messages):
    traffic, out = Traffic(), sys.stdout
    begin = time.time() - 7 * 86400
    for n in range(messages):
        at = time.strftime("%b %e %H:%M:%S", time.localtime(begin + n * 6 * 86400 / messages))
        line = lambda program, text: out.write(f"{at} mx postfix/{program}[{1000 + n % 30000}]: {text}\n")
        queue, client, helo, sender, recipient = f"{0x4F0000 + n:X}", traffic.client(), traffic.helo(), traffic.sender(), traffic.recipient()
        name = f"{helo}.example.com[{client}]"
        line("smtpd", f"connect from {name}")
        if traffic.random.random() < 11 / 89:  # as many as in SESSIONS
            line("smtpd", f"lost connection after CONNECT from {name}")
            line("smtpd", f"disconnect from {name} commands=0/0")
            line("smtpd", f"connect from {name}")
        kind = traffic.random.random()
        if kind < 0.14:
            line("smtpd", f"NOQUEUE: reject: RCPT from {name}: 454 4.7.1 <{recipient}@elsewhere.example>: Relay access denied; from=<{sender}> to=<{recipient}@elsewhere.example> proto=ESMTP helo=<{helo}.example.com>")
            line("smtpd", f"disconnect from {name} ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4")
            continue
        line("smtpd", f"{queue}: client={name}")
        line("cleanup", f"{queue}: message-id=<{queue}.{n}@{helo}.example.com>")
        line("qmgr", f"{queue}: from=<{sender}>, size=3612, nrcpt=1 (queue active)")
        line("smtpd", f"disconnect from {name} ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5")
        if kind < 0.23:
            line("pipe", f"{queue}: to=<{recipient}@example.org>, relay=command, delay=0.07, delays=0.05/0/0/0.02, dsn=4.3.0, status=deferred (temporary failure. Command output: mailbox is locked )")
        else:
            for to in (recipient, traffic.recipient())[:1 + (kind > 0.94)]:
                line("pipe", f"{queue}: to=<{to}@example.org>, relay=command, delay=0.07, delays=0.05/0/0/0.02, dsn=2.0.0, status=sent (delivered via command service)")
            line("qmgr", f"{queue}: removed")


def cpu(command):
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{used.ru_utime + used.ru_stime:.3f}")


def picture(path):
    """The first lines and both pictures of the page, as one that stands by itself."""
    page = open(path, encoding="utf-8").read()
    style = re.search(r"<style>\n(.*?)</style>", page, re.S)[1]
    charts = [re.search(rf'<svg class="{c}"[^>]*>(.*?)</svg>', page, re.S)[1] for c in ("hours", "delivery")]
    charts = [re.sub(r"<title>.*?</title>\n", "", c) for c in charts]
    # The bars of one colour as one path, which is shorter.
    bars = re.compile(r'<rect class="(\w+)" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"/>')
    for n, c in enumerate(charts):
        paths = {}
        for kind, x, y, width, height in bars.findall(c): paths[kind] = paths.get(kind, "") + f"M{x} {y}h{width}v{height}h-{width}"
        charts[n] = bars.sub("", c).strip() + "".join(f'<path class="{k}" d="{d}"/>' for k, d in paths.items())
        charts[n] = re.sub(r"\n+", "\n", charts[n])
    when = re.search(r"<h1>Mail of smtpin</h1>\n<p>(.*?)</p>", page)[1]
    rows = [(m[1], m[2], m[3]) for m in re.finditer(r'<td class="n">([\d,]+)</td><td><b class="(\w+)">&#9632;</b> (.*?)</td>', page)]
    times = re.search(r"<p>(Median .*?)\. The", page)[1]
    rules = re.findall(r'<tr><td class="n">(\d+)</td><td class="n">(\d+)</td><td><b>(\w+)</b>: (.*?)</td>', page)[:5]
    # The page's own colours; its sizes are for a browser window.
    colours = "\n".join(l.replace(":root", "svg") for l in style.splitlines() if ":root" in l)
    shapes = "\n".join(re.sub(r"rect\.", ".", l) for l in style.splitlines() if l.startswith(("path.", "rect.", "text.")))
    y, parts = 64, []
    def text(x, words, css=""): parts.append(f'<text x="{x}" y="{y}"{css}>{words}</text>')
    for n, kind, words in rows:
        parts.append(f'<rect class="{kind}" x="92" y="{y - 10}" width="10" height="10"/>')
        text(84, n, ' class="end"'); text(110, words)
        y += 19
    y += 18
    for title, chart, note in (("Messages by hour of the day", charts[0], ""), ("Delivery times", charts[1], times)):
        text(20, title, ' class="title"')
        parts.append(f'<g transform="translate(10 {y + 8})">{chart.strip()}</g>')
        y += 258
        if note: text(20, note); y += 32
    text(20, "Refusals by rule", ' class="title"')
    y += 22
    for later, good, name, words in rules:
        text(84, later, ' class="end"'); text(164, good, ' class="end"'); text(180, f"{name}: {words}")
        y += 19
    print(f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 750 {y}" width="750" height="{y}" font-family="sans-serif" font-size="13">
<title>A report of smtpin-report</title>
<desc>The page that smtpin-report --html writes: how many messages were accepted, deferred, refused and abandoned; a pile of bars for each hour of the day; bars for how long deliveries took, with median, 95 and 99 per cent; and the rules that refused, with what each means.</desc>
<style>
{colours}
text{{fill:var(--text)}}g text{{font-size:12px;fill:var(--dim)}}.title{{font-weight:bold;font-size:15px}}
{shapes}
</style>
<rect width="750" height="{y}" style="fill:var(--back)"/>
<text x="20" y="36" class="title">Mail of smtpin, {when}</text>
""" + "\n".join(parts) + "\n</svg>")


if __name__ == "__main__":
    if sys.argv[1] == "journal": journal(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1] == "postfix": postfix(int(sys.argv[2]))
    elif sys.argv[1] == "cpu": cpu(sys.argv[2:])
    else: picture(sys.argv[2])
