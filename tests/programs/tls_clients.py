"""Real clients, with STARTTLS and from the first octet on, TLS 1.2 and 1.3, with and without SNI and certificate: one message each, byte for byte, and the facts in Received:, the environment and the record."""
import concurrent.futures, itertools, json, smtplib
from harness import *
from tls_peers import *

if not os.path.exists(TLS): skip("TLS with real clients", "this build has no smtpin-tls"); done()
directory, deliver = taker()
BODY = b"From: a@example.com\r\nTo: b@example.org\r\nSubject: test\r\nMessage-ID: <1@example.com>\r\nDate: Mon, 23 Nov 2026 00:00:00 +0000\r\n\r\n.dot first\r\n..two\r\n\r\n8 bit: \xc3\xa9\r\nlast line\r\n"
EXPECTED = BODY.replace(b"\r\n", b"\n")
FILE = {}
for name, octets in (("crlf", BODY), ("lf", EXPECTED), ("swaks", EXPECTED[:-1])):  # swaks ends the last line itself
    FILE[name] = os.path.join(TMP, "message." + name)
    with open(FILE[name], "wb") as f: f.write(octets)
FINGERPRINT = openssl("x509", "-in", CLIENT[0], "-noout", "-fingerprint", "-sha256").decode().strip().split("=")[1]
number = itertools.count(1)


class Attempt:
    def __init__(self, client, way, implicit=False, version="TLSv1.3", sni=HOST, certificate=None, tail=()):
        self.client, self.way, self.implicit, self.version, self.sni, self.certificate = client, way, implicit, version, sni, certificate
        self.port = servers[way].port["submissions" if implicit else "smtp"]
        self.sender = f"s{next(number)}@example.com"
        self.title = f"{client}, {way[0]}, sandbox = {way[1]}, {'implicit' if implicit else 'STARTTLS'}, {version}, SNI {sni or 'none'}, certificate {'none' if not certificate else 'verified' if certificate is CLIENT else 'not verifiable'}"

    def dialog(self, hello=True):
        return (b"EHLO client.example.com\r\n" if hello else b"") + f"MAIL FROM:<{self.sender}>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n".encode() + re.sub(rb"(?m)^\.", b"..", BODY) + b".\r\nQUIT\r\n"


# ---- Each client: its command, what it reads, its environment. Or it runs itself, and says nothing.
def swaks(a):
    return (["swaks", "--server", "127.0.0.1", "--port", str(a.port), "--from", a.sender, "--to", "b@example.org", "--helo", "client.example.com", "--data", "@" + FILE["swaks"],
             "--tlsc" if a.implicit else "--tls", "--tls-protocol", a.version.lower().replace(".", "_"), *(["--tls-sni", a.sni] if a.sni else []),
             *(["--tls-cert", a.certificate[0], "--tls-key", a.certificate[1]] if a.certificate else [])], None)


def curl(a):
    where = a.sni or "127.0.0.1"
    return (["curl", "-sS", f"smtp{'s' if a.implicit else ''}://{where}:{a.port}/client.example.com", "--resolve", f"{where}:{a.port}:127.0.0.1", "--ssl-reqd", *(["--cacert", CA[0]] if a.sni else ["-k"]),
             *(["--tlsv1.3"] if a.version == "TLSv1.3" else ["--tls-max", "1.2"]), *(["--cert", a.certificate[0], "--key", a.certificate[1]] if a.certificate else []),
             "--mail-from", a.sender, "--mail-rcpt", "b@example.org", "--upload-file", FILE["crlf"]], None)


def msmtp(a):  # it names the host in its hello unless that is an address
    return (["msmtp", "--host=" + ("localhost" if a.sni else "127.0.0.1"), f"--port={a.port}", "--from=" + a.sender, "--auth=off", "--tls=on", f"--tls-starttls={'off' if a.implicit else 'on'}", "--tls-certcheck=off", "--domain=client.example.com",
             "--tls-priorities=NORMAL:-VERS-ALL:+VERS-" + a.version.replace("TLSv", "TLS"), "--set-date-header=off", "--set-msgid-header=off",
             *([f"--tls-cert-file={a.certificate[0]}", f"--tls-key-file={a.certificate[1]}"] if a.certificate else []), "b@example.org"], open(FILE["lf"], "rb").read())


