"""AUTH in whole sessions: what clients say line by line, who guesses, a Dovecot that fails in every state, real checkpassword programs, and where the password is found behind a login."""
import glob
from harness import *
from tls_peers import *
from auth_peers import *

if not os.path.exists(TLS): skip("AUTH in whole sessions", "this build has no smtpin-tls"); done()
directory, deliver = taker()
USER, PASSWORD = "jane@example.org", "Wonderful!Secret"
RIGHT, WRONG = plain(USER, PASSWORD), plain(USER, "wrong")
NAME, WORD = "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"
MAIL = [("MAIL FROM:<jane@example.org> BODY=8BITMIME SIZE=400", "250"), ("RCPT TO:<b@elsewhere.example>", "250"), ("DATA", "354"), ("Subject: x\r\n\r\ntext\r\n.", "250"), ("QUIT", "221")]
LOCAL = [("MAIL FROM:<a@example.com>", "250"), ("RCPT TO:<b@example.org>", "250"), ("RCPT TO:<b@elsewhere.example>", "550"), ("DATA", "354"), ("Subject: x\r\n\r\ntext\r\n.", "250")]
CONTEXT = client_context(verify=False)


def inside(server, name="client.example.com", source=None):
    """A client inside TLS, behind its EHLO: the socket, and the reply."""
    raw = socket.create_connection(("127.0.0.1", server.port["submissions"]), 60, (source, 0) if source else None)
    c = CONTEXT.wrap_socket(raw, server_hostname=HOST)
    read_one(c)
    return c, say(c, "EHLO " + name)


def play(c, lines):
    """None, or the first line whose reply is another one."""
    for line, wanted in lines:
        got = say(c, line)
        if not got.split("\r\n")[-1].startswith(wanted): return line, wanted, got
    return None


# What clients say ------------------------------------------------------------------------------------------------------------
# Each is a session of its own, inside TLS and behind EHLO.
DIALOGUES = {
    "Thunderbird: PLAIN with an initial response": [("AUTH PLAIN " + RIGHT, "235 2.7.0"), *MAIL],
    "Thunderbird, wrong: the user is asked, and then another way is tried": [("AUTH PLAIN " + WRONG, "535 5.7.8"), ("AUTH LOGIN", NAME), (b64(USER), WORD), (b64("wrong"), "535 5.7.8"), ("AUTH PLAIN " + RIGHT, "235"), *MAIL],
    "Thunderbird: an old token is answered by a challenge, which gets an empty response": [("AUTH XOAUTH2 " + b64(f"user={USER}\1auth=Bearer old\1\1"), "334 "), ("", "535"), ("AUTH PLAIN " + RIGHT, "235"), *MAIL],
    "Outlook: LOGIN without an initial response": [("AUTH LOGIN", NAME), (b64(USER), WORD), (b64(PASSWORD), "235"), *MAIL],
    "Outlook: LOGIN with the name in the command": [("AUTH LOGIN " + b64(USER), WORD), (b64(PASSWORD), "235"), *MAIL],
    "Outlook, wrong": [("AUTH LOGIN " + b64(USER), WORD), (b64("wrong"), "535"), ("AUTH LOGIN", NAME), (b64(USER), WORD), (b64(PASSWORD), "235"), *MAIL],
    "Apple Mail: PLAIN without an initial response": [("AUTH PLAIN", "334 "), (RIGHT, "235"), *MAIL],
    "cancelled at each challenge": [("AUTH LOGIN", NAME), ("*", "501 5.7.0"), ("AUTH LOGIN", NAME), (b64(USER), WORD), ("*", "501"), ("AUTH PLAIN", "334"), ("*", "501"), ("AUTH CRAM-MD5", "334"), ("*", "501"), ("NOOP", "250"), ("AUTH PLAIN " + RIGHT, "235"), *MAIL],
    "empty responses": [("AUTH PLAIN =", "535"), ("AUTH PLAIN", "334"), ("", "535"), ("NOOP", "250"), ("AUTH LOGIN", NAME), (b64(USER), WORD), (b64(PASSWORD), "235"), *MAIL],
    "what is no base64": [("AUTH PLAIN !", "501"), ("AUTH LOGIN", NAME), ("jane@example.org", "501"), ("AUTH LOGIN", NAME), (b64(USER) + " ", "501"), ("AUTH PLAIN", "334"), ("=", "501"), ("AUTH PLAIN " + RIGHT[:-1], "501"), ("AUTH PLAIN " + RIGHT, "235"), *MAIL],
    "mechanisms that there are not": [("AUTH GSSAPI", "504"), ("AUTH ANONYMOUS " + b64("x"), "504"), ("AUTH EXTERNAL =", "504"), ("AUTH", "501"), ("auth plain " + RIGHT, "235"), *MAIL],
    "once a session, and not within a transaction": [*LOCAL[:2], ("AUTH PLAIN " + RIGHT, "503"), ("RSET", "250"), ("AUTH PLAIN " + RIGHT, "235"), ("AUTH PLAIN " + RIGHT, "503"), ("RSET", "250"), ("EHLO again.example.com", "250"), *MAIL],
    "the longest response, and one that is too long": [("AUTH PLAIN", "334"), ("A" * 12288, "535"), ("AUTH PLAIN", "334"), ("A" * 12292, "500"), ("NOOP", "250"), ("AUTH PLAIN " + RIGHT, "235"), *MAIL],
    "nobody": [("AUTH PLAIN " + plain("joe@example.org", PASSWORD), "535"), *LOCAL, ("QUIT", "221")],
    "a user who has no login here": [("AUTH PLAIN " + plain("carol", "x"), "535"), ("AUTH PLAIN " + plain("gina", "x"), "535"), *LOCAL, ("QUIT", "221")],
}


