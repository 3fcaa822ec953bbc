"""smtpin-lmtp hands on what the client has said of reports, priority and time (DSN, MT-PRIORITY, DELIVERBY), and only to a next
server that announces it: fake ones, and Postfix on both sides."""
import itertools
from harness import *
from next_server import NextServer
from tls_peers import PEERS, ROOT, Server, end_postfix, own_postfix

LMTP = os.path.join(BUILD, "smtpin-lmtp")
numbers = itertools.count()
ENV = {"SMTPIN_DSN_RET": "HDRS", "SMTPIN_DSN_ENVID": "QQ+2B1", "SMTPIN_DSN_NOTIFY": "SUCCESS,DELAY", "SMTPIN_DSN_ORCPT": "rfc822;Jane+2Bx@old.example", "SMTPIN_MT_PRIORITY": "-4", "SMTPIN_DELIVER_BY": "120;N"}
WORDS = {"DSN": ({"RET=HDRS", "ENVID=QQ+2B1"}, {"NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;Jane+2Bx@old.example"}), "MT-PRIORITY": ({"MT-PRIORITY=-4"}, set()), "DELIVERBY": ({"BY=120;N"}, set())}


def run(servers, env, rcpt=("jane@example.org",), options=(), body=None, message=b"Subject: x\r\n\r\ntext\r\n"):
    """smtpin-lmtp alone: (lines that it prints, its standard error)."""
    path = write(f"message{next(numbers)}", message.decode(), 0o644)
    environment = {**{k: v for k, v in os.environ.items() if "SAN" in k}, **env, "SMTPIN_REPLIES": "each", **({"SMTPIN_BODY": body} if body else {})}
    with open(path, "rb") as f:
        p = subprocess.run([LMTP, "-t", "20s", *options, *[f"127.0.0.1:{s.port}" for s in servers], "--", "s@example.com", *rcpt], stdin=f, capture_output=True, timeout=60, env=environment)
    return p.stdout.decode().splitlines(), p.stderr.decode()


def words(line): return set(line.split()[2:])


def parameters(server):
    """(of MAIL, of each RCPT), and forgets them."""
    said, server.said = server.said, []
    return words(said[0]), [words(l) for l in said[1:]]


# What is announced is sent, and nothing else: each combination, and each spelling.
server = NextServer()
for options in ((), ("-s",)):
    for n in range(4):
        for some in itertools.combinations(WORDS, n):
            for spell in (str, str.lower):
                server.hello = "".join(f"250-{w}\r\n" for w in ("x", "PIPELINING", *map(spell, some), "SIZE DSN", "XDSN", "DSNX MT-PRIORITY", "AUTH DELIVERBY")).encode() + b"250 HELP\r\n"
                lines, err = run([server], ENV, options=options)
                wanted = set().union(*(WORDS[w][0] for w in some)), [set().union(*(WORDS[w][1] for w in some))]
                equal((lines, err, parameters(server)), (["250 ok"], "", wanted), f"{' '.join(options) or 'LMTP'}: announced {' '.join(map(spell, some)) or 'nothing'}")
equal(len(server.take()), 32, "and every message is delivered")

# To each recipient its own.
server = NextServer(announces=("DSN", "PIPELINING"))
three = ("a@example.org", "b@example.org", "c@example.org")
run([server], {"SMTPIN_DSN_NOTIFY": "NEVER\n\nFAILURE", "SMTPIN_DSN_ORCPT": "\nrfc822;x@y\n"}, three)
equal(parameters(server), (set(), [{"NOTIFY=NEVER"}, {"ORCPT=rfc822;x@y"}, {"NOTIFY=FAILURE"}]), "three recipients, a line for each")
many = [f"r{i}@example.org" for i in range(300)]
run([server], {"SMTPIN_DSN_NOTIFY": "\n".join("SUCCESS" if i % 3 else "" for i in range(300)), "SMTPIN_DSN_ORCPT": "\n".join(f"rfc822;{'x' * (200 + i % 94)}" for i in range(300))}, many)
equal(parameters(server)[1], [{f"ORCPT=rfc822;{'x' * (200 + i % 94)}"} | ({"NOTIFY=SUCCESS"} if i % 3 else set()) for i in range(300)], "three hundred recipients, long ORCPT")
run([server], {}, three)
equal(parameters(server), (set(), [set()] * 3), "a client that has said nothing")

