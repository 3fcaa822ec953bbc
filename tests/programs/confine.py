"""confine: what a delivery command reaches, attempt by attempt; settings that are wrong; kernels that can't; the embedded delivery."""
import ctypes
from harness import *

VERSION = ctypes.CDLL(None, use_errno=True).syscall(444, None, 0, 1)
ROOT = os.getuid() == 0
inside, outside = os.path.join(TMP, "inside"), os.path.join(TMP, "outside")
for d in (inside, outside): os.mkdir(d); os.chmod(d, 0o777)
secret = write("outside/secret", "secret\n", 0o644)
# Attempts, each a word that is said on standard error where it works. Perl: each Debian has it, and it needs nothing beyond /usr and /etc.
PROBE = write("probe", f'''#!/usr/bin/perl
use Socket;
undef $/; my $message = <STDIN>;
my @said;
sub try {{ my ($name, $done) = @_; push @said, $name if $done->(); }}
try("read", sub {{ open(my $f, "<", "{secret}") }});
try("list", sub {{ opendir(my $d, "{outside}") }});
try("write", sub {{ open(my $f, ">", "{outside}/written") }});
try("truncate", sub {{ truncate("{outside}/long", 0) }});
try("execute", sub {{ system("{outside}/program") == 0 }});
try("etc", sub {{ open(my $f, "<", "/etc/passwd") }});
try("null", sub {{ open(my $f, ">", "/dev/null") }});
try("inside", sub {{ open(my $f, ">", "{inside}/a") && mkdir("{inside}/$$") && rename("{inside}/a", "{inside}/$$/b") && unlink("{inside}/$$/b") && rmdir("{inside}/$$") }});
try("out", sub {{ open(my $f, ">", "{inside}/c") && rename("{inside}/c", "{outside}/c") }});
try("tcp", sub {{ socket(my $s, PF_INET, SOCK_STREAM, 0); connect($s, sockaddr_in($ENV{{PORT}} || 1, inet_aton("127.0.0.1"))) || $!{{ECONNREFUSED}} }});
try("signal", sub {{ kill(0, getppid()) }});
try("child", sub {{ my $p = fork(); if (!$p) {{ sleep 30; exit }} my $done = kill("TERM", $p); waitpid($p, 0); $done }});
try("privileges", sub {{ open(my $f, "<", "/proc/self/status") or return 0; my $text = <$f>; $text =~ /NoNewPrivs:\\s0/ }});
print STDERR "said: @said.";
exit($message =~ /^text/m ? 0 : 1);
''')
write("outside/program", "#!/bin/sh\nexit 0\n")
write("outside/long", "x" * 100, 0o666)
ALL = ["read", "list", "write", "truncate", "execute", "etc", "null", "inside", "out", "tcp", "signal", "child", "privileges"]
BASE = "exec:/usr exec:/bin exec:/lib exec:/lib64"


def tried(confine, *more, env=None):
    """What works for the command; the code of the last reply."""
    out, err, _ = pipe(mail(), {"deliver": PROBE, "log": "stderr", **({} if confine is None else {"confine": confine}), **dict(more)}, env=env)
    said = re.search(rb"said: ([a-z ]*)\.", err)
    return said and said[1].decode().split(), codes(out)[-2], err


def but(*words): return [w for w in ALL if w not in words]


