"""submission.py WORK ROUNDS: for submission.sh, in tls.sh's namespace. Starts a Dovecot and a Postfix, and lets session.c compare. In rounds, so that a noisy machine is noisy for all."""
import base64, os, signal, subprocess, threading, time

from policy import ROUNDS, WORK, configure, free_ports, pid_of_smtpd, sink
from tls import CERTIFICATE, compare, exim

LOGIN = "LOGIN=" + base64.b64encode(b"\0jane\0right").decode()
# Exim's own comparison: Debian's exim4-daemon-light asks no Dovecot. So it has less to do.
PLAINTEXT = """begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{jane}}{eq{$auth3}{right}}}}
  server_set_id = $auth2
"""


def dovecot():
    """Only what checks logins."""
    place = WORK / "dovecot"
    (place / "run").mkdir(parents=True)
    (place / "users").write_text("jane:{PLAIN}right::::::\n")
    (place / "conf").write_text(f"""base_dir = {place}/run
log_path = {place}/log
protocols =
ssl = no
default_internal_user = nobody
default_login_user = nobody
default_internal_group = nogroup
auth_mechanisms = plain
passdb {{
  driver = passwd-file
  args = {place}/users
}}
service auth {{
  chroot =
  unix_listener auth-client {{
    mode = 0666
  }}
}}
service anvil {{
  chroot =
}}
""")
    started = subprocess.Popen(["dovecot", "-F", "-c", place / "conf"], start_new_session=True)
    deadline = time.monotonic() + 30
    while not (place / "run/auth-client").exists():
        if time.monotonic() > deadline: raise SystemExit("Dovecot does not start")
        time.sleep(0.1)
    return started, place / "run/auth-client"


def smtpin(build, sandbox, tls, beside, listening=False):
    service = [f"SERVICE={WORK}/default/smtpin-tls --certificate {WORK}/both.pem --serve {WORK}/tls.sock"] if tls == "warm" else []
    return (f"{'listening ' if listening else ''}smtpin, {build} build{', sandbox' if sandbox else ''}, {tls}", *service, "SMTPS=1.3", LOGIN, beside, WORK / build / "smtpin", "-f", WORK / "conf",
            "-o", f"sandbox={'yes' if sandbox else 'no'}", "-o", f"tls_service={'only' if tls == 'warm' else 'no'}")


def main():
    os.chmod(WORK / "key.pem", 0o644)  # Exim reads it as its user
    threading.Thread(target=sink, daemon=True).start()
    checker, path = dovecot()
    beside = f"BESIDE={checker.pid}"
    (WORK / "conf").write_text(f"hostname = mx.example.org\ndomains = example.org\ndeliver = {WORK}/floor nothing\nspool_dir = {WORK}\nlisten_idle = 0\n"
                               f"max_connections_per_source = 0\nlog = none\ntls = implicit\ntls_certificate = {WORK}/both.pem\ntls_command = {WORK}/default/smtpin-tls\n"
                               f"tls_socket = {WORK}/tls.sock\nauth = dovecot:{path}\nauth_required = yes\nadd_header = date message-id\nrequire_from = no\n")
    bs = *exim("known", PLAINTEXT), "-tls-on-connect"
    ports = free_ports(3)
    # The first is in plain text, for configure's own session.
    submission = ["smtpd_tls_wrappermode=yes", "smtpd_sasl_auth_enable=yes", "smtpd_sasl_type=dovecot", f"smtpd_sasl_path={path}", "smtpd_relay_restrictions=permit_sasl_authenticated,reject"]
    master = configure([(ports[0], [])], CERTIFICATE, [("tlsmgr", "-", 1, "tlsmgr")], [(ports[1], submission), (ports[2], [*submission, "max_use=1"])])
    session = ["SMTPS=1.3", LOGIN]
    subprocess.run([WORK / "session", "-t", "-r", "1", "-n", "50", "warm", f"PORT={ports[1]}", f"PROCESS={master.pid}", *session], check=True, timeout=60, stdout=subprocess.DEVNULL)
    ways = [(b, s) for b in ("static", "default") for s in (False, True)]
    compare("A submission: TLS 1.3, EHLO, AUTH PLAIN, MAIL, RCPT, DATA with 2 KiB, QUIT", ["-t"], ROUNDS, 20, [
        ("all of Postfix, smtpd started for each session", f"PORT={ports[2]}", f"FAMILY={master.pid}", *session, beside),
        ("all of Postfix, smtpd running", f"PORT={ports[1]}", f"FAMILY={master.pid}", *session, beside),
        ("Postfix smtpd alone, running", f"PORT={ports[1]}", f"PROCESS={pid_of_smtpd(master, ports[1])}", *session, beside),
        ("exim -bs, into its queue, which checks the password itself", *session, *bs),
        *(smtpin(*w, t, beside) for t in ("cold", "warm") for w in ways),
        *(smtpin(*w, "warm", beside, listening=True) for w in ways)])
    for p in (master, checker):
        p.send_signal(signal.SIGTERM)
        p.wait(30)


if __name__ == "__main__": main()
