#include "adapters/manager.h"

#include "base/number.h"
#include "io/environment.h"

#include <unistd.h>

static bool is_this_process(const char *variable)
{
    const char *text = environment_get(variable);
    uint64_t pid;

    return text != NULL && number_parse(span_of(text), UINT64_MAX, &pid) == NUMBER_OK &&
           pid == (uint64_t)getpid();
}

/* Both are inherited by those that this process starts, or that a super-server starts, whose price
 * would be doubled: so it is the process's number that counts (systemd.exec(5)). */
const struct manager *manager_of_process(void)
{
    return is_this_process("LISTEN_PID") || manager_started_this() ? &manager_by_library
                                                                   : &manager_by_hand;
}

bool manager_started_this(void)
{
    return is_this_process("SYSTEMD_EXEC_PID");
}

uint64_t manager_watchdog(void)
{
    const char *text = environment_get("WATCHDOG_USEC");
    uint64_t micros;

    if (text == NULL || number_parse(span_of(text), UINT64_MAX, &micros) != NUMBER_OK ||
        (environment_get("WATCHDOG_PID") != NULL && !is_this_process("WATCHDOG_PID")))
        return 0;
    if (micros == 0 || micros > (uint64_t)1 << 50) /* never, or as good as */
        return 0;
    return micros < 2000 ? 2 : micros / 1000;
}

bool manager_hears(void)
{
    return span_of(environment_get("NOTIFY_SOCKET")).n > 0;
}