def dialogues(dovecot):
    for sandbox in ("yes", "no"):
        server = Server({"deliver": deliver, "sandbox": sandbox, "auth": "dovecot:" + dovecot.socket, "auth_failure_delay": "0", "max_auth_errors": "4"})
        for title, lines in DIALOGUES.items():
            clear(directory)
            c, hello = inside(server)
            wrong = play(c, lines)
            ok(wrong is None and "250-AUTH PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256 XOAUTH2 OAUTHBEARER\r\n" in hello, f"sandbox = {sandbox}: {title}", (wrong, hello))
            c.close()
            if lines[-1] == ("QUIT", "221"): ok(len(messages(directory)) == 1, "and its message", messages(directory))
        # All in one write: a client that knows what it will be asked.
        c, _ = inside(server)
        c.sendall("\r\n".join(["AUTH LOGIN", b64(USER), b64(PASSWORD), "NOOP", ""]).encode())
        equal([read_one(c)[:16] for _ in range(3)] + [read_one(c)[:3]], [NAME, WORD, "235 2.7.0 Authen", "250"], f"sandbox = {sandbox}: all in one write")
        c.close()
        # In plain text there is nothing of it.
        c = connect(server.port["smtp"]); read_one(c)
        hello = say(c, "EHLO x")
        ok("AUTH" not in hello and say(c, "AUTH PLAIN " + RIGHT).startswith("538"), f"sandbox = {sandbox}: in plain text it is not announced, and 538")
        c.close()
        said = server.said()
        ok(PASSWORD not in said and RIGHT not in said and b64(PASSWORD) not in said and "crash" not in said, "no password in the log, no crash")
        equal(server.end(), 0, "the listening process ends")

    # A login from before TLS counts no longer.
    server = Server({"deliver": deliver, "auth": "dovecot:" + dovecot.socket, "auth_plaintext": "yes", "auth_required": "yes"})
    c = connect(server.port["smtp"]); read_one(c)
    equal(play(c, [("EHLO x", "250"), LOCAL[0][:1] + ("530 5.7.0",), ("AUTH PLAIN " + RIGHT, "235"), ("STARTTLS", "220")]), None, "auth_plaintext = yes, auth_required = yes")
    c = CONTEXT.wrap_socket(c, server_hostname=HOST)
    equal(play(c, [("EHLO x", "250"), LOCAL[0][:1] + ("530",), ("AUTH PLAIN " + RIGHT, "235"), *MAIL]), None, "inside TLS it has not logged in, and may")
    c.close(); server.end()


