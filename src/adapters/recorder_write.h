/* The file of a recording (recorder.h): what is written into it, and how bytes are written there
 * (smtpin-transcript(5)). Each does nothing where nothing is recorded any more. */
#ifndef SMTPIN_ADAPTERS_RECORDER_WRITE_H
#define SMTPIN_ADAPTERS_RECORDER_WRITE_H

#include "adapters/recorder_state.h"

/* As it is. What is more than trace_size ends the recording, behind its last whole exchange. */
void recorder_put(struct recorder *r, struct span s);
void recorder_put_number(struct recorder *r, const char *tag, uint64_t number, const char *end);
/* A line, as it is, behind `tag`; with escapes. */
void recorder_put_line(struct recorder *r, const char *tag, struct span value);
void recorder_put_escaped_line(struct recorder *r, const char *tag, struct span s);
void recorder_put_escaped(struct recorder *r, struct span s);
/* The rest of a line, which is a value: a word of the format's own (`words`, with blanks between)
 * at its beginning, and blanks around it, would be lost otherwise. */
void recorder_put_text(struct recorder *r, struct span s, const char *words);
void recorder_flush(struct recorder *r);

#endif
