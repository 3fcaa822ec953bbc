#include "adapters/lookup.h"

#include "syntax/idn.h"

enum {
    /* With and without extension, each with quotes and without, and the domain's. */
    ADDRESS_KEYS_MAX = 5,
    /* As many as a domain has labels, which have one octet and a dot at the least. */
    DOMAIN_KEYS_MAX = (SMTP_DOMAIN_MAX + 1) / 2,
};

struct keys {
    struct span key[ADDRESS_KEYS_MAX];
    size_t n;
    struct text text; /* they stand here, one behind the other */
    char room[(ADDRESS_KEYS_MAX - 1) * SMTP_ADDRESS_MAX];
};

static void lower(char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = byte_lower(p[i]);
}

static void add_key(struct keys *k, struct span local, struct span domain, bool quoted)
{
    const size_t start = k->text.n;

    if (quoted)
        smtp_add_local(&k->text, local);
    else
        text_add(&k->text, local);
    text_addc(&k->text, '@');
    text_add(&k->text, domain);
    k->key[k->n++] = span_from(text_span(&k->text), start);
}

/* The keys of a local-part: one, or two where it needs quotes. */
static void add_local(struct keys *k, struct span local, struct span domain)
{
    add_key(k, local, domain, true);
    if (!smtp_is_dot_string(local))
        add_key(k, local, domain, false);
}

static void make_keys(struct keys *k, struct span local, struct span domain, struct span user,
                      bool case_matters)
{
    k->n = 0;
    k->text = TEXT(k->room);
    add_local(k, local, domain);
    if (user.n < local.n)
        add_local(k, user, domain);
    for (size_t i = 0; i < k->n; i++) {
        const size_t from = case_matters ? k->key[i].n - domain.n : 0;

        lower(k->room + (k->key[i].p - k->room) + from, k->key[i].n - from);
    }
    k->key[k->n] = span_from(k->key[0], k->key[0].n - domain.n - 1);
    k->n++;
}

/* Asks the table for the first of the keys that it has; `*which`: that key's number. */
static enum table_result find(struct table *t, const struct span *key, size_t n, bool case_matters,
                              struct arena *a, struct lookup *out, size_t *which)
{
    char room[TABLE_VALUE_MAX];
    struct text value = TEXT(room);
    const enum table_result result = table_find(t, key, n, case_matters, which, &value);

    *out = (struct lookup){.wrong = result == TABLE_FAILED ? t->wrong : NULL};
    if (result != TABLE_FOUND)
        return result;
    out->key = arena_copy(a, key[*which]);
    out->value = arena_copy(a, text_span(&value));
    if (out->key.p != NULL && out->value.p != NULL)
        return TABLE_FOUND;
    *out = (struct lookup){.wrong = "no memory is left for what was found"};
    return TABLE_FAILED;
}

enum table_result lookup_address(struct table *t, struct span local, struct span domain,
                                 struct span delimiter, bool case_matters, struct arena *a,
                                 struct lookup *out)
{
    const struct span user = span_first(local, smtp_extension_at(local, delimiter));
    const struct span null_sender = SPAN("<>");
    struct keys k;
    enum table_result result;
    size_t which = 0;

    *out = (struct lookup){0};
    if (domain.n == 0 && local.n == 0)
        return find(t, &null_sender, 1, case_matters, a, out, &which);
    if (domain.n == 0 || domain.n > SMTP_DOMAIN_MAX || local.n > SMTP_LOCAL_MAX)
        return TABLE_NOT_FOUND;
    make_keys(&k, local, domain, user, case_matters);
    result = find(t, k.key, k.n, case_matters, a, out, &which);
    /* The table may have it under its A-labels. */
    if (result == TABLE_NOT_FOUND && !span_is_ascii(domain) && !idn_works(t->idn)) {
        out->wrong = "a domain outside ASCII needs libidn2";
        return TABLE_FAILED;
    }
    if (result == TABLE_FOUND)
        out->extension_unmatched = which >= (smtp_is_dot_string(local) ? 1 : 2) && which < k.n - 1;
    return result;
}

enum table_result lookup_domain(struct table *t, struct span domain, struct arena *a,
                                struct lookup *out)
{
    char room[SMTP_DOMAIN_MAX];
    struct text text = TEXT(room);
    struct span key[DOMAIN_KEYS_MAX];
    size_t n = 1, which = 0;

