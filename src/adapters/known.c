#include "adapters/known.h"

#include "syntax/macro.h"

#define TEXT_OF(literal)                                                                           \
    {                                                                                              \
        .p = (literal), .n = sizeof(literal) - 1                                                   \
    }

struct command {
    struct span name;
    bool lines; /* prints a reply line for each recipient where it is told that they are read */
    bool one;   /* takes one recipient */
    bool qmail_queue; /* reads its envelope from descriptor 1 */
};

static const struct command commands[] = {
    {.name = TEXT_OF("smtpin-lmtp"), .lines = true},
    {.name = TEXT_OF("smtpin-maildir"), .lines = true},
    {.name = TEXT_OF("dovecot-lda"), .one = true},
    {.name = TEXT_OF("maildrop"), .one = true},
    {.name = TEXT_OF("procmail"), .one = true},
    {.name = TEXT_OF("mdeliver")},
    {.name = TEXT_OF("fdm")},
    {.name = TEXT_OF("mail.local")},
    {.name = TEXT_OF("sendmail")},
    {.name = TEXT_OF("msmtp")},
    {.name = TEXT_OF("dma")},
    {.name = TEXT_OF("nullmailer-queue")},
    {.name = TEXT_OF("redis-cli")},
    {.name = TEXT_OF("curl")},
    {.name = TEXT_OF("qmail-queue"), .qmail_queue = true},
};

/* Programs that run another one, which is the first of their words that is none of their own. */
static const struct span wrappers[] = {
    TEXT_OF("env"),     TEXT_OF("nice"),    TEXT_OF("ionice"),  TEXT_OF("timeout"),
    TEXT_OF("setpriv"), TEXT_OF("runuser"), TEXT_OF("setsid"),  TEXT_OF("stdbuf"),
    TEXT_OF("chronic"), TEXT_OF("flock"),   TEXT_OF("prlimit"),
};

static struct span base_name(struct span path)
{
    size_t slash;

    while ((slash = span_find(path, '/')) < path.n)
        path = span_from(path, slash + 1);
    return path;
}

static const struct command *find_command(struct span word)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (span_eq(base_name(word), commands[i].name))
            return &commands[i];
    return NULL;
}

static bool is_wrapper(struct span word)
{
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++)
        if (span_eq(base_name(word), wrappers[i]))
            return true;
    return false;
}

/* A wrapper's own word: an option, a number or time, a variable. */
static bool is_wrapper_word(struct span word)
{
    return word.n == 0 || word.p[0] == '-' || byte_is_digit(word.p[0]) ||
           span_find(word, '=') < word.n;
}

/* Of the words of deliver_through or deliver: the program, behind wrappers. */
static const struct command *command_among(const struct span *word, size_t n)
{
    bool wrapped = true;

    for (size_t i = 0; i < n && wrapped; i++) {
        const struct command *found = find_command(word[i]);

        if (found != NULL)
            return found;
        wrapped = is_wrapper(word[i]) || (i > 0 && is_wrapper_word(word[i]));
    }
    return NULL;
}

/* *key: the setting that names it. */
static const struct command *command_of(const struct config *c, struct span *key)
{
    const struct command *found = command_among(c->deliver.word, c->through.n);

    *key = found != NULL ? SPAN("deliver_through") : SPAN("deliver");
    return found != NULL
               ? found
               : command_among(c->deliver.word + c->through.n, c->deliver.n - c->through.n);
}

static bool names_recipients(const struct config *c)
{
    for (size_t i = 0; i < c->deliver.n; i++)
        if (macro_is_per_recipient(c->deliver.word[i]))
            return true;
    return false;
}

struct known_clash known_clash(const struct config *c)
{
    struct known_clash clash = {.what = NULL};
    const struct command *command = command_of(c, &clash.with);
    const bool together = c->deliver_per == CONFIG_PER_MESSAGE;

    if (command == NULL || c->embedded)
        return clash;
    if (c->deliver_format == CONFIG_FORMAT_QMAIL_QUEUE) {
        clash.key = SPAN("deliver_format");
        clash.what = command->qmail_queue
                         ? NULL
                         : "this command does not read the envelope as qmail-queue does";
    } else if (command->qmail_queue) {
        clash.key = SPAN("deliver_format");
        clash.what = "qmail-queue needs deliver_format = qmail-queue";
    } else if (c->deliver_replies == 1 && !command->lines) {
        clash.key = SPAN("deliver_replies");
        clash.what = "this command prints no line for each recipient: clients would hear 451 and "
                     "send again, though the mail is stored";
    } else if (together && command->one && names_recipients(c)) {
        clash.key = SPAN("deliver_per");
        clash.what = "this command takes one recipient: set deliver_per = recipient";
    } else if (together && command->lines && c->deliver_replies == 0 && names_recipients(c)) {
        clash.key = SPAN("deliver_replies");
        clash.what =
            "note: if one of several recipients is refused, the reply for all is 451; with "
            "each, every recipient has a reply of its own";
        clash.harmless = true;
    }
    return clash;
}
