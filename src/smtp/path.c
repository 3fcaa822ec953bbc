#include "smtp/path.h"

#include "base/number.h"
#include "base/text.h"

/* Domain         = sub-domain *("." sub-domain)
 * sub-domain     = Let-dig [Ldh-str]  /  U-label
 * Ldh-str        = *( ALPHA / DIGIT / "-" ) Let-dig */
static bool is_sub_domain(struct span s, bool utf8)
{
    if (s.n == 0 || s.n > SMTP_LABEL_MAX || s.p[0] == '-' || s.p[s.n - 1] == '-')
        return false;
    for (size_t i = 0; i < s.n; i++) {
        const char c = s.p[i];

        if (!byte_is_alpha(c) && !byte_is_digit(c) && c != '-' && !(utf8 && byte_is_high(c)))
            return false;
    }
    return true;
}

bool smtp_is_domain(struct span s, bool utf8)
{
    if (s.n > SMTP_DOMAIN_MAX || (utf8 && !utf8_valid(s)))
        return false;
    for (;;) {
        const size_t dot = span_find(s, '.');

        if (!is_sub_domain(span_first(s, dot), utf8))
            return false;
        if (dot == s.n)
            return true;
        s = span_from(s, dot + 1);
    }
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
        if (!byte_is_alpha(tag.p[i]) && !byte_is_digit(tag.p[i]) && tag.p[i] != '-')
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

/* atext of RFC 5322 3.2.3, with UTF8-non-ascii of RFC 6531 3.3. */
static bool is_atext(char c)
{
    return byte_is_alpha(c) || byte_is_digit(c) || byte_is_high(c) ||
           (c != '\0' && span_find(SPAN("!#$%&'*+-/=?^_`{|}~"), c) < 19);
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

/* Local-part = Dot-string / Quoted-string */
static enum smtp_path_result local_part(struct span *in, struct text *local)
{
    size_t n = 0;

    if (in->n > 0 && in->p[0] == '"')
        return quoted_local(in, local);
    while (n < in->n && (is_atext(in->p[n]) || in->p[n] == '.'))
        n++;
    if (!smtp_is_dot_string(span_first(*in, n)))
        return SMTP_PATH_SYNTAX;
    text_add(local, span_first(*in, n));
    *in = span_from(*in, n);
    return local->cut ? SMTP_PATH_TOO_LONG : SMTP_PATH_OK;
}

/* Takes a Domain or an address-literal off *in: everything up to the byte that must follow it. */
static enum smtp_path_result domain_part(struct span *in, char end, struct span *domain)
{
    const bool literal = in->n > 0 && in->p[0] == '[';
    const size_t close = span_find(*in, ']');
    const size_t n = literal ? close + 1 : span_find(*in, end);

    if (n >= in->n || in->p[n] != end)
        return SMTP_PATH_SYNTAX;
    *domain = span_first(*in, n);
    *in = span_from(*in, n);
    if (domain->n > SMTP_DOMAIN_MAX)
        return SMTP_PATH_TOO_LONG;
    if (literal ? !smtp_is_literal(*domain) : !smtp_is_domain(*domain, true))
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

/* The canonical address: the same mailbox always gets the same text (RFC 5321 4.1.2: quoting that
 * is not needed means nothing). */
static bool store(struct arena *a, struct span local, struct span domain, struct smtp_mailbox *out)
{
    char room[2 * SMTP_LOCAL_MAX + SMTP_DOMAIN_MAX + 3];
    struct text address = TEXT(room);

    if (smtp_is_dot_string(local)) {
        text_add(&address, local);
    } else {
        text_addc(&address, '"');
        for (size_t i = 0; i < local.n; i++) {
            if (local.p[i] == '"' || local.p[i] == '\\')
                text_addc(&address, '\\');
            text_addc(&address, local.p[i]);
        }
        text_addc(&address, '"');
    }
    if (domain.n > 0)
        text_addc(&address, '@');
    text_add(&address, domain);
    *out = (struct smtp_mailbox){
        .address = arena_copy(a, text_span(&address)),
        .local = arena_copy(a, local),
        .domain = arena_copy(a, domain),
    };
    for (size_t i = 0; i < address.n; i++)
        out->utf8 = out->utf8 || byte_is_high(address.p[i]);
    return out->address.p != NULL && out->local.p != NULL && out->domain.p != NULL;
}

/* Path    = "<" [ A-d-l ] Mailbox ">"
 * Mailbox = Local-part "@" ( Domain / address-literal ) */
static enum smtp_path_result path(struct span *in, struct arena *a, struct smtp_mailbox *out)
{
    const size_t mark = a->used;
    char room[SMTP_LOCAL_MAX];
    struct text local = TEXT(room);
    struct span domain;
    enum smtp_path_result result;

    if (in->n == 0 || in->p[0] != '<')
        return SMTP_PATH_SYNTAX;
    *in = span_from(*in, 1);
    if (in->n > 0 && in->p[0] == '@' && !source_route(in))
        return SMTP_PATH_SYNTAX;
    result = local_part(in, &local);
    if (result != SMTP_PATH_OK)
        return result;
    if (in->n == 0 || in->p[0] != '@' || !utf8_valid(text_span(&local)))
        return SMTP_PATH_SYNTAX;
    *in = span_from(*in, 1);
    result = domain_part(in, '>', &domain);
    if (result != SMTP_PATH_OK)
        return result;
    *in = span_from(*in, 1);
    if (!store(a, text_span(&local), domain, out)) {
        a->used = mark;
        return SMTP_PATH_FULL;
    }
    return SMTP_PATH_OK;
}

/* Reverse-path = Path / "<>" */
enum smtp_path_result smtp_reverse_path(struct span *in, struct arena *a, struct smtp_mailbox *out)
{
    if (!span_starts_nocase(*in, SPAN("<>")))
        return path(in, a, out);
    *in = span_from(*in, 2);
    *out = (struct smtp_mailbox){.address = SPAN(""), .local = SPAN(""), .domain = SPAN("")};
    return SMTP_PATH_OK;
}

/* "<Postmaster>" / Forward-path, as the RCPT command has it (RFC 5321 4.1.1.3). */
enum smtp_path_result smtp_forward_path(struct span *in, struct arena *a, struct smtp_mailbox *out)
{
    const struct span postmaster = SPAN("<postmaster>");
    const size_t mark = a->used;

    if (!span_starts_nocase(*in, postmaster))
        return path(in, a, out);
    if (!store(a, span_first(span_from(*in, 1), postmaster.n - 2), SPAN(""), out)) {
        a->used = mark;
        return SMTP_PATH_FULL;
    }
    *in = span_from(*in, postmaster.n);
    return SMTP_PATH_OK;
}

/* The name must be a Domain or an address-literal (RFC 5321 4.1.1.1), but an underscore passes:
 * hosts of Windows networks have them, the name is only ever data to us, and a refusal would lose
 * their mail. RFC 5321 4.1.4 forbids refusing a name because it does not resolve. */
bool smtp_is_helo_name(struct span name)
{
    char room[SMTP_DOMAIN_MAX];

    if (smtp_is_literal(name))
        return true;
    if (name.n > sizeof room)
        return false;
    for (size_t i = 0; i < name.n; i++)
        room[i] = name.p[i] == '_' ? 'a' : name.p[i];
    return smtp_is_domain((struct span){.p = room, .n = name.n}, false);
}