# The environment is anybody's by hand: what is no value is not sent, and is said. None of it becomes a command.
for name, value in (("SMTPIN_DSN_RET", "ALL"), ("SMTPIN_DSN_RET", ""), ("SMTPIN_DSN_RET", "FULL\r\nRSET"), ("SMTPIN_DSN_ENVID", "a b"), ("SMTPIN_DSN_ENVID", "x" * 101), ("SMTPIN_DSN_ENVID", "a+0D+0A"), ("SMTPIN_DSN_ENVID", "a\r\nRSET"),
                    ("SMTPIN_DSN_ENVID", "x RET=FULL"), ("SMTPIN_DSN_ENVID", "x" * 100000), ("SMTPIN_MT_PRIORITY", "10"), ("SMTPIN_DELIVER_BY", "0;R"), ("SMTPIN_DELIVER_BY", "9"),
                    ("SMTPIN_DSN_NOTIFY", "MAYBE"), ("SMTPIN_DSN_NOTIFY", "NEVER\nNEVER"), ("SMTPIN_DSN_NOTIFY", "NEVER\n"), ("SMTPIN_DSN_NOTIFY", "NEVER ORCPT=rfc822;x"), ("SMTPIN_DSN_ORCPT", "rfc822;x\r"), ("SMTPIN_DSN_ORCPT", "rfc822;" + "x" * 500),
                    ("SMTPIN_DSN_ORCPT", "rfc822;a\tb")):
    server = NextServer(announces=("DSN", "MT-PRIORITY", "DELIVERBY"))
    lines, err = run([server], {**ENV, name: value})
    kept = parameters(server)
    wanted = [w for w in itertools.chain(*itertools.chain(*WORDS.values())) if w.split("=")[0] != {"SMTPIN_DSN_RET": "RET", "SMTPIN_DSN_ENVID": "ENVID", "SMTPIN_MT_PRIORITY": "MT-PRIORITY", "SMTPIN_DELIVER_BY": "BY", "SMTPIN_DSN_NOTIFY": "NOTIFY", "SMTPIN_DSN_ORCPT": "ORCPT"}[name]]
    ok(lines and lines[0].startswith("250") and name in err and err.count("\n") == 1 and kept[0] | kept[1][0] == set(wanted), f"{name}={value[:20]!r} is not handed on, the others are", (lines, err[-300:], kept))
for value in ("NEVER", "NEVER\nNEVER", "NEVER\n\n\n", ""):
    server = NextServer(announces=("DSN",))
    lines, err = run([server], {"SMTPIN_DSN_NOTIFY": value}, three)
    ok(len(lines) == 3 and "SMTPIN_DSN_NOTIFY" in err and parameters(server)[1] == [set()] * 3, f"{value!r} for three recipients: for nobody", (lines, err))

# Addresses outside ASCII (RFC 6533 3): as UTF-8 where MAIL has SMTPUTF8, else as \x{...}.
ORCPT = "utf-8;jäne\\x{2B}€\U0001f600@ü.example"
for what, announces, rcpt, want in (("SMTPUTF8 is sent", ("DSN", "SMTPUTF8"), "jäne@example.org", ORCPT), ("SMTPUTF8 is not needed", ("DSN", "SMTPUTF8"), "jane@example.org", "utf-8;j\\x{E4}ne\\x{2B}\\x{20AC}\\x{1F600}@\\x{FC}.example"),
                                    ("the server has no SMTPUTF8", ("DSN",), "jane@example.org", "utf-8;j\\x{E4}ne\\x{2B}\\x{20AC}\\x{1F600}@\\x{FC}.example"), ("no DSN", ("SMTPUTF8",), "jane@example.org", None)):
    server = NextServer(announces=announces)
    run([server], {"SMTPIN_DSN_ORCPT": ORCPT}, (rcpt,), body="SMTPUTF8")
    equal(parameters(server)[1], [{"ORCPT=" + want} if want else set()], f"an ORCPT outside ASCII: {what}")
server = NextServer(announces=("DSN",))
lines, _ = run([server], {"SMTPIN_DSN_ORCPT": "utf-8;" + "ä" * 240, "SMTPIN_DSN_NOTIFY": "NEVER"})
equal((lines[0][:3], parameters(server)[1]), ("250", [{"NOTIFY=NEVER"}]), "one that would become longer than it may be is not sent")

