"""What smtpin makes of a TLS program that is broken or an attacker's: smtpin-tls, started or as a service, and one that speaks UCSPI-TLS."""
import concurrent.futures, itertools, select, threading
from harness import *

MARKER = write("marker", "", 0o644)
# `talk` sends a message inside TLS: the stream's other end is what a client inside TLS would say.
PRELUDE = f"""
def talk(stop=False):
    stream = socket.socket(fileno=os.dup(fds[2]))
    stream.settimeout(30)
    def reply():
        data = b""
        while not data.endswith(b"\\r\\n") or data.splitlines()[-1][3:4] != b" ":
            piece = stream.recv(4096)
            if not piece: return data
            data += piece
        return data
    if sys.argv[1] == "implicit": reply()
    for piece in {[l + bytes((13, 10)) for l in (b"EHLO inside.example.com", b"MAIL FROM:<a@example.com>", b"RCPT TO:<b@example.org>", b"DATA", b"Subject: inside" + bytes((13, 10)) * 2 + b"text" + bytes((13, 10)) + b".", b"QUIT")]!r}:
        stream.sendall(piece)
        reply()
    while stream.recv(4096): pass
def begin(): hear(); say(b"ready\\0"); hear()
def held(): return [os.readlink(f"/proc/{{os.getppid()}}/fd/{{n}}") for n in os.listdir(f"/proc/{{os.getppid()}}/fd")]
"""
GOOD = "begin(); say(b'secure\\0' + facts); talk()"
# What is behind STARTTLS, or the connection's first octet: unavailable (454, and the session goes on; the connection is closed), failed (220, then
# it is closed), secure (a message is sent inside TLS), ended (TLS is there, and the stream is at its end).
CASES = {}
def case(name, end, body, reason=None, slow=False): CASES[name] = (end, PRELUDE + body, reason, slow)
# Before it is ready.
case("dead at once", "unavailable", "pass")
case("dead after BEGIN", "unavailable", "hear()", "smtpin-tls has ended")
case("an empty packet", "unavailable", "hear(); say(b''); time.sleep(0.2)")
case("silent", "unavailable", "hear(); hear(); hear()", "timeout")
for what, said in {"another word": b"maybe\0", "ready without its end": b"ready", "a longer word": b"ready!\0", "a NUL alone": b"\0", "octets": bytes(range(256)), "secure before ready": b"secure\0SSL_PROTOCOL=TLSv1.3\0"}.items():
    case(what, "unavailable", f"hear(); say({said!r}); hear()", "smtpin-tls has not said why")
case("a reason of many lines", "unavailable", "hear(); say(b'unavailable\\0reason=EVIL\\nsmtpin[1]: session session=EVIL\\0'); hear()", r"EVIL\\x0asmtpin\[1\]: session session=EVIL")
case("a reason of 8 KiB", "unavailable", "hear(); say(b'unavailable\\0reason=' + b'x' * 8000 + b'\\0'); hear()", "x{200}")
case("a packet that is too long", "unavailable", "hear(); say(b'ready\\0' + b'x' * 9000); hear()", "Message too l")
case("the client's plain text read before go", "unavailable", "hear(); say(b'no\\0'); hear()", "smtpin-tls has not said why")
# Before it is secure.
case("dead once it is ready", "failed", "hear(); say(b'ready\\0')")
case("dead at go", "failed", "begin()", "smtpin-tls has ended")
case("silent at go", "failed", "begin(); hear()", "timeout")
case("ready twice", "failed", "hear(); say(b'ready\\0'); say(b'ready\\0'); hear()", "smtpin-tls has not said why")
case("failed", "failed", "begin(); say(b'failed\\0reason=http request\\0offered=TLSv1.3 TLSv1.2\\0SSL_TLS_SNI=mx.example.org\\0')", 'http request" tls_offered="TLSv1.3 TLSv1.2" tls_sni=mx.example.org')
case("failed, with lines of its own", "failed", "begin(); say(b'failed\\0reason=a\\0offered=EVIL\\n\"\\0SSL_TLS_SNI=EVIL\\r\\n\\0')", r'a tls_offered="EVIL\\x0a\\x22" tls_sni="EVIL\\x0d\\x0a"')
for what, said in {"no word": b"\0SSL_PROTOCOL=TLSv1.3\0", "secure without its end": b"secure", "secured": b"secured\0SSL_PROTOCOL=TLSv1.3\0"}.items():
    case(what, "failed", f"begin(); say({said!r}); hear()", "smtpin-tls has not said why")
