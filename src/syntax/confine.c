#include "syntax/confine.h"

static const struct {
    struct span name;
    enum confine_kind kind;
    unsigned access;
} names[] = {
    {{.p = "no", .n = 2}, CONFINE_OFF, 0},
    {{.p = "auto", .n = 4}, CONFINE_AUTO, 0},
    {{.p = "tcp", .n = 3}, CONFINE_TCP, 0},
    {{.p = "ro:/", .n = 4}, CONFINE_PATH, CONFINE_READ},
    {{.p = "exec:/", .n = 6}, CONFINE_PATH, CONFINE_EXECUTE},
    {{.p = "rw:/", .n = 4}, CONFINE_PATH, CONFINE_WRITE},
};

bool confine_read(struct span word, struct confine_word *out)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct span name = names[i].name;
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
