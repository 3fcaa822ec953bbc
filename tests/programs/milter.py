#!/usr/bin/env python3
"""smtpin-milter against filters of the test's own: what they are told, what they may change, what the client then hears, and what happens
when they lie, are cut short or are not there."""
import sys, os
sys.path.insert(0, os.path.join(os.environ["SMTPIN_SOURCE"], "tests"))
from milter_peers import *
import document


# ---- What a filter is told.
f = Filter(protocol=LEADING_BLANK)
r = Run([f.name], env={"SSL_PROTOCOL": "TLSv1.3", "SSL_CIPHER": "TLS_AES_128_GCM_SHA256", "SASL_METHOD": "PLAIN", "SASL_USERNAME": "joe"})
equal((r.status, r.message), (0, MAIL), "a filter that only says continue: the message is as it was")
equal(f.letters(), "OCHMRTLLLNBEQ", "each event, in the protocol's order")
equal(dict((l, d) for l, d in f.said[0] if l in "OCHMR"), {"O": struct.pack(">III", VERSION, ACTIONS, PROTOCOL), "C": b"c.example.com\0" + b"4" + struct.pack(">H", 4242) + b"192.0.2.1\0", "H": b"helo.example.com\0", "M": b"<joe@example.com>\0", "R": b"<jane@example.org>\0"}, "and what is in them")
equal(f.fields(), [("From", " joe@example.com"), ("To", " jane@example.org"), ("Subject", " x")], "our own fields are not shown; values have their blank where that is agreed")
equal(f.body(), b"text\r\n", "the body has CRLF")
equal(f.macros("C"), {"j": "mx.example.org", "{daemon_name}": "mx.example.org", "v": "smtpin 0.1.0", "_": "c.example.com [192.0.2.1]"}, "macros of the connection, as Postfix has them")
equal((f.macros("H"), f.macros("M"), f.macros("R"), f.macros("T"), f.macros("N"), f.macros("E")),
      ({"{tls_version}": "TLSv1.3", "{cipher}": "TLS_AES_128_GCM_SHA256"}, {"i": ID, "{auth_type}": "PLAIN", "{auth_authen}": "joe", "{mail_addr}": "joe@example.com", "{mail_host}": "example.com"},
       {"i": ID, "{rcpt_addr}": "jane@example.org", "{rcpt_host}": "example.org"}, {"i": ID}, {"i": ID}, {"i": ID}), "and of the other events")
f.end()

f = Filter(macros=struct.pack(">I", 0) + text("{client_addr} j, {nothing}") + struct.pack(">I", 3) + text("") + struct.pack(">I", 5) + text("{mail_addr}"))
Run(["--macro", "daemon_name=ORIGINATING", "--macro={own}=a b", f.name])
equal((f.macros("C"), f.macros("R"), f.macros("E"), f.macros("M").get("i")), ({"{daemon_name}": "ORIGINATING", "{own}": "a b", "{client_addr}": "192.0.2.1", "j": "mx.example.org"}, {}, {"{mail_addr}": "joe@example.com"}, ID), "macros that the filter asks for, and the administrator's own")
equal(f.fields()[2], ("Subject", "x"), "without the agreement, one blank is left out")
f.end()

f = Filter(protocol=NO_REPLIES | 0x3ff ^ 0x80)
Run([f.name])
equal(f.letters(), "OEQ", "what a filter does not want to hear of, it does not")
f.end()
f = Filter(protocol=NO_REPLIES)
r = Run([f.name], message=TRACE + PLAIN + b"".join(b"%064d\n" % i for i in range(20000)))
equal((r.status, f.letters()[:12], set(f.letters()[12:-2])), (0, "OCHMRTLLLNBB", {"B"}), "a filter that answers nothing before the end")
equal((f.body().count(b"\r\n"), max(len(d) for l, d in f.said[0] if l == "B") <= 65535), (20001, True), "pieces of the body are no longer than libmilter takes")
f.end()

f = Filter(version=2, actions=0x3f)
r = Run([f.name])
equal((f.letters(), f.macros("N"), f.macros("E"), r.status), ("OCHMRLLLNBEQ", {}, {"i": ID}, 0), "version 2: no DATA, and no macros that it does not know")
f.end()
for env, c in (({"CLIENT_ADDRESS": "2001:db8::1"}, b"c.example.com\x006" + struct.pack(">H", 4242) + b"2001:db8::1\0"), ({"CLIENT_ADDRESS": "", "CLIENT_HOSTNAME": "unknown", "CLIENT_PORT": ""}, b"unknown\0U")):
    f = Filter()
    Run([f.name], env=env)
    equal(dict(f.said[0])["C"], c, f"the client: {env}")
    f.end()
f = Filter(inet=True)
for name in (f.name, f"inet:{f.name.split(':')[2]}@127.0.0.1", f.name): equal(Run([name]).status, 0, f"named {name.split(':')[0]}:..." + ("@" if "@" in name else ""))
f.end()
f = Filter()
equal(Run(["local:" + f.name[5:]], between=["--"]).status, 0, "named local:/path, as in sendmail; -- before the command")
f.end()

