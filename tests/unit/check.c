/* check_client, check_sender, check_recipient: real commands, and what becomes of what they say. */
#include "adapters/check.h"
#include "adapters/run.h"
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

static const struct smtp_options plain = {.max_errors = 1};
static const struct peer peer = {.address = {.p = "192.0.2.1", .n = 9},
                                 .port = {.p = "25", .n = 2}};
static const struct config config = {.recipient_delimiter = {.p = "+", .n = 1}};
static struct smtp_session session;
static struct smtp_recipient recipient;
static char memory[RUN_MEMORY];
static struct arena arena;
static uint64_t timeout = 20000;

static void set_recipient(const char *path)
{
    static char room[2048];
    struct arena a = {.base = room, .cap = sizeof room};
    struct span in = span_of(path);

    recipient = (struct smtp_recipient){.next = NULL};
    cr_assert_eq(smtp_forward_path(&in, &a, &recipient.mailbox, NULL), SMTP_PATH_OK);
}

static void set_up(void)
{
    sigset_t child;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    arena = (struct arena){.base = memory, .cap = sizeof memory};
    session =
        (struct smtp_session){.options = &plain, .helo = SPAN("client.example"), .esmtp = true};
    session.transaction.reverse_path.address = SPAN("s@example.com");
    session.transaction.declared_size = 42;
    set_recipient("<a+x@example.org>");
}

/* Asks a command of these words. */
static struct check_result ask_words(enum check_kind kind, const char *const *word, size_t n)
{
    struct span room[WORDS_MAX];
    struct words words = {.word = room, .n = n};
    struct check_result result;
    const struct check check = {
        .kind = kind,
        .config = &config,
        .command = &words,
        .timeout = timeout,
        .session = &session,
        .peer = &peer,
        .id = SPAN("ID"),
        .recipient = kind == CHECK_RECIPIENT ? &recipient : NULL,
        .arena = &arena,
    };

    for (size_t i = 0; i < n; i++) {
        room[i] = span_of(word[i]);
        words.macros = words.macros || strchr(word[i], '$') != NULL;
    }
    memset(&result, 0xa5, sizeof result);
    check_ask(&check, &result);
    return result;
}

/* Asks a shell's script, whose own variables have "$$". */
static struct check_result ask(enum check_kind kind, const char *script)
{
    const char *const word[] = {"/bin/sh", "-c", script};

    return ask_words(kind, word, COUNT(word));
}

static void expect(const struct check_result *got, enum smtp_opinion opinion, unsigned code,
                   const char *enhanced, const char *text, const char *what)
{
    cr_expect_eq(got->verdict.opinion, opinion, "%s: opinion %d", what, (int)got->verdict.opinion);
    cr_expect_eq(got->verdict.reply.code, code, "%s: code %u", what, got->verdict.reply.code);
    cr_expect_span(got->verdict.reply.enhanced, enhanced, what);
    cr_expect_span(got->verdict.reply.text, text, what);
}

static void expect_deferral(const struct check_result *got, const char *what)
{
    expect(got, SMTP_DEFER, 451, "4.3.0", "Try again later", what);
    cr_expect_eq(got->recipient.n, 0, "%s", what);
}

Test(check, every_exit_status, .init = set_up, .timeout = 120)
{
    for (unsigned status = 0; status < 256; status++) {
        char script[32];
        struct check_result got;

        snprintf(script, sizeof script, "exit %u", status);
        arena_reset(&arena);
        got = ask(CHECK_RECIPIENT, script);
        cr_expect_eq(got.child.end, CHILD_EXITED, "%s", script);
        cr_expect_eq(got.child.status, (int)status, "%s", script);
        cr_expect_str_eq(got.verdict.reply.rule, "check_recipient");
        cr_expect_not(got.bad_output);
        cr_expect_eq(got.recipient.n, 0);
        if (status == 0)
            expect(&got, SMTP_ACCEPT, 0, "", "", script);
        else if (status == 99)
            expect(&got, SMTP_NO_OPINION, 0, "", "", script);
        else if (status == 67)
            expect(&got, SMTP_REFUSE, 550, "5.1.1", "User unknown", script);
        else if (status == 77)
            expect(&got, SMTP_REFUSE, 550, "5.7.1", "Permission denied", script);
        else if (status == 65 || status == 100)
            expect(&got, SMTP_REFUSE, 550, "5.7.1", "Access denied", script);
        else
            expect_deferral(&got, script);
    }
}

