"""docs/proxy.md: smtpin behind a proxy: PROXY headers of all kinds, good and hostile; XCLIENT; HAProxy, nginx, socat, swaks as peers."""
import concurrent.futures, http.server, smtplib, ssl, struct, threading
from harness import *
import document
from parent import Parent, connect, say, tcp
from tls_peers import TLS, pair

directory, deliver = taker()
PEERS = os.environ.get("SMTPIN_PEERS", "")
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 198.51.100.7 203.0.113.5 40000 25\r\n"
ENDS = socket.inet_aton("198.51.100.7") + socket.inet_aton("203.0.113.5") + struct.pack(">HH", 40000, 25)
MAIL = mail()
REQUIRED = {"deliver": deliver, "proxy_protocol": "required", "trusted_proxies": "local", "log": "stderr"}


def value(kind, octets): return bytes([kind]) + struct.pack(">H", len(octets)) + octets


def crc32c(octets):
    c = 0xffffffff
    for o in octets:
        c ^= o
        for _ in range(8): c = c >> 1 ^ (0x82F63B78 if c & 1 else 0)
    return c ^ 0xffffffff


def v2(values=b"", command=1, family=0x11, ends=ENDS, length=None, checksum=False):
    body = ends + values + (value(3, b"\0\0\0\0") if checksum else b"")
    h = SIGNATURE + bytes([0x20 | command, family]) + struct.pack(">H", len(body) if length is None else length) + body
    return h[:-4] + struct.pack(">I", crc32c(h)) if checksum else h


SSL = value(0x20, b"\x01\0\0\0\0" + value(0x21, b"TLSv1.3") + value(0x23, b"TLS_AES_256_GCM_SHA384"))
FULL = v2(value(2, b"mx.example.org") + SSL, checksum=True)


def talk(octets, settings=None, end=True, pieces=None):
    """Over a socket pair; what was heard, and the log's last line."""
    p, c = session({**REQUIRED, **(settings or {})}, stderr=subprocess.PIPE)
    try:
        for piece in pieces or [octets]: c.sendall(piece)
        if end: c.shutdown(socket.SHUT_WR)
        heard = read_all(c)
    except (ConnectionError, BrokenPipeError): heard = b""
    c.close()
    log = p.stderr.read().decode()
    p.stderr.close()
    return heard, (log.strip().splitlines() or [""])[-1], p.wait(60)


def field(record, name):
    found = re.search(rf'(?:^| ){name}=("[^"]*"|\S*)', record)
    return found[1].strip('"') if found else None


def is_silent(heard, record, status): return heard == b"" and status == 0 and field(record, "messages") == "0"


