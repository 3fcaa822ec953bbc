"""The blocks of README.md, docs/*.md and the manuals, each with its mark: how a test tries it.

In Markdown the mark is the fence's info string (```sh root), in a manual the comment in front of
.Bd (.\\" sh root). Its first word is the language, for a highlighter:

    sh      commands            conf    smtpin.conf            smtp    a transcript
    text    what the commands before it print ("..." stands for anything)
    console commands, behind a "$ ", each with what it prints
    any other: a file of another program

What follows says how it is tried; without it, as it stands, in a scratch directory of its document:

    at PATH       a file of that name, for the blocks behind it
    root          as root under a systemd of its own; conf: it is /etc/smtpin/smtpin.conf, and mail comes
    exit N        the commands end with that status
    by FILE       that other test runs it: it names the block's heading, or the document
    not: REASON   nobody runs it

A document that is written by a program has one mark for its blocks, a line <!-- blocks: MARK -->.
A line `# /some/path` inside a `root` block that is no `sh` begins the file of that name."""
import glob, os, re, subprocess
from dataclasses import dataclass, field


@dataclass
class Block:
    file: str
    line: int
    heading: str
    mark: str  # "" for a block that has none
    text: str
    language: str = field(init=False)
    how: str = field(init=False)      # "", root, at, exit, by, not
    argument: str = field(init=False)  # what follows it

    def __post_init__(self):
        self.language, rest = (self.mark.split(None, 1) + ["", ""])[:2]
        self.how, self.argument = (rest.split(None, 1) + ["", ""])[:2]
        self.how = self.how.removesuffix(":")

    @property
    def where(self): return f"{self.file}:{self.line}"

    def files(self):
        """(path, text) for each file that a `root` block of files is about."""
        parts = re.split(r"^# (/\S+)\n", self.text, flags=re.M)
        return list(zip(parts[1::2], (p.strip("\n") + "\n" for p in parts[2::2])))


def names(source):
    return ["README.md", *sorted(glob.glob("docs/*.md", root_dir=source)), *sorted(glob.glob("docs/*.[1578]", root_dir=source))]


def without_escapes(text):
    """mdoc's escapes as characters."""
    text = re.sub(r"\\\[u([0-9A-F]{4})\]", lambda m: chr(int(m[1], 16)), text)
    for escape, character in ((r"\(dq", '"'), (r"\(:u", "ü"), (r"\[:u]", "ü"), (r"\&", ""), (r"\-", "-"), (r"\e", "\\")): text = text.replace(escape, character)
    return text


def markdown(name, lines):
    heading, i = "", 0
    default = next((m[1] for l in lines if (m := re.fullmatch(r"<!-- blocks: (.*) -->", l))), "")
    while i < len(lines):
        line = lines[i]
        if m := re.match(r" *```+(.*)$", line):
            start, fence = i + 1, line[:len(line) - len(m[1])]
            while i + 1 < len(lines) and lines[i + 1].strip() != fence.strip(): i += 1
            yield Block(name, start, heading, m[1].strip() if " " in m[1] else default or m[1].strip(), "".join(l.removeprefix(" " * (len(fence) - len(fence.lstrip()))) + "\n" for l in lines[start:i + 1]))
            i += 1
        elif re.match(r"(    |\t)\s*\S", line) and not lines[i - 1].strip():
            start = i
            while i + 1 < len(lines) and re.match(r"    |\t|$", lines[i + 1]): i += 1
            yield Block(name, start + 1, heading, default, "".join(l[4:] + "\n" for l in lines[start:i + 1]))
        elif m := re.match(r"#+ +(.*)$", line): heading = m[1].strip()
        i += 1


def manual(name, lines):
    heading = ""
    for i, line in enumerate(lines):
        if m := re.match(r"\.S[hs] (.*)$", line): heading = m[1]
        if not re.match(r"\.(Bd|Dl)\b", line): continue
        m = re.match(r'\.\\" +(.*)$', lines[i - 1])
        end = i + 1 if line[1:3] == "Dl" else lines.index(".Ed", i)
        body = [line[4:]] if line[1:3] == "Dl" else lines[i + 1:end]
        yield Block(name, i + 1, heading, m[1].strip() if m else "", without_escapes("".join(l + "\n" for l in body)))


def blocks(source, only=None):
    for name in [only] if only else names(source):
        lines = open(os.path.join(source, name)).read().split("\n")
        yield from (markdown if name.endswith(".md") else manual)(name, lines)


def commands(text):
    """A shell's program that ends with the first command line that fails (with `set -e`, the left side of && would not count)."""
    out, lines = [], text.split("\n")
    while lines:
        line = lines.pop(0)
        while line.endswith("\\") and lines: line += "\n" + lines.pop(0)
        for m in re.finditer(r"<<-?\s*['\"]?(\w+)", line):
            while lines:
                line += "\n" + lines.pop(0)
                if line.rsplit("\n", 1)[1].strip() == m[1]: break
        if line.strip(): out.append("eval '" + line.replace("'", "'\\''") + "\n' || exit\n")
    return "".join(out)