# Who guesses -----------------------------------------------------------------------------------------------------------------
def guesses(dovecot):
    for sandbox in ("yes", "no"):
        server = Server({"deliver": deliver, "sandbox": sandbox, "auth": "dovecot:" + dovecot.socket, "auth_failure_delay": "2s"})
        c, _ = inside(server)
        times, replies = [], []
        for i in range(3):
            before = time.monotonic()
            c.sendall(f"AUTH PLAIN {WRONG}\r\n".encode())
            if i == 0:  # meanwhile, somebody else
                other, _ = inside(server)
                ok(say(other, "AUTH PLAIN " + RIGHT).startswith("235") and time.monotonic() - before < 2, f"sandbox = {sandbox}: another one does not wait", time.monotonic() - before)
                other.close()
            replies.append(read_one(c)[:9]); times.append(time.monotonic() - before)
        equal((replies, c.recv(10)), (["535 5.7.8", "535 5.7.8", "421 4.7.0"], b""), f"sandbox = {sandbox}: three wrong ones, and the end")
        ok(min(times) >= 2 and max(times) < 12, "each waits auth_failure_delay", times)
        c.close()
        ok(server.records("refused", 'reply="535', times=2) and server.records("refused", 'reply="421'), "each has its record", server.said())
        ok(all("sasl_username" not in l for l in server.said().splitlines() if 'reply="535' in l), "a failed login has no user")
        server.end()


def penalty():
    """Dovecot lets those wait who have failed, by their address."""
    dovecot = Dovecot("penalty")
    server = Server({"deliver": deliver, "auth": "dovecot:" + dovecot.socket, "auth_failure_delay": "0"})
    c, _ = inside(server, source="127.0.0.2")
    wrong = [say(c, "AUTH PLAIN " + plain(USER, f"wrong{i}"))[:3] for i in range(3)]
    equal(wrong, ["535", "535", "421"], "three wrong ones, of one address")
    times = {}
    for source in ("127.0.0.3", "127.0.0.2"):
        d, _ = inside(server, source=source)
        before = time.monotonic()
        ok(say(d, "AUTH PLAIN " + RIGHT).startswith("235"), f"and a right one of {source}")
        times[source] = time.monotonic() - before
        d.close()
    c.close()
    ok(times["127.0.0.3"] < 3 and times["127.0.0.3"] < times["127.0.0.2"], "another address does not wait for that one's penalty", times)
    ok("rip=127.0.0.2\t" in dovecot.said() and "rip=127.0.0.3\t" in dovecot.said(), "Dovecot hears of both")
    server.end(); dovecot.end()


# A Dovecot that fails --------------------------------------------------------------------------------------------------------
def later(server, c, what, *lines):
    """454 in place of what was wanted, a record, and the session goes on."""
    before = len(server.records("configuration key=auth", "mistake=", times=0))
    start = time.monotonic()
    wrong = play(c, lines) or play(c, [("NOOP", "250"), ("AUTH GSSAPI", "504")])
    ok(wrong is None and time.monotonic() - start < 15, f"{what}: 454, and the session goes on", wrong)
    ok(len(server.records("configuration key=auth", "mistake=", times=before + 1)) > before, f"{what}: a record", server.said()[-1000:])


