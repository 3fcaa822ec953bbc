"""The backends of `auth`, driven by auth-talk: a real Dovecot, a server that speaks as Dovecot 2.4 does, one that fails in every way; real checkpassword programs."""
from harness import *
from auth_peers import *

TALK = os.path.join(BUILD, "auth-talk")


class Talk:
    """An auth-talk process: a session's logins."""
    def __init__(self, value, *facts, **more):
        self.p = subprocess.Popen([TALK, value, *facts, *(f"{k}={v}" for k, v in more.items())], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, line):
        self.p.stdin.write(line.encode() + b"\n"); self.p.stdin.flush()
        return self.p.stdout.readline().decode().rstrip("\n").rstrip(" ")

    def challenge(self, line):
        got = self(line)
        return base64.b64decode(got[10:]).decode() if got.startswith("CHALLENGE") else got

    def holds(self, *secrets):
        """Which of these are in the memory that the process can write, while it waits?"""
        found = set()
        with open(f"/proc/{self.p.pid}/maps") as maps, open(f"/proc/{self.p.pid}/mem", "rb", 0) as mem:
            for line in maps:
                where, how = line.split()[:2]
                first, last = (int(x, 16) for x in where.split("-"))
                if "w" not in how or last - first > 1 << 30: continue
                mem.seek(first)
                data = mem.read(last - first)
                found |= {s for s in secrets if s.encode() in data}
        return found

    def end(self):
        self.p.stdin.close()
        status = self.p.wait(60)
        self.p.stdout.close()
        return status


def session(value, lines, *facts, **more):
    """What comes of each line."""
    t = Talk(value, *facts, **more)
    got = [t(line) for line in lines]
    status = t.end()
    return got if status == 0 else [f"auth-talk has ended with {status}", *got]


def scram(talk, mechanism, name, user, password):
    c = Scram(name, user, password)
    first = talk.challenge(f"begin {mechanism} {b64(c.first)}")
    if not first.startswith("r="): return first
    final = talk.challenge("respond " + b64(c.final(first)))
    if final != "v=" + c.v: return final
    return talk("respond")


