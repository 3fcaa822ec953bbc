/* The directory in which a transcript is played: a file for each thing that a stand-in is told or
 * has written down, and for each table of the transcript. */
#ifndef SMTPIN_REPLAY_PLACE_H
#define SMTPIN_REPLAY_PLACE_H

#include "base/text.h"
#include "commands/replay/transcript.h"

enum { PLACE_PATH_MAX = 4096 };

/* Makes it; its absolute path, terminated, is in `room`, which has PLACE_PATH_MAX octets. With
 * `everybody`, other users may add files. False and errno. */
bool place_make(char *room, bool everybody);
/* With all that is in it. */
void place_remove(const char *directory);

/* May a list of settings have its path? Not with blanks in it. If not: errno. */
bool place_is_plain(const char *directory);
/* "DIRECTORY/NAME", terminated, in `path`. */
const char *place_file(struct text *path, const char *directory, struct span name);
/* "DIRECTORY/KIND.NUMBER.WHAT", the same. */
const char *place_numbered(struct text *path, const char *directory, enum told_kind kind, size_t i,
                           const char *what);
/* A new file; -1 and errno. */
int place_create(const char *path);
bool place_write(int fd, struct span bytes);
/* A new file with these octets, which appears as a whole. False and errno. */
bool place_put(const char *path, struct span bytes);
/* The whole file, into the arena. */
bool place_read(const char *path, struct arena *a, struct span *out);

#endif
