#include "config/load.h"

#include "config/defaults.h"
#include "config/setting.h"
#include "config/value.h"
#include "syntax/idn.h"
#include "syntax/table_source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Where a setting comes from, and where its mistakes go. */
struct source {
    struct config *config; /* this socket's, or in another one's section `others` */
    struct config *own, *others;
    struct arena *arena;
    const struct config_source *from;
    const char *file; /* that is read: its name, or "-o" */
    unsigned line;
    const struct config_report *report;
    struct span section; /* whose settings these are; empty: everybody's */
    bool overriding;     /* -o, not the file */
    size_t number;       /* that section's among those of the file; 0: everybody's */
    size_t own_number;   /* the number of this socket's; 0: there is none */
    /* Keys that were there already, of each section, and in which line. */
    uint64_t seen[CONFIG_SECTIONS_MAX + 1][CONFIG_SETTINGS_MAX / 64];
    unsigned seen_at[CONFIG_SECTIONS_MAX + 1][CONFIG_SETTINGS_MAX];
    uint64_t overridden[CONFIG_SETTINGS_MAX / 64]; /* keys that -o has set */
    bool good;
};

static const char *file_of(const struct config_source *from)
{
    return from->file == NULL ? SMTPIN_SYSCONFDIR "/smtpin/smtpin.conf" : from->file;
}

static void mistake(struct source *s, struct span key, const char *what)
{
    s->good = false;
    if (s->report->say != NULL)
        s->report->say(s->report->context, s->file, s->line, key, what);
}

/* The setting's value from there on, terminated in its place: nothing of the text is needed behind
 * it. */
static struct span value_of(struct text *setting, size_t from)
{
    const struct span value = span_trim(span_from(text_span(setting), from));
    char *const end = setting->p + (value.p - setting->p) + value.n;

    *end = '\0';
    return value;
}

/* What is set more than once adds to what it said before in the same place, and not to what another
 * place has. */
static void begin_anew(struct source *s, const struct setting *k, size_t number)
{
    uint64_t *const seen =
        s->overriding ? &s->overridden[number / 64] : &s->seen[s->number][number / 64];
    const uint64_t bit = (uint64_t)1 << number % 64;

    if (*seen & bit)
        return;
    *(struct span *)((char *)s->config + k->field) = SPAN("");
    *seen |= bit;
    if (!s->overriding)
        s->seen_at[s->number][number] = s->line;
}

/* A key that is there twice says two things. True: it is. */
static bool is_twice(struct source *s, const struct setting *k)
{
    const size_t number = setting_number(k);
    uint64_t *const seen = &s->seen[s->number][number / 64];
    const uint64_t bit = (uint64_t)1 << number % 64;
    char room[64];
    struct text what = TEXT(room);

    if (k->repeats)
        begin_anew(s, k, number);
    if (k->repeats || s->overriding)
        return false;
    if (*seen & bit) {
        text_adds(&what, "is set twice: in line ");
        text_addn(&what, s->seen_at[s->number][number], 1);
        text_adds(&what, " too");
        mistake(s, tag_span(&k->name), text_string(&what));
        return true;
    }
    *seen |= bit;
    s->seen_at[s->number][number] = s->line;
    return false;
}

/* A blank and a '#', without quotes: many people mean a comment by it. Where a path or a name may
 * hold anything, it would be a part of that. */
static bool has_comment(struct span value)
{
    if (span_find(value, '#') == value.n || span_find(value, '"') < value.n)
        return false;
    for (size_t i = 1; i < value.n; i++)
        if (value.p[i] == '#' && byte_is_blank(value.p[i - 1]))
            return true;
    return false;
}

static void set(struct source *s, struct text *setting)
{
    const size_t equals = span_find(text_span(setting), '=');
    const struct span name = span_trim(span_first(text_span(setting), equals));
    const struct span value = value_of(setting, equals + 1);
    const struct setting *k = setting_find(name);
    const char *wrong;

    if (equals == setting->n) {
        mistake(s, name, "has no '=' after the key");
    } else if (k == NULL) {
        mistake(s, name, "no such key");
    } else if (k->only_override && !s->overriding) {
        mistake(s, name, "can be set only on the command line (-o)");
    } else if (k->only_section &&
               (s->overriding || s->section.n == 0 || span_eq(s->section, SPAN("smtp")))) {
        mistake(s, name, "can be set only in the section of a socket, and not in [smtp]");
    } else if (is_twice(s, k)) {
        return;
    } else if (span_has_control_but_tab(value)) {
        mistake(s, name, "has a control character");
    } else if (has_comment(value)) {
        mistake(s, name, "has a '#' after its value: write a comment on a line of its own");
    } else {
        wrong = value_set(k, s->config, value, s->arena);
        if (wrong != NULL)
            mistake(s, name, wrong);
    }
}

