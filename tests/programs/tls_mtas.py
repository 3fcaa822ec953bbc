"""Mail servers that send with TLS (Postfix's smtp(8) and posttls-finger(1), Exim), testssl.sh, and smtpin where others do TLS: smtpin-tls --wrap and --ucspi."""
import concurrent.futures, json, smtplib
from harness import *
from tls_peers import *

if not os.path.exists(TLS): skip("TLS with mail servers", "this build has no smtpin-tls"); done()
directory, deliver = taker()
BODY = b"From: a@example.com\nTo: b@example.org\nSubject: test\nMessage-ID: <1@example.com>\nDate: Mon, 23 Nov 2026 00:00:00 +0000\n\n.dot first\n..two\n\n8 bit: \xc3\xa9\nlast line\n"
warm = Warm()
servers = {(tls, sandbox): Server({"deliver": deliver, "sandbox": sandbox, **(warm.settings if tls == "warm" else {})}) for tls, sandbox in WAYS}
# What a server sends with: way of ours, port, version, SNI, certificate.
KINDS = [(WAYS[i % len(WAYS)], implicit, version, sni, certificate) for i, (implicit, version, sni, certificate) in enumerate(
    (implicit, version, sni, certificate) for version in ("TLSv1.2", "TLSv1.3") for implicit in (False, True)
    for sni, certificate in ((HOST, None), (None, CLIENT), (OTHER, STRANGER)))]


def port_of(kind): return servers[kind[0]].port["submissions" if kind[1] else "smtp"]


def check(name, seconds=60, log=""):
    """Each kind's message has come, byte for byte, with its facts."""
    broken, end = [], time.monotonic() + seconds
    for i, kind in enumerate(KINDS):
        way, implicit, version, sni, certificate = kind
        while time.monotonic() < end:
            env, message = environment_of(directory, f"s{i}@example.com")
            if message: break
            time.sleep(0.1)
        if not message: broken.append((kind, "no message", log[-1500:] if isinstance(log, str) else log())); break
        got = {k: env.get(k) for k in ("SSL_PROTOCOL", "SSL_TLS_SNI", "SSL_CLIENT_NAME", "CLIENT_PROTOCOL")}
        expected = {"SSL_PROTOCOL": version, "SSL_TLS_SNI": sni, "SSL_CLIENT_NAME": "client.example.com" if certificate is CLIENT else "stranger.example.net" if certificate else None, "CLIENT_PROTOCOL": "ESMTPS"}
        # Exim's GnuTLS has none of the authorities that we name, and sends nothing.
        if name == "Exim" and certificate is STRANGER: expected["SSL_CLIENT_NAME"] = None
        verify = "NONE" if not expected["SSL_CLIENT_NAME"] else "SUCCESS" if certificate is CLIENT else "FAILED:unable to get local issuer certificate"
        if got != expected or env.get("SSL_CLIENT_VERIFY") != verify: broken.append((kind, got, expected, env.get("SSL_CLIENT_VERIFY")))
        if not message.endswith(b"\n" + BODY) or f"({version}".encode() not in message or not re.search(rb"\n\ttls TLS_\w+ group \w+;\n", message): broken.append((kind, message))
        if not servers[way].records(" session ", "session=" + env["SMTPIN_ID"].rsplit("-", 1)[0] + " ", f"tls={version}", *([f"tls_sni={sni}"] if sni else [])): broken.append((kind, "record"))
    ok(not broken, f"{name}: {len(KINDS)} messages, byte for byte, and the facts", "\n".join(repr(b)[:2500] for b in broken[:3]))
    clear(directory)


