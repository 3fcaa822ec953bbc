"""What the tests of AUTH share: a real Dovecot, a server of the test's own that speaks as one, the client's side of SCRAM, tokens."""
import atexit, base64, hashlib, hmac, json, threading
from harness import *

ROOT = os.geteuid() == 0


def b64(text): return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def plain(user, password, acts_for=""): return b64(f"{acts_for}\0{user}\0{password}")


# SCRAM (RFC 5802), the client's and the server's side ------------------------------------------------------------------------
def hi(name, *parts): return hmac.new(parts[0], b"".join(parts[1:]), name).digest()


class Scram:
    """The client. `said` answers each challenge."""
    def __init__(self, name, user, password, header="n,,", binding=b""):
        self.name, self.password, self.header, self.binding = name, password, header, binding
        self.bare = f"n={user},r=clientnonce"
        self.first = header + self.bare

    def final(self, server_first):
        f = dict(x.split("=", 1) for x in server_first.split(","))
        salted = hashlib.pbkdf2_hmac(self.name, self.password.encode(), base64.b64decode(f["s"]), int(f["i"]))
        key = hi(self.name, salted, b"Client Key")
        without = "c=" + b64(self.header.encode() + self.binding) + ",r=" + f["r"]
        said = f"{self.bare},{server_first},{without}".encode()
        proof = bytes(a ^ b for a, b in zip(key, hi(self.name, hashlib.new(self.name, key).digest(), said)))
        self.v = b64(hi(self.name, hi(self.name, salted, b"Server Key"), said))
        return f"{without},p={b64(proof)}"


def token(user, key):
    now = int(time.time())
    part = lambda o: base64.urlsafe_b64encode(json.dumps(o).encode()).rstrip(b"=")
    said = part({"alg": "HS256", "typ": "JWT"}) + b"." + part({"email": user, "sub": user, "iat": now - 10, "nbf": now - 10, "exp": now + 600})
    return (said + b"." + base64.urlsafe_b64encode(hmac.new(key, said, "sha256").digest()).rstrip(b"=")).decode()


KEY = b"a key of thirty-two octets, and more"


NO_PENALTY = "  unix_listener anvil-auth-penalty {\n    mode = 0\n  }"


class Dovecot:
    """A real one. penalty=False: who has failed does not wait."""
    def __init__(self, name="dv", penalty=True):
        import grp, pwd
        self.place = d = os.path.join(TMP, name)
        os.makedirs(d + "/run"); os.makedirs(d + "/keys/default/HS256")
        me = pwd.getpwnam("nobody") if ROOT else pwd.getpwuid(os.geteuid())
        group = grp.getgrgid(me.pw_gid).gr_name
        write(f"{name}/keys/default/HS256/default", b64(KEY), 0o644)
        write(f"{name}/oauth2", f"introspection_mode = local\nlocal_validation_key_dict = fs:posix:prefix={d}/keys/\n", 0o644)
        write(f"{name}/users", "jane@example.org:{PLAIN}Wonderful!Secret::::::\ncarol:{PLAIN}x::::::nologin reason=gone\ngina:{PLAIN}x::::::proxy host=192.0.2.9\nm\xfcller:{PLAIN}x::::::\n", 0o644)
        write(f"{name}/certificates", "client.example:::::::nopassword\nclient.example.com:::::::nopassword\n", 0o644)
        self.socket = d + "/run/auth-client"
        self.log = d + "/log"
        write(f"{name}/conf", f"""base_dir = {d}/run
state_dir = {d}
log_path = {self.log}
protocols =
ssl = no
auth_verbose = yes
auth_debug = yes
auth_failure_delay = 0
auth_ssl_username_from_cert = yes
default_internal_user = {me.pw_name}
default_login_user = {me.pw_name}
default_internal_group = {group}
auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256 external xoauth2 oauthbearer anonymous apop
passdb {{
  driver = passwd-file
  args = username_format=%u {d}/certificates
  mechanisms = external
}}
passdb {{
  driver = oauth2
  args = {d}/oauth2
  mechanisms = xoauth2 oauthbearer
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {d}/users
}}
service auth {{
  chroot =
  unix_listener auth-client {{
    mode = 0666
  }}
}}
service anvil {{
  chroot =
{"" if penalty else NO_PENALTY}
}}
""", 0o644)
        self.start()
        atexit.register(lambda: self.p.poll() is None and self.end())  # where the test itself fails

    def start(self):
        if os.path.exists(self.socket): os.unlink(self.socket)
        self.p = subprocess.Popen(["dovecot", "-F", "-c", self.place + "/conf"], stderr=subprocess.DEVNULL)
        for _ in range(1000):
            if os.path.exists(self.socket): return
            time.sleep(0.02)

    def end(self):
        self.checkers()
        self.p.terminate(); self.p.wait(30)

    def checkers(self):
        """Its processes that check passwords. (They go on for their clients when Dovecot ends.)"""
        if self.p.poll() is None:
            found = subprocess.run(["pgrep", "-P", str(self.p.pid), "-x", "auth"], capture_output=True, text=True).stdout
            self.last = [int(x) for x in found.split()]
        return self.last

    def signal(self, number):
        told = self.checkers()
        for p in told: os.kill(p, number)
        return told

    def said(self):
        return open(self.log, encoding="utf-8", errors="replace").read() if os.path.exists(self.log) else ""

    def bugs(self):
        """What it calls a bug, of its own or of a client. (A response in base64 may have the same letters.)"""
        return [l for l in self.said().splitlines() if re.search(r"\b(BUG|Panic): ", l)]


