"""`smtpin --check` and TLS: it asks smtpin-tls about the certificates, says what that says, as the user who reads them, and is not good where a session would have no TLS."""
import base64, hashlib
from harness import *

TLS = os.path.join(BUILD, "smtpin-tls")
ROOT = os.geteuid() == 0


def path(name): return os.path.join(TMP, name)


def check(text, *options):
    """(status, what it prints) of a configuration."""
    conf = write("check.conf", "domains = example.org\ndeliver = /bin/true\nhostname = mx.example.org\n" + text, 0o644)
    p = subprocess.run([SMTPIN, "-f", conf, "--check", *options], capture_output=True, text=True, timeout=60)
    return p.returncode, p.stdout + p.stderr


def lines(said): return [l for l in said.split("\n") if not l.startswith(path("check.conf")) and not l.startswith("setup: ") and l]


# A stand-in says with which words it was started, as whom, and ends as it is told.
stand_in = write("stand-in", '#!/bin/sh\nprintf "%s|" "$@"\necho\nid -un\necho complaint >&2\nprintf "a\\033b\\n"\nexit $(cat ' + path("status") + ")\n")


def status(n): write("status", f"{n}\n", 0o644)


chain, own_key = write("chain.pem", "", 0o644), write("key.pem", "", 0o644)
BASE = f"tls_command = {stand_in} first\ntls_certificate = {chain} {own_key}\n"
status(0)
code, said = check(BASE + "tls = may\ntls_options = MinProtocol=TLSv1.3 Groups=X25519\ntls_client_ca = /ca.pem\ntls_ask_certificate = yes\nuser = nobody\n")
me = "nobody" if ROOT else subprocess.run(["id", "-un"], capture_output=True, text=True).stdout.strip()
equal([code, lines(said)[:4]], [0, [f"first|--check|--hostname|mx.example.org|--certificate|{chain} {own_key}|--option|MinProtocol=TLSv1.3|--option|Groups=X25519|--client-ca|/ca.pem|--ask-client|", me, "a\\x1bb", "complaint"]], "smtpin-tls is asked with the words that a session has, as the user of `user`; each of its lines is printed, escaped")
code, said = check("")
ok(code == 0 and "note" not in said.replace("user: note", "") and "stand-in" not in said, "without TLS it is not asked", said)
for end, how in ((78, "exit 78"), (1, "exit 1")):
    status(end)
    code, said = check(BASE + "tls = may\nuser = nobody\n")
    ok(code == 78 and f"/check.conf:5: tls_certificate: smtpin-tls can't use them all ({how})" in said and "complaint" in said and (not ROOT or "the user nobody, who must be able" in said), f"where it ends with {end} the configuration is not good", said)
status(78)
code, said = check(BASE + "tls = may\ntls_service = only\nuser = nobody\n")
ok(code == 0 and "tls_certificate: note: with tls_service = only" in said and "tls_socket: note: the service smtpin-tls can't be reached now" in said and "complaint" in said, "with tls_service = only it is, since the certificates are the service's", said)
code, said = check("tls = may\ntls_service = only\ntls_command = /nonexistent/smtpin-tls\n")
ok(code == 0 and "tls_certificate: note: is empty: the certificate is that of the service" in said, "nor are smtpin-tls and a certificate needed here then", said)
code, said = check("tls = may\ntls_certificate = self-signed\ntls_command = /nonexistent/smtpin-tls\n")
ok(code == 78 and "tls_command: its program is missing" in said, "elsewhere they are: smtpin-tls", said)
code, said = check(f"tls = may\ntls_service = no\ntls_command = {stand_in}\n")
ok(code == 78 and "tls_certificate: is empty" in said and "complaint" not in said, "and a certificate, where no service is asked", said)
status(0)
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as service:
    service.bind(path("tls.sock")); service.listen()
    for mode in (0o777, 0o700):
        os.chmod(path("tls.sock"), mode)
        if mode == 0o700 and not ROOT: skip("a service's socket that the user can't reach", "needs root"); continue
        code, said = check(f"tls = may\ntls_command = {stand_in}\ntls_socket = {path('tls.sock')}\nuser = nobody\n")
        ok(code == 0 and "of the service smtpin-tls" in said and ("Permission denied" in said) == (mode == 0o700), f"the service's socket with mode {mode:o}", said)
        code, said = check(BASE + f"tls = may\ntls_socket = {path('tls.sock')}\nuser = nobody\n")
        ok(code == 0 and lines(said)[1] == ("nobody" if mode == 0o700 or not ROOT else "root"), f"a service is there, mode {mode:o}: {'sessions' if mode == 0o700 else 'only the service'} must be able to read the certificates", said)
        status(78)
        code, said = check(BASE + f"tls = may\ntls_socket = {path('tls.sock')}\nuser = nobody\n")
        ok(code == (78 if ROOT else 0) and "can't use them all" in said, "root can say that they are wrong, another user can't", said)
        status(0)

