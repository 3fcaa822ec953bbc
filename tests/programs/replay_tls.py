"""smtpin-replay and TLS: what a transcript states, the certificate that stands in, sessions of real clients recorded and replayed."""
import ssl
from harness import *

TLS = os.path.join(BUILD, "smtpin-tls")
if not os.path.exists(TLS): skip("smtpin-replay and TLS", "this build has no smtpin-tls"); done(); sys.exit()
if not have("openssl"): skip("smtpin-replay and TLS", "no openssl (Debian: openssl)"); done(); sys.exit()
work, traces = os.path.join(TMP, "work"), os.path.join(TMP, "traces")
for d in (work, traces): os.mkdir(d); os.chmod(d, 0o777)
CONF = write("tls.conf", "hostname = mx.example.org\ndomains = example.org\ndeliver = /bin/true\ntls = may\ntls_certificate = /nonexistent\nfixed_id = T\nfixed_time = 1795460000\n[submissions]\ntls = implicit\n[verified]\ntls_timeout = 1s\n", 0o644)
MODES = ([], ["--in-process"])
START = "S: 220\nC: EHLO x\nS: 250\nC: STARTTLS\n"
INSIDE = "C: EHLO x\nS: 250\nC: QUIT\nS: 221\nS: end\n"


def replay(*args, smtpin=SMTPIN, env=None):
    p = subprocess.run([REPLAY, "--smtpin", smtpin, *args], capture_output=True, timeout=120, env={**os.environ, "TMPDIR": work, **(env or {})})
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def openssl(*words): subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60)


def pair(name, cn, algorithm, by=None):
    """A key and a certificate, by itself or by another pair: their files."""
    key, chain = os.path.join(TMP, name + ".key"), os.path.join(TMP, name + ".pem")
    openssl("req", "-x509", "-newkey", *algorithm, "-nodes", "-keyout", key, "-out", chain, "-days", "30", "-subj", f"/CN={cn}", "-addext", f"subjectAltName=DNS:{cn}", *(by or []))
    os.chmod(key, 0o644)
    return chain, key


