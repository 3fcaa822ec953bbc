"""Real messages of public test collections (Debian's source of notmuch, Python's own tests, an npm package) into Maildirs, and through smtpin-lmtp to Dovecot: byte for byte."""
import glob, pwd
from harness import *

LMTP = os.path.join(BUILD, "smtpin-lmtp")
PLACE = os.environ.get("SMTPIN_COLLECTIONS") or os.path.join(TMP, "collections")  # kept by tests/run.sh from build to build


failures = []


def run(*command, **more):
    p = subprocess.run(command, capture_output=True, text=True, timeout=300, **more)
    if p.returncode != 0:
        said = [l for l in p.stderr.splitlines() if l.startswith("E: ")] or p.stderr.splitlines() or [f"exit status {p.returncode}"]
        failures.append(f"{' '.join(w for w in command if w[:1] != '-' and '::' not in w)}: {said[-1]}")
        print(f"# could not: {failures[-1]}")
    return p


def unpack(archive, place):
    os.makedirs(place, exist_ok=True)
    run("tar", "-xf", archive, "-C", place, "--no-same-owner")


def fetch():
    """What could be had: a message collection a folder below PLACE."""
    os.makedirs(PLACE, exist_ok=True)
    if have("apt-get") and have("dpkg-deb") and not os.path.isdir(PLACE + "/notmuch"):
        # This machine's own sources, with source packages, in lists of our own.
        etc = os.path.join(PLACE, "etc"); os.makedirs(etc, exist_ok=True); os.makedirs(PLACE + "/lists/partial", exist_ok=True); os.makedirs(PLACE + "/cache/archives/partial", exist_ok=True)
        for f in ["/etc/apt/sources.list", *glob.glob("/etc/apt/sources.list.d/*")]:
            if not os.path.exists(f): continue
            text = open(f).read()
            text = re.sub(r"(?m)^Types: deb$", "Types: deb deb-src", text) if f.endswith(".sources") else text + re.sub(r"(?m)^deb ", "deb-src ", text)
            open(os.path.join(etc, os.path.basename(f) if f.endswith((".list", ".sources")) else "x.list"), "w").write(text)
        options = ["-o", "Dir::Etc::SourceList=/dev/null", "-o", f"Dir::Etc::SourceParts={etc}", "-o", f"Dir::State::Lists={PLACE}/lists", "-o", f"Dir::Cache={PLACE}/cache", "-o", "APT::Sandbox::User="]
        run("apt-get", *options, "update")
        run("apt-get", *options, "source", "--download-only", "notmuch", cwd=PLACE)
        for t in glob.glob(PLACE + "/notmuch_*.orig.tar.*"): unpack(t, PLACE + "/notmuch")
        run("apt-get", *options, "download", "libpython3.11-testsuite", cwd=PLACE)
        for d in glob.glob(PLACE + "/libpython*.deb"): run("dpkg-deb", "-x", d, PLACE + "/python")
        shutil.rmtree(PLACE + "/lists"); shutil.rmtree(PLACE + "/cache")
    if have("npm") and not os.path.isdir(PLACE + "/npm"):
        run("npm", "pack", "--silent", "eml-format@0.6.1", cwd=PLACE)
        for t in glob.glob(PLACE + "/eml-format*.tgz"): unpack(t, PLACE + "/npm")


def messages():
    files = glob.glob(PLACE + "/notmuch/*/test/corpora/**/*", recursive=True) + glob.glob(PLACE + "/python/**/test_email/data/msg_*", recursive=True) + glob.glob(PLACE + "/npm/**/*.eml", recursive=True)
    for f in sorted(files):
        if not os.path.isfile(f): continue
        # As a mail client would send it: line ends are CRLF; one that is bare is nothing to be sent.
        data = open(f, "rb").read().replace(b"\r\n", b"\n")
        if data and b"\r" not in data: yield f, data if data.endswith(b"\n") else data + b"\n"


