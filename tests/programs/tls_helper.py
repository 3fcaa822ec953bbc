"""smtpin-tls(8): this test plays smtpin (its packets), the clients are Python's ssl and openssl s_client."""
import atexit, hashlib, ssl, struct, threading
from harness import *

TLS = os.path.join(BUILD, "smtpin-tls")
if not os.path.exists(TLS): skip("smtpin-tls", "this build has none"); done(); sys.exit()
if not have("openssl"): skip("smtpin-tls", "no openssl (Debian: openssl)"); done(); sys.exit()
CERTS = os.path.join(TMP, "certs")
os.makedirs(CERTS)


def at(*parts): return os.path.join(CERTS, *parts)


def openssl(*words, **more): return subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60, **more)


def key(path, kind="ec"):
    how = {"ec": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "ed": ["-algorithm", "ED25519"]}[kind]
    openssl("genpkey", *how, "-out", path)
    return path


_serial = [100]


def certificate(path, names, own_key, ca=None, days=90, more=(), since=None, is_ca=False):
    """A certificate for the names, by ca (certificate, key) or itself; chain: with the CA behind it."""
    _serial[0] += 1
    ext = [f"subjectAltName={','.join('DNS:' + n for n in names)}"] if names else []
    ext.append("basicConstraints=critical,CA:" + ("TRUE" if is_ca else "FALSE"))
    conf = path + ".cnf"
    with open(conf, "w") as f: f.write("[x]\n" + "\n".join(ext) + "\n")
    openssl("req", "-new", "-key", own_key, "-subj", f"/O=Test/CN={names[0] if names else 'Test CA'}", "-out", path + ".csr")
    by = ["-CA", ca[0], "-CAkey", ca[1]] if ca else ["-signkey", own_key]
    openssl("x509", "-req", "-in", path + ".csr", *by, "-set_serial", str(_serial[0]), "-days", str(days), "-extfile", conf, "-extensions", "x", "-out", path, *more)
    for f in (conf, path + ".csr"): os.unlink(f)
    return path


def join(path, *files):
    with open(path, "w") as out:
        for f in files: out.write(open(f).read())
    return path


def names_in(pem_or_der):
    text = openssl("x509", "-inform", "DER", "-noout", "-ext", "subjectAltName", input=pem_or_der).stdout.decode()
    return sorted(re.findall(r"DNS:([^,\s]+)", text))


CA_KEY = key(at("ca.key"))
CA = certificate(at("ca.pem"), [], CA_KEY, is_ca=True, days=3650)
EC_KEY, RSA_KEY = key(at("ec.key")), key(at("rsa.key"), "rsa")
EC = join(at("ec.pem"), certificate(at("ec.leaf"), ["mx.example.org", "www.example.org"], EC_KEY, (CA, CA_KEY)), CA)
RSA = join(at("rsa.pem"), certificate(at("rsa.leaf"), ["www.example.org", "mx.example.org"], RSA_KEY, (CA, CA_KEY)), CA)
OTHER_KEY = key(at("other.key"))
OTHER = certificate(at("other.pem"), ["*.other.example"], OTHER_KEY, (CA, CA_KEY))
PAIR = ["--certificate", f"{EC} {EC_KEY}"]


def packet(word, **fields): return b"\0".join([word.encode()] + [f"{k}={v}".encode() for k, v in fields.items()]) + b"\0"


def unpack(data):
    word, *fields = data.removesuffix(b"\0").decode("ascii").split("\0")
    return word, dict(f.split("=", 1) for f in fields)


class Session:
    """One session: `control` and `plain` are smtpin's ends, `client` is the client's end of the connection."""
    def __init__(self, options=PAIR, mode=("--session",), connection=None, begin=True, control=None, **fields):
        self.p = None
        self.client, theirs = connection or socket.socketpair()
        self.plain, stream = socket.socketpair()
        if control is None:
            self.control, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.errors = tempfile.TemporaryFile(dir=TMP)
            self.p = subprocess.Popen([TLS, *options, *mode], stdin=far, stdout=subprocess.DEVNULL, stderr=self.errors)
            far.close()
        else: self.control = control
        for s in (self.control, self.plain, self.client): s.settimeout(30)
        if begin:
            socket.send_fds(self.control, [packet("begin", **{"version": "1", "timeout": "20000", **fields})], [theirs.fileno(), theirs.fileno(), stream.fileno()])
            theirs.close(); stream.close()
        else: self.theirs, self.stream = theirs, stream

    def said(self): return unpack(self.control.recv(65536))

    def ready(self):
        word, fields = self.said()
        if word == "ready": self.control.send(packet("go"))
        return word, fields

    def wrap(self, context=None, name="mx.example.org"):
        """The client's handshake, in a thread of its own; then the facts."""
        result = []
        def run():
            try: result.append((context or client_context()).wrap_socket(self.client, server_hostname=name))
            except OSError as e: result.append(e)
        t = threading.Thread(target=run); t.start()
        self.word, self.facts = self.said()
        t.join(30)
        self.tls = result[0]
        return self.tls

    def log(self):
        self.errors.seek(0)
        return self.errors.read().decode()

    def end(self, status=None):
        """Both ends are closed; the process ends."""
        for s in (getattr(self, "tls", None), self.plain, self.client, self.control):
            if hasattr(s, "close"): s.close()
        if self.p:
            try: self.p.wait(30)
            except subprocess.TimeoutExpired: self.p.kill(); self.p.wait(); return "hangs"
            return self.p.returncode


def client_context(version=None, verify=True, **more):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    c.load_verify_locations(CA)
    if version: c.minimum_version = c.maximum_version = version
    if "ciphers" in more: c.set_ciphers(more["ciphers"])
    if "chain" in more: c.load_cert_chain(*more["chain"])
    return c


def transfer(s, up, down, seconds=60):
    """Octets both ways at once; what smtpin has got, and what the client has. (One thread: an SSL object is no two threads' at once.)"""
    ends = {s.tls: [memoryview(up), bytearray(), len(down)], s.plain: [memoryview(down), bytearray(), len(up)]}
    for e in ends: e.setblocking(False)
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(left or len(got) < n for left, got, n in ends.values()):
        some = False
        for e, state in ends.items():
            try:
                if state[0]: state[0] = state[0][e.send(state[0][:65536]):]; some = True
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError): pass
            try:
                if len(state[1]) < state[2]: state[1] += e.recv(65536); some = True
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError): pass
        if not some: time.sleep(0.001)
    for e in ends: e.settimeout(30)
    return bytes(ends[s.plain][1]), bytes(ends[s.tls][1])