# ---- Postfix, a private instance with an smtp(8) for each kind.
postfix = os.path.join(PEERS, "postfix/usr/lib/postfix")
if ROOT and PEERS and os.path.exists(postfix + "/sbin/master"):
    senders = write("postfix-senders", "".join(f"s{i}@example.com smtp{i}:[127.0.0.1]:{port_of(kind)}\n" for i, kind in enumerate(KINDS)), 0o644)
    transports = ""
    for i, (_, implicit, version, sni, certificate) in enumerate(KINDS):
        transports += (f"smtp{i} unix - - n - - smtp -o smtp_tls_mandatory_protocols={'>=' if version == 'TLSv1.3' else '>=TLSv1.2,<='}{version} -o smtp_tls_wrappermode={'yes' if implicit else 'no'}"
                       + (f" -o smtp_tls_servername={sni}" if sni else "") + (f" -o smtp_tls_cert_file={certificate[0]} -o smtp_tls_key_file={certificate[1]}" if certificate else "") + "\n")
    master, queue, prefix, environment = own_postfix("postfix", f"""myhostname = q.example.net
mydestination =
smtp_tls_security_level = encrypt
smtp_tls_loglevel = 1
smtp_destination_concurrency_limit = 20
sender_dependent_default_transport_maps = texthash:{senders}
""", transports, lambda queue: os.path.exists(queue + "/public/pickup"))
    said = b""
    for i in range(len(KINDS)):
        p = subprocess.run([*prefix, PEERS + "/postfix/usr/sbin/sendmail", "-i", "-f", f"s{i}@example.com", "b@example.org"], input=BODY, env=environment, capture_output=True, timeout=30)
        said += p.stdout + p.stderr
    check("Postfix", 25, log=lambda: said.decode() + (open(queue + "/log").read()[-25000:] if os.path.exists(queue + "/log") else ""))
    broken = []
    for kind in KINDS:
        way, implicit, version, sni, certificate = kind
        p = subprocess.run([*prefix, PEERS + "/postfix/usr/sbin/posttls-finger", "-c", "-l", "secure", "-F", CA[0], "-p", (">=" if version == "TLSv1.3" else ">=TLSv1.2,<=") + version, *(["-w"] if implicit else []),
                            *(["-s", sni] if sni else []), *(["-k", certificate[0], "-K", certificate[1]] if certificate else []), "-Lsummary,verbose", f"[127.0.0.1]:{port_of(kind)}", sni or HOST], env=environment, capture_output=True, text=True, timeout=60)
        # With the name of the certificate that it wants, which it sends as SNI.
        if f"Verified TLS connection established to 127.0.0.1[127.0.0.1]:{port_of(kind)}: {version} " not in p.stdout + p.stderr: broken.append((kind, (p.stdout + p.stderr)[-800:]))
    ok(not broken, f"posttls-finger: {len(KINDS)} handshakes, the certificate of the name is verified", broken[:3])
    end_postfix(master)
else: skip("Postfix sends with TLS", "needs root and Postfix unpacked")

# ---- Exim.
if ROOT and PEERS and os.path.exists(PEERS + "/exim4-daemon-light/usr/sbin/exim4"):
    routers = transports = ""
    for i in range(len(KINDS)): routers += f"r{i}:\n  driver = manualroute\n  senders = s{i}@example.com\n  route_list = * 127.0.0.1\n  self = send\n  transport = t{i}\n"
    for i, kind in enumerate(KINDS):
        _, implicit, version, sni, certificate = kind
        transports += f"t{i}:\n  driver = smtp\n  port = {port_of(kind)}\n  hosts_try_fastopen =\n  hosts_require_tls = *\n  tls_require_ciphers = NORMAL:-VERS-ALL:+VERS-{version.replace('TLSv', 'TLS')}\n  tls_verify_certificates = {CA[0]}\n  tls_verify_hosts = *\n  tls_verify_cert_hostnames =\n"
        transports += ("  protocol = smtps\n" if implicit else "") + (f"  tls_sni = {sni}\n" if sni else "") + (f"  tls_certificate = {certificate[0]}\n  tls_privatekey = {certificate[1]}\n" if certificate else "")
    exim, spool = own_exim("exim", routers, transports)
    said = b""
    for i in range(len(KINDS)):
        p = subprocess.run([*exim, "-odi", "-f", f"s{i}@example.com", "b@example.org"], input=BODY, capture_output=True, timeout=60)
        said += p.stdout + p.stderr
    check("Exim", 20, log=lambda: said.decode() + "".join(open(os.path.join(spool, n)).read()[-1500:] for n in ("mainlog", "paniclog") if os.path.exists(os.path.join(spool, n))))
else: skip("Exim sends with TLS", "needs root and Exim unpacked")
# ---- TLS that whoever has started smtpin does: before it starts, or as UCSPI-TLS has it.
def send(port, implicit, sender, body):
    c = start_tls(port, client_context(certificate=CLIENT), implicit=implicit)
    replies = [say(c, l) for l in ("EHLO client.example.com", f"MAIL FROM:<{sender}>", "RCPT TO:<b@example.org>", "DATA")]
    c.sendall(body)
    return replies + [say(c, b".\r\n"), quit_well(c)]