/* 5.1.1 is said of recipients alone. */
Test(check, an_unknown_user_that_is_no_recipient, .init = set_up)
{
    struct check_result got = ask(CHECK_SENDER, "exit 67");

    expect(&got, SMTP_REFUSE, 550, "5.7.1", "Access denied", "sender");
    cr_expect_str_eq(got.verdict.reply.rule, "check_sender");
    got = ask(CHECK_CLIENT, "echo Who are you; exit 67");
    expect(&got, SMTP_REFUSE, 550, "5.7.1", "Who are you", "client");
    cr_expect_str_eq(got.verdict.reply.rule, "check_client");
}

Test(check, what_ends_a_command_otherwise_defers, .init = set_up)
{
    static const char *const missing[] = {"/nonexistent/check", "x"};
    static const char *const nowhere[] = {"smtpin-no-such-check"};
    static const char *const folder[] = {"/"};
    struct check_result got = ask(CHECK_RECIPIENT, "echo 550 5.1.1 gone; kill -9 $$$$");

    expect_deferral(&got, "signal");
    cr_expect_eq(got.child.end, CHILD_SIGNALLED);
    cr_expect_eq(got.child.status, SIGKILL);
    got = ask_words(CHECK_CLIENT, missing, COUNT(missing));
    expect_deferral(&got, "missing");
    cr_expect_eq(got.child.end, CHILD_NOT_STARTED);
    cr_expect_eq(got.child.status, ENOENT);
    got = ask_words(CHECK_SENDER, nowhere, COUNT(nowhere));
    expect_deferral(&got, "not in the path");
    cr_expect_eq(got.child.status, ENOENT);
    got = ask_words(CHECK_SENDER, folder, COUNT(folder));
    expect_deferral(&got, "a directory");
    cr_expect_eq(got.child.status, EACCES);
}

Test(check, too_little_memory_defers, .init = set_up)
{
    bool asked = false;

    for (size_t cap = 0; cap < 12288; cap += 59) {
        struct check_result got;

        arena = (struct arena){.base = memory, .cap = cap};
        memset(memory, 0x5a, sizeof memory);
        got = ask(CHECK_RECIPIENT, "echo Nobody here; echo a line >&2; exit 67");
        for (size_t i = cap; i < sizeof memory; i++)
            cr_assert_eq(memory[i], 0x5a);
        cr_expect(arena.used <= cap);
        if (got.child.end == CHILD_NOT_STARTED) {
            cr_expect_eq(got.child.status, ENOMEM);
            expect_deferral(&got, "no memory");
            cr_expect_not(asked);
        } else {
            expect(&got, SMTP_REFUSE, 550, "5.1.1", "Nobody here", "memory");
            cr_expect_span(got.complained, "a line", "memory");
            asked = true;
        }
    }
    cr_expect(asked);
}

/* Words and environment are given back: what stays is the result. */
Test(check, scratch_is_given_back, .init = set_up)
{
    const struct check_result got = ask(CHECK_RECIPIENT, "echo Nobody here; exit 67");

    cr_expect(arena.used < 128, "%zu", arena.used);
    cr_expect(got.verdict.reply.text.p >= memory &&
              got.verdict.reply.text.p < memory + sizeof memory);
}