# ---- A session, with each version.
for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
    s = Session()
    equal(s.ready()[0], "ready", f"{name}: ready")
    tls = s.wrap(client_context(version))
    if not ok(isinstance(tls, ssl.SSLSocket) and s.word == "secure", f"{name}: secure", (tls, s.word, s.facts)): s.end(); continue
    f = s.facts
    equal((f["SSL_PROTOCOL"], f["SSL_CIPHER"], f["SSL_CIPHER_USEKEYSIZE"]), (name, tls.cipher()[0], str(tls.cipher()[2])), f"{name}: the facts are the client's too")
    equal((f["plain"], f["SSL_TLS_SNI"], f["SSL_CLIENT_VERIFY"], f["SSL_GROUP"]), ("stream", "mx.example.org", "NONE", "x25519"), f"{name}: stream, name, no client certificate, group")
    der = tls.getpeercert(True)
    equal(f["SSL_TLS_SERVER_END_POINT"], hashlib.sha256(der).hexdigest(), f"{name}: tls-server-end-point")
    ok(re.fullmatch("[0-9a-f]{64}", f["SSL_TLS_EXPORTER"]), f"{name}: tls-exporter", f)
    ok(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", f["SSL_SERVER_V_END"]), f"{name}: the end of our certificate", f)
    data = os.urandom(4 << 20)
    got = transfer(s, data, data[::-1])
    ok(got == (data, data[::-1]), f"{name}: 4 MiB both ways at once", [len(g) for g in got])
    s.plain.sendall(b"221 bye\r\n"); s.plain.close()
    equal(read_all(tls), b"221 bye\r\n", f"{name}: the last words, then the end")
    equal((s.end(), s.log()), (0, ""), f"{name}: nothing is said, status 0")


def good(options=PAIR, name="mx.example.org", context=None, **more):
    """A session that must succeed: (session, facts, our certificate)."""
    s = Session(options, **more)
    s.ready(); s.wrap(context, name)
    if not isinstance(s.tls, ssl.SSLSocket): return s, {"error": repr(s.tls), **s.facts}, b""
    return s, s.facts, s.tls.getpeercert(True)


# ---- Packets, every one wrong in turn. Nothing of the connection is touched.
def wrong(data, what, reason, fds=None, options=PAIR):
    s = Session(options, begin=False)
    three = [s.theirs, s.theirs, s.stream] if fds is None else fds(s)
    socket.send_fds(s.control, [data], [f.fileno() if hasattr(f, "fileno") else f for f in three])
    for f in (s.theirs, s.stream): f.close()
    word, fields = s.said()
    equal((word, fields.get("reason")), ("unavailable", reason), what)
    equal((s.control.recv(10), read_all(s.client), s.plain.recv(10)), (b"", b"", b""), f"{what}: all is closed, nothing was written")
    s.end()
    return s
BEGIN = packet("begin", version=1)
wrong(b"begin\0version=1", "no NUL at the end", "not a BEGIN packet")
wrong(packet("start", version=1), "another word", "not a BEGIN packet")
wrong(packet("begin"), "no version", "another version of smtpin: restart both")
wrong(packet("begin", version=2), "another version", "another version of smtpin: restart both")
for t in ("0", "-1", "x", "99999999999", ""): wrong(packet("begin", version=1, timeout=t), f"timeout {t!r}", "the timeout is wrong")
wrong(b"begin\0" + b"x" * 9000 + b"\0", "a packet that is too long", "the BEGIN packet is wrong")
wrong(BEGIN, "two descriptors", "fewer than three descriptors", lambda s: [s.theirs, s.stream])
wrong(BEGIN, "no descriptor", "fewer than three descriptors", lambda s: [])
null = open(os.devnull, "r+b", buffering=0)
ro = open(EC, "rb"); udp = socket.socket(type=socket.SOCK_DGRAM); listener = socket.create_server(("127.0.0.1", 0))
for fds, what in ((lambda s: [ro, s.theirs, s.stream], "a file to read from"), (lambda s: [s.theirs, null, s.stream], "a device to write to"), (lambda s: [udp, udp, s.stream], "datagrams"), (lambda s: [listener, listener, s.stream], "a listening socket")):
    wrong(BEGIN, what, "the connection is no stream", fds)
for fds, what in ((lambda s: [s.theirs, s.theirs, ro], "a file as the stream"), (lambda s: [s.theirs, s.theirs, udp], "datagrams as the stream"), (lambda s: [s.theirs, s.theirs, listener], "TCP as the stream")):
    wrong(BEGIN, what, "the stream is no local socket", fds)
for f in (ro, udp, listener, null): f.close()
r, w = os.pipe()
wrong(BEGIN, "a pipe the wrong way round", "the connection is no stream", lambda s: [w, r, s.stream])
os.close(r); os.close(w)

s = Session(begin=False)
s.control.close()
ok(gone(s.p.pid, 10), "a control socket that closes at once: it ends", None)
equal(s.log(), "", "and says nothing: somebody has looked whether it is there"); s.theirs.close(); s.stream.close(); s.end()
s = Session(begin=False); began = time.monotonic()
equal(s.said()[1]["reason"], "no BEGIN packet has come", "no BEGIN packet")
ok(4.5 < time.monotonic() - began < 15, "after five seconds", time.monotonic() - began); s.theirs.close(); s.stream.close(); s.end()
for data in (b"no\0", b"go", b"\0"):
    s = Session(); s.said(); s.client.sendall(b"x"); s.control.send(data)
    equal((s.control.recv(10), read_all(s.client)), (b"", b""), f"{data!r} for go: it ends, and nothing was written"); s.end()
s = Session(); s.said()
flags = __import__("fcntl").fcntl(s.client, __import__("fcntl").F_GETFL)
s.client.sendall(b"plain text"); time.sleep(0.2)
s.control.close()
equal(read_all(s.client), b"", "smtpin goes away before go: nothing was written"); s.end()

# ---- No certificate: "unavailable", exactly.
bad_key, broken = at("locked.key"), at("broken.pem")
openssl("pkey", "-in", EC_KEY, "-aes256", "-passout", "pass:secret", "-out", bad_key)
with open(broken, "w") as f: f.write(open(EC).read()[:300])
empty = at("empty"); os.mkdir(empty)
for options, reason in (([], "no certificate is configured"),
                        (["--certificate", "/nonexistent"], "/nonexistent: No such file or directory"),
                        (["--certificate", f"{EC} {OTHER_KEY}"], f"{EC}: the key in {OTHER_KEY} does not match the certificate"),
                        (["--certificate", f"{EC} {RSA_KEY}"], f"{EC}: the key in {RSA_KEY} does not match the certificate"),
                        (["--certificate", EC], f"{EC}: it has no key"),
                        (["--certificate", f"{EC_KEY} {EC_KEY}"], f"{EC_KEY}: it has no certificate"),
                        (["--certificate", f"{EC} {bad_key}"], f"{bad_key}: its key has a passphrase, which nobody can be asked for"),
                        (["--certificate", f"{broken} {EC_KEY}"], f"{broken}: it has no certificate and no key in PEM"),
                        (["--certificate", empty], f"{empty}: it has no certificate with its key"),
                        (["--option", "Nonsense=1", *PAIR], "option Nonsense=1: unknown name"),
                        (["--option", "Groups=nonsense", *PAIR], "option Groups=nonsense: wrong value"),
                        (["--option", "Certificate=" + EC, *PAIR], f"option Certificate={EC}: unknown name"),
                        (["--option", "MinProtocol=TLSv1.1", *PAIR], "option MinProtocol: below TLSv1.2 (RFC 8996)"),
                        (["--client-ca", EC_KEY, *PAIR], f"{EC_KEY}: no certificates of CAs can be read from it")):
    s = wrong(BEGIN, "unavailable: " + reason.replace(TMP, ""), reason, options=options)
    equal(s.log(), f"smtpin-tls: {reason}\n", "and in the log")

# ---- Which certificate: RSA and ECDSA side by side, names.
both = ["--certificate", f"{OTHER} {OTHER_KEY}", "--certificate", f"{RSA} {RSA_KEY}", *PAIR]
leaf = {f: ssl.PEM_cert_to_DER_cert("".join(open(f).read().partition("-----END CERTIFICATE-----\n")[:2])) for f in (EC, RSA, OTHER)}
for name, ciphers, expected in (("mx.example.org", "ECDHE-RSA-AES128-GCM-SHA256", RSA), ("mx.example.org", "ECDHE-ECDSA-AES128-GCM-SHA256", EC), ("MX.Example.ORG", "ECDHE-ECDSA-AES128-GCM-SHA256", EC),
                                ("a.other.example", "ECDHE-ECDSA-AES128-GCM-SHA256", OTHER), ("nobody.example", "ECDHE-ECDSA-AES128-GCM-SHA256", OTHER), (None, "ECDHE-ECDSA-AES128-GCM-SHA256", OTHER)):
    s, facts, der = good(both, name, client_context(ssl.TLSVersion.TLSv1_2, ciphers=ciphers))
    equal((der, facts.get("SSL_TLS_SNI")), (leaf[expected], name), f"certificate for {name}, {ciphers}"); s.end()
s, facts, der = good([*PAIR, "--certificate", f"{OTHER} {OTHER_KEY}"], "a.b.other.example")
equal(der, leaf[EC], "a wildcard is for one label only"); s.end()
# The whole chain is sent: a client that knows the CA alone can verify.
s, facts, der = good(context=client_context()); ok(der == leaf[EC], "verified by the CA"); s.end()

# ---- Directories: each layout.
def pair_in(directory, chain_name, key_name, names, kind="ec", **more):
    os.makedirs(at(directory), exist_ok=True)
    k = key(at(directory, key_name), kind)
    return certificate(at(directory, chain_name), names, k, (CA, CA_KEY), **more)
pair_in("live/a.example", "cert.pem", "privkey.pem", ["a.example"]); join(at("live/a.example/fullchain.pem"), at("live/a.example/cert.pem"), CA); shutil.copy(CA, at("live/a.example/chain.pem"))
pair_in("live/b.example", "fullchain.pem", "privkey.pem", ["b.example"]); open(at("live/README"), "w").write("read me\n")
pair_in("acme", "c.example.cer", "c.example.key", ["c.example"], "rsa"); join(at("acme/fullchain.cer"), at("acme/c.example.cer"), CA); shutil.copy(CA, at("acme/ca.cer")); open(at("acme/c.example.conf"), "w").write("Le_Domain='c.example'\n")
pair_in("acme_ecc", "fullchain.cer", "c.example.key", ["c.example"])
pair_in("lego", "d.example.crt", "d.example.key", ["d.example"]); pair_in("lego", "e.example.crt", "e.example.key", ["e.example"]); shutil.copy(CA, at("lego/d.example.issuer.crt")); open(at("lego/d.example.json"), "w").write("{}")
pair_in("credentials", "fullchain.pem", "privkey.pem", ["f.example"], "rsa"); pair_in("credentials", "ecdsa.fullchain.pem", "ecdsa.privkey.pem", ["f.example"])
pair_in("odd", "zzz.pem", "aaa", ["g.example"])
pair_in("ed", "x.crt", "x.key", ["h.example"], "ed")
TLS12 = ssl.TLSVersion.TLSv1_2
for directory, names in (("live", ["a.example", "b.example"]), ("live/b.example/", ["b.example"]), ("acme", ["c.example"]), ("lego", ["d.example", "e.example"]), ("credentials", ["f.example"]), ("odd", ["g.example"]), ("ed", ["h.example"])):
    for n in names:
        s, facts, der = good(["--certificate", at(directory)], n)
        ok(der and names_in(der) == [n], f"{directory}: {n}", facts); s.end()
        equal(s.log(), "", f"{directory}: nothing is wrong with it")
for directory, n in (("acme", "c.example"), ("credentials", "f.example")):
    for kind in ("RSA", "ECDSA"):
        s, facts, der = good(["--certificate", at(directory)], n, client_context(TLS12, ciphers=f"ECDHE-{kind}-AES128-GCM-SHA256"))
        ok(der, f"{directory}: its {kind} certificate", facts); s.end()
s, facts, der = good(["--certificate", "self-signed", "--hostname", "self.example"], "self.example", client_context(verify=False))
equal(names_in(der), ["self.example"], "self-signed: this host's name"); s.end()
s, facts, der = good(["--certificate", join(at("one.pem"), EC, EC_KEY)]); equal(der, leaf[EC], "one file with both"); s.end()

# ---- Options.
s, facts, _ = good(["--option", "MaxProtocol=TLSv1.2", *PAIR]); equal(facts.get("SSL_PROTOCOL"), "TLSv1.2", "--option MaxProtocol"); s.end()
s, facts, _ = good(["--option", "Groups=P-384", *PAIR]); equal(facts.get("SSL_GROUP"), "secp384r1", "--option Groups, as IANA spells it"); s.end()
s, facts, _ = good(["--option", "Groups=", *PAIR]); equal(facts.get("SSL_GROUP"), "x25519", "--option Groups= : OpenSSL's own"); s.end()
s, facts, _ = good([*PAIR, "--option", "CipherString=ECDHE-ECDSA-AES256-GCM-SHA384"], context=client_context(TLS12))
equal((facts.get("SSL_CIPHER"), facts.get("SSL_CIPHER_IANA"), facts.get("SSL_CIPHER_USEKEYSIZE")), ("ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "256"), "--option CipherString"); s.end()

# ---- Certificates of clients never fail the handshake.
client_key, stranger_key = key(at("client.key")), key(at("stranger.key"))
odd_name = certificate(at("client.pem"), ["client.example.com"], client_key, (CA, CA_KEY))
stranger = certificate(at("stranger.pem"), ["stranger.example"], stranger_key)
expired = certificate(at("expired.pem"), ["old.example"], client_key, (CA, CA_KEY), days=-1)
for version in (TLS12, ssl.TLSVersion.TLSv1_3):
    for chain, options, verify, name in ((None, ["--client-ca", CA], "NONE", None), ((odd_name, client_key), ["--client-ca", CA], "SUCCESS", "client.example.com"), ((odd_name, client_key), [], "NONE", None),
                                         ((odd_name, client_key), ["--ask-client"], "FAILED:self-signed certificate in certificate chain", "client.example.com"),
                                         ((stranger, stranger_key), ["--client-ca", CA], "FAILED:self-signed certificate", "stranger.example"), ((expired, client_key), ["--client-ca", CA], "FAILED:certificate has expired", "old.example")):
        s, facts, _ = good([*PAIR, *options], context=client_context(version, **({"chain": chain} if chain else {})))
        what = f"{version.name}: {os.path.basename(chain[0]) if chain else 'no certificate'}, {options[:1]}"
        equal((facts.get("SSL_CLIENT_VERIFY"), facts.get("SSL_CLIENT_NAME")), (verify, name), what)
        if name:
            sha = openssl("x509", "-in", chain[0], "-noout", "-fingerprint", "-sha256").stdout.decode().strip().partition("=")[2]
            spki = hashlib.sha256(openssl("pkey", "-in", chain[1], "-pubout", "-outform", "DER").stdout).hexdigest().upper()
            equal((facts["SSL_CLIENT_FINGERPRINT"], facts["SSL_CLIENT_KEY_FINGERPRINT"].replace(":", ""), facts["SSL_CLIENT_S_DN"]), (sha, spki, f"CN={name},O=Test"), f"{what}: fingerprints and subject")
        s.tls.sendall(b"x"); equal(s.plain.recv(10), b"x", f"{what}: and it works"); s.end()

# ---- Handshakes that fail: why, and what the client offered. Nothing but TLS is ever written.
def failing(send, what, reason, offered=None, timeout="20000", close=False, sni=None):
    s = Session(timeout=timeout); s.ready()
    if send: s.client.sendall(send)
    if close: s.client.shutdown(socket.SHUT_WR)
    word, fields = s.said()
    equal((word, fields.get("reason"), fields.get("offered"), fields.get("SSL_TLS_SNI")), ("failed", reason, offered, sni), what)
    rest = read_all(s.client)
    ok(rest == b"" or rest[0] == 21, f"{what}: nothing but an alert is written", rest)
    equal(s.plain.recv(10), b"", f"{what}: the stream ends"); s.end()
failing(b"EHLO client.example.com\r\nMAIL FROM:<a@example.com>\r\n" * 50, "plain text", "wrong version number")
failing(b"GET / HTTP/1.0\r\n\r\n", "HTTP", "http request")
failing(b"", "nothing comes", "timed out", timeout="300")
failing(b"\x16\x03\x01\x02\x00\x01", "a ClientHello that stops", "timed out", timeout="300")
failing(b"\x16\x03\x01\x02\x00\x01", "a ClientHello that ends", "the connection was closed", close=True)
failing(b"", "an end at once", "the connection was closed", close=True)
def hello(context, name="mx.example.org"):
    out = ssl.MemoryBIO()
    try: context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError: pass
    return out.read()
whole = hello(client_context())
# legacy_version of TLS 1.1, without supported_versions
old = hello(client_context(TLS12)); old = old[:9] + b"\x03\x02" + old[11:]
failing(old, "a client of TLS 1.1", "unsupported protocol", "TLSv1.1", sni="mx.example.org")
failing(hello(client_context(TLS12, ciphers="ECDHE-RSA-AES128-GCM-SHA256")), "no shared cipher", "no shared cipher", "TLSv1.2", sni="mx.example.org")
failing(whole[:76] + b"\xff\xff" + whole[78:], "a damaged ClientHello", "length mismatch")
s = Session(); s.ready(); s.control.close()
equal(read_all(s.client), b"", "smtpin goes away in the handshake: it ends"); s.end()

# ---- A ClientHello in single octets.
s = Session(); s.ready()
i, o = ssl.MemoryBIO(), ssl.MemoryBIO(); obj = client_context().wrap_bio(i, o, server_hostname="mx.example.org")
while True:
    try: obj.do_handshake(); break
    except ssl.SSLWantReadError: pass
    for b in o.read(): s.client.sendall(bytes([b])); time.sleep(0.0002)
    i.write(s.client.recv(65536))
for b in o.read(): s.client.sendall(bytes([b]))
equal(s.said()[0], "secure", "a handshake in single octets"); s.end()

# ---- Ends, one by one.
s, facts, _ = good()
s.tls.sendall(b"last words"); socket.socket.shutdown(s.tls, socket.SHUT_WR)
equal(read_all(s.plain), b"last words", "the client ends the connection: what it said, then the end")
s.plain.sendall(b"an answer"); s.plain.shutdown(socket.SHUT_WR)
equal(s.tls.recv(100), b"an answer", "and it still hears what smtpin says"); s.end()
s, facts, _ = good()
s.tls.sendall(b"last words"); s.tls.setblocking(False)
try: s.tls._sslobj.shutdown()
except ssl.SSLWantReadError: pass
s.tls.settimeout(30)
equal(read_all(s.plain), b"last words", "the client sends close_notify: what it said, then the end")
s.plain.sendall(b"an answer"); s.plain.shutdown(socket.SHUT_WR)
equal(s.tls.recv(100), b"an answer", "and it still hears what smtpin says"); s.end()
s, facts, _ = good(); s.plain.sendall(b"bye"); s.plain.shutdown(socket.SHUT_WR)
equal((read_all(s.tls), read_all(s.client) if s.client.fileno() >= 0 else b""), (b"bye", b""), "smtpin ends its side: its last words, close_notify, the end")
s.tls.close(); ok(s.p.wait(10) == 0, "and it has ended"); s.end()
s, facts, _ = good(); s.plain.close(); began = time.monotonic()
equal((read_all(s.tls), s.p.wait(10)), (b"", 0), "smtpin goes away: the end")
ok(time.monotonic() - began < 1, "at once: nothing was left to read", time.monotonic() - began); s.end()
s, facts, _ = good(); s.tls.close(); s.plain.close(); began = time.monotonic()
ok(s.p.wait(10) == 0 and time.monotonic() - began < 1, "both go away at once", time.monotonic() - began); s.end()
s, facts, _ = good(); s.client = None; s.tls.close(); time.sleep(0.2)
used = sum(map(int, open(f"/proc/{s.p.pid}/stat").read().rsplit(")", 1)[1].split()[11:13]))
time.sleep(1)
equal(sum(map(int, open(f"/proc/{s.p.pid}/stat").read().rsplit(")", 1)[1].split()[11:13])) - used, 0, "a client that has gone does not make it spin while smtpin thinks")
s.plain.sendall(b"x" * 100); s.plain.shutdown(socket.SHUT_WR)
ok(s.p.wait(10) is not None, "and it ends with smtpin"); s.client = s.plain; s.end()

server = socket.create_server(("127.0.0.1", 0)); near = socket.create_connection(server.getsockname()); far = server.accept()[0]
s, facts, _ = good(connection=(near, far)); s.tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); s.tls.close(); began = time.monotonic()
equal((read_all(s.plain), s.p.wait(10)), (b"", 0), "a client that resets the connection: the end of all")
ok(time.monotonic() - began < 1, "at once", time.monotonic() - began); s.end(); server.close()

# ---- A client that does not read.
s, facts, _ = good(); s.plain.setblocking(False); sent = 0
try:
    while sent < 64 << 20: sent += s.plain.send(b"z" * 65536)
except BlockingIOError: pass
time.sleep(0.3)
try:
    while sent < 64 << 20: sent += s.plain.send(b"z" * 65536)
except BlockingIOError: pass
ok(sent < 8 << 20, "a client that does not read: smtpin waits", sent)
stat = lambda: sum(map(int, open(f"/proc/{s.p.pid}/stat").read().rsplit(")", 1)[1].split()[11:13]))
used = stat(); time.sleep(1); ok(stat() - used <= 1, "and it does not spin", stat() - used)
s.plain.close(); got = 0
while piece := s.tls.recv(65536): got += len(piece)
equal(got, sent, "all of it arrives, although smtpin has gone"); s.end()
s, facts, _ = good(); s.tls.setblocking(False); sent = 0
try:
    while sent < 64 << 20: sent += s.tls.send(b"z" * 16384); time.sleep(0.0005)
except (BlockingIOError, ssl.SSLWantWriteError): pass
ok(sent < 8 << 20, "smtpin does not read: the client waits", sent)
used = stat(); time.sleep(1); ok(stat() - used <= 1, "and it does not spin", stat() - used); s.end()

# ---- Killed: nothing in plain text, and smtpin sees the end.
for when in ("ready", "go", "secure"):
    s = Session()
    if when == "ready": s.said()
    else: s.ready()
    if when == "secure": s.wrap(); s.plain.sendall(b"secret words")
    s.p.kill(); s.p.wait()
    ok(b"secret" not in read_all(s.client if when != "secure" else socket.socket(fileno=s.tls.detach())), f"killed after {when}: nothing in plain text")
    equal(read_all(s.plain), b"", f"killed after {when}: smtpin sees the end"); s.end()

# ---- KeyUpdate, by openssl s_client on TCP.
server = socket.create_server(("127.0.0.1", 0))
p = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{server.getsockname()[1]}", "-tls1_3", "-CAfile", CA], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
theirs = server.accept()[0]
s = Session(connection=(socket.socket(), theirs)); s.ready()
equal(s.said()[0], "secure", "openssl s_client")
for words in (b"one\n", b"K\n", b"two\n", b"k\n", b"three\n"):
    p.stdin.write(words); p.stdin.flush(); time.sleep(0.1)
data = b""
while data.count(b"\n") < 3: data += s.plain.recv(100)
equal(data, b"one\ntwo\nthree\n", "KeyUpdate of both kinds")
s.plain.sendall(b"answer\n"); time.sleep(0.1); s.plain.close()
out, _ = p.communicate(timeout=30)
ok(b"answer\n" in out and b"KEYUPDATE" in out and b"Verify return code: 0 (ok)" in out, "and it hears us", out[-500:]); s.end(); server.close()

# ---- The client's side.
a, b = socket.socketpair()
server_side = Session(PAIR, connection=(socket.socket(), a)); client_side = Session(["--certificate", f"{odd_name} {client_key}"], mode=("--client", "www.example.org"), connection=(socket.socket(), b))
server_side.ready(); client_side.ready()
(w1, f1), (w2, f2) = server_side.said(), client_side.said()
equal((w1, w2, f1.get("SSL_TLS_SNI"), f2.get("SSL_TLS_SNI")), ("secure", "secure", "www.example.org", "www.example.org"), "--client: the other side, with the name")
equal((f1["SSL_TLS_EXPORTER"], f1["SSL_TLS_SERVER_END_POINT"], f1["SSL_SERVER_V_END"]), (f2["SSL_TLS_EXPORTER"], f2["SSL_TLS_SERVER_END_POINT"], f2["SSL_SERVER_V_END"]), "--client: both have the same channel bindings")
client_side.plain.sendall(b"hello"); equal(server_side.plain.recv(10), b"hello", "--client: octets")
client_side.plain.close(); equal(server_side.plain.recv(10), b"", "--client: the end"); server_side.end(); client_side.end()


# ---- --serve.
class Server:
    def __init__(self, *options, command=None, **more):
        self.path = os.path.join(TMP, f"s{time.monotonic_ns()}")
        self.errors = open(self.path + ".log", "w+b")
        self.p = subprocess.Popen(command or [TLS, *options, "--serve", self.path], stdin=subprocess.DEVNULL, stderr=self.errors, **more)
        atexit.register(self.p.kill)  # where the test itself fails
        for _ in range(1000):
            if command or self.p.poll() is not None: break
            try: self.connect().close(); break
            except OSError: time.sleep(0.01)
    def connect(self):
        c = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); c.settimeout(30); c.connect(self.path); return c
    def good(self, *a, **more): return good(*a, control=self.connect(), **more)
    def log(self): return open(self.path + ".log").read()
    def lines(self, text, n=1, seconds=10):
        """How often that is in the log; waits for it."""
        end = time.monotonic() + seconds
        while self.log().count(text) < n and time.monotonic() < end: time.sleep(0.05)
        return self.log().count(text)
    def end(self):
        self.p.terminate()
        try: return self.p.wait(10)
        except subprocess.TimeoutExpired: self.p.kill(); return self.p.wait()


v = Server(*PAIR)
equal(oct(os.stat(v.path).st_mode & 0o777), "0o660", "--serve: its socket's mode")
sessions = [v.good() for _ in range(5)]
for s, facts, der in sessions:
    s.tls.sendall(b"up"); s.plain.sendall(b"down")
    equal((s.plain.recv(10), s.tls.recv(10)), (b"up", b"down"), "--serve: a session of several")
equal(len({f["SSL_TLS_EXPORTER"] for _, f, _ in sessions}), 5, "--serve: each with keys of its own")
equal(v.end(), 0, "--serve: SIGTERM ends it at once")
ok(not os.path.exists(v.path), "--serve: its socket is removed")
for s, _, _ in sessions:
    s.tls.sendall(b"still"); equal(s.plain.recv(10), b"still", "--serve: a session goes on after it"); s.end()
with open(v.path, "w") as f: f.write("a file\n")
equal((Server(*PAIR, command=[TLS, *PAIR, "--serve", v.path]).p.wait(10), open(v.path).read()), (69, "a file\n"), "--serve: what is no socket is left alone")
os.unlink(v.path)
v = Server(*PAIR); v.p.kill(); v.p.wait()
v2 = Server(command=[TLS, *PAIR, "--serve", v.path]); v2.path = v.path; time.sleep(0.5)
s, facts, _ = v2.good(); ok("SSL_PROTOCOL" in facts, "--serve: a socket that a killed one has left is taken over", facts); s.end()
equal(subprocess.run([TLS, *PAIR, "--serve", v.path], capture_output=True, timeout=10).returncode, 69, "--serve: but not that of a living one"); v2.end()
# The socket of systemd.
path = os.path.join(TMP, "passed"); l = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); l.bind(path); l.listen(10)
v = Server(command=["sh", "-c", f'LISTEN_PID=$$ LISTEN_FDS=1 exec "{TLS}" --certificate "{EC} {EC_KEY}" --serve 3<&{l.fileno()}'], pass_fds=[l.fileno()]); v.path, log = path, v.path
s, facts, _ = v.good(); ok("SSL_PROTOCOL" in facts, "--serve: on the socket that systemd passes", facts); s.end()
equal((v.end(), os.path.exists(path)), (0, True), "--serve: which stays"); l.close()
equal(subprocess.run([TLS, *PAIR, "--serve"], capture_output=True, timeout=10).returncode, 69, "--serve: no socket at all")
v = Server(*PAIR, "--max-sessions", "2")
held = [v.good()[0] for _ in range(2)]
s = Session(control=v.connect()); equal(s.said(), ("unavailable", {"reason": "too many sessions"}), "--max-sessions"); s.end()
for s in held: s.end()
time.sleep(0.5); s, facts, _ = v.good(); ok("SSL_PROTOCOL" in facts, "--max-sessions: a place is free again", facts); s.end()
kids = lambda: subprocess.run(["ps", "-o", "stat=", "--ppid", str(v.p.pid)], capture_output=True, text=True).stdout.split()
time.sleep(0.5); v.connect().close(); time.sleep(0.5); equal(kids(), [], "--serve: no process is left"); v.end()

