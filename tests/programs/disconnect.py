"""A client that goes away at every byte of a session: never half a message, never two."""
from harness import *

directory, deliver = taker()
data = b"EHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nSubject: x\r\n\r\nte..xt\r\n..\r\n.\r\nNOOP\r\nQUIT\r\n"
end = data.index(b"\r\n.\r\n") + 5
wrong, crashed, step = [], [], 1 if not SANITIZED else 3
for way in ("half-close", "close", "reset", "pipe"):
    for k in range(0, len(data) + 1, step):
        clear(directory)
        if way == "pipe":
            out, _, status = pipe(data[:k], {"deliver": deliver, "log": "none"})
        elif way == "reset":
            server = socket.create_server(("127.0.0.1", 0))
            ours = socket.create_connection(server.getsockname())
            theirs, _ = server.accept()
            p = subprocess.Popen(arguments({"deliver": deliver, "log": "none"}), stdin=theirs, stdout=theirs)
            theirs.close(); server.close()
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            ours.sendall(data[:k])
            if k % 2: ours.recv(10)
            ours.close()
            status = p.wait(30)
        else:
            p, ours = session({"deliver": deliver, "log": "none"})
            ours.sendall(data[:k])
            if way == "half-close":
                ours.shutdown(socket.SHUT_WR)
                read_all(ours)
            ours.close()
            status = p.wait(30)
        got = messages(directory)
        if status != 0:
            crashed.append((way, k, status))
        if len(got) > (1 if k >= end else 0) or any(b"te..xt\n.\n" != without_trace(m)[-9:] for m in got):
            wrong.append((way, k, got))
        if way in ("half-close", "pipe") and k >= end and len(got) != 1:
            wrong.append((way, k, got))
    ok(not wrong, f"{way} at every byte: zero or one delivery, none without the end-of-data", wrong[:3])
    ok(not crashed, f"{way} at every byte: exit status 0", crashed[:3])
done()