def real_failures(dovecot):
    for sandbox in ("yes", "no"):
        title = lambda what: f"sandbox = {sandbox}: {what}"
        server = Server({"deliver": deliver, "sandbox": sandbox, "auth": "dovecot:" + dovecot.socket, "auth_timeout": "1s", "auth_failure_delay": "0", "max_errors": "1000"})
        c, _ = inside(server)
        ok(dovecot.signal(signal.SIGSTOP), title("Dovecot stands still"))
        later(server, c, title("before AUTH"), ("AUTH PLAIN " + RIGHT, "454 4.7.0"))
        other, hello = inside(server)
        ok("250-AUTH PLAIN LOGIN\r\n" in hello, title("it can't be asked for mechanisms: those that each client has"), hello)
        later(server, other, title("before EHLO"), ("AUTH PLAIN " + RIGHT, "454 4.7.0"))
        equal(play(other, LOCAL), None, title("who has not logged in has its mail taken all the same"))
        dovecot.signal(signal.SIGCONT)
        equal(play(other, [("EHLO x", "250"), ("AUTH PLAIN " + RIGHT, "235")]), None, title("and goes on: that session too logs in"))
        other.close()
        equal(play(c, [("AUTH LOGIN", NAME)]), None, title("LOGIN"))
        dovecot.signal(signal.SIGSTOP)
        later(server, c, title("stopped at a challenge"), (b64(USER), "454 4.7.0"))
        dovecot.signal(signal.SIGCONT)
        equal(play(c, [("AUTH LOGIN", NAME), (b64(USER), WORD)]), None, title("LOGIN"))
        dovecot.signal(signal.SIGKILL)
        later(server, c, title("killed at a challenge"), (b64(PASSWORD), "454 4.7.0"))
        dovecot.end(); dovecot.signal(signal.SIGKILL)
        later(server, c, title("Dovecot is gone"), ("AUTH PLAIN " + RIGHT, "454 4.7.0"))
        dovecot.start()
        equal(play(c, [("AUTH LOGIN", NAME), (b64(USER), WORD), (b64(PASSWORD), "235"), *MAIL]), None, title("and there again: the same session logs in"))
        c.close()
        ok("crash" not in server.said(), title("no session has crashed"))
        server.end()


# How one of the test's own fails: what it says, and whether it closes.
BROKEN = {"silent": ("", False), "closes": ("", True), "half a line": ("OK\t{n}\tuser=ja", False), "half a line, and closes": ("OK\t{n}\tuser=ja", True), "garbage": ("\0\1garbage\n", False),
          "another one's answer": ("OK\t77\tuser=jane\n", False), "a challenge that is none": ("CONT\t{n}\t\r\n", False), "cancelled": ("CANCELLED\t{n}\n", False), "temporary": ("FAIL\t{n}\tcode=temp_fail\n", False)}

SOUND = ("cancelled", "temporary")  # after which the connection can be used


def stand_in_failures():
    for sandbox in ("yes", "no"):
        for what, (answer, closes) in BROKEN.items():
            for state in ("the greeting", "AUTH", "a challenge"):
                if state == "the greeting" and (what in SOUND or what == "another one's answer"): continue
                def serve(s):
                    n = "1"
                    if state != "the greeting":
                        s.greet(); n = s.id(s.line())
                        if state == "a challenge": s.say(f"CONT\t{n}\tAAAA\n"); s.line()
                    s.say(answer.format(n=n))
                    if what in SOUND: go_on(s)
                    if not closes: wait(s)
                # The first connection is that of EHLO. It is kept, if it can be; where it has ended meanwhile, there is a second one.
                s = StandIn(serve, serve, right) if state == "the greeting" or what == "closes" and state == "AUTH" else StandIn(serve, right)
                server = Server({"deliver": deliver, "sandbox": sandbox, "auth": "dovecot:" + s.path, "auth_timeout": "1s", "auth_failure_delay": "0"}, {"submissions": {"tls": "implicit"}})
                c, _ = inside(server)
                lines = [("AUTH PLAIN AAAA", "334 AAAA"), ("AAAA", "454")] if state == "a challenge" else [("AUTH PLAIN AAAA", "454")]
                later(server, c, f"sandbox = {sandbox}: at {state}: {what}", *lines)
                equal(play(c, [("AUTH PLAIN AAAA", "235"), ("QUIT", "221")]), None, "and then a good one")
                c.close(); server.end(); s.end()


