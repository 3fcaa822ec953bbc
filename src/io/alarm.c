#include "io/alarm.h"

#include <errno.h>
#include <stddef.h>
#include <sys/time.h>

static void nothing(int sig)
{
    (void)sig;
}

/* The alarm rings again and again, should the first have come before the call had begun. A signal
 * that waits already, of an alarm that somebody else has left in this process, is taken before it.
 */
void alarm_begin(struct alarm *a, unsigned milliseconds)
{
    const struct timeval time = {.tv_usec = (suseconds_t)milliseconds * 1000};
    const struct itimerval on = {.it_interval = time, .it_value = time};
    const struct sigaction action = {.sa_handler = nothing};
    sigset_t alarms;

    sigaction(SIGALRM, &action, NULL);
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &alarms, &a->before);
    setitimer(ITIMER_REAL, &on, NULL);
}

void alarm_end(const struct alarm *a)
{
    const struct itimerval off = {.it_value = {0}};
    const int error = errno;

    setitimer(ITIMER_REAL, &off, NULL);
    sigprocmask(SIG_SETMASK, &a->before, NULL);
    errno = error;
}
