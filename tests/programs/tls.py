"""STARTTLS and TLS from the first octet on, as RFC 3207 wants them: what is refused, forgotten, not carried over; handshakes that fail; what goes on inside."""
import concurrent.futures, hashlib, smtplib, struct, warnings
from harness import *
from tls_peers import *

if not os.path.exists(TLS): skip("TLS", "this build has no smtpin-tls"); done()
warnings.simplefilter("ignore", DeprecationWarning)  # of old versions, which are what is tried here
directory, deliver = taker()
warm = Warm()
SECTIONS = {"smtp": {}, "submissions": {"tls": "implicit"}, "strict": {"tls": "required", "helo_required": "yes"}, "lmtp": {"protocol": "lmtp"},
            "short": {"tls_timeout": "2s", "command_timeout": "1s", "max_errors": "2"}, "shorts": {"tls": "implicit", "tls_timeout": "2s"}}


def all_at_once(work):
    with concurrent.futures.ThreadPoolExecutor(12) as pool: return [f.result() for f in [pool.submit(w) for w in work]]


def hello(c): return say(c, "EHLO client.example.com")


def plain(server, name="smtp"):
    c = connect(server.port[name]); read_one(c)
    return c


def client_hello(**options):
    """The octets of one: alpn, version, cipher."""
    c = client_context(verify=False)
    if "version" in options:
        c.set_ciphers("ALL:@SECLEVEL=0"); c.minimum_version = ssl.TLSVersion.TLSv1; c.maximum_version = options["version"]
    if "alpn" in options: c.set_alpn_protocols(options["alpn"])
    out = ssl.MemoryBIO()
    s = c.wrap_bio(ssl.MemoryBIO(), out, server_hostname=HOST)
    with contextlib.suppress(ssl.SSLWantReadError): s.do_handshake()
    return out.read()


