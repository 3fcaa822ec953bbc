/* What a compromised worker may say of a proxy's client. The proxy is the monitor's to know: its
 * peer, 192.0.2.1, is one where the configuration's name says so. */
#include "attack.h"

#include <string.h>
#include <sys/socket.h>

static struct request header(const char *client)
{
    struct request r = attack_honest(REQUEST_PROXY, 0);

    r.client = span_of(client);
    r.client_port = SPAN("40000");
    return r;
}

static struct request xclient(uint64_t transaction, const char *client)
{
    struct request r = attack_honest(REQUEST_XCLIENT, transaction);

    r.client = span_of(client);
    return r;
}

/* Neither has an answer where no process listens: the next one shows whether it was taken. */
static void send_client(struct worker *w, struct request r)
{
    attack_send(w, &r);
}

static void mail(struct worker *w, uint64_t transaction, struct span recipient)
{
    attack_mail_to(w, transaction, recipient);
}

static void end(struct worker *w, struct request r)
{
    struct packet answer;

    attack_ask(w, &r, &answer);
}

/* PROXY. */

static void claim_client(struct worker *w)
{
    send_client(w, header("198.51.100.7"));
    mail(w, 1, SPAN("b@elsewhere.example"));
    attack_quit(w, 1);
}

static void claim_no_client(struct worker *w)
{
    send_client(w, header(""));
    mail(w, 1, SPAN("b@elsewhere.example"));
}

static void header_without_proxy(struct worker *w)
{
    end(w, header("198.51.100.7"));
}

static void header_twice(struct worker *w)
{
    send_client(w, header("198.51.100.7"));
    end(w, header("198.51.100.8"));
}

static void mail_without_header(struct worker *w)
{
    mail(w, 1, SPAN("b@example.org"));
}

static void ask_without_header(struct worker *w)
{
    struct request r = attack_honest(REQUEST_DECIDE, 0);

    r.about = SMTP_ABOUT_CLIENT;
    end(w, r);
}

static void header_with_mail(struct worker *w)
{
    struct request r = header("198.51.100.7");

    r.transaction = 1;
    end(w, r);
}

static void log_without_header(struct worker *w)
{
    struct request r = attack_honest(REQUEST_LOG, 0);

    r.before = r.phase = SMTP_CONNECTED;
    end(w, r);
}

static void client_is_a_network(struct worker *w)
{
    end(w, header("198.51.100.0/24"));
}

static void client_is_a_line(struct worker *w)
{
    end(w, header("198.51.100.7\nX: y"));
}

static void client_otherwise_written(struct worker *w)
{
    end(w, header("2001:DB8::7"));
}

static void client_too_long(struct worker *w)
{
    static char name[REQUEST_IP_MAX + 1];
    struct request r = header("");

    memset(name, '1', sizeof name);
    r.client = (struct span){.p = name, .n = sizeof name};
    end(w, r);
}

static void port_is_none(struct worker *w)
{
    struct request r = header("198.51.100.7");

    r.client_port = SPAN("65536");
    end(w, r);
}

static void header_with_name(struct worker *w)
{
    struct request r = header("198.51.100.7");

    r.client_name = SPAN("client.example.com");
    end(w, r);
}

static void claim_tls(struct worker *w)
{
    struct request r = header("198.51.100.7");

    r.facts = SPAN("SSL_PROTOCOL=TLSv1.3\0");
    send_client(w, r);
    mail(w, 1, SPAN("b@example.org"));
    attack_quit(w, 1);
}

static void claim_tls_in_vain(struct worker *w)
{
    claim_tls(w);
}

static void facts_too_long(struct worker *w)
{
    static char facts[PROXY_FACTS_MAX + 1];
    struct request r = header("198.51.100.7");

    memset(facts, 'x', sizeof facts);
    r.facts = (struct span){.p = facts, .n = sizeof facts};
    end(w, r);
}

/* XCLIENT. */

static void name_client(struct worker *w)
{
    send_client(w, xclient(0, "198.51.100.7"));
    mail(w, 1, SPAN("b@elsewhere.example"));
    attack_quit(w, 1);
}

static void name_client_unlisted(struct worker *w)
{
    end(w, xclient(0, "198.51.100.7"));
}

/* Whoever the client is now: the connection is the proxy's. */
static void name_client_again(struct worker *w)
{
    send_client(w, xclient(0, "203.0.113.9"));
    send_client(w, xclient(0, "198.51.100.7"));
    mail(w, 1, SPAN("b@elsewhere.example"));
    attack_quit(w, 1);
}

static void name_client_within_message(struct worker *w)
{
    attack_begin_message(w);
    end(w, xclient(1, "198.51.100.7"));
}

