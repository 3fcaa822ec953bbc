#include "smtp/path.h"

#include "base/number.h"

/* What an ASCII character may be part of: atext of RFC 5322 3.2.3, Ldh-str of RFC 5321 4.1.2. */
enum { ATEXT = 1, LDH = 2 };

#define L (ATEXT | LDH)
static const unsigned char classes[128] = {
    ['!'] = ATEXT, ['#'] = ATEXT, ['$'] = ATEXT, ['%'] = ATEXT, ['&'] = ATEXT, ['\''] = ATEXT,
    ['*'] = ATEXT, ['+'] = ATEXT, ['/'] = ATEXT, ['='] = ATEXT, ['?'] = ATEXT, ['^'] = ATEXT,
    ['_'] = ATEXT, ['`'] = ATEXT, ['{'] = ATEXT, ['|'] = ATEXT, ['}'] = ATEXT, ['~'] = ATEXT,
    ['-'] = L,     ['0'] = L,     ['1'] = L,     ['2'] = L,     ['3'] = L,     ['4'] = L,
    ['5'] = L,     ['6'] = L,     ['7'] = L,     ['8'] = L,     ['9'] = L,     ['A'] = L,
    ['B'] = L,     ['C'] = L,     ['D'] = L,     ['E'] = L,     ['F'] = L,     ['G'] = L,
    ['H'] = L,     ['I'] = L,     ['J'] = L,     ['K'] = L,     ['L'] = L,     ['M'] = L,
    ['N'] = L,     ['O'] = L,     ['P'] = L,     ['Q'] = L,     ['R'] = L,     ['S'] = L,
    ['T'] = L,     ['U'] = L,     ['V'] = L,     ['W'] = L,     ['X'] = L,     ['Y'] = L,
    ['Z'] = L,     ['a'] = L,     ['b'] = L,     ['c'] = L,     ['d'] = L,     ['e'] = L,
    ['f'] = L,     ['g'] = L,     ['h'] = L,     ['i'] = L,     ['j'] = L,     ['k'] = L,
    ['l'] = L,     ['m'] = L,     ['n'] = L,     ['o'] = L,     ['p'] = L,     ['q'] = L,
    ['r'] = L,     ['s'] = L,     ['t'] = L,     ['u'] = L,     ['v'] = L,     ['w'] = L,
    ['x'] = L,     ['y'] = L,     ['z'] = L};
#undef L

static bool is_kind(char c, unsigned kind)
{
    return !byte_is_high(c) && (classes[c & 127] & kind) != 0;
}

/* Domain         = sub-domain *("." sub-domain)
 * sub-domain     = Let-dig [Ldh-str]  /  U-label
 * Ldh-str        = *( ALPHA / DIGIT / "-" ) Let-dig
 * with what a label may have besides: the octets of `also`, and those outside ASCII with `high`. */
static bool is_domain(struct span s, bool high, struct span also)
{
    size_t i = 0;

    if (s.n > SMTP_DOMAIN_MAX)
        return false;
    for (;; i++) {
        const size_t start = i;

        for (; i < s.n; i++) {
            const char c = s.p[i];

            if (!is_kind(c, LDH) && !(byte_is_high(c) ? high : span_find(also, c) < also.n))
                break;
        }
        if (i == start || i - start > SMTP_LABEL_MAX || s.p[start] == '-' || s.p[i - 1] == '-')
            return false;
        if (i == s.n)
            return true;
        if (s.p[i] != '.')
            return false;
    }
}

bool smtp_is_domain(struct span s, bool utf8)
{
    return is_domain(s, utf8, SPAN("")) && (!utf8 || utf8_valid(s));
}

/* IPv4-address-literal = Snum 3("."  Snum)
 * Snum                 = 1*3DIGIT ; 0 through 255 */
static bool is_ipv4(struct span s)
{
    for (int i = 0; i < 4; i++) {
        const struct span snum = span_first(s, span_find(s, '.'));
        uint64_t value;

        if (snum.n > 3 || number_parse(snum, 255, &value) != NUMBER_OK)
            return false;
        if (i == 3)
            return snum.n == s.n;
        s = span_from(s, snum.n + 1);
    }
    return false;
}

/* Reads 1*4HEXDIG groups with ":" between them, up to the end or to "::"; counts them. The last
 * piece may be an IPv4 address, which counts for two. */