# ---- Renewal.
renew = at("renew"); os.mkdir(renew)
def swap(name, source):
    shutil.copy(source, at("renew", name + ".new")); os.rename(at("renew", name + ".new"), at("renew", name))
k2 = key(at("k2.key")); c2 = certificate(at("c2.pem"), ["mx.example.org"], k2, (CA, CA_KEY))
k1 = key(at("k1.key")); c1 = certificate(at("c1.pem"), ["mx.example.org"], k1, (CA, CA_KEY))
d = {c: ssl.PEM_cert_to_DER_cert(open(c).read()) for c in (c1, c2)}
for how, options in (("two files", ["--certificate", f"{renew}/chain.pem {renew}/key.pem"]), ("a directory", ["--certificate", renew])):
    swap("chain.pem", c1); swap("key.pem", k1)
    v = Server(*options)
    s, _, der = v.good(); equal(der, d[c1], f"renewal, {how}: the first"); s.end()
    swap("chain.pem", c2)
    for _ in range(3): s, _, der = v.good(); equal(der, d[c1], f"renewal, {how}: a pair that does not match keeps the old"); s.end()
    equal(v.lines("the old certificates stay in use"), 1, f"renewal, {how}: which is said once, not for each session")
    with open(at("renew", "key.pem"), "w") as f: f.write(open(k2).read()[:100])
    s, _, der = v.good(); equal(der, d[c1], f"renewal, {how}: a file that is half written keeps the old"); s.end()
    swap("key.pem", k2)
    s, _, der = v.good(); equal(der, d[c2], f"renewal, {how}: the new pair"); s.end()
    os.rename(renew, renew + ".away")
    s, _, der = v.good(); equal(der, d[c2], f"renewal, {how}: all gone keeps the old"); s.end()
    os.rename(renew + ".away", renew)
    s, _, der = v.good(); s.end(); equal(v.p.poll(), None, f"renewal, {how}: it lives"); v.end()
