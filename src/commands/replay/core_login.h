/* Logins where the core is played with alone (core.h): those who check them are asked as smtpin
 * asks them. */
#ifndef SMTPIN_REPLAY_CORE_LOGIN_H
#define SMTPIN_REPLAY_CORE_LOGIN_H

#include "adapters/auth.h"
#include "smtp/session.h"

/* The mechanisms that there are now. */
struct span core_login_mechanisms(struct auth *a);
/* One step of the session's login: SMTP_NEXT_LOGIN. */
enum smtp_want core_login(struct auth *a, struct smtp_session *s);

#endif