# Hostile headers: nothing is said, nothing is delivered, and the log says why. Several at once: most of it is the start of processes.
with concurrent.futures.ThreadPoolExecutor(2) as several:
    for sandbox in ("no", "yes"):
        clear(directory)
        s = {"sandbox": sandbox}
        cut = lambda h, n: talk(h[:n], s)
        step = 1 if sandbox == "no" and not SANITIZED else 7
        for name, h in (("version 1", V1), ("version 2", FULL)):
            said = list(several.map(lambda n: cut(h, n), range(0, len(h), step)))
            ok(all(is_silent(*r) for r in said), f"sandbox {sandbox}: {name}, cut at each octet: not a word", [r for r in said if not is_silent(*r)][:3])
            ok({field(r[1], "end") for r in said} == {"eof", "proxy_cut"}, "... and the log says that it was cut", {field(r[1], "end") for r in said})
        lies = [0, 1, 11, 13, 20, len(FULL) - 17, len(FULL) - 15, 0x7fff, 0xffff]
        said = list(several.map(lambda n: talk(FULL[:14] + struct.pack(">H", n) + FULL[16:], s), lies))
        ok(all(is_silent(*r) for r in said), f"sandbox {sandbox}: a length that lies: not a word", [r for r in said if not is_silent(*r)][:3])
        nested = [v2(value(0x20, b"\x01\0\0\0\0" + bytes([0x21, 0, n]) + b"TLSv1.3")) for n in (6, 8, 255)] + [v2(bytes([2, 0, n]) + b"mx.example.org") for n in (15, 255)]
        said = list(several.map(lambda h: talk(h + MAIL, s), nested))
        ok(all(is_silent(*r) and field(r[1], "end") == "proxy_values" for r in said), "... of a value in it, too", said)
        for name, h, end in (("garbage", bytes(range(256)) * 20, "proxy_none"), ("an early client", b"EHLO x\r\n" + MAIL, "proxy_none"), ("a TLS record", b"\x16\x03\x01\x02\0\x01" + b"x" * 500, "proxy_none"),
                             ("a line without end", b"PROXY TCP4 " + b"1" * 5000, "proxy_long"), ("an unknown version", b"".join((SIGNATURE, b"\x31\x11\0\x0c", ENDS)), "proxy_version"),
                             ("a checksum that is wrong", FULL[:-1] + bytes([FULL[-1] ^ 1]), "proxy_checksum"), ("an address that is none", V1.replace(b".7 ", b".256 "), "proxy_address"),
                             ("65,551 octets", v2(length=0xffff) + b"\4\xff\xef" + b"x" * 0xffff, "proxy_long")):
            r = talk(h + MAIL, s)
            ok(is_silent(*r) and field(r[1], "end") == end, f"sandbox {sandbox}: {name}: {end}", r)
        ok(messages(directory) == [], "nothing was delivered")
        # What is good: whole, in pieces, with 64 KiB of values, and a certificate of kilobytes (HAProxy, April 2026).
        largest = v2(value(0xea, b"x" * (65520 - 15)))
        good = {"version 1": V1, "version 2": FULL, "64 KiB of values": largest, "a certificate": v2(value(0x20, b"\x07\0\0\0\0" + value(0x21, b"TLSv1.3") + value(0x26, b"x25519") + value(0x27, b"rsa_pss") + value(0x28, b"x" * 8000))),
                "values of nobody's": v2(b"".join(value(k, b"x") for k in range(0x30, 0x100)))}
        said = {n: talk(h + MAIL, s) for n, h in good.items()}
        ok(all(codes(r[0])[-2:] == ["250", "221"] and field(r[1], "client_address") == "198.51.100.7" for r in said.values()), f"sandbox {sandbox}: good ones are taken: {', '.join(good)}", said)
        slow = talk(b"", s, pieces=[FULL[i:i + 1] for i in range(len(FULL))] + [MAIL])
        ok(codes(slow[0])[-2:] == ["250", "221"], "... octet by octet, too", slow)
        out, err, status = pipe(V1 + MAIL, {**REQUIRED, **s})
        ok(codes(out)[-2:] == ["250", "221"] and b"client_address=198.51.100.7" in err, "... and on a pipe, where nobody can look ahead", (out, err))
        got = messages(directory)
        ok(len(got) == len(good) + 2 and all(b"Received: from client.example.com ([198.51.100.7])" in m for m in got), "each message has its client in Received:", got[:1])

# Time: who is silent, or trickles, is sent away without a word.
began = time.monotonic()
r = talk(V1[:20], {"proxy_timeout": "1"}, end=False)
ok(is_silent(*r) and field(r[1], "end") == "proxy_timeout" and 0.9 < time.monotonic() - began < 10, "half a header and then nothing: proxy_timeout", r)
p, c = session({**REQUIRED, "proxy_timeout": "1"}, stderr=subprocess.PIPE)
began, sent = time.monotonic(), 0
while p.poll() is None and time.monotonic() - began < 20 and sent < len(FULL) - 1:
    try: c.sendall(FULL[sent:sent + 1])
    except OSError: break
    sent += 1; time.sleep(0.05)
