/* A transcript, as smtpin-replay reads it, and then plays it. Behind the last NUL stands what the
 * server says; without one, it says what the transcript expects, as far as that is written out. */
#include "adapters/auth_state.h"
#include "base/base64.h"
#include "commands/replay/play.h"
#include "commands/replay/read.h"
#include "commands/replay/told_tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A server that says so much at once. */
struct server {
    struct span left;
    size_t at_once;
    bool times_out;
    size_t tls; /* what becomes of a handshake */
};

static bool take(void *context, struct span bytes)
{
    (void)context;
    (void)bytes;
    return true;
}

static struct span say(void *context, bool *timed_out)
{
    struct server *s = context;
    const struct span now = span_first(s->left, s->at_once);

    s->left = span_from(s->left, now.n);
    *timed_out = now.n == 0 && s->times_out;
    return now;
}

static bool secure(void *context, const struct tls_facts *wanted, struct tls_facts *is,
                   struct span *why)
{
    const struct server *s = context;

    *why = SPAN("no");
    *is = *wanted;
    if (s->tls == 1)
        is->cipher_iana = is->protocol;
    return s->tls != 2;
}

static void pass(void *context)
{
    (void)context;
}

/* What a server says that is all right; false where the transcript leaves it open, or does not
 * listen to the end. */
static bool script(const struct transcript *t, struct text *out)
{
    for (const struct step *s = t->first; s != NULL; s = s->next) {
        if (s->kind == STEP_TLS)
            return false; /* it says all at once */
        if (s->kind == STEP_WAIT || s->kind == STEP_DISCONNECT || s->kind == STEP_MESSAGE)
            return false;
        if (s->kind != STEP_EXPECT || step_accepts_only(s, ACCEPT_END))
            continue;
        if (s->accepted->kind != ACCEPT_LINE || s->accepted->next != NULL ||
            span_find(s->accepted->text, '\n') < s->accepted->text.n ||
            (s->accepted->text.n > 0 && s->accepted->text.p[s->accepted->text.n - 1] == '\r'))
            return false;
        text_add(out, s->accepted->text);
        text_adds(out, "\r\n");
    }
    return !out->cut;
}

static void play_it(const struct transcript *t, struct span says, size_t size, struct arena *a)
{
    static char said[1 << 16], report[1 << 14];
    struct text known = TEXT(said), out = TEXT(report);
    struct differences d = {.out = &out, .file = "x"};
    const bool right = says.p == NULL && script(t, &known);
    struct server s = {.left = says.p == NULL ? text_span(&known) : says,
                       .at_once = size % 7 + 1,
                       .times_out = !right && size % 3 == 0,
                       .tls = right ? 0 : size % 4};
    const struct endpoint e = {.context = &s,
                               .send = take,
                               .receive = say,
                               .secure = secure,
                               .secure_first = right ? t->tls.line > 0 : size % 2 == 0,
                               .half_close = pass,
                               .disconnect = pass};
    const struct play_options o = {.whole = size % 5 == 0};

    for (const struct step *i = t->first; i != NULL; i = i->next)
        if (i->kind == STEP_WAIT || (i->kind == STEP_MESSAGE && i->number > 10000))
            return; /* takes its time */
    play(t, &e, &o, a, &d);
    differ_close(&d);
    if (right && d.count > 0)
        abort();
    if ((d.count == 0) != (out.n == 0) || (out.n > 0 && out.p[0] != 'x'))
        abort(); /* a difference begins with its place */
}

/* What is stated goes into a header, and to other programs. */
static void look_at_tls(const struct transcript *t)
{
    const struct tls_facts *f = &t->tls.facts;
    char room[200];
    struct text name = TEXT(room);

    if (t->tls.line == 0)
        return;
    told_tls_cipher(&name, f->cipher_iana);
    if (!tls_facts_known(f) || name.cut || span_find(f->name, '(') < f->name.n ||
        span_has_control_but_tab(f->name) || !told_tls_same_cipher(f->cipher_iana, f->cipher_iana))
        abort();
}

/* What a login is answered is a line of a server's, with nothing in it that would end a word. */
static void look_at_logins(const struct transcript *t)
{
    for (const struct told *told = t->told[TOLD_AUTH].first; told != NULL; told = told->next)
        if ((told->end == TOLD_EXITS && !auth_is_user(told->says)) ||
            (told->end == TOLD_GOES_ON && BASE64_ENCODED(told->says.n) > AUTH_RESPONSE_MAX) ||
            !t->told[TOLD_AUTH].checked)
            abort();
    if (t->mechanisms.n > AUTH_MECHANISMS_MAX || span_has_control(t->mechanisms))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char room[1 << 23];
    const struct span all = {.p = (const char *)data, .n = size};
    size_t nul = size;
    const int fd = memfd_create("transcript", 0);
    struct arena a = {.base = room, .cap = sizeof room};
    struct transcript t;
    const char *wrong = NULL;
    unsigned line = 0;
    char path[64];

    for (size_t i = 0; i < size; i++)
        nul = data[i] == 0 ? i : nul;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (write(fd, data, nul) != (ssize_t)nul)
        abort();
    if (transcript_read(&t, path, size % 2 == 0, &a, &line, &wrong)) {
        look_at_tls(&t);
        look_at_logins(&t);
        play_it(&t, nul < size ? span_from(all, nul + 1) : (struct span){.p = NULL}, size, &a);
    } else if (wrong == NULL) {
        abort();
    }
    close(fd);
    return 0;
}
