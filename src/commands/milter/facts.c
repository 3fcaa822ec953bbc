#include "commands/milter/facts.h"

#include "base/number.h"

#include <stdlib.h>

static struct span variable(const char *name)
{
    return span_of(getenv(name));
}

static struct span domain_of(struct span address)
{
    size_t at = address.n;

    while (at > 0 && address.p[at - 1] != '@')
        at--;
    return at == 0 ? SPAN("") : span_from(address, at);
}

/* Macros whose value is a variable of the environment. */
static const struct {
    const char *name, *variable;
} variables[] = {
    {"i", "SMTPIN_ID"},
    {"client_addr", "CLIENT_ADDRESS"},
    {"client_name", "CLIENT_HOSTNAME"},
    {"client_ptr", "CLIENT_HOSTNAME"},
    {"client_port", "CLIENT_PORT"},
    {"tls_version", "SSL_PROTOCOL"},
    {"cipher", "SSL_CIPHER"},
    {"tls_sni", "SSL_TLS_SNI"},
    {"cert_subject", "SSL_CLIENT_NAME"},
    {"auth_type", "SASL_METHOD"},
    {"auth_authen", "SASL_USERNAME"},
    {"auth_author", "SASL_SENDER"},
};

/* "mx.example.com [192.0.2.1]" */
static void add_client(struct text *out)
{
    const struct span address = variable("CLIENT_ADDRESS");

    if (address.n == 0)
        return;
    text_add(out, variable("CLIENT_HOSTNAME"));
    text_adds(out, " [");
    text_adds(out, span_find(address, ':') < address.n ? "IPv6:" : "");
    text_add(out, address);
    text_addc(out, ']');
}

/* The value of a macro; nothing where it is not known. */
static void add_value(struct text *out, const struct facts *f, struct span name)
{
    for (size_t i = 0; i < f->n; i++)
        if (span_eq(f->own[i].name, name)) {
            text_add(out, f->own[i].value);
            return;
        }
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        if (span_eq(span_of(variables[i].name), name)) {
            text_add(out, variable(variables[i].variable));
            return;
        }
    if (span_eq(name, SPAN("j")) || span_eq(name, SPAN("daemon_name")))
        text_adds(out, f->host);
    else if (span_eq(name, SPAN("v")))
        text_adds(out, "smtpin " SMTPIN_VERSION);
    else if (span_eq(name, SPAN("_")))
        add_client(out);
    else if (span_eq(name, SPAN("mail_addr")))
        text_add(out, f->sender);
    else if (span_eq(name, SPAN("mail_host")))
        text_add(out, domain_of(f->sender));
    else if (span_eq(name, SPAN("rcpt_addr")))
        text_add(out, f->recipient);
    else if (span_eq(name, SPAN("rcpt_host")))
        text_add(out, domain_of(f->recipient));
}

/* A macro and its value, unless that is empty. */
static void add_macro(struct text *out, const struct facts *f, struct span name)
{
    const size_t begun = out->n;
    const bool braces = name.n > 1;
    size_t value;

    text_adds(out, braces ? "{" : "");
    text_add(out, name);
    text_adds(out, braces ? "}" : "");
    text_addc(out, '\0');
    value = out->n;
    add_value(out, f, name);
    if (out->n == value && !out->cut)
        out->n = begun;
    else
        text_addc(out, '\0');
}

static const struct stage {
    enum milter_event event;
    const char *names;
} stages[MILTER_STAGES] = {
    {MILTER_CONNECT, "j {daemon_name} v _"},
    {MILTER_HELO, "{tls_version} {cipher} {cert_subject}"},
    {MILTER_MAIL, "i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host}"},
    {MILTER_RCPT, "i {rcpt_addr} {rcpt_host}"},
    {MILTER_DATA, "i"},
    {MILTER_END, "i"},
    {MILTER_EOH, "i"},
};

size_t facts_stage(enum milter_event event)
{
    size_t stage = 0;

    while (stage < MILTER_STAGES && stages[stage].event != event)
        stage++;
    return stage;
}

static bool among(struct span names, struct span name)
{
    struct span word;

    while (span_word(&names, " ,{}", &word))
        if (span_eq(word, name))
            return true;
    return false;
}

void facts_add_macros(struct text *out, const struct facts *f, enum milter_event event,
                      struct span names)
{
    const size_t begun = milter_packet_begin(out, 'D'), stage = facts_stage(event);
    size_t none;
    struct span word;

    text_addc(out, milter_event_letter(event));
    none = out->n;
    if (names.p == NULL && stage < MILTER_STAGES)
        names = span_of(stages[stage].names);
    for (size_t i = 0; event == MILTER_CONNECT && i < f->n; i++)
        if (!among(names, f->own[i].name))
            add_macro(out, f, f->own[i].name);
    while (span_word(&names, " ,{}", &word))
        add_macro(out, f, word);
    if (out->n == none)
        out->n = begun;
    else
        milter_packet_end(out, begun);
}

void facts_add_connection(struct text *out)
{
    const size_t begun = milter_packet_begin(out, milter_event_letter(MILTER_CONNECT));
    const struct span address = variable("CLIENT_ADDRESS"), name = variable("CLIENT_HOSTNAME");
    uint64_t port = 0;

    if (number_parse(variable("CLIENT_PORT"), 65535, &port) != NUMBER_OK)
        port = 0;
    milter_add_string(out, name.n == 0 ? SPAN("unknown") : name);
    if (address.n == 0) {
        text_addc(out, 'U');
    } else {
        text_addc(out, span_find(address, ':') < address.n ? '6' : '4');
        text_addc(out, (char)(port >> 8 & 0xff));
        text_addc(out, (char)(port & 0xff));
        milter_add_string(out, address);
    }
    milter_packet_end(out, begun);
}
