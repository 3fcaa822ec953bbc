"""order.py RECORDS...: prints src/session.ld. RECORDS: callgrind's files, of one build after the other: BUILD, then its records."""
import os, re, subprocess, sys


def functions(path):
    """Those that ran, without the marks of copies that the compiler has made of them."""
    name, ran = {}, set()
    for line in open(path):
        if m := re.match(r"(c?fn)=\((\d+)\)(?: (.*))?", line):
            if m[3]: name[m[2]] = re.sub(r"\.(constprop|isra|part|cold)(\.\d+)*$", "", m[3].split("'")[0])
            if m[1] == "fn" and re.match(r"[A-Za-z_]\w*$", name[m[2]]): ran.add(name[m[2]])
    return ran


def symbols(*command): return [l.split() for l in subprocess.run(["nm", *command], capture_output=True, text=True).stdout.split("\n")]


single, monitor, worker, own = set(), set(), set(), set()
for path in sys.argv[1:]:
    if "/callgrind." in path:
        kind = path.split("/callgrind.")[1].split(".")[0]
        {"single": single, "monitor": monitor, "worker": worker}[kind].update(functions(path))
    else:
        for library in filter(os.path.exists, (f"{path}/{n}" for n in ("libsmtpin-core.a", "libsmtpin-shell.a", "libsmtpin-musl-core.a", "libsmtpin-musl-shell.a", "smtpin.p/src_main.c.o"))):
            own |= {re.sub(r"\..*", "", f[2]) for f in symbols("--defined-only", library) if len(f) == 3}
single |= monitor
# musl's: by the object that each is in.
place = {}
linked = subprocess.run(["musl-gcc", "-static", "-Wl,--trace", "-xc", "-", "-o/dev/null"], input="int main(void) { return 0; }", capture_output=True, text=True).stdout
for f in symbols("-A", re.search(r"^\(?(\S+/libc\.a)", linked, re.M)[1]):
    if len(f) == 3 and (f[1] == "T" or f[1] == "W" and f[2] not in place): place[f[2]] = f[0].split(":")[1]
ordered = sorted(single - worker) + sorted(single & worker) + sorted(worker - single)
print("""/* What a session runs, side by side: a page fault maps 64 KiB of a program, and each process of a session takes one for
 * every piece that it comes to. First what the monitor alone runs, then what both do, then what the worker alone does.
 * Written by tests/bench/order.sh. A name that a build has not is left out; it costs nothing but speed. */
SECTIONS
{
  .text.session :
  {
    *crt1.o(.text .text.*)
    *crtbegin*.o(.text)""")
for name in ordered:
    if name in own: print("    *(.text.startup.main)" if name == "main" else f"    *(.text.{name} .text.{name}.*)")
for o in sorted({place[n] for n in ordered + ["__init_ssp", "__set_thread_area"] if n in place and n not in own}): print(f"    *libc.a:{o}(.text .text.*)")
print("  }\n}\nINSERT BEFORE .text;")
