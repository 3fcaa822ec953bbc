"""Tables as administrators make them: `cdb -c`, `cdb -c -m`, Postfix's `postmap cdb:`, a text file; whole, cut, and while an editor writes them. What --lookup, --check and a client hear."""
import random
from harness import *

CR, LF = b"\r", b"\n"
PEERS = os.environ.get("SMTPIN_PEERS", "")
POSTFIX = os.path.join(PEERS, "postfix", "usr")
POSTMAP = os.path.join(POSTFIX, "sbin", "postmap")

LINES = """# what virtual(5) has
bob@example.org OK

alice@example.org   450 4.2.1 \tTry again
jane@example.org jane@example.com,
  joe@example.com
\tjim@example.com
"j d"@example.org j.d@example.com
@example.net\t\tOK\t
"""
EXPECTED = {
    "bob@example.org": ("bob@example.org", "OK"),
    "Bob+x@Example.ORG": ("bob@example.org", "OK"),
    "alice@example.org": ("alice@example.org", "450 4.2.1 \\x09Try again"),
    "jane@example.org": ("jane@example.org", "jane@example.com,  joe@example.com\\x09jim@example.com"),
    '"j d"@example.org': ('"j d"@example.org', "j.d@example.com"),
    "anybody@example.net": ("@example.net", "OK"),
    "nobody@example.org": None,
    "bob@example.com": None,
}


def path(name): return os.path.join(TMP, name)


def look_up(source, address, **more):
    """(status, key and value, what was complained)."""
    p = subprocess.run([*arguments({"recipients": source, **more}), "--lookup", "recipients", address], capture_output=True, text=True, timeout=60)
    return p.returncode, tuple(p.stdout.rstrip("\n").split("\t")[:2]), p.stderr


def check(source):
    p = subprocess.run([*arguments({"recipients": source, "deliver": "/bin/true", "user": "nobody"}), "--check"], capture_output=True, text=True, timeout=60)
    return p.returncode, p.stdout + p.stderr


def rcpt(source, address, **more):
    """The reply to RCPT, and the log."""
    out, err, _ = pipe(f"EHLO c.example\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<{address}>\r\nQUIT\r\n".encode(), {"recipients": source, "domains": "example.org example.net", "log": "stderr", **more})
    return [l for l in out.decode().split("\r\n") if l[3:4] == " "][3], err.decode()


def expect(source, name):
    wrong = {}
    for address, entry in EXPECTED.items():
        status, found, complained = look_up(source, address)
        if (status, found) != ((0, entry) if entry else (1, ("",))): wrong[address] = status, found, complained
    equal(wrong, {}, f"{name}: --lookup")
    status, said = check(source)
    equal(status, 0, f"{name}: --check" + (": " + said if status else ""))


def put(name, data):
    with open(path(name), "wb") as f: f.write(data)
    return path(name)


def cdb(name, data, *options):
    p = subprocess.run(["cdb", "-c", *options, path(name)], input=data, capture_output=True, timeout=60)
    if p.returncode: raise SystemExit(p.stderr.decode())
    return path(name)


def joined(text):
    """postmap joins lines, cdb does not."""
    return re.sub(r"\n(?=[ \t])", "", text)


def native(text):
    """cdb's own form of input."""
    out = b""
    for line in joined(text).splitlines():
        if not line or line[0] == "#": continue
        key, value = re.match(r'("[^"]*"\S*|\S+)\s*(.*)', line).groups()
        out += f"+{len(key)},{len(value)}:{key}->{value}\n".encode()
    return out + b"\n"


# ---- Who writes them.
def at_rest(path): old = time.time() - 3600; os.utime(path, (old, old)); return path


expect(f"text:{at_rest(put('text', LINES.encode()))}", "a text table")
expect(f"TEXT:{at_rest(put('crlf', LINES.encode().replace(LF, CR + LF)))}", "a text table with CR LF")

if not have("cdb"):
    skip("cdb files", "no cdb (Debian: tinycdb)")
    done()
# (`cdb -m` ends a key at the first blank.)
expect(f"cdb:{cdb('native', native(LINES))}", "cdb -c")
lines = joined(LINES).replace('"j d"@example.org', '"jd"@example.org').encode()
made = cdb("map", lines, "-m")
for address, status in (("bob@example.org", 0), ("jane@example.org", 0), ("nobody@example.org", 1)):
    equal(look_up(f"cdb:{made}", address)[:2], (status, EXPECTED[address] or ("",)), f"cdb -c -m: {address}")