static bool ipv6_groups(struct span *s, unsigned *groups)
{
    for (;;) {
        size_t n = 0;

        while (n < s->n && byte_hex(s->p[n]) >= 0)
            n++;
        if (n < s->n && s->p[n] == '.') {
            *groups += 2;
            if (!is_ipv4(*s))
                return false;
            *s = span_from(*s, s->n);
            return true;
        }
        if (n == 0 || n > 4)
            return false;
        ++*groups;
        *s = span_from(*s, n);
        if (s->n == 0 || span_starts_nocase(*s, SPAN("::")))
            return true;
        if (s->p[0] != ':')
            return false;
        *s = span_from(*s, 1);
    }
}

/* IPv6-full: eight groups. IPv6-comp: "::" stands for two groups or more, so six at most are
 * written out. IPv6v4-full and -comp: the same with an IPv4 address for the last two. */
bool smtp_is_ipv6(struct span s)
{
    unsigned groups = 0;

    if (!span_starts_nocase(s, SPAN("::"))) {
        if (!ipv6_groups(&s, &groups))
            return false;
        if (s.n == 0)
            return groups == 8;
    }
    s = span_from(s, 2);
    if (s.n > 0 && (!ipv6_groups(&s, &groups) || s.n > 0))
        return false;
    return groups <= 6;
}

/* General-address-literal = Standardized-tag ":" 1*dcontent
 * dcontent                = %d33-90 / %d94-126 */
static bool is_general_literal(struct span s)
{
    const size_t colon = span_find(s, ':');
    const struct span tag = span_first(s, colon);
    const struct span content = span_from(s, colon + 1);

    if (colon == s.n || content.n == 0 || tag.n == 0 || tag.p[tag.n - 1] == '-')
        return false;
    for (size_t i = 0; i < tag.n; i++)
        if (!is_kind(tag.p[i], LDH))
            return false;
    for (size_t i = 0; i < content.n; i++) {
        const char c = content.p[i];

        if (c < 33 || c > 126 || (c > 90 && c < 94))
            return false;
    }
    return true;
}

bool smtp_is_literal(struct span s)
{
    if (s.n < 2 || s.n > SMTP_DOMAIN_MAX || s.p[0] != '[' || s.p[s.n - 1] != ']')
        return false;
    s = span_first(span_from(s, 1), s.n - 2);
    if (span_starts_nocase(s, SPAN("IPv6:")))
        return smtp_is_ipv6(span_from(s, 5));
    return is_ipv4(s) || is_general_literal(s);
}

/* With UTF8-non-ascii of RFC 6531 3.3. */
static bool is_atext(char c)
{
    return byte_is_high(c) || is_kind(c, ATEXT);
}

bool smtp_is_dot_string(struct span s)
{
    bool atom = false;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '.' ? !atom : !is_atext(s.p[i]))
            return false;
        atom = s.p[i] != '.';
    }
    return atom;
}

/* Quoted-string    = DQUOTE *QcontentSMTP DQUOTE
 * quoted-pairSMTP  = %d92 %d32-126
 * qtextSMTP        = %d32-33 / %d35-91 / %d93-126  (and UTF8-non-ascii, RFC 6531 3.3) */
static enum smtp_path_result quoted_local(struct span *in, struct text *local)
{
    *in = span_from(*in, 1);
    while (in->n > 0 && in->p[0] != '"') {
        if (in->p[0] == '\\') {
            *in = span_from(*in, 1);
            if (in->n == 0 || byte_is_high(in->p[0]))
                return SMTP_PATH_SYNTAX;
        }
        if (byte_is_control(in->p[0]))
            return SMTP_PATH_SYNTAX;
        text_addc(local, in->p[0]);
        *in = span_from(*in, 1);
    }
    if (in->n == 0)
        return SMTP_PATH_SYNTAX;
    *in = span_from(*in, 1);
    return local->cut ? SMTP_PATH_TOO_LONG : SMTP_PATH_OK;
}

/* Dots side by side and at the end; without a quote it can't begin with one. */
static bool is_dotted(struct span s)
{
    return s.n > 0 && s.p[0] != '.';
}

/* Local-part = Dot-string / Quoted-string */
static enum smtp_path_result local_part(struct span *in, struct text *local, uint64_t kinds)
{
    size_t n = 0;

