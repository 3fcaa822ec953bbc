/* smtpin-tls: TLS for smtpin, in a process of its own. See smtpin-tls(8). */
#include "commands/tls/check.h"
#include "commands/tls/command.h"
#include "commands/tls/context.h"
#include "commands/tls/report.h"
#include "commands/tls/serve.h"
#include "commands/tls/service.h"
#include "commands/tls/session.h"
#include "io/descriptors.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

/* The memory of this process has keys in it: no core dump, no debugger of the same user. */
static void keep_secret(void)
{
    prctl(PR_SET_DUMPABLE, 0);
}

static int serve_one(const struct tls_options *o)
{
    struct tls_service s;
    bool done;

    service_open_patiently(&s, o);
    service_report(&s);
    done = session_serve(STDIN_FILENO, &s);
    /* The kernel frees all of it, sooner. */
    _exit(done ? EX_OK : EX_UNAVAILABLE);
}

int main(int argc, char **argv)
{
    struct tls_options o;

    switch (tls_options_read(&o, argc, argv)) {
    case TLS_OPTIONS_DONE:
        return EX_OK;
    case TLS_OPTIONS_WRONG:
        return EX_USAGE;
    case TLS_OPTIONS_OK:
        break;
    }
    if (!descriptors_fill_standard() || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return EX_OSERR;
    keep_secret();
    if (o.mode == TLS_WRAP || o.mode == TLS_UCSPI)
        return o.mode == TLS_WRAP ? command_wrap(&o) : command_ucspi(&o);
    if (!context_start()) {
        report(LOG_ERR, "OpenSSL does not start");
        return EX_SOFTWARE;
    }
    switch (o.mode) {
    case TLS_SESSION:
    case TLS_CLIENT:
        return serve_one(&o);
    case TLS_SERVE:
        return serve(&o);
    case TLS_CHECK:
        return check(&o);
    default:
        return EX_USAGE;
    }
}
