"""Makes the pictures of the documents: docs/NAME.svg from docs/pictures/NAME.txt, all of them.

A text has statements, which begin a line, and the words that belong to one, indented below it. Numbers are in
units of ten pixels. What is between `backquotes` is set as code.

    title WORDS                     what a screen reader says first; "about", then the words, is the rest
    box NAME X Y WIDTH HEIGHT [KIND...]
                                    the first line below it is its heading. Kinds: outside (not ours), ours, yours,
                                    hostile (colours); left (its lines begin at the left, at the top); stack (several of them)
    frame X Y WIDTH HEIGHT: LABEL   a dashed frame around boxes
    text X Y [heading]              lines of their own; the first is bold
    A -> B [at N] [KIND]: LABEL     an arrow between two boxes (<- and <-> too); KIND good, bad, later or own colours it.
                                    It is straight where the boxes face each other, at N (x or y), or spread
                                    with the others between the two; else it leaves A sideways and turns once to
                                    B, at x = N. " | " in a label begins a line.

A picture in which words don't fit, or something lies on something else, is an error."""
import html, os, re, sys

HERE = os.path.dirname(os.path.abspath(__file__))
UNIT, MARGIN, TITLE, LINE, LEAD = 10, 14, 15, 13, 17
HEAD = 9  # an arrow's head, in pixels
LIGHT = {"fg": "#1f2328", "bg": "#ffffff", "line": "#59636e", "box": "#f6f8fa", "ours": "#ddf4ff", "oursline": "#0969da", "yours": "#dafbe1",
         "yoursline": "#1a7f37", "hostile": "#ffebe9", "hostileline": "#cf222e", "later": "#9a6700"}
DARK = {"fg": "#e6edf3", "bg": "#0d1117", "line": "#9198a1", "box": "#1c2128", "ours": "#0f2a4d", "oursline": "#4493f8", "yours": "#12361f",
        "yoursline": "#3fb950", "hostile": "#45171b", "hostileline": "#f85149", "later": "#d29922"}
COLOURS = """text{fill:FG}.g{fill:BG}.b{fill:BOX;stroke:LINE}.ours{fill:OURS;stroke:OURSLINE}.yours{fill:YOURS;stroke:YOURSLINE}
.hostile{fill:HOSTILE;stroke:HOSTILELINE}.a,.f{fill:none;stroke:LINE}.h{fill:LINE}.a.good{stroke:YOURSLINE}.h.good{fill:YOURSLINE}
.a.bad{stroke:HOSTILELINE}.h.bad{fill:HOSTILELINE}.a.own{stroke:OURSLINE}.h.own{fill:OURSLINE}.a.later{stroke:LATER}.h.later{fill:LATER}"""
SHAPES = f"""text{{font:{LINE}px sans-serif}}.t{{font-weight:bold;font-size:{TITLE}px}}.c{{font-family:monospace}}.m{{text-anchor:middle}}.e{{text-anchor:end}}
.b{{stroke-width:1.5}}.a{{stroke-width:1.5}}.f,.outside{{stroke-dasharray:5 4}}"""


def coloured(colours):
    return re.sub("[A-Z]+", lambda m: colours[m[0].lower()], COLOURS)


def svg(width, height, title, about, body, made):
    """The whole file. It has a ground of its own, so that it can be read whatever the page around it is."""
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}" role="img" aria-labelledby="t d">\n'
            f"<!-- {made} -->\n<title id=\"t\">{html.escape(title)}</title>\n<desc id=\"d\">{html.escape(about)}</desc>\n"
            f"<style>{SHAPES}\n{coloured(LIGHT)}\n@media (prefers-color-scheme:dark){{{coloured(DARK)}}}</style>\n"
            f'<rect class="g" width="{width:g}" height="{height:g}" rx="6"/>\n' + "\n".join(body) + "\n</svg>\n")


def width_of(words, bold=False):
    """In pixels, and rather too many: the widest of the usual fonts (DejaVu Sans, Verdana) sets it so."""
    size, n = TITLE * 1.12 if bold else LINE, 0
    for i, part in enumerate(words.split("`")):
        if i % 2: n += 0.62 * len(part)
        else: n += sum(0.34 if c in "ijl.,:;'|! " else 0.42 if c in "frtI-()/" else 0.98 if c in "mwMW@%" else 0.72 if c.isupper() else 0.64 for c in part)
    return n * size


def words_of(words, x, y, classes=""):
    parts = [f'<tspan class="c">{html.escape(p)}</tspan>' if i % 2 else html.escape(p) for i, p in enumerate(words.split("`"))]
    return f'<text{f" class={chr(34)}{classes.strip()}{chr(34)}" if classes.strip() else ""} x="{x:g}" y="{y:g}">{"".join(parts)}</text>'


