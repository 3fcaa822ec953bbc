"""The policy protocol: each action, each state, what is asked, servers that fail in every way; and the real postgrey, policyd-spf, postfwd and Dovecot's quota-status."""
import json, struct, threading
from harness import *

directory, DELIVER = taker()
EACH = write("each", f'#!/bin/sh\ncat >{directory}/$SMTPIN_ID.$LOCAL.msg\n')
CLIENT = {"client_address": "198.51.100.7", "log": "stderr"}
NAMES = """request protocol_state protocol_name client_address client_name client_port reverse_client_name server_address server_port helo_name sender recipient
    recipient_count queue_id instance size etrn_domain stress sasl_method sasl_username sasl_sender ccert_subject ccert_issuer ccert_fingerprint ccert_pubkey_fingerprint
    encryption_protocol encryption_cipher encryption_keysize policy_context""".split()


class Server(threading.Thread):
    """Answers what `script` has next: an action, octets, None (it closes), or a function of the connection. The last one goes on for ever."""
    def __init__(self, *script, inet=False):
        super().__init__(daemon=True)
        self.script, self.asked, self.raw, self.connections, self.busy = list(script), [], [], 0, []
        self.s = socket.socket(socket.AF_INET if inet else socket.AF_UNIX)
        path = os.path.join(TMP, f"policy{time.monotonic_ns()}")
        self.s.bind(("127.0.0.1", 0) if inet else path); self.s.listen()
        if not inet: os.chmod(path, 0o666)
        self.name = f"inet:127.0.0.1:{self.s.getsockname()[1]}" if inet else "unix:" + path
        self.start()

    def run(self):
        while True:
            try: c, _ = self.s.accept()
            except OSError: return
            self.connections += 1
            t = threading.Thread(target=self.serve, args=(c,), daemon=True); t.start(); self.busy.append(t)

    def serve(self, c):
        try:
            while True:
                request = c.recv(65536)  # one write, or the tests see it
                if not request: break
                self.raw.append(request)
                self.asked.append(dict(l.split("=", 1) for l in request.decode().split("\n") if "=" in l))
                answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
                if answer is None: break
                if callable(answer): answer(c); break
                c.sendall(answer if isinstance(answer, bytes) else f"action={answer}\n\n".encode())
        except OSError: pass
        c.close()

    def end(self):
        self.s.shutdown(socket.SHUT_RDWR) if self.s.family == socket.AF_INET else None
        self.s.close()
        try: self.connect()
        except OSError: pass
        self.join(0.1)

    def connect(self):
        s = socket.socket(self.s.family); s.settimeout(0.1)
        s.connect(self.name[5:] if self.name.startswith("unix:") else ("127.0.0.1", int(self.name.rsplit(":", 1)[1])))
        s.close()


HELO, MAIL, RCPT, DATA, BODY = "EHLO c.example", "MAIL FROM:<joe@sender.example>", "RCPT TO:<jane@example.org>", "DATA", "Subject: x\r\n\r\ny\r\n."


def play(server, *commands, sandbox="no", **settings):
    """(replies, records): the last line of each reply."""
    servers = " ".join(s if isinstance(s, str) else s.name for s in (server if isinstance(server, (list, tuple)) else [server]))
    out, err, _ = pipe("".join(c + "\r\n" for c in commands).encode(), {"deliver": DELIVER, "policy": servers, "sandbox": sandbox, **CLIENT, **settings})
    return [l for l in out.decode().split("\r\n") if l[3:4] == " "], [l.split("]: ", 1)[1] for l in err.decode().split("\n") if "]: " in l]


def one(action, *commands, **settings):
    """What the last of the commands hears, where a server says that."""
    s = Server(action)
    replies, records = play(s, *(commands or (HELO, MAIL, RCPT)), **settings)
    s.end()
    return replies[-1], records