# By-mode R: an SMTP server without DELIVERBY does not get the message (RFC 2852 2); an LMTP server delivers it at once.
late = {"SMTPIN_DELIVER_BY": "60;RT"}
for what, options, announces, want, sent in (("SMTP, without", ("-s",), ((),), "550 5.3.3", 0), ("SMTP, with", ("-s",), (("DELIVERBY 30",),), "250", 1), ("LMTP, without", (), ((),), "250", 1), ("SMTP, the second one with", ("-s",), ((), ("DELIVERBY",)), "250", 1),
                                             ("SMTP, two without", ("-s",), ((), ()), "550 5.3.3", 0)):
    servers = [NextServer(announces=a) for a in announces]
    lines, _ = run(servers, late, options=options)
    ok(lines[0].startswith(want) and sum(len(s.got) for s in servers) == sent, f"BY=60;RT, {what}: {want}", (lines, [s.said for s in servers]))
server, gone = NextServer(), NextServer()
gone.end()
for servers in ([server, gone], [gone, server]):
    lines, _ = run(servers, late, options=("-s",))
    ok(lines[0].startswith("451 4.4.1"), "BY=60;RT, one without DELIVERBY and one that is not there: 451", lines)

# From a client of smtpin to the next server: as it was said.
server = NextServer(announces=("DSN", "MT-PRIORITY", "DELIVERBY"))
aliases = text_table("aliases", "team@example.org al@example.org, bo@example.org\n")
settings = {"dsn": "yes", "mt_priority": "yes", "deliver_by": "yes", "aliases": aliases, "deliver": f"{LMTP} 127.0.0.1:{server.port} -- ${{sender}} ${{recipient}}"}
session_of = lambda mail, *rcpt: ("EHLO x\r\nMAIL FROM:<s@example.com>" + mail + "\r\n" + "".join(f"RCPT TO:{r}\r\n" for r in rcpt) + "DATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n").encode()
for per in ("message", "recipient"):
    for sandbox in ("yes", "no"):
        server.said = []
        out, _, _ = pipe(session_of(" RET=FULL ENVID=a+3Db MT-PRIORITY=9 BY=-5;n", "<jane@example.org> NOTIFY=success ORCPT=rfc822;Jane@old.example", "<team@example.org> NOTIFY=NEVER", "<x@example.org>"), {**settings, "deliver_per": per, "sandbox": sandbox, **({"deliver_replies": "each"} if per == "message" else {})})
        rcpt = sorted((l.split("<")[1].split(">")[0], tuple(sorted(words(l)))) for l in server.said if l.startswith("RCPT"))
        mails = [words(l) for l in server.said if l.startswith("MAIL")]
        ok(final_reply(out).startswith("250") and rcpt == [("al@example.org", ("NOTIFY=NEVER",)), ("bo@example.org", ("NOTIFY=NEVER",)), ("jane@example.org", ("NOTIFY=success", "ORCPT=rfc822;Jane@old.example")), ("x@example.org", ())]
           and mails == [{"RET=FULL", "ENVID=a+3Db", "MT-PRIORITY=9", "BY=-5;n"}] * (1 if per == "message" else 4), f"through smtpin, as the client said it (deliver_per = {per}, sandbox = {sandbox})", (out[-300:], rcpt, mails))

# The kernel takes no variable of more than 128 KiB: what does not fit is not there, and the message is delivered all the same.
directory, deliver = taker()
for sandbox in ("yes", "no"):
    for n, last, there in ((262, 293, True), (262, 294, False), (900, 500, False)):  # with its name, 131071 octets and one more
        orcpt = ["rfc822;" + "x" * 493] * (n - 1) + ["rfc822;" + "x" * (last - 7)]
        rcpt = [f"<r{i}@example.org> NOTIFY=NEVER ORCPT={o}" for i, o in enumerate(orcpt)]
        out, err, _ = pipe(session_of("", *rcpt), {"dsn": "yes", "deliver": deliver + " ${dsn_orcpt}", "sandbox": sandbox, "log": "stderr"})
        environment = [open(f"{directory}/{f}").read() for f in os.listdir(directory) if f.endswith(".env")]
        words_of = [open(f"{directory}/{f}").read().split() for f in os.listdir(directory) if f.endswith(".argv")]
        ok(final_reply(out).startswith("250") and len(environment) == 1 and ("SMTPIN_DSN_ORCPT=" in environment[0]) == there and environment[0].count("NEVER\n") == n and words_of[0][-n:] == orcpt,
           f"{n} recipients, long ORCPT, the last one of {last}: delivered, SMTPIN_DSN_ORCPT is {'' if there else 'not '}there (sandbox = {sandbox})", (out[-300:], err[-300:]))
        clear(directory)