# ---- The message: pipe or file, CRLF, no header, no end of the header.
f = Filter({"E": add("X-A", "1") + CONTINUE})
for name, message, head, body in (
        ("LF", MAIL, MAIL[:-6], b"text\r\n"), ("CRLF", MAIL.replace(b"\n", b"\r\n"), MAIL.replace(b"\n", b"\r\n")[:-8], b"text\r\n"),
        ("no body", TRACE + b"Subject: x\n\n", TRACE + b"Subject: x\n", b""), ("no empty line", TRACE + b"Subject: x\n", TRACE + b"Subject: x\n", b""),
        ("text in its place", TRACE + b"Subject: x\nHello you\n", TRACE + b"Subject: x\n", b"Hello you\r\n"), ("no header", TRACE + b"\nHello: no, text\n", TRACE, b"Hello: no, text\r\n"),
        ("a mark of mbox", b"From joe Mon\n" + MAIL, b"From joe Mon\n" + MAIL[:-6], b"text\r\n"), ("odd blanks", TRACE + b"Subject : x\nX:\n \n\ty\n\ntext", TRACE + b"Subject : x\nX:\n \n\ty\n", b"text")):
    for piped in (False, True):
        r = Run([f.name], message=message, pipe=piped)
        eol = b"\r\n" if b"\r\n" in message else b"\n"
        equal((r.status, r.message, f.body(), r.taken and r.taken[0].at), (0, head + b"X-A: 1" + eol + eol + body.replace(b"\r\n", eol), body, 0), f"a message: {name}" + (", from a pipe" if piped else ""))
r = Run([f.name], between=["--", "/bin/sh", "-c", 'grep -E "SigIgn|SigBlk" /proc/self/status; ls /proc/self/fd | wc -l; exec "$@"', "sh"])
ok(re.fullmatch(r"SigBlk:\t0+\nSigIgn:\t0+\n4\n", r.out), "the command gets no signal ignored, and no descriptor of ours (ls has one)", r.said())
f.end()

# ---- Changes to the header.
OWN = TRACE
def header(replies, protocol=0, message=MAIL):
    f = Filter({"E": b"".join(replies) + CONTINUE}, protocol=protocol)
    r = Run([f.name], message=message)
    f.end()
    return r.message.decode("latin-1") if r.message else repr(r.said())
DELIVERY, REST = (TRACE[:TRACE.index(b"Received")]).decode(), RECEIVED.decode()
F, T, S, B = "From: joe@example.com\n", "To: jane@example.org\n", "Subject: x\n", "\ntext\n"
for name, replies, expected, protocol in (
        ("add", [add("X-A", "1"), add("X-B", "2")], DELIVERY + REST + F + T + S + "X-A: 1\nX-B: 2\n" + B, 0),
        ("insert at 0: above our Received", [insert(0, "X-A", "1")], DELIVERY + "X-A: 1\n" + REST + F + T + S + B, 0),
        ("insert at 1: below it", [insert(1, "X-A", "1")], DELIVERY + REST + "X-A: 1\n" + F + T + S + B, 0),
        ("insert at 3", [insert(3, "X-A", "1")], DELIVERY + REST + F + T + "X-A: 1\n" + S + B, 0),
        ("insert behind the end", [insert(4, "X-A", "1"), insert(4000000000, "X-B", "2")], DELIVERY + REST + F + T + S + "X-A: 1\nX-B: 2\n" + B, 0),
        ("insert at 0 twice, then at 1", [insert(0, "X-A", "1"), insert(0, "X-B", "2"), insert(1, "X-C", "3")], DELIVERY + "X-B: 2\nX-C: 3\nX-A: 1\n" + REST + F + T + S + B, 0),
        ("change", [change(1, "subject", "y")], DELIVERY + REST + F + T + "subject: y\n" + B, 0),
        ("change at 0 is at 1", [change(0, "Subject", "y")], DELIVERY + REST + F + T + "Subject: y\n" + B, 0),
        ("change of one that is not there adds", [change(2, "Subject", "y")], DELIVERY + REST + F + T + S + "Subject: y\n" + B, 0),
        ("delete", [change(1, "To", "")], DELIVERY + REST + F + S + B, 0),
        ("delete of one that is not there", [change(2, "To", "")], DELIVERY + REST + F + T + S + B, 0),
        ("our own fields are left alone", [change(1, "Return-Path", ""), change(1, "Received", ""), change(1, "Delivered-To", "")], DELIVERY + REST + F + T + S + B, 0),
        ("the blank of the value, where agreed", [add("X-A", " 1"), add("X-B", "2"), add("X-C", "\t3"), change(1, "To", " ")], DELIVERY + REST + F + "To: \n" + S + "X-A: 1\nX-B:2\nX-C:\t3\n" + B, LEADING_BLANK),
        ("folds", [add("X-A", "1\n\t2\n 3"), add("X-B", "1\r\n\t2"), add("X-C", "1\n"), add("X-D", "")], DELIVERY + REST + F + T + S + "X-A: 1\n\t2\n 3\nX-B: 1\n\t2\nX-C: 1\nX-D:\n" + B, 0)):
    equal(header(replies, protocol), expected, f"header: {name}")
many = TRACE + b"X-A: 1\nX-a: 2\nX-B: 3\nX-A: 4\n" + PLAIN
equal(header([change(2, "x-a", ""), change(2, "x-A", "5"), change(1, "X-A", "6\n\t7")], message=many).encode(), TRACE + b"X-A: 6\n\t7\nX-B: 3\nx-A: 5\n" + PLAIN, "by the place among those of that name")
equal(header([insert(0, "X-A", "1"), insert(1, "X-B", "2"), add("X-C", "3")], message=PLAIN).encode(), b"X-A: 1\nX-B: 2\nFrom: joe@example.com\nTo: jane@example.org\nSubject: x\nX-C: 3\n\ntext\n", "without a Received: of ours, index 0 is the top")
forged = b"Received: from x\n\tby mx.example.org (smtpin) with ESMTP id OTHER;\n\tdate\n" + PLAIN
f = Filter()
Run([f.name], message=forged)
equal(f.fields()[0][0], "Received", "a forged Received: of ours is shown")
f.end()