/* Neither it nor what it has started is left. */
Test(check, a_time_out_ends_the_group, .init = set_up, .timeout = 60)
{
    char folder[] = "/tmp/smtpin-check.XXXXXX", script[256], name[64];
    const struct timespec moment = {.tv_nsec = 20000000};
    struct timespec before, after;
    struct check_result got;
    pid_t pid[2] = {0};
    FILE *f;

    cr_assert_not_null(mkdtemp(folder));
    snprintf(
        script, sizeof script,
        "trap : TERM; (trap : TERM; while :; do sleep 1; done) & "
        "echo $$$$ $$! >%s/pids; echo 550 5.1.1 gone; echo slow >&2; while :; do sleep 1; done",
        folder);
    timeout = 300;
    clock_gettime(CLOCK_MONOTONIC, &before);
    got = ask(CHECK_RECIPIENT, script);
    clock_gettime(CLOCK_MONOTONIC, &after);
    expect_deferral(&got, "time-out");
    cr_expect_eq(got.child.end, CHILD_TIMED_OUT);
    cr_expect_span(got.complained, "slow", "time-out");
    cr_expect(after.tv_sec - before.tv_sec < 10, "%ld s", (long)(after.tv_sec - before.tv_sec));
    snprintf(name, sizeof name, "%s/pids", folder);
    f = fopen(name, "r");
    cr_assert_not_null(f);
    cr_expect_eq(fscanf(f, "%d %d", &pid[0], &pid[1]), 2);
    fclose(f);
    unlink(name);
    rmdir(folder);
    for (size_t i = 0; i < COUNT(pid); i++) {
        char state = 'Z';

        cr_assert(pid[i] > 1);
        snprintf(name, sizeof name, "/proc/%d/stat", (int)pid[i]);
        /* An orphan is reaped by somebody else, when that gets to it. */
        for (int k = 0; k < 250 && state != 'X'; k++) {
            f = fopen(name, "r");
            state = 'X';
            if (f != NULL && fscanf(f, "%*d (%*[^)]) %c", &state) == 1 && state == 'Z')
                state = 'X';
            if (f != NULL)
                fclose(f);
            if (state != 'X')
                nanosleep(&moment, NULL);
        }
        cr_expect_eq(state, 'X', "process %d still runs", (int)pid[i]);
    }
}

/* What a refusal or a deferral says: its class is the status's. */
static const struct {
    const char *script;
    enum smtp_opinion opinion;
    unsigned code;
    const char *enhanced, *text;
} said[] = {
    {"echo No such user here; exit 67", SMTP_REFUSE, 550, "5.1.1", "No such user here"},
    {"printf \"No line end\"; exit 67", SMTP_REFUSE, 550, "5.1.1", "No line end"},
    {"printf \"CR\\r\\nsecond\\r\\n\"; exit 67", SMTP_REFUSE, 550, "5.1.1", "CR"},
    {"printf \"\\nsecond\\n\"; exit 67", SMTP_REFUSE, 550, "5.1.1", "User unknown"},
    {"printf \"a\\000b\\033c\\377d\\n\"; exit 67", SMTP_REFUSE, 550, "5.1.1", "a b c?d"},
    {"echo 100% sure; exit 77", SMTP_REFUSE, 550, "5.7.1", "100% sure"},
    /* an enhanced code */
    {"echo 5.2.1 Disabled; exit 67", SMTP_REFUSE, 550, "5.2.1", "Disabled"},
    {"echo 5.2.2 Full; exit 100", SMTP_REFUSE, 550, "5.2.2", "Full"},
    {"echo 4.2.1 Overloaded; exit 75", SMTP_DEFER, 451, "4.2.1", "Overloaded"},
    {"echo 4.2.1 Overloaded; exit 1", SMTP_DEFER, 451, "4.2.1", "Overloaded"},
    {"echo 5.1.1 Gone; exit 75", SMTP_DEFER, 451, "4.3.0", "Try again later"},
    {"echo 4.1.1 Later; exit 67", SMTP_REFUSE, 550, "5.1.1", "User unknown"},
    {"echo 2.0.0 Fine; exit 67", SMTP_REFUSE, 550, "5.1.1", "User unknown"},
    {"echo 2.0.0 Fine; exit 75", SMTP_DEFER, 451, "4.3.0", "Try again later"},
    /* a basic code */
    {"echo 550 5.1.1 No such user; exit 100", SMTP_REFUSE, 550, "5.1.1", "No such user"},
    {"echo 550 No such user; exit 67", SMTP_REFUSE, 550, "5.1.1", "No such user"},
    {"echo 553 5.1.3 Bad name; exit 67", SMTP_REFUSE, 553, "5.1.3", "Bad name"},
    {"echo 554 No; exit 77", SMTP_REFUSE, 554, "5.7.1", "No"},
    {"echo 551 Elsewhere; exit 67", SMTP_REFUSE, 551, "5.7.1", "Elsewhere"},
    {"echo 450 4.2.1 Greylisted; exit 75", SMTP_DEFER, 450, "4.2.1", "Greylisted"},
    {"echo 450; exit 75", SMTP_DEFER, 450, "4.7.0", "Try again later"},
    {"printf \"  451\\tLater\"; exit 75", SMTP_DEFER, 451, "4.3.0", "Later"},
    {"printf \"\\001451 4.2.0 Later\"; exit 75", SMTP_DEFER, 451, "4.2.0", "Later"},
    {"echo 550 gone; exit 75", SMTP_DEFER, 451, "4.3.0", "Try again later"},
    {"echo 550 5.1.1 gone; exit 2", SMTP_DEFER, 451, "4.3.0", "Try again later"},
    {"echo 450 4.2.1 later; exit 67", SMTP_REFUSE, 550, "5.1.1", "User unknown"},
    {"echo 250 ok; exit 67", SMTP_REFUSE, 550, "5.1.1", "User unknown"},
    {"echo 354 go on; exit 75", SMTP_DEFER, 451, "4.3.0", "Try again later"},
    {"echo 550 4.1.1 both; exit 67", SMTP_REFUSE, 550, "5.1.1", "User unknown"},
    {"echo 550 4.1.1 both; exit 75", SMTP_DEFER, 451, "4.3.0", "Try again later"},
    {"echo 550-5.1.2 first of two; exit 67", SMTP_REFUSE, 550, "5.1.2", "first of two"},
    {"echo 571 5.7.1 Blocked; exit 77", SMTP_REFUSE, 554, "5.7.1", "Blocked"},
    {"echo recipient b@example.org; exit 67", SMTP_REFUSE, 550, "5.1.1", "recipient b@example.org"},
    /* no words where it is no refusal */
    {"echo 550 5.1.1 gone; exit 0", SMTP_ACCEPT, 0, "", ""},
    {"echo 550 5.1.1 gone; exit 99", SMTP_NO_OPINION, 0, "", ""},
};

