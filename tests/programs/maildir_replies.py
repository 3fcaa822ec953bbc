"""smtpin-maildir with several recipients: what becomes of its output, and the mark by which a message is known again."""
from boxes import *

JANE, JOE, NOBODY = "jane@example.org", "joe@example.org", "nobody@example.org"
UNKNOWN, SOME = "550 5.1.1 No such mailbox here", "451 4.1.1 No such mailbox here for one of the recipients"
FULL = "452 4.2.2 Mailbox full"

# The output is one answer: never 250 for a refusal, never 5yz for mail that is stored.
for replies in (None, "one", "other"):
    for args, who, answer, stored in (
            (("-nr",), (JANE, NOBODY), (75, SOME), 1), (("-nr",), (NOBODY, JANE), (75, SOME), 1),
            (("-nr",), (NOBODY, "x@example.org"), (67, UNKNOWN), 0), (("-nr",), (JANE, JOE), (0, "250 2.0.0"), 2),
            (("-nr",), (JANE,), (0, "250 2.0.0"), 1), (("-nr",), (NOBODY,), (67, UNKNOWN), 0),
            (("-nr", "-q", "1"), (JANE, JOE), (75, FULL), 0), (("-nr", "-q", "1"), (NOBODY, JANE), (75, FULL), 0),
            (("-n",), (JANE, NOBODY), (75, SOME), 0), (("-n",), (NOBODY, "x@example.org"), (67, UNKNOWN), 0), (("-n",), (JANE, JOE), (0, ""), 2)):
        fresh("example.org/jane", "example.org/joe")
        got = deliver(*args, "--", ROOT, *who, replies=replies, **({"digest": DIGEST} if replies == "one" else {}))
        if replies is None and "-nr" in args and len(set(got[1].split("\n"))) == 1: got = (got[0], got[1].split("\n")[0])  # not set: lines, unless mixed
        ok(got == answer and len(tree()) == stored, f"SMTPIN_REPLIES {replies}, {' '.join(args)} for {len(who)}: one answer, {answer}", (got, tree()))
fresh("example.org/jane", "example.org/joe")
put("example.org/joe/cur/1.x,S=100")
equal(deliver("-r", "-q", "100", ROOT, JANE, JOE, replies="one"), (75, FULL), "one, -r: jane has it, joe is full: temporary")

# Without a digest to know a retry by, it is all or none: nobody gets it twice.
for who, answer in (((JANE, NOBODY), (75, SOME)), ((JANE, JOE), (0, "")), ((NOBODY, "x@example.org"), (67, UNKNOWN))):
    fresh("example.org/jane", "example.org/joe")
    equal(deliver("-nr", "--", ROOT, *who, replies="one"), answer, f"one, -nr, no digest, {len(who)}: {answer}")
    equal(len(tree()), 2 if answer[0] == 0 else 0, "all or none")

# A line for each is read, with or without -r.
for replies in ("each", "merged"):
    for r in ((), ("-r",)):
        fresh("example.org/jane", "example.org/joe")
        equal(deliver("-n", *r, "--", ROOT, JANE, NOBODY, JOE, replies=replies), (0, f"250 2.0.0\n{UNKNOWN}\n250 2.0.0"), f"SMTPIN_REPLIES {replies} {r}: a line for each")
        equal(len(tree()), 2, f"SMTPIN_REPLIES {replies} {r}: each for itself")
        equal(deliver("-n", *r, "--", ROOT, NOBODY, replies=replies), (67, UNKNOWN), f"SMTPIN_REPLIES {replies} {r}: the status says it too for one alone")

# The mark is there when the client may have heard 451 for all although some have the message.
for replies, args, marked in (("merged", (), True), ("merged", ("-r",), True), ("one", ("-r",), True), (None, ("-r",), True), ("each", (), False), ("each", ("-r",), False)):
    fresh("example.org/jane")
    for _ in range(2): deliver("-n", *args, ROOT, JANE, NOBODY, replies=replies, digest=DIGEST)
    ok(len(tree()) == (1 if marked else 2) and all((",D=0123456789abcdef" in f) == marked for f in tree()),
       f"SMTPIN_REPLIES {replies} {args}: the same octets once more are {'the same message' if marked else 'another message'}", tree())
    if marked and tree():
        kept = tree()[0]
        os.rename(os.path.join(ROOT, kept), os.path.join(ROOT, kept.replace("/new/", "/cur/") + ":2,S"))
        for sub in ("tmp", "new", "cur"): os.makedirs(f"{ROOT}/example.org/nobody/{sub}")
        status = deliver("-n", *args, ROOT, JANE, NOBODY, replies=replies, digest=DIGEST)[0]
        ok(status == 0 and len(tree()) == 2 and not tree(",D=") and tree("/cur/")[0].endswith(":2,S"), f"SMTPIN_REPLIES {replies} {args}: once all have it, read or not, the mark has gone", tree())
        deliver("-n", *args, ROOT, JANE, NOBODY, replies=replies, digest=DIGEST)
        equal(len(tree()), 4, f"SMTPIN_REPLIES {replies} {args}: and then the same octets are another message")