# What this kernel does not refuse: its Landlock's version is too low.
weak = [*(["truncate"] if VERSION < 3 else []), *(["tcp"] if VERSION < 4 else []), *(["signal"] if VERSION < 6 else [])]
for sandbox in ("no", "yes"):
    how = (("sandbox", sandbox),)
    found = tried(None, *how)
    equal(found[:2], (ALL, "250"), f"sandbox {sandbox}: without `confine`, a command of the administrator's is not confined")
    equal(tried("no", *how)[:2], (ALL, "250"), "... nor with `no`")
    if VERSION < 2: skip("confine", "this kernel has no Landlock of version 2"); continue
    few = but("read", "list", "write", "truncate", "execute", "inside", "out", "tcp", "signal", "etc", "null", "privileges")
    equal(tried(BASE, *how)[:2], ([w for w in ALL if w in few + weak], "250"), f"sandbox {sandbox}: what is not named is not reached")
    equal(tried("auto", *how)[:2], (but("read", "list", "write", *({"truncate", "signal"} - set(weak)), "execute", "inside", "out", "privileges"), "250"), "auto: system directories, TCP")
    found = tried(f"auto rw:{inside}", *how)
    ok("inside" in found[0] and "out" not in found[0] and found[1] == "250", "... and what is listed beside it", found)
    found = tried(f"auto ro:{outside}", *how)
    ok({"read", "list"} <= set(found[0]) and not {"write", "execute"} & set(found[0]), "ro: reads, and does nothing else", found)
    found = tried(f"auto exec:{outside}", *how)
    ok({"read", "list", "execute"} <= set(found[0]) and "write" not in found[0], "exec: reads and executes", found)
    found = tried(f"auto rw:{outside} rw:{inside}", *how)
    ok({"read", "write", "out", "truncate"} <= set(found[0]) and "execute" not in found[0], "rw: writes, moves, and does not execute", found)
    found = tried(f"auto ro:{secret}", *how)
    ok("read" in found[0] and "list" not in found[0], "a file can be named, too", found)
    found = tried(f"{BASE} tcp", *how)
    ok("tcp" in found[0] and "etc" not in found[0], "tcp", found)
    found = tried("auto", *how, ("deliver_per", "recipient"))
    ok(found[0] and "read" not in found[0] and found[1] == "250", "deliver_per = recipient: the same", found)
    out, err, _ = pipe(mail(envelope=b"EHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<c@example.org>\r\nDATA\r\n"),
                       {"deliver": f'/bin/sh -c "{PROBE} 2>&1 | grep -q \'said: read\' && exit 67; exit 0"', "log": "stderr", "confine": f"auto exec:{PROBE}", "deliver_per": "recipient", "deliver_parallel": "2", **dict(how)})
    equal(codes(out)[-2], "250", "deliver_per = recipient, two at once: neither reads what is not named")
    # Nothing is started where the rules can't be made, and the client keeps its message.
    out, code, err = tried("auto rw:/nowhere/at/all", *how)
    ok(out is None and code == "451" and b"end=not_started" in err, "a path that is not there: 451, and no command", (code, err))
    for through in ("/usr/bin/env A=b", PROBE):
        found = tried(f"auto exec:{PROBE}", *how, ("deliver_through", through))
        ok(found[0] and "read" not in found[0], f"deliver_through = {through.split('/')[-1]}: it is confined, too", found)


def check(*options):
    p = subprocess.run([SMTPIN, "-f", "/dev/null", "-o", f"spool_dir={TMP}", "-o", "domains=example.org", "-o", "deliver=/bin/true", *(w for o in options for w in ("-o", o)), "--check"], capture_output=True, text=True, timeout=30)
    return p.returncode, p.stdout


for value, wrong in (("auto x", "has a word that is not no, auto, tcp, or ro:, rw: or exec: and a path that begins with /: x"), ("ro:x", ": ro:x"), ("rw:", ": rw:"), ("no auto", "has no beside other words"), ("auto no", "has no beside other words")):
    status, out = check("confine=" + value)
    ok(status == 78 and wrong in out, f"confine = {value}: a mistake", (status, out))
deep = TMP + "/d" * 300
os.makedirs(deep)
ok(check(f"confine=auto rw:{deep}")[0] == 0, "--check: a long path that is there")
status, out = check("confine=auto rw:/nowhere")
ok(status == 78 and "confine: /nowhere: No such file or directory" in out, "--check: a path that is not there", (status, out))
status, out = check(f"confine=auto, rw:{inside}")
ok(status == 0 and ("confine: note:" in out) == (VERSION < 6), "--check: all is well, or what this kernel can't", (VERSION, out))

set_id = os.path.join(TMP, "set-id"); shutil.copy("/bin/true", set_id)
os.chmod(set_id, 0o4755)
for confine, expected in (("auto", 1), ("no", 0)):
    status, out = check("confine=" + confine, "deliver=" + set_id)
    ok(status == 0 and out.count("confine: note: the command is a set-id program") == expected, f"--check: a set-id program, confine = {confine}", (status, out))

