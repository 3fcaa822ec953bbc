"""TAP, for every test that is a Python program."""
import sys

_count = _failed = 0


def ok(condition, name, detail=""):
    global _count, _failed
    _count += 1
    if not condition:
        _failed += 1
        for line in str(detail).splitlines()[:60]: print("# " + line)
    print(f"{'ok' if condition else 'not ok'} {_count} - {name}", flush=True)
    return bool(condition)


def equal(got, expected, name):
    return ok(got == expected, name, f"expected {expected!r}\ngot      {got!r}")


def skip(name, why):
    global _count
    _count += 1
    print(f"ok {_count} - {name} # SKIP {why}", flush=True)


def finish():
    print(f"1..{_count}")
    sys.exit(1 if _failed else 0)
