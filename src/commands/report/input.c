#include "commands/report/input.h"

#include <errno.h>
#include <unistd.h>

static struct span held(const struct input *in)
{
    return (struct span){.p = in->room + in->begin, .n = in->end - in->begin};
}

/* More octets behind those that are held. False: there are none, or no room. */
static bool fill(struct input *in)
{
    ssize_t n;

    if (in->begin > 0) {
        memmove(in->room, in->room + in->begin, in->end - in->begin);
        in->end -= in->begin;
        in->begin = 0;
    }
    if (in->ended || in->end == sizeof in->room)
        return false;
    do
        n = read(in->fd, in->room + in->end, sizeof in->room - in->end);
    while (n < 0 && errno == EINTR);
    if (n <= 0) {
        in->error = n < 0 ? errno : 0;
        in->ended = true;
        return false;
    }
    in->end += (size_t)n;
    in->octets += (uint64_t)n;
    return true;
}

/* Drops octets up to and with the next newline. */
static void skip_line(struct input *in)
{
    in->skipped++;
    for (;;) {
        const size_t n = span_find(held(in), '\n');

        if (n < held(in).n) {
            in->begin += n + 1;
            return;
        }
        in->begin = in->end;
        if (!fill(in))
            return;
    }
}

/* The next line, without its newline, until the next call. False: there is none. */
static bool next_line(struct input *in, struct span *line)
{
    size_t searched = 0;

    for (;;) {
        const struct span all = held(in);
        const size_t n = searched + span_find(span_from(all, searched), '\n');

        if (n > INPUT_LINE_MAX) {
            skip_line(in);
            searched = 0;
            continue;
        }
        if (n < all.n || (in->ended && n > 0)) {
            *line = span_first(all, n);
            in->begin += n < all.n ? n + 1 : n;
            return true;
        }
        if (in->ended)
            return false;
        searched = all.n;
        (void)fill(in);
    }
}

static bool give(struct input *in)
{
    return in->take(in->context, &in->entry);
}

static void read_lines(struct input *in, bool json)
{
    struct span line;

    while (next_line(in, &line)) {
        const bool good = json ? form_json(&in->entry, line) : form_line(&in->entry, line, in->now);

        if (!good)
            in->foreign += line.n > 0;
        else if (!give(in))
            return;
    }
}

/* At least n octets are held. */
static bool hold(struct input *in, size_t n)
{
    while (in->end - in->begin < n)
        if (!fill(in))
            return false;
    return true;
}

/* Of a value that has a length, as it may hold newlines: eight octets, the least significant first,
 * the value, a newline. False: the file ends before. */
static bool take_binary(struct input *in, const char *name, size_t name_n)
{
    uint64_t n = 0;

    if (!hold(in, 8))
        return false;
    for (size_t i = 8; i > 0; i--)
        n = n << 8 | (unsigned char)in->room[in->begin + i - 1];
    in->begin += 8;
    if (n > INPUT_FIELD_MAX) {
        in->skipped++;
        for (uint64_t left = n; left > 0;) {
            const size_t there = in->end - in->begin;
            const size_t gone = there < left ? there : (size_t)left;

            in->begin += gone;
            left -= gone;
            if (left > 0 && !fill(in))
                return false;
        }
    } else if (hold(in, (size_t)n + 1)) {
        form_field(&in->journal, (struct span){.p = name, .n = name_n},
                   span_first(held(in), (size_t)n));
        in->begin += (size_t)n;
    } else {
        return false;
    }
    if (!hold(in, 1) || in->room[in->begin] != '\n')
        return false;
    in->begin++;
    return true;
}

static bool end_entry(struct input *in)
{
    bool more = true;

    if (form_end(&in->journal))
        more = give(in);
    else
        in->foreign++;
    form_begin(&in->journal, &in->entry, true);
    return more;
}

static void read_export(struct input *in)
{
    bool fields = false;
    struct span line;

    form_begin(&in->journal, &in->entry, true);
    while (next_line(in, &line)) {
        const size_t n = span_find(line, '=');
        char name[64];

        if (line.n == 0) {
            if (fields && !end_entry(in))
                return;
            fields = false;
        } else if (n < line.n) {
            if (line.n - n - 1 <= INPUT_FIELD_MAX)
                form_field(&in->journal, span_first(line, n), span_from(line, n + 1));
            else
                in->skipped++;
            fields = true;
        } else {
            const size_t name_n = n < sizeof name ? n : 0; /* a name that nobody asks for */

            memcpy(name, line.p, name_n);
            if (!take_binary(in, name, name_n)) { /* where the next entry begins is not known */
                in->skipped++;
                return;
            }
            fields = true;
        }
    }
    if (fields)
        (void)end_entry(in);
}

void input_read(struct input *in)
{
    in->begin = in->end = 0;
    in->ended = false;
    in->error = 0;
    /* As much as tells the form. */
    while (span_find(held(in), '\n') == held(in).n && fill(in))
        ;
    if (form_of(held(in)) == FORM_EXPORT)
        read_export(in);
    else
        read_lines(in, form_of(held(in)) == FORM_JSON);
}
