#include "adapters/command_facts.h"

#include "io/environment.h"
#include "smtp/date.h"
#include "smtp/extra.h"

static void add_sender(struct text *out, const struct command_run *run,
                       const struct smtp_recipient *r)
{
    (void)r;
    text_add(out, run->session->transaction.reverse_path.address);
}

static void add_recipient(struct text *out, const struct command_run *run,
                          const struct smtp_recipient *r)
{
    (void)run;
    text_add(out, r->mailbox.address);
}

static void add_original_recipient(struct text *out, const struct command_run *run,
                                   const struct smtp_recipient *r)
{
    (void)run;
    text_add(out, r->of == NULL ? r->mailbox.address : r->of->mailbox.address);
}

static void add_mailbox(struct text *out, const struct command_run *run,
                        const struct smtp_recipient *r)
{
    (void)run;
    text_add(out, r->mailbox.local);
}

static void add_domain(struct text *out, const struct command_run *run,
                       const struct smtp_recipient *r)
{
    (void)run;
    text_add(out, r->mailbox.ascii.n > 0 ? r->mailbox.ascii : r->mailbox.domain);
}

static void add_user(struct text *out, const struct command_run *run,
                     const struct smtp_recipient *r)
{
    text_add(out,
             span_first(r->mailbox.local, smtp_extension_at(r->mailbox.local, run->delimiter)));
}

static void add_extension(struct text *out, const struct command_run *run,
                          const struct smtp_recipient *r)
{
    text_add(out,
             span_from(r->mailbox.local, smtp_extension_at(r->mailbox.local, run->delimiter) + 1));
}

static void add_size(struct text *out, const struct command_run *run,
                     const struct smtp_recipient *r)
{
    (void)r;
    text_addn(out, run->size, 1);
}

static void add_id(struct text *out, const struct command_run *run, const struct smtp_recipient *r)
{
    (void)r;
    text_add(out, run->id);
}

static void add_digest(struct text *out, const struct command_run *run,
                       const struct smtp_recipient *r)
{
    (void)r;
    text_add(out, run->digest);
}

static void add_replies(struct text *out, const struct command_run *run,
                        const struct smtp_recipient *r)
{
    (void)r;
    text_add(out, run->replies);
}

static void add_hold(struct text *out, const struct command_run *run,
                     const struct smtp_recipient *r)
{
    (void)r;
    text_adds(out, run->hold ? "1" : "");
}

static void add_client_address(struct text *out, const struct command_run *run,
                               const struct smtp_recipient *r)
{
    (void)r;
    text_add(out, run->peer->address);
}

static void add_client_port(struct text *out, const struct command_run *run,
                            const struct smtp_recipient *r)
{
    (void)r;
    text_add(out, run->peer->port);
}

static void add_client_hostname(struct text *out, const struct command_run *run,
                                const struct smtp_recipient *r)
{
    (void)r;
    text_add(out, run->peer->name.n > 0 ? run->peer->name : SPAN("unknown"));
}

static void add_client_helo(struct text *out, const struct command_run *run,
                            const struct smtp_recipient *r)
{
    (void)r;
    text_add(out, run->session->helo);
}

static void add_client_protocol(struct text *out, const struct command_run *run,
                                const struct smtp_recipient *r)
{
    (void)r;
    text_add(out, smtp_session_protocol(run->session, run->session->transaction.smtputf8));
}

static void add_body(struct text *out, const struct command_run *run,
                     const struct smtp_recipient *r)
{
    static const char *const names[] = {[SMTP_BODY_7BIT] = "7BIT",
                                        [SMTP_BODY_8BITMIME] = "8BITMIME",
                                        [SMTP_BODY_BINARYMIME] = "BINARYMIME"};
    const struct smtp_transaction *t = &run->session->transaction;

    (void)r;
    /* Who gets octets that are no lines must know of it; UTF-8 is in the addresses, too. */
    text_adds(out, t->smtputf8 && t->body != SMTP_BODY_BINARYMIME ? "SMTPUTF8" : names[t->body]);
}

/* systemd's, and the administrator's: where LoadCredential= has put what only this unit may read.
 */
static void add_credentials_directory(struct text *out, const struct command_run *run,
                                      const struct smtp_recipient *r)
{
    const char *directory = environment_get("CREDENTIALS_DIRECTORY");

    (void)run;
    (void)r;
    text_adds(out, directory == NULL ? "" : directory);
}

static void add_sasl_username(struct text *out, const struct command_run *run,
                              const struct smtp_recipient *r)
{
    (void)r;
    if (run->session->authenticated)
        text_add(out, run->session->login->user);
}

static void add_sasl_method(struct text *out, const struct command_run *run,
                            const struct smtp_recipient *r)
{
    (void)r;
    if (run->session->authenticated)
        text_add(out, run->session->login->method);
}

static void add_sasl_sender(struct text *out, const struct command_run *run,
                            const struct smtp_recipient *r)
{
    (void)r;
    text_add(out, run->session->transaction.auth);
}

static void add_tls_protocol(struct text *out, const struct command_run *run,
                             const struct smtp_recipient *r)
{
    (void)r;
    if (run->peer->tls != NULL)
        text_add(out, run->peer->tls->protocol);
}

static void add_tls_cipher(struct text *out, const struct command_run *run,
                           const struct smtp_recipient *r)
{
    (void)r;
    if (run->peer->tls != NULL)
        text_add(out, run->peer->tls->cipher);
}

static void add_tls_sni(struct text *out, const struct command_run *run,
                        const struct smtp_recipient *r)
{
    (void)r;
    if (run->peer->tls != NULL)
        text_add(out, run->peer->tls->sni);
}

