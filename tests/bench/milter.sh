#!/bin/sh
# milter.sh [ROUNDS]: the CPU of a session with a message of 64 KiB that one milter sees, which changes nothing: smtpin with all
# that it starts, beside Postfix's smtpd and cleanup. Needs what policy.sh needs, which prepares all. Prints tables in Markdown.
SMTPIN_BENCH=milter exec sh "$(dirname "$0")/policy.sh" "$@"