def turns(text):
    """(command, what it prints) of a console."""
    return [(t.split("\n", 1) + [""])[:2] for t in re.split(r"^\$ ", text, flags=re.M)[1:]]


def alike(said, expected):
    """Is `said` what the block has, where "..." stands for anything?"""
    pattern = ".*".join(re.escape(p) for p in expected.strip().split("..."))
    return re.fullmatch(pattern, said.strip(), re.S) is not None


def inline(source, name):
    """(line, text) for each piece of running text that is set as code: `...`, and what a manual's macros make of it."""
    text = open(os.path.join(source, name)).read()
    if name.endswith(".md"):
        text = re.sub(r"^( *```+).*?^ *```+ *$", lambda m: "\n" * m[0].count("\n"), text, flags=re.M | re.S)
        for m in re.finditer(r"`([^`]+)`", text): yield text.count("\n", 0, m.start()) + 1, " ".join(m[1].split())
        return
    inside = False
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith(".Bd"): inside = True
        if line.startswith(".Ed"): inside = False
        if inside: continue
        for m in re.finditer(r"(?:^\.(?:It |Pf \S+ |Dq |Pq |Op )*|\s)(Cm|Li|Ql|Ic|Fl|Nm) ((?:(?!\s(?:Ar|Ns|Cm|Li|Ql|Ic|Fl|Nm|Pq|No|Ta|Op|Qq)\b).)*)", line):
            words = re.sub(r"( [.,;:()]+)+$", "", without_escapes(m[2])).strip()
            if m[1] == "Fl":
                for flag in re.sub(r"[|,.]", " ", words).split(): yield number, "Fl " + flag
            else: yield number, words.rstrip(" ,.")


def certificate(chain, key, host, kind="ec", **more):
    """A certificate for the host, with that of an authority of its own behind it, and its key."""
    def openssl(*words, **how): return subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60, **how).stdout
    for path in (chain, key): os.makedirs(os.path.dirname(path), exist_ok=True)
    new = ["-newkey", "rsa:2048"] if kind == "rsa" else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    authority = openssl("req", "-x509", *new, "-nodes", "-days", "365", "-subj", "/CN=Authority", "-keyout", chain + ".key", "-out", chain + ".ca").decode()
    with open(chain + ".names", "w") as f: f.write(f"subjectAltName=DNS:{host}\nbasicConstraints=CA:FALSE\n")
    request = openssl("req", "-new", *new, "-nodes", "-subj", f"/CN={host}", "-keyout", key)
    openssl("x509", "-req", "-CA", chain + ".ca", "-CAkey", chain + ".key", "-set_serial", str(abs(hash(host)) % 10**9 + 1), "-days", "90", "-extfile", chain + ".names", "-out", chain, input=request)
    with open(chain, "a") as f: f.write(open(chain + ".ca").read())
    for end in (".key", ".ca", ".names"): os.unlink(chain + end)


def certificates(text, top="", readable=True):
    """The configuration with its certificates below `top`. Those that are missing are made: a directory as certbot lays it out, with the name of its host; files for the host that they are called after."""
    def one(words):
        paths = words.split()
        if paths[0] == "self-signed": return words
        if not paths[0].endswith(".pem"):
            live, name = top + paths[0], os.path.basename(paths[0])
            archive = live.replace("/live/", "/archive/")
            if not os.path.exists(live):
                certificate(f"{archive}/fullchain1.pem", f"{archive}/privkey1.pem", name)
                if not readable: os.chmod(f"{archive}/privkey1.pem", 0o600); [os.chmod(os.path.dirname(d), 0o700) for d in (archive, live) if os.path.isdir(os.path.dirname(d))]
                os.makedirs(live, exist_ok=True)
                if not readable: os.chmod(os.path.dirname(live), 0o700)
                else: os.chmod(f"{archive}/privkey1.pem", 0o644)
                for file in ("fullchain", "privkey") if archive != live else (): os.symlink(f"../../archive/{name}/{file}1.pem", f"{live}/{file}.pem")
            return live
        chain, key = top + paths[0], top + paths[-1]
        if not os.path.exists(chain): certificate(chain, key, re.sub("-rsa$", ".example.org", os.path.basename(chain)[:-4]), "rsa" if "rsa" in chain else "ec"); os.chmod(key, 0o644)
        return f"{chain} {key}"
    return re.sub(r"^(tls_certificate = )(/.*)$", lambda m: m[1] + ", ".join(one(w.strip()) for w in m[2].split(",")), text, flags=re.M)
