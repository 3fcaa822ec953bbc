"""The examples of docs/architecture.md, "Where to add", in a copy of the tree: one verb, parameter, check, socket, setting,
fact and question are added, each in the files that the document names and no other; the copy is built, and they work.
An anchor that is gone from its file fails here: look for where its like stands now, and whether the document still says so."""
from harness import *

if not have("meson"):
    skip("one of each, added", "no meson")
    done()
TREE, BUILT = os.path.join(TMP, "tree"), os.path.join(TMP, "built")
for part in ("src", "tests", "units", "docs"):
    shutil.copytree(os.path.join(SOURCE, part), os.path.join(TREE, part), ignore=shutil.ignore_patterns("__pycache__", "found"))
for part in ("meson.build", "README.md", "LICENSE"): shutil.copy(os.path.join(SOURCE, part), TREE)
ATTACKED = r'''static void look_without_end(struct worker *w)
{
    struct request r = attack_honest(REQUEST_LOOK, 0);

    struct packet answer;

    for (int i = 0; i < 10000 && attack_ask(w, &r, &answer); i++)
        ;
}

'''
# For each example: file, where (before or after the line or piece that is there), what.
EXAMPLES = {
    "a verb": [
        ("src/smtp/verbs.c", "before", "/* A command is looked for from the top. */\n", "static enum smtp_want do_xdum(struct smtp_session *s, struct span argument)\n{\n    (void)argument;\n    return smtp_say(s, SMTP_REPLY_OK, SPAN(\"\"));\n}\n\n"),
        ("src/smtp/verbs.c", "before", '    {.name = TAG("QUIT")', '    {.name = TAG("XDUM"), .syntax = NAME("XDUM"), .phases = ANY_PHASE, .recorded = true, .run = do_xdum},\n'),
        ("tests/unit/session.c", "before", '    {"HELP", ALL(214), STAYS},', '    {"XDUM", ALL(250), STAYS},\n'),
        ("tests/unit/model.c", "before", '    {"HELP", NULL, 214, .only_secure = true, .only_login = true},', '    {"XDUM", NULL, 250, .only_secure = true, .only_login = true},\n'),
        ("tests/transcripts/ehlo.smtp", "before", "S: 214-2.0.0 QUIT\n", "S: 214-2.0.0 XDUM\n"),
        ("tests/fuzz/smtp.dict", "before", '"EXPN "', '"XDUM"\n'),
        ("docs/smtpin.8", "before", "EXPN (502).", "XDUM, "),
    ],
    "a parameter": [
        ("src/smtp/param.c", "before", "struct parameter {", "static enum smtp_reply_id set_xdum(struct smtp_session *s, struct span value)\n{\n    (void)s;\n    return value.p == NULL ? SMTP_REPLY_OK : SMTP_REPLY_BAD_PARAMETERS;\n}\n\n"),
        ("tests/transcripts/PARAMETER.smtp", "new", None, "S: 220\nC: EHLO c.example.com\nS: 250\nC: MAIL FROM:<a@example.com>\nS: 250\nC: RCPT TO:<b@example.org> XDUM\nS: 250\nC: RCPT TO:<b@example.org> XDUM=1\nS: 501\nC: QUIT\nS: 221\n"),
        ("src/smtp/param.c", "after", ".set = set_prdr},\n", '    {.keyword = TAG("XDUM"), .rcpt = true, .set = set_xdum},\n'),
    ],
    "a check": [
        ("src/adapters/rules.c", "before", "/* RFC 5321 3.7: we never relay by", "static enum smtp_opinion dummy(struct rules_question *q)\n{\n    return span_eq(q->recipient->local, SPAN(\"dummy\")) ? SMTP_REFUSE : SMTP_NO_OPINION;\n}\n\n"),
        ("tests/transcripts/CHECK.smtp", "new", None, "S: 220\nC: EHLO c.example.com\nS: 250\nC: MAIL FROM:<a@example.com>\nS: 250\nC: RCPT TO:<dummy@example.org>\nS: 550 5.1.1 Nobody\nC: QUIT\nS: 221\n"),
        ("src/adapters/rules.c", "before", "    {.ask = routing,", '    {.ask = dummy, REPLY("dummy", 550, "5.1.1", "Nobody")},\n'),
        ("src/commands/report/words_rules.c", "before", '    {"early_talker",', '    {"dummy", "a dummy"},\n'),
        ("docs/faq.in", "before", "[rule mailbox_name]", "[rule dummy]\nto: RCPT\nrecord: refused ... {reply}\nwhy: It is a dummy.\ndecides: nobody.\ncure: None.\n\n"),
        ("tests/programs/faq.py", "before", '    "rule mailbox_name"', '    "rule dummy": in_turn({}, HELO, MAIL, "RCPT TO:<dummy@example.org>"),\n'),
    ],
    "a socket": [
        ("units/smtpin-NAME.socket", "new", None, "[Socket]\nListenStream=2525\nFileDescriptorName=dummy\nAccept=yes\n"),
        ("meson.build", "after", "'smtpin': ['smtp', 'SMTP'], ", "'smtpin-dummy': ['dummy', 'SMTP'], "),
        ("meson.build", "after", "'smtpin.socket', ", "'smtpin-NAME.socket', "),
    ],
    "a setting": [
        ("src/config/config.h", "after", "struct config {\n", "    uint64_t dummy; /* nothing */\n"),
        ("src/config/setting.c", "before", '    {KEY("error_delay"', '    {KEY("dummy", VALUE_NUMBER, dummy), .most = 9},\n'),
        ("src/config/defaults.c", "before", "    .command_timeout = ", "    .dummy = 3,\n"),
        ("docs/smtpin.conf.5", "before", ".It max_received Ta", ".It dummy Ta 3 Ta nothing\n"),
        ("docs/smtpin.conf.5", "before", ".It Cm max_received\n", ".It Cm dummy\nNothing.\nDefault: 3.\n"),
        ("tests/unit/config.c", "before", '        {"log = everywhere', '        {"dummy = 10\\n", "dummy", 1},\n'),
    ],
    "a fact for the command": [
        ("src/syntax/macro.h", "before", "    MACRO_CREDENTIALS_DIRECTORY,", "    MACRO_DUMMY,\n"),
        ("src/syntax/macro.c", "before", "    [MACRO_CREDENTIALS_DIRECTORY]", '    [MACRO_DUMMY] = {FACT("dummy", "SMTPIN_DUMMY=")},\n'),
        ("src/adapters/command_facts.c", "before", "    [MACRO_CREDENTIALS_DIRECTORY]", "    [MACRO_DUMMY] = add_body,\n"),
        ("docs/smtpin-delivery.7", "before", ".It ${client_address} Ta", ".It ${dummy} Ta Ev SMTPIN_DUMMY Ta nothing\n"),
        ("tests/unit/command.c", "after", "Test(macro, every_macro, .init = set_up)\n{\n", '    EXPECT_WORDS("/x ${dummy}", 1, "/x", "7BIT");\n'),
        ("tests/unit/command.c", "before", '"SMTPIN_BODY",', '"SMTPIN_DUMMY",'),
    ],
    "a question": [
        ("src/backend/backend.h", "before", "/* A message begins. False", "bool backend_look(struct backend *b);\n"),
        ("src/backend/backend.c", "before", "bool backend_begin_message(", "bool backend_look(struct backend *b)\n{\n    return b->config != NULL;\n}\n\n"),
        ("src/services.h", "before", "/* A message begins. False", "static inline bool services_look(struct services *s)\n{\n    return services_in_sandbox(s) ? worker_look(&s->worker, s->backend.session) : backend_look(&s->backend);\n}\n"),
        ("src/serve_message.c", "before", "    if (!services_begin_message(", "    if (!services_look(&s->services))\n        s->data.fault = SMTP_DATA_NO_SPOOL;\n"),
        ("src/sandbox/request.h", "before", "    /* More recipients than", "    KIND(LOOK, look, EACH_TRANSACTION, 0) \\\n"),
        ("src/sandbox/worker.h", "before", "void worker_begin_message(", "bool worker_look(struct worker *w, const struct smtp_session *s);\n"),
        ("src/sandbox/worker.c", "before", "void worker_begin_message(", "bool worker_look(struct worker *w, const struct smtp_session *s)\n{\n    struct packet answer;\n\n    return ask(w, (struct request){.kind = REQUEST_LOOK, .transaction = s->transactions}, &answer) &&\n           packet_number_up_to(&answer, 1) && packet_is_good(&answer);\n}\n\n"),
        ("src/sandbox/monitor-message.c", "before", "static bool needs_utf8(", "const char *monitor_look(struct monitor *m, const struct request *r)\n{\n    uint64_t deadline = 0;\n\n    (void)r;\n    m->room.n = 0;\n    packet_put_number(&m->room, backend_look(m->backend));\n    return monitor_send_answer(m, &deadline);\n}\n\n"),
        ("tests/sandbox/conduct.c", "before", "static void garbage(", ATTACKED),
        ("tests/sandbox/conduct.c", "before", "    ATTACK(NONE, garbage", '    ATTACK(LOOK, look_without_end, "", "has too many requests", "usual"),\n'),
        ("tests/fuzz/request.c", "before", "bool backend_begin_message(", "bool backend_look(struct backend *b)\n{\n    (void)b;\n    return true;\n}\n\n"),
        ("docs/security.md", "before", "| recipients | each address", "| nothing | that there is one |\n"),
        ("docs/pictures/sandbox.txt", "before", "worker -> monitor: `LOG`", "worker <-> monitor: `LOOK` nothing\n"),
    ],
}
# What the document says: each entry begins "- **a verb**" and ends "Files: `a`, `b`."
guide = open(os.path.join(SOURCE, "docs", "architecture.md")).read().split("## Where to add\n")[1].split("\n## ")[0]
documented = {}
for entry in re.split(r"^- \*\*", guide, flags=re.M)[1:]:
    name, text = entry.split("**", 1)
    listed = re.search(r"Files: ([^*]*)\.\s*$", " ".join(text.split()))
    documented[name] = set(re.findall(r"`([^`]+)`", listed[1])) if listed else set()