EC = pair("ec", "mx.example.org", ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
RSA = pair("rsa", "mx.example.org", ["rsa:2048"])
CLIENT = pair("client", "out.example.com", ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"])

# What is wrong in a transcript: its file and line.
BAD = (("tls = TLSv1.3 x\n", 1, "no fact of TLS"), ("tls = TLSv1.3 ciphers=x\n", 1, "no fact of TLS"), ("tls = TLSv1.3 cipher=\n", 1, "a value that"), ("tls = TLSv1.3 cipher=a/b\n", 1, "a value that"), ("tls = TLSv1.3 group=a=b\n", 1, "a value that"),
       ("tls = TLSv1.3 sni=a..b\n", 1, "a value that"), ("tls = TLSv1.3 sni=-\n", 1, "a value that"), ("tls = TLSv1.3 client=a(b\n", 1, "a value that"), ("tls = TLSv1.3 client=\\q\n", 1, "backslash"), ("tls = TLSv1/3\n", 1, "a version that"),
       ("tls = TLSv1.3,\n", 1, "a version that"), ("tls = TLSv1.3\ntls = TLSv1.3\n", 2, "again"), ("tls = may\n# x\ntls = TLSv1.2\nS: 220\ntls = TLSv1.2\n", 5, "again"), ("S: 220\ntls = TLSv1.3\n", 2, "only at the top"), (START + "tls = TLSv1.3\n", 5, "only at the top"),
       (START + "S: 220\nC: EHLO x\nS: 250\ntls = TLSv1.3\n", 8, "only at the top"), ("S: 220\nC: NOOP\nS: 250\ntls = TLSv1.3\n", 4, "only at the top"), (START + "S: end\ntls = TLSv1.3\n", 6, "behind the end"), (START + "S: 220\ntls = may\n", 6, "stand only at the top"),
       ("S: 220\nC!STARTTLS\\n\nS: 220\ntls = TLSv1.3\n", 4, "only at the top"), ("S: 220\nC: STARTTLS" + "x" * 100 + "\nS: 220\ntls = TLSv1.3\n", 4, "only at the top"), (START + "C!x\nS: 554\ntls = TLSv1.3\n", 7, "only at the top"))
for text, line, what in BAD:
    for eol in ("\n", "\r\n"):
        status, out, _ = replay("-f", CONF, write("bad.smtp", text.replace("\n", eol).rstrip("\r\n"), 0o644))
        ok(status == 64 and f"bad.smtp:{line}: " in out and what in out and out.endswith("bad.smtp: can't be played\n0 passed, 1 failed\n"), f"a bad transcript ({text!r}, {eol!r}): 64", (status, out))
for value in ("TLS", "tls", "tlsv1.3", "TLSv1.3"): # only the words of smtpin.conf(5) are settings
    status, out, _ = replay("-f", CONF, "-o", f"tls={value}", write("421.smtp", "S: 421\n", 0o644))
    equal(status, 0, f"-o tls={value} is no setting")
    if value.startswith("t"):
        status, out, _ = replay("-f", CONF, write("top.smtp", f"tls = {value}\nS: 421\n", 0o644))
        ok(status == 64 and "top.smtp:1: tls: " in out, f"tls = {value}: a wrong setting", (status, out))

# What is stated, and what is: equal, or one difference.
for stated, said in (("TLSv1.3", ""), ("TLS", ""), ("TLSv1.2", ""), ("TLSv1.3 cipher=TLS_CHACHA20_POLY1305_SHA256", ""), ("TLSv1.3 group=secp384r1 sni=a.example", ""), ("TLSv1.2 cipher=TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", ""),
                     ("TLSv1.2 cipher=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", ""), ("TLSv1.2 cipher=TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 group=x25519", ""), ("TLSv1.3 client=out.example.com", ""),
                     ("TLSv1.1", "(TLS)"), ("TLSv9", "(TLS)"), ("TLSv1.3 cipher=TLS_NO_SUCH", "(TLS)"), ("TLSv1.3 group=no-such", "(TLS)"), ("TLSv1.2 cipher=TLS_RSA_WITH_AES_128_CBC_SHA", "(TLS)"), ("TLSv1.3 cipher=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLSv1.3 cipher=")):
    for at_top in (True, False):
        fact = f"tls = {stated}\n"
        path = write("stated.smtp", fact + START + "S: 220\n" + INSIDE if at_top else START + "S: 220\n" + fact + INSIDE, 0o644)
        for mode in ([], ["--in-process"], ["--whole"], ["--chunk", "1"]):
            if said and mode == ["--in-process"]: continue
            status, out, _ = replay("-f", CONF, "--timeout", "5s", *mode, path)
            ok((status, said in out.replace(f"- {stated}", "")) == (bool(said), True) and (said or out.count("\n") == 2), f"stated {'at the top' if at_top else 'behind the reply'}: {stated} {' '.join(mode)}", (status, out))
status, out, _ = replay("-f", CONF, "-o", "tls_options=Groups=P-384", write("group.smtp", "tls = TLSv1.3 group=x25519\n" + START + "S: 220\n" + INSIDE, 0o644))
ok(status == 1 and "group.smtp:6:\n- (TLS)\n+ " in out, "a group that the server does not take is a difference", out)
only = "S: 220\nC: NOOP\nS: 250\nC: QUIT\nS: 221\nS: end\n"
for mode in MODES:
    status, out, _ = replay("-f", CONF, *mode, write("none.smtp", "# x\ntls = TLSv1.3\n" + only, 0o644))
    ok(status == 1 and "none.smtp:2:\n- (TLS)\n+ (none)\n" in out, f"stated, and there is none: a difference {mode}", out)
    status, out, _ = replay("-f", CONF, *mode, write("454.smtp", START + "S: 454\nC: EHLO x\nS: 250\n", 0o644))
    ok(status == 1 and out.startswith(os.path.join(TMP, "454.smtp") + ":5:\n- 454\n+ 220 2.0.0 Ready to start TLS\n") and out.count("+ ") == 1, f"a 220 where another reply was expected: one difference, and the session goes on inside {mode}", out)
    status, out, _ = replay("-f", CONF, "-o", "tls=off", *mode, write("off.smtp", START + "S: 220\n" + INSIDE.replace("221", "250"), 0o644))
    ok(status == 1 and "+ 500" in out and "(TLS)" not in out and "+ 221" in out, f"no 220: no handshake, and the session goes on {mode}", out)
    status, out, _ = replay("-f", CONF, *mode, write("left.smtp", START + "S: 220\n@disconnect\n", 0o644))
    equal((status, out.count("\n")), (0, 2), f"a client that leaves in place of a handshake {mode}")
    status, out, _ = replay("-f", CONF, *mode, write("half.smtp", START + "S: 220\n@half-close\nS: end\n", 0o644))
    equal((status, out.count("\n")), (0, 2), f"a client that ends in place of a handshake {mode}")
status, out, _ = replay("-f", CONF, "-o", "tls_timeout=300ms", write("stalls.smtp", START + "S: 220\nS: end\n", 0o644))
equal((status, out.count("\n")), (0, 2), "a client that says nothing in place of a handshake: tls_timeout")

# The certificate that stands in, and the real one.
path = write("starttls.smtp", START + "S: 220\n" + INSIDE, 0o644)
unavailable = write("454.smtp", START + "S: 454 4.7.0\nC: QUIT\nS: 221\n", 0o644)
equal(replay("-f", CONF, path)[:2], (0, f"{path}: ok\n1 passed, 0 failed\n"), "a certificate that is not there is stood in for")
equal(replay("-f", CONF, "-o", "tls_certificate=/nonexistent", unavailable)[0], 0, "-o tls_certificate: the real one, which is not there")
equal(replay("-f", CONF, "-o", "tls_certificate=", unavailable)[0], 0, "-o tls_certificate: none")
equal(replay("-f", CONF, "--trust", write("real.smtp", "tls_certificate = /nonexistent\n" + open(unavailable).read(), 0o644))[0], 0, "--trust: a transcript's own")
status, out, _ = replay("-f", CONF, write("real.smtp", "tls_certificate = /nonexistent\n" + open(unavailable).read(), 0o644))
ok(status == 64 and "--trust" in out, "without: not allowed", out)
stated = write("rsa.smtp", "tls = TLSv1.2 cipher=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\n" + START + "S: 220\n" + INSIDE, 0o644)
equal([replay("-f", CONF, "-o", f"tls_certificate={c} {k}", stated)[0] for c, k in (RSA, EC)], [0, 1], "with the real certificate, its kind of key counts")
equal(replay("-f", CONF, "-o", "tls_service=only", unavailable)[0], 0, "-o tls_service: the real service, which is not there")
equal(replay("-f", CONF, "-o", "tls_command=/nonexistent", unavailable)[0], 0, "-o tls_command: another program, which is not there")
other = os.path.join(TMP, "other"); os.mkdir(other); os.chmod(other, 0o755)
shutil.copy(SMTPIN, other)
equal(replay("-f", CONF, "-o", f"tls_command={TLS}", path, smtpin=os.path.join(other, "smtpin"))[0], 0, "-o tls_command: for smtpin and for the client")
calls = os.path.join(TMP, "calls"); os.mkdir(calls); os.chmod(calls, 0o777)
beside = write("other/smtpin-tls", f'#!/bin/sh\necho "$*" >>{calls}/all\nexec {TLS} "$@"\n')
status, out, _ = replay("-f", CONF, stated, smtpin=os.path.join(other, "smtpin"))
called = open(calls + "/all").read().split("\n") if os.path.exists(calls + "/all") else []
equal((status, ["--session" in c for c in called[:2]], "--certificate self-signed" in called[0], "--client" in called[1]), (0, [True, False], True, True), "the smtpin-tls beside smtpin's program is taken")
called.clear(); os.unlink(calls + "/all")
replay("-f", CONF, "-o", "tls=off", write("plain.smtp", only, 0o644), smtpin=os.path.join(other, "smtpin"))
ok(not os.path.exists(calls + "/all"), "without TLS it is not started")
os.unlink(beside)
status, out, err = replay("-f", CONF, "-o", "tls=implicit", "--timeout", "5s", path, smtpin=os.path.join(other, "smtpin"))
ok(status == 1 and "(TLS)\n+ " in out, "no smtpin-tls: a difference says so", (out, err))
for words, what in (("echo", "ends at once"), ("sleep 30", "says nothing")):
    write("other/smtpin-tls", f"#!/bin/sh\ncase $* in *--client*) exec {words};; esac\nexec {TLS} \"$@\"\n")
    start = time.monotonic()
    status, out, _ = replay("-f", CONF, "--timeout", "500ms", path, smtpin=os.path.join(other, "smtpin"))
    ok(status == 1 and "(TLS)\n+ " in out and time.monotonic() - start < 60, f"a client that {what}: a difference", out)


# Real clients, recorded and replayed.
def context(version=None, curve=None, ciphers=None, certificate=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    if version: c.minimum_version = c.maximum_version = version
    if curve: c.set_ecdh_curve(curve)
    if ciphers: c.set_ciphers(ciphers)
    if certificate: c.load_cert_chain(*certificate)
    return c


def hear(s, line=None):
    if line is not None: s.sendall(line.encode() + b"\r\n")
    return read_reply(s)


def record(settings, wrap, name, talk):
    clear(traces)
    p, ours = session({"trace": traces, "log": "none", "deliver": "/bin/true", "tls_command": TLS, "tls_service": "no", "tls_certificate": " ".join(EC), **settings})
    try:
        if settings["tls"] != "implicit":
            hear(ours); hear(ours, "EHLO client.example.com"); hear(ours, "STARTTLS")
        try:
            inside = wrap.wrap_socket(ours, server_hostname=name) if wrap else ours
            inside.settimeout(30)
            if wrap and settings["tls"] == "implicit": hear(inside)
            talk(inside)
        except (OSError, ssl.SSLError): pass
    finally:
        ours.close()
        p.wait(60)
    files = [os.path.join(traces, f) for f in os.listdir(traces)]
    return files[0], open(files[0]).read()


def send_mail(s):
    for line in ("EHLO client.example.com", "MAIL FROM:<a@example.com>", "RCPT TO:<b@example.org>", "DATA", "Subject: x\r\n\r\ntext\r\n.", "QUIT"): hear(s, line)
    s.unwrap()


def pipelined(s):
    hear(s, "EHLO client.example.com")
    s.sendall(b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nRSET\r\nNOOP\r\nQUIT\r\n")
    read_all(s)


SESSIONS = (("TLS 1.3", context(ssl.TLSVersion.TLSv1_3), "mx.example.org", send_mail, {}, "tls = TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 group=x25519 sni=mx.example.org\n"),
            ("TLS 1.3 without a name, pipelined", context(ssl.TLSVersion.TLSv1_3), None, pipelined, {}, "tls = TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 group=x25519\n"),
            ("TLS 1.2", context(ssl.TLSVersion.TLSv1_2, "prime256v1"), "mx.example.org", send_mail, {}, "group=secp256r1 sni=mx.example.org\n"),
            ("TLS 1.2 and an RSA key", context(ssl.TLSVersion.TLSv1_2, ciphers="ECDHE-RSA-AES256-GCM-SHA384"), None, send_mail, {"tls_certificate": " ".join(RSA)}, "tls = TLSv1.2 cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 group=x25519\n"),
            ("another group", context(ssl.TLSVersion.TLSv1_3, "secp384r1"), "mx.example.org", send_mail, {}, "group=secp384r1 sni=mx.example.org\n"),
            ("a client's certificate", context(ssl.TLSVersion.TLSv1_3, certificate=CLIENT), "mx.example.org", send_mail, {"tls_client_ca": CLIENT[0]}, " client=out.example.com\n"),
            ("a client's certificate of nobody's", context(ssl.TLSVersion.TLSv1_3, certificate=CLIENT), None, send_mail, {"tls_ask_certificate": "yes"}, " group=x25519\n"))
for sandbox in ("yes", "no"):
    for tls, more in (("may", {}), ("implicit", {"socket": "submissions"})):
        for what, wrap, name, talk, settings, fact in SESSIONS:
            f, text = record({"tls": tls, "sandbox": sandbox, **settings, **more}, wrap, name, talk)
            where = re.search(r"(?m)^S: 220.*\n(?=tls = )" if tls == "may" else r"(?m)^fixed_time = .*\n(?=tls = )", text)
            ok(fact in text and where and text.count("tls = ") == 1, f"{what} ({tls}, sandbox {sandbox}): the recording has the facts in their place", text)
            for mode in ([], ["--in-process"], ["--chunk", "3"]):
                status, out, _ = replay("-f", CONF, *mode, f)
                equal((status, out.count("\n")), (0, 2), f"{what} ({tls}, sandbox {sandbox}): replays green {' '.join(mode)}") or print("#", out.replace("\n", "\n# "))
        f, text = record({"tls": tls, "sandbox": sandbox, **more}, None, None, lambda s: (s.sendall(b"GET / HTTP/1.0\r\n\r\n"), read_all(s)))
        ok("tls = " not in text and "GET" not in text, f"no TLS from the client ({tls}, sandbox {sandbox}): no facts, and nothing of it", text)
for behind in (b"EHLO x\r\n", b"\x16\x03\x01", b"NOOP\r\nAUTH PLAIN AGSECRET\r\nSECRET"):
    clear(traces)
    out, err, status = pipe(b"EHLO x\r\nSTARTTLS\r\n" + behind, {"trace": traces, "log": "none", "deliver": "/bin/true", "tls": "may", "tls_command": TLS, "tls_service": "no", "tls_certificate": "self-signed"})
    equal(codes(out)[-1], "554", f"{behind!r} behind STARTTLS")
    f = os.path.join(traces, os.listdir(traces)[0])
    ok("SECRET" not in open(f).read(), f"{behind!r} behind STARTTLS: no secret is written down")
    for mode in (*MODES, ["--chunk", "1"], ["--whole"]):
        status, out, _ = replay("-f", CONF, *mode, f)
        equal((status, out.count("\n")), (0, 2), f"{behind!r} behind STARTTLS, recorded: replays green {' '.join(mode)}") or print("#", out.replace("\n", "\n# "), open(f).read().replace("\n", "\n# "))
equal(os.listdir(work), [], "no directory is left")
for _ in range(100):
    left = [pid for pid in filter(str.isdigit, os.listdir("/proc")) if os.path.exists(f"/proc/{pid}/cmdline") and TMP.encode() in open(f"/proc/{pid}/cmdline", "rb").read()]
    if not left: break
    time.sleep(0.1)
equal(left, [], "no process is left")
done()
