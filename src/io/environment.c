#include "io/environment.h"

#include <stddef.h>
#include <unistd.h>

/* Each session asks for a dozen names, of which most are not there: what does not begin alike is
 * passed over without a call. getenv(3) measures the name and compares whole strings each time. */
const char *environment_get(const char *name)
{
    char *const none = NULL, *const *variable = environ == NULL ? &none : environ;
    const char *at;

    for (; (at = *variable) != NULL; variable++) {
        size_t i = 1;

        if (at[0] != name[0])
            continue;
        while (name[i] != '\0' && at[i] == name[i])
            i++;
        if (name[i] == '\0' && at[i] == '=')
            return at + i + 1;
    }
    return NULL;
}
