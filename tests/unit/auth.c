/* The backends of `auth`: what a Dovecot server's lines mean; logins with a server and with
 * commands of the test's own; and that nothing of them is left. tests/programs/auth_backends.py has
 * the real ones, and servers that fail in every way. */
#include "adapters/auth.h"

#include "adapters/auth_line.h"
#include "unit.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

/* Lines --------------------------------------------------------------------------------------- */

#define LONGEST_USER                                                                               \
    "uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu" \
    "uuuuuuu"                                                                                      \
    "uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu" \
    "uuuuuuu"                                                                                      \
    "uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu"

Test(auth, answers)
{
    static const struct {
        const char *line;
        enum auth_line_kind kind;
        unsigned id;
        const char *data, *binding, *user;
        enum auth_result why;
    } rows[] = {
        {"OK\t1\tuser=jane", AUTH_LINE_OK, 1, "", "", "jane", 0},
        {"OK\t4294967295\tx\tuser=a@b\ty=z", AUTH_LINE_OK, UINT32_MAX, "", "", "a@b", 0},
        {"OK\t0\tuser=j\xc3\xa4ne", AUTH_LINE_OK, 0, "", "", "j\xc3\xa4ne", 0},
        {"OK\t1\tuser=" LONGEST_USER, AUTH_LINE_OK, 1, "", "", LONGEST_USER, 0},
        {"OK\t1\tuser=u" LONGEST_USER, AUTH_LINE_OK, 1, "", "", "", 0},
        {"OK\t1\tuser=a=b", AUTH_LINE_OK, 1, "", "", "a=b", 0},
        {"OK\t1\tuser=j\xe4ne", AUTH_LINE_OK, 1, "", "", "", 0},
        {"OK\t1\tuser=a b", AUTH_LINE_OK, 1, "", "", "", 0},
        {"OK\t1\tuser=a\001tb", AUTH_LINE_OK, 1, "", "", "", 0},
        {"OK\t1\tuser=jane\r", AUTH_LINE_OK, 1, "", "", "", 0},
        {"OK\t1\tuser", AUTH_LINE_OK, 1, "", "", "", 0},
        {"OK\t1", AUTH_LINE_OK, 1, "", "", "", 0},
        {"OK\t1\tUSER=jane", AUTH_LINE_OK, 1, "", "", "", 0},
        {"OK\t1\toriginal_user=jane", AUTH_LINE_OK, 1, "", "", "", 0},
        {"OK\t1\tuser=jane\tnologin", AUTH_LINE_OK, 1, "", "", "", 0},
        {"OK\t1\tnologin=no\tuser=jane", AUTH_LINE_OK, 1, "", "", "", 0},
        {"OK\t1\tuser=jane\tproxy=y", AUTH_LINE_OK, 1, "", "", "", 0},
        {"OK\t1\tuser=jane\tnologin_x\tproxy_timeout=1", AUTH_LINE_OK, 1, "", "", "jane", 0},
        {"FAIL\t2", AUTH_LINE_FAIL, 2, "", "", "", AUTH_WRONG},
        {"FAIL\t2\tuser=jane\ttemp", AUTH_LINE_FAIL, 2, "", "", "", AUTH_LATER},
        {"FAIL\t2\tcode=temp_fail", AUTH_LINE_FAIL, 2, "", "", "", AUTH_LATER},
        {"FAIL\t2\ttemp\tcode=authz_fail", AUTH_LINE_FAIL, 2, "", "", "", AUTH_LATER},
        {"FAIL\t2\tcode=invalid_base64", AUTH_LINE_FAIL, 2, "", "", "", AUTH_MALFORMED},
        {"FAIL\t2\tcode=user_disabled\treason=temp", AUTH_LINE_FAIL, 2, "", "", "", AUTH_WRONG},
        {"CONT\t3\t", AUTH_LINE_CONT, 3, "", "", "", 0},
        {"CONT\t3\tAA==\tchannel_binding=tls-exporter", AUTH_LINE_CONT, 3, "AA==", "tls-exporter",
         "", 0},
        {"CANCELLED\t4", AUTH_LINE_CANCELLED, 4, "", "", "", 0},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct auth_line got;

        cr_expect(auth_line_read(guarded(rows[i].line, strlen(rows[i].line)), &got), "%s",
                  rows[i].line);
        cr_expect_eq(got.kind, rows[i].kind, "%s", rows[i].line);
        cr_expect_eq(got.id, rows[i].id, "%s", rows[i].line);
        cr_expect_span(got.data, rows[i].data, rows[i].line);
        cr_expect_span(got.binding, rows[i].binding, rows[i].line);
        cr_expect_span(got.user, rows[i].user, rows[i].line);
        cr_expect(got.kind != AUTH_LINE_FAIL || got.why == rows[i].why, "%s", rows[i].line);
    }
}

