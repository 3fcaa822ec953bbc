"""Every block of README.md, docs/*.md and the manuals, tried as its mark says (tests/document.py), in the document's order; and in running text, that each option, setting, file, unit and field exists."""
import glob, shlex
from harness import *
import document

ROOT = os.geteuid() == 0
ONCE = not SANITIZED and os.environ.get("SMTPIN_STATIC") != "1"  # what says nothing of the build that is tested is done once
TREE = os.path.join(TMP, "tree")  # where README's and contributing.md's reader is
COMPANIONS = ("smtpin", "smtpin-lmtp", "smtpin-maildir", "smtpin-milter", "smtpin-replay", "smtpin-report", "smtpin-tls")
ALL = {name: list(document.blocks(SOURCE, name)) for name in document.names(SOURCE)}
ok(len(ALL["README.md"]) > 10 and all(ALL["docs/" + n] for n in ("inetd.md", "systemd.md", "smtpin.8", "smtpin.conf.5")), "the documents have blocks", {n: len(b) for n, b in ALL.items()})


def read(name): return open(os.path.join(SOURCE, name)).read()


# Each block has a mark that somebody tries.
def mistake(b):
    if not b.mark: return "no mark (tests/document.py has the list)"
    if b.how not in ("", "root", "at", "exit", "by", "not", "serves", "terminal"): return f"no such mark: {b.mark}"
    if b.how in ("at", "exit", "by", "not", "serves") and not b.argument: return f"{b.how}: of what?"
    if b.how in ("", "exit") and b.language not in ("sh", "conf", "smtp", "text", "inetd", "haproxy"): return f"nobody tries a block of {b.language}"
    if re.search(r"^deliver = ", b.text, re.M) and b.language != "conf": return "a configuration is `conf`"
    if b.how == "by":
        test = read(b.argument) if os.path.exists(os.path.join(SOURCE, b.argument)) else ""
        scripts = re.findall(r"tests/\S+\.\w+", b.text)
        # It names the heading, where that is of this block alone, else the document; or each script of the block.
        alone = [x.heading for x in ALL[b.file]].count(b.heading) == 1
        if not (f'"{b.heading}"' in test if alone and b.file == "docs/inetd.md" else b.file in test or scripts and all(s in test for s in scripts)): return f"{b.argument} does not run it"


for name, blocks in ALL.items():
    wrong = [f"{b.where}: {mistake(b)}" for b in blocks if mistake(b)]
    ok(not wrong, f"{name}: each of {len(blocks)} blocks has a mark", "\n".join(wrong))


# Those for root, in a box.
def tree():
    os.mkdir(TREE)
    for part in ("meson.build", "README.md", "LICENSE"): shutil.copy(os.path.join(SOURCE, part), TREE)
    for part in ("src", "units", "docs", "tests"): shutil.copytree(os.path.join(SOURCE, part), os.path.join(TREE, part), ignore=shutil.ignore_patterns("__pycache__"))


def box(name):
    """The box's TAP as ours."""
    p = subprocess.run([f"{SOURCE}/tests/systemd/box", "python3", "-B", f"{SOURCE}/tests/systemd/documents.py", f"{TREE}/build", SOURCE, name], capture_output=True, text=True, timeout=600, env={**os.environ, "BIND": f"{SOURCE} {TMP}"})
    for line in p.stdout.split("\n"):
        if line.startswith("#"): print(line)
        if m := re.match(r"(ok|not ok) \d+ - (.*?)(?: # SKIP (.*))?$", line): skip(m[2], m[3]) if m[3] else ok(m[1] == "ok", m[2])
    ok(re.search(r"^1\.\.\d+$", p.stdout, re.M), f"{name}: the box came to its end", p.stderr)


for_root = [n for n, blocks in ALL.items() if any(b.how in ("root", "serves", "terminal") for b in blocks)]
if ONCE: tree()
if not ONCE: skip("blocks for root", "with the default build alone")
elif not ROOT: skip("blocks for root", "needs root")
else:
    there = subprocess.run([f"{SOURCE}/tests/systemd/box", "true"], capture_output=True, text=True, timeout=120)
    if there.returncode: skip("blocks for root", there.stderr.strip().split("\n")[0])
    else:
        for name in [*for_root, "conf"]: box(name)  # README's is the first: its reader builds