p.wait(20); c.close()
ok(b"end=proxy_timeout" in p.stderr.read() and time.monotonic() - began < 10, "an octet now and then buys no time", sent)
p.stderr.close()

# Who is believed.
r = talk(V1 + MAIL, {"trusted_proxies": "192.0.2.0/24"})
ok(is_silent(*r) and field(r[1], "end") == "proxy_untrusted", "a peer that is not listed: not a word", r)
r = talk(V1 + MAIL, {"client_address": "192.0.2.1", "trusted_proxies": "192.0.2.0/24"})
ok(codes(r[0])[-2:] == ["250", "221"] and field(r[1], "proxy_address") == "192.0.2.1" and field(r[1], "client_address") == "198.51.100.7", "the log has both, the client and its proxy", r)
r = talk(FULL + MAIL)
ok(field(r[1], "proxy_tls") == "TLSv1.3" and field(r[1], "proxy_tls_sni") == "mx.example.org" and field(r[1], "tls") is None and field(r[1], "protocol") == "ESMTP", "what the proxy says of TLS is in the log, and counts for nothing", r)
r = talk(FULL + MAIL, {"proxy_tls": "yes"})
ok(field(r[1], "tls") == "TLSv1.3" and field(r[1], "protocol") == "ESMTPS", "... unless proxy_tls says so", r)
# How much a record is worth: a check that says nothing, or EHLO and QUIT, less than a session; a proxy without a header, as much.
with open(os.path.join(TMP, "levels"), "w+b") as f:
    st = os.fstat(f.fileno())
    for octets in (v2(command=0, family=0, ends=b""), v2(command=0, family=0, ends=b"") + b"EHLO probe.example.org\r\nQUIT\r\n", V1 + b"EHLO probe.example.org\r\nQUIT\r\n", b"EHLO x\r\n"):
        subprocess.run(arguments(REQUIRED), input=octets, stdout=subprocess.DEVNULL, stderr=f, timeout=60, env={**os.environ, "JOURNAL_STREAM": f"{st.st_dev}:{st.st_ino}"})
    f.seek(0)
    equal(re.findall(r"^<(\d)>session", f.read().decode(), re.M), ["7", "7", "5", "5"], "a health check is debug in the log")
# tcpserver's RELAYCLIENT is the proxy's.
relay = mail(envelope=b"EHLO x\r\nMAIL FROM:<s@example.com>\r\nRCPT TO:<r@elsewhere.example>\r\n") 
p = subprocess.run(arguments({**REQUIRED, "trusted_proxies": "192.0.2.1"}), input=V1 + relay, capture_output=True, timeout=60, env={**os.environ, "TCPREMOTEIP": "192.0.2.1", "TCPREMOTEHOST": "proxy.example.net", "RELAYCLIENT": ""})
ok(b"550 5.7.1 Relaying denied" in p.stdout and b"proxy.example.net" not in p.stderr, "RELAYCLIENT and TCPREMOTEHOST of the proxy are not its client's", (p.stdout, p.stderr))
# A recording has the header, and plays as it is.
traces = os.path.join(TMP, "traces"); os.mkdir(traces)
for h in (V1, FULL):
    r = talk(h + MAIL, {"trace": traces, "client_address": "192.0.2.1", "trusted_proxies": "192.0.2.1"})
    name = os.path.join(traces, sorted(os.listdir(traces))[-1])
    again = subprocess.run([REPLAY, "--smtpin", SMTPIN, "-f", "/dev/null", "-o", "domains=example.org", "-o", "deliver=/bin/true", "-o", "proxy_protocol=required", "-o", "trusted_proxies=192.0.2.1", name], capture_output=True, text=True, timeout=60)
    ok(again.returncode == 0 and "C! " in open(name).read(), "a recording begins with the header, and can be replayed", again.stdout + open(name).read())
    os.unlink(name)

