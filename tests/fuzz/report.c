/* What smtpin-report reads: lines, JSON, exports of the journal, times, the state file. Whatever it
 * is, what is shown of it has no control octet, is no HTML, and fits into a JSON string; and the
 * same octets in pieces are the same records. */
#include "base/sha256.h"
#include "commands/report/dates.h"
#include "commands/report/input.h"
#include "commands/report/show.h"
#include "commands/report/state.h"
#include "commands/report/tally.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define promise(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint64_t now = 1796000000000000;
static struct tally *tally;
static struct input *input;
static char shown[1 << 17];

static struct span show(void (*how)(FILE *, struct span), struct span s)
{
    FILE *out = fmemopen(shown, sizeof shown, "w");
    long n;

    promise(out != NULL);
    how(out, s);
    n = ftell(out);
    fclose(out);
    return (struct span){.p = shown, .n = (size_t)n};
}

static void look_at_value(struct span s)
{
    struct span is = show(show_text, s);

    promise(!span_has_control(is) && utf8_valid(is));
    promise(memmem(is.p, is.n, "\xe2\x80\xae", 3) == NULL);
    is = show(show_html, s);
    promise(!span_has_control(is) && span_find(is, '<') == is.n && span_find(is, '"') == is.n);
    is = show(show_json, s);
    promise(!span_has_control(is) && is.n >= 2 && is.p[0] == '"' && is.p[is.n - 1] == '"');
    for (size_t i = 1; i + 1 < is.n; i++) {
        promise(is.p[i] != '"');
        if (is.p[i] == '\\')
            i++;
        promise(i + 1 < is.n);
    }
}

static void look_at(const struct entry *e)
{
    promise(e->kind < LOG_KINDS);
    for (size_t f = 0; f < FIELDS; f++) {
        struct span value;
        size_t at = 0;

        while (entry_next(e, (enum entry_field)f, &at, &value))
            look_at_value(value);
    }
    tally_add(tally, e);
}

static bool take(void *context, const struct entry *e)
{
    ++*(uint64_t *)context;
    look_at(e);
    return true;
}

/* All at once. */
static uint64_t read_file(struct span s)
{
    const int fd = memfd_create("log", 0);
    uint64_t records = 0;

    promise(fd >= 0 && write(fd, s.p, s.n) == (ssize_t)s.n && lseek(fd, 0, SEEK_SET) == 0);
    input->fd = fd;
    input->now = now;
    input->take = take;
    input->context = &records;
    input->error = -1;
    input_read(input);
    close(fd);
    promise(input->error == 0);
    return records;
}

/* With the sum that it should have, without which nothing else is looked at. */
static void try_state(struct span s)
{
    static char bytes[STATE_MAX], summed[STATE_MAX];
    struct text out = TEXT(bytes), all = TEXT(summed);
    struct sha256 h;
    char hex[64];
    struct totals t, again;
    char cursor[JOURNAL_CURSOR_MAX], same[JOURNAL_CURSOR_MAX];

    promise(state_parse(s, &t, cursor) != NULL || s.n == 0);
    sha256_open(&h);
    sha256_add(&h, s);
    sha256_close(&h, hex);
    text_add(&all, s);
    text_adds(&all, "sum ");
    text_add(&all, (struct span){.p = hex, .n = sizeof hex});
    text_addc(&all, '\n');
    if (state_parse(text_span(&all), &t, cursor) != NULL)
        return;
    promise(state_write(&out, &t, cursor));
    promise(state_parse(text_span(&out), &again, same) == NULL);
    promise(memcmp(&t, &again, sizeof t) == 0 && strcmp(cursor, same) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct entry e;
    const struct span s = {.p = (const char *)data + 1, .n = size - 1};
    struct span line = s;
    uint64_t time;

    if (size == 0)
        return 0;
    if (tally == NULL) {
        tally = malloc(sizeof *tally);
        input = calloc(1, sizeof *input);
        promise(tally != NULL && input != NULL);
        tally_open(tally, 1);
    }
    switch (data[0] % 5) {
    case 0:
        if (form_line(&e, s, now))
            look_at(&e);
        break;
    case 1:
        if (form_json(&e, s))
            look_at(&e);
        break;
    case 2:
        (void)read_file(s);
        break;
    case 3:
        if (dates_parse(s, now, &time))
            promise(time < UINT64_MAX / 2);
        (void)dates_take(&line, now);
        promise(line.p >= s.p && line.p + line.n == s.p + s.n);
        break;
    default:
        try_state(s);
        break;
    }
    return 0;
}
