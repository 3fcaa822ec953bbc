#include "commands/milter/envelope.h"

#include "base/number.h"
#include "base/text.h"
#include "smtp/path.h"

#include <stdlib.h>
#include <string.h>

enum { COUNT_MAX = 100000, PATH_ROOM = 4 * SMTP_ADDRESS_MAX };

/* What smtpin may have taken, and what filters may write. */
static const struct smtp_tolerance tolerance = {.kinds = SMTP_TOLERATE_UNDERSCORE};

/* The address in its shortest form, into *m, whose memory is `a`. An empty one is the null
 * reverse-path. */
static bool read_address(struct span address, bool is_sender, struct arena *a,
                         struct smtp_mailbox *m)
{
    char room[PATH_ROOM];
    struct text path = TEXT(room);
    struct span in;
    enum smtp_path_result result;

    address = span_trim(address);
    if (address.n > 1 && address.p[0] == '<' && address.p[address.n - 1] == '>')
        address = span_first(span_from(address, 1), address.n - 2);
    text_addc(&path, '<');
    text_add(&path, address);
    text_addc(&path, '>');
    in = text_span(&path);
    if (path.cut)
        return false;
    result = is_sender ? smtp_reverse_path(&in, a, m, &tolerance)
                       : smtp_forward_path(&in, a, m, &tolerance);
    return result == SMTP_PATH_OK && in.n == 0 && (is_sender || m->domain.n > 0);
}

static bool is_address(struct span address, bool is_sender)
{
    char memory[PATH_ROOM];
    struct arena a = {.base = memory, .cap = sizeof memory};
    struct smtp_mailbox m;

    return read_address(address, is_sender, &a, &m);
}

bool envelope_is_recipient(struct span address)
{
    return is_address(address, false);
}

bool envelope_is_sender(struct span address)
{
    return is_address(address, true);
}

/* Local-parts by octet, domains whatever their case (RFC 5321 2.4). */
static bool is_same(struct span a, struct span b)
{
    size_t at = a.n;

    if (a.n != b.n)
        return false;
    while (at > 0 && a.p[at - 1] != '@')
        at--;
    return span_eq(span_first(a, at), span_first(b, at)) &&
           span_eq_nocase(span_from(a, at), span_from(b, at));
}

/* The recipients of a run with several, where its words say who they are. */
static const char *from_words(const struct envelope *e, size_t count, char *const **given)
{
    const struct envelope_words *c = &e->command;
    size_t n = 0;

    while (n < c->n && envelope_is_recipient(span_of(c->word[c->n - 1 - n])))
        n++;
    /* Another address before them may only be the sender's. */
    if (n < count || (n > count && !span_eq(span_of(c->word[c->n - 1 - count]), e->first_sender)))
        return "can't tell who the recipients are: put -r${recipient} before the filter";
    *given = c->word + c->n - count;
    return NULL;
}

/* The delimiter stands between LOCAL's two parts: smtpin has found it. */
static struct span delimiter_of(const char *local, const char *extension)
{
    const struct span l = span_of(local), x = span_of(extension);

    return x.n > 0 && l.n > x.n ? span_first(span_from(l, l.n - x.n - 1), 1) : SPAN("+");
}

const char *envelope_read(struct envelope *e, char *const *given, size_t n)
{
    const char *sender = getenv("SENDER"), *count = getenv("RECIPIENT_COUNT");
    char *one[] = {getenv("RECIPIENT")};
    const char *wrong;
    uint64_t recipients = 0;

    e->sender = e->first_sender = span_of(sender);
    /* Copies: the environment is changed. */
    e->notify = arena_copy(e->arena, span_of(getenv("SMTPIN_DSN_NOTIFY")));
    e->orcpt = arena_copy(e->arena, span_of(getenv("SMTPIN_DSN_ORCPT")));
    e->delimiter = delimiter_of(getenv("LOCAL"), getenv("EXTENSION"));
    if (sender == NULL || number_parse(span_of(count), COUNT_MAX, &recipients) != NUMBER_OK ||
        recipients == 0)
        return "has no SENDER and RECIPIENT_COUNT: smtpin sets them";
    if (n > 0 && n != recipients)
        return "has a number of -r that is not RECIPIENT_COUNT";
    if (n == 0 && recipients == 1 && one[0] != NULL) {
        given = one;
    } else if (n == 0) {
        wrong = from_words(e, recipients, &given);
        if (wrong != NULL)
            return wrong;
    }
    e->n = e->originals = (size_t)recipients;
    e->recipient = arena_get(e->arena, (e->n + (size_t)e->recipients_max) * sizeof *e->recipient);
    for (size_t i = 0; e->recipient != NULL && i < e->n; i++)
        e->recipient[i] = (struct envelope_recipient){.address = span_of(given[i]), .of = i};
    return e->recipient == NULL ? "has no room for the envelope" : NULL;
}

bool envelope_gets(const struct envelope_recipient *r)
{
    return !r->deleted && r->refusal.p == NULL;
}

