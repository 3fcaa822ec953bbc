/* The environment, as the super-server left it. What a command gets of it is not decided here:
 * adapters/command.h. */
#ifndef SMTPIN_IO_ENVIRONMENT_H
#define SMTPIN_IO_ENVIRONMENT_H

/* The value of a variable, or NULL; it lives as long as the environment. `name` is not empty. */
const char *environment_get(const char *name);

#endif
