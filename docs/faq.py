#!/usr/bin/env python3
"""Writes docs/faq.md: `python3 docs/faq.py`, after a change of a reply or of docs/faq.in.

The replies come from the source: their codes, texts and rules stand there once. What they mean and what to do stands in
docs/faq.in. First the text, with marks: `@record NAME`, and the record on the next line, which the test looks for;
`@code CODE WORDS`, the heading over all replies with that code; `@replies`, `@others`, `@codes`, where these go. Behind a
line `@entries`, an entry for one or more replies:

    [ID]                which reply: a line for each
    to: RCPT            what it answers; `A | B`: for each
    early: yes          the client has not said EHLO yet, and so hears no enhanced code
    record: ...         what the log has; `...` stands for other fields, {reply} for reply="..." rule=...
    also: ...           another record that comes with it
    arguments: A | B    what '%' stands for in the text of each (the host's name, where it is not said)
    suffix: ...         what the program puts behind the text
    why: ...            a text may go on in lines that begin with a blank; {ID} is a link's target
    decides: ...
    cure: ...

An ID is a row of smtp/reply.c (SMTP_REPLY_ is left out), `rule NAME` (adapters/rules.c), `exit STATUS` or `code CODE`
(smtp/result.c), or `line TEXT`: what smtpin-maildir or smtpin-lmtp prints. tests/programs/faq.py holds both to each other, and
plays the sessions that lead to them."""
import glob, os, re

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HOST = "mx.example.org"
STRING = r'"((?:[^"\\]|\\.)*)"'
FIELDS = ("to", "early", "record", "also", "arguments", "suffix", "why", "decides", "cure")


def read(name, source=SOURCE):
    with open(os.path.join(source, name), encoding="utf-8") as f:
        return f.read()


def text_of(literals):
    """Of adjacent C strings."""
    return "".join(re.findall(STRING, literals)).replace('\\"', '"')


def reply(code, enhanced, text, rule):
    return {"code": int(code), "enhanced": enhanced, "text": text, "rule": rule}


def row(initializer):
    """Of a C initializer with named members; None: a row without a code of its own."""
    def member(name):
        m = re.search(rf"\.{name} =\s*(?:TEXT_OF\()?((?:{STRING}\s*)+)", initializer)
        return text_of(m[1]) if m else ""
    code = re.search(r"\.code = (\d+)", initializer)
    return reply(code[1], member("enhanced"), member("text"), member("rule")) if code else None


def replies(source=SOURCE):
    """{ID: reply} of all that the program and its companions can say of their own."""
    found = {}
    for name, code, enhanced, literals, _, rest in re.findall(rf'\[SMTP_REPLY_(\w+)\]\s*=\s*\{{ROW\((\d+), "([0-9.]*)",\s*((?:{STRING}\s*)+)\)(.*?)\}},\n', read("src/smtp/reply.c", source), re.S):
        found[name] = reply(code, enhanced, text_of(literals), (re.findall(r'\.rule = "(\w+)"', rest) or [""])[0])
    for name, code, enhanced, words in re.findall(rf'REPLY\("(\w+)",\s*(\d+),\s*"([0-9.]*)",\s*{STRING}\)', read("src/adapters/rules.c", source)):
        found["rule " + name] = reply(code, enhanced, words, name)
    result = read("src/smtp/result.c", source)
    for status, initializer in re.findall(r"\{\.status = (\d+),\s*\.reply =\s*(\{.*?\})\}", result, re.S):
        found["exit " + status] = row(initializer)
    for initializer in re.findall(r"\{\.code = .*?\}", re.search(r"generic\[\] = \{(.*?)\n\};", result, re.S)[1], re.S):
        found["code " + str(row(initializer)["code"])] = row(initializer)
    for name in sorted(glob.glob("src/commands/*.[ch]", root_dir=source)):
        for code, enhanced, text in re.findall(r'"([45]\d\d) ([45]\.\d+\.\d+) ([^"%]+)"', read(name, source)):
            found[f"line {code} {enhanced} {text}"] = reply(code, enhanced, text, "delivery")
    return found


def settings(source=SOURCE):
    return set(re.findall(r'\{KEY\("(\w+)"', read("src/config/setting.c", source)))


def rules(source=SOURCE):
    names = [n for f in ("src/smtp/reply.c", "src/adapters/rules.c", "src/adapters/rules_asked.c", "src/smtp/result.c")
             for n in re.findall(r'(?:\.rule = |REPLY\(|decide_by\(.*?, )"(\w+)"', read(f, source))]
    return set(names)


def log_fields(source=SOURCE):
    """Their names, as a record has them."""
    text = "".join(read(n, source) for n in sorted(glob.glob("src/**/*.c", root_dir=source, recursive=True)))
    return set(re.findall(r'(?:log_add(?:_number)?|end_value)\([^;]*?"([a-z_]+)"', text)) | {"dropped"}


def read_entries(text):
    """[{"ids": [...], field: text}], and what is wrong with them."""
    entries, wrong, field = [], [], None
    for line in text.split("\n"):
        name, _, value = line.partition(":")
        if line.startswith("["):
            if field is not None or not entries: entries.append({"ids": []})
            entries[-1]["ids"].append(line[1:-1])
            field = None
        elif entries and name in FIELDS and name not in entries[-1]:
            field = name
            entries[-1][field] = value[1:]
        elif field and (line.startswith("  ") or line == ""):
            entries[-1][field] += "\n" + line[2:]
        elif line: wrong.append(f"not a line of an entry: {line}")
    for e in entries:
        for field in FIELDS: e[field] = e[field].rstrip("\n") if field in e else ""
    return entries, wrong


