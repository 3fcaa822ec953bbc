"""With the sandbox and without: each session is the same, in replies, log, transcript, messages and exit status."""
import glob, random, re
from harness import *

sys.path.insert(0, os.path.join(SOURCE, "tests", "fuzz"))
import seeds

NUMBER = iter(range(10 ** 6))
TEXT = b"Subject: x\r\n\r\ntext\r\n"
MAIL = b"MAIL FROM:<a@example.com>\r\n"
RCPT = b"RCPT TO:<b@example.org>\r\n"
DATA = b"DATA\r\n" + TEXT + b".\r\n"


def once(sandbox, said, settings):
    root = os.path.join(TMP, f"s{next(NUMBER)}"); os.makedirs(os.path.join(root, "trace")); os.chmod(root, 0o777)
    script = write(os.path.join(os.path.basename(root), "deliver"), '#!/bin/sh\ncat >>"$1/taken"; echo "$SENDER $RECIPIENT $RECIPIENT_COUNT $SMTPIN_SIZE $SMTPIN_ID $SMTPIN_BODY $CLIENT_PROTOCOL" >>"$1/taken"; cat "$1/says" 2>/dev/null; exit "$(cat "$1/status" 2>/dev/null || echo 0)"\n')
    settings = {"deliver": f"{script} {root}", "log": "stderr", "fixed_id": "T", "fixed_time": "1780000000", "trace": root + "/trace", "spool_dir": TMP, **settings}
    for name in ("says", "status"):
        if name in settings:
            with open(os.path.join(root, name), "w") as f: f.write(settings.pop(name))
    with open(root + "/said", "w+b") as f:  # not a pipe: what comes in one read would be chance
        f.write(said); f.seek(0)
        p = subprocess.run(arguments({**settings, "sandbox": sandbox}), stdin=f, capture_output=True, timeout=60)
    out, err, status = p.stdout, p.stderr, p.returncode
    log = re.sub(rb"smtpin\[\d+\]|milliseconds=\d+", b"", err).replace(root.encode(), b"")
    read = lambda p: open(p, "rb").read().replace(root.encode(), b"") if os.path.exists(p) else None
    return {"replies": out, "log": log, "status": status, "messages": read(root + "/taken"), "transcript": read(root + "/trace/T.smtp")}


def same(name, said, **settings):
    one, two = (once(s, said, dict(settings)) for s in ("no", "yes"))
    different = {k: (one[k], two[k]) for k in one if one[k] != two[k]}
    # Who waits for TLS from the first octet on hears nothing that is no TLS; a proxy without a header hears nothing.
    silent = settings.get("tls") == "implicit" or b" end=proxy_" in one["log"]
    ok(not different and bool(one["replies"]) != silent, name, different or one)


for path in sorted(glob.glob(os.path.join(SOURCE, "tests", "transcripts", "*.smtp"))):
    text = open(path).read()
    settings = dict(re.findall(r"^(\w+) = (.*)$", text, re.M))
    for k in ("fixed_id", "fixed_time", "deliver", "trace", "spool_dir", "sandbox"): settings.pop(k, None)
    said = seeds.said_in(path)
    if said: same(os.path.basename(path), said, **settings)
