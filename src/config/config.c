#include "config/config.h"

#include "syntax/table_source.h"

bool config_is_socket_name(struct span name)
{
    for (size_t i = 0; i < name.n; i++)
        if (!byte_is_alpha(name.p[i]) && !byte_is_digit(name.p[i]) &&
            span_find(SPAN("._-"), name.p[i]) == 3)
            return false;
    return name.n > 0 && name.n <= CONFIG_SOCKET_MAX;
}

struct span config_own_domain(const struct config *c)
{
    struct span left = c->domains, word;

    while (span_word(&left, " \t,", &word))
        if (word.p[0] != '.' && word.p[0] != '[' && span_is_ascii(word) &&
            table_is_source(word) != NULL)
            return word;
    return c->smtp.hostname;
}