# ---- RFC 3207, in each way.
def dialogs(way, server):
    """(name, True or what came) of each."""
    said = []
    def test(name, fine, detail=""): said.append((name, bool(fine), detail))
    # With a parameter, in a transaction, before a greeting, twice.
    c = plain(server)
    equal_501 = say(c, "STARTTLS now")
    ehlo = hello(c)
    test("announced", "250-STARTTLS" in ehlo, ehlo)
    say(c, "MAIL FROM:<a@example.com>")
    inside = say(c, "STARTTLS")
    rcpt = say(c, "RCPT TO:<b@example.org>")
    test("a parameter: 501; in a transaction: 503, and the transaction goes on", equal_501.startswith("501") and inside.startswith("503") and rcpt.startswith("250"), (equal_501, inside, rcpt))
    test("after RSET: 220", say(c, "RSET").startswith("250") and say(c, "starttls").startswith("220"))
    c = client_context().wrap_socket(c, server_hostname=HOST, suppress_ragged_eofs=False)
    replies = [say(c, "RCPT TO:<b@example.org>"), say(c, "DATA"), say(c, "STARTTLS")]
    test("inside: the transaction and the recipients are forgotten, a second STARTTLS is 503", all(r.startswith("503") for r in replies), replies)
    clear_of = f"forgot.{way[0]}.{way[1]}@example.com"
    first = say(c, f"MAIL FROM:<{clear_of}>")
    for line in ("RCPT TO:<b@example.org>", "DATA"): say(c, line)
    last = say(c, b"Subject: x\r\n\r\ny\r\n.\r\n")
    env, message = environment_of(directory, clear_of)
    test("the name of EHLO is forgotten", first.startswith("250") and last.startswith("250") and message and env.get("CLIENT_HELO") == "" and b"client.example.com" not in message, (first, last, env, message))
    ehlo = hello(c)
    test("EHLO inside does not offer STARTTLS", "STARTTLS" not in ehlo and ehlo.startswith("250-"), ehlo)
    test("QUIT: 221, close_notify, the end", quit_well(c) is None)
    # Required, and a greeting too.
    c = plain(server, "strict")
    early = say(c, "STARTTLS"); hello(c)
    refused = [say(c, l) for l in ("MAIL FROM:<a@example.com>", "RCPT TO:<b@example.org>", "DATA", "RSET", "VRFY x", "HELP")]
    test("required: 530 to all but NOOP, EHLO, STARTTLS and QUIT; STARTTLS before EHLO is 503 where a greeting is wanted", early.startswith("503") and all(r.startswith("530 5.7.0") for r in refused) and say(c, "NOOP").startswith("250"), (early, refused))
    say(c, "STARTTLS")
    c = client_context().wrap_socket(c, server_hostname=HOST, suppress_ragged_eofs=False)
    before = say(c, "MAIL FROM:<a@example.com>"); hello(c)
    after = say(c, "MAIL FROM:<a@example.com>")
    test("inside, MAIL before EHLO is 503 where a greeting is wanted", before.startswith("503") and after.startswith("250"), (before, after))
    test("QUIT in a transaction too", quit_well(c) is None)
    # No certificate.
    c = plain(bare[way]); hello(c)
    first = say(c, "STARTTLS"); start = time.monotonic(); second = say(c, "STARTTLS"); took = time.monotonic() - start
    rest = [say(c, l) for l in ("MAIL FROM:<a@example.com>", "RCPT TO:<b@example.org>")]
    say(c, "QUIT"); c.close()
    test("no certificate: 454 4.7.0, at once the second time, and the session goes on", first.startswith("454 4.7.0") and second.startswith("454 4.7.0") and took < 0.5 and all(r.startswith("250") for r in rest), (first, second, took, rest))
    found = bare[way].records("tls=unavailable", "reason=")
    test("and it is one record", len(found) == 1, found)
    c = connect(bare[way].port["submissions"])
    test("implicit, no certificate: the connection is closed, without a word", read_all(c) == b""); c.close()
    # A handshake that fails: not a word of plain text, the end.
    c = plain(server); say(c, "STARTTLS"); c.sendall(b"EHLO x\r\nMAIL FROM:<a@example.com>\r\n")
    heard = read_all(c); c.close()
    test("plain text for a handshake: nothing but an alert, then the end", only_records(heard) is None, heard)
    # Two messages after another, all of one's lines in one write (RFC 2920).
    c = start_tls(server.port["smtp"])
    one = f"MAIL FROM:<pipe.{way[0]}.{way[1]}@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nSubject: x\r\n\r\ny\r\n.\r\n".encode()
    c.sendall(b"EHLO x\r\n" + 2 * one + b"NOOP\r\n")
    replies = [read_one(c)[:3] for _ in range(10)]
    test("PIPELINING, with two messages in one write", replies == ["250", "250", "250", "354", "250"] + ["250", "250", "354", "250", "250"], replies)
    test("and QUIT", quit_well(c) is None)
    return said


def clock(seconds, least, most): return least <= seconds <= most


# ---- Text behind STARTTLS: whatever the split, it is nobody's.
def splits(server, text, handshake):
    broken = []
    def one(k):
        c = plain(server); hello(c)
        data = b"STARTTLS\r\n" + text
        heard = b""
        try:
            c.sendall(data[:k])
            if k < len(data):
                if k >= 10: heard = read_reply(c)  # its reply has come before the rest goes
                else: time.sleep(0.005)
                c.sendall(data[k:])
            if handshake:
                if k >= len(data): heard = read_reply(c)
                c.sendall(client_hello())
            heard += read_all(c)
        except OSError as e: heard += repr(e).encode() if not isinstance(e, (ConnectionResetError, BrokenPipeError)) else b""
        c.close()
        lines = heard.split(b"\r\n", 1)
        refused = lines[0].startswith(b"554 5.5.0") and lines[1:] == [b""]
        failed = lines[0].startswith(b"220 2.0.0") and only_records(lines[1]) is None and b"\x16\x03" not in lines[1]
        if k == 10 and not text: return
        if not (refused or failed or heard == b""): broken.append((k, heard))
        outcomes.add("554" if refused else "failed" if failed else "reset")
    outcomes = set()
    all_at_once([lambda k=k: one(k) for k in range(1, len(b"STARTTLS\r\n" + text) + 1)])
    return broken, outcomes