def whole(value, wrong, right):
    """The replies to two logins in one session, with smtpin on a TCP connection; and the ports of both ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        c = socket.create_connection(listener.getsockname()); c.settimeout(60)
        s, _ = listener.accept()
    p = subprocess.Popen(arguments({"auth": value, "auth_plaintext": "yes", "log": "none"}), stdin=s, stdout=s)
    s.close()
    read_reply(c)
    got = []
    for line in ("EHLO x", f"AUTH PLAIN {wrong}", f"AUTH PLAIN {right}", "QUIT"):
        c.sendall(line.encode() + b"\r\n"); got.append(read_reply(c)[:3].decode())
    ports = c.getpeername()[1], c.getsockname()[1]
    c.close(); p.wait(60)
    return [*got[1:3], *ports]


# The real one ----------------------------------------------------------------------------------------------------------------
def with_dovecot():
    dv = Dovecot()
    value = "dovecot:" + dv.socket
    number = iter(range(1, 250))
    # An address of its own for each: Dovecot makes one that has failed wait.
    here = lambda *facts, **more: Talk(value, *facts, **{"address": f"192.0.2.{next(number)}", "port": "4025", "server_address": "198.51.100.1", "server_port": "587", **more})
    secure = lambda *facts, **more: here(*facts, **{"tls": "1", **more})

    t = here()
    if not ok(t("mechanisms").startswith("mechanisms"), "Dovecot answers", dv.said()): return dv.end()
    equal(t("mechanisms"), "mechanisms CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256", "outside TLS: no mechanism that sends a password, none for Dovecot itself, none for anybody")
    equal(t("begin PLAIN " + plain("jane@example.org", "Wonderful!Secret")), "UNKNOWN", "and PLAIN can't be had there")
    t("plaintext=1")
    equal(t("mechanisms"), "mechanisms PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256 XOAUTH2 OAUTHBEARER", "auth_plaintext = yes: these as well")
    t("plaintext=")
    t("tls=1")
    equal(t("mechanisms"), "mechanisms PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256 XOAUTH2 OAUTHBEARER", "inside TLS, by the same session")
    equal(t("begin PLAIN " + plain("jane@example.org", "Wonderful!Secret")), "DONE jane@example.org", "PLAIN with an initial response")
    equal(t.end(), 0, "auth-talk ends")

    t = secure()
    equal([t("begin plain"), t("respond " + plain("jane@example.org", "Wonderful!Secret"))], ["CHALLENGE", "DONE jane@example.org"], "PLAIN without one, in small letters")
    equal([t.challenge("begin LOGIN"), t.challenge("respond " + b64("jane@example.org")), t("respond " + b64("Wonderful!Secret"))], ["Username:", "Password:", "DONE jane@example.org"], "LOGIN")
    equal([t.challenge("begin LOGIN " + b64("jane@example.org")), t("respond " + b64("Wonderful!Secret"))], ["Password:", "DONE jane@example.org"], "LOGIN with an initial response")
    equal(t("begin GSSAPI"), "UNKNOWN", "a mechanism that there is not")
    equal(t("begin ANONYMOUS " + b64("x")), "UNKNOWN", "ANONYMOUS")
    equal(t("begin APOP " + b64("x")), "UNKNOWN", "a private one")
    equal(t("begin EXTERNAL ="), "UNKNOWN", "EXTERNAL without a certificate")
    t.challenge("begin LOGIN")
    equal([t("cancel"), t("begin PLAIN " + plain("jane@example.org", "Wonderful!Secret"))], ["cancelled", "DONE jane@example.org"], "cancelled, and right")
    t.challenge("begin LOGIN")
    equal(t("begin PLAIN " + plain("jane@example.org", "Wonderful!Secret")), "DONE jane@example.org", "a login within another one: the other one is cancelled")
    equal(scram(t, "SCRAM-SHA-1", "sha1", "jane@example.org", "Wonderful!Secret"), "DONE jane@example.org", "SCRAM-SHA-1")
    equal(scram(t, "SCRAM-SHA-256", "sha256", "jane@example.org", "Wonderful!Secret"), "DONE jane@example.org", "SCRAM-SHA-256")
    challenge = t.challenge("begin CRAM-MD5")
    equal(t("respond " + b64("jane@example.org " + hmac.new(b"Wonderful!Secret", challenge.encode(), "md5").hexdigest())), "DONE jane@example.org", "CRAM-MD5")
    good = token("jane@example.org", KEY)
    equal(t("begin XOAUTH2 " + b64(f"user=jane@example.org\1auth=Bearer {good}\1\1")), "DONE jane@example.org", "XOAUTH2")
    equal(t("begin OAUTHBEARER " + b64(f"n,a=jane@example.org,\1host=mx.example.org\1port=587\1auth=Bearer {good}\1\1")), "DONE jane@example.org", "OAUTHBEARER")
    equal(t("begin PLAIN AAA"), "MALFORMED", "no base64: Dovecot does not hear of it")
    equal(t("begin PLAIN " + "A" * 12292), "MALFORMED", "nor of a response of more than 12288 octets")
    equal(t("respond AAAA"), "LATER no login is going on", "a response to nothing")
    equal(t.end(), 0, "auth-talk ends")

    # Wrong ones. Each from another address.
    for what, mechanism, response, then in (
            ("the password", "PLAIN", plain("jane@example.org", "wrong"), ""), ("no such user", "PLAIN", plain("joe", "x"), ""), ("empty initial response", "PLAIN", "=", ""),
            ("nologin", "PLAIN", plain("carol", "x"), ""), ("proxy", "PLAIN", plain("gina", "x"), ""), ("acts for somebody else", "PLAIN", plain("jane@example.org", "Wonderful!Secret", "carol"), ""),
            ("NULs missing", "PLAIN", b64("jane"), ""), ("LOGIN", "LOGIN", b64("jane@example.org"), b64("wrong")), ("XOAUTH2", "XOAUTH2", b64("user=jane@example.org\1auth=Bearer x.y.z\1\1"), ""),
            ("a key of somebody else's", "XOAUTH2", b64(f"user=jane@example.org\1auth=Bearer {token('jane@example.org', b'x' * 40)}\1\1"), "")):
        t = secure()
        got = t(f"begin {mechanism} {response}")
        while got.startswith("CHALLENGE"): got = t("respond " + then)
        equal(got, "WRONG", f"wrong: {what}")
        t.end()
    t = secure()
    equal(scram(t, "SCRAM-SHA-256", "sha256", "jane@example.org", "wrong"), "WRONG", "wrong: SCRAM-SHA-256")
    t.end()

    # EXTERNAL: the certificate's name, and no other.
    verified = {"SSL_CLIENT_VERIFY": "SUCCESS", "SSL_CLIENT_NAME": "client.example", "SSL_TLS_SNI": "mx.example.org"}
    t = secure(**verified)
    ok("EXTERNAL" in t("mechanisms").split(), "EXTERNAL for a verified certificate")
    equal(t("begin EXTERNAL ="), "DONE client.example", "EXTERNAL")
    equal(t("begin EXTERNAL " + b64("jane@example.org")), "WRONG", "EXTERNAL, in another one's name")
    t.end()
    for verify in ("NONE", "FAILED:self-signed"):
        equal(session(value, ["begin EXTERNAL ="], tls="1", **{**verified, "SSL_CLIENT_VERIFY": verify}), ["UNKNOWN"], f"EXTERNAL, {verify}")
    lines = [l for l in dv.said().splitlines() if "client in: AUTH" in l]
    ok(any(re.search(r"AUTH\t1\tEXTERNAL\tservice=smtp\tnologin\tlip=198\.51\.100\.1\tlport=587\trip=192\.0\.2\.\d+\trport=4025\tsecured=tls\tlocal_name=mx\.example\.org\tvalid-client-cert\tcert_username=client\.example\tsession=ID\tresp=", l) for l in lines), "all that is said of the client", lines[-3:])
    ok(all("rip=" in l for l in lines) and not any("no-penalty" in l for l in lines), "the client's address always, and no way around the penalty")
    session(value, ["begin CRAM-MD5", "cancel"])
    ok(re.search(r"CRAM-MD5\tservice=smtp\tnologin\trip=127\.0\.0\.1\tsession=ID$", dv.said(), re.M), "a client without an address is this machine's")

    # What was said is in no memory any more.
    t = secure()
    wonderful = plain("jane@example.org", "Wonderful!Secret")
    secrets = ["Wonderful!Secret", wonderful, wonderful[4:-4], b64("Wonderful!Secret")]
    t("begin PLAIN " + wonderful); equal(t.holds(*secrets), set(), "PLAIN: the secret is nowhere in the process")
    t("begin LOGIN"); t("respond " + b64("jane@example.org")); t("respond " + b64("Wonderful!Secret")); equal(t.holds(*secrets), set(), "LOGIN: nor there")
    t("begin PLAIN " + plain("joe", "Wonderful!Secret")); equal(t.holds("Wonderful!Secret", plain("joe", "Wonderful!Secret")), set(), "nor after a failure")
    t.end()

    # All of smtpin, on a TCP connection.
    got = whole(value, plain("jane@example.org", "wrong"), plain("jane@example.org", "Wonderful!Secret"))
    equal(got[:2], ["535", "235"], "smtpin: a wrong login, and a right one")
    said = [l for l in dv.said().splitlines() if f"lport={got[2]}" in l]
    ok(len(said) == 2 and all(f"\tlip=127.0.0.1\tlport={got[2]}\trip=127.0.0.1\trport={got[3]}\t" in l for l in said), "smtpin: both ends of the connection", said)

    # It ends, and comes again: between two logins, and within one.
    t = secure()
    equal(t("begin PLAIN " + wonderful), "DONE jane@example.org", "before Dovecot's process ends")
    ok(dv.signal(signal.SIGKILL), "its process is killed")
    equal(t("begin PLAIN " + wonderful), "DONE jane@example.org", "between two logins: the next one is asked")
    t("begin LOGIN")
    dv.signal(signal.SIGKILL)
    equal(t("respond " + b64("jane@example.org")), "LATER Dovecot closes the connection", "killed within a login")
    equal(t("begin PLAIN " + wonderful), "DONE jane@example.org", "and asked again")
    dv.end(); dv.signal(signal.SIGKILL)
    for what in ("begin PLAIN " + wonderful, "mechanisms"):
        got = t(what)
        ok(got.startswith("LATER"), f"Dovecot has ended: {what[:5]}", got)
    dv.start()
    equal(t("begin PLAIN " + wonderful), "DONE jane@example.org", "there again")
    # Stopped: it takes the connection, and says nothing.
    t("timeout=500")
    ok(dv.signal(signal.SIGSTOP), "Dovecot stands still")
    before = time.monotonic()
    got = t("begin PLAIN " + wonderful)
    ok(got == "LATER Dovecot does not answer in time" and time.monotonic() - before < 5, "and does not answer", got)
    dv.signal(signal.SIGCONT)
    t("timeout=20000")
    equal(t("begin PLAIN " + wonderful), "DONE jane@example.org", "and goes on")
    t.end()
    equal(dv.bugs() + [l for l in dv.said().splitlines() if "Fatal: " in l and "killed with signal 9" not in l], [], "nothing that Dovecot calls a bug")
    ok("Wonderful" not in "".join(l for l in dv.said().splitlines() if "auth:" in l), "no secret in its log")
    dv.end()


# Servers of the test's own ---------------------------------------------------------------------------------------------------
def dovecot_24():
    exporter, end_point = bytes(range(32)), bytes(range(100, 132))
    tls = {"tls": "1", "SSL_PROTOCOL": "TLSv1.3", "SSL_TLS_EXPORTER": exporter.hex(), "SSL_TLS_SERVER_END_POINT": end_point.hex()}

    s = StandIn(serve_24)
    t = Talk("dovecot:" + s.path, **tls)
    equal(t("mechanisms"), "mechanisms PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS X_NEW-1", "2.4: channel binding is offered; what is private, anonymous, no name, or said twice, is not")
    for kind, bound in (("tls-exporter", exporter), ("tls-server-end-point", end_point)):
        c = Scram("sha256", "jane", "secret", f"p={kind},,", bound)
        first = t.challenge("begin SCRAM-SHA-256-PLUS " + b64(c.first))
        final = t.challenge("respond " + b64(c.final(first)))
        equal((final, t("respond")), ("v=" + c.v, "DONE jane"), f"2.4: SCRAM-SHA-256-PLUS with {kind}")
    c = Scram("sha256", "jane", "secret", "p=tls-exporter,,", bytes(32))
    equal(t("respond " + b64(c.final(t.challenge("begin SCRAM-SHA-256-PLUS " + b64(c.first))))), "WRONG", "2.4: somebody in the middle: another TLS session's")
    equal(t("begin SCRAM-SHA-256-PLUS " + b64("p=tls-unique,,n=jane,r=x")), "WRONG", "2.4: a kind of channel binding that nobody can tell")
    t.challenge("begin SCRAM-SHA-256-PLUS " + b64(c.first)); t("cancel")
    c = Scram("sha256", "jane", "secret", "p=tls-exporter,,", exporter)
    first = t.challenge("begin SCRAM-SHA-256-PLUS " + b64(c.first))
    equal((t.challenge("respond " + b64(c.final(first))), t("respond")), ("v=" + c.v, "DONE jane"), "2.4: after CANCEL; CANCELLED is passed over")
    t("SSL_TLS_EXPORTER=abc")
    t.challenge("begin SCRAM-SHA-256-PLUS " + b64(c.first))
    got = t("respond " + b64("x"))
    ok(got.startswith("LATER what smtpin-tls says"), "2.4: a fact with half an octet", got)
    t("tls=")
    equal(t("mechanisms"), "mechanisms SCRAM-SHA-256 X_NEW-1", "2.4: outside TLS there is nothing to bind to")
    t.end(); s.end()
    equal(s.versions, ["VERSION\t1\t4", "VERSION\t1\t2"], "2.4: the version says whether there is something to bind to")
    ok(re.fullmatch(r"CPID\t[1-9]\d*", s.cpid), "2.4: CPID", s.cpid)


LONG = "OK\t1\tuser=jane\tx="
GREETINGS = {
    "silent": lambda s: wait(s), "half a line": lambda s: (s.say("VERSION\t1"), wait(s)), "half, and closes": lambda s: (s.line(), s.line(), s.say("VERSION\t1\t2\nMECH\tPL")), "closes": lambda s: None,
    "no DONE": lambda s: (s.say("VERSION\t1\t2\nMECH\tPLAIN\n"), wait(s)), "major version 2": lambda s: s.greet(version="2\t0"), "no version": lambda s: (s.say("MECH\tPLAIN\nDONE\n"), wait(s)),
    "version without a number": lambda s: s.greet(version="x"), "empty version": lambda s: (s.say("VERSION\nDONE\n"), wait(s)), "octets": lambda s: (s.say(bytes(range(256)) * 4), wait(s)), "a long line": lambda s: (s.say("V" * 20000), wait(s)),
    "lines without end": lambda s: [s.say("MECH\tX\n" * 1000) for _ in range(1000)], "empty lines": lambda s: (s.say("\n" * 200), wait(s)),
}
ANSWERS = {
    "silent": lambda s, n: wait(s), "half a line": lambda s, n: (s.say(f"OK\t{n}\tuser=ja"), wait(s)), "half, and closes": lambda s, n: s.say(f"OK\t{n}\tuser=ja"), "closes": lambda s, n: None,
    "garbage": lambda s, n: (s.say("garbage\n"), wait(s)), "an empty line": lambda s, n: (s.say("\n"), wait(s)), "no id": lambda s, n: (s.say("OK\n"), wait(s)), "an id that is none": lambda s, n: (s.say("OK\tx\tuser=jane\n"), wait(s)),
    "a huge id": lambda s, n: (s.say("OK\t99999999999\tuser=jane\n"), wait(s)), "a negative id": lambda s, n: (s.say("OK\t-1\tuser=jane\n"), wait(s)), "octets": lambda s, n: (s.say(bytes(range(256)) + b"\n"), wait(s)),
    "a long line": lambda s, n: (s.say(LONG + "x" * (16385 - len(LONG)) + "\n"), wait(s)), "others without end": lambda s, n: [s.say("FAIL\t77\n" * 1000) for _ in range(1000)],
    "CONT without data": lambda s, n: (s.say(f"CONT\t{n}\n"), wait(s)), "CONT with no base64": lambda s, n: (s.say(f"CONT\t{n}\t***\n"), wait(s)), "CONT with a line end": lambda s, n: (s.say(f"CONT\t{n}\tAAAA\r\n"), wait(s)),
    "a long challenge": lambda s, n: (s.say(f"CONT\t{n}\t{'A' * 12292}\n"), wait(s)), "REQUEST": lambda s, n: (s.say(f"REQUEST\t{n}\n"), wait(s)), "a NUL": lambda s, n: (s.say(f"OK\0\t{n}\tuser=jane\n"), wait(s)),
}
MEANINGS = {
    "OK\t{n}\tuser=jane": "DONE jane", "OK\t{n}\tx\ty=z\tuser=j\u00e4ne@example.org\tresp=": "DONE j\u00e4ne@example.org", "OK\t{n}\tuser=" + "u" * 255: "DONE " + "u" * 255,
    "OK\t{n}\tuser=" + "u" * 256: "WRONG", "OK\t{n}": "WRONG", "OK\t{n}\tuser=": "WRONG", "OK\t{n}\tuser": "WRONG", "OK\t{n}\tuser=a b": "WRONG", "OK\t{n}\tuser=a\1tb": "WRONG", "OK\t{n}\tuser=a\rb": "WRONG", "OK\t{n}\tuser=a\x7fb": "WRONG",
    "OK\t{n}\tuser=jane\r": "WRONG", "OK\t{n}\tuser=a\\b": "DONE a\\b", "OK\t{n}\tuser=jane\tnologin": "WRONG", "OK\t{n}\tnologin=y\tuser=jane": "WRONG", "OK\t{n}\tuser=jane\tnologin=": "WRONG", "OK\t{n}\tuser=jane\tproxy": "WRONG",
    "OK\t{n}\tuser=jane\tproxy=y\thost=192.0.2.1": "WRONG", "OK\t{n}\tuser=jane\tnologins=1\tproxy_timeout=5": "DONE jane", "FAIL\t{n}": "WRONG", "FAIL\t{n}\tuser=jane\tauthz": "WRONG", "FAIL\t{n}\tcode=authz_fail": "WRONG",
    "FAIL\t{n}\tuser_disabled": "WRONG", "FAIL\t{n}\tcode=pass_expired\treason=x": "WRONG", "FAIL\t{n}\tcode=invalid_base64\treason=x": "MALFORMED", "FAIL\t{n}\tuser=jane\ttemp": "LATER Dovecot can't tell now", "FAIL\t{n}\tcode=temp_fail": "LATER Dovecot can't tell now", "CANCELLED\t{n}": "LATER Dovecot has cancelled the login", "CONT\t{n}\t": "CHALLENGE", "CONT\t{n}\tAAAA\tx=y": "CHALLENGE AAAA",
    "CONT\t{n}\t" + "A" * 12288: "CHALLENGE " + "A" * 12288, "FAIL\t9\nOK\t9\tuser=other\nCONT\t9\tAAAA\nCANCELLED\t9\nOK\t{n}\tuser=jane": "DONE jane",
}


def hostile():
    quick = {"tls": "1", "timeout": "400"}
    for what, talk in GREETINGS.items():
        s = StandIn(talk, right)
        t = Talk("dovecot:" + s.path, **quick)
        before = time.monotonic()
        got = t("mechanisms")
        ok(got.startswith("LATER Dovecot") and time.monotonic() - before < 10, f"a greeting: {what}", got)
        t("timeout=20000")
        equal(t("begin PLAIN AAAA"), "DONE jane", f"a greeting: {what}; and then a good one")
        t.end(); s.end()
    for what, talk in ANSWERS.items():
        for state in ("CONT",) if what == "closes" else ("AUTH", "CONT"):
            def serve(s):
                s.greet()
                line = s.line()
                if state == "CONT": s.say(f"CONT\t{s.id(line)}\tAAAA\n"); line = s.line()
                talk(s, s.id(line))
            s = StandIn(serve, right)
            t = Talk("dovecot:" + s.path, **quick)
            equal(t("mechanisms"), "mechanisms PLAIN LOGIN", f"{state}: {what}: the mechanisms")
            before = time.monotonic()
            got = t("begin PLAIN AAAA")
            if state == "CONT" and got == "CHALLENGE AAAA": got = t("respond AAAA")
            ok(got.startswith("LATER Dovecot") and time.monotonic() - before < 10, f"{state}: {what}", got)
            t("timeout=20000")
            equal(t("begin PLAIN AAAA"), "DONE jane", f"{state}: {what}; and then a good one")
            t.end(); s.end()

    def serve_meanings(s):
        s.greet()
        for answer in MEANINGS:
            n = s.id(s.line())
            for octet in (answer.format(n=n) + "\n").encode() if len(answer) < 100 else [answer.format(n=n) + "\n"]: s.say(bytes([octet]) if isinstance(octet, int) else octet)
            if answer.startswith("CONT"): equal(s.line(), f"CANCEL\t{n}", "CANCEL")
        wait(s)
    s = StandIn(serve_meanings)
    t = Talk("dovecot:" + s.path, tls="1")
    for answer, meaning in MEANINGS.items():
        equal(t("begin PLAIN AAAA"), meaning, f"{answer[:60]!r}, octet by octet")
        if meaning.startswith("CHALLENGE"): t("cancel")
    t.end(); s.end()
    equal([l.split("\t")[1] for l in s.heard if l.startswith("AUTH")], [str(i + 1) for i in range(len(MEANINGS))], "each login has an id of its own, on one connection")

    # At the limit: a line of 16384 octets.
    def longest(s):
        s.greet(); n = s.id(s.line()); head = f"OK\t{n}\tuser=jane\tx="
        s.say(head + "x" * (16384 - len(head)) + "\n"); wait(s)
    s = StandIn(longest)
    equal(session("dovecot:" + s.path, ["begin PLAIN AAAA"], tls="1"), ["DONE jane"], "an answer of 16384 octets")
    s.end()
    s = StandIn(right)
    equal(session("dovecot:" + s.path, ["begin PLAIN " + "A" * 12288], tls="1"), ["DONE jane"], "a response of 12288 octets")
    ok(max(len(l) for l in s.heard) < 16384, "is in a line that Dovecot takes")
    s.end()

    # Closed between two logins, with answers nobody waits for: once more, and no more than once.
    def one(s): s.greet(); s.say(f"OK\t{s.id(s.line())}\tuser=jane\n")
    s = StandIn(one)
    t = Talk("dovecot:" + s.path, tls="1")
    equal([t("begin PLAIN AAAA") for _ in range(4)], ["DONE jane"] * 4, "a server that closes behind each login")
    t.end(); s.end()
    def closes(s): s.greet(); s.line()
    s = StandIn(one, closes, right)
    t = Talk("dovecot:" + s.path, tls="1")
    got = [t("begin PLAIN AAAA") for _ in range(3)]
    equal(got, ["DONE jane", "LATER Dovecot closes the connection", "DONE jane"], "one that closes without an answer is asked once more, where the connection was an old one")
    t.end(); s.end()
    got = session(f"dovecot:{TMP}/nobody", ["mechanisms", "begin PLAIN AAAA"], tls="1")
    equal(got, ["LATER No such file or directory"] * 2, "nobody is there")

    # What others say of the client ends no word, and no line.
    s = StandIn(right)
    equal(session("dovecot:" + s.path, ["begin PLAIN AAAA"], "address=192.0.2.1\tno-penalty\nAUTH\t9\tPLAIN\r\1", tls="1"), ["DONE jane"], "an address with a tab and a line end")
    ok("rip=192.0.2.1\1tno-penalty\1nAUTH\1t9\1tPLAIN\1r\0011\t" in [l for l in s.heard if l.startswith("AUTH")][0], "is escaped", s.heard)
    s.end()


# checkpassword ---------------------------------------------------------------------------------------------------------------
def checkpassword():
    out = os.path.join(TMP, "checked"); os.mkdir(out)
    check = write("check", f"""#!/usr/bin/python3