def send_all(found, settings):
    """All in one session; the replies to the messages."""
    wire = b"EHLO c.example\r\n"
    for i, (_, data) in enumerate(found):
        wire += b"MAIL FROM:<s%d@example.com> BODY=8BITMIME\r\nRCPT TO:<m%d@example.org>\r\nDATA\r\n" % (i, i)
        wire += re.sub(rb"(?m)^\.", b"..", data).replace(b"\n", b"\r\n") + b".\r\n"
    out, err, _ = pipe(wire + b"QUIT\r\n", {"log": "stderr", "sandbox": "auto", **settings}, timeout=300)
    replies = [l for l in out.split(b"\r\n") if l[3:4] == b" "]
    return [replies[2 + 4 * i + 3] for i in range(len(found)) if 2 + 4 * i + 3 < len(replies)], err.decode(errors="replace")


def is_field(data): return re.match(rb"[!-9;-~]+[ \t]*:", data) or re.match(rb">?From [^\n]*\n[!-9;-~]+[ \t]*:", data)


def whole(stored, data): return stored.endswith(b"\n" + data) and (is_field(data) or stored.endswith(b"\n\n" + data))


fetch()
found = list(messages())
print(f"# {len(found)} messages, {sum(len(d) for _, d in found)} octets")
if len(found) < 200:
    skip("200 real messages", f"{len(found)} could be had: {'; '.join(failures)[:300] or 'no apt-get, no npm'}")
    done()
store = os.path.join(TMP, "store"); os.mkdir(store)
replies, err = send_all(found, {"deliver": f"{MAILDIR} -r -- {store} ${{recipient}}", "deliver_replies": "each"})
ok(len(replies) == len(found) and all(r.startswith(b"250 2.0.0") for r in replies), f"{len(found)} messages into Maildirs: 250", (replies[-3:], err[-800:]))
stored = [[open(f, "rb").read() for f in glob.glob(f"{store}/example.org/m{i}/new/*")] for i in range(len(found))]
wrong = [f for (f, d), s in zip(found, stored) if len(s) != 1 or not whole(s[0], d)]
equal(wrong, [], "and each is there once, byte for byte")
if os.geteuid() == 0 and have("dovecot"):
    dv = os.path.join(TMP, "dv"); os.makedirs(dv + "/mail"); os.makedirs(dv + "/run")
    nobody = pwd.getpwnam("nobody"); os.chown(dv + "/mail", nobody.pw_uid, nobody.pw_gid)
    open(dv + "/conf", "w").write(f"""base_dir = {dv}/run
state_dir = {dv}
log_path = {dv}/log
protocols = lmtp
ssl = no
mail_location = maildir:{dv}/mail/%n
first_valid_uid = 1
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = nobody
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid={nobody.pw_uid} gid={nobody.pw_gid} home={dv}/mail/%n allow_all_users=yes
}}
service lmtp {{
  unix_listener lmtp {{
    mode = 0666
  }}
}}
service auth {{
  unix_listener auth-userdb {{
    mode = 0666
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
protocol lmtp {{
  postmaster_address = postmaster@example.org
}}
""")
    dovecot = subprocess.Popen(["dovecot", "-F", "-c", dv + "/conf"], stderr=subprocess.DEVNULL)
    for _ in range(200):
        if os.path.exists(dv + "/run/lmtp"): break
        time.sleep(0.05)
    replies, err = send_all(found, {"deliver": f"{LMTP} {dv}/run/lmtp -- ${{sender}} ${{recipient}}", "deliver_replies": "each", "trace_headers": "received"})
    ok(len(replies) == len(found) and all(r.startswith(b"250 2.0.0") for r in replies), f"{len(found)} messages through smtpin-lmtp to Dovecot: 250", ([r for r in replies if not r.startswith(b"250")][:3], err[-800:]))
    stored = [[open(f, "rb").read() for f in glob.glob(f"{dv}/mail/m{i}/new/*")] for i in range(len(found))]
    wrong = [f for (f, d), s in zip(found, stored) if len(s) != 1 or not whole(s[0], d)]
    equal(wrong, [], "and each is there once, byte for byte")
    dovecot.terminate(); dovecot.wait(30)
else: skip("real messages to Dovecot", "needs root and dovecot-lmtpd")
done()