for what, said in {"no facts": b"", "no version": b"SSL_CIPHER=TLS_AES_128_GCM_SHA256\0", "a version without its end": b"SSL_PROTOCOL=TLSv1.3", "an empty version": b"SSL_PROTOCOL=\0",
                   "a version of two lines": b"SSL_PROTOCOL=TLSv1.3\r\nX-EVIL: yes\0", "a version in parentheses": b"SSL_PROTOCOL=TLS(EVIL)\0", "a version behind an empty field": b"\0SSL_PROTOCOL=TLSv1.3\0"}.items():
    case(what, "failed", f"begin(); say(b'secure\\0' + {said!r}); hear()", "smtpin-tls does not say which TLS it is")
case("it wants the socket", "failed", "begin(); say(b'secure\\0plain=socket\\0' + facts); hear()", "smtpin-tls wants to go on in a way that is not known here")
case("facts that are too long", "failed", "begin(); say(b'secure\\0' + facts + b'X=' + b'x' * 9000 + b'\\0'); hear()", "Message too l")
case("it stays for ever", "failed", "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nbegin(); say(b'failed\\0reason=x\\0'); time.sleep(600)", "x", slow=True)
case("failed, and plain text inside", "failed", "begin(); say(b'failed\\0reason=x\\0'); os.write(fds[2], b'EHLO x\\r\\nMAIL FROM:<>\\r\\n'); time.sleep(0.5)", "x")
# Secure.
case("good", "secure", GOOD)
case("a service with more to say", "secure", "begin(); say(b'secure\\0plain=stream\\0later=EVIL\\0=EVIL\\0EVIL\\0' + facts)\ntry: say(b'EVIL\\0')\nexcept OSError: pass\ntalk()")
case("two packets at once", "secure", "hear(); say(b'ready\\0'); say(b'secure\\0' + facts); hear(); talk()")
case("descriptors with each packet", "secure", f"hear()\nm = os.open({MARKER!r}, os.O_RDONLY)\nsocket.send_fds(control, [b'ready\\0'], [m] * 4); hear()\nsocket.send_fds(control, [b'secure\\0' + facts], [m] * 40)\ntime.sleep(0.3)\nif {MARKER!r} not in held(): talk()")
case("its control socket stays open", "secure", "begin(); say(b'secure\\0' + facts); talk(); time.sleep(0.2)")
case("it stays for ever, secure", "secure", "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nbegin(); say(b'secure\\0' + facts); talk(); time.sleep(600)", slow=True)
case("the stream ends at once", "ended", "begin(); say(b'secure\\0' + facts); os.close(fds[2]); time.sleep(0.3)")
case("dead once it is secure", "ended", "begin(); say(b'secure\\0' + facts)")
case("the stream ends within a message", "ended", "begin(); say(b'secure\\0' + facts)\nos.write(fds[2], b'EHLO c.example.com\\r\\nMAIL FROM:<a@example.com>\\r\\nRCPT TO:<b@example.org>\\r\\nDATA\\r\\nSubject: half\\r\\n'); time.sleep(0.3)")
FACTS = ("SSL_CIPHER", "SSL_CIPHER_IANA", "SSL_CIPHER_USEKEYSIZE", "SSL_GROUP", "SSL_TLS_SNI", "SSL_CLIENT_VERIFY", "SSL_CLIENT_S_DN", "SSL_CLIENT_I_DN", "SSL_CLIENT_NAME", "SSL_CLIENT_FINGERPRINT", "SSL_CLIENT_KEY_FINGERPRINT", "SSL_SERVER_V_END", "SSL_TLS_EXPORTER", "SSL_TLS_SERVER_END_POINT")
def all_facts(value): return b"".join(name.encode() + b"=" + value + b"\0" for name in FACTS)
for what, value in {"a newline": b"EVIL\nX-EVIL: yes", "a carriage return": b"EVIL\r\nX-EVIL: yes", "a control octet": b"EVIL\x01", "DEL": b"EVIL\x7f", "8 KiB": None, "octets outside ASCII": b"EVIL\xc3\xa4\xff", "a tab": b"EVIL\t"}.items():
    # All facts have it; of 8 KiB one fact, which is all that a packet has room for.
    for only in FACTS if value is None else (None,):
        fields = all_facts(value) if value is not None else only.encode() + b"=" + b"EVIL" * 1900 + b"\0"
        case(f"facts with {what}" + (f": {only}" if only else ""), "secure", f"begin(); say(b'secure\\0SSL_PROTOCOL=TLSv1.3\\0' + {fields!r}); talk()")
