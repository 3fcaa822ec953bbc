#include "syntax/policy_server.h"

enum { SOCKET_PATH_MAX = 107 }; /* sockaddr_un.sun_path, terminated: unix(7) */

static bool is_port(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!byte_is_digit(s.p[i]) && !byte_is_alpha(s.p[i]) && s.p[i] != '-')
            return false;
    return s.n > 0;
}

const char *policy_is_server(struct span name)
{
    const struct span inet = span_from(name, 5);
    size_t colon = inet.n;

    if (name.n > POLICY_SERVER_MAX)
        return "has a server whose name is too long";
    if (span_starts_nocase(name, SPAN("unix:/")))
        return name.n - 5 > SOCKET_PATH_MAX ? "has a path that is too long for a socket" : NULL;
    while (colon > 0 && inet.p[colon - 1] != ':')
        colon--;
    /* (A host's name has no '/', and connect_server would take it for a path.) */
    if (!span_starts_nocase(name, SPAN("inet:")) || colon < 2 || !is_port(span_from(inet, colon)) ||
        span_find(inet, '/') < inet.n)
        return "must be unix:/path or inet:host:port";
    return NULL;
}