# ---- The body.
def body(pieces, message=MAIL):
    f = Filter({"E": b"".join(packet("b", p) for p in pieces) + CONTINUE})
    r = Run([f.name], message=message)
    f.end()
    return r.message
for name, pieces, expected in (("one piece", [b"new\r\nbody\r\n"], b"new\nbody\n"), ("CRLF parted", [b"new\r", b"\nbody\r", b"\n"], b"new\nbody\n"), ("LF", [b"new\nbody\n"], b"new\nbody\n"), ("no end", [b"new"], b"new\n"), ("empty", [b""], b""),
                               ("bare CR", [b"a\rb\r\r\nc\r", b"d\r"], b"a\rb\r\nc\rd\r\n"), ("binary", [bytes(range(256))], bytes(range(256)) + b"\n")):
    equal(body(pieces), TRACE + PLAIN[:-5] + expected, f"body: {name}")
octets = bytes(range(256)) * 300 + b"\n\r\n\r"
f = Filter({"E": insert(0, "X-A", "1") + packet("b", octets[::-1][:40000]) + packet("b", octets[::-1][40000:]) + CONTINUE})
r = Run([f.name], message=TRACE + PLAIN[:-5] + octets, env={"SMTPIN_BODY": "BINARYMIME"})
equal((f.body(), r.message), (octets, TRACE[:-len(RECEIVED)] + b"X-A: 1\n" + RECEIVED + PLAIN[:-5] + octets[::-1]), "body: a binary one stays as it is, there and back")
f.end()
crlf = MAIL.replace(b"\n", b"\r\n")
equal(body([b"new\nbody\r", b"\nx"], crlf), crlf[:-6] + b"new\r\nbody\r\nx\r\n", "body: the message's CRLF")
large = b"".join(b"%062d\r\n" % i for i in range(16000))
equal(body([large[i:i + 65535] for i in range(0, len(large), 65535)]), TRACE + PLAIN[:-5] + large.replace(b"\r\n", b"\n"), "body: a megabyte in pieces")

# ---- The envelope.
JANE, BOB, NEW = "jane@example.org", "bob@example.org", "new@example.org"
def envelope(changes, recipients=(JANE,), **more):
    f = Filter({"E": b"".join(changes) + CONTINUE})
    r = Run([f.name], recipients=recipients, **more)
    f.end()
    return r
plus, minus, sender = lambda a: packet("+", text(a)), lambda a: packet("-", text(a)), lambda a, *p: packet("e", text(a, *p))
r = envelope([sender("<srs@example.net>", "SIZE=1")])
equal((r.taken[0].env["SENDER"], r.taken[0].words, r.message), ("srs@example.net", ["srs@example.net", JANE], MAIL.replace(b"<joe@example.com>", b"<srs@example.net>")), "sender: environment, words, and our Return-Path:")
r = envelope([sender("<>")], command=["-f", "joe@example.com", "--from=<joe@example.com>", "joe@example.com.net", JANE])
equal((r.taken[0].env["SENDER"], r.taken[0].words), ("", ["-f", "", "--from=<>", "joe@example.com.net", JANE]), "the null sender, in words that have the sender in them")
r = envelope([minus("<Jane@example.org>"), minus("<jane@EXAMPLE.org>"), plus(NEW)])
equal((r.status, [t.words[1] for t in r.taken], [(t.env["RECIPIENT"], t.env["LOCAL"], t.env["DOMAIN"], t.env["EXTENSION"], t.env["RECIPIENT_COUNT"]) for t in r.taken]), (0, [NEW], [(NEW, "new", "example.org", "", "1")]), "another recipient")
r = envelope([packet("2", text("<new+x@example.org>", "NOTIFY=NEVER")), plus(JANE)])
equal([(t.words[1], t.env["RECIPIENT"], t.env["EXTENSION"], t.env["RECIPIENT_COUNT"]) for t in r.taken], [(JANE, JANE, "", "1"), ("new+x@example.org", "new+x@example.org", "x", "1")], "one more than one: a run for each; one that is there is not added again")
r = envelope([plus(NEW)], (JANE, BOB))
equal((len(r.taken), r.taken[0].words[1:], r.taken[0].env["RECIPIENT_COUNT"], "RECIPIENT" in r.taken[0].env), (1, [JANE, BOB, NEW], "3", False), "one more than two: one run")
r = envelope([minus(BOB)], (JANE, BOB), command=["--to=<jane@example.org>", "--to=<bob@example.org>", "--", "joe@example.com"], env={})
ok(r.status == 75 and "put -r${recipient}" in r.err and not r.taken, "recipients that the last words don't tell", r.said())
f = Filter({"E": minus(BOB) + CONTINUE})
r = Run(["-rjane@example.org", "-r", BOB, f.name], recipients=(JANE, BOB), command=["--to=<jane@example.org>", "--to=<bob@example.org>", "--", "joe@example.com"])
equal((r.status, r.taken[0].words), (0, ["--to=<jane@example.org>", "--", "joe@example.com"]), "... are told by -r")
r = Run(["-rx@example.org", f.name], recipients=(JANE, BOB))
ok(r.status == 75 and "number of -r" in r.err, "-r must be all of them", r.said())
f.end()
r = envelope([minus(JANE)])
equal((r.status, r.out, r.taken), (0, "250 2.1.5 Taken out by a filter\n", []), "nobody is left: accepted, nothing is run")
r = envelope([minus(JANE), plus(NEW)], command=["-d", "jane"])
ok(r.status == 75 and r.out.startswith("451") and "can't change the addresses" in r.err and not r.taken, "a command that is told a part of the address: not to the wrong one", r.said())
r = envelope([minus(JANE), plus(NEW)], command=[])
equal((r.status, r.taken[0].env["RECIPIENT"]), (0, NEW), "a command that looks at the environment alone")
r = envelope([plus(NEW)], (JANE, BOB), replies="each", env={"SAY": "250 2.1.5 a|552 5.2.2 b|250 2.1.5 c"})
equal((r.status, r.out), (0, "250 2.1.5 a\n552 5.2.2 b\n"), "lines: one for each of smtpin's recipients")
r = envelope([plus(NEW)], (JANE, BOB), replies="merged", env={"SAY": "250 2.1.5 a|552 5.2.2 b|452 4.2.2 c"})
equal((r.status, r.out), (0, "451 4.3.0 The message could not be handed over\n552 5.2.2 b\n"), "lines: an added recipient that has not got it is told by the others'")
for say in ("250 2.1.5 a|250 2.1.5 b", "250 2.1.5 a|250 2.1.5 b|250 2.1.5 c|250 2.1.5 d", "250 2.1.5 a|b|250 2.1.5 c"):
    r = envelope([plus(NEW)], (JANE, BOB), replies="each", env={"SAY": say})
    equal((r.status, r.out), (0, "451 4.3.0 The message could not be handed over\n" * 2), f"lines that can't be told apart: {say}")
