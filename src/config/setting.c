/* The settings: one row for each. */
#include "config/setting.h"

#include <assert.h>
#include <stddef.h>

enum { DAY = 24 * 60 * 60 * 1000 };

#define KEY(key, sort, place)                                                                      \
    .name = TAG(key), .kind = (sort), .field = offsetof(struct config, place)

static const struct setting keys[] = {
    {KEY("add_header", VALUE_FLAGS, add_header), .names = "date message-id"},
    {KEY("alias_depth", VALUE_NUMBER, alias_depth), .least = 1, .most = 100},
    {KEY("aliases", VALUE_TABLE, aliases), .reaches_out = true, .most = 3000},
    {KEY("auth", VALUE_AUTH, auth), .reaches_out = true, .most = 3000},
    {KEY("auth_failure_delay", VALUE_TIME, auth_failure_delay), .most = 60 * 1000},
    {KEY("auth_old_clients", VALUE_BOOL, smtp.auth_old_clients)},
    {KEY("auth_plaintext", VALUE_BOOL, smtp.auth_plaintext)},
    {KEY("auth_required", VALUE_BOOL, smtp.auth_required)},
    {KEY("auth_timeout", VALUE_TIME, auth_timeout), .least = 1, .most = 600 * 1000},
    {KEY("bare_line_ends", VALUE_NORMALIZE, smtp.normalize), .only_section = true},
    {KEY("binarymime", VALUE_BOOL, smtp.binarymime)},
    {KEY("check_client", VALUE_COMMAND, check_client), .reaches_out = true},
    {KEY("check_recipient", VALUE_COMMAND, check_recipient), .reaches_out = true},
    {KEY("check_relay_clients", VALUE_BOOL, check_relay_clients)},
    {KEY("check_sender", VALUE_COMMAND, check_sender), .reaches_out = true},
    {KEY("check_timeout", VALUE_TIME, check_timeout), .least = 1, .most = DAY},
    {KEY("chunking", VALUE_BOOL, smtp.chunking)},
    {KEY("client_address", VALUE_ADDRESS, client_address), .most = 64},
    {KEY("client_name", VALUE_HOSTNAME, client_name), .most = SMTP_DOMAIN_MAX},
    {KEY("command_timeout", VALUE_TIME, command_timeout), .least = 1, .most = DAY},
    {KEY("confine", VALUE_CONFINE, confine), .most = CONFIG_FILE_MAX},
    {KEY("data_timeout", VALUE_TIME, data_timeout), .least = 1, .most = DAY},
    {KEY("deliver", VALUE_COMMAND, deliver), .reaches_out = true, .least = 1},
    {KEY("deliver_by", VALUE_BOOL, smtp.deliver_by)},
    {KEY("deliver_format", VALUE_CHOICE, deliver_format), .names = "command qmail-queue"},
    {KEY("deliver_parallel", VALUE_NUMBER, deliver_parallel), .least = 1,
     .most = CONFIG_PARALLEL_MAX},
    {KEY("deliver_per", VALUE_CHOICE, deliver_per), .names = "message recipient"},
    {KEY("deliver_replies", VALUE_CHOICE, deliver_replies), .names = "one each"},
    {KEY("deliver_through", VALUE_COMMAND, through), .reaches_out = true, .least = 1},
    {KEY("deliver_timeout", VALUE_TIME, deliver_timeout), .least = 1, .most = DAY},
    {KEY("digest", VALUE_CHOICE, digest), .names = "auto always never"},
    {KEY("domains", VALUE_DOMAINS, domains), .most = CONFIG_FILE_MAX},
    {KEY("drain_timeout", VALUE_TIME, drain_timeout), .least = 1, .most = DAY},
    {KEY("dsn", VALUE_BOOL, smtp.dsn)},
    {KEY("error_delay", VALUE_TIME, smtp.error_delay), .most = 60 * 1000},
    {KEY("exit_map", VALUE_EXIT_MAP, exit_map)},
    {KEY("fixed_id", VALUE_HOSTNAME, fixed_id), .most = 32},
    {KEY("fixed_time", VALUE_NUMBER, fixed_time), .most = (uint64_t)1 << 40},
    /* RFC 4865 3: nine digits of seconds */
    {KEY("future_release", VALUE_TIME, smtp.future_release), .most = 999999999 * (uint64_t)1000},
    {KEY("greet_delay", VALUE_TIME, smtp.greet_delay), .most = 60 * 1000},
    {KEY("header_end", VALUE_CHOICE, header_end), .names = "accept refuse"},
    {KEY("helo_bare_name", VALUE_CHOICE, helo_bare_name), .names = "accept refuse"},
    {KEY("helo_is_us", VALUE_CHOICE, helo_is_us), .names = "accept refuse"},
    {KEY("helo_required", VALUE_BOOL, smtp.helo_required)},
    {KEY("hostname", VALUE_HOSTNAME, smtp.hostname), .most = SMTP_DOMAIN_MAX},
    {KEY("keep_bcc", VALUE_BOOL, keep_bcc)},
    {KEY("line_ending", VALUE_CHOICE, line_ending), .names = "lf crlf"},
    {KEY("listen_idle", VALUE_TIME, listen_idle), .most = 30 * (uint64_t)DAY},
    {KEY("local_part_case", VALUE_BOOL, local_part_case)},
    {KEY("log", VALUE_CHOICE, log), .names = "auto journal stderr syslog none"},
    {KEY("maildir", VALUE_DIRECTORY, maildir), .reaches_out = true, .least = 1, .most = 3000},
    {KEY("maildir_layout", VALUE_CHOICE, maildir_layout), .names = "domain/user user"},
    {KEY("max_auth_errors", VALUE_NUMBER, smtp.max_auth_errors), .least = 1, .most = UINT64_MAX},
    {KEY("max_commands", VALUE_NUMBER, smtp.max_commands), .least = 1, .most = UINT64_MAX},
    {KEY("max_connections", VALUE_NUMBER, max_connections), .least = 1,
     .most = CONFIG_CONNECTIONS_MAX},
    {KEY("max_connections_per_source", VALUE_NUMBER, max_connections_per_source),
     .most = CONFIG_CONNECTIONS_MAX},
    {KEY("max_discarded_size", VALUE_SIZE, smtp.max_discarded_size), .most = (uint64_t)1 << 62},
    {KEY("max_errors", VALUE_NUMBER, smtp.max_errors), .least = 1, .most = UINT64_MAX},
    {KEY("max_message_size", VALUE_SIZE, smtp.max_message_size), .least = 65536,
     .most = (uint64_t)1 << 62},
    {KEY("max_received", VALUE_NUMBER, smtp.max_received), .least = 1, .most = 10000},
    /* RFC 5321 4.5.3.1.8: at least 100 */
    {KEY("max_recipients", VALUE_NUMBER, smtp.max_recipients), .least = 100, .most = 1000000},
    {KEY("max_refused_recipients", VALUE_NUMBER, smtp.max_refused_recipients), .least = 1,
     .most = UINT64_MAX},
    /* RFC 5321 4.5.3.1.6: at least 1000 */
    {KEY("max_text_line", VALUE_SIZE, smtp.max_text_line), .least = 1000,
     .most = (uint64_t)1 << 62},
    {KEY("max_transactions", VALUE_NUMBER, smtp.max_transactions), .least = 1, .most = UINT64_MAX},
    {KEY("min_data_rate", VALUE_SIZE, min_data_rate), .most = 1 << 30},
    {KEY("mt_priority", VALUE_BOOL, smtp.mt_priority)},
    {KEY("partial", VALUE_CHOICE, partial), .names = "defer single"},
    {KEY("penalty_abuse", VALUE_TIME, penalty_abuse), .most = DAY},
    {KEY("penalty_crash", VALUE_TIME, penalty_crash), .most = DAY},
    {KEY("penalty_exempt", VALUE_NETWORKS, penalty_exempt), .most = CONFIG_FILE_MAX},
    {KEY("penalty_login", VALUE_TIME, penalty_login), .most = DAY},
    {KEY("penalty_max", VALUE_TIME, penalty_most), .least = 1, .most = DAY},
    {KEY("penalty_min", VALUE_TIME, penalty_least), .most = DAY},
    {KEY("policy", VALUE_SERVERS, policy), .reaches_out = true, .most = 3000},
    {KEY("policy_default", VALUE_OPINION, policy_default), .most = SMTP_RESULT_TEXT_MAX},
    {KEY("policy_states", VALUE_FLAGS, policy_states),
     .names = "CONNECT EHLO MAIL RCPT DATA END-OF-MESSAGE"},
    {KEY("policy_timeout", VALUE_TIME, policy_timeout), .least = 1, .most = DAY},
    {KEY("protocol", VALUE_CHOICE, protocol), .names = "smtp lmtp"},
    {KEY("proxy_protocol", VALUE_CHOICE, proxy_protocol), .names = "no required"},
    {KEY("proxy_timeout", VALUE_TIME, proxy_timeout), .least = 1, .most = 600 * 1000},
    {KEY("proxy_tls", VALUE_BOOL, proxy_tls)},
    {KEY("recipient_delimiter", VALUE_TEXT, recipient_delimiter), .most = 8},
    {KEY("recipients", VALUE_TABLE, recipients), .reaches_out = true, .most = 3000},
    {KEY("relay_clients", VALUE_NETWORKS, relay_clients), .most = CONFIG_FILE_MAX},
    {KEY("reply_codes", VALUE_BOOL, reply_codes)},
    {KEY("require_from", VALUE_BOOL, require_from)},
    {KEY("requiretls", VALUE_BOOL, smtp.requiretls)},
    {KEY("sandbox", VALUE_CHOICE, sandbox), .names = "auto yes no"},
    {KEY("sender_login", VALUE_TABLE, sender_login), .reaches_out = true, .most = 3000},
    {KEY("senders", VALUE_TABLE, senders), .reaches_out = true, .most = 3000},
    {KEY("session_timeout", VALUE_TIME, session_timeout), .least = 1, .most = 30 * (uint64_t)DAY},
    {KEY("smtputf8", VALUE_BOOL, smtp.smtputf8)},
    {KEY("socket", VALUE_SOCKET, socket), .only_override = true},
    {KEY("spool_dir", VALUE_DIRECTORY, spool_dir), .reaches_out = true, .least = 1, .most = 3000},
    {KEY("spool_memory", VALUE_SIZE, spool_memory), .most = 1 << 30},
    {KEY("tls", VALUE_CHOICE, smtp.tls), .names = "off may required implicit"},
    {KEY("tls_ask_certificate", VALUE_BOOL, tls_ask_certificate)},
    {KEY("tls_certificate", VALUE_CERTIFICATES, tls_certificate), .reaches_out = true,
     .most = 16000, .repeats = true},
    {KEY("tls_client_ca", VALUE_DIRECTORY, tls_client_ca), .reaches_out = true, .most = 3000},
    {KEY("tls_command", VALUE_COMMAND, tls_command), .reaches_out = true, .least = 1},
    {KEY("tls_options", VALUE_TLS_OPTIONS, tls_options), .most = 3000},
    {KEY("tls_service", VALUE_CHOICE, tls_service), .names = "auto only no"},
    {KEY("tls_socket", VALUE_DIRECTORY, tls_socket), .reaches_out = true, .least = 1, .most = 100},
    {KEY("tls_timeout", VALUE_TIME, tls_timeout), .least = 1, .most = 600 * 1000},
    {KEY("tolerate", VALUE_FLAGS, smtp.tolerate.kinds),
     .names = "blank dots underscore helo unqualified"},
    {KEY("trace", VALUE_DIRECTORY, trace), .reaches_out = true, .most = 3000},
    {KEY("trace_headers", VALUE_FLAGS, trace_headers),
     .names = "return-path delivered-to received x-original-to"},
    {KEY("trace_messages", VALUE_BOOL, trace_messages)},
    {KEY("trace_size", VALUE_SIZE, trace_size), .least = 4096, .most = (uint64_t)1 << 40},
    {KEY("trusted_proxies", VALUE_NETWORKS, trusted_proxies), .most = CONFIG_FILE_MAX,
     .names = "local"},
    {KEY("unexpected_pipelining", VALUE_CHOICE, smtp.unexpected_pipelining),
     .names = "accept refuse"},
    {KEY("user", VALUE_TEXT, user), .reaches_out = true, .most = 64},
    {KEY("vrfy", VALUE_BOOL, smtp.vrfy)},
    {KEY("xclient_clients", VALUE_NETWORKS, xclient_clients), .most = CONFIG_FILE_MAX},
    {KEY("xclient_login", VALUE_BOOL, smtp.xclient_login)},
};

static_assert(sizeof keys / sizeof *keys <= CONFIG_SETTINGS_MAX, "each has its number");

size_t setting_number(const struct setting *k)
{
    return (size_t)(k - keys);
}

const struct setting *setting_at(size_t number)
{
    return &keys[number];
}

size_t setting_count(void)
{
    return sizeof keys / sizeof *keys;
}

/* The table is in order (tests/static.sh looks). To halve it by whole names would compare again and
 * again what keys have in common at their beginning: by the first letter alone, then row by row. */
const struct setting *setting_find(struct span name)
{
    const struct setting *k = keys, *const end = keys + sizeof keys / sizeof *keys;

    if (name.n == 0)
        return NULL;
    for (size_t left = sizeof keys / sizeof *keys; left > 0;) {
        const size_t half = left / 2;

        if (k[half].name.p[0] < name.p[0]) {
            k += half + 1;
            left -= half + 1;
        } else {
            left = half;
        }
    }
    for (; k < end && k->name.p[0] == name.p[0]; k++)
        if (k->name.n == name.n && span_eq(tag_span(&k->name), name))
            return k;
    return NULL;
}