# These are no control octets: what stands in a comment or in a word has none of them, names of certificates may.
case("facts with parentheses, quotes, backslashes", "secure", f"begin(); say(b'secure\\0SSL_PROTOCOL=TLSv1.3\\0' + {b''.join(n.encode() + b'=(EVIL) ' + bytes((34, 92, 59)) + bytes(1) for n in FACTS if 'DN' not in n and n != 'SSL_CLIENT_VERIFY')!r}); talk()")
case("a verdict with quotes", "secure", "begin(); say(b'secure\\0SSL_PROTOCOL=TLSv1.3\\0SSL_CLIENT_VERIFY=FAILED:\" end=forged (\\0SSL_CLIENT_S_DN=CN=\"a\\\\b\",O=(c)\\0'); talk()")
case("names that are no facts", "secure", "begin(); say(b'secure\\0SSL_PROTOCOL=TLSv1.3\\0PATH=EVIL\\0LD_PRELOAD=EVIL\\0SMTPIN_ID=EVIL\\0SSL_PROTOCOL =EVIL\\0ssl_cipher=EVIL\\0'); talk()")

SERVICES = {}
ended = threading.Event()
def serve(listener, program, mode):
    """The program as a service: a process for each connection, which is ended with the test."""
    while not ended.is_set():
        if not select.select([listener], [], [], 0.1)[0]: continue
        c = listener.accept()[0]
        processes.append(subprocess.Popen([program, mode], stdin=c, stderr=subprocess.DEVNULL))
        c.close()
processes, threads = [], []
number = itertools.count()
PROGRAMS = {name: tls_stand_in(f"stand-in-{i}", body) for i, (name, (_, body, _, _)) in enumerate(CASES.items())}


def whole_lines(text): return text.replace("\n\t", " ").splitlines()


def one(run):
    """Plays it: (what went wrong, the log). A client outside TLS, whose octets and end are looked at."""
    name, mode, way, sandbox = run
    end, _, reason, _ = CASES[name]
    n = next(number)
    directory, deliver = taker(f"taken-{n}")
    # Where nobody is silent, the time is for a machine that has much to do.
    settings = {"deliver": deliver, "log": "stderr", "spool_dir": TMP, "tls": mode, "tls_timeout": "1" if "silent" in name else "30", "sandbox": sandbox, "tls_service": "no", "tls_command": f"{PROGRAMS[name]} {mode}"}
    if way == "service":
        path = os.path.join(TMP, f"s{n}")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); listener.bind(path); listener.listen(4)
        threads.append(threading.Thread(target=serve, args=(listener, PROGRAMS[name], mode), daemon=True)); threads[-1].start()
        settings |= {"tls_service": "only", "tls_socket": path}
    log_file = tempfile.TemporaryFile(dir=TMP)
    p, c = session(settings, stderr=log_file)
    c.settimeout(90)
    wrong = []
    def check(fine, what, *more):
        if not fine: wrong.append((what, *more))
    if mode == "may":
        read_reply(c)
        c.sendall(b"EHLO outside.example.com\r\n")
        check(b"STARTTLS" in read_reply(c), "STARTTLS is announced")
        c.sendall(b"STARTTLS\r\n")
        said = read_reply(c)
        check(said[:3] == (b"454" if end == "unavailable" else b"220"), "the reply to STARTTLS", said)
        if end == "unavailable" and said[:3] == b"454":
            for line in ENVELOPE.splitlines(): c.sendall(line + b"\r\n"); said = read_reply(c)
            c.sendall(b"Subject: outside\r\n\r\ntext\r\n.\r\n")
            check(read_reply(c)[:3] == b"250", "mail goes on in plain text")
            c.sendall(b"QUIT\r\n")
            read_reply(c)
    try: check((rest := read_all(c)) == b"", "plain text on the wire", rest)
    except TimeoutError: check(False, "the connection is closed")
    c.close()
    try: check(p.wait(90) == 0, "smtpin's status", p.returncode)
    except subprocess.TimeoutExpired: check(False, "smtpin ends"); p.kill(); p.wait()
    log_file.seek(0)
    log = log_file.read().decode()
    taken = messages(directory)
    wanted = [b"outside"] if end == "unavailable" and mode == "may" else [b"inside"] if end == "secure" else []
    check([re.search(rb"^Subject: (\w+)$", m, re.M).group(1) for m in taken] == wanted, "messages", taken)
    check(all(l.startswith(f"smtpin[") for l in log.splitlines()), "each line of the log is smtpin's own")
    check(len(re.findall(r"^smtpin\[\d+\]: session session=", log, re.M)) == 1, "one record of the session")
    check(" crash " not in log and "violation" not in log, "no crash")
    about = re.findall(r"^smtpin\[\d+\]: tls tls=(\w+) session=\S+(?: \w+=\S+)*? reason=\"?(.*)$", log, re.M)
    check([k for k, _ in about] == ([end] if end in ("unavailable", "failed") else []), "records of TLS", about)
    if reason and about: check(re.match(reason, about[0][1]), "its reason", about)
    quoted = re.sub(r'"(?:[^"\\]|\\.)*"', '""', log)
    check("EVIL" not in quoted and "forged" not in quoted and len(max(log.splitlines(), key=len)) < 4096, "nothing hostile in the log")
    for m in taken: check(b"EVIL" not in m and all(re.match(r"[A-Za-z-]+: |$", l) for l in whole_lines(m.decode("latin-1").split("\n\n")[0])), "nothing hostile in the header", m)
    if end == "secure" and taken: check(re.search(rb"\(using TLSv1\.3\b|TLSv1\.3", taken[0].split(b"\n\n")[0]) and b"with ESMTPS" in taken[0], "Received:", taken[0])
    for f in os.listdir(directory):
        if f.endswith(".env"):
            text = open(os.path.join(directory, f)).read()
            check("EVIL" not in text and "X-EVIL" not in text and "PATH=EVIL" not in text, "nothing hostile in the environment", text)
            check(("SSL_PROTOCOL=TLSv1.3\n" in text) == (end == "secure"), "SSL_PROTOCOL", text)
    log_file.close()
    return run, wrong, log


