"""smtpin-maildir: durable, all or none, safe against what a local part may hold."""
from boxes import *

fresh()
equal(deliver("--", ROOT, "Jane+tag@Example.ORG"), (0, ""), "a message")
files = tree()
ok(len(files) == 1 and files[0].startswith("example.org/jane/new/") and files[0].endswith(",S=17"), "in domain/user/new", files)
equal(open(os.path.join(ROOT, files[0]), "rb").read(), b"Subject: x\n\ntext\n", "byte for byte")
equal(os.stat(os.path.join(ROOT, files[0])).st_mode & 0o777, 0o600, "mode 0600")
equal(sorted(os.listdir(ROOT + "/example.org/jane")), ["cur", "new", "tmp"], "a Maildir")
fresh()
equal(deliver("-l", "user", "-d", "-", ROOT, "jane-tag@example.org", "joe+x@example.net")[0], 0, "layout user, delimiter -")
equal([f.split("/")[0] for f in tree()], ["jane", "joe+x"], "in user/")
fresh()
for bad in ('"../x"@example.org', '"..".@x', '"a/b"@example.org', '".hidden"@example.org', 'x', '', 'a@b c',
            '""@example.org', '"/etc"@x', '"' + "x" * 300 + '"@x', "a@[../../x]"):
    status, said = deliver("--", ROOT, bad)
    ok(status == 67 and said.startswith("550 5.1.1"), f"{bad[:30]!r}: 67", (status, said))
    status, said = deliver("--", ROOT, "good@example.org", bad)
    ok(status == 75, f"{bad[:30]!r} beside a good one: none is delivered, none is bounced")
equal(tree(), [], "and nothing is left, not in tmp/ either")
fresh("example.org/jane")
equal(deliver("-n", ROOT, "nobody@example.org"), (67, "550 5.1.1 No such mailbox here"), "-n: the directory is the list of users")
fresh()
equal(deliver("-q", "20", ROOT, "a@example.org")[0], 0, "below the quota")
equal(deliver("-q", "20", ROOT, "a@example.org", "b@example.org"), (75, "452 4.2.2 Mailbox full"), "over the quota: 75")
equal(len(tree()), 1, "nothing is left of it")
equal(subprocess.run([MAILDIR, ROOT, "a@example.org"], preexec_fn=lambda: os.close(0), capture_output=True, timeout=60).returncode, 75, "no standard input is no message")
names = set()
procs = [subprocess.Popen([MAILDIR, ROOT, "many@example.org"], stdin=subprocess.PIPE) for _ in range(40)]
for p in procs: p.stdin.write(b"x\n"); p.stdin.close()
equal(sum(p.wait(30) for p in procs), 0, "40 at once")
equal(len(os.listdir(ROOT + "/example.org/many/new")), 40, "40 names")
for args in ((), (ROOT,), ("-l", "x", ROOT, "a@b"), ("-q", "x", ROOT, "a@b"), ("-z", ROOT, "a@b")):
    equal(deliver(*args)[0], 64, f"usage {args[:2]}: 64")
equal(deliver(TMP + "/nowhere/at/all", "a@example.org")[0], 75, "no such directory: 75")
if os.geteuid() == 0 and have("unshare"):
    small = os.path.join(TMP, "small"); os.mkdir(small)
    p = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c",
        f'mount -t tmpfs -o size=256k tmpfs {small} && head -c 1000000 /dev/zero | "$@"; s=$?; find {small} -type f; exit $s', "sh",
        MAILDIR, small, "a@example.org", "b@example.org"], capture_output=True, timeout=60)
    equal((p.returncode, p.stdout.decode()), (75, "452 4.2.2 No room for the message\n"), "a full disk: 75, and nothing is left")
    p = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c",
        f'mount -t tmpfs -o nr_inodes=8 tmpfs {small} && echo x | "$@"; s=$?; find {small} -type f; exit $s', "sh",
        MAILDIR, small, "a@example.org", "b@example.org"], capture_output=True, timeout=60)
    equal((p.returncode, p.stdout.decode().count("/")), (75, 0), "no inodes: 75, and nothing is left")
else:
    skip("a full disk", "needs root")
if have("strace"):
    fresh()
    trace = os.path.join(TMP, "trace")
    p = subprocess.run(["strace", "-f", "-o", trace, "-e", "trace=fsync,link,linkat,unlink,write", MAILDIR, ROOT, "a@example.org"], input=b"x\n", capture_output=True, timeout=60)
    calls = [l.split("(")[0].split()[-1] for l in open(trace) if "(" in l]
    links = [i for i, c in enumerate(calls) if c.startswith("link")]
    if links:
        last = links[-1]
        ok("fsync" in calls[:last] and "fsync" in calls[last:], "flushed before the link, the directory after it", calls)
        fresh()
        for call in ("fsync", "link", "linkat", "write", "openat"):
            for when in range(1, 13):
                fresh()
                p = subprocess.run(["strace", "-f", "-o", "/dev/null", "-e", f"inject={call}:error=EIO:when={when}+100" if call != "openat" else f"inject=openat:error=ENFILE:when={when + 2 - STATIC * 2}", MAILDIR, ROOT, "a@example.org", "b@example.org"], input=b"x\n", capture_output=True, timeout=60)
                left = tree()
                ok((p.returncode == 0 and len(left) == 2) or (p.returncode not in (0,) and not left),
                   f"{call} number {when} fails: both or none", (p.returncode, left, p.stderr))
    else:
        skip("flushes", "strace can't trace here")
else:
    skip("flushes", "no strace")
done()