# A server of the test's own --------------------------------------------------------------------------------------------------
class Closed(Exception): pass


class StandIn(threading.Thread):
    """A Dovecot of the test's own. Each conversation is a function that gets the connection; the last one is used again."""
    def __init__(self, *talks):
        super().__init__(daemon=True)
        self.place = tempfile.mkdtemp(dir=TMP)
        self.path = self.place + "/s"
        self.talks, self.heard, self.wrong, self.versions = list(talks), [], [], []
        self.s = socket.socket(socket.AF_UNIX); self.s.bind(self.path); self.s.listen(5)
        self.start()

    def run(self):
        n = 0
        while True:
            try: c, _ = self.s.accept()
            except OSError: return
            self.c, self.data = c, b""
            c.settimeout(30)
            try: self.talks[min(n, len(self.talks) - 1)](self)
            except (Closed, OSError): pass
            except Exception as e: self.wrong.append(repr(e))
            c.close(); n += 1

    def line(self):
        while b"\n" not in self.data:
            got = self.c.recv(65536)
            if not got: raise Closed
            self.data += got
        line, self.data = self.data.split(b"\n", 1)
        self.heard.append(line.decode())
        return self.heard[-1]

    def say(self, text): self.c.sendall(text if isinstance(text, bytes) else text.encode())

    def greet(self, *mechanisms, version="1\t4"):
        self.say(f"VERSION\t{version}\n")
        first = self.line()
        self.say("".join(f"MECH\t{m}\n" for m in mechanisms or ("PLAIN\tplaintext", "LOGIN\tplaintext")) + "SPID\t1\nCUID\t2\nCOOKIE\t00\nDONE\n")
        self.cpid = self.line()
        return first

    def id(self, line): return line.split("\t")[1]

    def end(self):
        self.s.shutdown(socket.SHUT_RDWR); self.s.close()
        self.join(30)
        equal(self.wrong, [], "the server of the test's own has no complaint")


def right(s):
    """As it should be, for as many logins as are asked for."""
    s.greet()
    go_on(s)


def go_on(s):
    while True:
        line = s.line()
        if line.startswith("AUTH"): s.say(f"OK\t{s.id(line)}\tuser=jane\n")


def wait(s):
    """Says nothing more, until the client is gone."""
    while True: s.line()


def serve_24(s):
    """As Dovecot 2.4: SCRAM-SHA-256 and -PLUS, for jane, whose password is "secret"."""
    version = s.greet("PLAIN\tplaintext", "SCRAM-SHA-256\tmutual-auth", *(["SCRAM-SHA-256-PLUS\tmutual-auth\tchannel-binding"]), "DOVECOT-TOKEN\tprivate", "ANONYMOUS\tanonymous", "X_NEW-1\tnew-flag", "bad\tx", "", "TOO-LONG-A-NAME-FOR-IT", "PLAIN\tplaintext")
    s.versions.append(version)
    while True:
        line = s.line().split("\t")
        if line[0] == "CANCEL": s.say(f"CANCELLED\t{line[1]}\n"); continue
        n, initial = line[1], line[-1]
        if not initial.startswith("resp="): s.say(f"CONT\t{n}\t\n"); initial = "resp=" + s.line().split("\t")[2]
        response = base64.b64decode(initial[5:]).decode()
        header, bare = re.match(r"([^,]*,[^,]*,)(.*)", response).groups()
        kind = header.split(",")[0][2:]
        first = bare.split("r=")[1].join(["r=", "server,s=" + b64("salt") + ",i=4096"])
        s.say(f"CONT\t{n}\t{b64(first)}\tfuture=1\tchannel_binding={kind}\n")
        line = s.line().split("\t")
        if line[0] == "CANCEL": s.say(f"CANCELLED\t{line[1]}\n"); continue
        if len(line) != 4 or not line[3].startswith("channel_binding="): s.wrong.append(line); raise Closed
        bound = base64.b64decode(line[3][16:])
        c = Scram("sha256", "jane", "secret", header, bound)
        c.bare = bare
        good = base64.b64decode(line[2]).decode() == c.final(first)
        if not good: s.say(f"FAIL\t{n}\tuser=jane\n"); continue
        s.say(f"CONT\t{n}\t{b64('v=' + c.v)}\n")
        if s.line() != f"CONT\t{n}\t": s.wrong.append("the last response")
        s.say(f"OK\t{n}\tuser=jane\n")
