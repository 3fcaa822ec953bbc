/* What recorder.h and those that write for it share. */
#ifndef SMTPIN_ADAPTERS_RECORDER_STATE_H
#define SMTPIN_ADAPTERS_RECORDER_STATE_H

#include "base/text.h"

#include <stdint.h>

struct recorder {
    int fd; /* -1: nothing is recorded */
    bool messages;
    bool in_line;    /* the client's last bytes did not end a line; */
    bool in_command; /* nor has the session seen one */
    size_t clear;    /* octets of this line that may be written as they are; others are masked */
    bool response;   /* what is masked is base64, or should be (RFC 4954 4) */
    bool challenge;  /* so is the next reply */
    uint64_t limit, total;
    uint64_t boundary; /* where the last whole exchange ends */
    size_t deliveries;
    struct text out; /* set by the caller: some 4 KiB */
};

#endif
