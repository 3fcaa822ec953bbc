#include "commands/milter/reply.h"

/* libmilter/mfdef.h has these numbers as SMFIF_*, SMFIP_*. */
enum {
    ACTION_ADD_HEADER = 0x1,
    ACTION_CHANGE_BODY = 0x2,
    ACTION_ADD_RECIPIENT = 0x4,
    ACTION_DELETE_RECIPIENT = 0x8,
    ACTION_CHANGE_HEADER = 0x10,
    ACTION_QUARANTINE = 0x20,
    ACTION_CHANGE_SENDER = 0x40,
    ACTION_ADD_RECIPIENT_WITH = 0x80, /* parameters */
    ACTION_MACROS = 0x100,
    ACTIONS = 0x1ff,

    PROTOCOL_SKIP = 0x400,
    PROTOCOL_LEADING_BLANK = 0x100000,
    /* All but 0x800: a recipient that we have refused is not told. */
    PROTOCOL = 0x1ff7ff,
};

/* Not to be told of it; not to be answered. 0: no such bit. */
static const struct event {
    char letter;
    const char *name;
    uint32_t unwanted, unanswered;
    uint32_t least; /* version */
} events[MILTER_EVENTS] = {
    [MILTER_CONNECT] = {'C', "the connection", 0x1, 0x1000, 2},
    [MILTER_HELO] = {'H', "HELO", 0x2, 0x2000, 2},
    [MILTER_MAIL] = {'M', "MAIL", 0x4, 0x4000, 2},
    [MILTER_RCPT] = {'R', "RCPT", 0x8, 0x8000, 2},
    [MILTER_DATA] = {'T', "DATA", 0x200, 0x10000, 4},
    [MILTER_HEADER] = {'L', "a header field", 0x20, 0x80, 2},
    [MILTER_EOH] = {'N', "the end of the header", 0x40, 0x40000, 2},
    [MILTER_BODY] = {'B', "the body", 0x10, 0x80000, 2},
    [MILTER_END] = {'E', "the end of the message", 0, 0, 2},
};

char milter_event_letter(enum milter_event event)
{
    return events[event].letter;
}

const char *milter_event_name(enum milter_event event)
{
    return events[event].name;
}

void milter_add_offer(struct text *out)
{
    const size_t begun = milter_packet_begin(out, 'O');

    milter_add_number(out, MILTER_VERSION);
    milter_add_number(out, ACTIONS);
    milter_add_number(out, PROTOCOL);
    milter_packet_end(out, begun);
}

const char *milter_agree(const struct milter_packet *p, struct milter_terms *terms)
{
    struct span data = p->data;
    uint32_t stage;

    *terms = (struct milter_terms){0};
    if (p->letter != 'O' || !milter_take_number(&data, &terms->version) ||
        !milter_take_number(&data, &terms->actions) || !milter_take_number(&data, &terms->protocol))
        return "does not answer our offer";
    if (terms->version < MILTER_VERSION_LEAST || terms->version > MILTER_VERSION)
        return "speaks another version of the protocol";
    /* rspamd claims what was not offered: that does not hold. */
    terms->actions &= ACTIONS;
    terms->protocol &= PROTOCOL;
    while (data.n > 0) {
        struct span names;

        if (!milter_take_number(&data, &stage) || stage >= MILTER_STAGES ||
            !milter_take_string(&data, &names))
            return "asks for macros in a way that is not known";
        if ((terms->actions & ACTION_MACROS) != 0)
            terms->macros[stage] = names;
    }
    return NULL;
}

bool milter_wants(const struct milter_terms *terms, enum milter_event event)
{
    return (terms->protocol & events[event].unwanted) == 0 && terms->version >= events[event].least;
}

bool milter_answers(const struct milter_terms *terms, enum milter_event event)
{
    return (terms->protocol & events[event].unanswered) == 0;
}

bool milter_leading_blank(const struct milter_terms *terms)
{
    return (terms->protocol & PROTOCOL_LEADING_BLANK) != 0;
}

/* The replies that ask for a change: what is in them, and what must have been agreed to. */
static const struct request {
    char letter;
    enum milter_change_kind kind;
    uint32_t actions; /* one of these */
    bool has_index, has_name, has_parameters;
} requests[] = {
    {.letter = 'h', .kind = MILTER_ADD_HEADER, .actions = ACTION_ADD_HEADER, .has_name = true},
    {.letter = 'i',
     .kind = MILTER_INSERT_HEADER,
     .actions = ACTION_ADD_HEADER,
     .has_index = true,
     .has_name = true},
    {.letter = 'm',
     .kind = MILTER_CHANGE_HEADER,
     .actions = ACTION_CHANGE_HEADER,
     .has_index = true,
     .has_name = true},
    {.letter = 'b', .kind = MILTER_REPLACE_BODY, .actions = ACTION_CHANGE_BODY},
    {.letter = '+', .kind = MILTER_ADD_RECIPIENT, .actions = ACTION_ADD_RECIPIENT},
    {.letter = '2',
     .kind = MILTER_ADD_RECIPIENT,
     .actions = ACTION_ADD_RECIPIENT_WITH,
     .has_parameters = true},
    {.letter = '-', .kind = MILTER_DELETE_RECIPIENT, .actions = ACTION_DELETE_RECIPIENT},
    {.letter = 'e',
     .kind = MILTER_CHANGE_SENDER,
     .actions = ACTION_CHANGE_SENDER,
     .has_parameters = true},
    {.letter = 'q', .kind = MILTER_QUARANTINE, .actions = ACTION_QUARANTINE},
};

