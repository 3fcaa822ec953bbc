#include "adapters/notify.h"

#include "io/environment.h"

#include <string.h>

void notify_open(struct notify *n)
{
    const struct span path = span_of(environment_get("NOTIFY_SOCKET"));

    *n = (struct notify){.fd = -1, .to = {.sun_family = AF_UNIX}};
    if (path.n < 2 || path.n >= sizeof n->to.sun_path || (path.p[0] != '/' && path.p[0] != '@'))
        return;
    memcpy(n->to.sun_path, path.p, path.n);
    if (path.p[0] == '@') /* an abstract name */
        n->to.sun_path[0] = '\0';
    n->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n);
    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

void notify_send(const struct notify *n, struct span lines)
{
    if (n->fd >= 0)
        (void)!sendto(n->fd, lines.p, lines.n, MSG_DONTWAIT | MSG_NOSIGNAL,
                      (const struct sockaddr *)&n->to, n->length);
}
