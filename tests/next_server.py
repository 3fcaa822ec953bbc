"""A mail server that smtpin's delivery commands hand mail to: it speaks SMTP, or LMTP to who begins with LHLO, and keeps what it gets."""
import socket, threading


class NextServer(threading.Thread):
    def __init__(self, port=0, refuse=b"gone@", announces=()):
        super().__init__(daemon=True)
        self.s = socket.create_server(("127.0.0.1", port))
        self.port, self.refuse = self.s.getsockname()[1], refuse
        self.got = []  # (sender, [recipient], message)
        self.said = []  # the lines of MAIL and RCPT
        self.hello = "".join(f"250-{line}\r\n" for line in ("next.example", *announces)).encode() + b"250 HELP\r\n"
        self.start()

    def run(self):
        while True:
            try: c, _ = self.s.accept()
            except OSError: return
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        c.settimeout(60)
        sender, recipients, lmtp = None, [], False
        with c, c.makefile("rb") as f:
            c.sendall(b"220 next.example\r\n")
            for line in f:
                verb, address = line[:4].upper(), line.partition(b"<")[2].partition(b">")[0].decode(errors="replace")
                if verb in (b"EHLO", b"LHLO"): lmtp = verb == b"LHLO"; c.sendall(self.hello); continue
                if verb in (b"MAIL", b"RCPT"): self.said.append(line.decode().rstrip())
                if verb == b"MAIL": sender, recipients = address, []
                if verb == b"RCPT" and self.refuse in line: c.sendall(b"550 5.1.1 no such user\r\n"); continue
                if verb == b"RCPT": recipients.append(address)
                if verb == b"DATA":
                    c.sendall(b"354 go\r\n")
                    text = []
                    while (piece := f.readline()) not in (b".\r\n", b""): text.append(piece[1:] if piece.startswith(b".") else piece)
                    if piece == b"": return
                    self.got.append((sender, recipients, b"".join(text)))
                    if lmtp: c.sendall(b"250 ok\r\n" * len(recipients)); continue
                c.sendall(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
                if verb == b"QUIT": return

    def take(self):
        """What has come, once."""
        got, self.got = self.got, []
        return got

    def end(self):
        self.s.shutdown(socket.SHUT_RDWR)
        self.s.close()
