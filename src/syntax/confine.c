#include "syntax/confine.h"

static const struct {
    struct tag name;
    enum confine_kind kind;
    unsigned access;
} names[] = {
    {TAG("no"), CONFINE_OFF, 0},
    {TAG("auto"), CONFINE_AUTO, 0},
    {TAG("tcp"), CONFINE_TCP, 0},
    {TAG("ro:/"), CONFINE_PATH, CONFINE_READ},
    {TAG("exec:/"), CONFINE_PATH, CONFINE_EXECUTE},
    {TAG("rw:/"), CONFINE_PATH, CONFINE_WRITE},
};

bool confine_read(struct span word, struct confine_word *out)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct span name = tag_span(&names[i].name);
        const bool is_path = names[i].kind == CONFINE_PATH;

        if (!span_eq(is_path ? span_first(word, name.n) : word, name))
            continue;
        *out = (struct confine_word){.kind = names[i].kind, .access = names[i].access};
        if (is_path)
            out->path = span_from(word, name.n - 1);
        return true;
    }
    return false;
}