# The administrator hears what is worth knowing.
check = lambda **s: subprocess.run(arguments({"deliver": "/bin/true", "spool_dir": TMP, **s}) + ["--check"], capture_output=True, text=True, timeout=60)
r = check(proxy_protocol="required")
ok(r.returncode == 0 and "trusted_proxies: note: is not set" in r.stdout, "--check: nobody is trusted", r.stdout)
r = check(proxy_protocol="required", trusted_proxies="::/0", xclient_clients="0.0.0.0/0")
ok(r.stdout.count("can pretend to be any client") == 2, "--check: everybody is", r.stdout)
r = check(proxy_tls="yes", xclient_login="yes")
ok("proxy_tls: note:" in r.stdout and "xclient_login: note:" in r.stdout, "--check: settings without effect", r.stdout)
r = check(proxy_protocol="required", trusted_proxies="10.0.0.1", requiretls="yes", proxy_tls="yes")
ok(r.returncode == 0, "requiretls goes with proxy_tls", r.stdout)

# While smtpin listens: limits and penalties are the client's, not the proxy's.
listener = tcp()
ONE = "proxy_protocol = required\ntrusted_proxies = 127.0.0.0/8\nmax_connections_per_source = 2\npenalty_exempt = 192.0.2.0/24\n"
address = lambda last: b"PROXY TCP4 198.51.100.%d 203.0.113.5 40000 25\r\n" % last


def enter(octets):
    c = connect(listener)
    c.sendall(octets)
    return c, read_reply(c).decode()


for sandbox in ("no", "auto"):
    parent = Parent([("smtp", listener)], {"deliver": deliver, "sandbox": sandbox}, ONE + "penalty_abuse = 60\npenalty_min = 1\n")
    held = [enter(address(n)) for n in (1, 1, 1, 2, 2, 2, 3)]
    ok([g[:3] for _, g in held] == ["220", "220", "421", "220", "220", "421", "220"], f"sandbox {sandbox}: two for each client, none for the proxy", [g for _, g in held])
    ok(held[2][1].startswith("421 mx.example.org Too many connections from your"), "... and who is one too many hears why", held[2][1])
    local = [enter(v2(command=0, family=0, ends=b"")) for _ in range(4)]
    ok([g[:3] for _, g in local] == ["220"] * 4, "a proxy's own connections have no source")
    for c, _ in held[:1]: c.sendall(b"QUIT\r\n"); read_all(c)
    end, again = time.monotonic() + 20, "421"
    while again.startswith("421") and time.monotonic() < end:
        time.sleep(0.05); c, again = enter(address(1)); held.append((c, again))
    ok(again.startswith("220"), "a place that is free again can be had", again)
    for c, _ in held + local: c.close()
    c, _ = enter(address(9)); c.sendall(b"GET / HTTP/1.1\r\n\r\n"); read_all(c); c.close()
    ok(parent.wait_said("event=penalty"), "who behaves badly has a penalty", parent.said()[-500:])
    ok("client_address=198.51.100.9 cause=abuse" in parent.said(), "... the client, not the proxy", parent.said()[-500:])
    ok(enter(address(9))[1].startswith("421 mx.example.org Too many offences") and enter(address(8))[1].startswith("220"), "... and others have none")
    ok(parent.end() == 0 and " violation=" not in parent.said(), "it ends well", parent.said()[-800:])
parent = Parent([("smtp", listener)], {"deliver": deliver}, "xclient_clients = 127.0.0.1\nmax_connections_per_source = 2\n")
held = [connect(listener) for _ in range(4)]
for c in held: c.sendall(b"XCLIENT ADDR=198.51.100.1\r\n")
heard = [(read_one(c)[:3], read_one(c)[:3]) for c in held]
ok(sorted(heard) == [("220", "220")] * 2 + [("220", "421")] * 2, "XCLIENT: the same", heard)
for c in held: c.close()
parent.end()

# Real peers. The recipes of docs/proxy.md: (heading, language) -> text.
RECIPES = {(b.heading, b.language): b.text for b in document.blocks(SOURCE) if b.file == "docs/proxy.md"}


