"""smtpin --print, --print-set, --print-defaults: the settings in force, where each was made, as a configuration that says the same; and --check's words for two settings that do not go together."""
from harness import *


def run(*args):
    p = subprocess.run([SMTPIN, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    return p.returncode, p.stdout, p.stderr


def settings(text):
    """{key: value} of those that are no comment, with the section of each."""
    found, section = {}, ""
    for line in text.split("\n"):
        if line.startswith("["): section = line
        elif line and not line.startswith("#"): found[section + line.split(" =")[0]] = line.split(" =", 1)[1].strip()
    return found


TEXT = '''# a comment
domains = example.org,
 .example.net

max_errors = 3
deliver = /bin/echo "a b" x\\"y \\ "" "#z" "q w"\\ ${recipient}
deliver_through = /usr/bin/env  A=b
exit_map = qmail 77:550
command_timeout = 90
data_timeout = 1500ms
max_message_size = 1048576
tolerate =
[lmtp]
deliver_per = recipient
bare_line_ends = normalize
[other]
max_errors = 99
'''
conf = write("p.conf", TEXT, 0o644)

status, out, err = run("-f", conf, "--print-set")
EXPECTED = f'''# {conf}:2:
domains = example.org, .example.net
# {conf}:5:
max_errors = 3
# {conf}:6:
deliver = /bin/echo "a b" x\\"y \\ "" "#z" "q w"\\ ${{recipient}}
# {conf}:7:
deliver_through = /usr/bin/env A=b
# {conf}:8:
'''
ok(status == 0 and out.startswith(EXPECTED) and " 77:550 " in out and "max_errors = 99" not in out, "--print-set: value, file and line of each, in the file's order", (out, err))
equal([settings(out)[k] for k in ("command_timeout", "data_timeout", "max_message_size", "tolerate")], ["90s", "1500ms", "1M", ""], "--print-set: numbers in the largest unit that holds them whole")
status, out, err = run("-f", conf, "--print-set", "-o", "max_errors=7", "-o", "socket=lmtp", "-o", "max_errors = 8")
ok(out.startswith("# -o:2:\n# socket = lmtp\n# -o:3:\nmax_errors = 8\n") and out.endswith(f"[lmtp]\n# {conf}:14:\ndeliver_per = recipient\n# {conf}:15:\nbare_line_ends = normalize\n"), "--print-set: the last -o first, the socket's section last", out)

# What it prints is a configuration that says the same.
keys = set(re.findall(r'\{KEY\("(\w+)"', open(os.path.join(SOURCE, "src/config/setting.c")).read()))
for options in ([], ["-o", "socket=lmtp"], ["-o", "deliver_through=/bin/a \"b c\""]):
    status, out, err = run("-f", conf, "--print", *options)
    equal({l.split("]")[-1] for l in settings(out)} | {m for m in re.findall(r"^# (\w+) =", out, re.M)}, keys, f"--print {options}: every setting")
    again = run("-f", write("again.conf", out, 0o644), "--print", *options[:2 * (options[1:] == ["socket=lmtp"])])
    ok(again[0] == 0 and settings(again[1]) == settings(out) and settings(out), f"--print {options}: read again, it says the same", (again, out))
status, out, err = run("-f", conf, "--print-defaults")
told = settings(out)
# smtpin.conf(5) begins with a table of them: a row "key Ta default Ta ...", and one without a key where the default goes on.
table = []
for row in re.findall(r"^\.It (?:(\w+) )?Ta ([^\n]*?) ?Ta\b", open(os.path.join(SOURCE, "docs/smtpin.conf.5")).read().split(".Ss All settings\n")[1].split("\n.Ss ")[0], re.M):
    if row[0]: table.append([row[0], row[1]])
    else: table[-1][1] = f"{table[-1][1]} {row[1]}".strip()
defaults = {**dict(re.findall(r"^(?:# )?(\w+) =(?: (.*))?$", out, re.M)), "hostname": "host's name"}
for command in ("deliver", "tls_command"): defaults[command] = defaults[command].split()[0].split("/")[-1]
equal(sorted(map(tuple, table)), sorted((k, v or "-") for k, v in defaults.items()), "smtpin.conf(5): the table has each key once, with the default that --print-defaults prints")
ok(status == 0 and told["max_errors"] == "20" and told["domains"] == "" and out.startswith("# default:\n") and "# deliver = " in out, "--print-defaults: not the file's", out)
status, out, err = run("-f", write("wrong.conf", "nonsense = 1\n", 0o644), "--print")
ok(status == 78 and out == "" and "wrong.conf:1: nonsense: no such key\n" in err, "--print: a mistake is said, and nothing printed", (status, out, err))
p = subprocess.run([SMTPIN, "--print-defaults"], stdin=subprocess.DEVNULL, stdout=open("/dev/full", "w"), timeout=30)
equal(p.returncode, 1, "--print: what can't be written is a failure")
words = [f'"{a}{b}"' for a in ("\\", "x", "", " ", '\\"', "#", "'") for b in ("y", "\\ ", " z", '\\"')]
text = "deliver = /bin/true " + " ".join(words) + "\n"
first = settings(run("-f", write("w.conf", text, 0o644), "--print-set")[1])
equal(settings(run("-f", write("w.conf", f"deliver = {first['deliver']}\n", 0o644), "--print-set")[1]), first, "--print: quotes and backslashes read again")


# --check: two settings that do not go together.
def check(text, *options):
    path = write("c.conf", f"spool_dir = {TMP}\ndomains = example.org\n" + text, 0o644)
    status, out, err = run("-f", path, "--check", *options)
    return out.replace(path, "F").split("\n")


replies = check("deliver_replies = each\nmax_errors = 5\ndeliver_per = recipient\ndeliver = /bin/true\n[x]\nmax_errors = 6\n")
ok("F:3: deliver_replies: each works only with deliver_per = message (deliver_per: F:5)" in replies, "--check: both lines of a clash", replies)
replies = check("deliver_per = recipient\ndeliver = /bin/true\n", "-o", "log=none", "-o", "deliver_replies = each")
ok("-o:2: deliver_replies: each works only with deliver_per = message (deliver_per: F:3)" in replies, "--check: of -o and the file", replies)
true = os.path.join(TMP, "procmail"); os.symlink("/bin/true", true)
replies = check(f"deliver = {true} ${{recipient}}\n")
ok("F:3: deliver_per: this command takes one recipient: set deliver_per = recipient" in replies, "--check: of a command and a default: the command's line", replies)
replies = check(f"deliver_per = message\ndeliver_through = {true} ${{recipient}}\ndeliver = /bin/true\n")
ok("F:3: deliver_per: this command takes one recipient: set deliver_per = recipient (deliver_through: F:4)" in replies, "--check: deliver_through names the command", replies)
replies = check("deliver = /bin/true\nuser = no-such-user\ntrace = /nonexistent\n")
ok("F:4: user: there is no such user, or it is root" in replies and "F:5: trace: No such file or directory" in replies, "--check: what a setting names and is not there: its line", replies)
replies = check("max_errors = x\nmaildir = /nonexistent\n")
equal(replies[:-1], ["F:3: max_errors: must be a number, at least 1"], "--check: after a mistake, nothing of defaults")
done()