# Those for anybody: a directory of its own for each document, the programs of the build before those of the machine.
write("some-program", '#!/bin/sh\nprintf "%s\\n" "$@" >"$WORDS"\n')
os.mkdir(os.path.join(TMP, "bin"))
for program in ("some-program", "my-program"): os.symlink(os.path.join(TMP, "some-program"), os.path.join(TMP, "bin", program))
ENV = {k: v for k, v in os.environ.items() if not k.startswith("SMTPIN_")}
ENV["PATH"] = f"{TMP}/bin:{BUILD}:{os.environ['PATH']}"
REPLAY_CONF = write("replay.conf", "hostname = mx.example.org\ndomains = example.org\ndeliver = /usr/local/bin/take ${sender} ${recipient}\n", 0o644)
NEEDS = {"unit-": (lambda: subprocess.run(["pkg-config", "--exists", "criterion"]).returncode == 0, "criterion"), "CC=clang": (lambda: have("clang"), "clang"), "meson": (lambda: have("meson") and have("ninja"), "meson")}


def hostile(block, script):
    """What a script of ours makes of addresses: words, whatever is in them."""
    for recipient in ("jane@example.org", "-rf@example.org", '"a b; $(touch x) * \'`id`"@example.org'):
        words = os.path.join(TMP, "words")
        p = subprocess.run([script], env={**ENV, "WORDS": words, "SENDER": "s@example.com", "RECIPIENT": recipient}, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=os.path.dirname(script))
        got = open(words).read().split("\n")[:-1] if p.returncode == 0 else p.stderr
        ok(got[1:] == ["s@example.com", "--", recipient] and "-rf" not in got[0], f"{block.where}: the script gives {recipient} on as one word", got)