equal(sorted(documented), sorted(EXAMPLES), "each entry has an example, and each example its entry")
for name, edits in EXAMPLES.items():
    touched = {path for path, *_ in edits}
    equal(sorted(documented.get(name, [])), sorted(touched), f"{name}: the document names the files that the example touches")
    missing = []
    for path, where, anchor, text in edits:
        full = os.path.join(TREE, path)
        before = "" if where == "new" else open(full).read()
        if anchor is not None and anchor not in before: missing.append((path, anchor)); continue
        after = text if where == "new" else before.replace(anchor, text + anchor if where == "before" else anchor + text, 1)
        open(full, "w").write(after)
    equal(missing, [], f"{name}: it has its places")

b = subprocess.run(["meson", "setup", "-Doptimization=0", BUILT, TREE], capture_output=True, text=True)
if b.returncode == 0: b = subprocess.run(["ninja", "-C", BUILT], capture_output=True, text=True)
if ok(b.returncode == 0, "the copy is built", b.stdout[-3000:] + b.stderr[-500:]):
    for unit in ("session", "model", "sandbox", "config", "command"):
        program = os.path.join(BUILT, "unit-" + unit)
        if os.path.exists(program): ok(subprocess.run([program], capture_output=True).returncode == 0, f"its unit tests: {unit}")
        else: skip(f"its unit tests: {unit}", "no criterion")
    directory, deliver = taker()
    conf = write("added.conf", f"hostname = mx.example.org\ndomains = example.org\ndeliver = {deliver} ${{dummy}}\nlog = stderr\nspool_dir = {TMP}\ndummy = 7\nsandbox = yes\n", 0o644)
    session = b"EHLO c.example.com\r\nXDUM\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<dummy@example.org>\r\nRCPT TO:<b@example.org> XDUM\r\nRCPT TO:<c@example.org> XDUM=1\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n"
    s = subprocess.run([os.path.join(BUILT, "smtpin"), "-f", conf], input=session, capture_output=True)
    codes = [int(l[:3]) for l in s.stdout.splitlines() if l[3:4] == b" "]
    equal(codes, [220, 250, 250, 250, 550, 250, 501, 354, 250, 221], "the verb, the check, the parameter and the question, in the sandbox")
    argv = [open(os.path.join(directory, n)).read().split() for n in os.listdir(directory) if n.endswith(".argv")]
    equal(argv, [["a@example.com", "b@example.org", "7BIT"]], "the fact")
    bad = subprocess.run([os.path.join(BUILT, "smtpin"), "-f", conf, "-o", "dummy=10", "--check"], capture_output=True, text=True)
    ok(bad.returncode == 78 and "dummy" in bad.stdout, "the setting", (bad.returncode, bad.stdout))
    ok(os.path.exists(os.path.join(BUILT, "smtpin-dummy@.service")), "the socket's instances")
    attack = subprocess.run([os.path.join(BUILT, "compromised"), conf, "look_without_end"], stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=TMP)
    ok(attack.returncode == 70 and 'violation="has too many requests" request=LOOK' in attack.stderr, "the question's attack", attack.stderr)
    drawn = subprocess.run([sys.executable, os.path.join(TREE, "docs", "pictures", "draw.py")], capture_output=True, text=True)
    p = subprocess.run([sys.executable, os.path.join(TREE, "tests", "programs", "pictures.py")], capture_output=True, text=True, env={**os.environ, "SMTPIN_BUILD": BUILT, "SMTPIN_SOURCE": TREE})
    ok(drawn.returncode == p.returncode == 0, "the pictures", drawn.stderr + p.stdout)
    r = subprocess.run([os.path.join(BUILT, "smtpin-replay"), "--smtpin", os.path.join(BUILT, "smtpin"), "-f", "common.conf", "ehlo.smtp", "PARAMETER.smtp", "CHECK.smtp"], capture_output=True, text=True, cwd=os.path.join(TREE, "tests", "transcripts"))
    ok(r.returncode == 0, "transcripts", r.stdout)
    r = subprocess.run([sys.executable, os.path.join(TREE, "docs", "faq.py")], capture_output=True, text=True)
    if r.returncode == 0: r = subprocess.run([sys.executable, os.path.join(TREE, "tests", "programs", "faq.py")], capture_output=True, text=True, env={**os.environ, "SMTPIN_BUILD": BUILT, "SMTPIN_SOURCE": TREE})
    ok(r.returncode == 0 and "rule dummy: its record" in r.stdout, "the check's reply in docs/faq.md", "\n".join(l for l in (r.stdout + r.stderr).splitlines() if not l.startswith("ok")))
done()
