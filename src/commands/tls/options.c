#include "commands/tls/options.h"

#include "base/number.h"
#include "commands/tls/report.h"

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

static const char usage_text[] =
    "usage: smtpin-tls [OPTIONS] --session\n"
    "       smtpin-tls [OPTIONS] --serve [SOCKET]\n"
    "       smtpin-tls [OPTIONS] --client [NAME]\n"
    "       smtpin-tls [OPTIONS] --wrap -- COMMAND [ARGUMENT...]\n"
    "       smtpin-tls [OPTIONS] --ucspi -- COMMAND [ARGUMENT...]\n"
    "       smtpin-tls [OPTIONS] --check\n"
    "TLS for smtpin.\n"
    "  --session  serve one session of smtpin, whose socket is descriptor 0\n"
    "  --serve    serve many, on the socket that systemd passes, or on SOCKET\n"
    "  --client   as --session, for the client's side; NAME is the server's name\n"
    "  --wrap     TLS on descriptors 0 and 1, then COMMAND with the plain text\n"
    "  --ucspi    COMMAND at once; TLS when it asks (UCSPI-TLS)\n"
    "  --check    print the certificates, their TLSA records and what is wrong\n"
    "Options:\n"
    "  --certificate \"CHAIN [KEY]\"  file, two files, directory or self-signed; repeated\n"
    "  --hostname NAME              instead of this host's name\n"
    "  --option NAME=VALUE          a setting of SSL_CONF_cmd(3); repeated\n"
    "  --client-ca FILE             verify certificates of clients with these\n"
    "  --ask-client                 ask clients for a certificate\n"
    "  --timeout TIME               for the handshake (30s)\n"
    "  --max-sessions N             at once, with --serve (400)\n"
    "Manual: smtpin-tls(8)\n";

enum tls_option {
    OPTION_CERTIFICATE = 1000,
    OPTION_SETTING,
    OPTION_HOSTNAME,
    OPTION_CLIENT_CA,
    OPTION_ASK_CLIENT,
    OPTION_TIMEOUT,
    OPTION_MAX_SESSIONS,
    OPTION_HELP,
    OPTION_VERSION,
};

/* The value of a mode is enum tls_mode. */
static const struct option table[] = {
    {"session", no_argument, NULL, TLS_SESSION},
    {"client", no_argument, NULL, TLS_CLIENT},
    {"serve", no_argument, NULL, TLS_SERVE},
    {"wrap", no_argument, NULL, TLS_WRAP},
    {"ucspi", no_argument, NULL, TLS_UCSPI},
    {"check", no_argument, NULL, TLS_CHECK},
    {"certificate", required_argument, NULL, OPTION_CERTIFICATE},
    {"option", required_argument, NULL, OPTION_SETTING},
    {"hostname", required_argument, NULL, OPTION_HOSTNAME},
    {"client-ca", required_argument, NULL, OPTION_CLIENT_CA},
    {"ask-client", no_argument, NULL, OPTION_ASK_CLIENT},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"max-sessions", required_argument, NULL, OPTION_MAX_SESSIONS},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {0},
};

static enum tls_options_result usage(void)
{
    fputs(usage_text, stderr);
    return TLS_OPTIONS_WRONG;
}

static bool set_hostname(struct tls_options *o, const char *name)
{
    const size_t n = strlen(name);

    if (n == 0 || n >= sizeof o->hostname)
        return false;
    memcpy(o->hostname, name, n + 1);
    return true;
}

/* False: there are too many, or the value is wrong. */
static bool take(struct tls_options *o, int option, const char *value)
{
    switch (option) {
    case OPTION_CERTIFICATE:
        if (o->certificates == TLS_CERTIFICATES_MAX)
            return false;
        o->certificate[o->certificates++] = value;
        return true;
    case OPTION_SETTING:
        if (o->settings == TLS_SETTINGS_MAX || strchr(value, '=') == NULL)
            return false;
        o->setting[o->settings++] = value;
        return true;
    case OPTION_HOSTNAME:
        return set_hostname(o, value);
    case OPTION_CLIENT_CA:
        o->client_ca = value;
        return true;
    case OPTION_ASK_CLIENT:
        o->ask_client = true;
        return true;
    case OPTION_TIMEOUT:
        return number_parse_time(span_of(value), 3600000, &o->timeout) == NUMBER_OK &&
               o->timeout > 0;
    case OPTION_MAX_SESSIONS:
        return number_parse(span_of(value), 100000, &o->max_sessions) == NUMBER_OK &&
               o->max_sessions > 0;
    default:
        if (o->mode != TLS_NO_MODE)
            return false;
        o->mode = (enum tls_mode)option;
        return true;
    }
}

/* The words behind the options. */
static bool take_rest(struct tls_options *o, int n, char *const *words)
{
    switch (o->mode) {
    case TLS_WRAP:
    case TLS_UCSPI:
        o->command = words;
        return n > 0;
    case TLS_CLIENT:
    case TLS_SERVE:
        o->place = n > 0 ? words[0] : NULL;
        return n <= 1 && (n == 0 || words[0][0] != '\0');
    case TLS_SESSION:
    case TLS_CHECK:
        return n == 0;
    default:
        return false;
    }
}

enum tls_options_result tls_options_read(struct tls_options *o, int argc, char **argv)
{
    int option;

    *o = (struct tls_options){.timeout = 30000, .max_sessions = 400};
    if (gethostname(o->hostname, sizeof o->hostname - 1) < 0 || o->hostname[0] == '\0')
        set_hostname(o, "localhost");
    while ((option = getopt_long(argc, argv, "+", table, NULL)) != -1) {
        if (option == OPTION_HELP)
            return fputs(usage_text, stdout) < 0 ? TLS_OPTIONS_WRONG : TLS_OPTIONS_DONE;
        if (option == OPTION_VERSION)
            return puts("smtpin-tls " SMTPIN_VERSION) < 0 ? TLS_OPTIONS_WRONG : TLS_OPTIONS_DONE;
        if (option == '?')
            return usage();
        if (!take(o, option, optarg)) {
            if (optarg != NULL)
                report(LOG_ERR, "wrong option: %s", optarg);
            return usage();
        }
    }
    if (!take_rest(o, argc - optind, argv + optind))
        return usage();
    return TLS_OPTIONS_OK;
}
