#include "adapters/outcome.h"

#include "smtp/result.h"

/* A copy of the reply's text in the arena, so that it outlives the run; a full arena costs the
 * text. */
static void keep_reply(struct arena *a, struct smtp_reply *reply)
{
    reply->text = arena_copy(a, reply->text);
    reply->enhanced = arena_copy(a, reply->enhanced);
    if (reply->text.p == NULL || reply->enhanced.p == NULL) {
        reply->text = reply->code < 400 ? SPAN("OK") : SPAN("Delivery failed");
        reply->enhanced = reply->code < 400   ? SPAN("2.0.0")
                          : reply->code < 500 ? SPAN("4.3.0")
                                              : SPAN("5.3.0");
    }
}

/* qmail-queue's 82: its own text on descriptor 6, D for permanent, Z for temporary: the letter says
 * whether it is for good, not a code in the text. */
static struct smtp_reply qmail_custom(struct span said, struct text *room)
{
    const struct smtp_reply usual =
        said.n > 0 && said.p[0] == 'D' ? smtp_result_of_exit(NULL, 100) : smtp_result_of_failure();
    struct smtp_reply reply = usual;

    smtp_result_refine(&reply, span_from(said, 1), false, room);
    if (reply.code / 100 != usual.code / 100) {
        reply.code = usual.code;
        reply.enhanced = usual.enhanced;
    }
    return reply;
}

/* A success that has nothing to say says the message's id. */
static void add_id(struct smtp_reply *reply, struct span id, struct text *room)
{
    const size_t start = room->n;

    if (reply->code >= 400 || !span_eq(reply->text, SPAN("OK")))
        return;
    text_adds(room, "OK id=");
    text_add(room, id);
    reply->text = span_from(text_span(room), start);
}

struct smtp_reply outcome_reply(const struct config *config, const struct child_result *result,
                                struct span said, struct span id, struct arena *a)
{
    const bool qmail = config->deliver_format == CONFIG_FORMAT_QMAIL_QUEUE;
    const unsigned status = (unsigned)result->status;
    char bytes[2 * SMTP_RESULT_TEXT_MAX];
    struct text room = TEXT(bytes);
    struct smtp_reply reply;

    if (result->end != CHILD_EXITED)
        return smtp_result_of_failure();
    if (qmail && status == 82) {
        reply = qmail_custom(said, &room);
        keep_reply(a, &reply);
        return reply;
    }
    reply =
        qmail ? smtp_result_of_qmail_queue(status) : smtp_result_of_exit(&config->exit_map, status);
    add_id(&reply, id, &room);
    smtp_result_refine(&reply, said, config->reply_codes, &room);
    keep_reply(a, &reply);
    return reply;
}

bool outcome_take_lines(struct span said, struct span id, struct smtp_recipient *const *recipient,
                        size_t n, struct arena *a)
{
    char bytes[2 * SMTP_RESULT_TEXT_MAX];
    bool good = true;

    for (size_t i = 0; good && i < n; i++) {
        struct text room = TEXT(bytes);

        good =
            said.n > 0 && smtp_result_of_line(&recipient[i]->result, smtp_first_line(said), &room);
        if (good) {
            add_id(&recipient[i]->result, id, &room);
            keep_reply(a, &recipient[i]->result);
        }
        said = span_from(said, span_find(said, '\n') + 1);
    }
    good = good && said.n == 0;
    for (size_t i = 0; !good && i < n; i++)
        recipient[i]->result = smtp_result_of_failure();
    return good;
}