for replies, args, who in (("one", (), (JANE, JOE)), (None, (), (JANE, JOE)), ("merged", (), (JANE,)), ("one", ("-r",), (JANE,)), ("each", ("-r",), (JANE,))):
    fresh("example.org/jane", "example.org/joe")
    deliver(*args, ROOT, *who, replies=replies, digest=DIGEST)
    for f in tree(): os.rename(os.path.join(ROOT, f), os.path.join(ROOT, f + ",D=0123456789abcdef"))
    deliver(*args, ROOT, *who, replies=replies, digest=DIGEST)
    ok(len(tree()) == 2 * len(who) and len(tree(",D=")) == len(who), f"SMTPIN_REPLIES {replies} {args}, {len(who)} recipients: no mark is set, none is looked for", tree())
fresh("example.org/jane")
for _ in range(3):
    status, said = deliver("-n", ROOT, "jane+a@example.org", "jane+b@example.org", NOBODY, replies="merged", digest=DIGEST)
    ok(said.split("\n") == ["250 2.0.0", "250 2.0.0", UNKNOWN] and len(tree()) == 1, "two recipients with one Maildir, merged: it has the message, once", (said, tree()))

# The same through smtpin.
SAID = b"MAIL FROM:<s@example.com>%s\r\nRCPT TO:<jane@example.org>\r\nRCPT TO:<nobody@example.org>\r\nDATA\r\nthe same octets\r\n.\r\n"
command = f"{MAILDIR} -nr -- {ROOT} ${{recipient}}"
for name, hello, parameter, settings, heard, stored in (
        ("one answer", b"EHLO", b"", {}, "451", 0), ("one answer and digest", b"EHLO", b"", {"digest": "always"}, "451", 1), ("merged", b"EHLO", b"", {"deliver_replies": "each"}, "451", 1),
        ("LMTP", b"LHLO", b"", {"deliver_replies": "each", "protocol": "lmtp"}, "250", 2), ("PRDR", b"EHLO", b" PRDR", {"deliver_replies": "each"}, "250", 2),
        ("without -r, merged", b"EHLO", b"", {"deliver_replies": "each", "deliver": command.replace("-nr", "-n")}, "451", 1)):
    fresh("example.org/jane")
    for _ in range(2):
        out, err, _ = pipe(hello + b" x\r\n" + SAID % parameter + b"QUIT\r\n", {"deliver": command, **settings})
        said = codes(out)
        said = said[said.index("354") + 1:] if "354" in said else []
        ok(heard in said and (heard == "250" or "250" not in said), f"{name}: jane has it, nobody has not: {heard}", out)
    equal(len(tree()), stored, f"{name}: the same octets sent twice")
    if stored < 2:
        for sub in ("tmp", "new", "cur"): os.makedirs(f"{ROOT}/example.org/nobody/{sub}")
        out, _, _ = pipe(hello + b" x\r\n" + SAID % parameter + b"QUIT\r\n", {"deliver": command, **settings})
        ok(final_reply(out).startswith("250") and len(tree()) == 2, f"{name}: in the end all have it, once", (out, tree()))
# An alias with several addresses: the client hears one reply for them, however it speaks.
BOTH = re.sub(rb"RCPT TO:<jane.*\r\n", b"", SAID).replace(b"nobody@", b"both@")
aliases = text_table("aliases", "both@example.org jane@example.org, nobody@example.org\n")
for name, hello, parameter, settings in (("SMTP", b"EHLO", b"", {}), ("LMTP", b"LHLO", b"", {"protocol": "lmtp"}), ("PRDR", b"EHLO", b" PRDR", {}), ("single", b"EHLO", b"", {"partial": "single"})):
    fresh("example.org/jane")
    for _ in range(3):
        out, err, _ = pipe(hello + b" x\r\n" + BOTH % parameter + b"QUIT\r\n", {"deliver": command, "deliver_replies": "each", "aliases": aliases, **settings})
        ok(final_reply(out).startswith("451"), f"{name}: one address of an alias fails: 451", out)
    equal(len(tree()), 1, f"{name}: the other has the message once")
fresh("example.org/jane")
out, _, _ = pipe(b"EHLO x\r\n" + SAID.replace(b"jane", b"none") % b"" + b"QUIT\r\n", {"deliver": command})
ok(final_reply(out).startswith("550 5.1.1"), "nobody is there: 550", out)
done()
