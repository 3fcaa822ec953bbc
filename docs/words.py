#!/usr/bin/env python3
"""Writes what records and rules mean, in words, where people read it: `python3 docs/words.py`, after a change of
src/commands/report/words_kinds.c or words_rules.c. The tables there are the one source: smtpin-report says them, and this
program writes units/smtpin.catalog from them, and the list in docs/smtpin-rules.7 between its marks.
tests/programs/report.py compares all three."""
import os, re

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STRING = r'"((?:[^"\\]|\\.)*)"'
BEGIN, END = '.\\" Written by docs/words.py: begin\n', '.\\" Written by docs/words.py: end\n'


def read(name, source=SOURCE):
    with open(os.path.join(source, name), encoding="utf-8") as f:
        return f.read()


def text_of(literals):
    """Of adjacent C strings."""
    return re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), "".join(re.findall(STRING, literals)))


def table(source, name):
    """[(name, meaning)] of a table in words_rules.c."""
    rows = re.search(rf"{name}\[\] = \{{\n(.*?)\n\}};", read("src/commands/report/words_rules.c", source), re.S)[1]
    return [(row[0], text_of(row[1])) for row in re.findall(rf'\{{"(\w+)",\s*((?:{STRING}\s*)+)', rows)]


def rules(source=SOURCE):
    return table(source, "words_rules")


def ends(source=SOURCE):
    return table(source, "words_ends")


def kinds(source=SOURCE):
    """[(message id, subject, manual, text)]"""
    ids = dict(re.findall(r'\[(LOG_\w+)\] = \{"\w+", "([0-9a-f]{32})"\}', read("src/syntax/log_kinds.c", source)))
    found = re.findall(rf"\[(LOG_\w+)\]\s*=\s*\{{\s*{STRING},\s*{STRING},\s*((?:{STRING}\s*)+)", read("src/commands/report/words_kinds.c", source))
    return [(ids[name], *(text_of(f'"{s}"') for s in (subject, manual)), text_of(text)) for name, subject, manual, text, *_ in found]


def catalog(source=SOURCE, _=None):
    return "# Explanations for journalctl -x. Written by docs/words.py from src/commands/report/words_kinds.c: change that.\n" + \
        "".join(f"\n-- {i}\nSubject: {subject}\nDefined-By: smtpin\nDocumentation: man:{manual}\n\n{text}" for i, subject, manual, text in kinds(source))


def manual(source, now):
    """docs/smtpin-rules.7 with the list between its marks as the table has it."""
    before, rest = now.split(BEGIN)
    rows = lambda of: ".Bl -tag -width max_connections_per -compact\n" + "".join(f".It Li {n}\n{m[0].upper()}{m[1:]}.\n" for n, m in of) + ".El\n"
    return before + BEGIN + rows(rules(source)) + ".Pp\nA session's\n.Li end=\nis one of these rules, or\n" + rows(ends(source)) + END + rest.split(END)[1]


TARGETS = {"units/smtpin.catalog": catalog, "docs/smtpin-rules.7": manual}

if __name__ == "__main__":
    for target, made in TARGETS.items():
        text = made(SOURCE, read(target))
        with open(os.path.join(SOURCE, target), "w", encoding="utf-8") as f:
            f.write(text)
