"""TAP, for every test that is a Python program."""
import re, shutil, sys

_count = _failed = 0
# The Debian package of each program that a test may miss, where it has another name.
PACKAGES = {"apt-get": "apt", "cc": "gcc libc6-dev", "criterion": "libcriterion-dev", "dovecot": "dovecot-core dovecot-lmtpd", "dpkg-deb": "dpkg",
            "exim4": "exim4-daemon-light", "dkimverify": "python3-dkim", "inetd": "openbsd-inetd", "nginx": "nginx libnginx-mod-mail", "libidn2": "libidn2-0", "mdeliver": "mblaze", "nullmailer-queue": "nullmailer", "pgrep": "procps", "prlimit": "util-linux", "ps": "procps",
            "redis-cli": "redis-tools", "s6-ipcserver": "s6", "smtp-source": "postfix", "systemctl": "systemd", "systemd-socket-activate": "systemd", "tcpserver": "ucspi-tcp", "tcpsvd": "ipsvd",
            "testssl": "testssl.sh", "gnutls-cli": "gnutls-bin", "node": "nodejs", "unixserver": "ucspi-unix", "unshare": "util-linux",
            **{p: p for p in ("curl", "bogofilter", "fail2ban", "fdm", "haproxy", "inetutils-inetd", "jq", "mailfront", "maildrop", "meson", "msmtp", "npm", "nullmailer", "opendkim", "opendmarc", "postfix", "procmail", "redis-server", "rspamd", "s-nail", "gsasl", "socat", "spamass-milter", "spamc", "spamd", "strace", "swaks", "valgrind", "xinetd")}}
ALSO = {"compiler": "cc", "dovecot-lmtpd": "dovecot"}


def ok(condition, name, detail=""):
    global _count, _failed
    _count += 1
    if not condition:
        _failed += 1
        for line in str(detail).splitlines()[:60]: print("# " + line)
    print(f"{'ok' if condition else 'not ok'} {_count} - {name}", flush=True)
    return bool(condition)


def equal(got, expected, name):
    return ok(got == expected, name, f"expected {expected!r}\ngot      {got!r}")


def skip(name, why):
    """`why` says which program is missing (or, with "not installed", `name` does): its Debian package is said too."""
    global _count
    _count += 1
    words = [ALSO.get(w, w) for w in re.findall(r"[\w.-]*\w", f"{name} {why}".lower() if why.startswith("not ") else why.lower())]
    packages = " ".join(dict.fromkeys(PACKAGES[w] for w in words if w in PACKAGES and shutil.which(w) is None))
    print(f"ok {_count} - {name} # SKIP {why}{f' (Debian: {packages})' if packages else ''}", flush=True)


def finish():
    print(f"1..{_count}")
    sys.exit(1 if _failed else 0)
