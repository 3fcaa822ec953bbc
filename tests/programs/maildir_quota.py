"""smtpin-maildir: -q, and the quota of a Maildir++ (maildirsize)."""
from boxes import *

FULL = (75, "452 4.2.2 Mailbox full")
BOX = "example.org/jane"
WHO = "jane@example.org"
SIZE = f"{BOX}/maildirsize"


def lines():
    with open(os.path.join(ROOT, SIZE)) as f: return f.read()


def stored():
    return len(tree(BOX + "/new/"))


def reads(*args, **more):
    """A run, and which directories it read, as often as it did."""
    trace = os.path.join(TMP, "trace")
    got = deliver(*args, before=("strace", "-f", "-y", "-o", trace, "-e", "trace=getdents64"), **more)
    found = [l.split("<", 1)[1].split(">", 1)[0] for l in open(trace) if "getdents64(" in l and not l.rstrip().endswith("= 0")]
    return got, [os.path.relpath(f, ROOT) for f in found if "/tmp" != f[-4:]]


# -q: the files, or what their names say.
fresh(BOX)
put(BOX + "/cur/1.a", b"x" * 10)
put(BOX + "/cur/2.b,S=40:2,ST", b"x")
put(BOX + "/.Sent/cur/3.c", b"x" * 1000)
equal(deliver("-q", str(50 + len(TEXT)), ROOT, WHO)[0], 0, "-q: up to the last octet")
equal(deliver("-q", str(50 + len(TEXT)), ROOT, WHO), FULL, "-q: and no more")
# Names that say so much that the sum does not fit into 64 bits.
fresh(BOX)
for i in range(8200): put(f"{BOX}/cur/{i}.a,S={1 << 50}", b"")
equal(deliver("-q", "1M", ROOT, WHO), FULL, "-q: a sum beyond 64 bits is full")
for replies, first in (("each", "250 2.0.0\n452 4.2.2 Mailbox full"), ("one", FULL[1])):
    fresh(BOX)
    got = deliver("-q", "20", ROOT, "jane+a@example.org", "jane+b@example.org", replies=replies)
    ok(got[1] == first and len(tree()) == (replies == "each"), f"{replies}: two recipients with one Maildir share its quota", (got, tree()))
if can_trace():
    for replies in ("each", "one"):
        fresh(BOX)
        for i in range(9): put(f"{BOX}/new/{i}.x,S=1")
        got, read = reads("-q", "1M", ROOT, *(f"jane+{c}@example.org" for c in "abcdef"), replies=replies)
        ok(got[0] == 0 and stored() == 15 and read.count(BOX + "/new") == 1, f"{replies}: a Maildir is read once a run", (got, read))
else: skip("a Maildir is read once", "strace can't trace here")

# maildirsize.
n = len(TEXT)
for first, rest, fits in (("1000S", "", True), (f"{n}S", "", True), (f"{n - 1}S", "", False), (f"{n + 10}S", "10 1\n", True), (f"{n + 10}S", "11 1\n", None),
                          (f"{n + 10}S", "30 2\n-20 -1\n", True), ("2C", "10 1\n", True), ("1C", "10 1\n", None), ("1000S,1C", "10 1\n", None), ("1C,1000S", "", True),
                          ("0S,0C", "99999 9\n", True), ("0S,1C", "0 1\n", None), (f"{n}S      ", "          0 0\n  0    0   \n", True)):
    fresh(BOX)
    put(SIZE, f"{first}\n{rest}".encode())
    before = lines()
    if fits is None: # what the file says is over; the directories, which are empty, decide
        equal((deliver(ROOT, WHO)[0], stored()), (0, 1), f"maildirsize {first!r} {rest!r}: over, but the directories say otherwise")
        put(f"{BOX}/cur/1.x,S=11")
        os.unlink(os.path.join(ROOT, tree("/new/")[0]))
        put(SIZE, before.encode())
        fits = False
    got = deliver("-q", "1M" if not fits else "1", ROOT, WHO)
    ok(got == ((0, "") if fits else FULL) and stored() == fits, f"maildirsize {first!r} {rest!r}: {'fits' if fits else 'full'}, whatever -q says", got)
    equal(lines(), before + (f"{n} 1\n" if fits else ""), "a line for it" if fits else "no line")
