"""What the tests inside the box share: TAP, smtpin installed as README says, mail, sessions."""
import glob, os, re, signal, smtplib, socket, subprocess, sys, time

BUILD, SOURCE = sys.argv[1], sys.argv[2]
sys.path.insert(0, os.path.join(SOURCE, "tests"))
from tap import equal, finish as done, ok, skip

UNITS = "/etc/systemd/system"
DROP_INS = "/usr/share/doc/smtpin/drop-ins"
MAIL = "/var/mail/smtpin"


def run(*command, timeout=60):
    p = subprocess.run(command if len(command) > 1 else ["sh", "-c", command[0]], capture_output=True, text=True, timeout=timeout)
    return p.stdout + p.stderr


def show(unit, what):
    return run("systemctl", "show", "-P", what, unit).strip()


def until(condition, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value: return value
        time.sleep(0.05)
    return condition()


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f: f.write(text)
    os.chmod(path, mode)
    return path


def conf(text=""):
    write("/etc/smtpin/smtpin.conf", "hostname = mx.example.org\ndomains = example.org\n" + text)


def install():
    out = run("meson", "install", "--no-rebuild", "-C", BUILD)
    out += run("systemd-sysusers") + run("systemd-tmpfiles", "--create", "/usr/lib/tmpfiles.d/smtpin.conf")
    conf()
    run("systemctl", "daemon-reload")
    return out


def drop_in(unit, text, name="test.conf"):
    """Text, or the name of one that is installed beside the documentation."""
    if "\n" not in text: text = open(f"{DROP_INS}/{text}").read()
    write(f"{UNITS}/{unit}.d/{name}", text)


def without_drop_ins():
    run(f"rm -rf {UNITS}/smtpin*.d")
    run("systemctl", "daemon-reload")


def listening():
    drop_in("smtpin.socket", "listen-smtpin.conf", "listen.conf")
    drop_in("smtpin-lmtp.socket", "listen-smtpin-lmtp.conf", "listen.conf")
    drop_in("smtpin.service", "serve-smtpin-lmtp.conf", "lmtp.conf")


LIVE, ARCHIVE = "/etc/letsencrypt/live/mx.example.org", "/etc/letsencrypt/archive/mx.example.org"


def certificate(n, live=LIVE, key="ec -pkeyopt ec_paramgen_curve:P-256"):
    """One as certbot keeps it: only root can read the key."""
    archive = live.replace("/live/", "/archive/")
    for d in (archive, live): os.makedirs(d, exist_ok=True); os.chmod(os.path.dirname(d), 0o700)
    run(f"openssl req -x509 -newkey {key} -nodes -days 90 -subj /CN=mx.example.org -addext subjectAltName=DNS:mx.example.org -keyout {archive}/privkey{n}.pem -out {archive}/fullchain{n}.pem; chmod 600 {archive}/privkey{n}.pem")


def link(n, *kinds, live=LIVE):
    """As certbot renews: each link is removed and made anew."""
    for kind in kinds or ("privkey", "fullchain"):
        run(f"rm -f {live}/{kind}.pem; sleep 0.1; ln -s {live.replace('/live/', '/archive/')}/{kind}{n}.pem {live}/{kind}.pem")


def count(): return len(glob.glob(f"{MAIL}/*/*/new/*"))


def empty(): run(f"rm -rf {MAIL}/*")


def journal(*match):
    run("journalctl", "--sync")
    return run("journalctl", "-q", "-o", "cat", *match)


def send(text="x", host="127.0.0.1", to="jane@example.org"):
    try:
        with smtplib.SMTP(host, 25, timeout=30) as s:
            s.sendmail("a@example.com", [to], f"Subject: {text}\r\n\r\n{text}\r\n")
        return "sent"
    except (OSError, smtplib.SMTPException) as e:
        return repr(e)


class Session:
    """A client that goes step by step."""

    def __init__(self, host="127.0.0.1", path=None):
        self.s = socket.socket(socket.AF_UNIX) if path else None
        if path: self.s.settimeout(60); self.s.connect(path)
        else: self.s = socket.create_connection((host, 25), timeout=60)
        self.f = self.s.makefile("rb")
        self.greeting = self.reply()

    def reply(self):
        while True:
            line = self.f.readline().decode()
            if line[3:4] != "-": return line.rstrip()

    def say(self, line):
        self.s.sendall(line.encode() + b"\r\n")
        return self.reply()

    def to_data(self):
        self.say("MAIL FROM:<a@example.com>"); self.say("RCPT TO:<jane@example.org>")
        return self.say("DATA")

    def close(self):
        self.f.close(); self.s.close()