Test(check, the_words_of_a_refusal, .init = set_up)
{
    for (size_t i = 0; i < COUNT(said); i++) {
        struct check_result got;

        arena_reset(&arena);
        got = ask(CHECK_RECIPIENT, said[i].script);
        expect(&got, said[i].opinion, said[i].code, said[i].enhanced, said[i].text, said[i].script);
        cr_expect_not(got.verdict.reply.close, "%s", said[i].script);
        cr_expect_not(got.bad_output, "%s", said[i].script);
        cr_expect_str_eq(got.verdict.reply.rule, "check_recipient", "%s", said[i].script);
    }
}

Test(check, two_codes_end_the_connection, .init = set_up)
{
    struct check_result got = ask(CHECK_CLIENT, "echo 421 4.7.0 Not now; exit 75");

    expect(&got, SMTP_DEFER, 421, "4.7.0", "Not now", "421");
    cr_expect(got.verdict.reply.close);
    got = ask(CHECK_CLIENT, "echo 421 4.7.0 Not now; exit 77");
    expect(&got, SMTP_REFUSE, 550, "5.7.1", "Permission denied", "421 of a refusal");
    cr_expect_not(got.verdict.reply.close);
}

Test(check, a_line_for_the_log, .init = set_up)
{
    struct check_result got =
        ask(CHECK_RECIPIENT, "printf \"first\\r\\nsecond\\n\" >&2; echo No; exit 67");

    cr_expect_span(got.complained, "first", "the first line");
    got = ask(CHECK_RECIPIENT, "head -c 1048576 /dev/zero | tr \"\\000\" x >&2");
    cr_expect_eq(got.complained.n, RUN_COMPLAINED_MAX);
    cr_expect_eq(got.verdict.opinion, SMTP_ACCEPT);
    got = ask(CHECK_RECIPIENT, "exit 0");
    cr_expect_eq(got.complained.n, 0);
}