# Each action, at RCPT; in both ways to run.
for sandbox in ("no", "yes"):
    for action, reply in (("OK", "250 2.1.5"), ("dunno", "250 2.1.5"), ("REJECT", "554 5.7.1 Access denied"), ("reject Go away", "554 5.7.1 Go away"), ("REJECT 5.1.8 no", "554 5.1.8 no"),
                          ("DEFER", "450 4.7.0 Try again later"), ("Defer 4.2.0 busy", "450 4.2.0 busy"), ("DEFER_IF_PERMIT 4.2.0 Greylisted", "450 4.2.0 Greylisted"), ("DEFER_IF_REJECT x", "250 2.1.5"),
                          ("450 4.2.1 later", "450 4.2.1 later"), ("550 5.7.23 SPF", "550 5.7.23 SPF"), ("451 later", "451 4.7.1 later"), ("421 4.3.2 closing", "421 4.3.2 closing"), ("571 5.7.1 x", "554 5.7.1 x"),
                          ("PREPEND X-A: b", "250 2.1.5"), ("PREPEND no field", "250 2.1.5"), ("DISCARD x", "250 2.1.5"), ("HOLD x", "250 2.1.5"), ("WARN x", "250 2.1.5"), ("INFO x", "250 2.1.5"),
                          ("REDIRECT bob@example.net", "451 4.3.5 Policy can't be asked"), ("FILTER smtp:x", "451 4.3.5"), ("BCC a@b.example", "451 4.3.5"), ("NONSENSE", "451 4.3.5"), ("", "451 4.3.5"), ("250 2.0.0 no", "451 4.3.5"),
                          ("550 4.2.1 two minds", "451 4.3.5"), ("REJECT \x7f", "451 4.3.5"), ("550 %s %n ${x}", "550 5.7.1 %s %n ${x}"), ("REJECT " + "x" * 3000, "554 5.7.1 xxx")):
        said, records = one(action, sandbox=sandbox)
        ok(said.startswith(reply) and len(said) <= 510, f"sandbox={sandbox}: {action[:40]!r}: {reply}", (said, records))
        if reply.startswith(("4", "5")):
            ok(any("rule=policy" in r and "source=unix:" in r and (" said=" in r or not action) for r in records), f"sandbox={sandbox}: {action[:40]!r}: the refusal's record has the rule, the server and its words", records)
        if action.split(" ")[0] in ("WARN", "INFO", "HOLD", "DISCARD", "FILTER", "BCC", "REDIRECT") or action == "PREPEND no field":
            ok(any(r.startswith("opinion ") and "source=unix:" in r and "forward_path=jane@example.org" in r for r in records), f"sandbox={sandbox}: {action[:40]!r}: a record", records)

# Who has decided, where several were asked.
for scripts, deciding, said in ((("DEFER_IF_PERMIT later", "DUNNO"), 0, "DEFER_IF_PERMIT later"), (("DEFER_IF_REJECT later", "REJECT"), 0, "DEFER_IF_REJECT later"), (("OK", "REJECT no"), 1, "REJECT no")):
    servers = [Server(x) for x in scripts]
    _, records = play(servers, HELO, MAIL, RCPT)
    ok(any(f'source={servers[deciding].name} said="{said}"' in r for r in records if r.startswith("refused ")), f"{scripts}: the record has the one that has decided", records)
    for s in servers: s.end()


# --explain shows what they have said, and what becomes of it.
def explain(action, *more):
    s = Server(action)
    p = subprocess.run([*arguments({"deliver": "/bin/true", "policy": s.name, "policy_states": "RCPT", **CLIENT}), "--explain", "--recipient", "jane@example.org", *more], capture_output=True, text=True, timeout=60)
    s.end()
    return p.stdout.replace(s.name, "S")


for action, opinion, shown in (("DUNNO", "no opinion", "delivery"), ("REJECT Go away", "refuse", "  reply     554 Go away"), ("PREPEND X-A: b", "no opinion", "  head      X-A: b"), ("HOLD", "no opinion", "  variable  SMTPIN_HOLD=1"), ("DISCARD", "no opinion", "discard: no command would run")):
    out = explain(action)
    ok(f"  rule      policy: {opinion} (S: {action}; " in out and shown in out.split("\n") and ("delivery\n" in out) == (opinion != "refuse" and action != "DISCARD"), f"--explain: {action}", out)
equal(json.loads(explain("DISCARD", "--json")).get("discard"), True, "--explain --json: DISCARD")