# Replaced under load.
swap("chain.pem", c1); swap("key.pem", k1); v = Server("--certificate", f"{renew}/chain.pem {renew}/key.pem")
stop, failed, made = threading.Event(), [], []
def client():
    while not stop.is_set():
        s, facts, der = v.good()
        (made if der in d.values() else failed).append(facts.get("error", der))
        s.end()
threads = [threading.Thread(target=client) for _ in range(3)]
for t in threads: t.start()
for i in range(200):
    c, k = ((c1, k1), (c2, k2))[i % 2]
    swap("chain.pem", c); swap("key.pem", k); time.sleep(0.01)
stop.set()
for t in threads: t.join(60)
ok(not failed and len(made) > 50 and len(set(made)) == 2, "200 renewals under load: no session fails", (len(made), failed[:3]))
s, _, der = v.good(); equal(der, d[c2], "and the last one counts"); s.end(); v.end()
# certbot: links that change.
for n in ("1", "2"):
    os.makedirs(at("le/archive/x"), exist_ok=True); os.makedirs(at("le/live/x"), exist_ok=True)
    shutil.copy((c1, c2)[n == "2"], at(f"le/archive/x/fullchain{n}.pem")); shutil.copy((k1, k2)[n == "2"], at(f"le/archive/x/privkey{n}.pem"))