/* "[name]": what follows is for connections that came in on the socket of that name. Sections of
 * other sockets are read all the same, so that a mistake is seen wherever it stands. */
static void begin_section(struct source *s, struct span line)
{
    const struct span name = span_first(span_from(line, 1), line.n - 2);

    if (line.n < 2 || line.p[line.n - 1] != ']' || !config_is_socket_name(name)) {
        mistake(s, line, "not the name of a socket in brackets");
        return;
    }
    if (s->own->sections == 0)
        *s->others = *s->own; /* nothing is looked for in it but mistakes */
    s->config = span_eq(name, s->own->socket) ? s->own : s->others;
    s->section = name;
    for (s->number = 1; s->number <= s->own->sections; s->number++)
        if (span_eq(s->own->section[s->number - 1], name))
            break; /* it goes on here */
    if (s->own->sections < CONFIG_SECTIONS_MAX)
        s->own->section[s->own->sections++] = arena_copy(s->arena, name);
    else
        mistake(s, name, "is a section, and there are too many");
    if (s->number > CONFIG_SECTIONS_MAX)
        s->number = CONFIG_SECTIONS_MAX;
    if (s->config == s->own)
        s->own_number = s->number;
}

static void set_or_begin(struct source *s, struct text *setting)
{
    if (setting->n > 0 && setting->p[0] == '[')
        begin_section(s, span_trim(text_span(setting)));
    else if (setting->n > 0)
        set(s, setting);
}

/* A copy is set, since the command line is looked at again by others (ps(1)). */
static void override(struct source *s, struct span setting)
{
    struct text copy = {.p = arena_get(s->arena, setting.n + 1), .cap = setting.n};

    if (copy.p == NULL) {
        mistake(s, SPAN(""), "the configuration is too large");
        return;
    }
    text_add(&copy, setting);
    set(s, &copy);
}

/* A line that begins with a blank goes on with the setting before it; empty lines and comments
 * belong to nothing (as in Postfix main.cf). A setting is put together in its place: what goes on
 * moves up to it. */
static void read_settings(struct source *s, struct text *file)
{
    struct span text = text_span(file);
    struct text setting = {.n = 0};
    unsigned line_number = 0;

    while (text.n > 0) {
        struct span line = span_first(text, span_find(text, '\n'));
        const bool goes_on = line.n > 0 && byte_is_blank(line.p[0]);
        char *const place = file->p + (line.p - file->p);

        text = span_from(text, line.n + 1);
        line_number++;
        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        if (span_trim(line).n == 0 || span_trim(line).p[0] == '#')
            continue;
        if (!goes_on) {
            set_or_begin(s, &setting);
            setting = (struct text){.p = place};
            s->line = line_number;
        } else if (setting.n == 0) {
            s->line = line_number;
            mistake(s, span_trim(line),
                    "begins with a blank, but there is no setting before it to continue");
            continue;
        }
        if (goes_on)
            memmove(setting.p + setting.n, line.p, line.n);
        setting.n += line.n;
    }
    set_or_begin(s, &setting);
}

/* The file's bytes in the arena, and room for one more; or .p NULL and errno. A missing default
 * file is an empty one. */
static struct text read_file(struct arena *a, const char *file, bool may_be_missing)
{
    const int fd = open(file, O_RDONLY); /* closed before there is another process */
    char *text = arena_get(a, CONFIG_FILE_MAX);
    ssize_t got = 1;
    size_t n = 0;

