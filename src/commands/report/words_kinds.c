#include "commands/report/words.h"

const struct words_kind words_kinds[LOG_KINDS] = {
    [LOG_SESSION] =
        {
            "An SMTP session has ended",
            "smtpin(8)",
            "The client @SMTP_CLIENT_ADDRESS@ (HELO @SMTP_HELO@) gave @SMTP_COMMANDS@\n"
            "commands. smtpin delivered @SMTP_MESSAGES@ messages and refused @SMTP_REFUSALS@ "
            "commands.\n"
            "\n"
            "What ended the session: @SMTP_END@. With \"quit\" and \"eof\" the client ended it. A\n"
            "name such as max_errors is the limit in smtpin.conf(5) that ended it.\n",
        },
    [LOG_TRANSACTION] =
        {
            "An SMTP transaction has ended: @SMTP_RESULT@",
            "smtpin-delivery(7)",
            "From @SMTP_REVERSE_PATH@ to @SMTP_FORWARD_PATH@, client @SMTP_CLIENT_ADDRESS@.\n"
            "The client was told: @SMTP_REPLY@\n"
            "\n"
            "\"deferred\": the delivery command did not say that the message is safe, so the\n"
            "client will try again. Look at SMTP_COMMAND_END=, SMTP_COMMAND_STATUS= and\n"
            "SMTP_COMMAND_STDERR= of this record. \"abandoned\": the client went away or\n"
            "started again before the message was complete. Nothing was delivered.\n",
        },
    [LOG_REFUSAL] =
        {
            "An SMTP command was refused by @SMTP_RULE@",
            "smtpin.conf(5)",
            "The client @SMTP_CLIENT_ADDRESS@ was told: @SMTP_REPLY@\n"
            "\n"
            "If a table, a check command or a policy server refused it: asked was @SMTP_SOURCE@,\n"
            "found was the key @SMTP_KEY@, which says @SMTP_SAID@.\n"
            "\n"
            "Should smtpin have accepted this? \"relay\" means that `domains` does not have the\n"
            "recipient's domain and `relay_clients` does not have the client. The other names\n"
            "are limits or rules of the protocol. faq.md, installed with the documentation,\n"
            "has each of them, and what to change.\n",
        },
    [LOG_CONFIGURATION] =
        {
            "The configuration of smtpin has a mistake",
            "smtpin.conf(5)",
            "@SMTP_FILE@, line @SMTP_LINE@, key @SMTP_KEY@: @SMTP_MISTAKE@\n"
            "\n"
            "With the key \"auth\" and no file: nobody could say whether a password is right, and "
            "the\n"
            "client @SMTP_CLIENT_ADDRESS@ was told 454. `smtpin --check` asks the same server.\n"
            "\n"
            "`smtpin --check` shows all mistakes at once. Until you correct them, clients hear\n"
            "421 and will come back later: smtpin accepts no mail, and loses none.\n"
            "\n"
            "Two exceptions: a listening smtpin with the event \"kept\" goes on with its old\n"
            "configuration; and a text that begins with \"note\" does not stop any mail.\n",
        },
    [LOG_CRASH] =
        {
            "A process that served an SMTP session has died",
            "smtpin(8)",
            "The session of client @SMTP_CLIENT_ADDRESS@ (process @SMTP_PROCESS@) ended by\n"
            "signal @SMTP_SIGNAL@ or status @SMTP_STATUS@ instead of by itself. Other sessions\n"
            "go on. If the client did not hear 250 for a message, it sends the message again.\n"
            "\n"
            "With a violation (@SMTP_VIOLATION@, request @SMTP_REQUEST@), the process\n"
            "that read the client asked for something that no session asks for. Signal 31 is\n"
            "a system call that it may not make. Either is a defect, or an attack on smtpin\n"
            "that has worked so far: please report it. The process could only send mail, as\n"
            "any client can (docs/security.md).\n"
            "\n"
            "Signal 9 without a violation is the kernel's if memory is short: look at\n"
            "MemoryMax= of smtpin.slice. Signals 4, 6, 7, 8 and 11 are defects. If cores are\n"
            "kept, `coredumpctl info` shows where. Please report them with the lines of this "
            "session.\n",
        },
    [LOG_SERVICE] =
        {
            "smtpin, listening: @SMTP_EVENT@",
            "smtpin(8)",
            "@SMTP_CONNECTIONS@ connections now, @SMTP_ACCEPTED@ accepted and\n"
            "@SMTP_REJECTED@ refused since it was started.\n"
            "\n"
            "\"kept\": the new configuration has a mistake, and the old one stays in force. The\n"
            "record before this one says where the mistake is. Correct it,\n"
            "see that `smtpin --check` finds nothing, and run `systemctl reload smtpin.service`.\n"
            "\"idle\": there was no connection for listen_idle. The next one starts smtpin again.\n"
            "\"penalty\": sessions from @SMTP_CLIENT_ADDRESS@ were a @SMTP_CAUSE@ matter "
            "(\"login\":\n"
            "wrong passwords; \"abuse\"; \"crash\"), and new ones get 421 for @SMTP_SECONDS@ "
            "seconds.\n"
            "See penalty_login in smtpin.conf(5).\n",
        },
    [LOG_OPINION] =
        {
            "A policy server or a check command: @SMTP_OPINION@",
            "smtpin.conf(5)",
            "@SMTP_SOURCE@ was asked about the client @SMTP_CLIENT_ADDRESS@, recipient\n"
            "@SMTP_FORWARD_PATH@, and said: @SMTP_SAID@\n"
            "\n"
            "\"failed\": the policy server gave no usable answer; policy_default was used.\n"
            "\"unknown\", \"redirect\", \"prepend\": it wants what smtpin can't do here. "
            "\"warn\",\n"
            "\"info\", \"hold\" and \"discard\" are its actions. \"exit_\" and a number, "
            "\"signal\",\n"
            "\"timeout\", \"not_started\" and \"bad_output\" are the end of a check command, "
            "which\n"
            "said this on its descriptor 2.\n",
        },
    [LOG_TLS] =
        {
            "A session has no TLS: @SMTP_TLS@",
            "smtpin-tls(8)",
            "The client @SMTP_CLIENT_ADDRESS@ wanted TLS. The reason against it: @SMTP_REASON@\n"
            "\n"
            "\"unavailable\": smtpin-tls can't be reached or started, or has no certificate. With\n"
            "STARTTLS the client was told 454, and may send in plain text. `smtpin --check` looks\n"
            "at the certificates. `systemctl status smtpin-tls.socket smtpin-tls.service` says\n"
            "whether the service runs. Without the service, the user that smtpin runs as must be\n"
            "able to read the key.\n"
            "\n"
            "\"failed\": the handshake failed, and the connection was closed. The client offered\n"
            "@SMTP_TLS_OFFERED@. Most such clients are scanners, or offer only versions or "
            "ciphers\n"
            "that are too old. If one is important to you, look at tls_options in "
            "smtpin.conf(5).\n",
        },
};