static void add_tls_client_verify(struct text *out, const struct command_run *run,
                                  const struct smtp_recipient *r)
{
    (void)r;
    if (run->peer->tls != NULL)
        text_add(out, run->peer->tls->verify);
}

static void add_tls_client_name(struct text *out, const struct command_run *run,
                                const struct smtp_recipient *r)
{
    (void)r;
    if (run->peer->tls != NULL)
        text_add(out, run->peer->tls->name);
}

static void add_tls_client_subject(struct text *out, const struct command_run *run,
                                   const struct smtp_recipient *r)
{
    (void)r;
    if (run->peer->tls != NULL)
        text_add(out, run->peer->tls->subject);
}

static void add_tls_client_fingerprint(struct text *out, const struct command_run *run,
                                       const struct smtp_recipient *r)
{
    (void)r;
    if (run->peer->tls != NULL)
        text_add(out, run->peer->tls->fingerprint);
}

static void add_requiretls(struct text *out, const struct command_run *run,
                           const struct smtp_recipient *r)
{
    (void)r;
    text_adds(out, run->session->transaction.requiretls ? "1" : "");
}

/* Parameters of MAIL and RCPT, as they came (smtp/extra.h). Who stands in another's place has that
 * one's (RFC 3461 5.2.7.2, 5.2.7.3). */
static void add_dsn_notify(struct text *out, const struct command_run *run,
                           const struct smtp_recipient *r)
{
    (void)run;
    text_add(out, smtp_extra(span_of((r->of == NULL ? r : r->of)->extras), SPAN("NOTIFY")));
}

static void add_dsn_orcpt(struct text *out, const struct command_run *run,
                          const struct smtp_recipient *r)
{
    (void)run;
    text_add(out, smtp_extra(span_of((r->of == NULL ? r : r->of)->extras), SPAN("ORCPT")));
}

static void add_dsn_ret(struct text *out, const struct command_run *run,
                        const struct smtp_recipient *r)
{
    (void)r;
    text_add(out, smtp_extra(run->session->transaction.extras, SPAN("RET")));
}

static void add_dsn_envid(struct text *out, const struct command_run *run,
                          const struct smtp_recipient *r)
{
    (void)r;
    text_add(out, smtp_extra(run->session->transaction.extras, SPAN("ENVID")));
}

static void add_mt_priority(struct text *out, const struct command_run *run,
                            const struct smtp_recipient *r)
{
    (void)r;
    text_add(out, smtp_extra(run->session->transaction.extras, SPAN("MT-PRIORITY")));
}

static void add_deliver_by(struct text *out, const struct command_run *run,
                           const struct smtp_recipient *r)
{
    (void)r;
    text_add(out, smtp_extra(run->session->transaction.extras, SPAN("BY")));
}

static void add_release(struct text *out, const struct command_run *run,
                        const struct smtp_recipient *r)
{
    const uint64_t time = run->session->transaction.release;

    (void)r;
    if (time > run->session->now)
        smtp_add_date(out, time);
}

/* One row for each of syntax/macro.h, which has the names. */
command_fact *const command_facts[MACROS] = {
    [MACRO_SENDER] = add_sender,
    [MACRO_RECIPIENT] = add_recipient,
    [MACRO_ORIGINAL_RECIPIENT] = add_original_recipient,
    [MACRO_MAILBOX] = add_mailbox,
    [MACRO_USER] = add_user,
    [MACRO_EXTENSION] = add_extension,
    [MACRO_DOMAIN] = add_domain,
    [MACRO_SIZE] = add_size,
    [MACRO_QUEUE_ID] = add_id,
    [MACRO_DIGEST] = add_digest,
    [MACRO_BODY] = add_body,
    [MACRO_REPLIES] = add_replies,
    [MACRO_HOLD] = add_hold,
    [MACRO_CLIENT_ADDRESS] = add_client_address,
    [MACRO_CLIENT_PORT] = add_client_port,
    [MACRO_CLIENT_HOSTNAME] = add_client_hostname,
    [MACRO_CLIENT_HELO] = add_client_helo,
    [MACRO_CLIENT_PROTOCOL] = add_client_protocol,
    [MACRO_CREDENTIALS_DIRECTORY] = add_credentials_directory,
    [MACRO_DSN_NOTIFY] = add_dsn_notify,
    [MACRO_DSN_ORCPT] = add_dsn_orcpt,
    [MACRO_DSN_RET] = add_dsn_ret,
    [MACRO_DSN_ENVID] = add_dsn_envid,
    [MACRO_MT_PRIORITY] = add_mt_priority,
    [MACRO_DELIVER_BY] = add_deliver_by,
    [MACRO_RELEASE] = add_release,
    [MACRO_SASL_USERNAME] = add_sasl_username,
    [MACRO_SASL_METHOD] = add_sasl_method,
    [MACRO_SASL_SENDER] = add_sasl_sender,
    [MACRO_TLS_PROTOCOL] = add_tls_protocol,
    [MACRO_TLS_CIPHER] = add_tls_cipher,
    [MACRO_TLS_SNI] = add_tls_sni,
    [MACRO_TLS_CLIENT_VERIFY] = add_tls_client_verify,
    [MACRO_TLS_CLIENT_NAME] = add_tls_client_name,
    [MACRO_TLS_CLIENT_SUBJECT] = add_tls_client_subject,
    [MACRO_TLS_CLIENT_FINGERPRINT] = add_tls_client_fingerprint,
    [MACRO_REQUIRETLS] = add_requiretls,
};