# Kernels that can't, and that fail at the last step.
if SANITIZED: pass # its own calls would fail, too
elif not have("strace"): skip("other kernels", "no strace")
elif VERSION >= 2:
    def with_fault(fault, *words):
        return subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=" + fault, *arguments({"deliver": PROBE, "log": "stderr", "sandbox": "no", "confine": "auto"}), *words], input=mail(), capture_output=True, timeout=60)
    p = with_fault("landlock_create_ruleset:error=ENOSYS")
    ok(codes(p.stdout)[-2] == "250" and b"said: read list write" in p.stderr and b" note=not_confined" in p.stderr, "a kernel without Landlock: the command runs as without `confine`, and the log says so", (p.stdout, p.stderr))
    p = with_fault("landlock_create_ruleset:error=ENOSYS", "--check")
    ok(b"confine: note: this kernel has no Landlock" in p.stdout, "... and --check says so", p.stdout)
    for fault in ("landlock_create_ruleset:error=ENOMEM:when=2", "landlock_add_rule:error=EINVAL:when=3", "landlock_restrict_self:error=E2BIG"):
        p = with_fault(fault)
        ok(codes(p.stdout)[-2] == "451" and b"said:" not in p.stderr and b"end=not_started" in p.stderr, f"{fault}: 451, and no command", (p.stdout, p.stderr))

# The embedded delivery, from where it is installed, in a mount namespace with that directory: its Maildir root alone.
printed = subprocess.run([SMTPIN, "--print-defaults"], capture_output=True, text=True, timeout=30).stdout
where = re.search(r"^# deliver = (\S+)/smtpin-maildir ", printed, re.M)[1]
if not ROOT: skip("the embedded delivery", "needs root, for a mount namespace")
elif VERSION >= 2:
    store, elsewhere = os.path.join(TMP, "store"), os.path.join(TMP, "elsewhere")
    os.mkdir(elsewhere); os.mkdir(store); os.makedirs(f"{store}/example.org"); os.symlink(elsewhere, f"{store}/example.org/link")
    script = f'mkdir -p "$0" && mount -t tmpfs none "$0" && cp {MAILDIR} "$0" && exec "$@"'

    def written():
        """The messages that are in the mailbox elsewhere, which is emptied."""
        found = [os.path.join(d, f) for d, _, files in os.walk(elsewhere) for f in files]
        for f in found: os.unlink(f)
        return found

    def embedded(recipient, confine="", **settings):
        # A sanitizer reads /proc at the end of smtpin-maildir.
        confine = f"ro:/proc {confine}" if SANITIZED and confine != "no" else confine
        if confine: settings["confine"] = confine
        words = [SMTPIN, "-f", "/dev/null", *(w for k, v in {"hostname": "mx.example.org", "domains": "example.org", "maildir": store, "spool_dir": TMP, "log": "stderr", **settings}.items() for w in ("-o", f"{k}={v}"))]
        p = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", script, where, *words], input=mail(envelope=f"EHLO x\r\nMAIL FROM:<s@example.com>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode()), capture_output=True, timeout=60)
        return codes(p.stdout)[-2:-1], p.stdout + p.stderr
    if not os.path.isdir(where): skip("the embedded delivery", f"there is no {where}")
    else:
        for per in ("message", "recipient"):
            code, said = embedded("jane@example.org", deliver_per=per)
            ok(code == ["250"], f"the embedded delivery, deliver_per = {per}: it works", said)
        got = [f for _, _, files in os.walk(f"{store}/example.org/jane") for f in files]
        ok(len(got) >= 1, "... and the message is there", got)
        code, said = embedded("link@example.org")
        ok(code == ["451"] and written() == [], "a mailbox that is a symbolic link to outside is not written to", said)
        code, said = embedded("link@example.org", confine="no")
        ok(code == ["250"] and len(written()) == 1, "... but with confine = no", said)
        code, said = embedded("link@example.org", confine=f"rw:{elsewhere}")
        ok(code == ["250"] and len(written()) == 1, "... or where confine lists that place", said)
done()