# Postfix as the client, then as the next server. Who has asked for a report gets it from the last server that knows how.
if ROOT and PEERS and os.path.exists(PEERS + "/postfix/usr/lib/postfix/sbin/master"):
    last = NextServer(announces=("DSN",))
    port = free_port()
    first = Server({"tls": "off", "dsn": "yes", "deliver": f"{LMTP} -s 127.0.0.1:{last.port} -- ${{sender}} ${{recipient}}", "deliver_replies": "each"}, {"smtp": {}})
    transports = write("transports", f"example.org smtp:[127.0.0.1]:{first.port['smtp']}\nlast.example smtp:[127.0.0.1]:{last.port}\n", 0o644)

    def is_up(queue):
        try: socket.create_connection(("127.0.0.1", port)).close(); return os.path.exists(queue + "/public/pickup")
        except OSError: return False

    master, queue, prefix, environment = own_postfix("postfix", f"""myhostname = q.example.net
mydestination = q.example.net
transport_maps = texthash:{transports}
mynetworks = 127.0.0.0/8
local_transport = error:none
local_recipient_maps =
""", f"127.0.0.1:{port} inet n - n - - smtpd\nsmtp unix - - n - - smtp\n", is_up)
    log = lambda: open(queue + "/log").read()[-3000:] if os.path.exists(queue + "/log") else ""

    def arrived(server):
        for _ in range(400):
            if server.got: break
            time.sleep(0.05)
        return [l for l in server.said], server.take()

    subprocess.run([*prefix, PEERS + "/postfix/usr/sbin/sendmail", "-i", "-f", "s@example.com", "-N", "success,delay", "-R", "hdrs", "-V", "report+me", "jane@example.org"], input=b"Subject: x\n\ntext\n", env=environment, capture_output=True, timeout=30)
    said, got = arrived(last); last.said = []
    ok(len(got) == 1 and words(said[0]) >= {"RET=HDRS", "ENVID=report+2Bme"} and words(said[1]) == {"NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;jane@example.org"}, "Postfix's sendmail -N -R -V: to smtpin, and on to the next server", (said, first.said()[-1500:], log()))
    first.end()
    through = {"dsn": "yes", "domains": "last.example", "deliver": f"{LMTP} -s 127.0.0.1:{port} -- ${{sender}} ${{recipient}}", "deliver_replies": "each"}
    out, err, _ = pipe(session_of(" RET=FULL ENVID=id+3D1", "<a@last.example> NOTIFY=FAILURE ORCPT=rfc822;Old+2B1@old.example", "<b@last.example> NOTIFY=NEVER"), {**through, "log": "stderr"})
    said, got = arrived(last); last.said = []
    rcpt = {l.split("<")[1].split(">")[0]: words(l) for l in said if l.startswith("RCPT")}
    ok(final_reply(out).startswith("250") and words(said[0]) >= {"RET=FULL", "ENVID=id+3D1"} and rcpt == {"a@last.example": {"NOTIFY=FAILURE", "ORCPT=rfc822;Old+2B1@old.example"}, "b@last.example": {"NOTIFY=NEVER", "ORCPT=rfc822;b@last.example"}},
       "Postfix as the next server takes them, and passes them on", (out, err, said, log()))
    # The last server has no DSN: Postfix reports that it has handed the message on (RFC 3461 5.2.2 b), with the client's ENVID and ORCPT.
    last.hello = b"250-x\r\n250 HELP\r\n"
    report = NextServer()
    write("transports", f"last.example smtp:[127.0.0.1]:{last.port}\nexample.com smtp:[127.0.0.1]:{report.port}\n", 0o644)
    subprocess.run([*prefix, PEERS + "/postfix/usr/sbin/postfix", "reload"], env=environment, capture_output=True, timeout=30)
    out, err, _ = pipe(session_of(" RET=HDRS ENVID=id+3D2", "<a@last.example> NOTIFY=SUCCESS ORCPT=rfc822;Old+2B1@old.example"), through)
    _, got = arrived(report)
    text = got[0][2].decode() if got else ""
    ok(got and got[0][0] == "" and got[0][1] == ["s@example.com"] and all(w in text for w in ("Action: relayed", "Original-Envelope-Id: id=2", "Original-Recipient: rfc822;Old+1@old.example")), "NOTIFY=SUCCESS: the client gets its report", (out, text[-1500:], log()))
    end_postfix(master); last.end(); report.end()
else: skip("Postfix as the client and as the next server", "needs root and Postfix unpacked")
done()
