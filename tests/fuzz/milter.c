/* What a filter says to smtpin-milter: its terms, and its replies to each event. All that it may
 * ask for is done to a message and an envelope, which must stay what they are: a header of fields,
 * a body, addresses. */
#include "commands/milter/answer.h"
#include "commands/milter/changes.h"
#include "smtp/header.h"
#include "smtp/result.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define promise(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

enum { PACKET_MAX = 4096, MEMORY = 1 << 20, HEADER_MAX = 16384 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char mail[] = "Return-Path: <s@example.com>\nDelivered-To: a@example.org\n"
                           "Received: from x\n\tby mx (smtpin) with SMTP id ID;\n\tnow\n"
                           "Subject: x\nX-A: 1\nx-a: 2\n\tb\n\ntext\n";

/* A line that smtpin takes, whatever was said. */
static void try_answer(unsigned code, struct span text)
{
    char line[512], bytes[1024];
    struct text room = TEXT(bytes);
    struct smtp_reply r;

    answer_line(line, sizeof line, code, text);
    promise(smtp_result_of_line(&r, span_of(line), &room));
    promise(r.code / 100 == code / 100 && r.code < 600);
    promise(!span_has_control(span_of(line)));
}

/* The envelope has only mailboxes, those that it had or that parse. */
static void look_at_envelope(struct envelope *e)
{
    promise(e->n >= e->originals && e->n <= e->originals + e->recipients_max);
    promise(envelope_is_sender(e->sender));
    for (size_t i = 0; i < e->n; i++)
        promise(envelope_is_recipient(e->recipient[i].address) &&
                e->recipient[i].address.p[e->recipient[i].address.n] == '\0');
}

/* The message as it leaves: our own fields are there, and what is written reads as what was meant.
 */
static void look_at_message(struct message *m, size_t body)
{
    size_t fields = 0, read = 0;
    struct span rest, field;
    char *all;
    ssize_t n;
    const int fd = message_finish(m);

    promise(fd >= 0 && lseek(fd, 0, SEEK_CUR) == 0);
    all = malloc(1 << 20);
    promise(all != NULL);
    n = pread(fd, all, 1 << 20, 0);
    promise(n > 0);
    for (const struct message_field *f = m->first; f != NULL; f = f->next)
        fields += f->text.n > 0;
    rest = (struct span){.p = all, .n = (size_t)n};
    while (smtp_header_next(&rest, &field))
        read++;
    promise(read == fields);
    promise(rest.n >= 1 && rest.p[0] == '\n');
    promise(!m->replaced ||
            (rest.n - 1 == m->spool.size && (body == 0 || rest.p[rest.n - 1] == '\n')));
    promise(span_starts_nocase((struct span){.p = all, .n = (size_t)n}, SPAN("Return-Path: <")));
    promise(memmem(all, (size_t)n, "id ID;\n\tnow\n", 12) != NULL);
    free(all);
    if (fd != m->fd)
        close(fd);
}

/* Takes packets for the events in turn; true when it has let the message pass. */
static bool converse(struct span octets, struct changes *c, size_t *body)
{
    struct milter_terms terms;
    struct milter_packet p;
    struct milter_reply r;
    size_t used;

    if (milter_packet_take(octets, PACKET_MAX, &p, &used) != MILTER_TAKEN ||
        milter_agree(&p, &terms) != NULL)
        return false;
    c->leading_blank = milter_leading_blank(&terms);
    octets = span_from(octets, used);
    for (enum milter_event event = MILTER_CONNECT; event < MILTER_EVENTS;) {
        const char *wrong;

        if (!milter_wants(&terms, event) || !milter_answers(&terms, event)) {
            event++;
            continue;
        }
        if (milter_packet_take(octets, PACKET_MAX, &p, &used) != MILTER_TAKEN)
            return false;
        promise(used <= octets.n && p.data.n + MILTER_PACKET_HEAD == used);
        octets = span_from(octets, used);
        if (milter_read_reply(&terms, event, &p, &r) != NULL)
            return false;
        if (r.said == MILTER_REFUSE)
            try_answer(r.code, r.text);
        if (r.said == MILTER_ACCEPT)
            return true;
        if (r.said == MILTER_DISCARD || r.said == MILTER_REFUSE)
            return false;
        if (r.said == MILTER_PROGRESS)
            continue;
        promise(r.said != MILTER_CHANGE || event == MILTER_END);
        if (r.said == MILTER_CHANGE) {
            wrong = changes_add(c, &r.change);
            if (wrong != NULL)
                return false;
            *body += r.change.kind == MILTER_REPLACE_BODY ? r.change.value.n : 0;
            continue;
        }
        event++;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char memory[MEMORY], buffer[MESSAGE_BUFFER];
    static int message = -1;
    struct arena a = {.base = memory, .cap = sizeof memory};
    struct spool spool = {
        .buffer = buffer, .cap = sizeof buffer, .memory = 1 << 20, .dir = "/tmp", .fd = -1};
    struct message m = {.arena = &a, .header_max = HEADER_MAX, .id = SPAN("ID"), .dir = "/tmp"};
    struct envelope_recipient recipients[2 + 8] = {{.address = SPAN("a@example.org"), .of = 0},
                                                   {.address = SPAN("b@example.org"), .of = 1}};
    struct envelope e = {.arena = &a,
                         .recipients_max = 8,
                         .sender = SPAN("s@example.com"),
                         .first_sender = SPAN("s@example.com"),
                         .recipient = recipients,
                         .n = 2,
                         .originals = 2};
    struct changes c = {.arena = &a, .most = 64, .body_max = 65536, .spool = &spool};
    struct span reason = {0};
    size_t body = 0;

    if (message < 0) {
        message = memfd_create("mail", MFD_CLOEXEC);
        promise(write(message, mail, sizeof mail - 1) == (ssize_t)(sizeof mail - 1));
    }
    promise(message_open(&m, message) == MESSAGE_OK && changes_begin(&c));
    if (converse((struct span){.p = (const char *)data, .n = size}, &c, &body) &&
        changes_apply(&c, &m, &e, &reason) == NULL)
        look_at_envelope(&e);
    changes_drop(&c);
    look_at_message(&m, body);
    if (m.replaced)
        spool_close(&m.spool);
    return 0;
}