Test(auth, what_is_no_answer)
{
    static const char *const rows[] = {
        "",
        "\t",
        "OK",
        "OK\t",
        "OK\tx\tuser=jane",
        "OK\t-1",
        "OK\t+1",
        "OK\t 1",
        "OK\t1 ",
        "OK\t4294967296",
        "ok\t1",
        "OK 1",
        " OK\t1",
        "OKAY\t1",
        "CONT\t1",
        "CONT\t1\t*",
        "CONT\t1\tA",
        "CONT\t\tAA==",
        "CONT\t1\tAA==\r",
        "MECH\t1",
        "DONE",
        "CANCEL\t1",
        "\001\t1",
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct auth_line got;

        cr_expect_not(auth_line_read(guarded(rows[i], strlen(rows[i])), &got), "%s", rows[i]);
    }
}

Test(auth, mechanisms_of_a_server)
{
    static const struct {
        const char *words;
        bool good, plaintext, binding;
    } rows[] = {
        {"PLAIN\tplaintext", true, true, false},
        {"SCRAM-SHA-256\tmutual-auth\tnew", true, false, false},
        {"SCRAM-SHA-256-PLUS", true, false, true},
        {"X\tchannel-binding", true, false, true},
        {"ABCDEFGHIJKLMNOPQR_9", true, false, false},
        {"ABCDEFGHIJKLMNOPQR_90", false, false, false},
        {"APOP\tprivate\tplaintext", false, false, false},
        {"X\tanonymous", false, false, false},
        {"ANONYMOUS", false, false, false},
        {"", false, false, false},
        {"\tplaintext", false, false, false},
        {"plain", false, false, false},
        {"A B", false, false, false},
        {"A\r", false, false, false},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct auth_mechanism m;

        cr_expect_eq(auth_line_mechanism(guarded(rows[i].words, strlen(rows[i].words)), &m),
                     rows[i].good, "%s", rows[i].words);
        if (rows[i].good) {
            cr_expect_eq(m.plaintext, rows[i].plaintext, "%s", rows[i].words);
            cr_expect_eq(m.channel_binding, rows[i].binding, "%s", rows[i].words);
            cr_expect_eq(strlen(m.name), strcspn(rows[i].words, "\t"));
        }
    }
}

/* Logins -------------------------------------------------------------------------------------- */

static struct config config;
static struct tls_facts tls;
static struct peer peer;
static struct auth a;
static char memory[8192];

static void set_up(void)
{
    sigset_t child;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    memset(&config, 0, sizeof config);
    config.auth_timeout = 20000;
    tls = (struct tls_facts){.protocol = SPAN("TLSv1.3")};
    peer = (struct peer){.address = SPAN("192.0.2.1"),
                         .port = SPAN("4025"),
                         .server_address = SPAN("192.0.2.2"),
                         .server_port = SPAN("587"),
                         .tls = &tls};
}

static void expect_wiped(const char *what)
{
    for (size_t i = 0; i < sizeof a.room; i++)
        cr_assert_eq(a.room[i], 0, "%s: at %zu", what, i);
}

static void expect_answer(const struct auth_answer *got, enum auth_result result, const char *text,
                          const char *what)
{
    cr_expect_eq(got->result, result, "%s: %d, %.*s", what, (int)got->result,
                 SPAN_FORMAT(got->text));
    cr_expect_span(got->text, text, what);
}

/* The list never has half a name. */
Test(auth, many_mechanisms, .init = set_up)
{
    auth_open(&a, &config, &peer, SPAN("ID"));
    for (size_t i = 0; i < 100; i++)
        auth_add_mechanism(&a, SPAN("SCRAM-SHA-256-PLUS"));
    cr_expect_eq(a.mechanisms.n, 21 * 19 - 1);
    auth_add_mechanism(&a, SPAN("X"));
    cr_expect_eq(a.mechanisms.n, AUTH_MECHANISMS_MAX);
    auth_add_mechanism(&a, SPAN("Y"));
    cr_expect_eq(a.mechanisms.n, AUTH_MECHANISMS_MAX);
    cr_expect_not(a.mechanisms.cut);
    cr_expect_eq(a.mechanisms.p[AUTH_MECHANISMS_MAX - 1], 'X');
}

/* A server in a process of its own. Each step waits for a line, which must be that, and answers. */
struct step {
    const char *line, *answer;
};

