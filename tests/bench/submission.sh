#!/bin/sh
# submission.sh [ROUNDS]: the CPU of a session that submits a message (TLS from the first octet on, AUTH PLAIN, 2 KiB), smtpin's
# beside those of Postfix and Exim; Dovecot checks the logins of smtpin and Postfix, and its CPU is told by itself. Needs what
# tls.sh needs, which prepares all, and dovecot. Prints tables in Markdown.
SMTPIN_BENCH=submission exec sh "$(dirname "$0")/tls.sh" "$@"