def with_smtplib(a):
    context = client_context({"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}[a.version], a.certificate, verify=a.sni is not None)
    # The name that it connects to is the name in its hello.
    resolve = smtplib.socket.create_connection
    class Named:
        _host = a.sni or "127.0.0.1"
        def _get_socket(self, host, port, timeout):
            s = resolve(("127.0.0.1", port), timeout)
            return context.wrap_socket(s, server_hostname=a.sni) if a.implicit else s
    class Plain(Named, smtplib.SMTP): pass
    with Plain("127.0.0.1", a.port, "client.example.com", timeout=30) as s:
        s._host = a.sni or "127.0.0.1"
        if not a.implicit: s.starttls(context=context)
        s.sendmail(a.sender, ["b@example.org"], BODY, ["BODY=8BITMIME"])


def s_client(a):
    return (["openssl", "s_client", "-connect", f"127.0.0.1:{a.port}", "-quiet", *([] if a.implicit else ["-starttls", "smtp"]), "-" + a.version.lower().replace("v", "").replace(".", "_"),
             *(["-servername", a.sni] if a.sni else ["-noservername"]), *(["-cert", a.certificate[0], "-key", a.certificate[1]] if a.certificate else [])], a.dialog())


NODE = write("send.js", """const o = JSON.parse(process.argv[2]);
require('nodemailer').createTransport(o.transport).sendMail({envelope: {from: o.from, to: ['b@example.org']}, raw: require('fs').readFileSync(o.file)}, e => { if (e) { console.error(e); process.exit(1); } });
""", 0o644)


def nodemailer(a):
    transport = {"host": "127.0.0.1", "port": a.port, "secure": a.implicit, "requireTLS": not a.implicit, "name": "client.example.com",
                 "tls": {"minVersion": a.version, "maxVersion": a.version, "rejectUnauthorized": False, **({"servername": a.sni} if a.sni else {}),
                         **({"cert": open(a.certificate[0]).read(), "key": open(a.certificate[1]).read()} if a.certificate else {})}}
    return ["node", NODE, json.dumps({"transport": transport, "from": a.sender, "file": FILE["crlf"]})], None


def gnutls_cli(a):
    return (["gnutls-cli", "--no-ca-verification", "-p", str(a.port), "127.0.0.1", "--priority=NORMAL:-VERS-ALL:+VERS-" + a.version.replace("TLSv", "TLS"),
             *([] if a.implicit else ["--starttls-proto=smtp"]), *(["--sni-hostname=" + a.sni] if a.sni else ["--disable-sni"]),
             *(["--x509certfile=" + a.certificate[0], "--x509keyfile=" + a.certificate[1]] if a.certificate else [])], a.dialog())


# Libraries that Debian has no SMTP client of: tls_odd.c is one, a dozen lines for each of them.
ODD = {"libtls": ("tls", ("TLSv1.2", "TLSv1.3")), "mbedTLS": ("mbedtls mbedx509 mbedcrypto", ("TLSv1.2",)), "wolfSSL": ("wolfssl", ("TLSv1.2", "TLSv1.3"))}


def odd(name):
    path = os.path.join(TMP, "odd-" + name)
    if not os.path.exists(path) and have("cc"):
        subprocess.run(["cc", "-O1", "-o", path, "-DODD_" + name.upper(), os.path.join(SOURCE, "tests/programs/tls_odd.c"), *("-l" + l for l in ODD[name][0].split())], capture_output=True)
    if not os.path.exists(path): return None
    return lambda a: ([path, str(a.port), "implicit" if a.implicit else "starttls", a.version, a.sni or "", *(a.certificate or ())], a.dialog())


def run(a, command, data, env=None):
    try:
        p = subprocess.run(command, input=data, stdin=subprocess.DEVNULL if data is None else None, capture_output=True, timeout=60, env={**os.environ, **(env or {})})
        return p.returncode, (p.stdout + p.stderr).decode(errors="replace")
    except subprocess.TimeoutExpired as e: return "hangs", (e.stdout or b"")[-500:]


def facts_are_wrong(a, env, message, server):
    """None, or what does not fit."""
    received = re.search(rb"^Received: (?:.*\n)(?:[ \t].*\n)*", message, re.M)[0].decode()
    expected = {"SSL_PROTOCOL": a.version, "SSL_CLIENT_VERIFY": "NONE" if not a.certificate else "SUCCESS" if a.certificate is CLIENT else "FAILED:unable to get local issuer certificate",
                "SSL_CLIENT_NAME": None if not a.certificate else "client.example.com" if a.certificate is CLIENT else "stranger.example.net", "CLIENT_PROTOCOL": "ESMTPS"}
    if a.client != "msmtp": expected["SSL_TLS_SNI"] = a.sni
    elif a.certificate is STRANGER: expected.update(SSL_CLIENT_VERIFY="NONE", SSL_CLIENT_NAME=None)  # GnuTLS has none of the authorities that we name, and sends nothing
    if a.certificate is CLIENT: expected["SSL_CLIENT_FINGERPRINT"] = FINGERPRINT
    wrong = {k: (v, env.get(k)) for k, v in expected.items() if env.get(k) != v}
    if wrong: return wrong
    sni = env.get("SSL_TLS_SNI")
    clause = f"({a.version}{' to ' + sni if sni else ''}{', client certificate of client.example.com' if a.certificate is CLIENT else ''})"
    if f"\t{clause}\n" not in received or " with ESMTPS id " not in received or not re.search(r"\n\ttls TLS_\w+ group \w+;\n", received): return received, clause
    session = env["SMTPIN_ID"].rsplit("-", 1)[0]
    record = server.records(" session ", f"session={session}", "milliseconds=")
    words = [f"tls={a.version}", "tls_cipher=TLS_", "tls_group=", *([f"tls_sni={sni}"] if sni else []), *(["tls_client_verify="] if env["SSL_CLIENT_VERIFY"] != "NONE" else []), *([f"tls_client_fingerprint={FINGERPRINT}"] if a.certificate is CLIENT else [])]
    if len(record) != 1 or any(w not in record[0] for w in words) or (not a.certificate and "tls_client" in record[0]): return record, words
    return None


def attempt(a):
    """None, or what is wrong."""
    said = None
    try:
        given = CLIENTS[a.client](a)
        if given: said = run(a, *given, **({"env": {"NODE_PATH": NODE_PATH}} if a.client == "nodemailer" else {}))
    except Exception as e: said = repr(e)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        env, message = environment_of(directory, a.sender)
        if message: break
        time.sleep(0.05)
    if not message: return a.title, "no message", said
    if without_trace(message) != EXPECTED: return a.title, "not byte for byte", message
    if said and said[0] not in (0, None) and a.client in ("swaks", "curl", "msmtp", "nodemailer"): return a.title, "exit status", said
    wrong = facts_are_wrong(a, env, message, servers[a.way])
    return (a.title, wrong, said) if wrong else None


NODE_PATH = PEERS + "/node-nodemailer/usr/share/nodejs"
CLIENTS = {"swaks": swaks, "curl": curl, "msmtp": msmtp, "smtplib": with_smtplib, "s_client": s_client, "nodemailer": nodemailer, "gnutls-cli": gnutls_cli}
NEEDS = {"smtplib": None, "s_client": "openssl", "nodemailer": "node"}
warm = Warm()
servers = {(tls, sandbox): Server({"deliver": deliver, "sandbox": sandbox, **(warm.settings if tls == "warm" else {})}) for tls, sandbox in WAYS}
way = itertools.cycle(WAYS)
for name in ODD:
    program_of = odd(name)
    if program_of: CLIENTS[name] = program_of
    else: skip(name, f"no library {name} (Debian: {dict(libtls='libtls-dev', mbedTLS='libmbedtls-dev', wolfSSL='libwolfssl-dev')[name]})")
for name in CLIENTS:
    needs = NEEDS.get(name, name)
    if name == "nodemailer" and not os.path.isdir(NODE_PATH + "/nodemailer"): skip(name, "node-nodemailer is not unpacked"); continue
    if name not in ODD and needs and not have(needs): skip(name, f"no {needs}"); continue
    versions = ODD.get(name, (0, ("TLSv1.2", "TLSv1.3")))[1]
    work = [Attempt(name, next(way), implicit, version, sni, certificate) for implicit in (False, True) for version in versions
            for sni, certificate in ((HOST, None), (None, None), (OTHER, CLIENT), (None, STRANGER), (HOST, CLIENT))]
    # Each in each way of ours, for one of its kinds: the others take turns.
    work += [Attempt(name, w, implicit, versions[-1]) for w in WAYS for implicit in (False, True)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool: broken = [r for r in pool.map(attempt, work) if r]
    ok(not broken, f"{name}: {len(work)} sessions, each message byte for byte, and the facts", "\n".join(repr(b)[:1500] for b in broken[:4]))
    clear(directory)
for w in WAYS: ok(servers[w].end() == 0, f"{w[0]}, sandbox = {w[1]}: the listening process ends")
warm.end()
done()
