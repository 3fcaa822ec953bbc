#include "adapters/auth_checkpassword.h"

#include "adapters/run.h"
#include "base/base64.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

static const struct span plain = {.p = "PLAIN", .n = 5}, login = {.p = "LOGIN", .n = 5};

/* Statuses of the command that refuse: the interface's own, and that of cvm-checkpassword (and of
 * all that say "permanent" as qmail does). */
enum { STATUS_WRONG = 1, STATUS_PERMANENT = 100 };
enum { ENVIRONMENT_MAX = 8 };

/* Both send the password itself. */
static bool may_send_password(const struct auth *a)
{
    return a->peer->tls != NULL || a->config->smtp.auth_plaintext;
}

void auth_checkpassword_mechanisms(struct auth *a)
{
    a->mechanisms.n = 0;
    if (may_send_password(a)) {
        auth_add_mechanism(a, plain);
        auth_add_mechanism(a, login);
    }
}

/* Built from nothing: what tcpserver tells of the connection. */
struct environment {
    struct text text;
    char *variable[ENVIRONMENT_MAX + 1];
    size_t n;
    char room[768];
};

static void add(struct environment *e, const char *name, struct span value)
{
    if (value.n == 0 || e->n == ENVIRONMENT_MAX)
        return;
    e->variable[e->n++] = e->text.p + e->text.n;
    text_adds(&e->text, name);
    text_add(&e->text, value);
    text_addc(&e->text, '\0');
}

/* False: there is no room for it. */
static bool make_environment(struct environment *e, const struct peer *p)
{
    e->text = TEXT(e->room);
    e->n = 0;
    add(e, "PATH=", SPAN(COMMAND_PATH));
    add(e, "SERVICE=", SPAN("smtp"));
    if (p->address.n > 0) {
        add(e, "PROTO=", SPAN("TCP"));
        add(e, "TCPREMOTEIP=", p->address);
        add(e, "TCPREMOTEPORT=", p->port);
        add(e, "TCPLOCALIP=", p->server_address);
        add(e, "TCPLOCALPORT=", p->server_port);
    }
    e->variable[e->n] = NULL;
    return !e->text.cut;
}

static void start(struct child_process *p, const struct auth *a, struct environment *e, int null,
                  int secret)
{
    const struct words *words = &a->config->auth.command;
    char *argv[WORDS_MAX + 2], path[PATH_MAX];
    struct text program = TEXT(path);
    struct child c = {.argv = argv,
                      .envp = e->variable,
                      .passed = 4,
                      .quiet = true,
                      .timeout = a->config->auth_timeout};

    for (size_t i = 0; i < words->n && i < WORDS_MAX; i++)
        argv[i] = (char *)words->word[i].p;
    argv[words->n] = (char *)"/bin/true";
    argv[words->n + 1] = NULL;
    for (int i = 0; i < 3; i++)
        c.pass[i] = (struct child_descriptor){null, i};
    c.pass[3] = (struct child_descriptor){secret, 3};
    *p = (struct child_process){.ended = true, .result = {.end = CHILD_NOT_STARTED}};
    c.program = run_program(words->word[0], &program);
    if (c.program != NULL)
        child_start(p, &c, NULL, NULL);
}

/* What the command prints is nobody's: it may be the password. The pipe takes all of the secret at
 * once, and what the command does not read ends with it. */
static struct child_result run(const struct auth *a, struct span secret)
{
    struct child_process p = {.ended = true, .result = {.end = CHILD_NOT_STARTED}};
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct environment e;
    int ends[2];

    if (null < 0)
        return p.result;
    if (pipe2(ends, O_CLOEXEC) == 0) {
        const bool told = write(ends[1], secret.p, secret.n) == (ssize_t)secret.n;

        close(ends[1]);
        if (told && make_environment(&e, a->peer))
            start(&p, a, &e, null, ends[0]);
        close(ends[0]);
    }
    close(null);
    while (!p.ended)
        child_attend(&p, 1);
    return p.result;
}

/* Everything else is wiped by now. */
static void say_later(struct auth *a, const struct child_result *r, struct auth_answer *out)
{
    struct text t = TEXT(a->room);

    text_adds(&t, r->end == CHILD_EXITED        ? "its command has ended with status "
                  : r->end == CHILD_SIGNALLED   ? "its command was ended by signal "
                  : r->end == CHILD_TIMED_OUT   ? "its command does not answer in time"
                  : r->end == CHILD_NOT_STARTED ? "its command can't be started"
                                                : "its command's end is not known");
    if (r->end == CHILD_EXITED || r->end == CHILD_SIGNALLED)
        text_addn(&t, (uint64_t)r->status, 1);
    a->dirty = t.n;
    *out = (struct auth_answer){AUTH_LATER, text_span(&t)};
}