/* RFC 5322 3.6.8. */
static bool is_field_name(struct span name)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= ' ' || name.p[i] == ':' || (unsigned char)name.p[i] >= 127)
            return false;
    return name.n > 0;
}

/* A line end may stand in it only where the next line begins with a blank and has more than blanks
 * (RFC 5322 3.2.2): any other would end the field, or the header. */
static bool is_field_value(struct span value)
{
    while (value.n > 0) {
        const size_t end = span_find_line_end(value);
        const bool crlf = end + 1 < value.n && value.p[end] == '\r' && value.p[end + 1] == '\n';

        if (end == value.n)
            return true;
        if (value.p[end] == '\r' && !crlf)
            return false;
        value = span_from(value, end + (crlf ? 2 : 1));
        if (value.n == 0 || !byte_is_blank(value.p[0]) ||
            span_trim(span_first(value, span_find_line_end(value))).n == 0)
            return false;
    }
    return true;
}

/* Line ends behind a value are left out: some filters have one there. */
static struct span without_last_ends(struct span value)
{
    while (value.n > 0 && (value.p[value.n - 1] == '\n' || value.p[value.n - 1] == '\r'))
        value.n--;
    return value;
}

static const char *read_change(const struct request *r, struct span data,
                               struct milter_change *change)
{
    struct span parameters;

    *change = (struct milter_change){.kind = r->kind};
    if (r->kind == MILTER_REPLACE_BODY) {
        change->value = data;
        return NULL;
    }
    if ((r->has_index && !milter_take_number(&data, &change->index)) ||
        (r->has_name && !milter_take_string(&data, &change->name)) ||
        !milter_take_string(&data, &change->value))
        return "sent a reply that is cut short";
    /* The parameters of an address may be missing. */
    if (r->has_parameters)
        (void)milter_take_string(&data, &parameters);
    if (data.n > 0)
        return "sent a reply with octets too many";
    if (!r->has_name)
        return NULL;
    change->value = without_last_ends(change->value);
    if (!is_field_name(change->name))
        return "wants a header field whose name is none";
    return is_field_value(change->value) ? NULL
                                         : "wants a header field that would end in its middle";
}

/* "550 5.7.1 text" */
static const char *read_code(struct span data, struct milter_reply *reply)
{
    struct span line;

    if (!milter_take_string(&data, &line))
        line = data; /* some leave the NUL out */
    else if (data.n > 0)
        return "sent a reply with octets too many";
    if (line.n < 3 || (line.p[0] != '4' && line.p[0] != '5') || !byte_is_digit(line.p[1]) ||
        !byte_is_digit(line.p[2]) || (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-'))
        return "sent a reply code that is none";
    reply->said = MILTER_REFUSE;
    reply->code = (unsigned)(100 * (line.p[0] - '0') + 10 * (line.p[1] - '0') + line.p[2] - '0');
    reply->text = span_from(line, 4);
    return NULL;
}

static void refuse(struct milter_reply *reply, unsigned code, struct span text)
{
    reply->said = MILTER_REFUSE;
    reply->code = code;
    reply->text = text;
}

/* The replies of a letter alone. False: it is none of them. */
static bool read_letter(char letter, struct milter_reply *reply)
{
    switch (letter) {
    case 'c':
        reply->said = MILTER_CONTINUE;
        return true;
    case 'a':
        reply->said = MILTER_ACCEPT;
        return true;
    case 'd':
        reply->said = MILTER_DISCARD;
        return true;
    case 'p':
        reply->said = MILTER_PROGRESS;
        return true;
    case 's':
        reply->said = MILTER_SKIP;
        return true;
    case 'r':
        refuse(reply, 550, SPAN("5.7.1 Command rejected"));
        return true;
    case 't':
        refuse(reply, 451, SPAN("4.7.1 Service unavailable - try again later"));
        return true;
    case 'f':
    case '4': /* the connection is to end, which is not ours: the client may come again */
        refuse(reply, 451, SPAN("4.7.0 Service unavailable - try again later"));
        return true;
    default:
        return false;
    }
}

const char *milter_read_reply(const struct milter_terms *terms, enum milter_event event,
                              const struct milter_packet *p, struct milter_reply *reply)
{
    const size_t n = sizeof requests / sizeof *requests;

    *reply = (struct milter_reply){0};
    if (p->letter == 'y')
        return read_code(p->data, reply);
    if (read_letter(p->letter, reply)) {
        if (p->data.n > 0)
            return "sent a reply with octets too many";
        if (reply->said == MILTER_SKIP && ((terms->protocol & PROTOCOL_SKIP) == 0 ||
                                           (event != MILTER_BODY && event != MILTER_HEADER)))
            return "skips what can't be skipped";
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (requests[i].letter != p->letter)
            continue;
        if (event != MILTER_END)
            return "asks for a change before the end of the message";
        if ((terms->actions & requests[i].actions) == 0)
            return "asks for a change that was not agreed to";
        reply->said = MILTER_CHANGE;
        return read_change(&requests[i], p->data, &reply->change);
    }
    return "sent a reply that is not known";
}