Test(check, a_mebibyte_of_output, .init = set_up)
{
    static const char much[] = "head -c 1048576 /dev/zero | tr \"\\000\" x; ";
    char script[256], expected[SMTP_RESULT_TEXT_MAX + 1] = {0};
    struct check_result got;

    memset(expected, 'x', sizeof expected - 1);
    snprintf(script, sizeof script, "%sexit 67", much);
    got = ask(CHECK_RECIPIENT, script);
    expect(&got, SMTP_REFUSE, 550, "5.1.1", expected, script);
    snprintf(script, sizeof script, "%secho; echo recipient b@example.org; exit 0", much);
    got = ask(CHECK_SENDER, script);
    expect(&got, SMTP_ACCEPT, 0, "", "", script);
    /* Its last line was not seen. */
    got = ask(CHECK_RECIPIENT, script);
    expect_deferral(&got, script);
    cr_expect(got.bad_output);
}

/* An address that ends where the output is cut would be another one. */
Test(check, output_that_is_cut_at_an_address, .init = set_up)
{
    static const char tail[] = "recipient b@example.or";
    char script[256];
    struct check_result got;

    snprintf(script, sizeof script,
             "head -c %zu /dev/zero | tr \"\\000\" \"\\n\"; printf \"%sg\\n\"",
             RUN_SAID_MAX - strlen(tail), tail);
    got = ask(CHECK_RECIPIENT, script);
    expect_deferral(&got, "cut");
    cr_expect(got.bad_output);
    snprintf(script, sizeof script, "head -c %zu /dev/zero | tr \"\\000\" \"\\n\"; printf \"%s\"",
             RUN_SAID_MAX - strlen(tail), tail);
    got = ask(CHECK_RECIPIENT, script);
    expect(&got, SMTP_ACCEPT, 0, "", "", "as much as there is room for");
    cr_expect_span(got.recipient, "b@example.or", "room");
}

/* Printed by printf(1). */
static const struct {
    const char *output;
    const char *recipient; /* NULL: bad output */
} aliases[] = {
    {"recipient b@example.net\\n", "b@example.net"},
    {"recipient b@example.net", "b@example.net"},
    {"recipient b@example.net\\r\\n", "b@example.net"},
    {"RECIPIENT \\t b@example.net \\n", "b@example.net"},
    {"debug\\n\\nrecipient b@example.net\\nmore\\n", "b@example.net"},
    {"recipient <b@example.net>\\n", "b@example.net"},
    {"recipient B.c+d@EXAMPLE.net\\n", "B.c+d@EXAMPLE.net"},
    {"recipient \\042b c\\042@example.net\\n", "\"b c\"@example.net"},
    {"recipient \\042b\\042@example.net\\n", "b@example.net"},
    {"recipient \\042b,c@d\\042@example.net\\n", "\"b,c@d\"@example.net"},
    {"recipient b@[192.0.2.1]\\n", "b@[192.0.2.1]"},
    {"recipient postmaster\\n", "postmaster"},
    {"recipient p\\303\\251@example.net\\n", "p\xc3\xa9@example.net"},
    /* none */
    {"", ""},
    {"recipients b@example.net\\n", ""},
    {"recipient=b@example.net\\n", ""},
    {"b@example.net\\n", ""},
    {"550 5.1.1 recipient b@example.net\\n", ""},
    {"debug\\000\\nmore\\000\\n", ""},
    /* bad */
    {"recipient\\n", NULL},
    {"recipient", NULL},
    {"recipient \\n", NULL},
    {"recipient <>\\n", NULL},
    {"recipient b\\n", NULL},
    {"recipient b@\\n", NULL},
    {"recipient @example.net\\n", NULL},
    {"recipient b@example.net c@example.net\\n", NULL},
    {"recipient b@example.net,c@example.net\\n", NULL},
    {"recipient b@example.net, c@example.net\\n", NULL},
    {"recipient b@example.net\\nrecipient c@example.net\\n", NULL},
    {"recipient b@example.net\\nrecipient b@example.net\\n", NULL},
    {"recipient b@example.net\\nrecipient \\n", NULL},
    {"recipient b@example.net> NOTIFY=NEVER\\n", NULL},
    {"recipient <b@example.net> NOTIFY=NEVER\\n", NULL},
    {"recipient <b@example.net\\n", NULL},
    {"recipient b@example.net>\\n", NULL},
    {"recipient b c@example.net\\n", NULL},
    {"recipient \\042b@example.net\\n", NULL},
    {"recipient b@exam_ple.net\\n", NULL},
    {"recipient b@example.net\\000\\n", NULL},
    {"recipient b\\000@example.net\\n", NULL},
    {"recipient b\\033@example.net\\n", NULL},
    {"recipient b@example.net\\rX-Header: c\\n", NULL},
    {"recipient b\\377@example.net\\n", NULL},
    {"recipient Bob <b@example.net>\\n", NULL},
};

