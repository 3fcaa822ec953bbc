"""Submitted mail: what reaches the command, octet by octet, in every way to run and to deliver."""
import base64, threading
from harness import *

TAKEN = os.path.join(TMP, "taken"); os.mkdir(TAKEN); os.chmod(TAKEN, 0o777)
EACH = write("each", f'#!/bin/sh\nenv | sort >"{TAKEN}/$SMTPIN_ID.$LOCAL.env"\ncat >"{TAKEN}/$SMTPIN_ID.$LOCAL.msg"\n')
check = write("check", "#!/bin/sh\nread -r said <&3\ncase $said in jane*) exec \"$@\" ;; esac\nexit 1\n")
LOGIN = "AUTH PLAIN " + base64.b64encode(b"\0jane\0right").decode()
ID, DATE = "abc-1", "Sat, 28 Nov 2026 12:00:00 +0000"
AT = str(1795867200)
BOTH = "date message-id"


def policy(answer):
    """A policy server that adds fields: at RCPT, or once the message is there."""
    path = os.path.join(TMP, f"policy{time.monotonic_ns()}")
    s = socket.socket(socket.AF_UNIX); s.bind(path); s.listen(); os.chmod(path, 0o666)
    def serve():
        while True:
            try: c, _ = s.accept()
            except OSError: return
            with c:
                while True:
                    asked = c.recv(65536).decode()
                    if not asked: break
                    state = re.search("protocol_state=(.*)", asked)[1]
                    c.sendall(f"action={answer.get(state, 'DUNNO')}\n\n".encode())
    threading.Thread(target=serve, daemon=True).start()
    return s, "unix:" + path


def submit(message, recipients=("b@example.org",), login=True, lmtp=False, **settings):
    """(last replies, what the command got by local part, its environment by local part)."""
    for n in os.listdir(TAKEN): os.unlink(os.path.join(TAKEN, n))
    settings = {"deliver": EACH, "auth": "checkpassword:" + check, "auth_plaintext": "yes", "fixed_id": "abc", "fixed_time": AT, "client_address": "192.0.2.9",
                "trace_headers": "", "log": "stderr", "spool_dir": TMP, **({"protocol": "lmtp"} if lmtp else {}), **settings}
    lines = [("LHLO" if lmtp else "EHLO") + " c.example", *([LOGIN] if login else []), "MAIL FROM:<a@example.com>", *(f"RCPT TO:<{r}>" for r in recipients)]
    octets = "".join(l + "\r\n" for l in lines).encode()
    out, err, status = pipe(octets + b"DATA\r\n" + message + b".\r\nQUIT\r\n", settings)
    kept = {n.split(".")[1]: open(os.path.join(TAKEN, n), "rb").read() for n in os.listdir(TAKEN) if n.endswith(".msg")}
    environment = {n.split(".")[1]: dict(l.split("=", 1) for l in open(os.path.join(TAKEN, n)).read().splitlines() if "=" in l) for n in os.listdir(TAKEN) if n.endswith(".env")}
    replies = [l.decode() for l in out.split(b"\r\n") if l[3:4] == b" "]
    return replies[-1 - (len(recipients) if lmtp else 1):-1], kept, environment, err.decode()


def got(message, **more):
    replies, kept, _, said = submit(message, **more)
    return kept.get("b", (replies, said))