    if (fd < 0)
        return (struct text){.p = may_be_missing && errno == ENOENT ? text : NULL};
    while (text != NULL && got != 0) {
        if (n == CONFIG_FILE_MAX)
            errno = EFBIG;
        got = n == CONFIG_FILE_MAX ? -1 : read(fd, text + n, CONFIG_FILE_MAX - n);
        if (got < 0 && errno != EINTR)
            text = NULL;
        else if (got > 0)
            n += (size_t)got;
    }
    close(fd);
    if (text != NULL)
        arena_shrink(a, text, n + 1);
    return (struct text){.p = text, .n = n};
}

/* deliver_through: its words, then those of the command. */
static bool put_before(struct config *c, struct arena *a)
{
    const size_t n = c->through.n + c->deliver.n;
    struct span *words = arena_get(a, n * sizeof *words);

    if (words == NULL)
        return false;
    if (c->through.n > 0)
        memcpy(words, c->through.word, c->through.n * sizeof *words);
    memcpy(words + c->through.n, c->deliver.word, c->deliver.n * sizeof *words);
    c->deliver =
        (struct words){.word = words, .n = n, .macros = c->through.macros || c->deliver.macros};
    return true;
}

static bool is_of(struct span setting, struct span key)
{
    return span_eq(span_trim(span_first(setting, span_find(setting, '='))), key);
}

/* The socket's name decides which sections of the file count, so it is looked for first. */
static void find_socket(struct source *s, const struct config_source *from)
{
    struct span name = from->socket;

    for (size_t i = 0; from->socket.n == 0 && i < from->overrides; i++) {
        const struct span setting = span_of(from->override[i]);

        if (is_of(setting, SPAN("socket")))
            name = span_trim(span_from(setting, span_find(setting, '=') + 1));
    }
    s->own->socket = arena_copy(s->arena, name);
    /* A socket with that name says all that there is to say. */
    if (span_eq(name, SPAN("lmtp")))
        s->own->protocol = 1;
}

/* Where this socket's setting was made that counts. */
static struct config_origin origin_of(const struct source *s, const struct setting *k)
{
    const size_t number = setting_number(k);
    struct config_origin origin = {.file = NULL};

    for (size_t i = s->from->overrides; i > 0; i--)
        if (is_of(span_of(s->from->override[i - 1]), tag_span(&k->name)))
            return (struct config_origin){.file = "-o", .line = (unsigned)i};
    for (size_t section = s->own_number;; section = 0) {
        if (s->seen[section][number / 64] & (uint64_t)1 << number % 64)
            return (struct config_origin){.file = file_of(s->from),
                                          .line = s->seen_at[section][number],
                                          .section = section > 0 ? s->own->section[section - 1]
                                                                 : SPAN("")};
        if (section == 0)
            return origin;
    }
}

/* Two settings that do not go together. */
static void clash(struct source *s, struct span key, struct span other, const char *what)
{
    struct config_origin origin[CONFIG_SETTINGS_MAX];
    const struct config_report report = {
        .say = s->report->say, .context = s->report->context, .origin = origin};

    s->good = false;
    for (size_t i = 0; i < setting_count(); i++)
        origin[i] = origin_of(s, setting_at(i));
    config_complain_of_both(&report, key, other, what);
}

static bool has_table(struct span domains)
{
    struct span word;

    while (span_word(&domains, " \t,", &word))
        if (table_is_source(word) == NULL)
            return true;
    return false;
}

/* Who decides what (adapters/rules.h): is more needed than the configuration and the address? */
static void conclude_asks(struct config *c)
{
    const bool has_policy = c->policy.n > 0;

    c->asks = c->recipients.n + c->aliases.n + c->senders.n + c->sender_login.n > 0 ||
              c->check_client.n + c->check_sender.n + c->check_recipient.n > 0 ||
              (has_policy && c->policy_states & SMTP_ABOUT_RECIPIENT) || has_table(c->domains);
    if (has_policy)
        c->smtp.decide_at = (unsigned)c->policy_states & ~(unsigned)CONFIG_POLICY_END_OF_MESSAGE;
    if (c->helo_is_us == 1 || c->helo_bare_name == 1)
        c->smtp.decide_at |= SMTP_ABOUT_GREETING;
}

/* Has this socket's own section, or -o, said so? */
static bool is_own(const struct source *s, struct span key)
{
    const struct config_origin origin = origin_of(s, setting_find(key));

    return origin.section.n > 0 ||
           (origin.file != NULL && span_eq(span_of(origin.file), SPAN("-o")));
}

