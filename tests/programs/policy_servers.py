"""The real policy servers: postgrey, policyd-spf, postfwd, Dovecot's quota-status; what a client of smtpin hears, and what becomes of the message."""
import getpass, grp, pwd
from harness import *

ROOT = os.geteuid() == 0
directory, DELIVER = taker()
RUN = os.path.join(TMP, "run"); os.mkdir(RUN); os.chmod(RUN, 0o777)
started = []


def start(argv, ready, leaves=None):
    """A server, once its socket or port is there; `leaves`: it goes into the background, and writes its process there."""
    log = open(os.path.join(TMP, f"server{len(started)}.log"), "wb")
    p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    started.append((p, log, leaves))
    for _ in range(600):
        if ready(): return p
        if p.poll() not in (None, 0): break
        time.sleep(0.05)
    print("#", open(log.name).read()[-2000:])
    return None


def there(path): return lambda: os.path.exists(path)


def listens(port):
    def look():
        with socket.socket() as s: return s.connect_ex(("127.0.0.1", port)) == 0
    return look


def end():
    for p, log, leaves in started:
        if leaves and os.path.exists(leaves):
            pid = int(open(leaves).read())
            try: os.kill(pid, signal.SIGTERM)
            except ProcessLookupError: pass
            ok(gone(pid), "and nothing is left of it")
        # Its own group alone: what it has forked is there too.
        try: os.killpg(p.pid, signal.SIGTERM)
        except ProcessLookupError: pass
        try: p.wait(10)
        except subprocess.TimeoutExpired: os.killpg(p.pid, signal.SIGKILL); p.wait(10)
        log.close()


STATES = "CONNECT EHLO MAIL RCPT DATA END-OF-MESSAGE"


def play(policy, recipients, sender="joe@sender.example", size="", client="198.51.100.7", body=True, sandbox="yes", **settings):
    """(the reply to each RCPT, the messages, the log). Without `client`, it has no address: this is a pipe."""
    if client: settings["client_address"] = client
    clear(directory)
    lines = ["EHLO c.example", f"MAIL FROM:<{sender}>{size}", *(f"RCPT TO:<{r}>" for r in recipients), *(["DATA", "Subject: x\r\n\r\ny\r\n."] if body else []), "QUIT"]
    out, err, _ = pipe("".join(l + "\r\n" for l in lines).encode(), {"deliver": DELIVER, "policy": policy, "sandbox": sandbox, "log": "stderr", **settings})
    said = [l for l in out.decode().split("\r\n") if l[3:4] == " "][3:3 + len(recipients)]
    return said, messages(directory), err.decode()


def explains(policy, recipient, words):
    said = subprocess.run([*arguments({"deliver": DELIVER, "policy": policy, "client_address": "198.51.100.7"}), "--explain", "--helo", "c.example", "--sender", "joe@sender.example", "--recipient", recipient], capture_output=True, text=True, timeout=60).stdout
    ok(words in said and "policy: " in said and policy in said, f"--explain says what it said: {words}", said)