# What is asked, at each state.
for sandbox in ("no", "yes"):
    clear(directory)
    s = Server("DUNNO")
    play(s, HELO, MAIL + " SIZE=12345", RCPT, "RCPT TO:<joe@example.org>", DATA, "..a\r\nb\r\n.", MAIL, RCPT, DATA, BODY, "QUIT", sandbox=sandbox, policy_states="CONNECT EHLO MAIL RCPT DATA END-OF-MESSAGE")
    states = [a["protocol_state"] for a in s.asked]
    equal(states, "CONNECT EHLO MAIL RCPT RCPT DATA END-OF-MESSAGE MAIL RCPT DATA END-OF-MESSAGE".split(), f"sandbox={sandbox}: the states in their order")
    ok(all([l.split("=")[0] for l in r.decode().split("\n")[:-2]] == NAMES and r.endswith(b"policy_context=\n\n") for r in s.raw), f"sandbox={sandbox}: the attributes of Postfix, in its order, each once")
    equal(s.connections, 1, f"sandbox={sandbox}: one connection a session")
    equal([a["recipient_count"] for a in s.asked], list("00000220011"), f"sandbox={sandbox}: recipient_count")
    equal([a["recipient"] for a in s.asked], ["", "", "", "jane@example.org", "joe@example.org", "", "", "", "jane@example.org", "jane@example.org", "jane@example.org"], f"sandbox={sandbox}: recipient")
    equal([a["size"] for a in s.asked], ["0", "0", "12345", "12345", "12345", "12345", "7", "0", "0", "0", "17"], f"sandbox={sandbox}: size")
    instances = [a["instance"] for a in s.asked]
    ok(instances[:3] == ["", "", ""] and len(set(instances[3:7])) == 1 and instances[7] == "" and len(set(instances[8:])) == 1 and instances[3] != instances[8], f"sandbox={sandbox}: an instance for each message", instances)
    equal([(a["helo_name"], a["sender"], a["protocol_name"]) for a in s.asked][:3], [("", "", "SMTP"), ("c.example", "", "SMTP"), ("c.example", "joe@sender.example", "ESMTP")], f"sandbox={sandbox}: what is known grows")
    equal({(a["client_address"], a["client_name"], a["reverse_client_name"]) for a in s.asked}, {("198.51.100.7", "unknown", "unknown")}, f"sandbox={sandbox}: the client")
    equal(len(messages(directory)), 2, f"sandbox={sandbox}: both messages are delivered")
    s.end()
for sandbox in ("no", "yes"):
    s = Server("DUNNO")
    pipe("\r\n".join((HELO, MAIL, RCPT, "QUIT", "")).encode(), {"deliver": DELIVER, "policy": s.name, "sandbox": sandbox})
    equal([(a["client_address"], a["client_name"], a["reverse_client_name"]) for a in s.asked], [("127.0.0.1", "localhost", "localhost")], f"sandbox={sandbox}: a client without an address"); s.end()
s = Server("DUNNO")
play(s, "LHLO c", MAIL, RCPT, protocol="lmtp"); equal(s.asked[0]["protocol_name"], "LMTP", "LMTP is named"); s.end()
s = Server("DUNNO")
play(s, "HELO " + "x" * 240, f"MAIL FROM:<{'a' * 64}@{'.'.join(['b' * 60] * 4)}.example>", f"RCPT TO:<{'a' * 128}@example.org>"); ok(len(s.raw) == 1 and len(s.raw[0]) < 2000 and s.asked[0]["sender"].startswith("aaa"), "long names are one request", s.raw); s.end()
s = Server("DUNNO", inet=True)
said, _ = play(s, HELO, MAIL, RCPT); ok(said[-1].startswith("250") and s.asked, "inet:host:port", said); s.end()

# What a server orders for a recipient whom another one refuses is not done to the others.
for sandbox in ("no", "yes"):
    for order in ("DISCARD", "HOLD", "PREPEND X-Kept: here"):
        clear(directory)
        first, second = Server(order, "DUNNO"), Server("REJECT", "DUNNO")
        said, _ = play([first, second], HELO, MAIL, RCPT, "RCPT TO:<joe@example.org>", DATA, BODY, sandbox=sandbox)
        got = messages(directory)
        ok(said[-1].startswith("250") and len(got) == 1 and (b"X-Kept" in got[0]) == order.startswith("PREPEND") and not any("SMTPIN_HOLD" in open(os.path.join(directory, n)).read() for n in os.listdir(directory) if n.endswith(".env")), f"sandbox={sandbox}: {order} for a recipient that is refused", (said, got))
        first.end(); second.end()