dos = cdb("dos", lines.replace(b"\n", b" \r\n"), "-m")
equal(look_up(f"cdb:{dos}", "bob@example.org")[:2], (0, ("bob@example.org", "OK")), "cdb -c -m keeps blanks and CR, which are trimmed")
twice = b"bob@example.org 550 5.1.1 First\nal@example.org OK\nbob@example.org OK\n"
for options, value in (((), "550 5.1.1 First"), (("-r",), "OK"), (("-0",), "OK"), (("-u",), "550 5.1.1 First")):
    it = cdb("twice", twice, "-m", *options)
    equal(look_up(f"cdb:{it}", "bob@example.org")[1], ("bob@example.org", value), f"a key twice: cdb -c -m {' '.join(options)}")
    equal(check(f"cdb:{it}")[0], 0, "and --check takes it")

if os.geteuid() != 0: skip("postmap cdb:", "not root, whose its configuration must be")
elif os.access(POSTMAP, os.X_OK) and os.path.exists(POSTFIX + "/lib/postfix/postfix-cdb.so"):
    etc = path("postfix"); os.mkdir(etc)
    import grp
    groups = [g.gr_name for g in grp.getgrall() if g.gr_gid not in (0, os.getgid(), 65534)]
    put("postfix/dynamicmaps.cf", f"cdb\t{POSTFIX}/lib/postfix/postfix-cdb.so\tdict_cdb_open\tmkmap_cdb_open\n".encode())
    put("postfix/main.cf", f"shlib_directory = {POSTFIX}/lib/postfix\nmeta_directory = {etc}\ndaemon_directory = {POSTFIX}/lib/postfix/sbin\ncommand_directory = {POSTFIX}/sbin\ncompatibility_level = 3.6\n"
        f"myhostname = mx.example.org\nmail_owner = mail\ndefault_privs = nobody\nsetgid_group = {groups[0]}\n".encode())
    made = put("virtual", LINES.replace("bob@", "Bob@").encode())
    def postmap(*options): return subprocess.run([POSTMAP, "-c", etc, *options, f"cdb:{made}"], env={"LD_LIBRARY_PATH": POSTFIX + "/lib/postfix", "MAIL_CONFIG": etc, "PATH": "/bin:/usr/bin"}, capture_output=True, text=True, timeout=60)
    p = postmap()
    equal(p.returncode, 0, "postmap " + p.stderr.strip())
    expect(f"cdb:{made}.cdb", "postmap cdb:")
    equal((postmap("-N").returncode, check(f"cdb:{made}.cdb")[0]), (0, 78), "--check complains of postmap -N, whose keys end in a NUL")
else: skip("postmap cdb:", "no postmap and postfix-cdb in $SMTPIN_PEERS (Debian: postfix, postfix-cdb)")

# The commands of the manual (docs/smtpin-rules.7) make of a text table a cdb that says the same.
import document
recipe, script = (next(b.text for b in document.blocks(SOURCE, "docs/smtpin-rules.7") if b.mark == "sh by tests/programs/tables.py" and word in b.text) for word in ("cdb -c", "getent"))
os.mkdir(path("etc"))
put("etc/recipients", LINES.replace("bob@example.org", "# a comment\n  # another\nBob@Example.ORG").replace('"j d"@example.org', '"jd"@example.org').replace(",\n", ",\n\n# within\n").encode())
p = subprocess.run(["sh", "-ec", recipe.replace("/etc/smtpin/", path("etc/"))], cwd=path("etc"), capture_output=True, text=True, timeout=60)
equal((p.returncode, p.stderr), (0, ""), "the manual's commands for a cdb")
at_rest(path("etc/recipients"))
def words(answer): return answer[0], [w.replace("\\x09", " ").split() for w in answer[1]]
for address in (*EXPECTED, "jim@example.com", "joe@example.com", "#@example.org", '"jd"@example.org'):
    equal(words(look_up(f"cdb:{path('etc/recipients.cdb')}", address)), words(look_up(f"text:{path('etc/recipients')}", address)), f"and that cdb says of {address} what the text does")
equal(check(f"cdb:{path('etc/recipients.cdb')}")[0], 0, "and --check takes it")
# Its script that takes the users of the machine.
user = write("check-user", script)
for who, status in (("root", 0), ("no.such.user", 67), ("-x", 67), ("$(id)", 67), ("..", 67), ("", 67)):
    equal(subprocess.run([user, who], capture_output=True, timeout=60).returncode, status, f"the manual's check-user: {who!r}")
equal(subprocess.run([user, "root"], env={"PATH": TMP}, capture_output=True, timeout=60).returncode, 75, "without getent: later")