def put(text, *changes):
    """A recipe at this test's own addresses."""
    for old, new in changes:
        if old not in text: raise SystemExit(f"docs/proxy.md: no {old!r} any more")
        text = text.replace(old, new)
    return text


def stop(p):
    p.terminate()
    try: p.wait(20)
    except subprocess.TimeoutExpired: p.kill(); p.wait()


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition(): return True
        time.sleep(0.05)
    return False


def is_open(port):
    try: socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError: return False
    return True


def sent(port, tls=None, source="127.0.0.9", to="jane@example.org", start=None):
    """By Python's client, inside TLS, or with STARTTLS; "sent", or what went wrong."""
    try:
        with (smtplib.SMTP_SSL if tls else smtplib.SMTP)("127.0.0.1", port, timeout=30, source_address=(source, 0), **({"context": tls} if tls else {})) as c:
            c.ehlo("client.example.com")
            if start: c.starttls(context=start); c.ehlo("client.example.com")
            c.sendmail("s@example.com", [to], "Subject: x\r\n\r\nx\r\n")
        return "sent"
    except (OSError, smtplib.SMTPException) as e: return repr(e)


if not have("haproxy"): skip("HAProxy", "not installed")
else:
    clear(directory)
    mx = pair("mx", "/CN=mx.example.org")
    both = write("mx-both.pem", open(mx[0]).read() + open(mx[1]).read(), 0o600)
    fronts, stats = [free_port() for _ in range(4)], os.path.join(TMP, "haproxy.sock")
    behind, plain = tcp(), tcp()
    port, bare = (s.getsockname()[1] for s in (behind, plain))
    parent = Parent([("smtp", behind), ("plain", plain)], {"deliver": deliver}, "proxy_timeout = 3\nmax_connections_per_source = 3\n[smtp]\nproxy_protocol = required\ntrusted_proxies = 127.0.0.1\nproxy_tls = yes\n")
    conf = write("haproxy.cfg", f"""global
  stats socket {stats} mode 600
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  default-server check inter 100ms fall 2 rise 1
frontend f1
  bind 127.0.0.1:{fronts[0]}
  default_backend v1
frontend f2
  bind 127.0.0.1:{fronts[1]}
  default_backend v2
frontend f3
  bind 127.0.0.1:{fronts[2]} ssl crt {both}
  default_backend v2ssl
frontend f4
  bind 127.0.0.1:{fronts[3]}
  default_backend none
backend v1
  server a 127.0.0.1:{port} send-proxy
backend v2
  option smtpchk EHLO probe.example.org
  server a 127.0.0.1:{port} send-proxy-v2
backend v2ssl
  server a 127.0.0.1:{port} send-proxy-v2-ssl-cn proxy-v2-options ssl,cert-cn,ssl-cipher,authority,crc32c
backend none
  server a 127.0.0.1:{port}
backend direct
  option smtpchk EHLO probe.example.org
  server a 127.0.0.1:{bare}
""", 0o644)
    haproxy = subprocess.Popen(["haproxy", "-f", conf, "-db"], stderr=subprocess.DEVNULL)

    def states():
        """BACKEND: UP or DOWN, and what its last check has said."""
        try:
            with socket.socket(socket.AF_UNIX) as c:
                c.settimeout(10); c.connect(stats); c.sendall(b"show stat\n")
                lines = read_all(c).decode().lstrip("# ").splitlines()
        except OSError: return {}
        columns = lines[0].split(",")
        rows = [dict(zip(columns, l.split(","))) for l in lines[1:] if l]
        return {r["pxname"]: (r["status"], r["check_status"]) for r in rows if r["svname"] == "a"}

    context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
    ok(until(lambda: states().get("v2") == ("UP", "L7OK")), "HAProxy's smtpchk behind a header: the server is up", states())
    ok(until(lambda: states().get("direct") == ("UP", "L7OK")), "... and without a header, too", states())
    for name, front, tls in (("v1", fronts[0], None), ("v2", fronts[1], None), ("v2-ssl-cn", fronts[2], context)):
        equal(sent(front, tls), "sent", f"HAProxy, {name}: a message is delivered")
        got = messages(directory)[-1] if messages(directory) else b""
        ok(b"from client.example.com ([127.0.0.9])" in got, "... with the client's address", got)
        ok((b"with ESMTPS" in got) == bool(tls), "... and as the client has sent it to HAProxy", got)
    ok(parent.wait_said("proxy_tls=TLSv1.3"), "the version of TLS is in the log", parent.said()[-600:])
    several = [smtplib.SMTP("127.0.0.1", fronts[1], timeout=30, source_address=(f"127.0.0.{n}", 0)) for n in range(20, 28)]
    ok(len(several) == 8, "clients do not share the limit of one source")
    for c in several: c.close()
    ok(sent(fronts[3]) != "sent", "a backend without send-proxy: the connection is closed", parent.said()[-600:])
    ok(parent.wait_said("end=proxy_timeout") or parent.wait_said("end=proxy_none"), "... and the log says why", parent.said()[-600:])
    before = parent.said()
    ok("crash" not in before and "refusal" not in before.replace("refusals=", ""), "checks are no refusals", [l for l in before.splitlines() if " refusal " in l][:3])
    stop(haproxy)
    parent.end()

    # docs/proxy.md, HAProxy: ports 25, 587 and 465, TLS by smtpin on the one, by HAProxy on the other.
    clear(directory)
    sockets = [(name, tcp()) for name in ("proxied", "proxied-submission", "proxied-submissions")]
    fronts = [free_port() for _ in range(3)]
    text = put(RECIPES["HAProxy", "haproxy"], (":465 ssl crt /etc/haproxy/mx.pem", f"127.0.0.1:{fronts[2]} ssl crt {both}"), ("bind :25", f"bind 127.0.0.1:{fronts[0]}"), ("bind :587", f"bind 127.0.0.1:{fronts[1]}"),
               *((f"10.0.0.2:{n}", f"127.0.0.1:{s.getsockname()[1]}") for n, (_, s) in zip((2525, 2587, 2465), sockets)))
    settings = put(RECIPES["HAProxy", "conf"], ("domains = example.org\n", ""), ("trusted_proxies = 10.0.0.1", "trusted_proxies = 127.0.0.1"))
    tls = {"tls_command": TLS, "tls_service": "no", "tls_certificate": f"{mx[0]} {mx[1]}"} if os.path.exists(TLS) else {}
    parent = Parent(sockets, {"deliver": deliver, **tls}, settings)
    haproxy = subprocess.Popen(["haproxy", "-f", write("recipe.cfg", text, 0o644), "-db"], stderr=subprocess.DEVNULL)
    ok(until(lambda: all(is_open(n) for n in fronts)), "docs/proxy.md, HAProxy: it takes the recipe")
    for n, name, protocol in ((fronts[0], "port 25", b"with ESMTP id"), (fronts[1], "port 587, STARTTLS", b"with ESMTPS id"), (fronts[2], "port 465", b"with ESMTPS id")):
        if n == fronts[1] and not tls: skip(name, "the static build has no smtpin-tls"); continue
        until(lambda: sent(n, context if n == fronts[2] else None, start=context if n == fronts[1] else None) == "sent")
        got = (messages(directory) or [b""])[-1]
        ok(b"([127.0.0.9])" in got and protocol in got, f"... {name}: the client's address, and its TLS", (got, parent.said()[-500:]))
    stop(haproxy)
    ok(parent.end() == 0 and " violation=" not in parent.said(), "it ends well", parent.said()[-800:])

