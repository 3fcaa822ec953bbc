"""smtpin-maildir: told to end, killed, and on file systems that do it their own way. Never a file that nobody was told of, never another's overwritten."""
import errno
from boxes import *

BOX, OTHER = "example.org/jane", "example.org/joe"
WHO, BOTH = ("jane@example.org",), ("jane@example.org", "joe@example.org")
HOST = socket.gethostname()
hour = 3600


def interrupted(number, when, *args, env={}, ignore=None):
    """A run that gets the signal in its fsync number `when`: its exit status (below zero: killed), what it said."""
    p = subprocess.run(["strace", "-f", "-o", "/dev/null", "-e", "trace=fsync", "-e", f"inject=fsync:signal={number.name}:when={when}", MAILDIR, *args], input=TEXT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60,
                       env={**os.environ, **env}, preexec_fn=(lambda: signal.signal(ignore, signal.SIG_IGN)) if ignore else None)
    return p.returncode, p.stdout.decode().strip()


if can_trace():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        fresh(BOX)
        got = interrupted(number, 1, ROOT, *WHO)
        ok(got[0] == 75 and got[1].startswith("451") and not tree(), f"{number.name} before it is there: 75, and nothing is", (got, tree()))
    for args, env in ((WHO, {}), (BOTH, {}), (("--", ROOT, *BOTH), {"SMTPIN_REPLIES": "each"}), (BOTH, {"SMTPIN_REPLIES": "merged", "SMTPIN_DIGEST": DIGEST})):
        for when in (1, 2, 3, 4)[:2 * (len(args) - ("--" in args) * 2)]:
            fresh(BOX, OTHER)
            put(f"{BOX}/maildirsize", b"1000S\n")
            got = interrupted(signal.SIGTERM, when, *(args if "--" in args else (ROOT, *args)), env=env)
            line = open(f"{ROOT}/{BOX}/maildirsize").read().split("\n")
            ok(got[0] == 75 and got[1].startswith("451") and not tree() and len(line) in (2, 4), f"SIGTERM in fsync {when} of {args[-1]}, {env.get('SMTPIN_REPLIES')}: 75, and nothing is left", (got, tree(), line))
    fresh(BOX)
    equal((interrupted(signal.SIGHUP, 1, ROOT, *WHO, ignore=signal.SIGHUP)[0], len(tree())), (0, 1), "SIGHUP that is ignored (nohup) stays ignored")
    fresh(BOX, OTHER)
    interrupted(signal.SIGKILL, 1, ROOT, *BOTH)
    nameless = not tree("/tmp/")
    ok(not tree("/new/"), "SIGKILL: nothing in new/", tree())
    if nameless or shim(): ok(nameless, "SIGKILL: nothing in tmp/ either, where there is O_TMPFILE", tree())
    p = subprocess.Popen([MAILDIR, ROOT, *WHO], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    p.stdin.write(b"x"); p.stdin.flush(); time.sleep(0.2); p.terminate()
    ok(p.wait(10) != 0 and not tree(), "SIGTERM while the message is still coming ends it", (p.returncode, tree()))
    p.stdin.close()
else: skip("signals", "strace can't trace here")

# What earlier runs have left in tmp/.
fresh(BOX, OTHER)
name = f"1000000000.M1P2Q3.{HOST}"
old = put(f"{BOX}/tmp/{name}", age=37 * hour)
kept = [put(f"{BOX}/tmp/{n}", age=age) for n, age in ((f"1000000001.M1P2Q3.{HOST}", 35 * hour), (f"1000000000.M1P2.{HOST}", 99 * hour), ("1000000000.M1P2Q3", 99 * hour), ("1000000000.M1P2Q3.", 99 * hour),
        (f"x1000000000.M1P2Q3.{HOST}", 99 * hour), (f"1000000000.MP2Q3.{HOST}", 99 * hour), (f"1000000000.M1P2Q3.{HOST},S=3", 99 * hour), (f"1000000000.V1I2M3.{HOST}", 99 * hour), ("mine", 99 * hour))]
kept += [put(f"{OTHER}/tmp/{name}", age=99 * hour), put(f"{BOX}/new/{name}", age=99 * hour)]
kept += [f"{ROOT}/{BOX}/tmp/1000000002.M1P2Q3.{HOST}", f"{ROOT}/{BOX}/tmp/1000000003.M1P2Q3.{HOST}"]
os.mkdir(kept[-2]); os.symlink(kept[0], kept[-1])
os.utime(kept[-2], (0, 0)); os.utime(kept[-1], (0, 0), follow_symlinks=False)
equal(deliver(ROOT, *WHO)[0], 0, "a message, with old files in tmp/")
ok(not os.path.exists(old), "a file of ours that is 37 hours old has gone")
equal([f for f in kept if not os.path.lexists(f)], [], "one of 35 hours, one of another name, one that is no file, one elsewhere: they stay")

library = shim()
if library:
    def shimmed(*args, **facts):
        return deliver(*args, program=shared("smtpin-maildir"), env={"LD_PRELOAD": library, **{f"SHIM_{k}": str(v) for k, v in facts.items()}})

    NO_LINKS = ("ENOSYS", "EXDEV", "EPERM", "EOPNOTSUPP")
    number = {e: getattr(errno, e) for e in (*NO_LINKS, "EEXIST", "EIO", "EINVAL", "ENOENT", "EACCES")}
    ways = [("no O_TMPFILE", {"NAMELESS": number["EOPNOTSUPP"]}, True)]
    for e in ("EEXIST", "EIO"):
        ways += [(f"linkat is done and answers {e}", {"LINKAT": number[e], "DONE": 1}, True), (f"linkat answers {e}", {"LINKAT": number[e]}, False),
                 (f"link is done and answers {e}", {"NAMELESS": number["EOPNOTSUPP"], "LINK": number[e], "DONE": 1}, True), (f"link answers {e}", {"NAMELESS": number["EOPNOTSUPP"], "LINK": number[e]}, False)]
    for e in NO_LINKS:
        ways += [(f"linkat answers {e}", {"LINKAT": number[e]}, True), (f"link and linkat answer {e}", {"LINKAT": number[e], "LINK": number[e]}, True), (f"no O_TMPFILE, link answers {e}", {"NAMELESS": number["EOPNOTSUPP"], "LINK": number[e]}, True)]
    ways += [("no /proc at the link", {"LINKAT": number["ENOENT"]}, True), ("link answers EACCES", {"NAMELESS": number["EOPNOTSUPP"], "LINK": number["EACCES"]}, False)]
    for e in ("EINVAL", "ENOSYS"): ways.append((f"no links, renameat2 answers {e}", {"LINKAT": number["EPERM"], "LINK": number["EPERM"], "RENAME": number[e]}, True))
    ways += [("no links, renameat2 is done and answers EIO", {"LINKAT": number["EPERM"], "LINK": number["EPERM"], "RENAME": number["EIO"], "DONE": 0}, False)]
    for what, facts, good in ways:
        for who in (WHO, BOTH):
            fresh(BOX, OTHER)
            got = shimmed(ROOT, *who, **facts)
            ok((got[0] == 0) == good and got[0] in (0, 75) and len(tree("/new/")) == len(tree()) == (len(who) if good else 0) and all(open(os.path.join(ROOT, f), "rb").read() == TEXT for f in tree()),
               f"{what}: {len(who)} {'stored' if good else 'refused'}, nothing else left", (got, tree(), deliver.complained))
    theirs = f"{BOX}/new/1000.M0P7Q0.{HOST},S={len(TEXT)}"
    for what, facts in (("linkat", {}), ("link", {"NAMELESS": number["EOPNOTSUPP"]}), ("renameat2", {"LINKAT": number["EPERM"], "LINK": number["EPERM"]}), ("rename", {"LINKAT": number["EPERM"], "LINK": number["EPERM"], "RENAME": number["EINVAL"]})):
        fresh(BOX)
        equal((shimmed(ROOT, *WHO, CLOCK=1, **facts)[0], tree()), (0, [theirs]), f"{what}: a name that is known before")
        put(theirs, b"another's")
        got = shimmed(ROOT, *WHO, CLOCK=1, **facts)
        ok(got[0] == 75 and tree() == [theirs] and open(os.path.join(ROOT, theirs), "rb").read() == b"another's", f"{what}: a name that another has is not taken, nor its file", (got, tree()))
    # smtpin's time-out: SIGTERM, and SIGKILL two seconds later.
    for sleep in (1500, 4000):
        fresh(BOX, OTHER)
        said = b"EHLO x\r\nMAIL FROM:<s@example.com>\r\n" + b"".join(b"RCPT TO:<%s>\r\n" % w.encode() for w in BOTH) + b"DATA\r\nx\r\n.\r\nQUIT\r\n"
        out, _, _ = pipe(said, {"deliver": f"/usr/bin/env LD_PRELOAD={library} SHIM_SLEEP={sleep} {shared('smtpin-maildir')} -- {ROOT} ${{recipient}}", "deliver_timeout": "1s"})
        ok(final_reply(out).startswith("451") and not tree(), f"deliver_timeout, a disk that takes {sleep} ms: 451, and nothing is left", (out, tree()))
    fresh(BOX)
    put(f"{BOX}/tmp/1000.M0P7Q0.{HOST}", b"another's")
    got = shimmed(ROOT, *WHO, CLOCK=1, NAMELESS=number["EOPNOTSUPP"])
    ok(got[0] == 75 and tree() == [f"{BOX}/tmp/1000.M0P7Q0.{HOST}"], "nor one in tmp/", (got, tree()))
done()