Test(check, aliases, .init = set_up)
{
    for (size_t i = 0; i < COUNT(aliases); i++) {
        const char *const word[] = {"/usr/bin/printf", aliases[i].output};
        struct check_result got;

        arena_reset(&arena);
        got = ask_words(CHECK_RECIPIENT, word, COUNT(word));
        cr_expect_eq(got.bad_output, aliases[i].recipient == NULL, "%s", aliases[i].output);
        if (aliases[i].recipient == NULL) {
            expect_deferral(&got, aliases[i].output);
        } else {
            expect(&got, SMTP_ACCEPT, 0, "", "", aliases[i].output);
            cr_expect_span(got.recipient, aliases[i].recipient, aliases[i].output);
        }
        /* For a sender or a client, there is no such line. */
        got = ask_words(CHECK_SENDER, word, COUNT(word));
        expect(&got, SMTP_ACCEPT, 0, "", "", aliases[i].output);
        cr_expect_eq(got.recipient.n, 0);
        cr_expect_not(got.bad_output);
    }
}

/* As long as an address can be, and one octet more. */
Test(check, a_long_alias, .init = set_up)
{
    for (size_t more = 0; more < 2; more++) {
        char output[2 * SMTP_ADDRESS_MAX] = "recipient \"", *at = output + strlen(output);
        const char *const word[] = {"/usr/bin/printf", "%s", output};
        struct check_result got;

        for (size_t i = 0; i < SMTP_LOCAL_MAX + more; i++)
            at += sprintf(at, "\\\"");
        at += sprintf(at, "\"@");
        for (size_t i = 0; i < SMTP_DOMAIN_MAX; i++)
            *at++ = i % 64 == 63 ? '.' : 'd';
        *at = '\0';
        got = ask_words(CHECK_RECIPIENT, word, COUNT(word));
        cr_expect_eq(got.bad_output, more > 0);
        cr_expect_eq(got.recipient.n, more > 0 ? 0 : SMTP_ADDRESS_MAX);
    }
}

/* Each fact is one word, whatever it is made of, and nothing is expanded twice. */
Test(check, hostile_facts, .init = set_up)
{
    static const char *const word[] = {
        "/bin/sh",
        "-c",
        ("[ $$# = 3 ] && [ \"$$1\" = \"<$$RECIPIENT>\" ] && [ \"$$2\" = \"$$LOCAL\" ] && "
         "[ \"$$3\" = \"$$SENDER\" ] || exit 1; echo \"$$2\"; exit 67"),
        "sh",
        "<${recipient}>",
        "${mailbox}",
        "${sender}"};
    struct check_result got;

    set_recipient("<\"$${sender} `id`; exit 0 \\\"' $(id) ${x}\"@example.org>");
    session.transaction.reverse_path.address = SPAN("\"${recipient}' \"@example.com");
    got = ask_words(CHECK_RECIPIENT, word, COUNT(word));
    expect(&got, SMTP_REFUSE, 550, "5.1.1", "$${sender} `id`; exit 0 \"' $(id) ${x}", "hostile");
}