# What a refusal at another state leads to.
for sandbox in ("no", "yes"):
    for state, script, commands, replies in (
            ("CONNECT", ["REJECT Go away"], [HELO, MAIL, "QUIT"], ["554 Go away", "503 No mail", "503 No mail", "221"]), ("CONNECT", ["DEFER later"], [HELO], ["421 later"]), ("CONNECT", ["DUNNO"], [HELO, "QUIT"], ["220", "250", "221"]),
            ("EHLO", ["REJECT who", "DUNNO"], [HELO, MAIL, HELO, MAIL], ["220", "554 who", "250", "250", "250"]),
            ("MAIL", ["550 5.1.8 no", "DUNNO"], [HELO, MAIL, RCPT, MAIL, RCPT], ["220", "250", "550 5.1.8 no", "503", "250", "250"]),
            ("DATA", ["450 4.7.1 not now", "DUNNO"], [HELO, MAIL, RCPT, DATA, MAIL, RCPT, DATA, BODY], ["220", "250", "250", "250", "450 4.7.1 not now", "250", "250", "354", "250"]),
            ("END-OF-MESSAGE", ["550 5.7.1 spam", "DUNNO"], [HELO, MAIL, RCPT, DATA, BODY, MAIL, RCPT, DATA, BODY], ["220", "250", "250", "250", "354", "550 5.7.1 spam", "250", "250", "354", "250"])):
        clear(directory)
        s = Server(*script)
        said, records = play(s, *commands, sandbox=sandbox, policy_states=state, helo_required="no")
        ok(len(said) == len(replies) and all(a.startswith(b) for a, b in zip(said, replies)), f"sandbox={sandbox}: {state}: {script[0]}", (said, records))
        ok(all(r.startswith(("2", "354")) for r in replies) or any("rule=policy" in r for r in records), f"sandbox={sandbox}: {state}: a record", records)
        ok(len(messages(directory)) == (BODY in commands), f"sandbox={sandbox}: {state}: a refused message is delivered to nobody", messages(directory))
        s.end()

# Two servers.
for first, second, reply in (("OK", "REJECT b", "554 5.7.1 b"), ("REJECT a", "OK", "554 5.7.1 a"), ("DEFER_IF_PERMIT a", "DUNNO", "450 4.7.0 a"), ("DEFER_IF_PERMIT a", "550 5.7.1 b", "550 5.7.1 b"), ("DEFER_IF_REJECT 4.2.0 a", "550 5.7.1 b", "450 4.2.0 a"),
                             ("DEFER_IF_REJECT a", "DUNNO", "250"), ("DEFER_IF_REJECT a", "451 4.2.2 b", "451 4.2.2 b"), (None, "REJECT b", "451 4.3.5")):
    a, b = Server(first), Server(second)
    said, _ = play([a, b], HELO, MAIL, RCPT); ok(said[-1].startswith(reply), f"{first}, then {second}: {reply}", said); a.end(); b.end()

