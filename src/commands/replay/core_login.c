#include "commands/replay/core_login.h"

struct span core_login_mechanisms(struct auth *a)
{
    struct span mechanisms;
    const char *why;

    /* As backend.c has it. */
    return auth_mechanisms(a, &mechanisms, &why) ? mechanisms : SPAN("PLAIN LOGIN");
}

enum smtp_want core_login(struct auth *a, struct smtp_session *s)
{
    static const enum smtp_login_result results[] = {
        [AUTH_DONE] = SMTP_LOGIN_DONE,   [AUTH_CHALLENGE] = SMTP_LOGIN_CHALLENGE,
        [AUTH_WRONG] = SMTP_LOGIN_WRONG, [AUTH_MALFORMED] = SMTP_LOGIN_MALFORMED,
        [AUTH_LATER] = SMTP_LOGIN_LATER, [AUTH_UNKNOWN] = SMTP_LOGIN_UNKNOWN,
    };
    const struct smtp_login *l = s->login;
    struct auth_answer answer = {.result = AUTH_WRONG};

    if (l->step == SMTP_LOGIN_CANCELLED)
        auth_cancel(a);
    else if (l->step == SMTP_LOGIN_BEGINS)
        auth_begin(a, l->mechanism, l->response.p == NULL ? NULL : &l->response, &answer);
    else
        auth_go_on(a, l->response, &answer);
    return smtp_session_login(s, results[answer.result], answer.text);
}
