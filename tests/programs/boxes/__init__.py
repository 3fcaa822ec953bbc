"""What the tests of smtpin-maildir share: runs of it, what is stored, a library that stands before the C library."""
from harness import *

ROOT = os.path.join(TMP, "mail")
STATIC = bool(os.environ.get("SMTPIN_STATIC"))
DIGEST = "0123456789abcdef" * 4
TEXT = b"Subject: x\n\ntext\n"


def fresh(*users):
    """An empty root; with users (domain/user, or a user), their Maildirs."""
    shutil.rmtree(ROOT, ignore_errors=True)
    os.mkdir(ROOT)
    for user in users:
        for sub in ("tmp", "new", "cur"): os.makedirs(os.path.join(ROOT, user, sub))


def deliver(*args, data=TEXT, replies=None, digest=None, before=(), env=None, program=MAILDIR, **more):
    """A run: (exit status, what it said)."""
    facts = {k: v for k, v in (("SMTPIN_REPLIES", replies), ("SMTPIN_DIGEST", digest)) if v is not None}
    p = subprocess.run([*before, program, *args], input=data, capture_output=True, timeout=60, env={**os.environ, **facts, **(env or {})}, **more)
    deliver.complained = p.stderr.decode(errors="replace")
    return p.returncode, p.stdout.decode().strip()


def tree(part=""):
    """The files below the root whose path has the part."""
    found = sorted(os.path.relpath(os.path.join(d, f), ROOT) for d, _, fs in os.walk(ROOT) for f in fs)
    return [f for f in found if part in f and not f.endswith("maildirsize")]


def put(path, text=b"", age=0):
    """A file below the root, so many seconds old."""
    path = os.path.join(ROOT, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f: f.write(text)
    os.utime(path, (time.time() - age,) * 2)
    return path


def can_trace():
    return have("strace") and subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode == 0


def shim():
    """The path of the library built of shim.c, which a program with shared glibc alone can load; None where there is none, or a sanitizer."""
    if SANITIZED or STATIC or not have("cc"): return None
    path = os.path.join(TMP, "shim.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", path, os.path.join(os.path.dirname(__file__), "shim.c")], check=True)
    return path