/* Both are in a->room, which is wiped. An empty password is nobody's: some programs ask a directory
 * that takes it for a question without a name (RFC 4513 5.1.2). */
static void check(struct auth *a, struct span user, struct span password, struct auth_answer *out)
{
    char octets[CHECKPASSWORD_MAX], name[AUTH_USER_MAX];
    struct text secret = TEXT(octets), kept = TEXT(name), again = TEXT(a->room);
    struct child_result result = {.end = CHILD_EXITED, .status = STATUS_WRONG};

    text_add(&secret, user);
    text_addc(&secret, '\0');
    text_add(&secret, password);
    text_add(&secret, SPAN("\0\0")); /* no timestamp */
    if (auth_is_user(user) && password.n > 0 && !secret.cut) {
        text_add(&kept, user);
        auth_wipe(a);
        result = run(a, text_span(&secret));
    }
    explicit_bzero(octets, sizeof octets);
    auth_wipe(a);
    if (result.end == CHILD_EXITED && result.status == 0) {
        text_add(&again, text_span(&kept));
        a->dirty = again.n;
        *out = (struct auth_answer){AUTH_DONE, text_span(&again)};
    } else if (result.end == CHILD_EXITED &&
               (result.status == STATUS_WRONG || result.status == STATUS_PERMANENT)) {
        *out = (struct auth_answer){.result = AUTH_WRONG};
    } else {
        say_later(a, &result, out);
    }
    explicit_bzero(name, sizeof name);
}

/* Appends what the response stands for to what a->room holds already. False: it has a NUL more than
 * it may, or does not fit. */
static bool decode(struct auth *a, struct span response, size_t nuls, struct span *out)
{
    struct text t = text_behind(&(struct text){.p = a->room, .cap = sizeof a->room}, a->user);
    const bool decoded = base64_decode(response, &t);

    a->dirty = a->user + t.n;
    *out = text_span(&t);
    return decoded && span_count(*out, '\0') == nuls;
}

/* [authzid] NUL authcid NUL passwd: RFC 4616 2. Nobody acts for somebody else here. */
static void read_plain(struct auth *a, struct span response, struct auth_answer *out)
{
    struct span left, acts_for, user;

    if (!decode(a, response, 2, &left)) {
        auth_wipe(a);
        *out = (struct auth_answer){.result = AUTH_MALFORMED};
        return;
    }
    acts_for = span_first(left, span_find(left, '\0'));
    left = span_from(left, acts_for.n + 1);
    user = span_first(left, span_find(left, '\0'));
    left = span_from(left, user.n + 1);
    if (acts_for.n > 0 && !span_eq(acts_for, user))
        left.n = 0;
    check(a, user, left, out);
}

static void challenge(struct auth_answer *out, struct span text)
{
    *out = (struct auth_answer){AUTH_CHALLENGE, text};
}

/* The name first, and then the password. */
static void read_login(struct auth *a, struct span response, struct auth_answer *out)
{
    struct span said;

    if (!decode(a, response, 0, &said)) {
        auth_wipe(a);
        *out = (struct auth_answer){.result = AUTH_MALFORMED};
    } else if (a->has_user) {
        check(a, (struct span){.p = a->room, .n = a->user}, said, out);
    } else if (said.n > CHECKPASSWORD_MAX) {
        auth_wipe(a);
        *out = (struct auth_answer){.result = AUTH_WRONG};
    } else {
        a->user = said.n;
        a->has_user = true;
        challenge(out, SPAN("UGFzc3dvcmQ6")); /* "Password:" */
    }
}

void auth_checkpassword_begin(struct auth *a, struct span mechanism, const struct span *initial,
                              struct auth_answer *out)
{
    const bool is_plain = span_eq_nocase(mechanism, plain);

    auth_wipe(a);
    if (!may_send_password(a) || (!is_plain && !span_eq_nocase(mechanism, login))) {
        *out = (struct auth_answer){.result = AUTH_UNKNOWN};
        return;
    }
    a->mechanism.n = 0;
    text_add(&a->mechanism, is_plain ? plain : login);
    if (initial != NULL)
        auth_checkpassword_go_on(a, *initial, out);
    else
        challenge(out, is_plain ? SPAN("") : SPAN("VXNlcm5hbWU6")); /* "Username:" */
}

void auth_checkpassword_go_on(struct auth *a, struct span response, struct auth_answer *out)
{
    if (span_eq(text_span(&a->mechanism), plain))
        read_plain(a, response, out);
    else
        read_login(a, response, out);
}