# checkpassword ---------------------------------------------------------------------------------------------------------------
def checkpassword():
    box = os.path.join(TMP, "box"); os.mkdir(box); os.chmod(box, 0o755)
    write("box/.password", "secret\n", 0o600)
    users = write("passwd", f"jane:secret:{os.getuid()}:{os.getgid()}:Jane:/:/bin/sh\n", 0o644)
    for name, user, needs, command in (("checkpw", "root", ("checkpw",), f"/usr/bin/env MAILDIR={box} checkpw"),
                                       ("cvm-checkpassword", "jane", ("cvm-checkpassword", "cvm-pwfile"), f"/usr/bin/env CVM_PWFILE_PATH={users} CVM_ACCOUNT_SPLIT_CHARS= cvm-checkpassword {shutil.which('cvm-pwfile')}")):
        if not all(have(n) for n in needs) or name == "checkpw" and not ROOT: skip(name, f"needs root and {needs[0]} (Debian: {'cvm' if name != 'checkpw' else 'checkpw'})"); continue
        for sandbox in ("yes", "no"):
            server = Server({"deliver": deliver, "sandbox": sandbox, "auth": "checkpassword:" + command, "auth_failure_delay": "0"})
            clear(directory)
            for lines in ([("AUTH PLAIN " + plain(user, "wrong"), "535"), ("AUTH PLAIN " + plain(user, "secret"), "235"), *MAIL],
                          [("AUTH LOGIN", NAME), (b64(user), WORD), (b64("wrong"), "535"), ("AUTH LOGIN " + b64(user), WORD), ("*", "501"), ("AUTH LOGIN", NAME), (b64(user), WORD), (b64("secret"), "235"), *MAIL],
                          [("AUTH PLAIN", "334"), ("*", "501"), ("AUTH PLAIN", "334"), ("", "501"), ("AUTH CRAM-MD5", "504"), ("AUTH PLAIN", "334"), (plain(user, "secret"), "235"), *MAIL]):
                c, hello = inside(server)
                wrong = play(c, lines)
                ok(wrong is None and "250-AUTH PLAIN LOGIN\r\n" in hello, f"{name}, sandbox = {sandbox}: {lines[0][0][:10]}", (wrong, hello))
                c.close()
            equal(len(messages(directory)), 3, "and their messages")
            ok(server.records(" session ", f"sasl_username={user} sasl_method=LOGIN"), "the record says who")
            ok("crash" not in server.said(), "no session has crashed"); server.end()


# Where the password is -------------------------------------------------------------------------------------------------------
SECRET = "Tr0ub4dor-is-wonderful"
SECRETS = [s.encode() for s in (SECRET, b64(SECRET), plain("jane", SECRET), plain("jane", SECRET)[8:28])]


READ = int(re.search(r"SERVE_READ_MAX = (\d+) \* 1024,", open(os.path.join(SOURCE, "src/serve_wire.h")).read())[1]) * 1024
KNOWN = b"a-name-that-is-no-secret.example"


def family(pid):
    found = [pid]
    for p in found:
        try: found += [int(x) for x in open(f"/proc/{p}/task/{p}/children").read().split()]
        except OSError: pass
    return found


def memory_has(pid):
    found = set()
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            where, how, *_ = line.split()
            first, last = (int(x, 16) for x in where.split("-"))
            if "r" not in how or last - first > 1 << 30 or "[v" in line: continue
            try: mem.seek(first); data = mem.read(last - first)
            except OSError: continue
            found |= {(s.decode(), line.split()[-1], how) for s in SECRETS if s in data}
            if KNOWN in data: found.add("a name")
    return found


def told(pid): return b"".join(open(f"/proc/{pid}/{f}", "rb").read() for f in ("cmdline", "environ", "status"))