servers = {(tls, sandbox): Server({"deliver": deliver, "sandbox": sandbox, **(warm.settings if tls == "warm" else {})}, SECTIONS) for tls, sandbox in WAYS}
empty = Warm("empty.sock", ["/nonexistent/chain.pem"], ()) if any(tls == "warm" for tls, _ in WAYS) else None
bare = {(tls, sandbox): Server({"deliver": deliver, "sandbox": sandbox, "tls_certificate": "/nonexistent/chain.pem", "tls_client_ca": "", **(empty.settings if tls == "warm" else {})}) for tls, sandbox in WAYS}
for way in WAYS:
    title = f"{way[0]}, sandbox = {way[1]}"
    try: said = dialogs(way, servers[way])
    except Exception as e: said = [("a session as RFC 3207 has it", False, __import__("traceback").format_exc())]
    for name, fine, detail in said: ok(fine, f"{title}: {name}", detail)
    for text in (b"NOOP\r\n", b"MAIL FROM:<evil@example.net>\r\nRCPT TO:<b@example.org>\r\n"):
        for handshake in (False, True):
            broken, outcomes = splits(servers[way], text, handshake)
            ok(not broken and "554" in outcomes and "failed" in outcomes, f"{title}: {text[:4].decode()} behind STARTTLS, {'and a ClientHello, ' if handshake else ''}cut at each octet: 554, or a handshake that fails; nobody answers it", (broken[:3], outcomes))
    ok(servers[way].records("rule=starttls_not_alone"), f"{title}: the record says so")


# ---- Handshakes that fail.
def failing(server, name, octets, patience=None):
    """What the client hears after the 220, and how long it took."""
    c = connect(server.port[name])
    if name == "short": read_one(c); hello(c); say(c, "STARTTLS")
    start = time.monotonic()
    if octets: c.sendall(octets)
    if patience == "closes": c.shutdown(socket.SHUT_WR)
    heard = read_all(c); took = time.monotonic() - start
    c.close()
    return heard, took


old = client_hello(version=ssl.TLSVersion.TLSv1_1)
FAILING = [("nothing", b"", "timed out", (1.8, 8)), ("half a ClientHello", client_hello()[:100], "timed out", (1.8, 8)), ("an HTTP request", b"GET / HTTP/1.1\r\nHost: mx.example.org\r\n\r\n", "http request", (0, 1.6)),
           ("plain SMTP", b"EHLO client.example.com\r\n", "wrong version number", (0, 1.6)), ("TLS 1.1 at most", old, "unsupported protocol", (0, 1.6)), ("a record of 65535 octets", b"\x16\x03\x01\xff\xff" + b"\x01" * 100, "", (0, 8)),
           ("zeros", b"\0" * 500, "", (0, 8)), ("an alert", b"\x15\x03\x03\x00\x02\x02\x28", "", (0, 1.6))]
for way in WAYS:
    title = f"{way[0]}, sandbox = {way[1]}"
    for name in ("short", "shorts"):
        server, kind = servers[way], "implicit" if name == "shorts" else "STARTTLS"
        results = all_at_once([lambda o=o: failing(server, name, o) for _, o, _, _ in FAILING])
        for (what, _, reason, (least, most)), (heard, took) in zip(FAILING, results):
            ok(only_records(heard) is None and clock(took, least, most), f"{title}, {kind}: {what} for a handshake: no plain text, the end {'at tls_timeout' if least else 'at once'}", (heard, took))
        found = server.records("tls=failed", f"socket={name} ", times=len(FAILING))
        missing = [(what, reason) for what, _, reason, _ in FAILING if not any(f'reason="{reason}"' in l for l in found) and reason]
        ok(len(found) == len(FAILING) and not missing, f"{title}, {kind}: each has its record, with OpenSSL's reason", (missing, found))
        ok(any("unsupported protocol" in l and f"tls_sni={HOST}" in l and re.search(r'tls_offered="?(TLSv1.1 TLSv1|TLSv1.1)"?( |$)', l) for l in found), f"{title}, {kind}: and with the versions that were offered, and the name", found)
        ok(server.records("session ", "end=tls_failed", f"socket={name} ", times=len(FAILING)), f"{title}, {kind}: the session's record says so too")
    heard, took = failing(servers[way], "short", b"", "closes")
    ok(heard == b"" and took < 1.6, f"{title}: a client that closes in place of a handshake: the end at once", (heard, took))

