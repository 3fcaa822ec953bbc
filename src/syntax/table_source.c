#include "syntax/table_source.h"

static size_t path_at(struct span source)
{
    return span_starts_nocase(source, SPAN("cdb:"))    ? 4
           : span_starts_nocase(source, SPAN("text:")) ? 5
                                                       : 0;
}

bool table_is_meant(struct span word)
{
    return path_at(word) > 0;
}

const char *table_is_source(struct span source)
{
    const struct span path = span_from(source, path_at(source));

    if (!table_is_meant(source) || path.n == 0 || path.p[0] != '/')
        return "must be cdb:/path or text:/path";
    return source.n > TABLE_SOURCE_MAX ? "is too long" : NULL;
}
