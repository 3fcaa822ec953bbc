#include "show_lookup.h"

#include "adapters/head.h"
#include "adapters/lookup.h"
#include "adapters/rules_tables.h"
#include "config/setting.h"
#include "syntax/idn.h"
#include "syntax/table_source.h"

#include <stdio.h>
#include <string.h>

enum {
    FOUND = 0,
    NOT_THERE = 1,
    USAGE = 64,
    FAILED = 75,
    ARENA_MAX = 64 * 1024,
};

/* The answer is for people and for scripts: key, a tab, value, a tab, the source. */
static int print_answer(enum table_result result, const struct table *t, const struct lookup *l)
{
    char room[2 * TABLE_VALUE_MAX];
    struct text out = TEXT(room);

    switch (result) {
    case TABLE_NOT_FOUND:
        return NOT_THERE;
    case TABLE_FAILED:
        fprintf(stderr, "smtpin: %.*s: %s\n", SPAN_FORMAT(t->source),
                l->wrong != NULL ? l->wrong : t->wrong);
        return FAILED;
    case TABLE_FOUND:
        break;
    }
    text_add_escaped(&out, l->key, "");
    text_addc(&out, '\t');
    text_add_escaped(&out, l->value, "");
    text_addc(&out, '\t');
    text_add_escaped(&out, t->source, "");
    printf("%.*s\n", SPAN_FORMAT(text_span(&out)));
    return FOUND;
}

static int look_up_domain(const struct config *c, struct span domain, struct arena *a)
{
    char room[SMTP_DOMAIN_MAX + 1];
    struct text ascii = TEXT(room);
    struct span left = c->domains, word;
    int status = NOT_THERE;

    /* As for a recipient. */
    if (!span_is_ascii(domain) && idn_to_ascii(c->idn, domain, &ascii) == IDN_OK)
        domain = text_span(&ascii);
    if (rules_domain_listed(c->domains, domain)) {
        printf("%.*s\tOK\tdomains\n", SPAN_FORMAT(domain));
        return FOUND;
    }
    while (status == NOT_THERE && span_word(&left, " \t,", &word)) {
        struct table t;
        struct lookup l;

        if (table_is_source(word) != NULL)
            continue;
        table_open(&t, word);
        t.idn = c->idn;
        status = print_answer(lookup_domain(&t, domain, a, &l), &t, &l);
        table_close(&t);
    }
    return status;
}

/* An address as RCPT takes it, in angle brackets or not. */
static bool read_address(struct idn *idn, struct span what, struct arena *a,
                         struct smtp_mailbox *out)
{
    const struct smtp_tolerance tolerance = {.kinds = SMTP_TOLERATE_UNQUALIFIED};

    if (smtp_forward_path(&what, a, out, &tolerance) != SMTP_PATH_OK || what.n > 0 ||
        out->domain.n == 0)
        return false;
    head_find_ascii(idn, a, out);
    return true;
}

int show_lookup(const struct config *c, const char *setting, const char *what)
{
    const struct setting *k = setting_find(span_of(setting));
    char room[ARENA_MAX];
    struct arena a = {.base = room, .cap = sizeof room};
    struct smtp_mailbox mailbox;
    struct lookup l;
    struct table t;
    int status;

    if (k != NULL && k->kind == VALUE_DOMAINS)
        return look_up_domain(c, span_of(what), &a);
    if (k == NULL || k->kind != VALUE_TABLE) {
        fprintf(stderr, "smtpin: %s: no table has this name\n", setting);
        return USAGE;
    }
    table_open(&t, *(const struct span *)(const void *)((const char *)c + k->field));
    t.idn = c->idn;
    if (t.source.n == 0) {
        fprintf(stderr, "smtpin: %s: is not set\n", setting);
        return USAGE;
    }
    if (!read_address(c->idn, span_of(what), &a, &mailbox)) {
        fprintf(stderr, "smtpin: %s: is not an address\n", what);
        return USAGE;
    }
    status = print_answer(lookup_address(&t, mailbox.local,
                                         mailbox.ascii.n > 0 ? mailbox.ascii : mailbox.domain,
                                         c->recipient_delimiter, c->local_part_case, &a, &l),
                          &t, &l);
    table_close(&t);
    return status;
}
