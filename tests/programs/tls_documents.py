"""docs/tls.md and the block of smtpin.conf(5) about TLS: the configurations with clients that want TLS, the super-servers' lines, the scripts, the records for the DNS, the header field."""
import glob, hashlib, shlex, smtplib, ssl
from harness import *
import document

TLS = os.path.join(BUILD, "smtpin-tls")
PEERS = os.environ.get("SMTPIN_PEERS", "")
if not os.path.exists(TLS): skip("docs/tls.md", "this build has no smtpin-tls"); done(); sys.exit()
if not have("openssl"): skip("docs/tls.md", "no openssl (Debian: openssl)"); done(); sys.exit()
BLOCKS = list(document.blocks(SOURCE, "docs/tls.md"))
TOP = os.path.join(TMP, "top")
directory, take = taker()
COMMON = f"hostname = mx.example.org\ndomains = example.org\ndeliver = {take}\ntls_command = {TLS}\ntls_service = no\nlog = stderr\nspool_dir = {TMP}\n"


def block(language, word): return next(b for b in BLOCKS if b.language == language and word in b.text)


def client(version=None, ciphers=None, pair=None):
    c = ssl._create_unverified_context()
    if version: c.minimum_version = c.maximum_version = version
    if ciphers: c.set_ciphers(ciphers)
    if pair: c.load_cert_chain(*pair)
    return c


def shake(conf, context, name=None, socket_name="smtp", items=()):
    """A session: (its TLS: version, DNS names, kind of key; what the client heard), or the failure; the records."""
    p, c = session_of(conf, socket_name)
    heard = []
    try:
        if socket_name == "smtp":
            read_reply(c); c.sendall(b"EHLO client.example.com\r\n"); offered = b"STARTTLS" in read_reply(c)
            if not offered: return ("no STARTTLS",), ""
            c.sendall(b"STARTTLS\r\n"); heard.append(read_reply(c).decode())
        with context.wrap_socket(c, server_hostname=name) as s:
            der = s.getpeercert(True)
            pem = os.path.join(TMP, "peer.pem")
            with open(pem, "w") as f: f.write(ssl.DER_cert_to_PEM_cert(der))
            text = subprocess.run(["openssl", "x509", "-in", pem, "-noout", "-text"], capture_output=True, text=True).stdout
            if socket_name != "smtp": heard.append(read_reply(s).decode())
            for i in items: s.sendall(i.encode() + b"\r\n"); heard.append(read_reply(s).decode())
            facts = (s.version(), re.findall(r"DNS:(\S+?),?\s", text + " "), "rsa" if "rsaEncryption" in text else "ec")
    except (ssl.SSLError, OSError) as e: facts = (type(e).__name__,)
    finally: c.close()
    return (*facts, heard), p.communicate(timeout=30)[1].decode()


def session_of(conf, name):
    ours, theirs = socket.socketpair()
    p = subprocess.Popen([SMTPIN, "-f", conf, "-o", f"socket={name}", "-o", "client_address=192.0.2.7"], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE)
    theirs.close(); ours.settimeout(30)
    return p, ours


def configuration(text, name="tls.conf"):
    return write(name, COMMON + document.certificates(re.sub(r"^(deliver|deliver_per) = .*\n", "", text, flags=re.M), TOP), 0o644)