nobody = pwd.getpwnam("nobody") if ROOT else pwd.getpwuid(os.geteuid())
group = grp.getgrgid(nobody.pw_gid).gr_name
try:
    # postgrey: later at first, then the message with its field, then nothing.
    path = os.path.join(RUN, "postgrey.sock"); db = os.path.join(TMP, "greylist"); os.mkdir(db)
    if ROOT: os.chown(db, nobody.pw_uid, nobody.pw_gid)
    if not have("postgrey"): skip("postgrey", "no postgrey")
    elif ok(start(["postgrey", f"--unix={path}", f"--dbdir={db}", "--delay=2", f"--user={nobody.pw_name}", f"--group={group}"], there(path)) is not None, "postgrey starts"):
        os.chmod(path, 0o666)
        said, got, err = play("unix:" + path, ["jane@example.org", "joe@example.org"])
        ok(all(r.startswith("450 4.2.0 Greylisted") for r in said) and not got and "rule=policy" in err, "postgrey: greylisted", (said, err))
        explains("unix:" + path, "jane@example.org", "Greylisted")
        time.sleep(3)
        said, got, err = play("unix:" + path, ["jane@example.org", "joe@example.org"])
        ok(all(r.startswith("250") for r in said) and len(got) == 1 and got[0].count(b"X-Greylist: delayed") == 1 and got[0].index(b"X-Greylist") < got[0].index(b"Received"), "postgrey: after its delay, with its field once", (said, got, err))
        said, got, _ = play("unix:" + path, ["jane@example.org"])
        ok(said[0].startswith("250") and b"X-Greylist" not in got[0], "postgrey: known", (said, got))
        # (It would end by another client_address.)
        said, got, err = play("unix:" + path, ["jane@example.org"], client=None)
        ok(said[0].startswith("450 4.2.0 Greylisted"), "postgrey: a client without an address", (said, err))
        said, got, _ = play("unix:" + path, ["new@example.org"], client="192.0.2.1", relay_clients="192.0.2.0/24")
        ok(said[0].startswith("250"), "postgrey: a client that may relay is not greylisted", said)

    # policyd-spf, a process for each connection.
    path = os.path.join(RUN, "spf.sock")
    if not have("policyd-spf") or not have("socat"): skip("policyd-spf", "no policyd-spf, or no socat")
    elif ok(start(["socat", f"UNIX-LISTEN:{path},fork,mode=0666", "EXEC:policyd-spf"], there(path)) is not None, "policyd-spf starts"):
        said, got, err = play("unix:" + path, ["jane@example.org", "joe@example.org"], client="127.0.0.1")
        ok(all(r.startswith("250") for r in said) and got and got[0].count(b"X-Comment: SPF check N/A for local connections") == 1 and b"; \n" not in got[0], "policyd-spf: its field, once, without the blank at its end", (said, got, err))

        said, got, err = play("unix:" + path, ["jane@example.org"], client=None)
        ok(said[0].startswith("250") and b"X-Comment: SPF" in got[0] and "opinion=failed" not in err, "policyd-spf: a client without an address", (said, err))
        said, got, err = play("unix:" + path, ["jane@example.org", "joe@example.org"], client="127.0.0.1", policy_states=STATES)
        ok(all(r.startswith("250") for r in said) and len(got) == 1 and "opinion=failed" not in err, "policyd-spf: asked at every state", (said, err))

    # postfwd: rules of sender, and a rate.
    port = free_port()
    rules = write("postfwd.cf", "id=R1; action=REJECT 5.7.1 no thanks; sender=~^spam@\nid=R2; protocol_state=END-OF-MESSAGE; size=1000; action=DUNNO\nid=R3; protocol_state==RCPT; action=rate(client_address/3/60/450 4.7.1 slow down)\nid=R9; action=DUNNO\n", 0o644)
    program = shutil.which("postfwd1") or shutil.which("postfwd")
    if program is None: skip("postfwd", "no postfwd")
    elif ok(start([program, "-f", rules, "-i", "127.0.0.1", "-p", str(port), "-u", nobody.pw_name, "-g", group, "--nodns", "--daemon", f"--pidfile={RUN}/postfwd.pid"], listens(port), leaves=f"{RUN}/postfwd.pid"), "postfwd starts"):
        policy = f"inet:127.0.0.1:{port}"
        said, got, err = play(policy, ["jane@example.org"], sender="spam@sender.example")
        ok(said[0] == "554 5.7.1 no thanks" and not got, "postfwd: REJECT", (said, err))
        said, got, err = play(policy, [f"u{i}@example.org" for i in range(5)], client="198.51.100.8")
        equal([r[:3] for r in said], ["250", "250", "250", "450", "450"], "postfwd: a rate, over the recipients of a session")
        ok(len(got) == 1, "postfwd: the others get the message", got)

        said, got, err = play(policy, ["jane@example.org"], client=None, policy_states=STATES)
        ok(said[0].startswith("250") and len(got) == 1 and "opinion=failed" not in err, "postfwd: asked at every state, of a client without an address", (said, err))

    # quota-status: OK, no such user, over quota, by SIZE=.
    dv = os.path.join(TMP, "dv"); os.makedirs(dv + "/mail"); os.makedirs(dv + "/run")
    if ROOT: os.chown(dv + "/mail", nobody.pw_uid, nobody.pw_gid)
    write("dv/users", "jane@example.org:{PLAIN}x::::::\n", 0o644)
    any_may = lambda service, *listeners: f"service {service} {{\n  chroot =\n" + "".join(f"  unix_listener {l} {{\n    mode = 0666\n  }}\n" for l in listeners) + "}\n"
    write("dv/conf", f"""base_dir = {dv}/run
state_dir = {dv}
log_path = {dv}/log
protocols =
ssl = no
mail_location = maildir:{dv}/mail/%u
mail_plugins = quota
first_valid_uid = 1
default_internal_user = {nobody.pw_name}
default_internal_group = {group}
default_login_user = {nobody.pw_name}
plugin {{
  quota = maildir:User quota
  quota_rule = *:storage=1M
  quota_status_success = DUNNO
  quota_status_nouser = REJECT 5.1.1 no such user
  quota_status_overquota = "552 5.2.2 Mailbox is full"
}}
passdb {{
  driver = passwd-file
  args = {dv}/users
}}
userdb {{
  driver = passwd-file
  args = {dv}/users
  default_fields = uid={nobody.pw_uid} gid={nobody.pw_gid} home={dv}/mail/%u
}}
service quota-status {{
  executable = quota-status -p postfix
  client_limit = 1
  unix_listener quota-status {{
    mode = 0666
  }}
}}
""" + any_may("auth", "auth-userdb") + any_may("stats", "stats-writer") + any_may("anvil"), 0o644)
    path = dv + "/run/quota-status"
    if not have("dovecot") or not os.path.exists("/usr/lib/dovecot/quota-status"): skip("quota-status", "no dovecot-core")
    elif ok(start(["dovecot", "-F", "-c", dv + "/conf"], there(path)) is not None, "Dovecot starts"):
        said, got, err = play("unix:" + path, ["jane@example.org", "nobody@example.org"])
        ok(said[0].startswith("250") and said[1] == "554 5.1.1 no such user" and len(got) == 1, "quota-status: who exists, and who does not", (said, err))
        said, got, err = play("unix:" + path, ["jane@example.org"], size=" SIZE=5000000", body=False)
        ok(said[0] == "552 5.2.2 Mailbox is full", "quota-status: no room for what SIZE= says", (said, err))
        said, got, err = play("unix:" + path, ["jane@example.org"], client="192.0.2.1", relay_clients="192.0.2.0/24", check_relay_clients="yes", size=" SIZE=5000000", body=False)
        ok(said[0] == "552 5.2.2 Mailbox is full", "quota-status: of clients that may relay, with check_relay_clients", (said, err))
        said, got, err = play("unix:" + path, ["jane@example.org"], client=None, policy_states=STATES)
        ok(said[0].startswith("250") and len(got) == 1 and "opinion=failed" not in err, "quota-status: asked at every state, of a client without an address", (said, err))
finally: end()
done()