r = envelope([minus(JANE)], (JANE, BOB), replies="each", env={"SAY": "250 2.1.5 b"})
equal((r.status, r.out, r.taken[0].words[1:], r.taken[0].env["RECIPIENT"]), (0, "250 2.1.5 Taken out by a filter\n250 2.1.5 b\n", [BOB], BOB), "lines: one that is taken out")
r = envelope([plus(NEW)], (JANE, BOB), replies="each", env={"END": "75", "SAY": "4.2.2 full"})
equal((r.status, r.out), (0, "452 4.2.2 full\n" * 2), "lines: a command that fails")
for end, say, status, out in ((0, "x", 0, "250 2.0.0"), (67, "5.1.1 No", 100, "550 5.1.1 No"), (75, "", 75, "451 4.3.0")):
    r = envelope([plus(NEW)], env={"END": str(end), "SAY": say})
    ok((r.status, r.out.startswith(out), len(r.taken)) == (status, True, 2), f"runs for each, exit status {end}", r.said())
r = envelope([plus(NEW)], (JANE, BOB), env={"END": "3", "SAY": "4.2.2 full"})
equal((r.status, r.out), (3, "4.2.2 full\n"), "one run with one answer: the command's own")

# Parameters of the recipients: a line for each.
dsn = {"SMTPIN_DSN_NOTIFY": "NEVER\n", "SMTPIN_DSN_ORCPT": "rfc822;j@x\nrfc822;b@x"}
told = lambda r: [(t.env.get("SMTPIN_DSN_NOTIFY"), t.env.get("SMTPIN_DSN_ORCPT")) for t in r.taken]
equal(told(envelope([], (JANE, BOB), env=dsn)), [("NEVER\n", "rfc822;j@x\nrfc822;b@x")], "DSN: as it was")
equal(told(envelope([minus(JANE)], (JANE, BOB), env=dsn)), [(None, "rfc822;b@x")], "DSN: of who is left")
equal(told(envelope([plus(NEW)], (JANE, BOB), env=dsn)), [("NEVER\n\n", "rfc822;j@x\nrfc822;b@x\n")], "DSN: who is added has none")
equal(told(envelope([plus(NEW)], env={"SMTPIN_DSN_NOTIFY": "NEVER"})), [("NEVER", None), (None, None)], "DSN: in a run for each")

# ---- Quarantine.
r = envelope([packet("q", text("virus\r\nX: y"))])
equal(r.taken[0].env.get("SMTPIN_QUARANTINE"), "virus  X: y", "quarantine: SMTPIN_QUARANTINE has the reason, on one line")
equal(Run([(f := Filter()).name]).taken[0].env.get("SMTPIN_QUARANTINE"), None, "else it is not there"); f.end()

# ---- What the client hears.
def verdict(letter, reply, **more):
    f = Filter({letter: reply})
    r = Run([f.name], **more)
    f.end()
    return (r.status, r.out.strip(), len(r.taken))
for letter in "CHMRTLNBE":
    for name, reply, expected in (("reject", REJECT, (100, "550 5.7.1 Command rejected", 0)), ("tempfail", TEMPFAIL, (75, "451 4.7.1 Service unavailable - try again later", 0)), ("discard", DISCARD, (0, "250 2.0.0 OK", 0)),
                                  ("accept", ACCEPT, (0, "", 1)), ("a code", packet("y", text("554 5.7.1 Gtube pattern")), (100, "554 5.7.1 Gtube pattern", 0)), ("shutdown", SHUTDOWN, (75, "451 4.7.0 Service unavailable - try again later", 0)),
                                  ("CONN_FAIL", CONN_FAIL, (75, "451 4.7.0 Service unavailable - try again later", 0)), ("progress", PROGRESS * 3 + CONTINUE, (0, "", 1))):
        equal(verdict(letter, reply), expected, f"{name} at {letter}")