EHLO = b"EHLO c.example.com\r\n"
same("two messages, and more commands", EHLO + (MAIL + RCPT + DATA) * 2 + b"NOOP\r\nQUIT\r\n")
same("a large message", EHLO + MAIL + RCPT + b"DATA\r\n" + (b"x" * 70 + b"\r\n") * 10000 + b".\r\nQUIT\r\n", trace_messages="yes")
same("one that is too large", EHLO + MAIL + RCPT + b"DATA\r\n" + (b"x" * 70 + b"\r\n") * 10000 + b".\r\nQUIT\r\n", max_message_size="65536")
same("CRLF", EHLO + MAIL + RCPT + b"DATA\r\n" + TEXT * 9000 + b".\r\nQUIT\r\n", line_ending="crlf")
same("its own words", EHLO + MAIL + RCPT + DATA, says="550 5.2.2 full\n", status="69")
same("a null sender, postmaster, and a quoted one", EHLO + b"MAIL FROM:<>\r\nRCPT TO:<postmaster>\r\nRCPT TO:<\"a b\"@example.org>\r\n" + DATA + b"QUIT\r\n")
# As long as an address can be: a quoted local-part, each octet of it with a backslash.
LONG = b'"' + b'\\"' * 128 + b'"@' + b".".join([b"a" * 61] * 3) + b"." + b"b" * 57 + b".example.org"
for n in (0, 1, 2, 57): same(f"the longest addresses, less {n}", EHLO + b'MAIL FROM:<"' + LONG[1 + n * 2:] + b">\r\n" + b"RCPT TO:<" + LONG + b">\r\n" + RCPT + b"RCPT TO:<" + LONG + b">\r\n" + DATA + (MAIL + RCPT + DATA) + b"QUIT\r\n", domains="example.org .example.org")
got = once("yes", EHLO + b"MAIL FROM:<" + LONG + b">\r\nRCPT TO:<" + LONG + b">\r\n" + DATA + b"QUIT\r\n", {"domains": ".example.org"})
ok(len(LONG) == 514 and got["messages"] is not None and LONG + b" " + LONG + b" 1 " in got["messages"], "and the command has them whole", got)
UTF8 = EHLO + b"MAIL FROM:<a@example.com> SMTPUTF8\r\n"
for address in ('"a@\u00e4"@example.org', '\u00e4@example.org', 'a@b\u00fccher.example', '"@\u00e4@b"@b\u00fccher.example'):
    for more in ({}, {"recipients": text_table("utf8", "\u00e4@example.org OK\na@xn--bcher-kva.example OK\n")}):
        same(f"{address}, {sorted(more)}", UTF8 + b"RCPT TO:<" + address.encode() + b">\r\nVRFY " + address.encode() + b"\r\n" + DATA + b"QUIT\r\n", domains="example.org xn--bcher-kva.example", vrfy="yes", **more)
same("more recipients than one packet takes", EHLO + MAIL + b"".join(b"RCPT TO:<b%d@example.org>\r\n" % n for n in range(200)) + DATA + b"QUIT\r\n")
same("more results than one packet takes", b"LHLO c\r\n" + MAIL + b"".join(b"RCPT TO:<b%d@example.org>\r\n" % n for n in range(200)) + DATA + b"QUIT\r\n", deliver_replies="each", says=("550 5.2.2 " + "x" * 300 + "\n") * 200, protocol="lmtp")
for name, more in (("SMTP", {}), ("LMTP", {"protocol": "lmtp"}), ("PRDR", {})):
    hello = b"LHLO c\r\n" if more else EHLO
    three = (MAIL[:-2] + b" PRDR\r\n" if name == "PRDR" else MAIL) + RCPT + b"RCPT TO:<c@example.org>\r\nRCPT TO:<no@elsewhere.example>\r\nRCPT TO:<d@example.org>\r\n"
    for status in ("0", "67", "75"): same(f"{name}, a run for each, {status}", hello + three + DATA + b"QUIT\r\n", deliver_per="recipient", status=status, **more)
    same(f"{name}, a reply for each", hello + three + DATA + b"QUIT\r\n", deliver_replies="each", says="250 2.0.0 one\n550 5.1.1 two\n451 4.2.0 three\n", **more)
    same(f"{name}, no room for the spool", hello + three + DATA + b"QUIT\r\n", deliver_per="recipient", spool_dir="/nonexistent", spool_memory="0", **more)
    same(f"{name}, a loop", hello + three + b"DATA\r\nDelivered-To: b@example.org\r\nDelivered-To: c@example.org\r\nDelivered-To: d@example.org\r\n\r\n.\r\nQUIT\r\n", deliver_per="recipient", **more)
    same(f"{name}, lines that are too long, without end", hello + (b"x" * 3000 + b"\r\n") * 20, max_commands="10", **more)
same("each with one recipient", EHLO + MAIL + RCPT + RCPT + DATA + b"QUIT\r\n", partial="single")
same("the MAIL that is one too many", EHLO + (MAIL + RCPT + DATA) * 4, max_transactions="2")
same("the command that is one too many", EHLO + MAIL + RCPT + b"NOOP\r\n" * 9, max_commands="5")
same("errors", EHLO + b"X\r\n" * 30, max_errors="3")
for end in (b"", b"foo\n", b"foo\rbar\r\n", b"NOOP\r\n", b"RSET\r\n", b"QUIT\r\n"):
    same(f"as many errors as may be, then {end!r}", EHLO + b"X\r\n" * 3 + end, max_errors="3")
    same(f"the same within a transaction, then {end!r}", EHLO + MAIL + b"RCPT TO:<x@elsewhere.example>\r\n" * 3 + end, max_errors="3")