size_t envelope_count(const struct envelope *e)
{
    size_t n = 0;

    for (size_t i = 0; i < e->n; i++)
        n += envelope_gets(&e->recipient[i]);
    return n;
}

bool envelope_add(struct envelope *e, struct span address)
{
    struct smtp_mailbox m;

    if (!read_address(address, false, e->arena, &m))
        return false;
    for (size_t i = 0; i < e->n; i++) {
        struct envelope_recipient *r = &e->recipient[i];

        if (r->refusal.p == NULL && is_same(r->address, m.address)) {
            r->deleted = false;
            return true;
        }
    }
    if (e->n >= e->originals + e->recipients_max)
        return false;
    e->recipient[e->n++] = (struct envelope_recipient){.address = m.address, .of = ENVELOPE_ADDED};
    return true;
}

void envelope_delete(struct envelope *e, struct span address)
{
    char memory[PATH_ROOM];
    struct arena a = {.base = memory, .cap = sizeof memory};
    struct smtp_mailbox m;

    if (!read_address(address, false, &a, &m))
        return;
    for (size_t i = 0; i < e->n; i++)
        if (is_same(e->recipient[i].address, m.address))
            e->recipient[i].deleted = true;
}

bool envelope_set_sender(struct envelope *e, struct span address)
{
    struct smtp_mailbox m;

    if (!read_address(address, true, e->arena, &m))
        return false;
    e->sender = m.address.n == 0 ? SPAN("") : m.address;
    return true;
}

bool envelope_keep(const struct envelope *e, struct envelope *kept)
{
    *kept = *e;
    kept->recipient = arena_get(e->arena, e->n * sizeof *e->recipient);
    if (kept->recipient == NULL)
        return false;
    memcpy(kept->recipient, e->recipient, e->n * sizeof *e->recipient);
    return true;
}

void envelope_restore(struct envelope *e, const struct envelope *kept)
{
    memcpy(e->recipient, kept->recipient, kept->n * sizeof *kept->recipient);
    e->n = kept->n;
    e->sender = kept->sender;
}

bool envelope_same_sender(const struct envelope *e)
{
    return span_eq(e->sender, e->first_sender);
}

bool envelope_same_recipients(const struct envelope *e)
{
    for (size_t i = 0; i < e->originals; i++)
        if (!envelope_gets(&e->recipient[i]))
            return false;
    return envelope_count(e) == e->originals;
}

/* Can an address end, or begin, beside this octet? */
static bool is_edge(char c)
{
    return c == '<' || c == '>' || c == '=' || c == ':' || c == ',' || c == ';' || c == '"' ||
           c == '(' || c == ')' || byte_is_blank(c);
}

/* Where the address stands in the word, which may be an option with it (-fADDRESS); behind its end:
 * nowhere. */
static size_t place_in(struct span word, struct span address)
{
    for (size_t i = 0; address.n > 0 && i + address.n <= word.n; i++)
        if (span_eq(span_first(span_from(word, i), address.n), address) &&
            (i == 0 || is_edge(word.p[i - 1]) || (i == 2 && word.p[0] == '-')) &&
            (i + address.n == word.n || is_edge(word.p[i + address.n])))
            return i;
    return address.n == 0 && word.n == 0 ? 0 : word.n + 1;
}

static bool has(struct span word, struct span address)
{
    return place_in(word, address) <= word.n;
}

/* The word with another address in its place. */
static char *with(struct envelope *e, struct span word, struct span old, struct span address)
{
    const size_t at = place_in(word, old), most = word.n + address.n + 1;
    struct text t = {.p = arena_get(e->arena, most), .cap = most};

    if (t.p == NULL)
        return NULL;
    text_add(&t, span_first(word, at));
    text_add(&t, address);
    text_add(&t, span_from(word, at + old.n));
    text_addc(&t, '\0');
    return t.p;
}

/* The words from `from` on that have the run's recipients, one behind the other: so smtpin repeats
 * a word. */
static bool is_run(const struct envelope *e, size_t from)
{
    const struct envelope_words *c = &e->command;

    if (from + e->originals > c->n)
        return false;
    for (size_t i = 0; i < e->originals; i++)
        if (!has(span_of(c->word[from + i]), e->recipient[i].address))
            return false;
    return true;
}

/* Does a word say who the recipient is by a part of its address? It can't be changed then. */
static bool names_part(const struct envelope *e)
{
    const char *local = getenv("LOCAL");
    const struct span name = span_of(local);

    for (size_t i = 1; i < e->command.n; i++) {
        const struct span word = span_of(e->command.word[i]);

        if (name.n > 0 && word.n > 0 &&
            (span_eq(word, name) ||
             span_eq(word, span_first(name, smtp_extension_at(name, SPAN("+-"))))))
            return true;
    }
    return false;
}

/* The sender and a recipient may be the same, or the sender be empty as other words may be: which
 * word is whose can't be told then, and nothing is guessed. */