for said, line in (("550 No", "550 5.7.1 No"), ("450 4.2.0 Greylisted, 50%% done", "450 4.2.0 Greylisted, 50% done"), ("550-5.7.1 One\r\n550 5.7.1 two", "550 5.7.1 One two"), ("571 x", "554 5.7.1 x"), ("421 4.7.0 Bye", "451 4.7.0 Bye"), ("550 4.7.1 mixed", "554 5.7.1 Refused by a filter"),
                   ("550 5.7.1 a\tb\x01c\xe9", "550 5.7.1 a b c??"), ("550", "550 5.7.1"), ("550 5.7.1 " + "x" * 5000, "550 5.7.1 xxx")):
    equal(verdict("E", packet("y", text(said)))[1][:len(line)], line, f"a code: {said[:30]!r}")
f = Filter({"L": lambda d: SKIP, "B": SKIP}, protocol=0x400)
r = Run([f.name], message=MAIL + b"x" * 200000 + b"\n")
equal((f.letters(), r.status), ("OCHMRTLNBEQ", 0), "skip: no more of this kind")
f.end()
f = Filter({"M": ACCEPT})
r = Run([f.name])
equal((f.letters(), r.status, r.message), ("OCHMQ", 0, MAIL), "an early accept ends the filter")
f.end()
only = lambda a, reply: lambda d: reply if d.startswith(b"<" + a.encode()) else CONTINUE
f = Filter({"R": only(BOB, packet("y", text("550 5.1.1 No bob")))})
g = Filter()
r = Run([f.name, g.name], recipients=(JANE, BOB), replies="each", env={"SAY": "250 2.1.5 ok"})
equal((r.status, r.out, r.taken[0].words[1:], [d for l, d in g.said[0] if l == "R"]), (0, "250 2.1.5 ok\n550 5.1.1 No bob\n", [JANE], [b"<jane@example.org>\0"]), "a refusal at RCPT is that recipient's, where each has a line; the next filter does not hear of it")
r = Run([f.name], recipients=(JANE, BOB), replies="one")
equal((r.status, r.out, r.taken), (100, "550 5.1.1 No bob\n", []), "... and the message's, where one line is for all")
r = Run([f.name], recipients=(BOB,), replies="each")
equal((r.status, r.out, r.taken), (0, "550 5.1.1 No bob\n", []), "all are refused: nothing is run")
f.end()
r = Run([(f := Filter({"E": DISCARD})).name], recipients=(JANE, BOB), replies="merged"); f.end()
equal((r.status, r.out), (0, "250 2.0.0 OK\n" * 2), "discarded: a line for each")

# ---- Several filters, one after the other.
f = Filter({"E": insert(0, "X-F", "1") + sender("<srs@example.net>") + plus(NEW) + packet("b", b"new\r\n") + CONTINUE})
g = Filter({"E": insert(0, "X-G", "2") + change(1, "X-F", "3") + CONTINUE, "R": only(NEW, REJECT)})
r = Run([f.name, g.name])
equal((r.message, [t.words for t in r.taken]), (TRACE.replace(b"joe@example.com", b"srs@example.net")[:-len(RECEIVED)] + b"X-G: 2\nX-F: 3\n" + RECEIVED + PLAIN[:-5] + b"new\n", [["srs@example.net", JANE]]), "the second filter sees what the first has made, and may refuse whom it has added")
equal((g.fields()[0], g.body(), dict(g.said[0])["M"], [d for l, d in g.said[0] if l == "R"]), (("X-F", "1"), b"new\r\n", b"<srs@example.net>\0", [b"<jane@example.org>\0", b"<new@example.org>\0"]), "in header, body and envelope")
f.end(); g.end()
f, g = Filter({"E": REJECT}), Filter()
equal((Run([f.name, g.name]).status, g.said), (100, []), "after a refusal no other is asked")
f.end(); g.end()

# ---- A filter that is not there, or hangs.
away = "unix:" + os.path.join(TMP, "nobody")
for default, expected in ((None, (75, "451 4.7.1 Service unavailable - try again later\n", 0)), ("tempfail", (75, "451 4.7.1 Service unavailable - try again later\n", 0)), ("reject", (100, "550 5.7.0 Service unavailable\n", 0)), ("accept", (0, "", 1))):
    r = Run([*(["--default", default] if default else []), away])
    ok((r.status, r.out, len(r.taken)) == expected and r.err.startswith(f"smtpin-milter: {away}: "), f"a filter that is away: {default}", r.said())
f = Filter({"E": add("X-A", "1") + CONTINUE})
r = Run(["--default=accept", away, "--default=tempfail", f.name, f.name])
equal((r.status, r.message), (0, TRACE + PLAIN[:-6] + b"X-A: 1\nX-A: 1\n\ntext\n"), "an option is for the filters behind it")
f.end()
for letter, option in (("O", "--timeout"), ("C", "--timeout"), ("M", "--timeout"), ("N", "--timeout"), ("B", "--content-timeout"), ("E", "--content-timeout")):
    f = Filter({letter: b""}, terms=b"" if letter == "O" else None)
    began = time.monotonic()
    r = Run([option, "200ms", f.name])
    ok(r.status == 75 and "does not answer in time" in r.err and time.monotonic() - began < 20, f"no answer at {letter}: {option}", r.said())
    f.end()
