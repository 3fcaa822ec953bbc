"""smtpin-maildir: whose Maildir is it, and is it there? A wrong 550 loses mail at once, so only a directory that is certainly missing is an unknown user."""
import ctypes.util
from boxes import *

UNKNOWN = (67, "550 5.1.1 No such mailbox here")
LATER = (75, "451 4.3.0 Mailbox can't be looked up")
WHO = "jane@example.org"


def later(name, *args, **more):
    got = deliver("-n", *args, WHO, **more)
    ok(got == LATER and deliver.complained and not tree("/new/"), f"-n, {name}: temporary, and stderr says why", (got, deliver.complained))


fresh("example.org/joe")
equal(deliver("-n", ROOT, WHO), UNKNOWN, "-n: no directory of that user: 550")
equal(deliver("-n", ROOT, "jane@example.net"), UNKNOWN, "-n: no directory of that domain: 550")
equal(deliver("-n", "-l", "user", ROOT, WHO), UNKNOWN, "-n, -l user: no directory of that user: 550")
later("a root that is missing", ROOT + "/none")
later("a root that is a file", put("file"))
os.symlink("nowhere", ROOT + "/dangling")
later("a root that is a dangling link", ROOT + "/dangling")
fresh()
later("a root with nothing in it, like the mount point of a disk that is not there", ROOT)
ok("is empty" in deliver.complained, "and stderr says so", deliver.complained)
equal(deliver(ROOT, WHO)[0], 0, "without -n it is filled")
fresh("example.net/joe")
os.mkdir(ROOT + "/example.org")
later("a domain with nothing in it, like that of a disk of its own", ROOT)
for what, make in (("a file", lambda path: put(os.path.relpath(path, ROOT))), ("a dangling link", lambda path: os.symlink("nowhere", path)), ("a link to itself", lambda path: os.symlink(os.path.basename(path), path))):
    fresh("example.net/joe")
    make(ROOT + "/example.org")
    later(f"a domain that is {what}", ROOT)
    fresh("example.org/joe")
    make(ROOT + "/example.org/jane")
    later(f"a user that is {what}", ROOT)
for sub in ("new", "tmp"):
    fresh("example.org/jane")
    os.rmdir(f"{ROOT}/example.org/jane/{sub}")
    later(f"a Maildir without {sub}/", ROOT)
    put(f"example.org/jane/{sub}")
    later(f"a Maildir whose {sub} is a file", ROOT)
fresh("elsewhere/jane")
os.symlink("elsewhere", ROOT + "/example.org")
equal(deliver("-n", ROOT, WHO)[0], 0, "-n: a link to a directory is one")
equal(deliver("-n", ROOT, "joe@example.org"), UNKNOWN, "-n: and without the user in it: 550")
long = os.path.join(ROOT, *["x" * 200] * 19)
os.makedirs(long)
equal(deliver("-n", long, WHO), LATER, "a root too long for any Maildir: temporary")
equal(deliver(long, WHO), LATER, "and so without -n")
if os.geteuid() == 0:
    fresh("example.org/joe")
    os.chmod(TMP, 0o755)
    os.chmod(ROOT + "/example.org", 0o700)
    if subprocess.run([MAILDIR], capture_output=True, preexec_fn=lambda: os.setuid(65534)).returncode == 64:
        later("a domain that may not be looked at", ROOT, preexec_fn=lambda: os.setuid(65534))
    else: skip("a domain that may not be looked at", "nobody can't run the program where it is")
else:
    fresh("example.org/joe")
    os.chmod(ROOT + "/example.org", 0o000)
    later("a domain that may not be looked at", ROOT)
    os.chmod(ROOT + "/example.org", 0o700)
if can_trace():
    for error in ("EIO", "ESTALE", "EACCES", "ENOTDIR", "ELOOP", "ENAMETOOLONG"):
        wrong, missed = [], 0
        for when in range(1, 12):
            fresh("example.org/joe")
            got = deliver("-n", ROOT, WHO, before=("strace", "-o", "/dev/null", "-e", "trace=?lstat,?newfstatat,?stat,?openat,?open,?statx", "-e", f"inject=?lstat,?stat,?newfstatat,?statx:error={error}:when={when}"))
            if got[0] == 75: missed += 1
            elif got != UNKNOWN and got[0] not in (1, 127) or tree(): wrong.append((when, got))
        ok(not wrong and missed >= 2, f"-n: {error} instead of an answer is no unknown user", (wrong, missed))
else: skip("errors of lstat", "strace can't trace here")

# One domain, however it is written.
MULLER = {"as it is": "müller.example", "with a capital": "Müller.example", "all capitals": "MÜLLER.EXAMPLE", "decomposed": "mu\u0308ller.example", "in ASCII": "xn--mller-kva.example", "in ASCII capitals": "XN--MLLER-KVA.example"}
ASCII = MULLER["in ASCII"]
try: idn = not STATIC and bool(ctypes.CDLL("libidn2.so.0"))
except OSError: idn = False
for name, domain in MULLER.items():
    fresh()
    equal(deliver(ROOT, f"jane@{domain}")[0], 0, f"a domain {name}")
    kept = ASCII if idn else domain.replace("M", "m") if "ü" in domain or "\u0308" in domain else domain.lower()
    if not idn and "Ü" in domain: kept = "mÜller.example"
    equal(os.listdir(ROOT), [kept], f"a domain {name}: its directory")
if idn:
    fresh()
    for domain in MULLER.values(): deliver(ROOT, f"jane@{domain}")
    equal(len(tree(ASCII + "/jane/new/")), len(MULLER), "they are one mailbox")
    for here, domain in [("müller.example", d) for d in MULLER.values()] + [("mÜller.example", MULLER["all capitals"]), ("mÜller.example", ASCII)]:
        fresh(here + "/jane")
        equal((deliver("-n", ROOT, f"jane@{domain}")[0], len(tree(here + "/jane/new/"))), (0, 1), f"{here} is there alone: {domain} goes on using it")
    fresh("müller.example/jane", ASCII + "/jane")
    equal((deliver("-n", ROOT, "jane@müller.example")[0], len(tree(ASCII + "/"))), (0, 1), "both are there: the one in ASCII is used")
    equal(deliver("-n", ROOT, "jane@bücher.example"), UNKNOWN, "another domain is another one")
    fresh("☃\u200d..example/jane")
    for bad in ("a\u2488b.example", "\u200d.example", "a" * 63 + "ü.example"):
        equal(deliver(ROOT, f"jane@{bad}"), UNKNOWN, f"{bad!r} can be no domain: nobody's mailbox")
elif not STATIC: skip("one domain, however it is written", "no libidn2")
done()