    if (in->n > 0 && in->p[0] == '"')
        return quoted_local(in, local);
    while (n < in->n && (is_atext(in->p[n]) || in->p[n] == '.'))
        n++;
    if (!smtp_is_dot_string(span_first(*in, n)) &&
        !(kinds & SMTP_TOLERATE_DOTS && is_dotted(span_first(*in, n))))
        return SMTP_PATH_SYNTAX;
    text_add(local, span_first(*in, n));
    *in = span_from(*in, n);
    return local->cut ? SMTP_PATH_TOO_LONG : SMTP_PATH_OK;
}

/* Takes a Domain or an address-literal off *in: everything up to the byte that must follow it;
 * where that is a blank, the end of *in will do. */
static enum smtp_path_result domain_part(struct span *in, char end, struct span *domain,
                                         uint64_t kinds)
{
    const struct span also = kinds & SMTP_TOLERATE_UNDERSCORE ? SPAN("_") : SPAN("");
    const bool literal = in->n > 0 && in->p[0] == '[';
    const size_t n = literal ? span_find(*in, ']') + 1 : span_find(*in, end);

    if (n > in->n || (n == in->n ? end != ' ' : in->p[n] != end))
        return SMTP_PATH_SYNTAX;
    *domain = span_first(*in, n);
    *in = span_from(*in, n);
    if (domain->n > SMTP_DOMAIN_MAX)
        return SMTP_PATH_TOO_LONG;
    if (literal ? !smtp_is_literal(*domain)
                : !is_domain(*domain, true, also) || !utf8_valid(*domain))
        return SMTP_PATH_SYNTAX;
    return SMTP_PATH_OK;
}

/* A-d-l     = At-domain *( "," At-domain ) ":"
 * At-domain = "@" Domain */
static bool source_route(struct span *in)
{
    while (in->n > 0 && in->p[0] == '@') {
        const size_t comma = span_find(*in, ','), colon = span_find(*in, ':');
        const size_t n = comma < colon ? comma : colon;

        if (n == in->n || !smtp_is_domain(span_from(span_first(*in, n), 1), true))
            return false;
        *in = span_from(*in, n + 1);
        if (n == colon)
            return true;
    }
    return false;
}

void smtp_add_local(struct text *out, struct span local)
{
    if (smtp_is_dot_string(local)) {
        text_add(out, local);
        return;
    }
    text_addc(out, '"');
    for (size_t i = 0; i < local.n; i++) {
        if (local.p[i] == '"' || local.p[i] == '\\')
            text_addc(out, '\\');
        text_addc(out, local.p[i]);
    }
    text_addc(out, '"');
}

size_t smtp_extension_at(struct span local, struct span delimiter)
{
    for (size_t i = 1; i < local.n; i++)
        if (span_find(delimiter, local.p[i]) < delimiter.n)
            return i;
    return local.n;
}

/* The canonical address: the same mailbox always gets the same text (RFC 5321 4.1.2: quoting that
 * is not needed means nothing). */
static bool store(struct arena *a, struct span local, struct span domain, struct smtp_mailbox *out)
{
    struct text address = {.cap = 2 * local.n + 2 + 1 + domain.n + 1};
    bool plain;

    address.p = arena_get(a, address.cap);
    if (address.p == NULL)
        return false;
    smtp_add_local(&address, local);
    plain = address.n == local.n;
    if (domain.n > 0)
        text_addc(&address, '@');
    text_add(&address, domain);
    text_string(&address);
    arena_shrink(a, address.p, address.n + 1);
    *out = (struct smtp_mailbox){
        .address = text_span(&address),
        .local = plain ? span_first(text_span(&address), local.n) : arena_copy(a, local),
        .domain = span_from(text_span(&address), address.n - domain.n),
        .utf8 = !span_is_ascii(text_span(&address)),
    };
    return out->local.p != NULL;
}

enum smtp_path_result smtp_mailbox_of(struct span local, struct span domain, struct arena *a,
                                      struct smtp_mailbox *out)
{
    const size_t mark = a->used;