class Picture:
    def __init__(self, text):
        self.boxes, self.labels, self.frames, self.arrows, self.wrong = {}, [], [], [], []
        self.title = self.about = ""
        statements = []
        for line in text.split("\n"):
            if line.startswith("#"): continue
            if line[:1].isspace(): statements[-1][1].append(line.strip())
            elif line.strip(): statements.append((line.strip(), []))
            elif statements and statements[-1][1]: statements[-1][1].append("")
        for head, below in statements:
            while below and not below[-1]: below.pop()
            self.read(head, below)
        self.body = []
        for f in self.frames: self.draw_frame(*f)
        for name, b in self.boxes.items(): self.draw_box(name, *b)
        self.draw_arrows()
        for words, x, y, classes, _ in self.labels: self.body.append(words_of(words, x, y, classes))
        self.look_for_clashes()

    def read(self, head, below):
        word, _, rest = head.partition(" ")
        if word == "title": self.title = rest
        elif word == "about": self.about = " ".join(" ".join(below).split())
        elif word == "box":
            name, *numbers = rest.split()
            self.boxes[name] = ([float(n) * UNIT for n in numbers[:4]], numbers[4:], below)
        elif word == "frame":
            numbers, label = rest.split(":", 1)
            self.frames.append(([float(n) * UNIT for n in numbers.split()], label.strip()))
        elif word == "text":
            x, y, *kinds = rest.split()
            for i, line in enumerate(below): self.label(line, float(x) * UNIT, float(y) * UNIT + LEAD * i, "t" if kinds and i == 0 else "", bool(kinds) and i == 0)
        else:
            m = re.fullmatch(r"(\w+) (->|<-|<->) (\w+)(?: at ([0-9.]+))?(?: (good|bad|later|own))?(?:: (.*))?", head)
            if not m: raise ValueError(f"no such statement: {head}")
            a, way, b = m[1], m[2], m[3]
            self.arrows.append((*((b, a) if way == "<-" else (a, b)), way == "<->", float(m[4]) * UNIT if m[4] else None, m[5] or "", (m[6] or "").split(" | ") if m[6] else []))

    def label(self, words, x, y, classes="", bold=False):
        w = width_of(words, bold)
        left = x - w / 2 if "m" in classes.split() else x
        self.labels.append((words, x, y, classes, (left, y - LINE + 2, left + w, y + 3)))

    def draw_frame(self, place, label):
        x, y, w, h = place
        self.body.append(f'<rect class="f" x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="8"/>')
        self.label(label, x + 10, y + 17)

    def draw_box(self, name, place, kinds, lines):
        x, y, w, h = place
        rect = lambda d: f'<rect class="{" ".join(["b"] + [k for k in kinds if k not in ("left", "stack")])}" x="{x + d:g}" y="{y - d:g}" width="{w:g}" height="{h:g}" rx="6"/>'
        self.body += [rect(d) for d in ((10, 5, 0) if "stack" in kinds else (0,))]
        leads = [TITLE + 3] + [LEAD if l else LEAD / 2 for l in lines[1:]]
        at = y + (8 if "left" in kinds else (h - sum(leads)) / 2) + TITLE - 1
        if sum(leads) + 8 > h: self.wrong.append(f"{name}: {len(lines)} lines are too many for its height")
        for i, line in enumerate(lines):
            if i: at += leads[i]
            if width_of(line, i == 0) + (18 if "left" in kinds else 10) > w: self.wrong.append(f"{name}: too long: {line}")
            aligned = ("", x + 10) if "left" in kinds else ("m", x + w / 2)
            if line: self.body.append(words_of(line, aligned[1], round(at, 1), ("t " if i == 0 else "") + aligned[0]))

    def draw_arrows(self):
        self.ways = []
        pairs = {}
        for arrow in self.arrows: pairs.setdefault(frozenset(arrow[:2]), []).append(arrow)
        for arrow in self.arrows:
            a, b, both, at, kind, label = arrow
            (ax, ay, aw, ah), (bx, by, bw, bh) = self.boxes[a][0], self.boxes[b][0]
            left, right, top, bottom = max(ax, bx), min(ax + aw, bx + bw), max(ay, by), min(ay + ah, by + bh)
            spread = [s for s in pairs[frozenset(arrow[:2])] if s[3] is None]
            if at is None and arrow in spread: share = (spread.index(arrow) + (0.5 if len(spread) == 1 else 0.66)) / len(spread)
            if left < right:
                x = at if at is not None else left + (right - left) * share
                way = [(x, ay + ah), (x, by)] if ay < by else [(x, ay), (x, by + bh)]
                for i, l in enumerate(label): self.label(l, x + 8, (way[0][1] + way[1][1]) / 2 + 4 + LEAD * (i - (len(label) - 1) / 2))
            else:
                if top < bottom:
                    y = at if at is not None else top + (bottom - top) * share
                    way = [(ax + aw, y), (bx, y)] if ax < bx else [(ax, y), (bx + bw, y)]
                else:
                    y, x = ay + ah / 2, at if at is not None else bx + bw / 2
                    way = [(ax + aw if ax < bx else ax, y), (x, y), (x, by if ay < by else by + bh)]
                for i, l in enumerate(label): self.label(l, (way[0][0] + way[1][0]) / 2, y - 6 - LEAD * (len(label) - 1 - i), "m")
            self.draw_way([(round(x, 1), round(y, 1)) for x, y in way], both, kind)
            self.ways.append((a, b, way))

    def draw_way(self, way, both, kind):
        ends = [(way[-2], way[-1])] + ([(way[1], way[0])] if both else [])
        line, heads = list(way), ""
        for (fx, fy), (tx, ty) in ends:
            dx, dy = (tx > fx) - (tx < fx), (ty > fy) - (ty < fy)
            bx, by = tx - dx * HEAD, ty - dy * HEAD
            heads += f"M{tx:g} {ty:g}L{bx + dy * HEAD / 2:g} {by + dx * HEAD / 2:g}L{bx - dy * HEAD / 2:g} {by - dx * HEAD / 2:g}z"
            line[-1 if (tx, ty) == way[-1] else 0] = (bx, by)
        self.body.append(f'<path class="{f"a {kind}".strip()}" d="M{"L".join(f"{x:g} {y:g}" for x, y in line)}"/><path class="{f"h {kind}".strip()}" d="{heads}"/>')

    def look_for_clashes(self):
        meet = lambda p, q: p[0] < q[2] and q[0] < p[2] and p[1] < q[3] and q[1] < p[3]
        places = {n: (b[0][0], b[0][1], b[0][0] + b[0][2], b[0][1] + b[0][3]) for n, b in self.boxes.items()}
        names = list(places)
        for i, n in enumerate(names):
            self.wrong += [f"{n} lies on {o}" for o in names[:i] if meet(places[n], places[o])]
        for i, (words, *_, r) in enumerate(self.labels):
            self.wrong += [f"{words!r} lies on {n}" for n in names if meet(r, places[n])]
            self.wrong += [f"{words!r} lies on {o[0]!r}" for o in self.labels[:i] if meet(r, o[4])]
            if r[0] < 0 or r[1] < 0: self.wrong.append(f"{words!r} is cut off")
        for a, b, way in self.ways:
            for p, q in zip(way, way[1:]):
                r = (min(p[0], q[0]) - 1, min(p[1], q[1]) - 1, max(p[0], q[0]) + 1, max(p[1], q[1]) + 1)
                self.wrong += [f"the arrow from {a} to {b} runs over {n}" for n in names if n not in (a, b) and meet(r, places[n])]
                self.wrong += [f"the arrow from {a} to {b} runs over {l[0]!r}" for l in self.labels if meet(r, l[4])]
        stacked = [(0, 0, places[n][2] + 10, 0) for n in names if "stack" in self.boxes[n][1]]
        ends = [*places.values(), *stacked, *((x, y, x + w, y + h) for (x, y, w, h), _ in self.frames), *(l[4] for l in self.labels)]
        self.width, self.height = (round(max(e[i] for e in ends)) + MARGIN for i in (2, 3))


def picture(name):
    """(the text's Picture, the SVG that it makes)."""
    with open(os.path.join(HERE, name + ".txt"), encoding="utf-8") as f: p = Picture(f.read())
    return p, svg(p.width, p.height, p.title, p.about, p.body, f"Made by docs/pictures/draw.py from docs/pictures/{name}.txt: change that.")


def names():
    return sorted(n[:-4] for n in os.listdir(HERE) if n.endswith(".txt"))


def main():
    wrong = False
    for name in names():
        p, made = picture(name)
        for w in p.wrong: print(f"{name}.txt: {w}", file=sys.stderr)
        with open(os.path.join(HERE, "..", name + ".svg"), "w", encoding="utf-8") as f: f.write(made)
        wrong = wrong or bool(p.wrong)
    return wrong


if __name__ == "__main__": sys.exit(main())
