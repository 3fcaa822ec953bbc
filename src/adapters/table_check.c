#include "adapters/table_check.h"

#include "adapters/lookup.h"
#include "syntax/idn.h"
#include "syntax/table_source.h"

enum { MISTAKES_MAX = 20 }; /* that are named, of a table */

/* What is read, and for which setting. */
struct reading {
    const struct config *config;
    const struct config_report *report;
    struct span setting;
    const char *path;
    char *room; /* ARENA_MAX: for one entry */
    size_t mistakes;
};

enum { ARENA_MAX = 64 * 1024 };

static bool is_setting(const struct reading *r, struct span name)
{
    return span_eq(r->setting, name);
}

/* The domain of a key; empty: it has none. */
static struct span domain_of(const struct reading *r, struct span key)
{
    size_t at = key.n;

    if (is_setting(r, SPAN("domains")))
        return key.n > 0 && key.p[0] == '.' ? span_from(key, 1) : key;
    while (at > 0 && key.p[at - 1] != '@')
        at--;
    return at == 0 ? SPAN("") : span_from(key, at);
}

/* user@domain, @domain; a domain or .domain. */
static bool is_key(const struct reading *r, struct span key)
{
    const struct span null_sender = SPAN("<>"), domain = domain_of(r, key);
    char room[SMTP_DOMAIN_MAX + 1];
    struct text ascii = TEXT(room);

    if (is_setting(r, SPAN("senders")) && span_eq(key, null_sender))
        return true;
    if (!span_is_ascii(domain))
        return idn_to_ascii(r->config->idn, domain, &ascii) != IDN_NONE;
    return smtp_is_domain(domain, false) || smtp_is_literal(domain);
}

/* Has it a capital letter where it is looked up in lower case? */
static bool has_capitals(const struct reading *r, struct span key)
{
    size_t from = 0;

    if (r->config->local_part_case)
        for (size_t i = 0; i < key.n; i++)
            if (key.p[i] == '@')
                from = i;
    for (size_t i = from; i < key.n; i++)
        if (byte_lower(key.p[i]) != key.p[i])
            return true;
    return false;
}

static const char *wrong_address(const struct reading *r, struct span key, struct span value)
{
    struct arena a = {.base = r->room, .cap = ARENA_MAX};
    char text[SMTP_ADDRESS_MAX + 8];
    struct text path = TEXT(text);
    struct smtp_mailbox of, mailbox;
    struct span word, in;

    /* "@domain" stands for anybody there. */
    text_adds(&path, key.n > 0 && key.p[0] == '@' ? "<x" : "<");
    text_add(&path, key);
    text_addc(&path, '>');
    in = text_span(&path);
    if (path.cut || smtp_forward_path(&in, &a, &of, NULL) != SMTP_PATH_OK || in.n > 0)
        return NULL; /* the key has been complained of, or is quoted otherwise */
    if (!lookup_is_list(value))
        return "has a value that is not a list of addresses, with a comma between two";
    while (lookup_next_word(&value, &word)) {
        a.used = 0;
        in = text_span(&path);
        if (smtp_forward_path(&in, &a, &of, NULL) == SMTP_PATH_OK &&
            lookup_mailbox(word, &of, &a, &mailbox) != SMTP_PATH_OK)
            return "has a word in its value that is not an address";
    }
    return NULL;
}

/* In `recipients` any value is good; but this one was meant as another. */
static const char *wrong_meaning(struct span value)
{
    const bool code = value.n >= 4 && (value.p[0] == '4' || value.p[0] == '5') &&
                      byte_is_digit(value.p[1]) && byte_is_digit(value.p[2]) &&
                      (byte_is_blank(value.p[3]) || value.p[3] == '-');

    if (code)
        return "its value begins like a reply, but is none";
    /* A path may have both. */
    return span_find(value, '@') < value.n && span_find(value, '/') == value.n
               ? "its value has an address, but is no list of whole addresses"
               : NULL;
}

static const char *wrong_value(const struct reading *r, struct span key, struct span value)
{
    char bytes[2 * SMTP_RESULT_TEXT_MAX];
    struct text room = TEXT(bytes);
    struct smtp_reply reply;
    const enum lookup_meaning meaning = lookup_read_value(value, &reply, &room);

    if (is_setting(r, SPAN("senders")) && meaning != LOOKUP_OK && meaning != LOOKUP_REPLY)
        return "its value must be OK, or a reply such as 550 5.7.1 Go away";
    if (is_setting(r, SPAN("sender_login")) && meaning == LOOKUP_OK)
        return "its value must name the logins that may use it";
    if (is_setting(r, SPAN("recipients")) && meaning == LOOKUP_OTHER)
        return wrong_meaning(value);
    if (is_setting(r, SPAN("aliases")) && (meaning == LOOKUP_ADDRESSES || meaning == LOOKUP_OTHER))
        return wrong_address(r, key, value);
    return NULL;
}

static bool read_entry(void *context, struct span key, struct span value, unsigned line)
{
    struct reading *r = context;
    const char *wrong = NULL;

    if (line == 0 && !span_is_ascii(domain_of(r, key)))
        wrong = "is a key whose domain is outside ASCII, and never found: write it as xn--...";
    else if (!is_key(r, key))
        wrong = is_setting(r, SPAN("domains")) ? "is a key that is not a domain"
                                               : "is a key that is not user@domain or @domain";
    else if (line == 0 && has_capitals(r, key))
        wrong = "is a key with capital letters, and never found";
    else
        wrong = wrong_value(r, key, value);
    if (wrong != NULL && r->report->say != NULL)
        r->report->say(r->report->context, r->path, line, key, wrong);
    r->mistakes += wrong != NULL;
    return r->mistakes < MISTAKES_MAX;
}

static bool check_one(const struct config *c, const struct config_report *report, const char *name,
                      struct span source)
{
    char room[ARENA_MAX], path_room[TABLE_SOURCE_MAX + 1];
    struct text path = TEXT(path_room);
    struct reading r = {.config = c, .report = report, .setting = span_of(name), .room = room};
    struct table t;
    unsigned line = 0;
    bool good;

    if (source.n == 0)
        return true;
    text_add(&path, span_from(source, span_find(source, ':') + 1));
    r.path = text_string(&path);
    table_open(&t, source);
    t.idn = c->idn;
    good = table_walk(&t, read_entry, &r, &line);
    if (!good && line > 0 && report->say != NULL)
        report->say(report->context, r.path, line, SPAN(""), t.wrong);
    else if (!good)
        config_complain(report, r.setting, t.wrong);
    table_close(&t);
    return good && r.mistakes == 0;
}

bool table_check_all(const struct config *c, const struct config_report *report)
{
    struct span left = c->domains, word;
    bool good = check_one(c, report, "recipients", c->recipients);

    good = check_one(c, report, "aliases", c->aliases) && good;
    good = check_one(c, report, "senders", c->senders) && good;
    good = check_one(c, report, "sender_login", c->sender_login) && good;
    while (span_word(&left, " \t,", &word))
        if (table_is_source(word) == NULL)
            good = check_one(c, report, "domains", word) && good;
    return good;
}