def nth(values, n):
    """Of "A | B", what is for the n-th ID; a single one is for all."""
    values = values.split(" | ")
    return values[min(n, len(values) - 1)]


def shown(r, entry, n):
    """(as the client sees it, as the log has it): with what '%' stands for."""
    text = r["text"].replace("%", nth(entry["arguments"], n) or HOST) + entry["suffix"]
    enhanced = r["enhanced"] + " " if r["enhanced"] else ""
    return f"{r['code']} {'' if entry['early'] else enhanced}{text}", f"{r['code']} {enhanced}{text}"


def all_shown(entry, table):
    """[(ID, as the client sees it, as the log has it, rule)]"""
    return [(i, *shown(table[i], entry, n), table[i]["rule"]) for n, i in enumerate(entry["ids"]) if i in table]


def in_log(template, logged, rule):
    return template.replace("{reply}", f'reply="{logged}"' + (f" rule={rule}" if rule else ""))


def slug(heading, taken):
    """The name that a heading has as a link's target, as GitHub and others make it."""
    name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
    n = taken[name] = taken.get(name, -1) + 1
    return name if n == 0 else f"{name}-{n}"


def order(table):
    """Of IDs: by code, enhanced code, text."""
    return lambda i: (table[i]["code"], [int(n) for n in table[i]["enhanced"].split(".") if n], table[i]["text"])


def refusals(entries, table):
    """{code: [(entry, [(heading, item)], is the rest of it under another code?)]}; two IDs with one face have one heading."""
    found, of, often = {}, {}, {}
    for e in entries:
        for item in all_shown(e, table):
            if table[item[0]]["code"] >= 400: of[item[0]] = (e, item)
    for said, rule in {(item[1], item[3]) for _, item in of.values()}: often[said] = often.get(said, 0) + 1
    for i in sorted(of, key=order(table)):
        e, item = of[i]
        code = found.setdefault(table[i]["code"], [])
        heading = item[1] + (f" (rule={item[3]})" if often[item[1]] > 1 else "")
        here = [headings for other, headings, _ in code if other is e]
        if not here:
            is_rest = any(other is e for c, there in found.items() if c != table[i]["code"] for other, _, _ in there)
            code.append((e, [], is_rest))
            here = [code[-1][1]]
        if heading not in dict(here[0]): here[0].append((heading, item))
    return found


def write_entry(entry, headings, is_rest, target, first):
    parts = [f"### {h}" for h, _ in headings]
    lines = [in_log(template, item[2], item[3]) for _, item in headings for template in (entry["also"], entry["record"]) if template]
    parts += ["\n".join("    " + line for line in lines)] * bool(lines)
    if is_rest:
        i = entry["ids"][0]
        return parts + [f"As [{first[i]}](#{target[i]})."]
    to = " or ".join(entry["to"].split(" | "))
    to = "" if to in ("connection", "silence") else "To the message. " if to == "message" else f"To {to}. "
    return parts + [to + entry["why"], f"Decided by: {entry['decides']}", f"**Cure:** {entry['cure']}"]


def write(source=SOURCE):
    """The whole document."""
    table = replies(source)
    text, _, rest = read("docs/faq.in", source).partition("\n@entries\n")
    entries = read_entries(rest)[0]
    words = dict(re.findall(r"^@code (\d+) (.*)$", text, re.M))
    parts, taken, target, first = refusals(entries, table), {}, {}, {}
    for h in re.findall(r"^#+ (.*)$", text.partition("@code")[0], re.M): slug(h, taken)
    names = {}
    for code, there in parts.items():
        names[code] = slug(f"{code}: {words.get(str(code), '')}", taken)
        for e, headings, _ in there:
            for h, item in headings: target[item[0]] = slug(h, taken)
            for i in e["ids"]:
                target.setdefault(i, target[headings[0][1][0]])
                first.setdefault(i, headings[0][0])
    body = []
    for code, there in parts.items():
        body.append(f"## {code}: {words.get(str(code), '')}")
        for part in there: body += write_entry(*part, target, first)
    others = ["| reply | to what |", "|---|---|"]
    for e in sorted((e for e in entries if all(i in table and table[i]["code"] < 400 for i in e["ids"])), key=lambda e: min(map(order(table), e["ids"]))):
        faces = dict.fromkeys(said for _, said, _, _ in all_shown(e, table))
        others.append("| " + ", ".join(f"`{said}`" for said in faces) + f" | {' '.join(e['why'].split())} |")
    text = re.sub(r"^@code .*\n", "", text, flags=re.M)
    text = re.sub(r"^( *)@record .*\n *(.*)$", r"\1    \2", text, flags=re.M)
    text = text.replace("@codes\n", "".join(f"  - [{code}: {words.get(str(code), '')}](#{name})\n" for code, name in names.items()))
    text = text.replace("@others\n", "\n".join(others) + "\n")
    text = text.replace("@replies\n", re.sub(r"\{([A-Z_0-9]+)\}", lambda m: "#" + target[m[1]], "\n\n".join(body)) + "\n")
    return "<!-- Written by docs/faq.py from the source and docs/faq.in: change those. -->\n" + text.rstrip("\n") + "\n"


if __name__ == "__main__":
    with open(os.path.join(SOURCE, "docs/faq.md"), "w", encoding="utf-8") as f:
        f.write(write())