for front, command in (("systemd-socket-activate", lambda port: ["systemd-socket-activate", "--accept", "--inetd", "-l", f"127.0.0.1:{port}"]),
                       ("tcpserver", lambda port: [program("ucspi-tcp", "tcpserver"), "-H", "-R", "-l", "0", "127.0.0.1", str(port)])):
    if not program("ucspi-tcp" if front == "tcpserver" else "", front): skip(f"{front} and smtpin-tls", f"no {front}"); continue
    for way in ("--wrap", "--ucspi"):
        for sandbox in ("yes", "no"):
            title, port = f"{front}, smtpin-tls {way}, sandbox = {sandbox}", free_port()
            conf = write("around.conf", "".join(f"{k} = {v}\n" for k, v in {"hostname": HOST, "domains": "example.org", "deliver": deliver, "log": "stderr", "sandbox": sandbox, "tls": "implicit" if way == "--wrap" else "may"}.items()), 0o644)
            with open(conf + ".log", "wb") as log:
                p = subprocess.Popen([*command(port), TLS, *(w for c in CERTIFICATES for w in ("--certificate", c)), "--client-ca", CLIENT_CA[0], way, "--", SMTPIN, "-f", conf], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            for _ in range(200):
                try: connect(port).close(); break
                except OSError: time.sleep(0.05)
            clear(directory)
            body = b"Subject: x\r\n\r\n" + b"".join(b"%070d\r\n" % i for i in range(20000))
            try: said = send(port, way == "--wrap", "around@example.com", body)
            except Exception as e: said = [repr(e)]
            env, message = environment_of(directory, "around@example.com")
            expected = {"SSL_PROTOCOL": "TLSv1.3", "SSL_TLS_SNI": HOST, "SSL_CLIENT_VERIFY": "SUCCESS", "SSL_CLIENT_NAME": "client.example.com", "CLIENT_PROTOCOL": "ESMTPS", "CLIENT_ADDRESS": "127.0.0.1"}
            got = {k: (env or {}).get(k) for k in expected}
            ok(got == expected and without_trace(message) == body.replace(b"\r\n", b"\n") and said[-1] is None, f"{title}: a message of 1.4 MB, byte for byte, and the facts", (got, said, open(conf + ".log").read()[-800:]))
            if way == "--ucspi":
                with connect(port) as c:
                    read_one(c); say(c, "EHLO x"); say(c, "STARTTLS"); c.sendall(b"EHLO x\r\n")
                    heard = read_all(c)
                ok(only_records(heard) is None, f"{title}: a handshake that fails: no plain text, the end", heard)
                with smtplib.SMTP("127.0.0.1", port, timeout=30) as s: s.sendmail("plain@example.com", ["b@example.org"], b"y\r\n")
                env, message = environment_of(directory, "plain@example.com")
                ok(message and "SSL_PROTOCOL" not in env, f"{title}: and a message without TLS", message)
            said = ""
            for _ in range(100):
                said = open(conf + ".log").read()
                if "session " in said and "tls=TLSv1.3" in said: break
                time.sleep(0.05)
            ok(re.search(r"session .*tls=TLSv1.3 tls_cipher=TLS_.*tls_client=client.example.com", said), f"{title}: the record", said)
            p.terminate(); p.wait(20)

# ---- testssl.sh.
def testssl(name, implicit):
    """It looks for minutes at all that there is; the findings that are worse than LOW, how many are LOW or INFO, or that it has not ended."""
    way = WAYS[-1]
    out = os.path.join(TMP, name + ".json")
    with open(os.path.join(TMP, name + ".out"), "w") as log:
        try: status = subprocess.run(["testssl", *([] if implicit else ["--starttls", "smtp"]), "--ip", "127.0.0.1", "--nodns", "min", "--warnings", "batch", "--color", "0", "--add-ca", CA[0], "--jsonfile", out, f"{HOST}:{servers[way].port['submissions' if implicit else 'smtp']}"],
                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=600, env={**os.environ, "HOME": TMP, "TMPDIR": TMP}).returncode
        except subprocess.TimeoutExpired: status = "it has not ended"
    with open(log.name) as f: said = f.read()
    try: found = json.load(open(out))
    except Exception as e: return None, (status, repr(e), said[-1500:])
    return found, (status, said[-1500:])


if have("testssl") and PEERS:
    with concurrent.futures.ThreadPoolExecutor(2) as pool: results = [(n, pool.submit(testssl, n, n == "implicit")) for n in ("STARTTLS", "implicit")]
    for name, result in results:
        found, said = result.result()
        # What it says of the openssl that it uses itself is not ours.
        bad = [f"{f['id']}: {f['severity']}: {f['finding']}" for f in found or [] if f["severity"] not in ("OK", "INFO", "LOW", "DEBUG") and f["id"] != "engine_problem"]
        for f in found or []:
            if f["severity"] == "LOW": print(f"# testssl.sh, {name}: LOW: {f['id']}: {f['finding']}")
        ok(found and len(found) > 80 and not bad, f"testssl.sh, {name}: {len(found or [])} findings, none above LOW", "\n".join(bad) or said)
else: skip("testssl.sh", "no testssl.sh" if PEERS else "the quick run has no time for it")
for w in WAYS: ok(servers[w].end() == 0, f"{w[0]}, sandbox = {w[1]}: the listening process ends")
warm.end()
done()