runs = [(name, mode, way, sandbox) for name, (_, _, _, slow) in CASES.items() for mode in ("may", "implicit") for way in ("command", "service") for sandbox in ("yes", "no")
        # The parent of a service is not smtpin; one that stays for ever is for smtpin to end only where it has started it; and each fact that is too long is one case.
        if not (way == "service" and (slow or "descriptors" in name)) and not ("8 KiB: " in name and (way == "service" or (mode == "implicit") != (sandbox == "no")))]
runs.sort(key=lambda r: not CASES[r[0]][3])
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    for (name, mode, way, sandbox), wrong, log in pool.map(one, runs):
        ok(not wrong, f"{name} ({way}, tls = {mode}, sandbox = {sandbox}): {CASES[name][0]}", (wrong, log[-1500:]))


# UCSPI-TLS: whoever started smtpin does it.
def ucspi(facts, sandbox, mode="may", secure=True, **more):
    """(what was said on the plain connection behind 220, replies inside, log, the message, its environment, seconds)."""
    directory, deliver = taker(f"taken-{next(number)}")
    (control, their_control), (plain, theirs_in), (other, theirs_out) = (socket.socketpair() for _ in range(3))
    log_file = tempfile.TemporaryFile(dir=TMP)
    fds = [s.fileno() for s in (their_control, theirs_in, theirs_out)]
    for f in fds: os.set_inheritable(f, True)
    p, c = session({"deliver": deliver, "log": "stderr", "spool_dir": TMP, "tls": mode, "tls_timeout": "1", "sandbox": sandbox, "tls_command": "/nowhere", "tls_service": "no"}, stderr=log_file, pass_fds=fds,
                   env={**os.environ, "UCSPITLS": "", "SSLCTLFD": str(fds[0]), "SSLREADFD": str(fds[1]), "SSLWRITEFD": str(fds[2])})
    for s in (their_control, theirs_in, theirs_out): s.close()
    for s in (control, plain, other): s.settimeout(60)
    started = time.monotonic()
    inside, asked = [], b""
    if mode == "may":
        read_reply(c); c.sendall(b"EHLO outside.example.com\r\n"); read_reply(c); c.sendall(b"STARTTLS\r\n")
        inside.append(read_reply(c)[:3])
    asked = control.recv(10)
    if facts is not None: control.sendall(facts)
    if not (facts is None and secure): control.close()
    if secure and facts is not None:
        if mode == "implicit": read_reply(other)
        for piece in (*(l + b"\r\n" for l in ENVELOPE.splitlines()), b"Subject: inside\r\n\r\ntext\r\n.\r\n", b"QUIT\r\n"):
            try: plain.sendall(piece)
            except OSError: break
            inside.append(read_reply(other)[:3])
    # What is read behind the handshake of a failed one would be plain text; whoever started smtpin closes the connection.
    status = p.wait(60)
    rest = read_all(c)
    for s in (c, control, plain, other): s.close()
    log_file.seek(0); log = log_file.read().decode(); log_file.close()
    env = [open(os.path.join(directory, f)).read() for f in os.listdir(directory) if f.endswith(".env")]
    return asked, rest, inside, log, messages(directory), env, time.monotonic() - started, status