def says_secret(path):
    data = open(path, "rb").read()
    return [s for s in SECRETS if s in data]


def secrets(way, sandbox, auth, lines, before=()):
    """A session with a password that is known, all of it written down where it can be."""
    place = tempfile.mkdtemp(dir=TMP); traces = place + "/traces"; os.mkdir(traces); os.chmod(place, 0o777); os.chmod(traces, 0o777)
    title = f"{way}, sandbox = {sandbox}{', every call watched' if before else ''}"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        raw = socket.create_connection(listener.getsockname(), 60); theirs, _ = listener.accept()
    with open(place + "/log", "wb") as log:
        p = subprocess.Popen([*before, *arguments({**SETTINGS, "tls": "implicit", "sandbox": sandbox, "auth": auth, "deliver": deliver, "trace": traces, "auth_failure_delay": "0"})], stdin=theirs, stdout=theirs, stderr=log)
    theirs.close()
    c = CONTEXT.wrap_socket(raw, server_hostname=HOST)
    read_one(c)
    equal(play(c, [(f"EHLO {KNOWN.decode()}", "250"), *lines]), None, f"{title}: the session")
    everybody = family(p.pid)
    ok(len(everybody) > 1 and not [q for q in everybody if any(s in told(q) for s in SECRETS)], f"{title}: no process has it in its arguments, environment or status")
    if not before and not SANITIZED:
        # smtpin-tls has read and decrypted it: OpenSSL's buffers are not ours to wipe.
        held = {q: memory_has(q) for q in everybody if os.path.basename(os.readlink(f"/proc/{q}/exe")) == "smtpin"}
        ok(len(held) == (2 if sandbox == "yes" else 1), f"{title}: the processes of smtpin", held.keys())
        equal(list(held.values()), [{"a name"}] * len(held), f"{title}: it is in the memory of none of them, where the client's name is")
    equal(play(c, MAIL if any(code == "235" for _, code in lines) else [*LOCAL, MAIL[-1]]), None, f"{title}: a message")
    c.close(); p.wait(60)
    written = [place + "/log", *glob.glob(traces + "/**", recursive=True), *glob.glob(directory + "/*")]
    written = [f for f in written if os.path.isfile(f)]
    ok(os.path.getsize(place + "/log") > 100 and any(f.startswith(traces) for f in written) and any(f.endswith(".env") for f in written), f"{title}: there is a log, a recording, a message", written)
    equal({f: s for f in written if (s := says_secret(f))}, {}, f"{title}: it is in none of them")
    recorded = b"".join(open(f, "rb").read() for f in written if f.startswith(traces))
    ok(re.search(rb"^C: (AUTH [A-Z]+ )?x{16,}!?$", recorded, re.M), f"{title}: the recording has what was said, masked", recorded)
    return place


