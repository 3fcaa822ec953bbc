#include "commands/report/words.h"

const struct words_rule words_rules[] = {
    {"aliases", "the aliases table refused the recipient, or has a mistake"},
    {"auth", "a login with a wrong password"},
    {"auth_cancelled", "the client gave up its login"},
    {"auth_mechanism", "a login by a mechanism that was not offered"},
    {"auth_needs_tls", "a login outside TLS"},
    {"auth_required", "mail without a login, where one is needed"},
    {"auth_syntax", "a login that is not base64, or too long"},
    {"auth_unavailable", "nobody could say whether the password is right"},
    {"bare_cr", "a CR without its LF, as in SMTP smuggling"},
    {"bare_lf", "an LF without its CR, as in SMTP smuggling"},
    {"bdat_syntax", "a BDAT command with a mistake: where its octets end is not known"},
    {"check_client", "the check command refused the client"},
    {"check_recipient", "the check command refused the recipient"},
    {"check_sender", "the check command refused the sender"},
    {"control_character", "a control character in a command"},
    {"deferred", "a temporary refusal by a table or a command, without words of its own"},
    {"delivered_to", "the message was delivered to this recipient before: a loop"},
    {"delivery", "the reply of the delivery command"},
    {"early_talker", "the client spoke before it was greeted"},
    {"header_end", "the header ends with a line that is no field"},
    {"helo_bare_name", "the name after EHLO has no domain"},
    {"helo_is_us", "the name after EHLO is this server's own"},
    {"helo_required", "no EHLO or HELO before MAIL"},
    {"line_too_long", "a command line that is too long"},
    {"lookup", "a table could not be read"},
    {"mailbox_name", "a recipient whose name can be no Maildir's"},
    {"max_auth_errors", "too many wrong passwords in one session"},
    {"max_commands", "too many commands in one session"},
    {"max_connections", "too many connections"},
    {"max_connections_per_source", "too many connections from one network"},
    {"max_discarded_size", "too many octets of refused chunks"},
    {"max_errors", "too many refused commands in one session"},
    {"max_message_size", "a message that is too large"},
    {"max_received", "a message that was passed on too often: a loop"},
    {"max_recipients", "too many recipients for one message"},
    {"max_refused_recipients", "too many refused recipients in one session"},
    {"max_text_line", "a line of text that is too long"},
    {"max_transactions", "too many messages in one session"},
    {"min_data_rate", "a message that came too slowly"},
    {"no_domains", "neither domains nor relay_clients is set"},
    {"no_idn", "a domain outside ASCII, and no libidn2"},
    {"not_smtp", "the client spoke another protocol, such as HTTP"},
    {"partial", "one recipient a message, as partial = single wants it"},
    {"path_too_long", "an address that is too long"},
    {"penalty", "a network whose sessions behaved badly"},
    {"policy", "a policy server refused"},
    {"policy_default", "a policy server gave no usable answer"},
    {"recipients", "the recipient is not in the recipients table"},
    {"refused", "a refusal by a table or a command, without words of its own"},
    {"relay", "neither a domain of this server nor a client that may relay"},
    {"relay_suffix", "the recipient can't be rewritten with RELAYCLIENT"},
    {"require_from", "a submitted message without a From: field"},
    {"routing", "a local-part that is a route, such as user%host"},
    {"sender_login", "a sender address that belongs to another login"},
    {"senders", "the senders table refused the sender"},
    {"sequence", "commands in the wrong order"},
    {"session_timeout", "a session that lasted too long"},
    {"shutdown", "smtpin was asked to end"},
    {"smtputf8_needed", "an address outside ASCII without SMTPUTF8"},
    {"spool", "no room for the message on this machine"},
    {"starttls_not_alone", "octets behind STARTTLS, in plain text"},
    {"syntax", "a command or an address with a mistake"},
    {"timeout", "the client said nothing for too long"},
    {"tls_required", "a command outside TLS, where TLS is needed"},
    {"tls_unavailable", "TLS could not begin here"},
    {"transaction_memory", "a transaction too large for its memory"},
    {"turned_away", "a command after the greeting was a refusal"},
    {"unavailable", "smtpin can't serve: a mistake in the configuration, or no process"},
    {"unexpected_pipelining", "a command that was sent before its time"},
    {"unknown_command", "a command that smtpin does not have"},
    {"unknown_parameter", "a parameter that smtpin does not have"},
};

const size_t words_rules_n = sizeof words_rules / sizeof *words_rules;

const struct words_end words_ends[] = {
    {"quit", "the client said QUIT", false},
    {"eof", "the client closed the connection", false},
    {"lost", "the connection was lost", true},
    {"crash", "the process that read the client died", true},
    {"violation", "the process that read the client asked for what no session asks for", true},
    {"tls_failed", "the TLS handshake failed", true},
    {"proxy_untrusted", "no PROXY header is taken from this client", true},
    {"proxy_timeout", "a proxy sent no PROXY header in time", true},
    {"proxy_cut", "the connection ended within a PROXY header", true},
    {"proxy_none", "what came first is no PROXY header", true},
    {"proxy_line", "a PROXY header with a mistake in its line", true},
    {"proxy_long", "a PROXY header that is too long", true},
    {"proxy_length", "a PROXY header too short for its addresses", true},
    {"proxy_version", "a PROXY header of an unknown version", true},
    {"proxy_command", "a PROXY header with an unknown command", true},
    {"proxy_family", "a PROXY header with an unknown kind of address", true},
    {"proxy_address", "a PROXY header with an address that is none", true},
    {"proxy_values", "a PROXY header with values that end in the middle", true},
    {"proxy_checksum", "a PROXY header with a wrong checksum", true},
};

const size_t words_ends_n = sizeof words_ends / sizeof *words_ends;

size_t words_rule(struct span name)
{
    size_t low = 0, high = name.n == 0 ? 0 : words_rules_n;

    while (low < high) {
        const size_t middle = (low + high) / 2;
        const struct span row = span_of(words_rules[middle].name);
        const int order = memcmp(row.p, name.p, row.n < name.n ? row.n : name.n);

        if (order == 0 && row.n == name.n)
            return middle;
        if (order < 0 || (order == 0 && row.n < name.n))
            low = middle + 1;
        else
            high = middle;
    }
    return words_rules_n;
}

size_t words_end(struct span name)
{
    size_t i = 0;

    while (i < words_ends_n && !span_eq(name, span_of(words_ends[i].name)))
        i++;
    return i;
}
