"""What the tests of smtpin-milter share: a filter of the test's own, in the protocol's words, and a run of smtpin-milter as smtpin starts it."""
import itertools, struct, threading
from harness import *

MILTER = os.path.join(BUILD, "smtpin-milter")
VERSION, ACTIONS, PROTOCOL = 6, 0x1ff, 0x1ff7ff  # what smtpin-milter offers
LEADING_BLANK, NO_REPLIES = 0x100000, 0xff080
_names = itertools.count()


def packet(letter, data=b""): return struct.pack(">I", len(data) + 1) + letter.encode() + data


def text(*parts): return b"".join((p if isinstance(p, bytes) else p.encode()) + b"\0" for p in parts)


def add(name, value): return packet("h", text(name, value))


def insert(index, name, value): return packet("i", struct.pack(">I", index) + text(name, value))


def change(index, name, value): return packet("m", struct.pack(">I", index) + text(name, value))


CONTINUE, ACCEPT, REJECT, TEMPFAIL, DISCARD, SKIP, PROGRESS, SHUTDOWN, CONN_FAIL = (packet(c) for c in "cartdsp4f")


def receive(c, n):
    data = b""
    while len(data) < n:
        piece = c.recv(n - len(data))
        if not piece: raise EOFError
        data += piece
    return data


class Filter:
    """A filter on a socket. `replies`: letter of an event -> octets, or a function of its data that returns them; other events get
    `c`. `said`: for each connection the packets that came, as (letter, data). `terms`: octets, instead of its answer to the offer."""
    def __init__(self, replies=None, version=VERSION, actions=ACTIONS, protocol=0, macros=b"", terms=None, inet=False, backlog=16):
        self.replies, self.protocol, self.said = replies or {}, protocol, []
        self.terms = terms if terms is not None else packet("O", struct.pack(">III", version, actions, protocol) + macros)
        if inet:
            self.s = socket.create_server(("127.0.0.1", 0))
            self.name = f"inet:127.0.0.1:{self.s.getsockname()[1]}"
        else:
            path = os.path.join(TMP, f"filter{next(_names)}")
            self.s = socket.socket(socket.AF_UNIX)
            self.s.bind(path); self.s.listen(backlog); os.chmod(path, 0o666)
            self.name = "unix:" + path
        self.server = threading.Thread(target=self.serve, daemon=True)
        self.server.start()

    def serve(self):
        while True:
            try: c, _ = self.s.accept()
            except OSError: return
            threading.Thread(target=self.talk, args=(c,), daemon=True).start()

    def talk(self, c):
        said = []
        self.said.append(said)
        try:
            while True:
                n, = struct.unpack(">I", receive(c, 4))
                data = receive(c, n)
                letter, data = chr(data[0]), data[1:]
                said.append((letter, data))
                if letter == "Q": break
                if letter == "D": continue
                silent = {"C": 0x1000, "H": 0x2000, "M": 0x4000, "R": 0x8000, "T": 0x10000, "L": 0x80, "N": 0x40000, "B": 0x80000}.get(letter, 0) & self.protocol
                reply = self.terms if letter == "O" else self.replies.get(letter, b"" if silent or letter == "A" else CONTINUE)
                if callable(reply): reply = reply(data)
                if reply is None: break
                c.sendall(reply)
        except (EOFError, OSError): pass
        finally: c.close()

    def letters(self, i=-1): return "".join(l for l, _ in self.said[i] if l != "D")

    def macros(self, event, i=-1):
        """Of the packets of macros for an event: name -> value."""
        found = {}
        for letter, data in self.said[i]:
            if letter == "D" and data[:1] == event.encode():
                parts = data[1:].split(b"\0")
                found.update(zip((p.decode() for p in parts[:-1:2]), (p.decode() for p in parts[1:-1:2])))
        return found

    def fields(self, i=-1): return [tuple(p.decode("latin-1") for p in d.split(b"\0")[:2]) for l, d in self.said[i] if l == "L"]

    def body(self, i=-1): return b"".join(d for l, d in self.said[i] if l == "B")

    def end(self):
        # Who waits for a connection is told first: its descriptor's number may be another filter's next.
        self.s.shutdown(socket.SHUT_RDWR)
        self.server.join(10)
        self.s.close()