# ---- A ClientHello in pieces; one that is longer than a segment and than a record.
CUTS = {"in single octets": (lambda o: [o[i:i + 1] for i in range(len(o))], None), "of 13 KiB": (lambda o: [o], [("protocol-%04d" % i) * 4 for i in range(240)]), "of 50 KiB, in pieces of 1,000": (lambda o: [o[i:i + 1000] for i in range(0, len(o), 1000)], [("protocol-%04d" % i) * 10 for i in range(400)])}
for way in WAYS:
    for what, (cut, alpn) in CUTS.items():
        context = client_context()
        if alpn: context.set_alpn_protocols(alpn)
        for name in ("smtp", "submissions"):
            c = connect(servers[way].port[name])
            try:
                if name == "smtp": read_one(c); hello(c); say(c, "STARTTLS")
                s = Slow(c, cut, context).shake_hands()
                if name == "submissions": read_one(s)
                said = say(s, "EHLO x") + "\n" + say(s, "NOOP")
            except Exception as e: said = repr(e)
            ok(said.endswith("\n250 2.0.0 OK"), f"{way[0]}, sandbox = {way[1]}, {name}: a ClientHello {what}", said)
            c.close()


# ---- Inside.
def digest(octets): return hashlib.sha256(octets).hexdigest()


def ended(server, seconds):
    end = time.monotonic() + seconds
    while server.children() and time.monotonic() < end: time.sleep(0.05)
    return not server.children()