# ---- Files that are no whole table: for a while, never for good.
whole = open(path("native"), "rb").read()
for n in (0, 100, 2047, 2048, len(whole) // 2, len(whole) - 1):
    half = put("half", whole[:n])
    said = {a: rcpt(f"cdb:{half}", a)[0][:3] for a in ("bob@example.org", "nobody@example.org", "x@example.net")}
    equal(set(said.values()), {"451"}, f"a cdb cut to {n} octets: 451")
    equal(check(f"cdb:{half}")[0] != 0, True, "and --check complains")
status, _, complained = look_up(f"cdb:{half}", "bob@example.org")
ok(status == 75 and "is cut short" in complained, "--lookup says why", complained)
record = whole.index(b"bob@example.org") - 8
for name, data in (("with a key altered", whole.replace(b"bob@", b"bab@")), ("with a length altered", whole[:record] + b"\xff" + whole[record + 1:]), ("of zeros", bytes(3000)), ("of text", LINES.encode() * 20)):
    status, said = check(f"cdb:{put('damaged', data)}")
    ok(status != 0 and re.search("is damaged|is not complete|is not a cdb", said), f"--check: a file {name}", said)
fifo = path("fifo"); os.mkfifo(fifo)
for source, why in ((f"cdb:{fifo}", "is not a regular file"), (f"text:{fifo}", "is not a regular file"), (f"text:{TMP}", "is not a regular file"), (f"cdb:{path('missing')}", "No such file"), ("text:/dev/zero", "is not a regular file"), (f"text:{put('empty', b'')}", "is empty")):
    began = time.monotonic()
    said, log = rcpt(source, "bob@example.org")
    ok(said[:3] == "451" and why in log and time.monotonic() - began < 20, f"{source.replace(TMP, '')}: 451, and the log says {why}", said + "\n" + log)

# ---- An editor writes in the file's place; a careful one moves another file there.
def age(path): return time.time() - os.stat(path).st_mtime


being = put("being", b"bob@example.org OK\nal@example.org OK\nbo")
said = [rcpt(f"text:{being}", a)[0][:3] for a in ("bob@example.org", "bobby@example.org", "al@example.org")]
ok(said == ["250", "550", "250"] and age(being) >= 1, "a file that was just written: who is not found waits until it is at rest", (said, age(being)))
p, s = session({"recipients": f"text:{put('being', b'bob@example.org OK' + LF)}", "deliver": "/bin/true"})
for line in (b"EHLO x", b"MAIL FROM:<>"): read_reply(s); s.sendall(line + CR + LF)
read_reply(s); s.sendall(b"RCPT TO:<bobby@example.org>\r\n")
time.sleep(0.3)
with open(being, "ab") as f: f.write(b"bobby@example.org OK\n")
ok(read_reply(s)[:3] in (b"250", b"451"), "who is written meanwhile is not refused")
s.close(); p.wait(20)
put("being", b"")
equal(rcpt(f"text:{being}", "bob@example.org")[0][:3], "451", "truncated: 451 for all")
put("new", b"carl@example.org OK\nal@example.org OK\n"); time.sleep(0.1); os.rename(path("new"), being)
equal([rcpt(f"text:{being}", a)[0][:3] for a in ("bob@example.org", "carl@example.org")], ["550", "250"], "moved into place: it counts at once")
for kind, data in (("text", b"dave@example.org OK\n"), ("cdb", None)):
    first = being if data else cdb("session", b"carl@example.org OK\n", "-m")
    p, s = session({"recipients": f"{kind}:{first}", "deliver": "/bin/true"})
    read_reply(s)
    def say(line): s.sendall(line + b"\r\n"); return read_reply(s)[:3].decode()
    heard = [say(b"EHLO x"), say(b"MAIL FROM:<>"), say(b"RCPT TO:<carl@example.org>")]
    other = put("new", data) if data else cdb("new", b"dave@example.org OK\n", "-m")
    time.sleep(0.1); os.rename(other, first)
    heard += [say(b"RCPT TO:<carl@example.org>"), say(b"RCPT TO:<dave@example.org>"), say(b"QUIT")]
    s.close(); p.wait(20)
    equal(heard, ["250", "250", "250", "250", "550", "221"], f"a {kind} table is replaced in a session, which goes on with its own")
    equal([rcpt(f"{kind}:{first}", a)[0][:3] for a in ("carl@example.org", "dave@example.org")], ["550", "250"], "and the next one has the new one")

# ---- --check finds what a session could only defer, or would take for something else.
def checked(setting, text):
    source = text_table("checked", text)
    p = subprocess.run([*arguments({setting: source, "deliver": "/bin/true", "user": "nobody"}), "--check"], capture_output=True, text=True, timeout=60)
    said = [l for l in (p.stdout + p.stderr).split("\n") if source[5:] in l]
    return p.returncode, [int(l[len(source) - 4:].split(":")[0]) for l in said]


BAD = ("5.1.1 gone", "550-5.1.1 gone", "550 4.1.1 of two minds", "jane bob", "jane@example.com, bob@example..com", "|/bin/cat", "/var/mail/jane", "jane@", "REJECT no such user")
GOOD = ("OK", "", "550 5.1.1 gone", "jane", "jane, bob", "jane@example.com bob@example.com", "jane, bob@example.com", "@example.net", '"j d"@example.com')
for setting, bad, good in (("aliases", BAD, GOOD), ("recipients", (BAD[1], BAD[2], BAD[4], BAD[7], "jane@example.com, bob"), ("OK", "example.org/jane/", "/home/jane@example.org/Maildir/", "yes", "jane@example.com, bob@example.com", "4711", "450/x"))):
    lines = [f"user{i}@example.org {value}\n" for i, value in enumerate(bad + good)]
    equal(checked(setting, "".join(lines)), (78, list(range(1, len(bad) + 1))), f"--check, {setting}: each bad value")
    equal(checked(setting, "".join(lines[len(bad):]))[0], 0, f"--check, {setting}: no good one")
    if setting == "aliases":
        source = text_table("aliases", "".join(lines))
        equal({pipe(f"MAIL FROM:<>\r\nRCPT TO:<user{i}@example.org>\r\nQUIT\r\n".encode(), {"aliases": source})[0].decode().split("\r\n")[2][:3] for i in range(len(bad))}, {"451"}, "what it complains of gets 451")
p = subprocess.run([*arguments({"domains": text_table("domains", "xn--mller-kva.example OK\n")}), "--lookup", "domains", "Müller.example"], capture_output=True, text=True, timeout=60)
if os.environ.get("SMTPIN_STATIC") != "1": equal((p.returncode, p.stdout.split("\t")[:2]), (0, ["xn--mller-kva.example", "OK"]), "--lookup domains: the ASCII form is looked up")

# ---- RELAYCLIENT's value makes another address of a recipient, which no alias of the old one replaces.
directory, deliver = taker()
out, err, _ = pipe(b"EHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<bob@example.org>\r\nRCPT TO:<info@example.org>\r\nDATA\r\n.\r\nQUIT\r\n",
                   {"aliases": text_table("aliases", "info@example.org joe@example.org\n"), "deliver": deliver}, env={**os.environ, "TCPREMOTEIP": "192.0.2.1", "RELAYCLIENT": "@out"})
argv = [open(os.path.join(directory, n)).read() for n in os.listdir(directory) if n.endswith(".argv")]
equal(argv, ['a@example.com\n"bob@example.org"@out\n"info@example.org"@out\n'], "RELAYCLIENT=@out, with aliases")

# ---- What a look-up reads does not grow with the table.
def calls(source, address):
    p = subprocess.run(["strace", "-f", "-e", "trace=open,openat,fstat,newfstatat,statx,pread64,read,mmap,lseek,close", *arguments({"recipients": source}), "--lookup", "recipients", address], capture_output=True, text=True, timeout=60)
    lines = p.stderr.splitlines()
    start = next(i for i, l in enumerate(lines) if source.split(":")[1] in l)
    number = re.search(r"= (\d+)", lines[start])[1]
    return p.returncode, [l.split("(")[0] for l in lines[start:] if l.startswith(("open",)) or re.match(rf"\w+\({number}[,)]", l)], sum(int(l.rsplit("= ", 1)[1]) for l in lines[start:] if l.startswith("pread64"))


if SANITIZED: pass
elif not have("strace"): skip("system calls of a look-up", "no strace (Debian: strace)")
else:
    few = cdb("few", b"".join(b"user%d@example.org OK\n" % i for i in range(10)), "-m")
    many = cdb("many", b"".join(b"user%d@example.org OK\n" % i for i in range(200000)), "-m")
    random.seed(18)
    for number in (7, *(random.randrange(200000) for _ in range(9))):
        status, made, octets = calls(f"cdb:{many}", f"user{number}@example.org")
        ok(status == 0 and [m for m in made if m != "pread64"] in (["openat", "newfstatat", "close"], ["openat", "fstat", "close"], ["openat", "statx", "close"], ["open", "fstat", "close"]) and 3 <= made.count("pread64") <= 4 and octets < 3000, "200,000 keys: open, fstat, three reads or four, less than 3,000 octets", (status, made, octets))
    equal(calls(f"cdb:{few}", "user7@example.org")[1].count("pread64"), 3, "ten keys: three reads")

done()
