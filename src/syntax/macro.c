#include "syntax/macro.h"

#include "base/text.h"

#define FACT(macro, in_environment) .name = TAG(macro), .variable = TAG(in_environment)

const struct macro macros[MACROS] = {
    [MACRO_SENDER] = {FACT("sender", "SENDER=")},
    [MACRO_RECIPIENT] = {FACT("recipient", "RECIPIENT="), .per_recipient = true},
    [MACRO_ORIGINAL_RECIPIENT] = {FACT("original_recipient", "ORIGINAL_RECIPIENT="),
                                  .per_recipient = true},
    [MACRO_MAILBOX] = {FACT("mailbox", "LOCAL="), .per_recipient = true},
    [MACRO_USER] = {FACT("user", ""), .per_recipient = true},
    [MACRO_EXTENSION] = {FACT("extension", "EXTENSION="), .per_recipient = true},
    [MACRO_DOMAIN] = {FACT("domain", "DOMAIN="), .per_recipient = true},
    [MACRO_SIZE] = {FACT("size", "SMTPIN_SIZE=")},
    [MACRO_QUEUE_ID] = {FACT("queue_id", "SMTPIN_ID=")},
    [MACRO_DIGEST] = {FACT("digest", "SMTPIN_DIGEST=")},
    [MACRO_BODY] = {FACT("body", "SMTPIN_BODY=")},
    [MACRO_REPLIES] = {FACT("replies", "SMTPIN_REPLIES=")},
    [MACRO_HOLD] = {FACT("hold", "SMTPIN_HOLD="), .optional = true},
    [MACRO_CLIENT_ADDRESS] = {FACT("client_address", "CLIENT_ADDRESS=")},
    [MACRO_CLIENT_PORT] = {FACT("client_port", "CLIENT_PORT=")},
    [MACRO_CLIENT_HOSTNAME] = {FACT("client_hostname", "CLIENT_HOSTNAME=")},
    [MACRO_CLIENT_HELO] = {FACT("client_helo", "CLIENT_HELO=")},
    [MACRO_CLIENT_PROTOCOL] = {FACT("client_protocol", "CLIENT_PROTOCOL=")},
    [MACRO_CREDENTIALS_DIRECTORY] = {FACT("credentials_directory", "CREDENTIALS_DIRECTORY="),
                                     .optional = true},
    [MACRO_DSN_NOTIFY] = {FACT("dsn_notify", "SMTPIN_DSN_NOTIFY="), .per_recipient = true,
                          .optional = true},
    [MACRO_DSN_ORCPT] = {FACT("dsn_orcpt", "SMTPIN_DSN_ORCPT="), .per_recipient = true,
                         .optional = true},
    [MACRO_DSN_RET] = {FACT("dsn_ret", "SMTPIN_DSN_RET="), .optional = true},
    [MACRO_DSN_ENVID] = {FACT("dsn_envid", "SMTPIN_DSN_ENVID="), .optional = true},
    [MACRO_MT_PRIORITY] = {FACT("mt_priority", "SMTPIN_MT_PRIORITY="), .optional = true},
    [MACRO_DELIVER_BY] = {FACT("deliver_by", "SMTPIN_DELIVER_BY="), .optional = true},
    [MACRO_RELEASE] = {FACT("release", "SMTPIN_RELEASE="), .optional = true},
    [MACRO_SASL_USERNAME] = {FACT("sasl_username", "SASL_USERNAME="), .optional = true},
    [MACRO_SASL_METHOD] = {FACT("sasl_method", "SASL_METHOD="), .optional = true},
    [MACRO_SASL_SENDER] = {FACT("sasl_sender", "SASL_SENDER="), .optional = true},
    [MACRO_TLS_PROTOCOL] = {FACT("tls_protocol", "SSL_PROTOCOL="), .optional = true},
    [MACRO_TLS_CIPHER] = {FACT("tls_cipher", "SSL_CIPHER="), .optional = true},
    [MACRO_TLS_SNI] = {FACT("tls_sni", "SSL_TLS_SNI="), .optional = true},
    [MACRO_TLS_CLIENT_VERIFY] = {FACT("tls_client_verify", "SSL_CLIENT_VERIFY="), .optional = true},
    [MACRO_TLS_CLIENT_NAME] = {FACT("tls_client_name", "SSL_CLIENT_NAME="), .optional = true},
    [MACRO_TLS_CLIENT_SUBJECT] = {FACT("tls_client_subject", "SSL_CLIENT_S_DN="), .optional = true},
    [MACRO_TLS_CLIENT_FINGERPRINT] = {FACT("tls_client_fingerprint", "SSL_CLIENT_FINGERPRINT="),
                                      .optional = true},
    [MACRO_REQUIRETLS] = {FACT("requiretls", "SMTPIN_REQUIRETLS="), .optional = true},
};

bool macro_next_piece(struct span *word, struct span *literal, enum macro_id *m)
{
    const size_t dollar = span_find(*word, '$');
    const struct span rest = span_from(*word, dollar);
    size_t close;

    *m = MACROS;
    *literal = span_first(*word, dollar);
    *word = rest;
    if (rest.n == 0)
        return true;
    close = span_find(rest, '}');
    if (span_starts_nocase(rest, SPAN("$$"))) {
        *literal = span_first((struct span){.p = literal->p, .n = dollar + 1}, dollar + 1);
        *word = span_from(rest, 2);
        return true;
    }
    if (rest.n < 3 || rest.p[1] != '{' || close == rest.n)
        return false;
    *word = span_from(rest, close + 1);
    for (enum macro_id i = 0; i < MACROS; i++)
        if (span_eq(tag_span(&macros[i].name), span_first(span_from(rest, 2), close - 2)))
            *m = i;
    return *m != MACROS;
}

const char *macro_check(struct span word)
{
    enum macro_id m;
    struct span literal;

    while (word.n > 0)
        if (!macro_next_piece(&word, &literal, &m))
            return "has a macro that is not known (\"$$\" stands for a dollar sign)";
    return NULL;
}

bool macro_has_any(struct span word)
{
    return span_find(word, '$') < word.n;
}

struct span macro_literal(struct span word, struct arena *a)
{
    struct text out = {.p = arena_get(a, 2 * word.n + 1), .cap = 2 * word.n + 1};

    if (out.p == NULL)
        return (struct span){0};
    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] == '$')
            text_addc(&out, '$');
        text_addc(&out, word.p[i]);
    }
    text_string(&out);
    return text_span(&out);
}

bool macro_is_per_recipient(struct span word)
{
    enum macro_id m;
    struct span literal;

    while (word.n > 0 && macro_next_piece(&word, &literal, &m))
        if (m != MACROS && macros[m].per_recipient)
            return true;
    return false;
}