    *out = (struct lookup){0};
    if (domain.n == 0 || domain.n > SMTP_DOMAIN_MAX)
        return TABLE_NOT_FOUND;
    text_add(&text, domain);
    lower(text.p, text.n);
    key[0] = text_span(&text);
    for (size_t i = 1; i < text.n && text.p[0] != '[' && n < DOMAIN_KEYS_MAX; i++)
        if (text.p[i] == '.')
            key[n++] = span_from(key[0], i);
    return find(t, key, n, false, a, out, &which);
}

bool lookup_next_word(struct span *rest, struct span *word)
{
    bool quoted = false;
    size_t n = 0;

    while (rest->n > 0 && (byte_is_blank(rest->p[0]) || rest->p[0] == ','))
        *rest = span_from(*rest, 1);
    for (; n < rest->n; n++) {
        const char c = rest->p[n];

        if (!quoted && (byte_is_blank(c) || c == ','))
            break;
        if (c == '"')
            quoted = !quoted;
        if (quoted && c == '\\')
            n++;
    }
    *word = span_first(*rest, n);
    *rest = span_from(*rest, n);
    return word->n > 0;
}

bool lookup_word_is_domain(struct span word)
{
    return word.n > 0 && word.p[0] == '@';
}

bool lookup_word_is_local(struct span word)
{
    return span_find(word, '/') == word.n && span_find(word, '|') == word.n &&
           smtp_is_dot_string(word);
}

bool lookup_is_list(struct span value)
{
    bool good = true, comma = true;
    struct span word;
    size_t n = 0;

    for (; good && lookup_next_word(&value, &word); n++) {
        const struct span rest = span_trim(value);
        const bool comma_behind = rest.n == 0 || rest.p[0] == ',';

        good = (comma && comma_behind) || !lookup_word_is_local(word);
        comma = comma_behind;
    }
    return good && n > 0;
}

/* As the administrator may write it: what real servers have besides RFC 5321's grammar (a..b@c) is
 * taken too. Nothing may follow. */
static enum smtp_path_result whole_mailbox(struct span word, struct arena *a,
                                           struct smtp_mailbox *out)
{
    static const struct smtp_tolerance plain = {.kinds =
                                                    SMTP_TOLERATE_UNQUALIFIED | SMTP_TOLERATE_DOTS};
    const size_t mark = a->used;
    enum smtp_path_result result = smtp_forward_path(&word, a, out, &plain);

    if (result == SMTP_PATH_OK && (word.n > 0 || out->domain.n == 0)) {
        a->used = mark;
        result = SMTP_PATH_SYNTAX;
    }
    return result;
}

enum smtp_path_result lookup_mailbox(struct span word, const struct smtp_mailbox *of,
                                     struct arena *a, struct smtp_mailbox *out)
{
    if (lookup_word_is_domain(word))
        return smtp_mailbox_of(of->local, span_from(word, 1), a, out);
    if (lookup_word_is_local(word))
        return smtp_mailbox_of(word, of->domain, a, out);
    return whole_mailbox(word, a, out);
}

static bool are_addresses(struct span value)
{
    const struct smtp_mailbox any = {.local = SPAN("x"), .domain = SPAN("x")};
    char room[4 * SMTP_ADDRESS_MAX];
    struct smtp_mailbox mailbox;
    struct span word;
    size_t n = 0;

    for (; lookup_next_word(&value, &word); n++) {
        struct arena a = {.base = room, .cap = sizeof room};

        if (lookup_word_is_local(word) || lookup_mailbox(word, &any, &a, &mailbox) != SMTP_PATH_OK)
            return false;
    }
    return n > 0;
}

enum lookup_meaning lookup_read_value(struct span value, struct smtp_reply *reply,
                                      struct text *room)
{
    value = span_trim(value);
    if (value.n == 0 || span_eq_nocase(value, SPAN("OK")))
        return LOOKUP_OK;
    if (smtp_result_of_words(reply, value, room))
        return LOOKUP_REPLY;
    return are_addresses(value) ? LOOKUP_ADDRESSES : LOOKUP_OTHER;
}