struct fake {
    char directory[32], path[48];
    pid_t pid;
};

static void serve(int listener, const struct step *steps)
{
    const int fd = accept(listener, NULL, NULL);
    FILE *in = fdopen(fd, "r");
    char line[1024];

    alarm(50);
    signal(SIGPIPE, SIG_IGN); /* the client may be gone before the last answer */
    dprintf(fd, "VERSION\t1\t4\nMECH\tPLAIN\tplaintext\nMECH\tSCRAM-SHA-256-PLUS\nDONE\n");
    if (fgets(line, sizeof line, in) == NULL || strncmp(line, "VERSION\t1\t", 10) != 0)
        _exit(2);
    if (fgets(line, sizeof line, in) == NULL || strncmp(line, "CPID\t", 5) != 0)
        _exit(3);
    for (; steps->line != NULL; steps++) {
        if (fgets(line, sizeof line, in) == NULL || strcmp(line, steps->line) != 0)
            _exit(4);
        dprintf(fd, "%s", steps->answer);
    }
    _exit(fgets(line, sizeof line, in) == NULL ? 0 : 5);
}

static struct fake fake_start(const struct step *steps)
{
    struct fake f = {.directory = "/tmp/smtpin-unit-auth.XXXXXX"};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int s = socket(AF_UNIX, SOCK_STREAM, 0);