    if (local.n > SMTP_LOCAL_MAX || domain.n > SMTP_DOMAIN_MAX)
        return SMTP_PATH_TOO_LONG;
    if (span_has_control(local) || !utf8_valid(local) ||
        (!smtp_is_domain(domain, true) && !smtp_is_literal(domain)))
        return SMTP_PATH_SYNTAX;
    if (!store(a, local, domain, out)) {
        a->used = mark;
        return SMTP_PATH_FULL;
    }
    return SMTP_PATH_OK;
}

/* Path    = "<" [ A-d-l ] Mailbox ">"
 * Mailbox = Local-part "@" ( Domain / address-literal )
 * with SMTP_TOLERATE_UNQUALIFIED: Mailbox alone, and Local-part alone. */
static enum smtp_path_result path(struct span *in, struct arena *a, struct smtp_mailbox *out,
                                  const struct smtp_tolerance *t, uint64_t mask)
{
    const uint64_t kinds = t == NULL ? 0 : t->kinds & mask;
    const bool bracket = in->n > 0 && in->p[0] == '<';
    const bool unqualified = kinds & SMTP_TOLERATE_UNQUALIFIED;
    const char end = bracket ? '>' : ' ';
    const size_t mark = a->used;
    char room[SMTP_LOCAL_MAX];
    struct text local = TEXT(room);
    struct span domain;
    enum smtp_path_result result;

    if (!bracket && !unqualified)
        return SMTP_PATH_SYNTAX;
    if (bracket)
        *in = span_from(*in, 1);
    if (bracket && in->n > 0 && in->p[0] == '@' && !source_route(in))
        return SMTP_PATH_SYNTAX;
    result = local_part(in, &local, kinds);
    if (result != SMTP_PATH_OK)
        return result;
    if (!utf8_valid(text_span(&local)))
        return SMTP_PATH_SYNTAX;
    if (unqualified && (in->n == 0 ? !bracket : in->p[0] == end)) {
        domain = t->domain;
    } else {
        if (in->n == 0 || in->p[0] != '@')
            return SMTP_PATH_SYNTAX;
        *in = span_from(*in, 1);
        result = domain_part(in, end, &domain, kinds);
        if (result != SMTP_PATH_OK)
            return result;
    }
    if (bracket)
        *in = span_from(*in, 1);
    if (!store(a, text_span(&local), domain, out)) {
        a->used = mark;
        return SMTP_PATH_FULL;
    }
    return SMTP_PATH_OK;
}

/* Reverse-path = Path / "<>" */
enum smtp_path_result smtp_reverse_path(struct span *in, struct arena *a, struct smtp_mailbox *out,
                                        const struct smtp_tolerance *t)
{
    if (!span_starts_nocase(*in, SPAN("<>")))
        return path(in, a, out, t, UINT64_MAX);
    *in = span_from(*in, 2);
    *out = (struct smtp_mailbox){.address = SPAN(""), .local = SPAN(""), .domain = SPAN("")};
    return SMTP_PATH_OK;
}

/* "<Postmaster>" / Forward-path, as the RCPT command has it (RFC 5321 4.1.1.3). */
enum smtp_path_result smtp_forward_path(struct span *in, struct arena *a, struct smtp_mailbox *out,
                                        const struct smtp_tolerance *t)
{
    const struct span postmaster = SPAN("<postmaster>");
    const size_t mark = a->used;

    if (!span_starts_nocase(*in, postmaster))
        return path(in, a, out, t, ~(uint64_t)SMTP_TOLERATE_UNDERSCORE);
    if (!store(a, span_first(span_from(*in, 1), postmaster.n - 2), SPAN(""), out)) {
        a->used = mark;
        return SMTP_PATH_FULL;
    }
    *in = span_from(*in, postmaster.n);
    return SMTP_PATH_OK;
}

/* RFC 5321 4.1.1.1. Hosts of Windows networks have underscores, phones and scanners what their
 * owner calls them: the name is only ever data to us, and a refusal would lose their mail. RFC
 * 5321 4.1.4 forbids refusing a name because it does not resolve. */
bool smtp_is_helo_name(struct span name, uint64_t kinds)
{
    if (smtp_is_literal(name) || smtp_is_domain(name, false))
        return true;
    if (!(kinds & SMTP_TOLERATE_HELO) || name.n == 0 || name.p[0] == ' ')
        return false;
    name.n -= name.p[name.n - 1] == '.';
    return is_domain(name, true, SPAN("_ "));
}