/* All that it is told of a recipient. */
Test(check, the_facts_of_a_recipient, .init = set_up)
{
    struct check_result got =
        ask(CHECK_RECIPIENT,
            "echo \"$$SMTPIN_CHECK $$RECIPIENT_COUNT $$SENDER $$RECIPIENT $$LOCAL $$EXTENSION "
            "$$DOMAIN <${user}> $$SMTPIN_SIZE <$$SMTPIN_DIGEST> $$SMTPIN_ID $$SMTPIN_REPLIES "
            "$$SMTPIN_BODY $$CLIENT_ADDRESS $$CLIENT_HELO $$CLIENT_PROTOCOL $$PATH\"; exit 67");

    expect(&got, SMTP_REFUSE, 550, "5.1.1",
           "recipient 1 s@example.com a+x@example.org a+x x example.org <a> 42 <> ID one 7BIT "
           "192.0.2.1 client.example ESMTP " COMMAND_PATH,
           "facts");
}

/* Without a recipient, its facts are empty, and its variables not there. */
Test(check, no_recipient, .init = set_up)
{
    static const char *const word[] = {
        "/bin/sh",
        "-c",
        ("env | grep -E \"^(RECIPIENT|LOCAL|EXTENSION|DOMAIN)=\" && exit 1; "
         "echo \"$$SMTPIN_CHECK $$RECIPIENT_COUNT $$# <$$1><$$2><$$3><$$4> $$SENDER\"; exit 77"),
        "sh",
        "${recipient}",
        "x${user}y${extension}",
        "${mailbox}${domain}",
        "${sender}"};
    struct check_result got = ask_words(CHECK_SENDER, word, COUNT(word));

    expect(&got, SMTP_REFUSE, 550, "5.7.1", "sender 0 4 <><xy><><s@example.com> s@example.com",
           "sender");
    session = (struct smtp_session){.options = &plain};
    got = ask_words(CHECK_CLIENT, word, COUNT(word));
    expect(&got, SMTP_REFUSE, 550, "5.7.1", "client 0 4 <><xy><><>", "client");
}

static size_t descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    size_t n = 0;

    cr_assert_not_null(d);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

/* Its three descriptors, and no other; an input that is empty; a process group of its own. */
Test(check, descriptors_and_group, .init = set_up)
{
    const size_t before = descriptors();
    struct check_result got;

    for (int fd = 3; fd < 64; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC); /* the test's own, as in smtpin */
    got = ask(
        CHECK_CLIENT,
        "[ \"$$(readlink /proc/self/fd/0)\" = /dev/null ] || exit 1; [ -z \"$$(cat)\" ] || exit "
        "2; i=3; while [ $$i -lt 64 ]; do [ ! -L /proc/$$$$/fd/$$i ] || exit 4; i=$$((i + 1)); "
        "done; "
        "set -- $$(cat /proc/$$$$/stat); [ $$5 = $$1 ] || exit 5; exit 99");
    cr_expect_eq(got.verdict.opinion, SMTP_NO_OPINION, "exit status %d", got.child.status);
    timeout = 100;
    ask(CHECK_CLIENT, "sleep 30");
    ask(CHECK_CLIENT, "/nonexistent");
    cr_expect_eq(descriptors(), before);
    cr_expect(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "a process is left");
}

/* A process that it leaves behind keeps its output open, and nobody waiting. */
Test(check, a_process_left_behind, .init = set_up, .timeout = 30)
{
    struct timespec before, after;
    struct check_result got;

    clock_gettime(CLOCK_MONOTONIC, &before);
    got = ask(CHECK_RECIPIENT, "sleep 12 & echo $$! Nobody; exit 67");
    clock_gettime(CLOCK_MONOTONIC, &after);
    cr_expect_eq(got.verdict.opinion, SMTP_REFUSE);
    cr_expect(after.tv_sec - before.tv_sec < 10, "%ld s", (long)(after.tv_sec - before.tv_sec));
    kill((pid_t)strtol(got.verdict.reply.text.p, NULL, 10), SIGKILL);
}

/* One that does not read, write or end as it should costs a deferral, not more. */
Test(check, it_closes_its_output, .init = set_up)
{
    struct check_result got = ask(CHECK_RECIPIENT, "exec >&- 2>&-; sleep 0.2; exit 67");

    expect(&got, SMTP_REFUSE, 550, "5.1.1", "User unknown", "closed");
}