ID = "TESTID1"
RECEIVED = f"Received: from c.example.com (c.example.com [192.0.2.1])\n\tby mx.example.org (smtpin) with ESMTP id {ID};\n\tSun, 29 Nov 2026 10:00:00 +0000\n".encode()
TRACE = b"Return-Path: <joe@example.com>\nDelivered-To: jane@example.org\n" + RECEIVED
PLAIN = b"From: joe@example.com\nTo: jane@example.org\nSubject: x\n\ntext\n"
MAIL = TRACE + PLAIN
COMMAND = write("take.py", f"""#!{sys.executable} -SE
import json, os, sys
directory, at = sys.argv[1], os.lseek(0, 0, 1)
n = len(os.listdir(directory))
octets = b"".join(iter(lambda: os.read(0, 1 << 20), b""))
open(f"{{directory}}/{{n:03}}", "w").write(json.dumps([octets.decode("latin-1"), dict(os.environ), sys.argv[2:], at]))
for line in os.environ.get("SAY", "").split("|"):
    if line: print(line)
sys.exit(int(os.environ.get("END", 0)))
""")


class Taken:
    def __init__(self, octets, environment, words, at): self.message, self.env, self.words, self.at = octets.encode("latin-1"), environment, words, at


class Run:
    """smtpin-milter on a message: `status`, `out`, `err`, and what the command has got: `taken`."""
    def __init__(self, words, message=MAIL, sender="joe@example.com", recipients=("jane@example.org",), replies="one", command=None, pipe=False, env=None, between=(), timeout=60, **more):
        import json
        directory = os.path.join(TMP, f"run{next(_names)}")
        os.mkdir(directory)
        e = {"PATH": os.environ["PATH"], "SENDER": sender, "RECIPIENT_COUNT": str(len(recipients)), "SMTPIN_ID": ID, "SMTPIN_REPLIES": replies, "CLIENT_ADDRESS": "192.0.2.1", "CLIENT_PORT": "4242",
             "CLIENT_HOSTNAME": "c.example.com", "CLIENT_HELO": "helo.example.com", "CLIENT_PROTOCOL": "ESMTP", "SMTPIN_BODY": "8BITMIME", **{k: os.environ[k] for k in ("ASAN_OPTIONS", "UBSAN_OPTIONS") if k in os.environ}}
        if len(recipients) == 1:
            local, _, domain = recipients[0].rpartition("@")
            e.update({"RECIPIENT": recipients[0], "ORIGINAL_RECIPIENT": recipients[0], "LOCAL": local, "EXTENSION": local.partition("+")[2], "DOMAIN": domain})
        e.update(env or {})
        command = [COMMAND, directory, *(command if command is not None else [sender, *recipients])]
        call = [MILTER, "-h", "mx.example.org", *words, *between, *command]
        if pipe: p = subprocess.run(call, input=message, capture_output=True, env=e, timeout=timeout, **more)
        else:
            with tempfile.TemporaryFile(dir=TMP) as f:
                f.write(message); f.seek(0)
                p = subprocess.run(call, stdin=f, capture_output=True, env=e, timeout=timeout, **more)
        self.status, self.out, self.err = p.returncode, p.stdout.decode(), p.stderr.decode(errors="replace")
        self.taken = [Taken(*json.load(open(os.path.join(directory, n)))) for n in sorted(os.listdir(directory))]
        shutil.rmtree(directory)

    @property
    def message(self): return self.taken[0].message if self.taken else None

    def said(self): return (self.status, self.out, self.err)