static void name_client_within_transaction(struct worker *w)
{
    attack_add(w, 1, SPAN("b@example.org"));
    send_client(w, xclient(1, "203.0.113.9"));
    attack_deliver(w, attack_message(1, 1, "x\n"));
}

static void name_client_of_wrong_form(struct worker *w)
{
    struct request r = xclient(0, "198.51.100.7");

    r.client_name = SPAN("a b");
    end(w, r);
}

static void name_user(struct worker *w)
{
    struct request r = xclient(0, "198.51.100.7");

    r.has_user = true;
    r.user = SPAN("jane");
    send_client(w, r);
    mail(w, 1, SPAN("b@elsewhere.example"));
    attack_quit(w, 1);
}

static void name_user_in_vain(struct worker *w)
{
    struct request r = xclient(0, "198.51.100.7");

    r.has_user = true;
    r.user = SPAN("jane");
    end(w, r);
}

static void name_user_of_two_lines(struct worker *w)
{
    struct request r = xclient(0, "203.0.113.9");

    r.has_user = true;
    r.user = SPAN("jane\nboss");
    end(w, r);
}

static void name_clients_often(struct worker *w)
{
    const struct request r = xclient(0, "198.51.100.7");

    for (int i = 0; i < 10000 && attack_send(w, &r); i++)
        ;
}

/* A step of the client before is no leave for the next one. */
static void steps_carried_over(struct worker *w)
{
    struct request r = attack_honest(REQUEST_DECIDE, 0);
    struct packet answer;

    r.about = SMTP_ABOUT_CLIENT;
    if (attack_ask(w, &r, &answer))
        attack_say("asked ");
    send_client(w, xclient(0, "198.51.100.7"));
    if (attack_ask(w, &r, &answer))
        attack_say("asked ");
    send_client(w, xclient(0, "198.51.100.8"));
    r.about = SMTP_ABOUT_GREETING;
    end(w, r);
}

const struct attack attack_proxy[] = {
    ATTACK(PROXY, claim_client, "delivered\n", NULL, "proxy"),
    ATTACK(RECIPIENTS, claim_no_client, "", "has a recipient that is refused", "proxy"),
    ATTACK(PROXY, header_without_proxy, "", "has no proxy in front", "usual"),
    ATTACK(PROXY, header_twice, "", "has too many requests", "proxy"),
    ATTACK(RECIPIENTS, mail_without_header, "", "goes on without the header of its proxy", "proxy"),
    ATTACK(DECIDE, ask_without_header, "", "goes on without the header of its proxy", "proxy"),
    ATTACK(PROXY, header_with_mail, "", "goes on without the header of its proxy", "proxy"),
    ATTACK(LOG, log_without_header, "", "goes on without the header of its proxy", "proxy"),
    ATTACK(PROXY, client_is_a_network, "", "has a client that is none", "proxy"),
    ATTACK(PROXY, client_is_a_line, "", "has a client that is none", "proxy"),
    ATTACK(PROXY, client_otherwise_written, "", "has a client that is none", "proxy"),
    ATTACK(NONE, client_too_long, "", "sends what is no request", "proxy"),
    ATTACK(PROXY, port_is_none, "", "has a client that is none", "proxy"),
    ATTACK(PROXY, header_with_name, "", "has a client that is none", "proxy"),
    ATTACK(PROXY, claim_tls, "delivered\n", NULL, "proxy_tls"),
    ATTACK(RECIPIENTS, claim_tls_in_vain, "", "has mail outside TLS", "proxy_no_tls"),
    ATTACK(NONE, facts_too_long, "", "sends what is no request", "proxy"),
    ATTACK(XCLIENT, name_client, "delivered\n", NULL, "xclient"),
    ATTACK(XCLIENT, name_client_unlisted, "", "is no proxy that may name its client", "usual"),
    ATTACK(XCLIENT, name_client_again, "delivered\n", NULL, "xclient"),
    ATTACK(XCLIENT, name_client_within_message, "", "names its client within a message", "xclient"),
    ATTACK(DELIVER, name_client_within_transaction, "", "begins a message of no transaction",
           "xclient"),
    ATTACK(XCLIENT, name_client_of_wrong_form, "", "has a client that is none", "xclient"),
    ATTACK(XCLIENT, name_user, "delivered\n", NULL, "xclient_login"),
    ATTACK(XCLIENT, name_user_in_vain, "", "has a login that counts for nothing", "xclient"),
    ATTACK(XCLIENT, name_user_of_two_lines, "", "has a login that counts for nothing",
           "xclient_login"),
    ATTACK(XCLIENT, name_clients_often, "", "has too many requests", "xclient_few"),
    ATTACK(DECIDE, steps_carried_over, "asked asked ", "goes on without leave", "xclient_steps"),
    {.name = NULL},
};
