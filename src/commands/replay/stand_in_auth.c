#include "commands/replay/stand_in_auth.h"

#include "adapters/auth_line.h"
#include "base/base64.h"
#include "commands/replay/stand_in_server.h"

#include <errno.h>

struct stand_in {
    const struct transcript *t;
    size_t asked; /* steps of logins so far */
    struct stand_in_server server;
};

/* In these the client sends the password, or what is as good as one. */
static bool is_plaintext(struct span mechanism)
{
    struct span left = SPAN("PLAIN LOGIN XOAUTH2 OAUTHBEARER"), word;

    while (span_word(&left, " ", &word))
        if (span_eq(word, mechanism))
            return true;
    return false;
}

static bool binds_channel(struct span mechanism)
{
    return mechanism.n > 5 && span_eq(span_from(mechanism, mechanism.n - 5), SPAN("-PLUS"));
}

static void say(struct stand_in_connection *c, const struct text *out)
{
    if (out->cut || !place_write(c->fd, text_span(out)))
        stand_in_server_hang_up(c);
}

static void greet(void *context, struct stand_in_connection *c)
{
    const struct stand_in *s = context;
    char room[4096];
    struct text out = TEXT(room);
    struct span left = s->t->mechanisms.p == NULL ? SPAN("PLAIN LOGIN") : s->t->mechanisms, word;

    text_adds(&out, "VERSION\t1\t4\n");
    while (span_word(&left, " ", &word)) {
        text_adds(&out, "MECH\t");
        text_add(&out, word);
        text_adds(&out, is_plaintext(word) ? "\tplaintext" : "");
        text_adds(&out, binds_channel(word) ? "\tchannel-binding" : "");
        text_adds(&out, "\n");
    }
    text_adds(&out, "SPID\t1\nCUID\t1\nCOOKIE\t0\nDONE\n");
    say(c, &out);
}

/* The first word of the question, and the mechanism of a new login. */
static bool write_down(const struct stand_in *s, struct span command, struct span mechanism)
{
    char path_room[PLACE_PATH_MAX], room[64];
    struct text path = TEXT(path_room), all = TEXT(room);

    text_add(&all, command);
    text_adds(&all, mechanism.n > 0 ? " " : "");
    text_add(&all, mechanism);
    text_addc(&all, '\0');
    return place_put(place_numbered(&path, s->server.directory, TOLD_AUTH, s->asked, "environment"),
                     text_span(&all));
}

static void write_answer(struct text *out, const struct told *told, struct span id)
{
    const enum told_end end = told == NULL ? TOLD_WRONG : told->end;

    text_adds(out, end == TOLD_EXITS ? "OK\t" : end == TOLD_GOES_ON ? "CONT\t" : "FAIL\t");
    text_add(out, id);
    if (end == TOLD_EXITS) {
        text_adds(out, "\tuser=");
        text_add(out, told->says);
    } else if (end == TOLD_GOES_ON) {
        text_addc(out, '\t');
        base64_encode(told->says, out);
    } else {
        text_adds(out, end == TOLD_LATER       ? "\ttemp"
                       : end == TOLD_MALFORMED ? "\tcode=invalid_base64"
                                               : "");
    }
    text_addc(out, '\n');
}

/* A line of the client's. */
static void answer(void *context, struct stand_in_connection *c, struct span question)
{
    struct stand_in *s = context;
    const struct told *told = transcript_told(s->t, TOLD_AUTH, s->asked);
    char room[STAND_IN_QUESTION_MAX];
    struct text out = TEXT(room);
    struct span command, id, mechanism = {0};
    const bool asks = auth_line_word(&question, &command) && auth_line_word(&question, &id) &&
                      (span_eq(command, SPAN("AUTH")) ? auth_line_word(&question, &mechanism)
                                                      : span_eq(command, SPAN("CONT")));

    if (!asks) /* VERSION, CPID, CANCEL */
        return;
    if (!write_down(s, command, mechanism)) {
        stand_in_server_hang_up(c);
        return;
    }
    s->asked++;
    if (told != NULL && told->end == TOLD_HANGS)
        return;
    write_answer(&out, told, id);
    say(c, &out);
}

pid_t stand_in_auth_start(const struct transcript *t, const char *directory, bool everybody,
                          struct arena *a)
{
    struct stand_in *s = arena_get(a, sizeof *s);

    errno = ENOMEM;
    if (s == NULL)
        return -1;
    *s = (struct stand_in){.t = t,
                           .server = {.kind = TOLD_AUTH,
                                      .directory = directory,
                                      .servers = 1,
                                      .everybody = everybody,
                                      .end = SPAN("\n"),
                                      .context = s,
                                      .greet = greet,
                                      .answer = answer}};
    return stand_in_server_start(&s->server);
}

const char *stand_in_auth_setting(const char *directory, struct arena *a)
{
    char room[PLACE_PATH_MAX];
    struct text path = TEXT(room), out = {.p = a->base + a->used, .cap = a->cap - a->used};

    text_adds(&out, "auth=dovecot:");
    text_adds(&out, stand_in_server_socket(&path, directory, TOLD_AUTH, 0));
    text_addc(&out, '\0');
    return out.cut ? NULL : arena_get(a, out.n);
}
