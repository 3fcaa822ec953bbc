"""tls.py WORK ROUNDS: for tls.sh, in its namespace. Starts a Postfix, and lets session.c compare. In rounds, so that a noisy machine is noisy for all."""
import os, pathlib, signal, subprocess, sys, threading

from policy import ROUNDS, WORK, configure, free_ports, mount, pid_of_smtpd, sink

EXIM = 61001  # Exim wants a user of its own
CERTIFICATE = f"""smtpd_tls_security_level = may
smtpd_tls_cert_file = {WORK}/chain.pem
smtpd_tls_key_file = {WORK}/key.pem
"""


def compare(title, options, rounds, sessions, commands):
    words = []
    for name, *rest in commands: words += ["::", name, *map(str, rest)]
    print(f"\n## {title}", flush=True)
    subprocess.run([WORK / "session", *options, "-r", str(rounds), "-n", str(sessions), *words[1:]], check=True, timeout=3600, env={})


def exim(acl="take", more=""):
    """As run.sh has it: a message goes into its queue, and stays there. `acl`: what decides at RCPT and at the end of a message; `more`: for its configuration's end."""
    for name, line in (("passwd", f"Debian-exim:x:{EXIM}:{EXIM}::/nonexistent:/bin/false"), ("group", f"Debian-exim:x:{EXIM}:")):
        (WORK / f"{name}.exim").write_text(pathlib.Path("/etc", name).read_text() + line + "\n")
        mount(WORK / f"{name}.exim", f"/etc/{name}")
    for name in ("eximspool", "eximlog"):
        (WORK / name).mkdir()
        (WORK / name).chmod(0o1777)
    (WORK / "exim.conf").write_text(f"""primary_hostname = mx.example.org
spool_directory = {WORK}/eximspool
log_file_path = {WORK}/eximlog/%slog
exim_user = Debian-exim
exim_group = Debian-exim
keep_environment =
queue_only = true
tls_advertise_hosts = *
tls_certificate = {WORK}/chain.pem
tls_privatekey = {WORK}/key.pem
acl_smtp_rcpt = {acl}
acl_smtp_data = {acl}
begin acl
take:
  accept
known:
  accept authenticated = *
{more}""")
    return WORK / "exim/usr/sbin/exim4", "-C", WORK / "exim.conf", "-bs"


def smtpin(build, sandbox, tls, *words):
    """`tls`: cold, warm, or off."""
    service = [f"SERVICE={WORK}/default/smtpin-tls --certificate {WORK}/both.pem --serve {WORK}/tls.sock"] if tls == "warm" else []
    options = {"sandbox": "yes" if sandbox else "no", "tls": "off" if tls == "off" else "may", "tls_service": "only" if tls == "warm" else "no"}
    return (f"smtpin, {build} build{', sandbox' if sandbox else ''}, {tls}", *service, *words, WORK / build / "smtpin", "-f", WORK / "conf",
            *(w for o in options.items() for w in ("-o", "=".join(o))))


def main():
    os.chmod(WORK / "key.pem", 0o644)  # Exim reads it as its user
    threading.Thread(target=sink, daemon=True).start()
    (WORK / "conf").write_text(f"hostname = mx.example.org\ndomains = example.org\ndeliver = {WORK}/floor nothing\nspool_dir = {WORK}\nlisten_idle = 0\n"
                               f"max_connections_per_source = 0\nlog = none\nmax_message_size = 4G\ntls_certificate = {WORK}/both.pem\n"
                               f"tls_command = {WORK}/default/smtpin-tls\ntls_socket = {WORK}/tls.sock\n")
    bs = exim()
    ports = free_ports(3)
    master = configure([(ports[0], []), (ports[1], ["max_use=1"])], CERTIFICATE, [("tlsmgr", "-", 1, "tlsmgr")])
    running = pid_of_smtpd(master, ports[0])
    ways = [(b, s) for b in ("static", "default") for s in (False, True)]
    for version in ("1.3", "1.2"):
        tls = f"TLS={version}"
        compare(f"STARTTLS, TLS {version}: EHLO, STARTTLS, EHLO, MAIL, RCPT, DATA with 2 KiB, QUIT", ["-t"], ROUNDS, 20, [
            ("all of Postfix, smtpd started for each session", f"PORT={ports[1]}", f"FAMILY={master.pid}", tls),
            ("all of Postfix, smtpd running", f"PORT={ports[0]}", f"FAMILY={master.pid}", tls),
            ("Postfix smtpd alone, running", f"PORT={ports[0]}", f"PROCESS={running}", tls),
            ("exim -bs, into its queue", tls, *bs),
            *(smtpin(*w, t, tls) for t in ("cold", "warm") for w in ways)])
    compare("The same without TLS", ["-t"], ROUNDS, 20, [
        ("all of Postfix, smtpd started for each session", f"PORT={ports[1]}", f"FAMILY={master.pid}"),
        ("all of Postfix, smtpd running", f"PORT={ports[0]}", f"FAMILY={master.pid}"),
        ("Postfix smtpd alone, running", f"PORT={ports[0]}", f"PROCESS={running}"),
        ("exim -bs, into its queue", *bs), *(smtpin(*w, "off") for w in ways)])
    master.send_signal(signal.SIGTERM)
    master.wait(30)
    size, port = "KIB=65536", ports[2]
    server = f"openssl s_server -quiet -accept {port} -naccept 1 -cert {WORK}/chain.pem -key {WORK}/key.pem >{WORK}/taken; rm {WORK}/taken"
    for version in ("1.3", "1.2"):
        compare(f"64 MiB, TLS {version}", ["-t"], ROUNDS, 1, [
            ("openssl s_server, into a file", f"TLS={version}", size, f"SINK={port}", "/bin/sh", "-c", server),
            ("openssl s_server, 1 KiB", f"TLS={version}", "KIB=1", f"SINK={port}", "/bin/sh", "-c", server),
            *(smtpin(*w, t, f"TLS={version}", size) for t in ("cold", "warm") for w in ways), *(smtpin(*w, "off", size) for w in ways)])


if __name__ == "__main__": main()
