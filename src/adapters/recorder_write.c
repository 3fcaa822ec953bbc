#include "adapters/recorder_write.h"

#include <errno.h>
#include <unistd.h>

void recorder_flush(struct recorder *r)
{
    size_t done = 0;

    while (done < r->out.n) {
        const ssize_t n = write(r->fd, r->out.p + done, r->out.n - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) { /* a trace is worth less than the session */
            close(r->fd);
            r->fd = -1;
            break;
        }
        done += (size_t)n;
    }
    r->out.n = 0;
}

/* Too much: back to the end of the last whole exchange, so that what is there still replays. */
static void cut(struct recorder *r)
{
    const uint64_t flushed = r->total - r->out.n;

    if (r->boundary >= flushed) {
        r->out.n = (size_t)(r->boundary - flushed);
    } else {
        r->out.n = 0;
        if (ftruncate(r->fd, (off_t)r->boundary) < 0 ||
            lseek(r->fd, (off_t)r->boundary, SEEK_SET) < 0)
            r->boundary = 0;
    }
    recorder_flush(r);
    text_adds(&r->out, "# trace_size: the rest is not recorded\n@disconnect\n");
    recorder_flush(r);
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}

void recorder_put(struct recorder *r, struct span s)
{
    if (r->fd < 0)
        return;
    if (s.n > r->limit - r->total) {
        cut(r);
        return;
    }
    r->total += s.n;
    while (s.n > 0 && r->fd >= 0) {
        const struct span piece = span_first(s, r->out.cap - r->out.n);

        text_add(&r->out, piece);
        s = span_from(s, piece.n);
        if (r->out.cap - r->out.n < 128)
            recorder_flush(r);
    }
}

void recorder_put_line(struct recorder *r, const char *tag, struct span value)
{
    recorder_put(r, span_of(tag));
    recorder_put(r, value);
    recorder_put(r, SPAN("\n"));
}

void recorder_put_number(struct recorder *r, const char *tag, uint64_t number, const char *end)
{
    char room[32];
    struct text t = TEXT(room);

    text_addn(&t, number, 1);
    recorder_put(r, span_of(tag));
    recorder_put(r, text_span(&t));
    recorder_put(r, span_of(end));
}

static void put_hex(struct recorder *r, char c)
{
    static const char hex[] = "0123456789abcdef";
    const char escaped[4] = {'\\', 'x', hex[(unsigned char)c >> 4], hex[c & 15]};

    recorder_put(r, (struct span){.p = escaped, .n = 4});
}

void recorder_put_escaped(struct recorder *r, struct span s)
{
    while (s.n > 0 && r->fd >= 0) {
        const size_t n = utf8_length(s);
        const char c = s.p[0];

        if (c == '\\')
            recorder_put(r, SPAN("\\\\"));
        else if (n == 0 || byte_is_control(c))
            put_hex(r, c);
        else
            recorder_put(r, span_first(s, n));
        s = span_from(s, n == 0 ? 1 : n);
    }
}

void recorder_put_escaped_line(struct recorder *r, const char *tag, struct span s)
{
    recorder_put(r, span_of(tag));
    recorder_put_escaped(r, s);
    recorder_put(r, SPAN("\n"));
}

/* A word of the format's own, at the beginning, and blanks around it, would be lost. */
void recorder_put_text(struct recorder *r, struct span s, const char *words)
{
    struct span left = span_of(words), word;
    const struct span first = span_first(s, span_find(s, ' '));
    bool known = s.n > 0 && byte_is_blank(s.p[0]);

    while (span_word(&left, " ", &word))
        known = known || span_eq(first, word);
    if (known) {
        put_hex(r, s.p[0]);
        s = span_from(s, 1);
    }
    if (s.n > 0 && byte_is_blank(s.p[s.n - 1])) {
        recorder_put_escaped(r, span_first(s, s.n - 1));
        put_hex(r, s.p[s.n - 1]);
    } else {
        recorder_put_escaped(r, s);
    }
    recorder_put(r, SPAN("\n"));
}