def links(n):
    for what in ("fullchain", "privkey"):
        if os.path.lexists(at(f"le/live/x/{what}.pem")): os.unlink(at(f"le/live/x/{what}.pem"))
        os.symlink(f"../../archive/x/{what}{n}.pem", at(f"le/live/x/{what}.pem"))
for place in ("le/live/x", "le/live"):
    links(1); v = Server("--certificate", at(place)); s, _, der = v.good(); equal(der, d[c1], f"certbot's {place}: the first"); s.end()
    links(2); s, _, der = v.good(); equal(der, d[c2], f"certbot's {place}: the next"); s.end(); v.end()
# The end of a certificate.
soon = certificate(at("soon.pem"), ["mx.example.org"], EC_KEY, (CA, CA_KEY), days=10)
v = Server("--certificate", f"{soon} {EC_KEY}")
for _ in range(3): v.good()[0].end()
equal(v.lines("the certificate expires on"), 1, "a certificate that expires soon: one line a day"); v.end()
v = Server(*PAIR); v.good()[0].end(); equal(v.log(), "", "one that does not: none"); v.end()
v = Server("--certificate", f"{at('late.pem')} {EC_KEY}")
s = Session(control=v.connect()); equal(s.said()[0], "unavailable", "--serve: no certificate yet"); s.end()
swap("x", EC); os.rename(at("renew/x"), at("late.pem"))
s, facts, der = v.good(); equal(der, leaf[EC], "--serve: as soon as there is one, it serves"); s.end(); v.end()