static bool is_ambiguous(const struct envelope *e, size_t runs, bool same)
{
    size_t empty = 0;

    for (size_t i = 0; i < e->command.n; i++)
        empty += e->command.word[i][0] == '\0';
    return (!same && runs > 1 && e->originals == 1 &&
            is_same(e->recipient[0].address, e->first_sender)) ||
           (!envelope_same_sender(e) && e->first_sender.n == 0 && empty > 1);
}

/* Adds a word, with the sender of now. */
static bool add_word(struct envelope *e, char **out, size_t *n, struct span word)
{
    const bool changed = !envelope_same_sender(e) && *n > 0 && has(word, e->first_sender);

    out[*n] = changed ? with(e, word, e->first_sender, e->sender) : (char *)(uintptr_t)word.p;
    return out[(*n)++] != NULL;
}

char **envelope_words(struct envelope *e, const size_t *who, size_t n, const char **wrong)
{
    const struct envelope_words *c = &e->command;
    const bool same = envelope_same_recipients(e) && n == e->originals;
    char **out = arena_get(e->arena, (c->n * (n + 1) + 1) * sizeof *out);
    size_t k = 0, runs = 0;

    *wrong = "has no room for the command";
    if (out == NULL)
        return NULL;
    for (size_t i = 0; i < c->n;) {
        const bool run = i > 0 && !same && is_run(e, i);

        runs += run;
        for (size_t r = 0; run && r < n; r++) {
            const struct span word = span_of(c->word[i]);

            out[k] = with(e, word, e->recipient[0].address, e->recipient[who[r]].address);
            if (out[k++] == NULL)
                return NULL;
        }
        if (!run && !add_word(e, out, &k, span_of(c->word[i])))
            return NULL;
        i += run ? e->originals : 1;
    }
    out[k] = NULL;
    *wrong = "can't change the addresses in the command's words";
    return (!same && runs == 0 && (e->originals > 1 || names_part(e))) ||
                   is_ambiguous(e, runs, same)
               ? NULL
               : out;
}

static bool set(const char *name, struct span value)
{
    char room[2 * SMTP_ADDRESS_MAX];
    struct text t = TEXT(room);

    text_add(&t, value);
    return setenv(name, text_string(&t), 1) == 0;
}

/* A variable with a line for each recipient: those of `who`. Who was added has none. */
static bool set_lines(const struct envelope *e, const char *name, struct span lines,
                      const size_t *who, size_t n)
{
    const size_t most = lines.n + n + 1;
    struct text t = {.p = lines.n == 0 ? NULL : malloc(most), .cap = most};
    bool any = false, good;

    if (lines.n == 0)
        return true;
    for (size_t i = 0; t.p != NULL && i < n; i++) {
        struct span rest = lines, line = {0};

        for (size_t k = 0; e->recipient[who[i]].of != ENVELOPE_ADDED; k++) {
            line = span_first(rest, span_find(rest, '\n'));
            if (k == e->recipient[who[i]].of)
                break;
            rest = span_from(rest, line.n + 1);
        }
        any = any || line.n > 0;
        text_add(&t, i == 0 ? SPAN("") : SPAN("\n"));
        text_add(&t, line);
    }
    good = t.p != NULL && (any ? setenv(name, text_string(&t), 1) : unsetenv(name)) == 0;
    free(t.p);
    return good;
}

bool envelope_set_environment(const struct envelope *e, const size_t *who, size_t n)
{
    static const char *const of_one[] = {"RECIPIENT", "ORIGINAL_RECIPIENT", "LOCAL", "EXTENSION",
                                         "DOMAIN"};
    const struct envelope_recipient *r = &e->recipient[who[0]];
    char memory[PATH_ROOM], count[32];
    struct arena a = {.base = memory, .cap = sizeof memory};
    struct text number = TEXT(count);
    struct smtp_mailbox m;

    if (!envelope_same_sender(e) && !set("SENDER", e->sender))
        return false;
    text_addn(&number, n, 1);
    if (setenv("RECIPIENT_COUNT", text_string(&number), 1) != 0 ||
        !set_lines(e, "SMTPIN_DSN_NOTIFY", e->notify, who, n) ||
        !set_lines(e, "SMTPIN_DSN_ORCPT", e->orcpt, who, n))
        return false;
    if (n != 1) {
        for (size_t i = 0; i < sizeof of_one / sizeof *of_one; i++)
            unsetenv(of_one[i]);
        return true;
    }
    /* All that smtpin has said of the one that there is still holds. */
    if (getenv("RECIPIENT") != NULL && span_eq(span_of(getenv("RECIPIENT")), r->address))
        return true;
    if (!read_address(r->address, false, &a, &m))
        return false;
    return set("RECIPIENT", m.address) && set("ORIGINAL_RECIPIENT", m.address) &&
           set("LOCAL", m.local) && set("DOMAIN", m.domain) &&
           set("EXTENSION", span_from(m.local, smtp_extension_at(m.local, e->delimiter) + 1));
}
