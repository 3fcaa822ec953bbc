#include "config/defaults.h"

#include "syntax/macro.h"

#include <string.h>
#include <unistd.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };

#define TEXT_OF(literal)                                                                           \
    {                                                                                              \
        .p = (literal), .n = sizeof(literal) - 1                                                   \
    }

const struct config config_defaults = {
    .smtp =
        {
            .smtputf8 = true,
            .chunking = true,
            .max_discarded_size = 1024 * 1024 * 1024,
            .max_message_size = 50 * 1024 * 1024,
            .max_recipients = 1000,
            .max_errors = 20,
            .max_auth_errors = 3,
            .max_refused_recipients = 100,
            .max_commands = 10000,
            .max_transactions = 1000,
            .max_received = 100,
            .max_text_line = 65536,
            .tolerate = {.kinds = SMTP_TOLERATE_BLANK | SMTP_TOLERATE_DOTS |
                                  SMTP_TOLERATE_UNDERSCORE | SMTP_TOLERATE_HELO},
        },
    .domains = TEXT_OF(""),
    .relay_clients = TEXT_OF(""),
    .recipients = TEXT_OF(""),
    .aliases = TEXT_OF(""),
    .senders = TEXT_OF(""),
    .sender_login = TEXT_OF(""),
    .alias_depth = 10,
    .check_timeout = 30 * SECOND,
    .policy = TEXT_OF(""),
    .policy_states = SMTP_ABOUT_RECIPIENT,
    .policy_timeout = MINUTE,
    .policy_default = TEXT_OF("451 4.3.5 Policy can't be asked"),
    .proxy_timeout = 5 * SECOND,
    .trusted_proxies = TEXT_OF(""),
    .xclient_clients = TEXT_OF(""),
    .confine = TEXT_OF(""),
    .deliver_timeout = 5 * MINUTE,
    .deliver_parallel = 1,
    .maildir = TEXT_OF("/var/mail/smtpin"),
    .recipient_delimiter = TEXT_OF("+"),
    .trace_headers = CONFIG_TRACE_RETURN_PATH | CONFIG_TRACE_DELIVERED_TO | CONFIG_TRACE_RECEIVED |
                     CONFIG_TRACE_ORIGINAL_TO,
    .spool_dir = TEXT_OF("/var/tmp"),
    .spool_memory = 256 * 1024,
    .command_timeout = 5 * MINUTE,
    .data_timeout = 5 * MINUTE,
    .session_timeout = HOUR,
    .min_data_rate = 500,
    .user = TEXT_OF(""),
    .socket = TEXT_OF(""),
    .max_connections = 200,
    .max_connections_per_source = 10,
    .penalty_login = 5 * SECOND,
    .penalty_abuse = 10 * SECOND,
    .penalty_crash = 90 * SECOND,
    .penalty_least = 15 * SECOND,
    .penalty_most = 10 * MINUTE,
    .penalty_exempt = TEXT_OF("127.0.0.0/8 ::1"),
    .listen_idle = 10 * MINUTE,
    .drain_timeout = MINUTE,
    .client_address = TEXT_OF(""),
    .client_name = TEXT_OF(""),
    .trace = TEXT_OF(""),
    .trace_size = 1024 * 1024,
    .fixed_id = TEXT_OF(""),
    .tls_certificate = TEXT_OF(""),
    .tls_options = TEXT_OF(""),
    .tls_client_ca = TEXT_OF(""),
    .tls_socket = TEXT_OF("/run/smtpin/tls.sock"),
    .tls_timeout = 30 * SECOND,
    .auth = {.value = TEXT_OF("")},
    .auth_timeout = 40 * SECOND,
    .auth_failure_delay = 2 * SECOND,
};

void defaults_hostname(struct config *c, struct arena *a)
{
    char name[SMTP_DOMAIN_MAX + 1] = "";
    struct span host;

    if (gethostname(name, sizeof name - 1) < 0)
        name[0] = '\0';
    host = arena_copy(a, span_of(name));
    c->smtp.hostname = smtp_is_domain(host, false) ? host : SPAN("localhost");
}

const char *defaults_delivery(struct config *c, struct arena *a)
{
    const struct span words[] = {
        macro_literal(SPAN(SMTPIN_BINDIR "/smtpin-maildir"), a),
        SPAN("-r"),
        SPAN("-l"),
        c->maildir_layout == CONFIG_LAYOUT_USER ? SPAN("user") : SPAN("domain/user"),
        SPAN("-d"),
        macro_literal(c->recipient_delimiter, a),
        SPAN("--"),
        macro_literal(c->maildir, a),
        SPAN("${recipient}"),
    };

    c->deliver.n = sizeof words / sizeof *words;
    c->deliver.word = arena_get(a, sizeof words);
    c->deliver.macros = true;
    c->embedded = true;
    c->deliver_replies = c->deliver_per == CONFIG_PER_MESSAGE;
    if (c->deliver.word == NULL || words[0].p == NULL || words[5].p == NULL || words[7].p == NULL)
        return "the configuration is too large";
    memcpy(c->deliver.word, words, sizeof words);
    /* -r is for one run with a line for each: a run of one recipient answers by its exit status. */
    if (c->deliver_per == CONFIG_PER_RECIPIENT) {
        memmove(c->deliver.word + 1, c->deliver.word + 2, sizeof words - 2 * sizeof *words);
        c->deliver.n--;
    }
    return NULL;
}

bool defaults_tls_command(struct config *c, struct arena *a)
{
    struct span *word = arena_get(a, sizeof *word);

    if (word == NULL)
        return false;
    *word = SPAN(SMTPIN_SBINDIR "/smtpin-tls");
    c->tls_command = (struct words){.word = word, .n = 1};
    return true;
}