# ---- --check.
def check(*options):
    p = subprocess.run([TLS, *options, "--check"], capture_output=True, text=True, timeout=30)
    return p.returncode, p.stdout
status, out = check(*PAIR, "--certificate", f"{RSA} {RSA_KEY}", "--certificate", f"{OTHER} {OTHER_KEY}")
spki = hashlib.sha256(openssl("pkey", "-in", EC_KEY, "-pubout", "-outform", "DER").stdout).hexdigest()
equal(status, 0, "--check: nothing is wrong")
ok(f"\n  _25._tcp.mx.example.org. IN TLSA 3 1 1 {spki}\n" in out and f"\n  _25._tcp.www.example.org. IN TLSA 3 1 1 {spki}\n" in out, "--check: the TLSA record of each name", out)
ok("key: ECDSA, prime256v1\n" in out and "key: RSA, 2048 bits\n" in out and "  names: mx.example.org www.example.org\n" in out and "_tcp.*" not in out, "--check: names and kinds of keys", out)
equal(check("--certificate", f"{EC} {OTHER_KEY}"), (78, f"wrong: {EC}: the key in {OTHER_KEY} does not match the certificate\n"), "--check: what is wrong")
equal(check(), (78, "wrong: no certificate is configured\n"), "--check: none")
status, out = check("--certificate", f"{soon} {EC_KEY}"); ok(status == 0 and re.search(r"warning: it expires in \d+ days", out), "--check: expiry within 14 days", out)
status, out = check("--certificate", f"{expired} {client_key}"); ok(status == 78 and "wrong: it has expired" in out, "--check: expired", (status, out))
links(2)
status, out = check("--certificate", at("le/live/x")); ok(status == 0 and "privkey1.pem, for the same names, has another TLSA record: a renewal has changed it" in out, "--check: a renewal with another key", out)
key(at("le/archive/x/next.key"))
status, out = check("--certificate", at("le/live/x")); ok("next.key is a key without a certificate: with it, the TLSA record is 3 1 1 " in out, "--check: the next key", out)
status, out = check(*PAIR); ok("other.key" not in out and "client.key" not in out, "--check: the keys of other certificates beside it are none of its", out)
shutil.copy(k2, at("le/archive/x/privkey1.pem")); os.unlink(at("le/archive/x/next.key"))
status, out = check("--certificate", at("le/live/x")); ok("note:" not in out, "--check: the same key again", out)