# Each configuration: certificates by the client's name, with TLS 1.3 and, unless it says otherwise, 1.2.
confs = [b for b in BLOCKS if b.language == "conf"] + [b for b in document.blocks(SOURCE, "docs/smtpin.conf.5") if "tls_certificate" in b.text]
ok(len(confs) >= 5, "the configurations are found", [b.where for b in confs])
for b in confs:
    conf = configuration(b.text)
    names = ["mx.example.org" if "rsa" in v else os.path.basename(v.split()[0]).removesuffix(".pem") for v in re.findall(r"^tls_certificate = (.*)$", b.text, re.M)]
    p = subprocess.run([SMTPIN, "-f", conf, "--check"], capture_output=True, text=True, timeout=60)
    ok(p.returncode == 0 and all(f"_25._tcp.{n}. IN TLSA 3 1 1 " in p.stdout for n in names), f"{b.where}: --check", p.stdout + p.stderr)
    for name in dict.fromkeys(names):
        got, err = shake(conf, client(), name)
        equal(got[:2], ("TLSv1.3", [name]), f"{b.where}: STARTTLS, the certificate of {name}")
    got, err = shake(conf, client(), "unknown.example")
    equal(got[1:2], ([names[0]],), f"{b.where}: another name gets the first")
    got, err = shake(conf, client(ssl.TLSVersion.TLSv1_2), names[0])
    ok(("TLSv1.2" == got[0]) == ("MinProtocol=TLSv1.3" not in b.text), f"{b.where}: TLS 1.2 {'is' if 'MinProtocol=TLSv1.3' not in b.text else 'is not'} spoken", (got, err))
    if "rsa" in b.text:
        got, err = shake(conf, client(ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES128-GCM-SHA256"), "mx.example.org")
        equal(got[1:3], (["mx.example.org"], "rsa"), f"{b.where}: a client that has no ECDSA gets the RSA certificate")
    if "DHE-RSA-AES128-GCM-SHA256:DHE" in b.text: ok(subprocess.run(["openssl", "ciphers", re.search(r"CipherString=(\S+)", b.text)[1]], capture_output=True).stdout.count(b":") >= 8, f"{b.where}: its ciphers are known to OpenSSL")
    if "[" not in b.text:
        got, err = shake(conf, client(), "mx.example.org", "submissions")
        ok(got[:2] == ("TLSv1.3", ["mx.example.org"]) and got[-1][0].startswith("220 "), f"{b.where}: TLS from the first octet on the socket submissions", (got, err))

# Received:, as it is shown.
clear(directory)
mail_items = ["EHLO client.example.com", "MAIL FROM:<joe@someplace.org>", "RCPT TO:<jane@example.org>", "DATA", "Subject: x\r\n\r\nx\r\n."]
got, err = shake(configuration("tls = may\ntls_certificate = /etc/letsencrypt/live/mx.example.org\n"), client(), "mx.example.org", items=mail_items)
received = re.search(rb"^Received: .*?\n(?!\t)", messages(directory)[0], re.M | re.S)[0].decode() if messages(directory) else str((got, err))
shown = block("text", "Received:").text
ok(document.alike(received, shown) and received.count("\n") == 6, "the header field is as it is shown", received)
ok(all(f" {f}=" in err for f in ("tls", "tls_cipher", "tls_group", "tls_sni")), "the record of the session has the fields that are named", err)

# A machine by its certificate.
machine = (os.path.join(TMP, "machine/cert.pem"), os.path.join(TMP, "machine/key.pem"))
document.certificate(*machine, "machine.example.com")
fingerprint = subprocess.run(["openssl", "x509", "-in", machine[0], "-noout", "-fingerprint", "-sha256"], capture_output=True, text=True).stdout.strip().split("=")[1]
script = write("check-machine", block("sh", "check-machine").text.replace("/etc/smtpin/machines", os.path.join(TMP, "machines")))
write("machines", "00:11\n" + fingerprint + "\n", 0o644)
conf = configuration(f"tls = may\ntls_ask_certificate = yes\ntls_certificate = /etc/letsencrypt/live/mx.example.org\ncheck_client = {script}\n", "machine.conf")
# (The check of the client is before its certificate is known; so the recipient is asked about.)
p, c = session_of(conf, "smtp")
read_reply(c)
def say(to, line): to.sendall(line.encode() + b"\r\n"); return read_reply(to).decode().split("\r\n")[-2]
FROM = ["EHLO client.example.com", "MAIL FROM:<joe@someplace.org>", "RCPT TO:<jane@example.org>"]
equal([say(c, i)[:3] for i in FROM] + [say(c, "RSET")[:3]], ["250", "250", "550", "250"], "the check command refuses a client without a certificate")
say(c, "STARTTLS")
with client(pair=machine).wrap_socket(c) as s: equal([say(s, i)[:3] for i in FROM], ["250", "250", "250"], "inside TLS it is asked again, and takes the machine whose certificate it knows")
p.communicate(timeout=30)
stranger = (os.path.join(TMP, "stranger/cert.pem"), os.path.join(TMP, "stranger/key.pem"))
document.certificate(*stranger, "machine.example.com")
for what, context in (("another certificate with the same name", client(pair=stranger)), ("no certificate", client())):
    got, err = shake(conf, context, items=FROM)
    ok(got[-1][-1].startswith("550 5.7.1 Not one of our machines"), f"it refuses {what}", (got, err))

# Super-servers.
def program(package, name):
    for place in glob.glob(f"{PEERS}/{package}/**/*bin/{name}", recursive=True) if PEERS else []:
        if os.access(place, os.X_OK) and not os.path.isdir(place): return place
    return shutil.which(name)


ROOT = os.geteuid() == 0
CONF = configuration("tls_certificate = self-signed\ntls = may\n", "super.conf")
GOOD = document.certificates("tls_certificate = /etc/letsencrypt/live/mx.example.org\n", TOP).split(" = ")[1].strip()


def mail_to(port, implicit):
    """What becomes of a mail inside TLS; the certificate's bytes."""
    for _ in range(200):
        try: socket.create_connection(("127.0.0.1", port)).close(); break
        except OSError: time.sleep(0.05)
    clear(directory)
    with smtplib.SMTP_SSL("127.0.0.1", port, timeout=30, context=client()) if implicit else smtplib.SMTP("127.0.0.1", port, timeout=30) as c:
        if not implicit: c.starttls(context=client())
        der = c.sock.getpeercert(True)
        c.sendmail("joe@someplace.org", ["jane@example.org"], b"Subject: x\r\n\r\nx\r\n")
    return der


def served(what, command, port, implicit, stored=True, env=None):
    log = open(os.path.join(TMP, "log"), "w+b")
    p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env={**os.environ, **(env or {})}, cwd=TMP)
    try: der = mail_to(port, implicit)
    except (OSError, smtplib.SMTPException) as e: der = repr(e)
    finally:
        children = [int(c) for c in subprocess.run(["pgrep", "-P", str(p.pid)], capture_output=True, text=True).stdout.split()]
        p.terminate()
        for c in children:
            try: os.kill(c, signal.SIGTERM)
            except ProcessLookupError: pass
        p.wait(20)
    said = open(log.name, "rb").read().decode(errors="replace")
    ok(isinstance(der, bytes) and (not stored or (len(messages(directory)) == 1 and b"with ESMTPS" in messages(directory)[0])), what, f"{der} {said[-1500:]}")
    return said


b = next(b for b in BLOCKS if b.heading == "inetd, port 465")
inetd = program("openbsd-inetd", "inetd")
if not inetd or not ROOT: skip(f"{b.where}: inetd", "no inetd (Debian: openbsd-inetd)" if not inetd else "needs root")
else:
    port = free_port()
    line = re.sub(r"^submissions ", f"127.0.0.1:{port} ", b.text).replace(" smtpin /usr/sbin/smtpin smtpin", f" nobody {SMTPIN} smtpin -f {CONF}").replace("nowait.100000", "nowait.100000")
    served(f"{b.where}: inetd, 465", [inetd, "-i", write("inetd.conf", line, 0o644)], port, True)
tcpserver = program("ucspi-tcp", "tcpserver")
mailfront = program("mailfront", "mailfront")
for b in [b for b in BLOCKS if b.text.startswith("tcpserver")]:
    if not tcpserver: skip(b.where, "no tcpserver (Debian: ucspi-tcp)"); continue
    if "mailfront" in b.text and not mailfront: skip(b.where, "no mailfront (Debian: mailfront)"); continue
    port, words = free_port(), []
    old = shlex.split(b.text)
    for i, w in enumerate(old):
        if not ROOT and (w in ("-u", "-g") or old[i - 1] in ("-u", "-g")): continue
        if w.startswith("$(id "): w = "65534" if ROOT else str(os.getuid())
        if w == "0" and old[i + 1] in ("25", "465"): words += ["-R", "-H", "-l", "0"] if "-R" not in old else []
        words += {"tcpserver": [tcpserver], "0": [w if old[i - 1] == "-l" else "127.0.0.1"], "25": [str(port)], "465": [str(port)], "smtpin-tls": [TLS], "/etc/letsencrypt/live/mx.example.org": [GOOD],
                  "/usr/sbin/smtpin": [SMTPIN, "-f", CONF], "mailfront": [mailfront]}.get(w, [w])
    if "mailfront" in b.text:
        lib = os.path.join(os.path.dirname(os.path.dirname(mailfront)), "lib")
        served(f"{b.where}: mailfront with STARTTLS", words, port, False, stored=False, env={"LD_LIBRARY_PATH": lib, "MODULE_PATH": lib + "/mailfront"})
    else: served(f"{b.where}: {words[len(words) - 2]} {words[-1]}", words, port, True)
# What s6-ucspitlsd does, done by smtpin-tls: smtpin has no certificate of its own.
if not tcpserver: skip("smtpin behind a UCSPI-TLS program", "no tcpserver (Debian: ucspi-tcp)")
else:
    port = free_port()
    served("smtpin behind a UCSPI-TLS program: STARTTLS", [tcpserver, "-R", "-H", "-l", "0", "127.0.0.1", str(port), TLS, "--certificate", GOOD, "--ucspi", "--", SMTPIN, "-f", configuration("tls = may\n", "ucspi.conf")], port, False)

# What is published.
policy = dict(l.split(": ", 1) for l in block("text", "STSv1").text.strip().split("\n"))
zone = block("zone", "STSv1").text
ok(set(policy) == {"version", "mode", "mx", "max_age"} and policy["mode"] in ("testing", "enforce", "none") and 86400 <= int(policy["max_age"]) <= 31557600, "MTA-STS: the policy has the fields of RFC 8461 3.2", policy)
ok(f"IN MX  10 {policy['mx']}." in zone, "MTA-STS: it names the MX of the zone")
ok(re.search(r'^_mta-sts\.example\.org\.\s+IN TXT "v=STSv1; id=[A-Za-z0-9]{1,32}"$', zone, re.M), "MTA-STS: the record is one of RFC 8461 3.1", zone)
ok(re.search(r'^_smtp\._tls\.example\.org\.\s+IN TXT "v=TLSRPTv1; rua=mailto:[^ ,!]+"$', zone, re.M), "TLSRPT: the record is one of RFC 8460 3", zone)
for b in [b for b in BLOCKS if "IN TLSA" in b.text and b.language == "text"]:
    conf = configuration("tls = may\ntls_certificate = /etc/letsencrypt/live/mx.example.org\n")
    said = subprocess.run([SMTPIN, "-f", conf, "--check"], capture_output=True, text=True, timeout=60).stdout
    line = next((l for l in said.split("\n") if "IN TLSA" in l), "")
    key = subprocess.run(["openssl", "pkey", "-in", GOOD + "/privkey.pem", "-pubout", "-outform", "DER"], capture_output=True).stdout
    ok(document.alike(line, b.text) and hashlib.sha256(key).hexdigest() in line, "DANE: --check prints the record as it is shown, and it is the key's", said)
done()
