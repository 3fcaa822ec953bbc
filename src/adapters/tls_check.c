#include "adapters/tls_check.h"

#include "adapters/run.h"
#include "adapters/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

enum {
    WORDS_ROOM = 32 * 1024,
    OUTPUT_MAX = 64 * 1024,
    CHECK_TIME = 30 * 1000, /* milliseconds */
};

static const char no_certificate[] =
    "is empty, and tls_service = no: there is no certificate for TLS";

static const char of_service[] =
    "note: is empty: the certificate is that of the service smtpin-tls, which this does not check";

static const char not_used[] =
    "note: with tls_service = only, these are not used: the service smtpin-tls has its own";

static const char required_of_all[] =
    "note: with required, servers that have no TLS can't send mail here; RFC 3207 4 forbids it on "
    "port 25 of a host that is in the MX records of a domain";

static const char implicit_for_all[] =
    "note: with implicit, clients must begin with TLS, and on port 25 none does: it is for a "
    "section of its own, such as that of port 465";

static void complain(const struct config_report *report, const char *key, const char *what)
{
    config_complain(report, span_of(key), what);
}

/* Would smtpin-tls be asked the same? */
static bool is_same(const struct config *c, const struct config *other)
{
    char room[WORDS_ROOM], other_room[WORDS_ROOM];
    struct arena a = {.base = room, .cap = sizeof room};
    struct arena b = {.base = other_room, .cap = sizeof other_room};
    char **words = tls_words(c, NULL, 0, &a), **others = tls_words(other, NULL, 0, &b);
    size_t i = 0;

    if (words == NULL || others == NULL || c->tls_service != other->tls_service ||
        !span_eq(c->tls_socket, other->tls_socket))
        return false;
    while (words[i] != NULL && others[i] != NULL && span_eq(span_of(words[i]), span_of(others[i])))
        i++;
    return words[i] == NULL && others[i] == NULL;
}

static void report_lines(struct span output, const struct config_report *report)
{
    struct span line;

    while (report->say != NULL && span_word(&output, "\n", &line)) {
        char room[4096];
        struct text escaped = TEXT(room);

        text_add_escaped(&escaped, line, "");
        report->say(report->context, NULL, 0, SPAN(""), text_string(&escaped));
    }
}

/* smtpin-tls --check, with its output in `said`. */
static struct child_result ask(const struct config *c, const struct check_user *user,
                               struct text *said)
{
    const char *const first[] = {"--check"};
    char *const environment[] = {(char *)"PATH=" COMMAND_PATH, NULL};
    char path[PATH_MAX], words[WORDS_ROOM], complaint[RUN_COMPLAINED_MAX];
    struct text program = TEXT(path), complained = TEXT(complaint);
    struct arena a = {.base = words, .cap = sizeof words};
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct child how = {.argv = tls_words(c, first, 1, &a),
                        .envp = environment,
                        .pass = {{null, 0}, {CHILD_SAID, 1}, {CHILD_COMPLAINED, 2}},
                        .passed = 3,
                        .timeout = CHECK_TIME};
    struct child_process p = {.ended = true, .result = {CHILD_NOT_STARTED, ENOMEM}};
    struct check_root root;

    check_as_user(&root, user);
    how.program = run_program(c->tls_command.word[0], &program);
    if (null >= 0 && how.argv != NULL && how.program != NULL)
        child_start(&p, &how, said, &complained);
    while (!p.ended)
        child_attend(&p, 1);
    check_as_root(&root);
    if (null >= 0)
        close(null);
    text_add(said, SPAN("\n"));
    text_add(said, text_span(&complained));
    return p.result;
}

/* The certificates that are named. `needed`: sessions have no others. */
static bool check_named(const struct config *c, const struct check_user *user, bool needed,
                        const struct config_report *report)
{
    char output[OUTPUT_MAX], room[512];
    struct text said = TEXT(output), what = TEXT(room);
    const struct child_result result = ask(c, user, &said);

    report_lines(text_span(&said), report);
    if (result.end == CHILD_EXITED && result.status == 0)
        return true;
    text_adds(&what, needed ? "" : "note: ");
    text_adds(&what, "smtpin-tls can't use them all (");
    text_adds(&what, child_end_name(result.end));
    text_addc(&what, ' ');
    text_addn(&what, (uint64_t)result.status, 1);
    text_addc(&what, ')');
    if (user->name != NULL) {
        text_adds(&what, "; it was asked as the user ");
        text_adds(&what, user->name);
        text_adds(&what, ", who must be able to read their files");
    }
    complain(report, "tls_certificate", text_string(&what));
    return !needed;
}

/* 0, or why sessions can't reach the service (errno). */
static int reach_service(const struct config *c, const struct check_user *user)
{
    struct check_root root;
    int error;

    check_as_user(&root, user);
    error = access(c->tls_socket.p, W_OK) == 0 ? 0 : errno;
    check_as_root(&root);
    return error;
}

static void say_unreached(int error, const struct config_report *report)
{
    char room[256];
    struct text what = TEXT(room);

    if (error == 0)
        return;
    text_adds(&what, "note: the service smtpin-tls can't be reached now: ");
    text_adds(&what, strerror(error));
    complain(report, "tls_socket", text_string(&what));
}

static void check_port(const struct config *c, const struct config_report *report)
{
    if (c->socket.n > 0 && !span_eq(c->socket, SPAN("smtp")))
        return;
    if (c->smtp.tls == SMTP_TLS_REQUIRED)
        complain(report, "tls", required_of_all);
    else if (c->smtp.tls == SMTP_TLS_IMPLICIT)
        complain(report, "tls", implicit_for_all);
}

bool tls_check(const struct config *c, const struct config *outer, const struct check_user *user,
               const struct config_report *report)
{
    static const struct check_user self = {.name = NULL};
    const bool only = c->tls_service == CONFIG_TLS_SERVICE_ONLY;
    bool served;
    int error;

    if (c->smtp.tls == SMTP_TLS_OFF)
        return true;
    check_port(c, report);
    if (outer != NULL && outer->smtp.tls != SMTP_TLS_OFF && is_same(c, outer))
        return true;
    error = reach_service(c, user);
    served = only || (c->tls_service == CONFIG_TLS_SERVICE_AUTO && error == 0);
    if (only || (c->tls_certificate.n == 0 && c->tls_service != CONFIG_TLS_SERVICE_NO))
        say_unreached(error, report);
    if (c->tls_certificate.n == 0) {
        complain(report, "tls_certificate",
                 c->tls_service == CONFIG_TLS_SERVICE_NO ? no_certificate : of_service);
        return c->tls_service != CONFIG_TLS_SERVICE_NO;
    }
    if (only)
        complain(report, "tls_certificate", not_used);
    /* The service's user can read what sessions can't. */
    return check_named(c, served ? &self : user, !served || (!only && geteuid() == 0), report);
}
