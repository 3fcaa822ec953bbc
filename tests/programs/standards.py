"""What the standards say: docs/standards.md names tests that there are; each enhanced status code that the sources say is IANA's, beside a basic code that goes with it (tests/enhanced_codes.h)."""
import glob
from harness import *

codes = open(os.path.join(SOURCE, "tests/enhanced_codes.h")).read()
REGISTERED = {(int(s), int(d)): {int(b) for b in basic.split(",")} - {0} for s, d, basic in re.findall(r"^ENHANCED\((\d+), (\d+), ([\d, ]+)\)", codes, re.M)}
BESIDE = {tuple(map(int, m)) for m in re.findall(r"^BESIDE\((\d+), (\d+), (\d+)\)", codes, re.M)}
ok(len(REGISTERED) > 75 and len(BESIDE) >= 1, "the registry's list is read", (len(REGISTERED), BESIDE))


def wrong(basic, enhanced):
    """Why these two don't go together; basic 0: it is not known here."""
    klass, subject, detail = map(int, enhanced.split("."))
    if (subject, detail) not in REGISTERED: return f"{enhanced} is not registered"
    if basic == 0: return None
    if basic // 100 != klass: return f"{basic} {enhanced}: two classes"
    if REGISTERED[subject, detail] and basic not in REGISTERED[subject, detail] and (basic, subject, detail) not in BESIDE: return f"{basic} does not go with {enhanced}"


# In strings: "451 4.3.5 Text", and a basic code with its enhanced one as two arguments or initializers. A comment is none.
seen, bad = 0, []
for name in sorted(glob.glob("src/**/*.[ch]", root_dir=SOURCE, recursive=True)):
    text = open(os.path.join(SOURCE, name)).read()
    text = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.S)
    for m in re.finditer(r'(?:([2-5]\d\d)(?:, *"|,\s*\.enhanced = TEXT_OF\("| )|")([245]\.\d{1,3}\.\d{1,3})(?=[" ])', text):
        seen += 1
        # The table of smtp_code_of_enhanced has the basic code behind it: tests/unit/reply.c.
        if why := wrong(int(m[1] or 0), m[2]): bad.append(f"{name}:{text.count(chr(10), 0, m.start()) + 1}: {why}")
ok(seen > 100, "the sources' codes are found", seen)
equal(bad, [], "each is registered, and goes with its basic code")

# What the documents show of them.
bad = []
for name in ["README.md", *sorted(glob.glob("docs/*.md", root_dir=SOURCE)), *sorted(glob.glob("docs/*.[1578]", root_dir=SOURCE)), "docs/faq.in"]:
    for n, line in enumerate(open(os.path.join(SOURCE, name)), 1):
        bad += [f"{name}:{n}: {why}" for e in re.findall(r"\b[2-5]\d\d ([245]\.\d{1,3}\.\d{1,3})\b", line) if (why := wrong(0, e))]
equal(bad, [], "the documents show registered ones only")

# ---- docs/standards.md: each row has an RFC with a section, and a test that exists; each RFC of the list has rows.
RFCS = "5321 5321bis 1870 2033 2034 2920 3030 3207 3461 4954 6152 6531 8689 9422".split()
PLACES = ("tests/transcripts/", "tests/", "")


def exists(name):
    """A test's name: a transcript, or what stands below tests/."""
    return any(os.path.isfile(p) for place in PLACES for p in glob.glob(os.path.join(SOURCE, place + name)))


def broken(row):
    """What is wrong with a row; None."""
    if len(row) != 4: return "has not four cells"
    where, asks, does, tests = row
    m = re.fullmatch(r"(\d{4}(?:bis)?) (\d+(?:\.\d+)*)", where)
    if not m: return "has no RFC with a section"
    if m[1] not in RFCS: return "has an RFC that is not in the list"
    if not re.search(r"MUST|SHOULD|MAY|MAILMAX|RCPTMAX|556", asks): return "asks nothing"
    if "**not yet**" in does: return None if tests == "-" else "names a test for what is not there yet"
    names = re.findall(r"`([^`]+)`", tests)
    if not names or re.sub(r"`[^`]+`|, ", "", tests): return "names no test, or something else"
    missing = [n for n in names if not exists(n)]
    return f"names tests that are not there: {missing}" if missing else None


text = open(os.path.join(SOURCE, "docs/standards.md")).read()
rows = [[c.strip() for c in l.strip().strip("|").split("|")] for l in text.split("\n") if l.startswith("| ") and not l.startswith("| RFC")]
ok(len(rows) > 100, "rows", len(rows))
equal([(r[0], why) for r in rows if (why := broken(r))], [], "each row of docs/standards.md")
equal(sorted({r[0].split()[0] for r in rows}), sorted(RFCS), "each RFC has rows")
for row, why in ((["5321", "MUST x", "y", "`order.smtp`"], "section"), (["5321 3.1", "MUST x", "y", "`no_such_transcript.smtp`"], "not there"), (["5321 3.1", "MUST x", "y", "-"], "no test"), (["5321 3.1", "MUST x", "**not yet**", "`order.smtp`"], "not there yet"), (["821 3.1", "MUST", "y", "`order.smtp`"], "section")):
    ok(why in (broken(row) or ""), f"a row like {row[0]} ... {row[3]} is complained of", broken(row))
done()