mail_module = os.path.join(PEERS, "nginx/usr/lib/nginx/modules/ngx_mail_module.so") if PEERS else ""
nginx = os.path.join(PEERS, "nginx/usr/sbin/nginx") if PEERS else ""
if not os.path.exists(mail_module): nginx, mail_module = shutil.which("nginx"), "/usr/lib/nginx/modules/ngx_mail_module.so"
if not nginx or not os.path.exists(mail_module): skip("nginx", "nginx and libnginx-mod-mail are not installed")
else:
    clear(directory)
    behind, headed = tcp(), tcp()
    ports = {"plain": behind.getsockname()[1], "headed": headed.getsockname()[1]}
    parent = Parent([("smtp", behind), ("headed", headed)], {"deliver": deliver},
                    put(RECIPES["nginx", "conf"], ("domains = example.org\n", ""), ("10.0.0.1", "127.0.0.1")) + "[headed]\nproxy_protocol = required\ntrusted_proxies = 127.0.0.1\n[smtp]\nxclient_login = yes\n")

    class Auth(http.server.BaseHTTPRequestHandler):
        """auth_http: everybody may come in, and the password of jane is right."""
        def do_GET(self):
            self.send_response(200)
            wanted = self.headers.get("Auth-Method") == "none" or (self.headers.get("Auth-User"), self.headers.get("Auth-Pass")) == ("jane", "secret")
            for k, v in {"Auth-Status": "OK" if wanted else "Invalid login", "Auth-Server": "127.0.0.1", "Auth-Port": str(ports[self.path.strip("/")])}.items(): self.send_header(k, v)
            self.end_headers()
        def log_message(self, *_): pass
    auth = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Auth)
    threading.Thread(target=auth.serve_forever, daemon=True).start()
    at = [free_port() for _ in range(3)]
    conf = write("nginx.conf", f"""load_module {mail_module};
daemon off; master_process off; pid {TMP}/nginx.pid; error_log {TMP}/nginx.log;
events {{ }}
{put(RECIPES["nginx", "nginx"], ("127.0.0.1:8008/", f"127.0.0.1:{auth.server_port}/plain"), ("listen 25;", f"listen 127.0.0.1:{at[0]};")).rstrip().removesuffix("}")}
  server {{ listen 127.0.0.1:{at[1]}; protocol smtp; smtp_auth login plain; xclient on; }}
  server {{ listen 127.0.0.1:{at[2]}; protocol smtp; smtp_auth none; xclient off; proxy_protocol on; auth_http 127.0.0.1:{auth.server_port}/headed; }}
}}
""", 0o644)
    server = subprocess.Popen([nginx, "-p", TMP, "-c", conf], stderr=subprocess.DEVNULL)
    ok(until(lambda: all(is_open(n) for n in at)), "nginx is there", open(f"{TMP}/nginx.log").read()[-500:] if os.path.exists(f"{TMP}/nginx.log") else "")
    equal(sent(at[0]), "sent", "nginx, XCLIENT: a message is delivered")
    got = messages(directory)[-1] if messages(directory) else b""
    ok(b"from client.example.com ([127.0.0.9])" in got, "... with the client's address, and its own EHLO", (got, parent.said()[-900:]))
    ok("550" in sent(at[0], to="r@elsewhere.example"), "a recipient's refusal comes through", parent.said()[-500:])
    try:
        with smtplib.SMTP("127.0.0.1", at[1], timeout=30) as c:
            c.login("jane", "secret"); c.sendmail("s@example.com", ["r@elsewhere.example"], "Subject: x\r\n\r\nx\r\n")
        why = "sent"
    except (OSError, smtplib.SMTPException) as e: why = repr(e)
    equal(why, "sent", "nginx checks the login, xclient_login believes it")
    ok(parent.wait_said("sasl_username=jane sasl_method=XCLIENT"), "... and the log has it", parent.said()[-600:])
    equal(sent(at[2]), "sent", "nginx, proxy_protocol: a message is delivered, though EHLO comes with the header")
    ok(b"([127.0.0.9])" in (messages(directory)[-1] if messages(directory) else b""), "... with the client's address")
    stop(server); auth.shutdown(); auth.server_close()
    ok(parent.end() == 0 and " violation=" not in parent.said(), "it ends well", parent.said()[-600:])

