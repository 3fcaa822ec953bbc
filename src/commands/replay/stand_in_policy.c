#include "commands/replay/stand_in_policy.h"

#include "commands/replay/stand_in_server.h"

#include <errno.h>
#include <string.h>

struct stand_in {
    const struct transcript *t;
    size_t asked; /* questions so far */
    struct stand_in_server server;
    /* smtpin can't know whether a kept connection was closed because of its question: it asks once
     * more on a new one. */
    bool asks_again;
    char last[STAND_IN_QUESTION_MAX];
    size_t last_n;
};

/* The attributes, with a NUL behind each. */
static bool write_down(const struct stand_in *s, struct span question)
{
    char room[PLACE_PATH_MAX], strings[STAND_IN_QUESTION_MAX];
    struct text path = TEXT(room), all = TEXT(strings);
    struct span line;

    while (span_word(&question, "\n", &line)) {
        text_add(&all, line);
        text_addc(&all, '\0');
    }
    return place_put(
        place_numbered(&path, s->server.directory, TOLD_POLICY, s->asked, "environment"),
        text_span(&all));
}

static bool is_asked_again(struct stand_in *s, const struct stand_in_connection *c,
                           struct span question)
{
    const bool again =
        s->asks_again && !c->kept && span_eq(question, (struct span){.p = s->last, .n = s->last_n});

    s->asks_again = false;
    return again;
}

/* The action, or none: an unexpected question has no opinion for an answer. */
static void answer(void *context, struct stand_in_connection *c, struct span question)
{
    struct stand_in *s = context;
    const struct told *told = transcript_told(s->t, TOLD_POLICY, s->asked);
    const struct span action = told == NULL ? SPAN("DUNNO") : told->says;

    if (is_asked_again(s, c, question) || !write_down(s, question)) {
        stand_in_server_hang_up(c);
        return;
    }
    s->asked++;
    if (told != NULL && told->end == TOLD_CLOSES) {
        s->asks_again = c->kept;
        memcpy(s->last, question.p, question.n);
        s->last_n = question.n;
        stand_in_server_hang_up(c);
    } else if (told == NULL || told->end != TOLD_HANGS) {
        if (!place_write(c->fd, SPAN("action=")) || !place_write(c->fd, action) ||
            !place_write(c->fd, SPAN("\n\n")))
            stand_in_server_hang_up(c);
        c->kept = true;
    }
}

pid_t stand_in_policy_start(const struct transcript *t, const char *directory, size_t servers,
                            bool everybody, struct arena *a)
{
    struct stand_in *s = arena_get(a, sizeof *s);

    errno = ENOMEM;
    if (s == NULL)
        return -1;
    *s = (struct stand_in){.t = t,
                           .server = {.kind = TOLD_POLICY,
                                      .directory = directory,
                                      .servers = servers,
                                      .everybody = everybody,
                                      .end = SPAN("\n\n"),
                                      .context = s,
                                      .answer = answer}};
    return stand_in_server_start(&s->server);
}

const char *stand_in_policy_setting(const char *directory, size_t servers, struct arena *a)
{
    char room[PLACE_PATH_MAX];
    struct text path = TEXT(room), out = {.p = a->base + a->used, .cap = a->cap - a->used};

    text_adds(&out, "policy=");
    for (size_t i = 0; i < servers; i++) {
        text_adds(&out, i > 0 ? " unix:" : "unix:");
        text_adds(&out, stand_in_server_socket(&path, directory, TOLD_POLICY, i));
    }
    text_addc(&out, '\0');
    return out.cut ? NULL : arena_get(a, out.n);
}
