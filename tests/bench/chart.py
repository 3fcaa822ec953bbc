"""The charts of docs/performance.md, with the ground and the colours of the other pictures (docs/pictures/draw.py)."""
import math, os, re, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "pictures"))
import draw


def picture(path, title, xs, names, series, unit, ys):
    """A chart with a logarithmic x axis, and a y axis with marks at ys: logarithmic too, unless they begin at 0."""
    w, h, left, right, bottom = 640, 360, 70, 612, 40
    scale = (lambda v: math.log(v)) if ys[0] > 0 else (lambda v: v)
    x = lambda v: left + (right - left) * (math.log(v) - math.log(xs[0])) / (math.log(xs[-1]) - math.log(xs[0]))
    y = lambda v: h - bottom - (h - bottom - 60) * (scale(v) - scale(ys[0])) / (scale(ys[-1]) - scale(ys[0]))
    body = [draw.words_of(title, left, 20, "t")]
    for v in ys: body.append(f'<path class="a" opacity=".3" d="M{left} {y(v):.1f}H{right}"/>{draw.words_of(f"{v:g}", left - 8, round(y(v), 1) + 4, "e")}')
    for v, n in zip(xs, names): body.append(draw.words_of(str(n), round(x(v), 1), h - bottom + 18, "m"))
    for i, ((name, v), kind) in enumerate(zip(series.items(), ("bad", "own", "good"))):
        body.append(f'<path class="a {kind}" d="M{"L".join(f"{x(a):.1f} {y(b):.1f}" for a, b in zip(xs, v))}"/>')
        body.append(draw.words_of(name, left + 180 * i, 42, f"h {kind}"))
    body.append(draw.words_of(unit, 14, h / 2))
    about = f"In {unit}, at {', '.join(map(str, names))}."
    for name, v in series.items(): about += f" {name}: " + ", ".join(f"{float(format(b, '.2g')):g}" for b in v) + "."
    with open(path, "w", encoding="utf-8") as f: f.write(draw.svg(w, h, title, about, body, "Made by tests/bench/run.sh."))


def bars(path, title, rows, unit, source):
    """Rows of (name, value, kind): a bar for each, from 0, and its value."""
    w, left, right, step = 760, 320, 700, 24
    h = 50 + step * len(rows)
    most = max(v for _, v, _ in rows)
    body = [draw.words_of(title, 14, 22, "t")]
    for i, (name, v, kind) in enumerate(rows):
        y = 40 + step * i
        body.append(draw.words_of(name, left - 8, y + 13, "e"))
        body.append(f'<rect class="b {kind}" x="{left}" y="{y}" width="{max(2, (right - left) * v / most):.1f}" height="16"/>')
        body.append(draw.words_of(f"{v:.2g}" if v >= 10 else f"{v:.1f}", round(left + (right - left) * v / most, 1) + 6, y + 13))
    about = f"In {unit}. " + "; ".join(f"{name}: {v:.2g}" for name, v, _ in rows) + "."
    with open(path, "w", encoding="utf-8") as f: f.write(draw.svg(w, h, title, about, body, f"Made by {source}."))


if __name__ == "__main__":
    # A table of session.c's on stdin: server, CPU, ratio ...
    cells = [[c.strip() for c in l.strip().strip("|").split("|")] for l in sys.stdin if l.startswith("|")]
    rows = [(c[0], float(c[2]), "ours" if c[0].startswith("smtpin") else "") for c in cells[2:] if c[0] and not re.match("exit at once|plays|before|.*stderr", c[0])]
    bars(sys.argv[1], "CPU of a session with one message, all processes", rows, "times the floor", "tests/bench/run.sh")