# PREPEND, HOLD, DISCARD, REDIRECT.
for sandbox in ("no", "yes"):
    for per in ("message", "recipient"):
        clear(directory)
        s = Server("PREPEND X-One: 1  ", "PREPEND X-One: 1", "PREPEND X-Two: 2", "REJECT", "PREPEND X-Late: 3")
        said, _ = play(s, HELO, MAIL, RCPT, "RCPT TO:<a@example.org>", "RCPT TO:<b@example.org>", "RCPT TO:<c@example.org>", DATA, BODY, sandbox=sandbox, deliver_per=per, policy_states="RCPT END-OF-MESSAGE",
                       deliver=DELIVER if per == "message" else EACH)
        got = messages(directory)
        ok(len(got) == (1 if per == "message" else 3), f"sandbox={sandbox}, {per}: it is delivered", (said, got))
        for m in got:
            head = [l.split(b":")[0] for l in m.split(b"\n\n")[0].split(b"\n") if l[:1] != b"\t"]
            ok(head.count(b"X-One") == head.count(b"X-Two") == head.count(b"X-Late") == 1 and head.index(b"X-One") < head.index(b"X-Two") < head.index(b"Received") and head.index(b"X-Late") < head.index(b"Received") and b"X-One: 1\n" in m and m.endswith(b"\n\ny\n"),
               f"sandbox={sandbox}, {per}: each field once, above Received:, that of a recipient refused later too", m)
        s.end()
    clear(directory)
    s = Server("PREPEND X-A: b", "DUNNO", "DUNNO")
    play(s, HELO, MAIL, RCPT, "RSET", MAIL, RCPT, DATA, BODY, sandbox=sandbox); ok(b"X-A" not in messages(directory)[0], f"sandbox={sandbox}: a field is for its own message", messages(directory)); s.end()
    clear(directory); s = Server("PREPEND X-A: b")
    play(s, HELO, MAIL, RCPT, DATA, BODY, sandbox=sandbox, line_ending="crlf"); ok(b"X-A: b\r\nReceived" in messages(directory)[0], f"sandbox={sandbox}: line ends", messages(directory)); s.end()
    # Text without a header, or whose first line is folded, is no part of a field of ours, and the other way round.
    for body, wanted in (("just text\r\n.", b"X-A: b\n\njust text\n"), ("\tfolded: x\r\n\r\ny\r\n.", b"X-A: b\n\n\tfolded: x\n\ny\n"), ("\r\ny\r\n.", b"X-A: b\n\ny\n"), ("S: x\r\n\r\ny\r\n.", b"X-A: b\nS: x\n\ny\n"), (".", b"X-A: b\n"), ("x" * 70000 + "\r\n.", b"X-A: b\n\n" + b"x" * 70000 + b"\n")):
        for state in ("RCPT", "END-OF-MESSAGE"):
            for per in ("message", "recipient"):
                clear(directory); s = Server("PREPEND X-A: b")
                play(s, HELO, MAIL, RCPT, DATA, body, sandbox=sandbox, trace_headers="", policy_states=state, deliver_per=per, max_text_line="100000"); equal(messages(directory), [wanted], f"sandbox={sandbox}, {per}: a field at {state} before {body[:12]!r}"); s.end()
    # Text that is no header does not become one.
    for fields in ("", "received", "return-path"):
        for per in ("message", "recipient"):
            for text, start in (("hello world\r\nFrom: x", b"\n\nhello world\nFrom: x\n"), ("Subject: x\r\n\r\ny", b"X-A: b\n"), ("", b"X-A: b\n")):
                clear(directory); s = Server("PREPEND X-A: b")
                play(s, HELO, MAIL, RCPT, DATA, text + "\r\n." if text else ".", sandbox=sandbox, policy_states="END-OF-MESSAGE", trace_headers=fields, deliver_per=per)
                got = messages(directory)
                ok(len(got) == 1 and b"X-A: b\n" in got[0] and start in got[0] and (not text.startswith("Subject") or fields or got[0] == b"X-A: b\nSubject: x\n\ny\n"), f"sandbox={sandbox}, trace_headers = {fields}, {per}: a late field, and {text[:11]!r}", got); s.end()
    clear(directory); s = Server("HOLD wait", "DUNNO")
    play(s, HELO, MAIL, RCPT, DATA, BODY, MAIL, RCPT, DATA, BODY, sandbox=sandbox)
    held = [b"SMTPIN_HOLD=1" in open(os.path.join(directory, n), "rb").read() for n in sorted(os.listdir(directory)) if n.endswith(".env")]
    equal(held, [True, False], f"sandbox={sandbox}: HOLD: the command is told, for that message"); s.end()
    for state in ("RCPT", "END-OF-MESSAGE"):
        clear(directory); s = Server("DISCARD bored", "DUNNO")
        said, records = play(s, HELO, MAIL, RCPT, DATA, BODY, MAIL, RCPT, DATA, BODY, sandbox=sandbox, policy_states=state)
        ok([r[:3] for r in said].count("250") == 7 and len(messages(directory)) == 1 and any("note=discard" in r for r in records), f"sandbox={sandbox}: DISCARD at {state}: 250, and nothing is delivered", (said, records)); s.end()
    clear(directory); s = Server("REDIRECT bob@example.net"); aliases = text_table("aliases", "nobody@example.org nobody\n")
    said, records = play(s, HELO, MAIL, RCPT, DATA, BODY, sandbox=sandbox, aliases=aliases)
    argv = [open(os.path.join(directory, n)).read().split("\n")[1] for n in os.listdir(directory) if n.endswith(".argv")]
    ok(argv == ["bob@example.net"] and b"X-Original-To: jane@example.org\nDelivered-To: bob@example.net" in messages(directory)[0], f"sandbox={sandbox}: REDIRECT with aliases", (said, argv, messages(directory))); s.end()

said, records = play("inet:127.0.0.1:no-such-service", HELO, MAIL, RCPT)
ok(said[-1].startswith("451 4.3.5") and any('said="its host or its port is not known"' in r for r in records), "a port that is not known: the record says why", (said, records))

# Servers that fail. Nothing is accepted by it, and nobody is refused for good.
def reset(c): c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
def slowly(c):
    for o in b"action=OK\n":
        c.sendall(bytes([o])); time.sleep(0.3)
def silent(c): time.sleep(3)
def flood(c):
    try: c.sendall(b"x" * (1 << 20))
    except OSError: pass