if not have("swaks"): skip("swaks", "not installed")
else:
    def swaks(settings, *words):
        clear(directory)
        listener = tcp()
        parent = Parent([("smtp", listener)], {"deliver": deliver, "trusted_proxies": "127.0.0.1", **settings})
        r = subprocess.run(["swaks", "--server", f"127.0.0.1:{listener.getsockname()[1]}", "--from", "s@example.com", "--to", "r@example.org", "--helo", "client.example.com", *words], capture_output=True, text=True, timeout=60)
        parent.end(); listener.close()
        return r, (messages(directory) or [b""])[0]
    for version in ("1", "2"):
        r, got = swaks({"proxy_protocol": "required"}, "--proxy-version", version, "--proxy-family", "TCP4" if version == "1" else "AF_INET", *(["--proxy-protocol", "STREAM", "--proxy-command", "PROXY"] if version == "2" else []),
                       "--proxy-source", "198.51.100.7", "--proxy-source-port", "40000", "--proxy-dest", "203.0.113.5", "--proxy-dest-port", "25")
        ok(r.returncode == 0 and b"[198.51.100.7]" in got, f"swaks --proxy-version {version}", r.stdout + r.stderr)
    r, got = swaks({"xclient_clients": "127.0.0.1"}, "--xclient-addr", "198.51.100.7", "--xclient-name", "client.example.com", "--xclient-delim", "--xclient-port", "40000")
    ok(r.returncode == 0 and b"(client.example.com [198.51.100.7])" in got, "swaks --xclient, in two commands", r.stdout + r.stderr)
    r, got = swaks({}, "--xclient-addr", "198.51.100.7")
    ok(r.returncode != 0 and "XCLIENT" not in "".join(l for l in r.stdout.splitlines() if l.startswith("<")), "without xclient_clients, it is not offered", r.stdout)