S6 = b"SSL_PROTOCOL=TLSv1.3\0SSL_CIPHER=TLS_AES_256_GCM_SHA384\0SSL_TLS_SNI_SERVERNAME=mx.example.org\0SSL_PEER_CERT_HASH=SHA256:abcd\0SSL_PEER_CERT_SUBJECT=CN=c\0\0"
for sandbox in ("yes", "no"):
    for mode in ("may", "implicit"):
        asked, rest, inside, log, taken, env, _, status = ucspi(S6, sandbox, mode)
        what = f"UCSPI-TLS (tls = {mode}, sandbox = {sandbox})"
        ok(asked == b"Y" and rest == b"" and inside[-1] == b"221" and inside[-2] == b"250" and len(taken) == 1 and status == 0, f"{what}: a message inside, nothing outside", (asked, rest, inside, log))
        ok(" tls=TLSv1.3 " in log and " tls_sni=mx.example.org" in log and "SSL_TLS_SNI=mx.example.org\n" in env[0] and b"with ESMTPS" in taken[0], f"{what}: s6's names of facts", (log, env, taken))
    asked, rest, inside, log, taken, env, _, status = ucspi(b"\0", sandbox)
    ok(len(taken) == 1 and " tls=TLS " in log and b"with ESMTPS" in taken[0], f"UCSPI-TLS (sandbox = {sandbox}): no facts at all: there is TLS all the same", (inside, log, taken))
    for what, facts, secure, reason in (("dead", b"", False, "handshake failed"), ("half a fact, then dead", b"SSL_PROTOCOL=TL", False, "handshake failed"), ("silent", None, True, "timeout"),
                                        ("too much", b"X=y\0" * 4096, False, "the UCSPI-TLS program says too much")):
        asked, rest, inside, log, taken, env, took, status = ucspi(facts, sandbox, secure=secure)
        ok(rest == b"" and inside == [b"220"] and taken == [] and f"tls=failed " in log and reason in log and "crash" not in log and took < 30 and status == 0, f"UCSPI-TLS (sandbox = {sandbox}), {what}: closed", (rest, inside, log, took))
    asked, rest, inside, log, taken, env, _, status = ucspi(b"SSL_PROTOCOL=TLS\nX: EVIL\0SSL_CIPHER=(EVIL)\0SSL_PEER_CERT_SUBJECT=EVIL\x01\0PATH=EVIL\0\0", sandbox)
    ok(len(taken) == 1 and b"EVIL" not in taken[0] and "EVIL" not in env[0] and "EVIL" not in log and " tls=TLS " in log, f"UCSPI-TLS (sandbox = {sandbox}), hostile: nothing of it is kept", (inside, log, taken))

# TLS that is there before the session begins.
for value, fine in (("TLSv1.3", True), ("TLS\nEVIL", False)):
    directory, deliver = taker(f"taken-{next(number)}")
    p, c = session({"deliver": deliver, "tls": "implicit", "spool_dir": TMP, "tls_command": "/nowhere", "tls_service": "no"}, env={**os.environ, "SSL_PROTOCOL": value})
    try: c.sendall(mail()); c.shutdown(socket.SHUT_WR)
    except OSError: pass # it has hung up already
    said = read_all(c); p.wait(30); c.close()
    ok((len(messages(directory)) == 1 and said.startswith(b"220")) == fine and (fine or said == b""), f"SSL_PROTOCOL in the environment: {value!r}", said)

# Nothing is left: those that smtpin has started are gone, those of the services end with their connections.
ended.set()
for t in threads: t.join(10)
for p in processes:
    try: p.wait(20)
    except subprocess.TimeoutExpired: pass
left = [p for p in processes if p.poll() is None]
equal(left, [], "no process of a service is left")
for p in left: p.kill(); p.wait()
def command_line(pid):
    try: return open(f"/proc/{pid}/cmdline").read()
    except OSError: return ""
equal([pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != os.getpid() and TMP in command_line(pid)], [], "no process of smtpin's is left")
done()