f = Filter({"E": lambda d: (time.sleep(0.3), PROGRESS)[1]})
r = Run(["--content-timeout", "500ms", f.name]); f.end()
ok(r.status == 75 and "in time" in r.err, "progress gives more time, once", r.said())

# ---- A hostile one. Each is --default's answer and a line on descriptor 2; the message has lost and won nothing.
def hostile(name, replies=None, words=(), why="", default="accept", **more):
    f = Filter(replies, **more)
    r = Run([*words, "--default", default, "--timeout", "5s", "--content-timeout", "5s", f.name])
    f.end()
    ok((r.status, r.message) == (0, MAIL) and r.err.count("\n") == 1 and why in r.err, f"hostile: {name}", r.said())
for letter, event in itertools.product("OCMRLE", (0, 0xffffffff, 0x01000001, 16 << 20, 1 << 31)):
    lie = struct.pack(">I", event) + b"c" + b"x" * 64
    hostile(f"length {event} at {letter}", {letter: lie}, terms=lie if letter == "O" else None, why="of a length")
whole = packet("O", struct.pack(">III", VERSION, ACTIONS, 0) + struct.pack(">I", 1) + text("i"))
def cut_at(letter, octets):
    def say(data): say.c.sendall(octets); say.c.shutdown(socket.SHUT_RDWR); return None
    f = Filter({letter: say} if letter != "O" else {}, terms=say if letter == "O" else None)
    talk = f.talk
    def with_c(c): say.c = c; talk(c)
    f.talk = with_c
    r = Run(["--default", "accept", "--timeout", "5s", f.name])
    f.end()
    return r
bad = []
for cut in range(len(whole)):
    r = cut_at("O", whole[:cut])
    if (r.status, r.message) != (0, MAIL) or "closed the connection" not in r.err: bad.append((cut, r.said()))
equal(bad, [], "the terms, cut after each octet")
request = insert(0, "X-A", "1") + packet("b", b"new") + plus(NEW) + sender("<srs@example.net>") + packet("q", text("why")) + CONTINUE
bad = []
for cut in range(len(request)):
    r = cut_at("E", request[:cut])
    if (r.status, r.message, r.taken[0].words, r.taken[0].env.get("SMTPIN_QUARANTINE")) != (0, MAIL, ["joe@example.com", JANE], None) or r.err.count("\n") != 1: bad.append((cut, r.said()))
equal(bad, [], "changes, cut after each octet: none is made")
for name, terms in (("not an answer", CONTINUE), ("too short", packet("O", b"\0\0\0\6\0\0")), ("version 7", packet("O", struct.pack(">III", 7, 0, 0))), ("version 1", packet("O", struct.pack(">III", 1, 0, 0))), ("version 0", packet("O", struct.pack(">III", 0, 0, 0))),
                    ("a list of a stage 7", packet("O", struct.pack(">IIII", 6, 0x1ff, 0, 7) + text("i"))), ("a list without an end", packet("O", struct.pack(">IIII", 6, 0x1ff, 0, 1) + b"i")), ("a letter alone", packet("O")), ("letter 0", packet("\0"))):
    hostile("terms: " + name, terms=terms)
hostile("too many macros", terms=packet("O", struct.pack(">IIII", 6, 0x1ff, 0, 0) + text("j " * 30000)), why="macros")
f = Filter(terms=packet("O", struct.pack(">III", 6, 0xffffffff, 0xffe00800)))
equal(Run([f.name]).message, MAIL, "bits that were not offered do not hold")
f.end()
for letter in "OCHMRTLNB":
    hostile(f"a change at {letter}", {letter: add("X-A", "1") + CONTINUE}, terms=add("X-A", "1") if letter == "O" else None)
for letter in "CHMRTLN": hostile(f"two replies at {letter}", {letter: CONTINUE * 2}, why="nobody has asked")
for letter in "CHMRTNE": hostile(f"skip at {letter}", {letter: SKIP}, protocol=0x400)
hostile("skip that was not agreed to", {"B": SKIP})
for i in range(256):
    c = chr(i)
    if c in "cartdsp4fyhimb+2-eq": continue
    if i % 16 and not c.isalpha(): continue
    hostile(f"letter {i}", {"E": struct.pack(">IB", 1, i)}, why="not known")
for c in "cartdpf4": hostile(f"{c} with octets", {"E": packet(c, b"x")})
for bit, reply in ((1, add("X", "1")), (1, insert(0, "X", "1")), (0x10, change(1, "X", "1")), (2, packet("b", b"x")), (4, plus(NEW)), (0x80, packet("2", text(NEW))), (8, minus(JANE)), (0x40, sender("<>")), (0x20, packet("q", text("x")))):
    hostile(f"{reply[4:5]!r} that was not agreed to", {"E": reply + CONTINUE}, actions=ACTIONS & ~bit, why="not agreed")
