#include "config/report.h"

#include "config/setting.h"

/* .file NULL: it is not known, or nowhere. */
static struct config_origin find_origin(const struct config_report *report, struct span key)
{
    const struct setting *k = setting_find(key);
    const struct config_origin nowhere = {.file = NULL};

    return report->origin == NULL || k == NULL ? nowhere : report->origin[setting_number(k)];
}

static void complain_at(const struct config_report *report, struct config_origin origin,
                        struct span key, const char *what)
{
    if (report->say != NULL)
        report->say(report->context, origin.file != NULL ? origin.file : "setup", origin.line, key,
                    what);
}

void config_complain(const struct config_report *report, struct span key, const char *what)
{
    complain_at(report, find_origin(report, key), key, what);
}

void config_complain_of_both(const struct config_report *report, struct span key, struct span other,
                             const char *what)
{
    const struct config_origin first = find_origin(report, key);
    const struct config_origin second = find_origin(report, other);
    char room[512];
    struct text whole = TEXT(room);

    text_adds(&whole, what);
    if (first.file != NULL && second.file != NULL) {
        text_adds(&whole, " (");
        text_add(&whole, other);
        text_adds(&whole, ": ");
        text_adds(&whole, second.file);
        text_addc(&whole, ':');
        text_addn(&whole, second.line, 1);
        text_addc(&whole, ')');
    }
    complain_at(report, first.file != NULL ? first : second, key, text_string(&whole));
}