for what, folder, name, counts in (("a folder", ".Sent/cur", "1.x,S=990", True), ("a folder's new", ".Old.2020/new", "1.x,S=990", True), ("the trash", ".Trash/cur", "1.x,S=990", False),
                                   ("a deleted message", "cur", "1.x,S=990:2,ST", False), ("a read one", "cur", "1.x,S=990:2,S", True), ("no folder", "other/cur", "1.x,S=990", False), ("no name of one", "..Sent/cur", "1.x,S=990", False)):
    fresh(BOX)
    put(f"{BOX}/{folder}/{name}")
    put(f"{BOX}/.file")
    put(SIZE, b"1000S\n1000 1\n")
    equal(deliver(ROOT, WHO), FULL if counts else (0, ""), f"maildirsize says over: {what} {'counts' if counts else 'does not count'}")
for bad in (b"", b"\n", b"x\n", b"1000\n", b"1000X\n", b"S\n", b"-5S\n", b"10S", b"1S\nx\n", b"1S\n1\n", b"1S\n1 2 3\n", b"1S\n1 1", b"1S\n- 1\n", b"1S\n--1 1\n", b"1S\n1 1\n\n",
            b"99999999999999999999999S\n", b"1S\n99999999999999999999999 1\n", b"1S\0\n", b"\0" * 5000, b"x" * 6000, b"1S" + b" " * 6000 + b"\n"):
    fresh(BOX)
    put(SIZE, bad)
    got = deliver("-q", "1K", ROOT, WHO), deliver("-q", "10", ROOT, WHO)
    ok(got == ((0, ""), FULL) and open(os.path.join(ROOT, SIZE), "rb").read() == bad, f"maildirsize {bad[:30]!r} is none: as without it", got)
for what, make in (("a directory", lambda p: os.mkdir(p)), ("a pipe", lambda p: os.mkfifo(p)), ("a link", lambda p: os.symlink(put("limits", b"1S\n"), p))):
    fresh(BOX)
    make(os.path.join(ROOT, SIZE))
    equal(deliver(ROOT, WHO), (0, ""), f"maildirsize that is {what} is none")
fresh(BOX)
put(SIZE, b"1000S\n" + b"1 1\n-1 -1\n" * 600)
put(f"{BOX}/cur/1.x,S={1000 - n}")
equal((deliver(ROOT, WHO), deliver(ROOT, WHO)), ((0, ""), FULL), "maildirsize of 5120 octets and more: the directories decide")
fresh(BOX)
put(SIZE, b"1000S\n-50 -1\n")
put(f"{BOX}/cur/1.x,S=990")
equal(deliver(ROOT, WHO), FULL, "a sum below zero: the directories decide")
if can_trace():
    fresh(BOX, BOX + "/.Sent")
    put(SIZE, b"1000S\n10 1\n")
    got, read = reads(ROOT, WHO)
    ok(got[0] == 0 and not read, "maildirsize says that there is room: no directory is read", (got, read))
fresh(BOX, "example.org/joe")
put(SIZE, b"100S\n")
got = deliver(ROOT, *(f"jane+{c}@example.org" for c in "abcdefg"), replies="each")
ok(got[1].split("\n") == ["250 2.0.0"] * (100 // n) + [FULL[1]] * (7 - 100 // n) and stored() == 100 // n and lines() == "100S\n" + f"{n} 1\n" * (100 // n), "recipients of one run share maildirsize", (got, lines()))
fresh(BOX, "example.org/joe")
put(SIZE, b"100S\n")
os.rmdir(ROOT + "/example.org/joe/new"); put("example.org/joe/new")
status, _ = deliver(ROOT, WHO, "joe@example.org")
ok(status == 75 and not tree("jane/new/") and lines() == f"100S\n{n} 1\n-{n} -1\n", "what is taken back has a line of its own", (status, lines(), tree()))
procs = []
fresh(BOX)
put(SIZE, b"100000S\n")
for _ in range(20): procs.append(subprocess.Popen([MAILDIR, ROOT, WHO], stdin=subprocess.PIPE))
for p in procs: p.stdin.write(TEXT); p.stdin.close()
ok(sum(p.wait(30) for p in procs) == 0 and lines() == "100000S\n" + f"{n} 1\n" * 20, "20 at once: 20 lines", lines())
done()