static void conclude_tls(struct source *s, struct config *c)
{
    /* RFC 8314 3.3: a service of that name has TLS from the first octet on, whatever holds for the
     * others. */
    if (span_eq(c->socket, SPAN("submissions")) && !is_own(s, SPAN("tls")))
        c->smtp.tls = SMTP_TLS_IMPLICIT;
    if (c->tls_command.macros)
        mistake(s, SPAN("tls_command"), "takes no macros");
    /* A session without TLS has no use for it; --print and --check have. */
    if ((c->smtp.tls != SMTP_TLS_OFF || s->report->origin != NULL) && c->tls_command.n == 0 &&
        !defaults_tls_command(c, s->arena))
        mistake(s, SPAN("tls_command"), "the configuration is too large");
    if (c->smtp.requiretls && c->smtp.tls == SMTP_TLS_OFF && !(c->proxy_protocol && c->proxy_tls))
        clash(s, SPAN("requiretls"), SPAN("tls"), "is nothing without TLS");
}

/* What follows from several settings together. */
static void conclude(struct source *s, struct config *c)
{
    const char *wrong;

    if (c->smtp.binarymime && !c->smtp.chunking)
        clash(s, SPAN("binarymime"), SPAN("chunking"), "comes by BDAT alone");
    if (c->smtp.hostname.n == 0)
        defaults_hostname(c, s->arena);
    wrong = c->deliver.n == 0 ? defaults_delivery(c, s->arena) : NULL;
    if (wrong != NULL)
        mistake(s, SPAN("deliver"), wrong);
    if (s->good && !put_before(c, s->arena))
        mistake(s, SPAN("deliver_through"), "the configuration is too large");
    c->smtp.tolerate.domain = config_own_domain(c);
    conclude_asks(c);
    conclude_tls(s, c);
    c->smtp.auth = c->auth.value.n > 0;
    if (c->smtp.auth_required && !c->smtp.auth && !c->smtp.xclient_login)
        clash(s, SPAN("auth_required"), SPAN("auth"), "is nothing without auth");
    c->smtp.lmtp = c->protocol == 1;
    c->smtp.single = c->partial == 1;
    c->smtp.prdr = c->deliver_per == CONFIG_PER_RECIPIENT || c->deliver_replies == 1;
    if (c->deliver_per == CONFIG_PER_RECIPIENT && c->deliver_replies == 1)
        clash(s, SPAN("deliver_replies"), SPAN("deliver_per"),
              "each works only with deliver_per = message");
    if (c->deliver_format == CONFIG_FORMAT_QMAIL_QUEUE && c->deliver_replies == 1)
        clash(s, SPAN("deliver_replies"), SPAN("deliver_format"),
              "each does not work with qmail-queue, which has one reply for all");
}

bool config_load(struct config *c, struct arena *a, const struct config_source *from,
                 const struct config_report *report)
{
    struct config others;
    struct source s; /* seen_at is not looked at before it is set */
    struct text text;

    *c = config_defaults;
    s.config = s.own = c;
    s.others = &others;
    s.arena = a;
    s.from = from;
    s.file = file_of(from);
    s.line = 0;
    s.report = report;
    s.section = SPAN("");
    s.number = s.own_number = 0;
    s.overriding = false;
    s.good = true;
    memset(s.seen, 0, sizeof s.seen);
    memset(s.overridden, 0, sizeof s.overridden);
    find_socket(&s, from);
    text = read_file(a, s.file, from->file == NULL);
    if (text.p == NULL)
        mistake(&s, SPAN(""), strerror(errno));
    else
        read_settings(&s, &text);
    s.config = c;
    s.file = "-o";
    s.overriding = true;
    for (size_t i = 0; i < from->overrides; i++) {
        s.line = (unsigned)i + 1;
        override(&s, span_of(from->override[i]));
    }
    conclude(&s, c);
    c->idn = arena_get(a, sizeof *c->idn);
    if (c->idn != NULL)
        *c->idn = (struct idn){0};
    for (size_t i = 0; report->origin != NULL && i < setting_count(); i++)
        report->origin[i] = origin_of(&s, setting_at(i));
    return s.good;
}
