#include "adapters/auth_check.h"

#include "adapters/auth.h"
#include "adapters/run.h"

#include <limits.h>

static const char needs_tls[] =
    "note: nobody can log in on this socket: tls = off, and auth_plaintext = no";

static const char in_plain_text[] =
    "note: a client may send its password outside TLS: only for a socket that no network reaches";

static const char required_of_all[] =
    "note: servers of others can't log in, and so can't send mail here: it is for a section of its "
    "own, such as that of port 587";

static void complain(const struct config_report *report, const char *key, const char *what)
{
    config_complain(report, span_of(key), what);
}

static void check_settings(const struct config *c, const struct config_report *report)
{
    const bool may_be_plain = c->smtp.tls == SMTP_TLS_OFF || c->smtp.tls == SMTP_TLS_MAY;

    if (c->smtp.tls == SMTP_TLS_OFF && !c->smtp.auth_plaintext)
        complain(report, "auth", needs_tls);
    if (c->smtp.auth_plaintext && may_be_plain)
        complain(report, "auth_plaintext", in_plain_text);
    if (c->smtp.auth_required && (c->socket.n == 0 || span_eq(c->socket, SPAN("smtp"))))
        complain(report, "auth_required", required_of_all);
}

static void say(const struct config_report *report, const struct check_user *user, const char *what,
                struct span of)
{
    char room[1024];
    struct text said = TEXT(room);

    text_adds(&said, what);
    text_add_escaped(&said, span_first(of, 512), "");
    if (user->name != NULL) {
        text_adds(&said, "; it was asked as the user ");
        text_adds(&said, user->name);
    }
    complain(report, "auth", text_string(&said));
}

/* Asks as a session inside TLS would. */
static bool ask_dovecot(const struct config *c, const struct check_user *user,
                        const struct config_report *report)
{
    const struct tls_facts inside = {.protocol = SPAN("TLSv1.3")};
    const struct peer peer = {.tls = &inside};
    struct span mechanisms;
    struct check_root root;
    struct auth auth;
    const char *why;
    bool answers;

    auth_open(&auth, c, &peer, SPAN("check"));
    check_as_user(&root, user);
    answers = auth_mechanisms(&auth, &mechanisms, &why);
    check_as_root(&root);
    if (!answers)
        say(report, user, "can't be asked: ", span_of(why));
    else if (mechanisms.n == 0)
        complain(report, "auth", "the server has no mechanism that clients could use");
    else
        say(report, &(struct check_user){.name = NULL},
            "note: inside TLS, clients are offered: ", mechanisms);
    auth_close(&auth);
    return answers && mechanisms.n > 0;
}

static bool find_command(const struct config *c, const struct check_user *user,
                         const struct config_report *report)
{
    const struct span program = c->auth.command.word[0];
    char path[PATH_MAX];
    struct text found = TEXT(path);
    struct check_root root;
    bool is_there;

    check_as_user(&root, user);
    is_there = run_program(program, &found) != NULL;
    check_as_root(&root);
    if (!is_there)
        say(report, user, "its program is missing, or can't be executed: ", program);
    return is_there;
}

bool auth_check(const struct config *c, const struct config *outer, const struct check_user *user,
                const struct config_report *report)
{
    if (!c->smtp.auth)
        return true;
    check_settings(c, report);
    if (outer != NULL && span_eq(c->auth.value, outer->auth.value))
        return true;
    return c->auth.command.n > 0 ? find_command(c, user, report) : ask_dovecot(c, user, report);
}