    cr_assert_not_null(mkdtemp(f.directory));
    snprintf(f.path, sizeof f.path, "%s/s", f.directory);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", f.path);
    cr_assert_eq(bind(s, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(s, 5), 0);
    f.pid = fork();
    cr_assert_geq(f.pid, 0);
    if (f.pid == 0)
        serve(s, steps);
    close(s);
    config.auth = (struct config_auth){.socket = span_of(f.path)};
    return f;
}

/* Everything has been said as it should be. */
static void fake_end(const struct fake *f)
{
    int status;

    cr_assert_eq(waitpid(f->pid, &status, 0), f->pid);
    cr_expect_eq(status, 0, "the server: %x", (unsigned)status);
    unlink(f->path);
    rmdir(f->directory);
}

#define FACTS                                                                                      \
    "service=smtp\tnologin\tlip=192.0.2.2\tlport=587\trip=192.0.2.1\trport=4025\tsecured=tls\t"

Test(auth, dovecot, .init = set_up, .timeout = 60)
{
    static const struct step steps[] = {
        {"AUTH\t1\tPLAIN\t" FACTS "session=ID\n", "CONT\t1\t\n"},
        {"CONT\t1\tAGEAYg==\n", "OK\t1\tuser=a\n"},
        {"AUTH\t2\tPLAIN\t" FACTS "session=ID\tresp=\n", "FAIL\t2\tuser=a\n"},
        {"AUTH\t3\tPLAIN\t" FACTS "session=ID\tresp=AGEAYg==\n", "CONT\t3\tAAAA\n"},
        {"CANCEL\t3\n", "CANCELLED\t3\nFAIL\t3\n"},
        {"AUTH\t4\tSCRAM-SHA-256-PLUS\t" FACTS "session=ID\tresp=AAAA\n",
         "CONT\t4\tBBBB\tchannel_binding=tls-exporter\n"},
        {"CONT\t4\tCCCC\tchannel_binding=AP8=\n", "CONT\t4\tDDDD\n"},
        {"CONT\t4\t\n", "OK\t4\tuser=b\n"},
        {NULL, NULL},
    };
    const struct fake f = fake_start(steps);
    struct auth_answer got;
    struct span list;
    const char *why;

    tls.exporter = SPAN("00ff");
    auth_open(&a, &config, &peer, SPAN("ID"));
    cr_expect(auth_mechanisms(&a, &list, &why), "%s", why);
    cr_expect_span(list, "PLAIN SCRAM-SHA-256-PLUS", "mechanisms");
    auth_begin(&a, SPAN("plain"), NULL, &got);
    expect_answer(&got, AUTH_CHALLENGE, "", "PLAIN");
    auth_go_on(&a, SPAN("AGEAYg=="), &got);
    expect_answer(&got, AUTH_DONE, "a", "its response");
    auth_begin(&a, SPAN("PLAIN"), &SPAN(""), &got);
    expect_answer(&got, AUTH_WRONG, "", "an empty initial response");
    auth_begin(&a, SPAN("PLAIN"), &SPAN("AGEAYg=="), &got);
    expect_answer(&got, AUTH_CHALLENGE, "AAAA", "an initial response");
    auth_cancel(&a);
    expect_wiped("cancelled");
    auth_begin(&a, SPAN("SCRAM-SHA-256-PLUS"), &SPAN("AAAA"), &got);
    expect_answer(&got, AUTH_CHALLENGE, "BBBB", "channel binding");
    auth_go_on(&a, SPAN("CCCC"), &got);
    expect_answer(&got, AUTH_CHALLENGE, "DDDD", "what it is bound to");
    auth_go_on(&a, SPAN(""), &got);
    expect_answer(&got, AUTH_DONE, "b", "an empty response");
    /* Of these the server hears nothing. */
    auth_begin(&a, SPAN("PLAIN"), &SPAN("AA\nA"), &got);
    expect_answer(&got, AUTH_MALFORMED, "", "a line end");
    auth_begin(&a, SPAN("PLAIN\tx"), NULL, &got);
    expect_answer(&got, AUTH_UNKNOWN, "", "a mechanism that is none");
    auth_go_on(&a, SPAN("AAAA"), &got);
    expect_answer(&got, AUTH_LATER, "no login is going on", "a response to nothing");
    auth_close(&a);
    cr_expect_eq(a.fd, -1);
    expect_wiped("closed");
    fake_end(&f);
}

/* A malformed response ends a login on both sides. */
Test(auth, dovecot_malformed_response, .init = set_up, .timeout = 60)
{
    static const struct step steps[] = {
        {"AUTH\t1\tPLAIN\t" FACTS "session=ID\n", "CONT\t1\t\n"},
        {"CANCEL\t1\n", "CANCELLED\t1\n"},
        {NULL, NULL},
    };
    const struct fake f = fake_start(steps);
    struct auth_answer got;

    auth_open(&a, &config, &peer, SPAN("ID"));
    auth_begin(&a, SPAN("PLAIN"), NULL, &got);
    auth_go_on(&a, SPAN("A\tA"), &got);
    expect_answer(&got, AUTH_MALFORMED, "", "a tab");
    auth_close(&a);
    fake_end(&f);
}

static void set_command(const char *line)
{
    struct arena arena = {.base = memory, .cap = sizeof memory};

    config.auth = (struct config_auth){.socket = SPAN("")};
    cr_assert_null(words_split(span_of(line), &arena, &config.auth.command));
    auth_open(&a, &config, &peer, SPAN("ID"));
}

Test(auth, checkpassword, .init = set_up, .timeout = 60)
{
    struct auth_answer got;
    struct span list;
    const char *why;

    set_command("/bin/sh -c \"read x <&3; exit 1\"");
    cr_expect(auth_mechanisms(&a, &list, &why));
    cr_expect_span(list, "PLAIN LOGIN", "mechanisms");
    auth_begin(&a, SPAN("PLAIN"), &SPAN("AGphbmUAc2VjcmV0"), &got);
    expect_answer(&got, AUTH_WRONG, "", "wrong");
    expect_wiped("wrong");

    set_command("/bin/true");
    auth_begin(&a, SPAN("PLAIN"), &SPAN("AGphbmUAc2VjcmV0"), &got);
    expect_answer(&got, AUTH_DONE, "jane", "right");
    cr_expect_eq(a.dirty, 4);
    for (size_t i = 4; i < sizeof a.room; i++)
        cr_assert_eq(a.room[i], 0);
    auth_begin(&a, SPAN("login"), NULL, &got);
    expect_answer(&got, AUTH_CHALLENGE, "VXNlcm5hbWU6", "LOGIN");
    auth_go_on(&a, SPAN("amFuZQ=="), &got);
    expect_answer(&got, AUTH_CHALLENGE, "UGFzc3dvcmQ6", "the name");
    auth_cancel(&a);
    expect_wiped("cancelled");
    auth_begin(&a, SPAN("LOGIN"), &SPAN("amFuZQ=="), &got);
    expect_answer(&got, AUTH_CHALLENGE, "UGFzc3dvcmQ6", "the name at once");
    auth_go_on(&a, SPAN("c2VjcmV0"), &got);
    expect_answer(&got, AUTH_DONE, "jane", "the password");
    auth_close(&a);
    expect_wiped("closed");

    set_command("/bin/sh -c \"exit 111\"");
    auth_begin(&a, SPAN("PLAIN"), &SPAN("AGphbmUAc2VjcmV0"), &got);
    expect_answer(&got, AUTH_LATER, "its command has ended with status 111", "later");
    auth_close(&a);
    peer.tls = NULL;
    auth_begin(&a, SPAN("PLAIN"), &SPAN("AGphbmUAc2VjcmV0"), &got);
    expect_answer(&got, AUTH_UNKNOWN, "", "outside TLS");
}