big = b"".join(b"%060d%s\r\n" % (i, b"x" * 12) for i in range((32 << 20) // 74))
for way in WAYS:
    server, title = servers[way], f"{way[0]}, sandbox = {way[1]}"
    # LMTP.
    with smtplib.LMTP("127.0.0.1", server.port["lmtp"]) as s:
        s.starttls(context=client_context(verify=False))
        s.sendmail(f"lmtp.{way[0]}.{way[1]}@example.com", ["b@example.org"], b"Subject: x\r\n\r\ny\r\n")
    env, message = environment_of(directory, f"lmtp.{way[0]}.{way[1]}@example.com")
    ok(message and b" with LMTPS id " in message and env["SSL_PROTOCOL"] == "TLSv1.3", f"{title}: LMTP", message)
    # A large message.
    sender = f"big.{way[0]}.{way[1]}@example.com"
    c = start_tls(server.port["submissions"], implicit=True); hello(c)
    for line in (f"MAIL FROM:<{sender}>", "RCPT TO:<b@example.org>", "DATA"): say(c, line)
    c.sendall(b"Subject: x\r\n\r\n" + big); said = say(c, b".\r\n")
    env, message = environment_of(directory, sender)
    ok(said.startswith("250") and message and digest(without_trace(message)) == digest(b"Subject: x\n\n" + big.replace(b"\r\n", b"\n")), f"{title}: 32 MiB", (said, len(message or b"")))
    ok(quit_well(c) is None, f"{title}: and QUIT"); clear(directory)
    # Ends: 421 for too many errors, and for silence. close_notify is behind each.
    for what, lines in (("too many errors", ["X"] * 3), ("silence", [])):
        c = start_tls(server.port["short"]); said, start = "", time.monotonic()
        try:
            for l in lines: said = say(c, l)
            if not lines: said = read_one(c)
            rest = c.recv(100)
        except OSError as e: rest = e
        ok(said.startswith("421") and rest == b"" and time.monotonic() - start < 5, f"{title}: {what}: 421, close_notify, the end", (said, rest)); c.close()
    # A client that has said all, and hears on: by close_notify, and by the connection's end alone.
    for what in ("close_notify", "the connection's end"):
        c = connect(server.port["submissions"]); s = Slow(c).shake_hands(); read_one(s)
        sender = f"half.{way[0]}.{way[1]}@example.com"
        s.sendall(f"EHLO x\r\nMAIL FROM:<{sender}>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nSubject: x\r\n\r\ny\r\n.\r\n".encode())
        if what == "close_notify":
            with contextlib.suppress(ssl.SSLError): s.s.unwrap()
            c.sendall(s.go.read())
        c.shutdown(socket.SHUT_WR)
        if what == "close_notify": heard = len(read_all(c)) > 100  # what it says cannot be read after our own close_notify by this library
        else: heard = [read_one(s)[:3] for _ in range(5)] == ["250", "250", "250", "354", "250"]
        c.close()
        for _ in range(100):
            env, message = environment_of(directory, sender)
            if message: break
            time.sleep(0.05)
        ok(heard and message, f"{title}: a client that closes its half ({what}) is answered, and the message is there", (heard, message)); clear(directory)
    # One that leaves (RST) in a message: nothing is delivered, nobody stays.
    c = start_tls(server.port["submissions"], implicit=True)
    c.sendall(b"EHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nSubject: half\r\n"); [read_one(c) for _ in range(4)]
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); c.close()
    ok(ended(server, 10) and not messages(directory), f"{title}: a client that leaves in a message: nothing is delivered, the session ends", (server.children(), messages(directory)))


# ---- A client that does not read: both are held back, and then the time is over.
def deaf(way):
    own = Warm(f"deaf.{way[1]}.sock") if way[0] == "warm" else None
    server = Server({"deliver": deliver, "sandbox": way[1], "command_timeout": "2s", "max_commands": "100000000", **(own.settings if own else {})}, {"submissions": {"tls": "implicit"}})
    c = start_tls(server.port["submissions"], implicit=True); c.settimeout(1)
    sent, start = 0, time.monotonic()
    try:
        for _ in range(20000): c.sendall(b"HELP\r\n" * 100); sent += 600
    except (TimeoutError, OSError): pass
    held, memory = sent < 11000000, []
    for pid in server.children():
        with contextlib.suppress(OSError): memory.append(int(re.search(r"VmRSS:\s*(\d+)", open(f"/proc/{pid}/status").read())[1]))
    gone_, left = ended(server, 45), []
    while own and time.monotonic() - start < 45:  # smtpin-tls too, which tries for half a minute to send the rest
        left = subprocess.run(["pgrep", "-P", str(own.p.pid)], capture_output=True, text=True).stdout.split()
        if not left: break
        time.sleep(0.2)
    took = time.monotonic() - start
    c.close()
    if own: own.end()
    return held and gone_ and not left and took < 45 and server.end() == 0 and max(memory, default=0) < 40000, (sent, gone_, left, took, memory)


# ---- SIGTERM to the listening process, in each state of a session.
def told_to_end(way, state):
    server = Server({"deliver": deliver, "sandbox": way[1], **(warm.settings if way[0] == "warm" else {})}, {"smtp": {}, "submissions": {"tls": "implicit"}})
    sender = f"stop.{way[0]}.{way[1]}@example.com"
    if state == "before": c = plain(server); hello(c)
    elif state == "handshake": c = plain(server); hello(c); say(c, "STARTTLS"); c.sendall(client_hello()[:50]); time.sleep(0.2)
    elif state == "implicit handshake": c = connect(server.port["submissions"]); time.sleep(0.3)
    else:
        c = start_tls(server.port["smtp"]); hello(c)
        if state == "message":
            for line in (f"MAIL FROM:<{sender}>", "RCPT TO:<b@example.org>", "DATA"): say(c, line)
            c.sendall(b"Subject: x\r\n\r\n"); time.sleep(0.1)
    start = time.monotonic()
    os.kill(server.pid, signal.SIGTERM)
    said, rest = [], b""
    try:
        if state == "message": time.sleep(0.2); said.append(say(c, b"y\r\n.\r\n"))
        if "handshake" not in state: said.append(read_one(c))
        rest = c.recv(1000) if "handshake" not in state else read_all(c)
    except OSError as e: rest = e
    took = time.monotonic() - start
    c.close()
    status = server.end()
    fine = [r[:3] for r in said] == {"before": ["421"], "inside": ["421"], "message": ["250", "421"]}.get(state, []) and (rest == b"" if "handshake" not in state else isinstance(rest, bytes) and only_records(rest) is None)
    stored = environment_of(directory, sender)[1] is not None
    return fine and took < 10 and status == 0 and stored == (state == "message"), (said, rest, took, status, stored)


# ---- greet_delay: the handshake comes first, and is no early talk; what the client says inside TLS is.
def held_back(way):
    server = Server({"deliver": deliver, "sandbox": way[1], "client_address": "198.51.100.7", "greet_delay": "500ms", **(warm.settings if way[0] == "warm" else {})},
                    {"smtp": {}, "submissions": {"tls": "implicit"}, "late": {"tls": "implicit", "greet_delay": "60s"}})
    start = time.monotonic()
    c = client_context().wrap_socket(connect(server.port["submissions"]), server_hostname=HOST)
    shaken = time.monotonic() - start
    patient = read_one(c), time.monotonic() - start, say(c, "QUIT"); c.close()
    c = client_context().wrap_socket(connect(server.port["late"]), server_hostname=HOST)
    c.sendall(b"EHLO client.example.com\r\n"); start = time.monotonic()
    early = read_one(c), time.monotonic() - start; c.close()
    # With STARTTLS there is one greeting, and no wait behind the handshake.
    c = start_tls(server.port["smtp"]); start = time.monotonic()
    again = hello(c), time.monotonic() - start; c.close()
    logged = server.records("rule=early_talker")
    status = server.end()
    fine = patient[0].startswith("220") and patient[1] >= shaken + 0.4 and patient[2].startswith("221") and early[0].startswith("554") and early[1] < 20 and again[0].startswith("250") and again[1] < 20
    return fine and len(logged) == 1 and status == 0, (shaken, patient, early, again, logged, status)


STATES = ("before", "handshake", "implicit handshake", "inside", "message")
work = [(f"a client that does not read is held back, and shown out", way, lambda w=way: deaf(w)) for way in WAYS]
work += [("greet_delay: what comes before the greeting inside TLS is early talk, the handshake is not", way, lambda w=way: held_back(w)) for way in WAYS]
for state in STATES:
    for way in WAYS: work.append((f"SIGTERM {dict(before='before STARTTLS', inside='inside, between commands', message='in a message').get(state, 'in the ' + state)}", way, lambda w=way, s=state: told_to_end(w, s)))
for (name, way, _), (fine, detail) in zip(work, all_at_once([w for _, _, w in work])): ok(fine, f"{way[0]}, sandbox = {way[1]}: {name}", detail)
for some in (servers, bare):
    for way in WAYS:
        left = some[way].children() and not ended(some[way], 40)
        ok(not left and some[way].end() == 0, f"{way[0]}, sandbox = {way[1]}: all sessions have ended, and the listening process does", left)
# ---- A service that hangs has been given the connection: the client must see it end all the same.
hung = Warm("hung.sock")
for sandbox in ("yes", "no"):
    server = Server({**hung.settings, "sandbox": sandbox, "deliver": deliver})
    os.kill(hung.p.pid, signal.SIGSTOP)
    c = plain(server); hello(c)
    reply = say(c, "STARTTLS")
    say(c, "QUIT"); c.settimeout(10)
    try: last = c.recv(10)
    except TimeoutError: last = "open still"
    ok(reply.startswith("454") and last == b"", f"a service that hangs, sandbox = {sandbox}: 454, and the connection ends behind 221", (reply, last))
    os.kill(hung.p.pid, signal.SIGCONT)
    c.close(); server.end()
hung.end()
warm.end()
if empty: empty.end()
done()