ADDED = f"Date: {DATE}\nMessage-ID: <{ID}@mx.example.org>\n".encode()
for sandbox in ("yes", "no"):
    for memory in ("256K", "0"):
        at = f"sandbox = {sandbox}, spool_memory = {memory}: "
        more = {"sandbox": sandbox, "spool_memory": memory}
        plain = b"From: a@example.com\r\nTo: b@example.org\r\n\r\ntext\r\n"
        equal(got(plain, add_header=BOTH, **more), ADDED + plain.replace(b"\r\n", b"\n"), f"{at}Date: and Message-ID: are added")
        equal(got(plain, add_header=BOTH, line_ending="crlf", **more), ADDED.replace(b"\n", b"\r\n") + plain, f"{at}with CRLF where the command wants that")
        equal(got(plain, **more), plain.replace(b"\r\n", b"\n"), f"{at}unless they are not asked for")
        there = b"date: x\r\nMESSAGE-ID : <y>\r\n\r\n"
        equal(got(there, add_header=BOTH, **more), there.replace(b"\r\n", b"\n"), f"{at}or are there")
        text = b"From: a\r\n\r\nDate: in the text\r\nBcc: in the text\r\n"
        equal(got(text, add_header="date", **more), ADDED.split(b"Message")[0] + text.replace(b"\r\n", b"\n"), f"{at}the text is no header")
        for blind in (b"Bcc: s@example.org\r\n", b"bcc : s@example.org,\r\n\ts@example.net\r\n", b"BCC:\r\nBcc: s\r\n", b"Resent-Bcc: s\r\n"):
            for before, behind in ((b"From: a\r\n", b"\r\nx\r\n"), (b"", b"To: b\r\n\r\nx\r\n"), (b"", b"\r\nx\r\n"), (b"From: a\r\n", b"")):
                wanted = (before + behind).replace(b"\r\n", b"\n")
                equal(got(before + blind + behind, **more), wanted, f"{at}{before + blind + behind!r} without Bcc:")
                equal(got(before + blind + behind, add_header=BOTH, **more), ADDED + wanted, f"{at}and with what is added")
        blind = b"From: a\r\nBcc: s\r\n\r\nx\r\n"
        equal(got(blind, keep_bcc="yes", **more), blind.replace(b"\r\n", b"\n"), f"{at}keep_bcc")
        equal(got(blind, login=False, **more), blind.replace(b"\r\n", b"\n"), f"{at}mail of somebody who has not logged in stays as it is")
        for n in (65480, 65500, 65520, 65535, 65536, 70000, 300000):
            filler = b"X: " + b"x" * 40 + b"\r\n"
            message = (filler * (n // 44) + b"Y:" + b"y" * (n % 44) + b"\r\nBcc: s@example.org,\r\n s@example.net\r\nFrom: a\r\n\r\nBcc: text\r\n")
            wanted = message.replace(b"Bcc: s@example.org,\r\n s@example.net\r\n", b"").replace(b"\r\n", b"\n")
            ok(got(message, require_from="yes", **more) == wanted, f"{at}Bcc: behind {n} octets")
        replies, kept, _, said = submit(b"X: " + (b"x" * 900 + b"\r\n ") * 1200 + b"\r\nBcc: s\r\n\r\n", **more)
        ok(replies == ["552 5.3.4 Message too large"] and not kept and "note=header_size" in said, f"{at}more header than is looked at: refused, not passed on", (replies, said))
        replies, kept, _, said = submit(b"To: a\r\n\r\nFrom: b\r\n", require_from="yes", **more)
        ok(replies == ["554 5.6.0 Message has no From: field"] and not kept and "rule=require_from" in said, f"{at}require_from", (replies, said))

    # Behind what is ours, and below it what the client has sent.
    more = {"sandbox": sandbox, "add_header": BOTH}
    at = f"sandbox = {sandbox}: "
    received = lambda m: re.sub(rb"^Received: (?:.*\n)(?:[\t ].*\n)*", b"Received:\n", m, flags=re.M)
    message = b"From: a\r\nBcc: s\r\nSubject: x\r\n\r\ntext\r\n"
    rest = b"From: a\nSubject: x\n\ntext\n"
    trace = {"trace_headers": "return-path delivered-to received"}
    equal(received(got(message, **trace, **more)), b"Return-Path: <a@example.com>\nDelivered-To: b@example.org\nReceived:\n" + ADDED + rest, f"{at}below the trace fields")
    equal(received(got(b"text, no field\r\n", **trace, **more)), b"Return-Path: <a@example.com>\nDelivered-To: b@example.org\nReceived:\n" + ADDED + b"\ntext, no field\n", f"{at}before the empty line of a message that has no header")
    equal(received(got(b"From now on\r\nit is text\r\n", **trace, **more)), b"Return-Path: <a@example.com>\nDelivered-To: b@example.org\nReceived:\n" + ADDED + b"\nFrom now on\nit is text\n", f"{at}though it begins as a mailbox does")
    equal(got(b"text, no field\r\n", **more), ADDED + b"\ntext, no field\n", f"{at}and where nothing else is added")
    equal(got(b"From a@b Mon Nov 23 2026\r\n" + message, **more), b"From a@b Mon Nov 23 2026\n" + ADDED + rest, f"{at}a mailbox's mark stays the first line")
    asked = {"check_relay_clients": "yes", "policy_states": "RCPT END-OF-MESSAGE"}
    for states, wanted in (({"RCPT": "PREPEND X-Early: 1"}, b"X-Early: 1\n"), ({"END-OF-MESSAGE": "PREPEND X-Late: 2"}, b"X-Late: 2\n"),
                           ({"RCPT": "PREPEND X-Early: 1", "END-OF-MESSAGE": "PREPEND X-Late: 2"}, b"X-Late: 2\nX-Early: 1\n")):
        for body, left in ((message, rest), (b"text, no field\r\n", b"\ntext, no field\n")):
            s, name = policy(states)
            equal(got(body, policy=name, **asked, **more), wanted + ADDED + left, f"{at}{states}: fields of a policy server stand above")
            equal(received(got(body, policy=name, trace_headers="received", **asked, **more)), wanted + b"Received:\n" + ADDED + left, f"{at}and above Received:")
            s.close()

    # Several recipients; each gets the same but for what is its own. Size and digest are those of what was sent.
    three = ("b@example.org", "c@example.org", "d@example.org")
    for lmtp in (False, True):
        for per in ("message", "recipient"):
            way = f"{at}{'LMTP' if lmtp else 'SMTP'}, deliver_per = {per}: "
            replies, kept, env, said = submit(message, three, lmtp=lmtp, deliver_per=per, digest="always", trace_headers="delivered-to", **more)
            ok(all(r.startswith("250") for r in replies) and len(replies) == (3 if lmtp else 1), f"{way}taken", (replies, said))
            wanted = {r.split("@")[0]: f"Delivered-To: {r}\n".encode() + ADDED + rest for r in three} if per == "recipient" else {"": ADDED + rest}
            equal(kept, wanted, f"{way}what each gets")
            ok(all(e["SMTPIN_SIZE"] == str(len(message)) and e["SASL_USERNAME"] == "jane" for e in env.values()), f"{way}the size is that of what was sent", env)
            _, _, plain_env, _ = submit(message, three, lmtp=lmtp, deliver_per=per, keep_bcc="yes", digest="always", sandbox=sandbox)
            digests = [{k: e["SMTPIN_DIGEST"] for k, e in x.items()} for x in (env, plain_env)]
            ok(digests[0] == digests[1] and all(digests[0].values()), f"{way}so is the digest", digests)
            ok(f"size={len(message)} " in said, f"{way}and the record's size", said)
            replies, kept, _, said = submit(b"To: x\r\n\r\n", three, lmtp=lmtp, deliver_per=per, require_from="yes", sandbox=sandbox)
            ok(replies == ["554 5.6.0 Message has no From: field"] * (3 if lmtp else 1) and not kept, f"{way}refused to each", (replies, said))
done()