same("errors by results", EHLO + (MAIL + RCPT + DATA) * 5, status="67", max_errors="3")
for end in (b"", b"RSET\r\n", b"QUIT\r\n", b"EHLO again\r\n", MAIL): same(f"a transaction in UTF-8, left by {end!r}", EHLO + b"MAIL FROM:<\xc3\xa4@example.com> SMTPUTF8\r\n" + RCPT + end)
same("the end in the middle of a message", EHLO + MAIL + RCPT + b"DATA\r\nhalf")
same("1,100 recipients, an answer of 400 octets", EHLO + MAIL + b"".join(b"RCPT TO:<r%d@example.org>\r\n" % i for i in range(1100)) + DATA + b"QUIT\r\n", max_recipients="2000", says="r" * 400 + "\n", trace="")
for size in range(4096, 6000, 137): same(f"a transcript of {size} octets", EHLO + (MAIL + RCPT + DATA) * 8 + b"QUIT\r\n", trace_size=str(size), trace_messages="yes")
# By chance, the same chance each time.
chance = random.Random(20261125)
LINES = [EHLO, b"LHLO c\r\n", b"HELO c\r\n", MAIL, b"MAIL FROM:<>\r\n", b"MAIL FROM:<\xc3\xa4@example.com> SMTPUTF8\r\n", MAIL[:-2] + b" PRDR\r\n", RCPT, b"RCPT TO:<postmaster>\r\n", b"RCPT TO:<c@example.org>\r\n", b"RCPT TO:<list@example.org>\r\n", b"VRFY b\r\n", b"VRFY x\r\n",
         b"RCPT TO:<x@elsewhere.example>\r\n", b"RCPT TO:<@\r\n", DATA, b"DATA\r\n" + b"Received: x\r\n" * 4 + b"\r\n.\r\n", b"DATA\r\nbare\nline\r\n.\r\n", b"DATA\r\nhalf", b"RSET\r\n", b"NOOP\r\n", b"X\r\n", b"bare\n", b"QUIT\r\n", b"y" * 2100 + b"\r\n"]
USUAL = [EHLO, MAIL, RCPT, RCPT, DATA]
KNOWN = text_table("known", "b@example.org OK\nc@example.org 450 4.2.1 Later\nlist@example.org b@example.org, d@example.org\n")
ALIASES = text_table("aliases", "b@example.org b@example.org, far@elsewhere.example\nc@example.org 550 5.1.6 Moved\n")
for n in range(120 if not SANITIZED else 30):
    settings = {k: v for k, v in (("protocol", "lmtp"), ("deliver_per", "recipient"), ("partial", "single"), ("line_ending", "crlf"), ("max_errors", "3"), ("max_commands", "9"), ("max_transactions", "2"), ("max_received", "2"),
                                  ("recipients", KNOWN), ("aliases", ALIASES), ("vrfy", "yes"), ("max_refused_recipients", "2"),
                                  ("status", chance.choice(["67", "75", "1"])), ("says", "4.2.0 its words\n"), ("helo_required", "yes"), ("trace_messages", "yes")) if chance.random() < 0.25}
    # Where no policy server is, policy_default is what it says at each of these steps.
    if chance.random() < 0.4: settings.update(policy=f"unix:{TMP}/nobody", policy_states=" ".join(chance.sample(["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "END-OF-MESSAGE"], 3)), policy_default=chance.choice(["DUNNO", "DUNNO", "550 5.7.1 No", "450 4.7.1 Later"]))
    said = b"".join(chance.choice(LINES) if chance.random() < 0.4 else USUAL[i % 5] for i in range(chance.randrange(3, 16)))
    if settings.get("protocol"): said = said.replace(b"EHLO", b"LHLO")
    same(f"chance {n} {sorted(settings)}", said, **settings)
done()
