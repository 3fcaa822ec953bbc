"""The third way to build: glibc, no shared library, position-independent (meson.build). It is built, takes mail with and without the
sandbox, and loads nothing."""
from harness import *

if not have("meson") or not have("ninja"):
    skip("static-pie", "no meson or ninja")
    done()
BUILT = os.path.join(TMP, "built")
made = subprocess.run(f"CC=gcc meson setup {BUILT} {SOURCE} -Dprefer_static=true && ninja -C {BUILT} smtpin", shell=True, capture_output=True, text=True, timeout=600)
smtpin = os.path.join(BUILT, "smtpin")
ok(made.returncode == 0, "it is built", made.stdout[-2000:] + made.stderr[-2000:])
headers = subprocess.run(["readelf", "-lhW", smtpin], capture_output=True, text=True).stdout
ok("DYN (" in headers and "INTERP" not in headers and "GNU_RELRO" in headers, "static-pie: it can stand anywhere, and has no interpreter", headers)
for sandbox in ("yes", "no"):
    stored = os.path.join(TMP, "stored-" + sandbox)
    p = subprocess.run([smtpin, "-f", "/dev/null", "-o", "hostname=mx.example.org", "-o", "domains=example.org", "-o", f"deliver=/bin/cp -f /dev/stdin {stored}", "-o", "sandbox=" + sandbox, "-o", "log=stderr"],
                       input=b"EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<x@example.org>\r\nDATA\r\nA: b\r\n\r\nhello\r\n.\r\nQUIT\r\n", capture_output=True, timeout=60)
    ok(p.stdout.count(b"\r\n250 2.0.0 OK id=") == 1 and open(stored).read().endswith("\nA: b\n\nhello\n"), f"sandbox = {sandbox}: a message is delivered", p.stdout + p.stderr)
done()