for name, reply in (("no name", add("", "1")), ("a blank in the name", add("X A", "1")), ("a colon in the name", add("X:", "1")), ("CR in the name", add("X\r", "1")), ("LF in the name", add("X\nY", "1")), ("octets in the name", add(b"X\xe9", "1")), ("a name of 2000", add("X" * 2000, "1")),
                    ("NUL in the value", packet("h", text("X", "1\0002"))), ("no end", packet("h", b"X\x001")), ("no value", packet("h", text("X"))), ("nothing", packet("h")), ("LF and no blank", add("X", "1\nBcc: x")), ("an empty line", add("X", "1\n\n body")), ("a line of blanks", add("X", "1\n \n\t2")),
                    ("a bare CR", add("X", "1\r2")), ("CR CR LF", add("X", "1\r\r\n 2")), ("an index cut", packet("i", b"\0\0")), ("an index alone", packet("i", b"\0\0\0\0")), ("a recipient that is none", plus("x")), ("a recipient with a line end", plus("<a@b.example>\r\nRCPT TO:<c@d.example>")),
                    ("no recipient", plus("")), ("null recipient", plus("<>")), ("two recipients", plus("<a@b.example> <c@d.example>")), ("a recipient with NUL", packet("+", text("a@b.example", "x"))), ("a recipient of 5000", plus("x" * 5000 + "@b.example")), ("a sender that is none", sender("joe")),
                    ("an option for a sender", sender("-oQ/tmp")), ("a sender with a line end", sender("<a@b.example\n>")), ("a code that is none", packet("y", text("250 2.0.0 OK"))), ("a code of letters", packet("y", text("5x0 no"))), ("no code", packet("y")), ("a code cut", packet("y", text("55")))):
    hostile(name, {"E": reply + CONTINUE})
hostile("a million headers", {"E": add("X", "1") * 1000000 + CONTINUE}, why="--limit requests")
hostile("a million times progress", {"E": PROGRESS * 1000000 + CONTINUE}, why="--limit requests")
hostile("progress at MAIL", {"M": PROGRESS * 2000 + CONTINUE}, why="--limit requests")
hostile("a header of a megabyte", {"E": add("X", "x" * 600000) * 2 + CONTINUE}, why="--limit header")
hostile("half of the changes fit", {"E": add("X-A", "1") + plus(NEW) + add("X", "x" * 600000) + CONTINUE}, words=["--limit", "header=100K"], why="--limit header")
hostile("recipients", {"E": b"".join(plus(f"u{i}@example.net") for i in range(20)) + CONTINUE}, words=["--limit", "recipients=19"], why="--limit recipients")
hostile("requests", {"E": add("X", "1") * 6 + CONTINUE}, words=["--limit=requests=5"], why="--limit requests")
hostile("a body", {"E": packet("b", b"x" * 600) * 2 + CONTINUE}, words=["--limit", "body=1K"], why="--limit body")
hostile("a packet", {"E": packet("b", b"x" * 2000) + CONTINUE}, words=["--limit", "packet=1K"], why="--limit packet")
r = envelope([add("X", "1") * 5, packet("b", b"x" * 1000)]); equal(r.status, 0, "just below the limits")
hostile("it goes", {"N": None}, why="closed the connection")
for default, expected in (("tempfail", (75, 0)), ("reject", (100, 0))):
    f = Filter({"E": add("X", "1\nBcc: x") + CONTINUE})
    r = Run(["--default", default, f.name]); f.end()
    equal((r.status, len(r.taken)), expected, f"hostile: {default}")
for message, name in ((b"X: " + b"x" * 2000 + b"\n\ntext\n", "a field"), (b"X: y\n" * 500 + b"\ntext\n", "fields"), (b"X: y\n" * 205 + b"X", "fields without an end")):
    r = Run(["--limit", "header=1K", (f := Filter()).name], message=message)
    ok((r.status, r.out, r.taken) == (100, "552 5.3.4 Message header too large\n", []), f"a header that is too large: {name}", r.said()); f.end()
f = Filter({"E": add("X-A", "1") + CONTINUE}, protocol=0x20)
r = Run([f.name], message=b"".join(b"a%d:\n" % (i % 10) for i in range(250000)) + b"\ntext\n")
equal((r.status, r.message and r.message[-14:]), (0, b"\nX-A: 1\n\ntext\n"), "a header of a quarter of a million fields")
f.end()
f = Filter({"E": CONTINUE}, protocol=NO_REPLIES)
r = Run([f.name], message=b"X: " + b"x" * 200000 + b"\n\ntext\n")
equal((r.status, max(len(d) for l, d in f.said[0] if l == "L")), (0, 65535), "a field that is longer than a packet is told in part")
f.end()

# ---- Memory stays flat, whatever the message.
def memory(size):
    f = Filter({"E": add("X-A", "1") + b"".join(packet("b", b"x" * 63 + b"\n") for _ in range(10)) + CONTINUE}, protocol=NO_REPLIES)
    big = os.path.join(TMP, "big")
    with open(big, "wb") as o:
        o.write(MAIL)
        for _ in range(size): o.write((b"x" * 63 + b"\n") * 16384)
    peak = write("peak.py", f"#!{sys.executable} -SE\nimport resource, subprocess, sys\nsubprocess.run(sys.argv[1:])\nprint(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n")
    with open(big, "rb") as i:
        p = subprocess.run([peak, MILTER, f.name, "/bin/true"], stdin=i, capture_output=True, timeout=60, env={"PATH": os.environ["PATH"], "SENDER": "", "RECIPIENT_COUNT": "1", "RECIPIENT": JANE, "SMTPIN_REPLIES": "one"})
    os.unlink(big); f.end()
    return int(p.stdout.split()[-1])
if not SANITIZED:
    small, huge = memory(1), memory(32)
    ok(huge < small + 2048, "32 MiB take no more memory than 1 MiB", (small, huge))