# Fronts without a header: the address is their own, and where a header is required, they get nothing.
local = os.path.join(TMP, "local.sock")
unix = socket.socket(socket.AF_UNIX); unix.bind(local); unix.listen(20)
parent = Parent([("smtp", unix)], {"deliver": deliver})
if have("socat"):
    n = free_port()
    front = subprocess.Popen(["socat", f"TCP-LISTEN:{n},bind=127.0.0.1,reuseaddr,fork", f"UNIX-CONNECT:{local}"], stderr=subprocess.DEVNULL)
    clear(directory)
    ok(until(lambda: is_open(n)) and sent(n) == "sent", "socat in front of a local socket: a message is delivered")
    stop(front)
    ok(b"from client.example.com" in (messages(directory) or [b""])[0] and b"[127.0.0.9]" not in (messages(directory) or [b""])[0], "... which tells no address", messages(directory))
else: skip("socat", "not installed")
parent.end()
parent = Parent([("smtp", unix)], {"deliver": deliver}, "proxy_protocol = required\ntrusted_proxies = local\nproxy_timeout = 1\n")
c = connect(unix); c.sendall(V1)
ok(read_reply(c).startswith(b"220"), "a header on a local socket is believed by the word local")
c.close()
proxyd = "/lib/systemd/systemd-socket-proxyd"
if os.path.exists(proxyd) and have("systemd-socket-activate"):
    n = free_port()
    front = subprocess.Popen(["systemd-socket-activate", "-l", f"127.0.0.1:{n}", proxyd, local], stderr=subprocess.DEVNULL)
    ok(until(lambda: is_open(n)) and sent(n) != "sent", "systemd-socket-proxyd has no header: the connection is closed")
    ok(parent.wait_said("end=proxy_timeout") or parent.wait_said("end=proxy_none"), "... and the log says why", parent.said()[-500:])
    stop(front)
else: skip("systemd-socket-proxyd", "not installed")
parent.end()
done()