bad = {"garbage": b"\0\xff\r\n\n\n", "an action with a NUL": b"action=OK\0\n\n", "a line of 1 MiB": flood, "half an answer": (lambda c: c.sendall(b"action=OK\n")), "closing": None, "a reset": reset, "silence": silent, "an octet now and then": slowly,
       "no action": b"reply=OK\n\n", "an empty answer": b"\n", "an answer ahead": b"action=OK\n\naction=OK\n\n", "half a word": (lambda c: c.sendall(b"act"))}
for sandbox in ("no", "yes"):
    for name, answer in bad.items():
        s = Server(answer, "DUNNO")
        t = time.monotonic()
        said, records = play(s, HELO, MAIL, RCPT, "RCPT TO:<joe@example.org>", sandbox=sandbox, policy_timeout="1")
        ok(said[3].startswith("451 4.3.5 Policy can't be asked") and said[4].startswith("250") and s.connections == 2, f"sandbox={sandbox}: {name}: 451, and the next question has a new connection", (said, s.connections, records))
        ok(any(r.startswith("opinion ") and "opinion=failed" in r and "said=" in r for r in records) and any("rule=policy_default" in r for r in records), f"sandbox={sandbox}: {name}: a record says how it failed", records)
        ok(time.monotonic() - t < 3, f"sandbox={sandbox}: {name}: within the time-out")
        s.end()
said, records = one(None, policy_default="DUNNO"); ok(said.startswith("250") and any("opinion=failed" in r for r in records), "policy_default = DUNNO: accepted, and a record", (said, records))
said, records = one(None, policy_default="450 4.7.1 Wait"); ok(said.startswith("450 4.7.1 Wait"), "policy_default: a reply", said)
said, records = play("unix:/nonexistent/policy", HELO, MAIL, RCPT); ok(said[-1].startswith("451 4.3.5") and any("said=\"No such file or directory\"" in r for r in records), "nobody listens", (said, records))
# A server that closes after each answer: asked again once, on a new connection.
s = Server((lambda c: c.sendall(b"action=DUNNO\n\n")))
said, _ = play(s, HELO, MAIL, RCPT, "RCPT TO:<joe@example.org>", "RCPT TO:<jim@example.org>"); ok([r[:3] for r in said[3:]] == ["250"] * 3 and s.connections == 3, "a server that closes after each answer", (said, s.connections)); s.end()
# One that answers before it is asked.
s = Server(lambda c: (c.sendall(b"action=DUNNO\n\n"), time.sleep(0.2), c.sendall(b"action=OK\n\n"), time.sleep(1)), "DUNNO")
p, c = session({"deliver": DELIVER, "policy": s.name, **CLIENT}); read_reply(c)
for x in (HELO, MAIL, RCPT): c.sendall(x.encode() + b"\r\n"); said = read_reply(c)
time.sleep(0.6); c.sendall(b"RCPT TO:<joe@example.org>\r\n"); ok(read_reply(c).startswith(b"451 4.3.5"), "an answer before the question is none"); c.close(); p.wait(20); s.end()

# Each answer is long, and a transaction has many recipients with aliases, which are kept: the answers are not.
everybody = text_table("everybody", "@example.org jane@example.com\n")
for action in ("WARN", "OK", "PREPEND X-A:"):
    s = Server(action + " " + "x" * 3900); rcpts = [f"RCPT TO:<u{i}@example.org>" for i in range(800)]
    said, _ = play(s, HELO, MAIL, *rcpts, aliases=everybody); ok(len(s.asked) == 800 and all(r.startswith("250") for r in said[3:]), f"{action}: 800 recipients, 3 MiB of answers", (len(s.asked), said[-1])); s.end()

# Clients that may relay.
s = Server("REJECT"); said, _ = play(s, HELO, MAIL, "RCPT TO:<x@elsewhere.example>", relay_clients="198.51.100.0/24"); ok(said[-1].startswith("250") and not s.asked, "relay_clients are not asked about", said); s.end()
s = Server("REJECT"); said, _ = play(s, HELO, MAIL, RCPT, relay_clients="198.51.100.0/24", check_relay_clients="yes"); ok(said[-1].startswith("554"), "check_relay_clients", said); s.end()
s = Server("REJECT"); said, _ = play(s, HELO, MAIL, "RCPT TO:<x@elsewhere.example>"); ok(said[-1].startswith("550 5.7.1 Relaying") and not s.asked, "nobody is asked about what is refused already", said); s.end()
done()