# ---- --wrap.
def over(*words, options=PAIR, env=None, **more):
    ours, theirs = socket.socketpair(); ours.settimeout(30)
    errors = tempfile.TemporaryFile(dir=TMP)
    p = subprocess.Popen([TLS, *options, *words], stdin=theirs, stdout=theirs, stderr=errors, env={**os.environ, **(env or {})}, **more)
    theirs.close()
    return p, ours, lambda: (errors.seek(0), errors.read().decode())[1]
p, ours, log = over("--wrap", "--", "sh", "-c", "env | sort; cat; exit 3", env={"SSL_CLIENT_S_DN": "CN=forged", "SSLCTLFD": "9", "UCSPITLS": "1"})
c = client_context().wrap_socket(ours, server_hostname="mx.example.org"); c.sendall(b"words")
socket.socket.shutdown(c, socket.SHUT_WR)
out = read_all(c).decode()
ok("SSL_PROTOCOL=TLSv1.3\n" in out and "SSL_TLS_SNI=mx.example.org\n" in out and out.endswith("words"), "--wrap: facts and plain text", out)
ok("forged" not in out and "SSLCTLFD" not in out and "UCSPITLS" not in out, "--wrap: nothing forged in the environment", out)
equal((p.wait(10), log()), (3, ""), "--wrap: COMMAND's exit status"); c.close()
p, ours, log = over("--wrap", "--", "sh", "-c", "exit 5", preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)); c = client_context().wrap_socket(ours, server_hostname="x")
equal((read_all(c), p.wait(10)), (b"", 5), "--wrap: where children are ignored"); c.close()
p, ours, log = over("--wrap", "--", "sh", "-c", "echo started >&2"); ours.sendall(b"EHLO x\r\n")
equal((p.wait(10), log()), (76, "smtpin-tls: the handshake has failed: wrong version number\n"), "--wrap: plain text starts nothing"); ours.close()
p, ours, log = over("--timeout", "300ms", "--wrap", "--", "true"); equal((p.wait(10), log()), (76, "smtpin-tls: the handshake has failed: timed out\n"), "--wrap: --timeout"); ours.close()
p, ours, log = over("--wrap", "--", "/nonexistent"); c = client_context().wrap_socket(ours, server_hostname="x")
equal((read_all(c), p.wait(10), log()), (b"", 69, "smtpin-tls: /nonexistent: No such file or directory\n"), "--wrap: no such COMMAND"); c.close()
p, ours, log = over("--wrap", "--", "sh", "-c", "trap 'echo asked; exit 0' TERM; echo ready; while :; do sleep 0.1; done"); c = client_context().wrap_socket(ours, server_hostname="x")
equal(c.recv(100), b"ready\n", "--wrap: a service")
child = int(subprocess.run(["ps", "-o", "pid=", "--ppid", str(p.pid)], capture_output=True, text=True).stdout)
p.terminate(); os.kill(child, signal.SIGTERM)
equal((read_all(c), p.wait(10)), (b"asked\n", 0), "--wrap: a service that is stopped says its last words"); c.close()
# smtpin itself, with smtplib.
import smtplib
directory, deliver = taker("wrapped")
p, ours, log = over("--wrap", "--", *arguments({"deliver": deliver}))
class Connected(smtplib.SMTP):
    def _get_socket(self, *a): return client_context().wrap_socket(ours, server_hostname="mx.example.org")