for name, blocks in ALL.items():
    here = os.path.join(TMP, "at", name.replace("/", "-"))
    os.makedirs(here)
    in_tree, said, left_out = name == "docs/contributing.md", "", False
    if in_tree and not ONCE: skip(name, "with the default build alone"); continue
    if in_tree: here = TREE
    for b in blocks:
        if b.how == "at" and not (b.argument.startswith("/") and b.language != "sh"):
            path = os.path.join(here, b.argument.lstrip("/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as f: f.write(b.text)
            if b.language == "sh": os.chmod(path, 0o755)
            if b.language == "sh" and "RECIPIENT" in b.text: hostile(b, path)
        if b.language == "sh" and b.how in ("", "exit"):
            missing = [what for text, (there, what) in NEEDS.items() if text in b.text and not there()]
            left_out = bool(missing)
            if missing: skip(b.where, f"no {missing[0]}"); continue
            p = subprocess.run(["sh", "-c", document.commands(b.text)], cwd=here, env=ENV, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
            said = p.stdout
            ok(p.returncode == int(b.argument or 0) and not re.search(r"^(421|5\d\d)[ -]", said, re.M), f"{b.where}: {b.text.split(chr(10))[0]}", f"{said[-3000:]}\nexit status {p.returncode}")
        elif b.language == "text" and not b.how and blocks[blocks.index(b) - 1].how in ("", "exit") and not left_out: ok(document.alike(said, b.text), f"{b.where}: the output", said)
        elif b.language == "smtp" and not b.how:
            path = write("block.smtp", b.text, 0o644)
            p = subprocess.run([REPLAY, "--smtpin", SMTPIN, "-f", REPLAY_CONF, path], capture_output=True, text=True, timeout=60)
            ok(p.returncode == 0, f"{b.where}: the transcript is what happens", p.stdout + p.stderr)
        elif b.language == "inetd" and not b.how:
            # What is installed is what docs/inetd.md explains.
            lines = lambda text: {" ".join(l.split()).replace("@sbindir@", "/usr/sbin") for l in text.split("\n") if re.match(r"smtp\s+stream\s+tcp\s+nowait", l)}
            explained = {l for x in ALL["docs/inetd.md"] for l in lines(x.text)}
            equal([lines(b.text), lines(read("units/inetd.conf.in"))], [explained] * 2, f"{b.where}: the line that docs/inetd.md explains, as it is installed")
        elif name == "docs/inetd.md" and b.heading in ("xinetd", "tcpserver"):
            installed = read({"xinetd": "units/smtpin.xinetd.in", "tcpserver": "units/tcpserver.run.in"}[b.heading]).replace("@sbindir@", "/usr/sbin")
            lines = lambda text: {" ".join(l.split()).removeprefix("exec ") for l in text.split("\n") if l and not re.match(r"#|exec 2>&1|.*=$", l)}
            equal(lines(installed), lines(b.text), f"{b.where}: as it is installed")
        elif b.language == "haproxy" and b.how != "by":
            if not have("haproxy"): skip(b.where, "no haproxy"); continue
            p = subprocess.run(["haproxy", "-c", "-f", write("haproxy.cfg", b.text, 0o644)], capture_output=True, text=True)
            ok(p.returncode == 0, f"{b.where}: haproxy takes it", p.stdout + p.stderr)
        elif b.language == "conf" and b.text.startswith("[") and b.how != "by":  # (documents.py has the others.)
            socket_name = re.match(r"\[(.*)\]", b.text)[1]
            store = os.path.join(here, "mail"); os.mkdir(store)
            conf = write("section.conf", f"domains = example.org\nmaildir = {store}\ndeliver_through = {write('through', f'#!/bin/sh{chr(10)}shift{chr(10)}exec {MAILDIR} {chr(34)}$@{chr(34)}{chr(10)}')}\n" + b.text, 0o644)
            for recipients in ("jane",), ("jane", "joe"):
                p = subprocess.run([SMTPIN, "-f", conf, "-o", f"socket={socket_name}", "-o", "log=stderr"], input="EHLO x\r\nMAIL FROM:<root>\r\n" + "".join(f"RCPT TO:<{r}@example.org>\r\n" for r in recipients) + "DATA\r\nSubject: x\r\n\r\nbare\nline\r\n.\r\nQUIT\r\n", capture_output=True, text=True, timeout=60)
                ok("\n250 2.0.0 OK" in p.stdout, f"{b.where}: mail to {len(recipients)} on a socket {socket_name}", p.stdout + p.stderr)

# Running text. What the programs and the source know:
KEYS = set(re.findall(r'\{KEY\("([a-z0-9_]+)"', read("src/config/setting.c")))
CODE = "\n".join(open(f, errors="replace").read() for d in ("src", "units", "tests") for f in glob.glob(f"{SOURCE}/{d}/**/*", recursive=True) if os.path.isfile(f) and not f.endswith("blocks.py"))
UNITS = {re.sub(r"\.in$", "", f) for f in os.listdir(os.path.join(SOURCE, "units"))} | {"smtpin@.service", "smtpin-lmtp@.service", "smtpin-submission@.service", "smtpin-submissions@.service"} | set(re.findall(r"/([\w@-]+\.(?:socket|service))$", "\n".join(p for bs in ALL.values() for b in bs for p, _ in b.files()), re.M))
FOREIGN = {"shutdown_clients", "auth_verbose", "auth_ssl_username_from_cert", "message_size_limit", "inet_interfaces", "no_new_privs", "process_vm_readv", "reuse_key"}  # of Dovecot, Postfix, Linux, certbot
SOCKETS = {"NAME"} | {m for f in glob.glob(f"{SOURCE}/units/*.socket") for m in re.findall(r"^FileDescriptorName=(\S+)", open(f).read(), re.M)}
OPTIONS = {}
for program in COMPANIONS:
    text = subprocess.run([os.path.join(BUILD, program), "--help"], capture_output=True, text=True).stdout
    OPTIONS[program] = {"--help", "--version", "--"} | set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)) | {"-" + c for m in re.findall(r"(?<![\w-])-([a-zA-Z]+)\b", text) for c in m}
    manual = next(n for n in ALL if re.fullmatch(rf"docs/{program}\.[18]", n))
    named = {"-" + f[3:] for _, f in document.inline(SOURCE, manual) if f.startswith("Fl ")}
    named = {"-" + c for f in named if not f.startswith("--") for c in f[1:]} | {f for f in named if f.startswith("--")}
    equal(named - {"--"}, OPTIONS[program] - {"--"}, f"{manual}: the options are those of --help")


def setting(key, value):
    """What --check says of it by itself, or in a section."""
    if key not in KEYS: return None if key in FOREIGN else "no such setting"
    if key == "socket": return None if value in SOCKETS else f"{value}: no such socket"  # not in a file
    said = ""
    for front in ("", "[local]\n"):
        conf = write("one.conf", ("" if key == "domains" else "domains = example.org\n") + f"{front}{key} = {value}\n", 0o644)
        p = subprocess.run([SMTPIN, "-f", conf, "--check"], capture_output=True, text=True)
        said = "\n".join(l for l in p.stdout.split("\n") if l.startswith(conf))
        if not said: return None
    return said


def command_line(words):
    """What is wrong with the options of one of our programs."""
    program = os.path.basename(words[0])
    for i, w in enumerate(words[1:], 1):
        if w == "--": break
        if w == "-o" or words[i - 1] == "-o":
            if words[i - 1] == "-o" and "=" in w and (m := setting(*w.split("=", 1))): return m
        elif re.match(r"--?[a-z]", w) and w not in OPTIONS[program] and not (program == "smtpin-maildir" and {"-" + c for c in w[1:]} <= OPTIONS[program]): return f"{w}: no option of {program}"


def fields(text):
    """The journal's fields that do not exist."""
    return ", ".join(f"SMTP_{f}: no such field" for f in re.findall(r"\bSMTP_([A-Z_]+)\b", text) if not re.search(rf'"{f.lower()}"|\bSMTP_{f}\b', CODE))


def of_text(name, text):
    """What is wrong with a piece of running text that is set as code."""
    if (m := re.fullmatch(r"([a-z_]+) = (\S.*)", text)) and "..." not in text: return setting(m[1], m[2])
    if re.match(r"smtpin(-lmtp|-maildir|-milter|-replay|-report|-tls)? -", text): return command_line(shlex.split(text))
    if m := re.match(r"sh (\S+)", text): return None if os.path.exists(os.path.join(SOURCE, m[1])) else "no such script"
    if m := re.match(r"CC=\S+ meson setup \S+ (.*)", text): return None if m[1] in read("tests/run.sh") else "tests/run.sh builds nothing so"
    if re.fullmatch(r"(docs|tests|src|units|base|smtp|io|adapters|syntax|config|backend|sandbox|program)/[\w.*/-]+", text) and "X" not in text:
        return None if any(glob.glob(os.path.join(SOURCE, d, text + end)) for end in ("", ".*") for d in ("", "src", "tests/transcripts")) or re.search(r"[A-Z]{4}", text) else "no such file"
    if m := re.fullmatch(r"(smtpin[\w.-]*)\((\d)\)", text): return None if f"docs/{m[1]}.{m[2]}" in ALL else "no such manual"
    if m := re.search(r"(?<![\w.@/-])(smtpin[\w@-]*\.(?:service|socket|slice|path))(?![\w.])", text): return None if m[1] in UNITS else f"{m[1]}: no such unit"
    if m := fields(text): return m
    if re.fullmatch(r"[a-z]+(_[a-z0-9]+)+(\(\))?", text) and text not in KEYS and text not in FOREIGN: return None if re.search(rf"\b{text.removesuffix('()')}\b", CODE) else "nothing has that name"
    for macro in re.findall(r"\$\{(\w+)\}", text):
        if macro != "name" and f'FACT("{macro}"' not in CODE: return f"{macro}: no such macro"


for name in ALL:
    pieces = list(document.inline(SOURCE, name))
    wrong = [f"{name}:{line}: {text}: {m}" for line, text in pieces if (m := of_text(name, text))]
    wrong += [f"{b.where}: {m}" for b in ALL[name] if (m := fields(b.text))]
    ok(not wrong, f"{name}: {len(pieces)} options, settings, files, units and names in running text exist", "\n".join(wrong))
done()
