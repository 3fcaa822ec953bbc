"""The pictures of the documents (docs/pictures/): each is what its text makes, can be read, stands in a document, and says what is so."""
import xml.etree.ElementTree as xml
from harness import *

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(SOURCE, "docs", "pictures"))
import draw

SVG = "{http://www.w3.org/2000/svg}"
read = lambda *path: open(os.path.join(SOURCE, *path), encoding="utf-8").read()
made = {name: draw.picture(name) for name in draw.names()}
ok({"connection", "floors", "sandbox"} <= set(made), "the pictures are there", list(made))
documents = ["README.md", *("docs/" + n for n in sorted(os.listdir(os.path.join(SOURCE, "docs"))) if n.endswith(".md"))]
shown = set()
for d in documents:
    for alt, path in re.findall(r"!\[([^\]]*)\]\(([^)]*\.svg)\)", read(d)):
        where = os.path.normpath(os.path.join(os.path.dirname(d), path))
        ok(os.path.isfile(os.path.join(SOURCE, where)) and len(alt) > 5, f"{d}: {path} is there, and has words for those who can't see it", (where, alt))
        shown.add(where)
for name, (p, svg) in made.items():
    path = os.path.join("docs", name + ".svg")
    ok(os.path.exists(os.path.join(SOURCE, path)) and read(path) == svg, f"{path} is what its text makes", "python3 docs/pictures/draw.py makes it again")
    equal(p.wrong, [], f"{path}: every word has its room")
for path in sorted(os.path.join("docs", n) for n in os.listdir(os.path.join(SOURCE, "docs")) if n.endswith(".svg")):
    svg = read(path)
    try: root = xml.fromstring(svg)
    except xml.ParseError as e: ok(False, f"{path} is XML", e); continue
    ok(root.tag == SVG + "svg" and all((root.findtext(SVG + t) or "").strip() for t in ("title", "desc")), f"{path} is XML, with a title and a description")
    ok("prefers-color-scheme:dark" in (root.findtext(SVG + "style") or ""), f"{path} has colours for the dark")
    ok(not re.search(r"<script|<image|@import|url\(|href=", svg) and len(svg) < 10000, f"{path} is small and fetches nothing", len(svg))
    ok(path in shown, f"{path} stands in a document")

# What draw.py calls an error.
SMALL = "box a 2 2 10 5\n    a\nbox b 30 2 10 5\n    b\n"
for what, text, wrong in (("nothing", SMALL + "a -> b: short\n", None), ("a heading that is too long", SMALL.replace("    a\n", "    a heading of many words\n"), "too long"), ("too many lines", SMALL.replace("    a\n", "    a\n" + "    b\n" * 4), "too many"),
                          ("a box on a box", SMALL + "box c 8 4 10 5\n    c\n", "c lies on a"), ("a label that is too long", SMALL + "a -> b: more words than there is room for\n", "lies on"),
                          ("an arrow through a box", SMALL + "box c 20 2 5 5\n    c\na -> b\n", "runs over c"), ("labels on each other", SMALL + "a -> b at 4: one\na -> b at 4.5: two\n", "lies on"), ("words beyond the edge", SMALL + "text 5 1\n    words\n", "cut off")):
    found = draw.Picture(text).wrong
    ok(not found if wrong is None else any(wrong in f for f in found), f"draw.py finds: {what}", found)

# The floors: those of the tree, and what each may include is what its arrows lead to.
boxes, arrows = made["floors"][0].boxes, made["floors"][0].arrows
may = {w[0]: set(w[1:]) for w in (l.split() for l in read("tests", "floors").splitlines()) if w and w[0] != "#"}
top = os.path.join(SOURCE, "src")
tree = {os.path.relpath(at, top) for at, _, files in os.walk(top) if any(f.endswith(".c") for f in files)}
floor = {name: os.path.relpath(lines[0], "src") for name, (_, _, lines) in boxes.items()}
equal(sorted(may), sorted(tree), "tests/floors has the floors of the tree")
equal(sorted(floor.values()), sorted(tree), "the picture has the floors of the tree")
leads = {f: set() for f in floor.values()}
for a, b, *_ in arrows: leads[floor[a]].add(floor[b])
for _ in leads:
    for f in leads: leads[f] |= {g for over in leads[f] for g in leads[over]}
equal(leads, may, "its arrows lead to what each floor may include")
programs = {p for _, _, lines in boxes.values() for p in re.findall(r"`(smtpin[a-z-]*)`", " ".join(lines))}
equal(sorted(programs), sorted(n for n, rest in re.findall(r"executable\('([a-z-]+)',(.*?)\)\n", read("meson.build"), re.S) if "install: true" in rest), "it has the programs that are installed")

# The sandbox: the requests, and which of them have an answer.
kinds = set(re.findall(r"^ +KIND\((\w+),", read("src", "sandbox", "request.h"), re.M))
between = {re.match(r"`(\w+)` \w", label[0])[1]: (a, both) for a, b, both, _, _, label in made["sandbox"][0].arrows if {a, b} == {"worker", "monitor"}}
equal(sorted(between), sorted(kinds), "the picture has the requests of REQUEST_KINDS")
ok(len(kinds) > 5 and all(a == "worker" for a, _ in between.values()), "the worker sends them", between)
functions = re.split(r"^}\n", read("src", "sandbox", "worker.c"), flags=re.M)
answered = {k for f in functions if re.search(r"\b(ask|receive|receive_answer|tell_client)\(w,", f) for k in re.findall(r"REQUEST_(\w+)", f)} & kinds
equal(sorted(k for k, (_, both) in between.items() if both), sorted(answered), "two heads: those whose answer the worker waits for")

# The connection: smtpin itself, with commands that end so.
ENDS = {"0": "exit 0", "67": "exit 67", "75": "exit 75", "a crash": "kill -SEGV $$", "a time-out": "exec sleep 20"}
say = {}
for a, b, _, _, kind, label in made["connection"][0].arrows:
    if kind: say.setdefault(kind, {})[(a, b)] = " ".join(label)
tried = []
for labels in say.values():
    reply = re.search(r"`(\d+)`", labels["smtpin", "client"])[1]
    for end in re.sub(r"^(\d\. exit status|or) |`", "", labels["command", "smtpin"]).split(", "):
        script = write("ends", f"#!/bin/sh\ncat >/dev/null\n{ENDS.get(end, 'exit 0')}\n")
        out, err, _ = pipe(mail(), {"deliver": script, "deliver_timeout": "1", "log": "none", "spool_dir": TMP})
        ok(final_reply(out).startswith(reply), f"the command ends with {end}: the client hears {reply}", (final_reply(out), err))
        tried.append(end)
equal(sorted(tried), sorted(ENDS), "the picture has each of these ends")
done()