# ---- Wrong usage.
for words in ([], ["--default", "x", away, "/bin/true"], ["--limit", "x=1", away, "/bin/true"], ["--limit", "packet=1", away, "/bin/true"], ["--timeout", "x", away, "/bin/true"], ["--timeout", "0", away, "/bin/true"], ["--x", away, "/bin/true"], ["--macro", "x", away, "/bin/true"], ["-h", "a b", away, "/bin/true"],
              [away], [away, "--"], ["/bin/true"], ["inet:nowhere", "/bin/true"], ["unix:relative", "/bin/true"], ["inet::25", "/bin/true"], ["--timeout"], [*[away] * 17, "/bin/true"]):
    p = subprocess.run([MILTER, *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    ok(p.returncode == 64 and b"usage:" in p.stderr and not p.stdout, f"usage: {words[:3]}", (p.returncode, p.stderr))
for words, out in ((["--help"], b"usage: smtpin-milter"), (["--version"], b"smtpin-milter 0.1.0")): ok(subprocess.run([MILTER, *words], capture_output=True, timeout=20).stdout.startswith(out), words[0])
p = subprocess.run([MILTER, away, "/bin/true"], stdin=subprocess.DEVNULL, capture_output=True, timeout=20, env={})
ok(p.returncode == 75 and b"no SENDER" in p.stderr, "without smtpin's environment", (p.returncode, p.stderr))
r = Run([(f := Filter()).name, "/nonexistent/program"]); f.end()
equal((r.status, r.out), (75, ""), "no such command: 75")

# ---- The examples of docs/smtpin-milter.1, with filters of our own in the places of theirs.
f = Filter({"E": add("X-A", "1") + CONTINUE})
directory, take = taker("examples")
examples = [b for b in document.blocks(SOURCE, "docs/smtpin-milter.1") if b.language == "conf"]
for b in examples:
    lines = [l for l in b.text.split("\n") if " = " in l]
    settings = dict(l.split(" = ", 1) for l in lines)
    filters = re.findall(r"(?:inet|unix):\S+", settings["deliver_through"])
    settings["deliver_through"] = re.sub(r"(?:inet|unix):\S+", f.name, settings["deliver_through"]).replace("/usr/bin/smtpin-milter", MILTER)
    settings["deliver"] = take.rsplit(" ", 2)[0] + " " + settings["deliver"].split(" ", 1)[1] if "deliver" in settings else take
    clear(directory)
    out, err, _ = pipe(mail(envelope=ENVELOPE.replace(b"DATA", b"RCPT TO:<c@example.org>\r\nDATA")), {**settings, "log": "stderr"})
    got = messages(directory)
    ok(final_reply(out).startswith("250") and len(got) == 1 and got[0].count(b"X-A: 1\n") == len(filters) > 0, f"{b.where}: the example", (out, err, got))
    equal([d for l, d in f.said[-1] if l == "R"], [b"<b@example.org>\0", b"<c@example.org>\0"], f"{b.where}: the filter hears of both recipients")
ok(len(examples) > 3, "the manual has examples")
f.end()

# ---- With smtpin.
f = Filter({"E": add("X-A", "1") + packet("b", b"new\r\n") + CONTINUE, "R": only("bob", packet("y", text("550 5.1.1 No bob")))})
directory, take = taker()
out, err, _ = pipe(mail(), {"deliver": take, "deliver_through": f"{MILTER} {f.name}", "log": "stderr"})
ok(final_reply(out).startswith("250") and len(messages(directory)) == 1, "smtpin: 250", (out, err))
got = messages(directory)[0]
ok(got.startswith(b"Return-Path: <a@example.com>\nDelivered-To: b@example.org\nReceived:") and got.endswith(b"Subject: x\nX-A: 1\n\nnew\n"), "smtpin: the message that is stored", got)
equal((f.fields(), f.macros("M")["i"] in got.decode()), ([("Subject", "x")], True), "smtpin: its own fields are not shown")
store = os.path.join(TMP, "store")
os.mkdir(store)
stored = {"deliver": f"{MAILDIR} {store} ${{recipient}}", "deliver_replies": "each"}
two = b"EHLO c.example.com\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<jane@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n"
lhlo = two.replace(b"EHLO", b"LHLO")
for per in ("message", "recipient"):
    out, err, _ = pipe(mail(envelope=lhlo), {**stored, "deliver_replies": "each" if per == "message" else "one", "deliver_through": f"{MILTER} {f.name}", "protocol": "lmtp", "deliver_per": per, "log": "stderr"})
    ok(b"\r\n250 " in out and b"\r\n550 5.1.1 No bob" in out and os.path.isdir(store + "/example.org/jane") and not os.path.exists(store + "/example.org/bob"), f"smtpin: smtpin-maildir, each recipient's own answer, deliver_per = {per}", (out, err))
out, err, _ = pipe(mail(envelope=two), {**stored, "deliver_through": f"{MILTER} {away}", "log": "stderr"})
ok(final_reply(out).startswith("451 4.7.1 Service unavailable") and b"smtpin-milter: " + away.encode() in err, "smtpin: a filter that is away: 451, and why is in the log", (out, err))
f.end()
f = Filter({"E": packet("y", text("554 5.7.1 Gtube pattern"))})
out, err, _ = pipe(mail(), {**stored, "deliver_through": f"{MILTER} {f.name}", "log": "none"})
ok(re.match(r"55[04] 5\.7\.1 Gtube pattern$", final_reply(out)), "smtpin: the client hears the filter's words", out)
f.end()
done()
