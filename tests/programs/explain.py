"""--explain: nothing that it was given reaches the terminal as it is, or becomes a line of its own; JSON is JSON."""
import json
from harness import *

EVIL = [b"\x1b]0;x\x07", b"\x1b[31m", b"\x9b31m", b"\xc2\x9b31m", b"\xff\xfe", b"a\nreply     250 OK", b"\r", b"\x08\x08", b"\x7f", "\u202eabc".encode(), "\u2028x".encode(), b"\xed\xa0\x80", b"x" * 126 + b"\xc3\xa9" + b"\xc3", "\u00e9".encode() * 300]
CONF = write("explain.conf", "hostname = mx.example.org\ndomains = example.org\nrelay_clients = 192.0.2.1\nclient_address = 192.0.2.1\ndeliver = /bin/true\n", 0o644)


def explain(*arguments, env=None):
    p = subprocess.run([os.fsencode(SMTPIN), b"-f", os.fsencode(CONF), b"--explain", *arguments], capture_output=True, timeout=30, env=env or os.environ)
    return p.returncode, p.stdout, p.stderr


def harmless(out):
    """UTF-8, and no control character in it but line ends and the tab of a header field that goes on."""
    try: text = out.decode()
    except UnicodeDecodeError: return False
    return not any(c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069") for c in text.replace("head      \tby ", "").replace("head      \tfor ", "").replace("head      \t", ""))


plain = explain(b"--helo", b"c.example", b"--sender", b"a@example.com", b"--recipient", b"b@example.org")
lines = plain[1].count(b"\n")
ok(plain[0] == 0 and harmless(plain[1]) and b"  head      \tby mx.example.org" in plain[1], "an ordinary one", plain)
for evil in EVIL:
    for what, arguments in (("--sender", [b"--sender", evil + b"@example.com", b"--recipient", b"b@example.org"]), ("--recipient", [b"--recipient", evil + b"@example.org"]), ("a quoted one", [b"--recipient", b'"' + evil + b'"@example.org']),
                            ("--helo", [b"--helo", evil, b"--recipient", b"b@example.org"]), ("a word of the command", [b"-o", b"deliver=/bin/echo \"" + evil.replace(b"\n", b"\x0b") + b"\"", b"--recipient", b"b@example.org"])):
        status, out, err = explain(*arguments)
        if status == 78 and what == "a word of the command":  # the configuration has no control octets
            ok(out == b"" and harmless(err), f"{what}, {evil[:12]}: a mistake", err)
            continue
        ok(status in (0, 1) and out and harmless(out) and out.count(b"\n") <= lines + 1 and not any(l.startswith(b"reply") for l in out.splitlines()), f"{what}, {evil[:12]}: escaped", (status, out[-600:], err))
        status, out, err = explain(*arguments, b"--json")
        try: answer = json.loads(out.decode())
        except ValueError as e: answer = str(e)
        ok(status in (0, 1) and isinstance(answer, dict) and harmless(out.replace("\u202e".encode(), b"").replace("\u2028".encode(), b"")), f"{what}, {evil[:12]}: JSON", (out[-600:], answer))
    env = {**os.environb, b"TCPREMOTEHOST": evil, b"TZ": evil, b"LANG": evil}
    status, out, err = explain(b"--recipient", b"b@example.org", env=env)
    ok(out and harmless(out), f"the environment, {evil[:12]}: escaped", out[-600:])
status, out, err = explain(b"-o", b"deliver=/bin/echo \"\xff\xc3\xa9\\\\n\"", b"--recipient", b"b@example.org")
ok(b"  word      \\xff\xc3\xa9\\x5c" in out, "what is well-formed is kept, and a backslash is one of ours alone", out)
status, out, err = explain(b"-o", b"deliver=/bin/echo \xff\xc3\xa9", b"--recipient", b"b@example.org", b"--json")
equal(json.loads(out)["delivery"]["words"], ["/bin/echo", "\xff\xe9"], "JSON: an octet that is no UTF-8 is the character of its number")

# What was asked, and what it said.
check = write("check", '#!/bin/sh\ncase "$SMTPIN_CHECK $LOCAL" in "recipient no"*) echo "no such one"; exit 67;; "recipient other"*) echo "recipient joe@example.org";; esac\n')
table = text_table("aliases", "here@example.org\nboss@example.org jane@example.org\n")
tables = [b"-o", b"aliases=" + table.encode(), b"-o", b"check_recipient=" + check.encode(), b"-o", b"check_client=" + check.encode(), b"-o", b"client_address=198.51.100.1"]
for who, rule in (("no", f"check_recipient: refuse ({check}, no@example.org: exit 67: no such one; "), ("other", f"check_recipient: no opinion ({check}, other@example.org: joe@example.org; "), ("no", f"check_client: no opinion ({check}: exit 0; "),
                  ("nobody", f"aliases: no opinion ({table}: not there; "), ("here", f"aliases: no opinion ({table}, here@example.org; "), ("boss", f"aliases: no opinion ({table}, boss@example.org: jane@example.org; ")):
    out = explain(*tables, b"--recipient", who.encode() + b"@example.org")[1].decode()
    ok("  rule      " + rule in out, f"{who}: {rule.split(' (')[0]}: what was asked, and what it said", out)
status, out, err = explain(*tables, b"--recipient", b"no@example.org", b"--json")
rules = {r["rule"]: r for r in json.loads(out)["commands"][1]["rules"]}
equal([rules["check_recipient"][k] for k in ("source", "key", "said")], [check, "no@example.org", "exit 67: no such one"], "JSON: the same")

# As who the client has logged in.
owners = text_table("owners", "jane@example.org jane\nsales@example.org jane, bob\nbob@example.org bob\n")
logins = [b"-o", b"auth=dovecot:/nonexistent", b"-o", b"client_address=198.51.100.1", b"--recipient", b"joe@someplace.org"]
status, out, err = explain(*logins, b"--sender", b"jane@example.org")
ok(status == 1 and b"550 5.7.1 Relaying denied" in out.replace(b"550 Rel", b"550 5.7.1 Rel") and b"login" not in out and b"SASL" not in out, "no --login: a stranger", out)
for more in ([], [b"--helo", b"c.example"], [b"-o", b"auth_required=yes"], [b"-o", b"auth_plaintext=yes"], [b"-o", b"tls=required"], [b"-o", b"protocol=lmtp", b"--helo", b"x"]):
    status, out, err = explain(*logins, *more, b"--login", b"jane", b"--sender", b"jane@example.org")
    protocol = {b"-o": {b"auth_plaintext=yes": "ESMTPA", b"protocol=lmtp": "LMTPSA"}.get((more or [0, 0])[1], "ESMTPSA")}.get((more or [b""])[0], "ESMTPSA")
    ok(status == 0 and all(l in out.decode() for l in ("\nlogin  jane\n", "rule      authenticated: accept\n", "SASL_USERNAME=jane\n", "SASL_METHOD=PLAIN\n", f"with {protocol} id")), f"--login jane {more}", (status, out, err))
    status, out, err = explain(*logins, *more, b"--login", b"jane", b"--json")
    equal((json.loads(out)["client"]["login"], "SASL_USERNAME=jane" in json.loads(out)["delivery"]["environment"]), ("jane", True), f"--login jane, JSON {more}")
status, out, err = explain(*logins, b"-o", b"auth_required=yes", b"--helo", b"x")
ok(status == 1 and b"530 5.7.0 Authentication required" in out, "auth_required, and no --login: 530", out)
for sender, code in ((b"jane@example.org", "250"), (b"sales@example.org", "250"), (b"bob@example.org", "550")):
    status, out, err = explain(*logins, b"-o", b"sender_login=" + owners.encode(), b"--login", b"jane", b"--sender", sender)
    ok((status == 0) == (code == "250") and f"RCPT TO:<joe@someplace.org>" in out.decode() and f"  reply     {code} " in out.decode().split("RCPT")[1], f"--login jane, sender_login, {sender}: {code}", out)
for who in (b"", b"a b", b"a\nb", b"\xff", b"x" * 256): equal(explain(*logins, b"--login", who)[0], 64, f"--login {who[:10]!r}: no user's name")
status, out, err = explain(b"--recipient", b"b@example.org", b"--login", b"jane")
ok(status == 64 and b"auth is not set" in err and not out, "--login where nobody can log in", (status, err))
done()