with Connected("x", local_hostname="client.example.com") as c: c.sendmail("a@example.com", ["b@example.org"], b"Subject: x\r\n\r\n" + b"line\r\n" * 20000)
equal((p.wait(20), len(messages(directory)), messages(directory)[0].count(b"line\n")), (0, 1, 20000), "--wrap: mail to smtpin")

# ---- --ucspi.
script = write("ucspi.sh", """#!/bin/sh
echo plain
read -r line
case $1 in
no) eval "exec $SSLCTLFD>&-"; echo "none: $line"; exit 4 ;;
esac
python3 -c '
import os, sys
fd = int(os.environ["SSLCTLFD"])
os.write(fd, sys.argv[1].encode())
data = b""
while sys.argv[1] == "Y" and not data.endswith(b"\\0\\0"):
    piece = os.read(fd, 4096)
    if not piece: sys.exit(9)
    data += piece
os.dup2(int(os.environ["SSLREADFD"]), 0); os.dup2(int(os.environ["SSLWRITEFD"]), 1)
for v in ("SSLCTLFD", "SSLREADFD", "SSLWRITEFD"): os.close(int(os.environ[v]))
print(os.environ["UCSPITLS"], sys.stdin.readline().strip(), data.decode().replace("\\0", "|"), flush=True)
' "$1"
""")
for how in ("y", "Y"):
    p, ours, log = over("--ucspi", "--", script, how)
    equal(ours.recv(100), b"plain\n", f"--ucspi {how}: COMMAND starts at once"); ours.sendall(b"start\n")
    c = client_context().wrap_socket(ours, server_hostname="mx.example.org"); c.sendall(b"secret\n")
    out = read_all(c).decode()
    ok(out.startswith("1 secret ") and ("SSL_PROTOCOL=TLSv1.3|" in out and out.endswith("||\n")) == (how == "Y"), f"--ucspi {how}: TLS, and the facts where they are wanted", out)
    equal((p.wait(10), log()), (0, ""), f"--ucspi {how}: the end"); c.close()
p, ours, log = over("--ucspi", "--", script, "no"); equal(ours.recv(100), b"plain\n", "--ucspi, no TLS"); ours.sendall(b"words\n")
equal((read_all(ours), p.wait(10), log()), (b"none: words\n", 4, ""), "--ucspi, no TLS: COMMAND has the connection alone"); ours.close()
p, ours, log = over("--ucspi", "--", script, "Y", options=[]); ours.recv(100); ours.sendall(b"start\n")
equal((read_all(ours), p.wait(10), log()), (b"", 9, "smtpin-tls: no certificate is configured\n"), "--ucspi: no certificate"); ours.close()
root = os.path.join(os.environ.get("SMTPIN_PEERS", "/nonexistent"), "mailfront")
peer = next((p for p in (f"{root}/usr/bin/mailfront", f"{root}/usr/sbin/mailfront", shutil.which("mailfront")) if p and os.path.exists(p)), None)
if not peer: skip("--ucspi: mailfront", "no mailfront")
elif not have("swaks"): skip("--ucspi: mailfront", "no swaks (Debian: swaks)")
else:
    port = free_port()
    env = {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join({d for d, _, fs in os.walk(root) if any(".so" in f for f in fs)}), "MODULE_PATH": next((d for d, _, fs in os.walk(root) if "protocol-smtp.so" in fs), ""), "QUEUE": "1"}
    server = socket.create_server(("127.0.0.1", port)); results = []
    p = subprocess.Popen(["swaks", "--server", f"127.0.0.1:{port}", "--from", "a@example.com", "--to", "b@example.org", "--tls", "--timeout", "20"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    connection, _ = server.accept()
    h = subprocess.Popen([TLS, *PAIR, "--ucspi", "--", peer, "smtp", "echo", "starttls-ucspi", "accept"], stdin=connection, stdout=connection, stderr=subprocess.PIPE, env=env); connection.close()
    out = p.communicate(timeout=60)[0].decode(errors="replace"); errors = h.communicate(timeout=30)[1].decode(errors="replace")
    ok(p.returncode == 0 and "TLS started with cipher TLSv1.3" in out, "--ucspi: swaks sends mail to mailfront", out[-1500:] + errors[-500:]); server.close()

# ---- Usage.
for words in ([], ["--session", "--serve"], ["--nonsense"], ["--wrap"], ["--ucspi", "--"], ["--session", "x"], ["--timeout", "0", "--session"], ["--option", "x", "--session"], ["--max-sessions", "0", "--serve", "x"], ["--check", "x"]):
    equal(subprocess.run([TLS, *words], capture_output=True, stdin=subprocess.DEVNULL, timeout=10).returncode, 64, f"usage: {words}")
ok(subprocess.run([TLS, "--version"], capture_output=True).stdout.startswith(b"smtpin-tls "), "--version")
ok(b"--ucspi" in subprocess.run([TLS, "--help"], capture_output=True).stdout, "--help")

done()
