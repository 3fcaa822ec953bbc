"""`smtpin --check` and logins: it asks the server that sessions would ask, as their user, and is not good where nobody could log in; and what a session tells that server of the connection."""
import base64, threading
from harness import *

ROOT = os.geteuid() == 0
SOCKET = os.path.join(TMP, "auth-client")


def check(text):
    """(status, the lines about logins, all) of a configuration."""
    conf = write("check.conf", "domains = example.org\ndeliver = /bin/true\nhostname = mx.example.org\n" + text, 0o644)
    p = subprocess.run([SMTPIN, "-f", conf, "--check"], capture_output=True, text=True, timeout=60)
    said = p.stdout + p.stderr
    return p.returncode, [l.split("check.conf:", 1)[1].split(":", 1)[1].strip() for l in said.split("\n") if re.search(r"check\.conf:\d+: auth", l)], said


class Server(threading.Thread):
    """What Dovecot says first, and each line that it is told; a login is right."""
    def __init__(self, mechanisms, first="VERSION\t1\t2\n"):
        super().__init__(daemon=True)
        if os.path.exists(SOCKET): os.unlink(SOCKET)
        self.hello = first + "".join(f"MECH\t{m}\n" for m in mechanisms) + "SPID\t1\nCUID\t1\nCOOKIE\t00\nDONE\n"
        self.told = []
        self.s = socket.socket(socket.AF_UNIX); self.s.bind(SOCKET); self.s.listen()
        os.chmod(SOCKET, 0o777)
        self.start()

    def run(self):
        while True:
            try: c, _ = self.s.accept()
            except OSError: return
            with c, c.makefile("rb") as f:
                try:
                    c.sendall(self.hello.encode())
                    for line in f:
                        self.told.append(line.decode().rstrip("\n"))
                        if line.startswith(b"AUTH\t"): c.sendall(b"OK\t" + line.split(b"\t")[1] + b"\tuser=jane\n")
                except OSError: pass

    def end(self):
        self.s.shutdown(socket.SHUT_RDWR); self.s.close()


AUTH = f"auth = dovecot:{SOCKET}\ntls = may\ntls_certificate = self-signed\ntls_command = /bin/true\nuser = nobody\n"
code, said, whole = check(AUTH)
ok(code == 78 and len(said) == 1 and said[0].startswith("auth: can't be asked: No such file or directory") and (not ROOT or said[0].endswith("as the user nobody")), "no server: not good", whole)
server = Server(["PLAIN\tplaintext", "LOGIN\tplaintext", "SCRAM-SHA-256\tmutual-auth", "EXTERNAL", "ANONYMOUS\tanonymous"])
code, said, whole = check(AUTH)
equal([code, said], [0, ["auth: note: inside TLS, clients are offered: PLAIN LOGIN SCRAM-SHA-256"]], "a server: its mechanisms, as a client without a certificate is offered them")
code, said, whole = check(AUTH + f"[submissions]\ntls = implicit\n[other]\ntls = may\nauth = dovecot:{SOCKET}x\n")
ok(code == 78 and len(said) == 2 and "SCRAM" in said[0] and "No such file" in said[1], "a section with the same server says nothing more, one with another is asked", whole)
if not ROOT: skip("a server that the user can't connect to", "needs root")
else:
    os.chmod(SOCKET, 0o700)
    code, said, whole = check(AUTH)
    ok(code == 78 and said == ["auth: can't be asked: Permission denied; it was asked as the user nobody"], "root asks as the user of sessions, who may not connect", whole)
    os.chmod(SOCKET, 0o777)
server.end()
server = Server(["EXTERNAL", "ANONYMOUS\tanonymous"])
code, said, whole = check(AUTH)
ok(code == 78 and said == ["auth: the server has no mechanism that clients could use"], "a server with nothing for clients", whole)
server.end()
server = Server(["PLAIN\tplaintext"], "VERSION\t2\t0\n")
code, said, whole = check(AUTH)
ok(code == 78 and len(said) == 1 and said[0].startswith("auth: can't be asked: "), "a server of another version", whole)
server.end()

# A command is looked for, and not run.
ran = os.path.join(TMP, "ran")
command = write("command", f"#!/bin/sh\n: >{ran}\n")
for text, good in ((f"checkpassword:{command}", True), (f"checkpassword:{command}x", False), ("checkpassword:/etc/passwd", False)):
    code, said, whole = check(f"auth = {text}\ntls = may\ntls_certificate = self-signed\ntls_command = /bin/true\nuser = nobody\n")
    ok((code, said) == (0, []) if good else code == 78 and said[0].startswith("auth: its program is missing, or can't be executed: /"), f"auth = {text.replace(TMP, '')}: {'good' if good else 'not good'}", whole)
if ROOT:
    os.chmod(command, 0o700)
    code, said, whole = check(f"auth = checkpassword:{command}\ntls = may\ntls_certificate = self-signed\ntls_command = /bin/true\nuser = nobody\n")
    ok(code == 78 and said[0].endswith("as the user nobody"), "a command that the user of sessions can't execute", whole)
    os.chmod(command, 0o755)
ok(not os.path.exists(ran), "none was run")

# What does not fit together.
COMMAND = f"auth = checkpassword:{command}\n"
MAY = "tls = may\ntls_certificate = self-signed\ntls_command = /bin/true\n"
for text, notes in (("", ["auth: note: nobody can log in"]), ("auth_plaintext = yes\n", ["auth_plaintext: note: a client may send"]), (MAY + "auth_plaintext = yes\n", ["auth_plaintext: note: a client may send"]), (MAY.replace("may", "required") + "auth_plaintext = yes\n", []),
                    (MAY, []), (MAY + "auth_required = yes\n", ["auth_required: note: servers of others"]), (MAY + "[smtp]\nauth_required = yes\n", ["auth_required: note: servers of others"]), (MAY + "[submission]\nauth_required = yes\n", [])):
    code, said, whole = check(COMMAND + text)
    ok(code == 0 and len(said) == len(notes) and all(s.startswith(n) for s, n in zip(said, notes)), f"{text!r}: {notes or 'no note'}", whole)

# Where the connection is.
server = Server(["PLAIN\tplaintext"])
conf = write("session.conf", f"domains = example.org\ndeliver = /bin/true\nauth = dovecot:{SOCKET}\nauth_plaintext = yes\nlog = none\n", 0o644)
with socket.create_server(("127.0.0.1", 0)) as listener:
    here = listener.getsockname()[1]
    with socket.create_connection(("127.0.0.1", here)) as c:
        mine = c.getsockname()[1]
        theirs, _ = listener.accept()
        p = subprocess.Popen([SMTPIN, "-f", conf], stdin=theirs, stdout=theirs)
        theirs.close(); c.settimeout(30)
        for line in (None, "EHLO client.example.com", "AUTH PLAIN " + base64.b64encode(b"\0jane\0secret").decode()):
            if line: c.sendall(line.encode() + b"\r\n")
            reply = read_reply(c)
        ok(reply.startswith(b"235"), "a login", reply)
        c.sendall(b"QUIT\r\n"); read_reply(c)
    p.wait(30)
told = next((l.split("\t") for l in server.told if l.startswith("AUTH\t")), [])
equal([f for f in told if re.match("[lr](ip|port)=", f)], ["lip=127.0.0.1", f"lport={here}", "rip=127.0.0.1", f"rport={mine}"], "the server is told both ends of the connection")
server.end()
done()
