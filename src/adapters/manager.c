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
    return is_this_process("LISTEN_PID") || is_this_process("SYSTEMD_EXEC_PID")
               ? &manager_by_library
               : &manager_by_hand;
}

bool manager_hears(void)
{
    return environment_get("NOTIFY_SOCKET") != NULL;
}
