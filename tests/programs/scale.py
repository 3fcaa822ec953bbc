"""docs/scale.md: two machines behind HAProxy. What stands behind them is in commands.py."""
import smtplib
from harness import *

if not have("haproxy") or not have("systemd-socket-activate"):
    skip("HAProxy", "not installed")
    done()
front, *backs = [free_port() for _ in range(3)]
machines = []
for i, port in enumerate(backs):
    directory, deliver = taker(f"machine{i}")
    p = subprocess.Popen(["systemd-socket-activate", "--accept", "--inetd", "-l", f"127.0.0.1:{port}"] +
                         arguments({"deliver": deliver, "log": "none", "hostname": f"mx{i}.example.org", "digest": "always"}), stderr=subprocess.DEVNULL)
    machines.append((p, directory))
conf = write("haproxy.cfg", f"""defaults
  mode tcp
  timeout connect 2s
  timeout client 300s
  timeout server 300s
frontend smtp
  bind 127.0.0.1:{front}
  default_backend mx
backend mx
  balance roundrobin
  option smtpchk EHLO probe.example.org
  default-server check inter 200ms fall 1 rise 1
  server a 127.0.0.1:{backs[0]}
  server b 127.0.0.1:{backs[1]}
""", 0o644)
haproxy = subprocess.Popen(["haproxy", "-f", conf, "-db"], stderr=subprocess.DEVNULL)


def send(text):
    for _ in range(100):
        try:
            with smtplib.SMTP("127.0.0.1", front, timeout=30) as c:
                c.sendmail("s@example.com", ["jane@example.org"], f"Subject: {text}\r\n\r\nx\r\n")
                return c.ehlo_resp.split(b"\n")[0]
        except (OSError, smtplib.SMTPException):
            time.sleep(0.1)
    return b"nobody"


for _ in range(100):  # until both are known to be well
    names = {send("warm") for _ in range(2)}
    if len(names) == 2: break
for _, directory in machines: clear(directory)
for i in range(10): send(i)
counts = [len(messages(d)) for _, d in machines]
ok(sum(counts) == 10 and min(counts) >= 3, "ten messages through HAProxy, both machines have some", counts)
machines[0][0].terminate(); machines[0][0].wait(20)
for i in range(6): send(i)
ok(sum(len(messages(d)) for _, d in machines) == 16 and len(messages(machines[1][1])) == 6 + counts[1], "one machine stopped: the other takes them all, none is lost", counts)
a, b = (sorted(open(os.path.join(d, n)).read() for n in os.listdir(d) if n.endswith(".env")) for _, d in machines)
digest = lambda env: [l for l in env.split("\n") if l.startswith("SMTPIN_DIGEST=")][0]
ok({digest(e) for e in a} & {digest(e) for e in b}, "the same message has the same digest on both machines")
haproxy.terminate(); haproxy.wait(20)
machines[1][0].terminate(); machines[1][0].wait(20)
done()