import os, sys
secret = os.read(3, 1000)
assert os.read(3, 1) == b""
os.close(3)
open("{out}/fds", "w").write(" ".join(sorted(os.listdir("/proc/self/fd"))))
open("{out}/secret", "wb").write(secret); open("{out}/argv", "w").write("|".join(sys.argv[1:])); open("{out}/env", "w").write("|".join(sorted(f"{{k}}={{v}}" for k, v in os.environ.items() if k != "LC_CTYPE")))
print("a secret:", secret); print("a secret:", secret, file=sys.stderr)
user, password, time, rest = secret.split(b"\\0")
if password == b"right": os.execv(sys.argv[-1], sys.argv[-1:])
if password == b"signal": os.kill(os.getpid(), 9)
if password == b"slow": import time; time.sleep(60)
sys.exit(int(password) if password.isdigit() else 1)
""")
    value = f"checkpassword:{check} -x \"a b\""
    read = lambda name: open(f"{out}/{name}", "rb").read()
    t = Talk(value, address="192.0.2.1", port="4025", server_address="198.51.100.1", server_port="587")
    equal(t("mechanisms"), "mechanisms", "checkpassword: nothing outside TLS")
    equal(t("begin PLAIN " + plain("jane", "right")), "UNKNOWN", "checkpassword: nor can it be had there")
    t("plaintext=1"); equal(t("mechanisms"), "mechanisms PLAIN LOGIN", "checkpassword: auth_plaintext = yes"); t("plaintext=")
    t("tls=1"); equal(t("mechanisms"), "mechanisms PLAIN LOGIN", "checkpassword: inside TLS")
    equal(t("begin SCRAM-SHA-256"), "UNKNOWN", "checkpassword: no other one")
    equal(t("begin PLAIN " + plain("jane@example.org", "right")), "DONE jane@example.org", "checkpassword: PLAIN")
    equal(read("secret"), b"jane@example.org\0right\0\0", "checkpassword: descriptor 3")
    equal(read("argv"), b"-x|a b|/bin/true", "checkpassword: its words, and /bin/true")
    equal(read("env"), b"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin|PROTO=TCP|SERVICE=smtp|TCPLOCALIP=198.51.100.1|TCPLOCALPORT=587|TCPREMOTEIP=192.0.2.1|TCPREMOTEPORT=4025", "checkpassword: its environment")
    equal(read("fds"), b"0 1 2 3 4", "checkpassword: its descriptors, once 3 is closed (3 and 4 are its look at them)")
    equal([t("begin plain"), t("respond " + plain("jane", "right", "jane"))], ["CHALLENGE", "DONE jane"], "checkpassword: PLAIN without an initial response")
    equal([t.challenge("begin LOGIN"), t.challenge("respond " + b64("jane")), t("respond " + b64("right"))], ["Username:", "Password:", "DONE jane"], "checkpassword: LOGIN")
    equal([t.challenge("begin LOGIN " + b64("jane")), t("respond " + b64("wrong"))], ["Password:", "WRONG"], "checkpassword: LOGIN, with the name, wrong")
    t.challenge("begin LOGIN " + b64("jane")); t("cancel")
    equal(t("respond " + b64("right")), "LATER no login is going on", "checkpassword: cancelled")
    equal([t.challenge("begin LOGIN"), t.challenge("respond " + b64("joe")), t("respond " + b64("right"))], ["Username:", "Password:", "DONE joe"], "checkpassword: nothing is left of it")
    os.unlink(out + "/secret")
    for what, response, meaning in (
            ("an empty response", "=", "MALFORMED"), ("no NUL", b64("jane"), "MALFORMED"), ("one NUL", b64("jane\0right"), "MALFORMED"), ("three NULs", b64("\0jane\0right\0"), "MALFORMED"), ("no base64", "A", "MALFORMED"), ("base64 with bits left over", "AB==", "MALFORMED"),
            ("for somebody else", plain("jane", "right", "joe"), "WRONG"), ("no name", plain("", "right"), "WRONG"), ("no password", plain("jane", ""), "WRONG"), ("a blank", plain("ja ne", "right"), "WRONG"), ("a line end", plain("ja\nne", "right"), "WRONG"),
            ("no UTF-8", b64(b"\0j\xe4ne\0right"), "WRONG"), ("a long name", plain("j" * 256, "right"), "WRONG"), ("513 octets", plain("jane", "r" * 506), "WRONG"), ("the longest response", b64("\0jane\0" + "r" * 9210), "WRONG"), ("one that is too long", "A" * 12292, "MALFORMED")):
        equal(t("begin PLAIN " + response), meaning, f"checkpassword: {what}")
    for what, lines, meaning in (("LOGIN, a NUL", [b64("ja\0ne")], "MALFORMED"), ("LOGIN, a NUL in the password", [b64("jane"), b64("right\0")], "MALFORMED"), ("LOGIN, an empty name", ["", b64("right")], "WRONG"), ("LOGIN, an empty password", [b64("jane"), ""], "WRONG"), ("LOGIN, a huge name", [b64("j" * 600)], "WRONG")):
        got = t("begin LOGIN")
        for line in lines: got = t("respond " + line)
        equal(got, meaning, f"checkpassword: {what}")
    ok(not os.path.exists(out + "/secret"), "checkpassword: of none of these the command has heard")
    equal(t("begin PLAIN " + plain("jane", "r" * 505)), "WRONG", "checkpassword: 512 octets")
    equal(len(read("secret")), 512, "checkpassword: are heard")
    for status in (1, 100): equal(t("begin PLAIN " + plain("jane", str(status))), "WRONG", f"checkpassword: status {status}")
    for status in (2, 3, 99, 111, 127): equal(t("begin PLAIN " + plain("jane", str(status))), f"LATER its command has ended with status {status}", f"checkpassword: status {status}")
    equal(t("begin PLAIN " + plain("jane", "signal")), "LATER its command was ended by signal 9", "checkpassword: a signal")
    t("timeout=300")
    before = time.monotonic()
    equal(t("begin PLAIN " + plain("jane", "slow")), "LATER its command does not answer in time", "checkpassword: no answer")
    ok(time.monotonic() - before < 10, "checkpassword: in time")
    t("timeout=20000")
    long = plain("jane", "Wonderful!Secret")
    t("begin PLAIN " + long); equal(t.holds("Wonderful!Secret", long), set(), "checkpassword: the secret is nowhere in the process")
    t("begin LOGIN " + b64("jane")); t("respond " + b64("Wonderful!Secret")); equal(t.holds("Wonderful!Secret", b64("Wonderful!Secret")), set(), "checkpassword: LOGIN: nor there")
    t.end()
    for what, command in (("missing", "/nonexistent/check"), ("no program", TMP)):
        equal(session(f"checkpassword:{command}", ["begin PLAIN " + plain("jane", "right")], tls="1"), ["LATER its command can't be started"], f"checkpassword: the command is {what}")
    # One that reads nothing, and says yes.
    equal(session("checkpassword:/bin/true", ["begin PLAIN " + plain("jane", "x")], tls="1"), ["DONE jane"], "checkpassword: a command that does not read")

    equal(whole(f"checkpassword:{check}", plain("jane", "wrong"), plain("jane", "right"))[:2], ["535", "235"], "smtpin: checkpassword, a wrong login, and a right one")

    # Real ones.
    if have("cvm-checkpassword") and have("cvm-pwfile"):
        users = write("passwd", f"jane:secret:{os.getuid()}:{os.getgid()}:Jane:/:/bin/sh\n", 0o644)
        for more in ("", " /bin/true"):
            value = f"checkpassword:/usr/bin/env CVM_PWFILE_PATH={users} CVM_ACCOUNT_SPLIT_CHARS= cvm-checkpassword {shutil.which('cvm-pwfile')}{more}"
            equal(session(value, ["begin PLAIN " + plain("jane", "secret"), "begin PLAIN " + plain("jane", "wrong"), "begin PLAIN " + plain("joe", "secret"), "begin LOGIN " + b64("jane"), "respond " + b64("secret")], tls="1"),
                  ["DONE jane", "WRONG", "WRONG", "CHALLENGE UGFzc3dvcmQ6", "DONE jane"], f"cvm-checkpassword{more}")
    else: skip("cvm-checkpassword", "no cvm-checkpassword (Debian: cvm)")
    if have("checkpw") and ROOT:
        box = os.path.join(TMP, "box"); os.mkdir(box); os.chmod(box, 0o755)
        write("box/.password", "secret\n", 0o600)
        for more in ("", " /bin/true"):
            value = f"checkpassword:/usr/bin/env MAILDIR={box} checkpw{more}"
            equal(session(value, ["begin PLAIN " + plain("root", "secret"), "begin PLAIN " + plain("root", "wrong"), "begin PLAIN " + plain("no-such-user", "secret")], tls="1"), ["DONE root", "WRONG", "WRONG"], f"checkpw{more}")
    else: skip("checkpw", "needs root and checkpw (Debian: checkpw)")


if have("dovecot"): with_dovecot()
else: skip("Dovecot", "no dovecot (Debian: dovecot-core)")
dovecot_24()
hostile()
checkpassword()
done()