def full_buffer(check):
    """A line of which half is in the last octets that one read gets: the rest of them is moved to the front."""
    ours, theirs = socket.socketpair(); ours.settimeout(60)
    p = subprocess.Popen(arguments({"sandbox": "no", "auth": "checkpassword:" + check, "auth_plaintext": "yes", "log": "none", "max_commands": "100000"}), stdin=theirs, stdout=theirs)
    theirs.close(); read_one(ours); say(ours, "EHLO " + KNOWN.decode())
    line = b"AUTH PLAIN " + plain("jane", SECRET).encode()
    p.send_signal(signal.SIGSTOP)
    lines = b"NOOP\r\n" * ((READ - len(line)) // 6 + 1)
    ours.sendall((lines + line)[:READ])  # it ends within the AUTH line
    p.send_signal(signal.SIGCONT)
    for _ in range(len(lines) // 6): read_one(ours)
    ok(say(ours, (lines + line)[READ:] + b"\r\n").startswith("235"), "a line that is cut where the buffer ends")
    equal(memory_has(p.pid), {"a name"}, "no half of it is left")
    ours.close(); p.wait(60)


def all_secrets():
    check = write("check-secret", f"#!/bin/sh\n[ \"$(tr '\\0' ' ' <&3)\" = 'jane {SECRET}  ' ]\n")
    if not SANITIZED: full_buffer(check)
    wrong = b64(SECRET + "x")
    LINES = {
        "PLAIN": [("AUTH PLAIN " + plain("jane", SECRET), "235")],
        "PLAIN without an initial response": [("AUTH PLAIN", "334"), (plain("jane", SECRET), "235")],
        "LOGIN": [("AUTH LOGIN", NAME), (b64("jane"), WORD), (b64(SECRET), "235")],
        "LOGIN, wrong, cancelled, and in one write": [("AUTH LOGIN", NAME), (b64("jane"), WORD), (wrong, "535"), ("AUTH PLAIN !" + SECRET, "501"), ("AUTH LOGIN", NAME), (SECRET, "501"), ("AUTH PLAIN " + plain("jane", SECRET), "235")],
        # What is refused at once may be a password all the same.
        "refused: no such mechanism": [("AUTH GSSAPI " + plain("jane", SECRET), "504")],
        "refused: no base64": [("AUTH PLAIN " + SECRET, "501")],
        "refused: a response that is no base64": [("AUTH LOGIN", NAME), (SECRET + "!", "501")],
        "refused: once is enough": [("AUTH PLAIN " + plain("jane", SECRET), "235"), ("AUTH PLAIN " + plain("jane", SECRET), "503")],
        "a line in two pieces, the first of them behind another line": [(b"NOOP " + b"x" * 400 + b"\r\nAUTH PLAIN " + plain("jane", SECRET)[:30].encode(), "250"), (plain("jane", SECRET)[30:].encode() + b"\r\n", "235")],
    }
    def jane(s):
        s.greet()
        while True:
            line = s.line().split("\t"); n = line[1]
            if line[0] == "CANCEL": continue
            said = line[-1][5:] if line[-1].startswith("resp=") else None
            if "LOGIN" in line and said is None:
                s.say(f"CONT\t{n}\t{NAME[4:]}\n"); s.line(); s.say(f"CONT\t{n}\t{WORD[4:]}\n"); said = plain("jane", base64.b64decode(s.line().split("\t")[2]).decode())
            elif said is None: s.say(f"CONT\t{n}\t\n"); said = s.line().split("\t")[2]
            s.say(f"OK\t{n}\tuser=jane\n" if said == plain("jane", SECRET) else f"FAIL\t{n}\tuser=jane\n")
    for sandbox in ("yes", "no"):
        for way, lines in LINES.items():
            clear(directory)
            secrets(f"checkpassword, {way}", sandbox, "checkpassword:" + check, lines)
            if len(lines) > 3 or "refused" in way: continue
            s = StandIn(jane); secrets(f"Dovecot, {way}", sandbox, "dovecot:" + s.path, lines); s.end()
        if SANITIZED: continue  # its leak detector can't be traced
        if not have("strace"): skip("every call watched", "no strace"); continue
        # No program is started with it, whoever starts it.
        out = os.path.join(TMP, "calls")
        secrets("checkpassword, PLAIN", sandbox, "checkpassword:" + check, LINES["PLAIN"], before=["strace", "-f", "-v", "-s", "100000", "-e", "trace=execve", "-o", out])
        calls = open(out).read()
        ok(calls.count("execve(") >= 3 and "check-secret" in calls and not any(s.decode() in calls for s in SECRETS), f"sandbox = {sandbox}: no program is started with it", calls[:2000])


if have("dovecot"):
    dovecot = Dovecot(penalty=False)
    dialogues(dovecot); guesses(dovecot); penalty(); real_failures(dovecot)
    equal(dovecot.bugs(), [], "nothing that Dovecot calls a bug")
    dovecot.end()
else: skip("AUTH with a real Dovecot", "no dovecot")
stand_in_failures()
checkpassword()
if ROOT: all_secrets()
else: skip("where the password is", "needs root, to look into other processes")
done()