# Sections: each is looked at, and the same is said once.
code, said = check(BASE + f"tls = may\n[submissions]\ntls = implicit\n[other]\ntls = may\nhostname = other.example.org\n[off]\ntls = off\n")
ok(code == 0 and said.count("complaint") == 2 and "--hostname|other.example.org" in said, "a section with the same certificates says them no second time, one with others does", said)
for section, value, note in (("", "required", "RFC 3207 4"), ("[smtp]\n", "required", "RFC 3207 4"), ("[submission]\n", "required", None), ("", "implicit", "on port 25 none does"), ("[submissions]\n", "implicit", None), ("", "may", None)):
    code, said = check(BASE + f"{section}tls = {value}\n")
    ok(code == 0 and ("tls: note" in said) == bool(note) and (note or "") in said, f"tls = {value} {'in ' + section.strip() if section else ''}: {'a note' if note else 'no note'}", said)

# The real one.
if not os.path.exists(TLS): skip("the real smtpin-tls", "this build has none"); done(); sys.exit()
if not have("openssl"): skip("the real smtpin-tls", "no openssl (Debian: openssl)"); done(); sys.exit()


def openssl(*words, **more): return subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60, **more).stdout


def pair(name, host, *more, mode=0o644):
    """A certificate of its own with its key, as certbot names them: their directory."""
    os.makedirs(path(name), exist_ok=True)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}", "-keyout", path(f"{name}/privkey.pem"), "-out", path(f"{name}/fullchain.pem"), *(more or ("-days", "90")))
    os.chmod(path(f"{name}/privkey.pem"), mode)
    return path(name)


def tlsa(directory):
    return hashlib.sha256(openssl("pkey", "-in", directory + "/privkey.pem", "-pubout", "-outform", "DER")).hexdigest()


# (A sanitizer's own report at its end would be taken for smtpin-tls's.)
REAL = f"tls = may\ntls_command = /usr/bin/env ASAN_OPTIONS=detect_leaks=0 {TLS}\nuser = nobody\n"
good, other = pair("good", "mx.example.org"), pair("other", "mail.example.net")
code, said = check(REAL + f"tls_certificate = {good}\ntls_certificate = {other}/fullchain.pem {other}/privkey.pem\n")
records = {m[1]: m[2].lower() for m in re.finditer(r"_25\._tcp\.(\S+)\. IN TLSA 3 1 1 ([0-9A-Fa-f]+)", said)}
equal([code, records], [0, {"mx.example.org": tlsa(good), "mail.example.net": tlsa(other)}], "each certificate's TLSA record is printed, and is openssl's")
for d, host in ((good, "mx.example.org"), (other, "mail.example.net")):
    end = openssl("x509", "-in", d + "/fullchain.pem", "-noout", "-enddate").decode().strip().split("=")[1].split()
    ok(any(d in l for l in lines(said)) and host in said and end[3] in said, f"{host}: its file, its name, the year of its end", said)
code, said = check(REAL + f"tls_certificate = {pair('ending', 'mx.example.org', '-days', '5')}\n")
ok(code == 0 and re.search(r"\b(expire|end)s?\b", said), "one that ends in five days is a warning", said)
ended = pair("ended", "mx.example.org")
openssl("req", "-new", "-key", ended + "/privkey.pem", "-subj", "/CN=mx.example.org", "-out", path("ended/csr"))
os.makedirs(path("ca"), exist_ok=True)
write("ca/index", "", 0o644); write("ca/serial", "01\n", 0o644)
write("ca/conf", f"[ca]\ndefault_ca=c\n[c]\ndatabase={path('ca/index')}\nserial={path('ca/serial')}\nnew_certs_dir={path('ca')}\ndefault_md=sha256\npolicy=p\nx509_extensions=x\n[p]\ncommonName=supplied\n[x]\nsubjectAltName=DNS:mx.example.org\n", 0o644)
openssl("ca", "-batch", "-config", path("ca/conf"), "-selfsign", "-keyfile", ended + "/privkey.pem", "-in", path("ended/csr"), "-notext", "-out", ended + "/fullchain.pem", "-startdate", "20200101000000Z", "-enddate", "20200201000000Z")
os.unlink(path("ended/csr"))
for what, value, words in (("that has expired", ended, "2020"), ("without its key", f"{good}/fullchain.pem {other}/privkey.pem", "fullchain.pem"), ("that is not there", path("none/fullchain.pem"), "none/fullchain.pem"), ("option that does not exist", f"{good}\ntls_options = NoSuchThing=1", "NoSuchThing")):
    code, said = check(REAL + f"tls_certificate = {value}\n")
    ok(code == 78 and words in said, f"a certificate {what}: not good", said)
if ROOT:
    code, said = check(REAL + f"tls_certificate = {pair('secret', 'mx.example.org', mode=0o600)}\n")
    ok(code == 78 and "privkey.pem" in said and "the user nobody" in said, "a key that root can read, and the sessions' user can't: not good", said)
    os.chown(path("secret/privkey.pem"), 65534, 0)
    equal(check(REAL + f"tls_certificate = {path('secret')}\n")[0], 0, "it is, once the user can")
else: skip("a key that only root can read", "needs root")
done()
