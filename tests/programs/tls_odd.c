/* tls_odd PORT starttls|implicit VERSION SNI [CERTIFICATE KEY] <DIALOG: an SMTP client that writes
 * the dialog and prints what it hears, by the library that is chosen when it is compiled. */
#include <arpa/inet.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined ODD_LIBTLS
#include <tls.h>

static struct tls *tls;

static void open_tls(int fd, char **argv, int argc)
{
    struct tls_config *c = tls_config_new();

    tls_config_insecure_noverifycert(c);
    tls_config_insecure_noverifyname(c);
    tls_config_set_protocols(c, strcmp(argv[3], "TLSv1.3") == 0 ? TLS_PROTOCOL_TLSv1_3
                                                                : TLS_PROTOCOL_TLSv1_2);
    if (argc > 6 && tls_config_set_keypair_file(c, argv[5], argv[6]) < 0)
        errx(1, "%s", tls_config_error(c));
    tls = tls_client();
    if (tls_configure(tls, c) < 0 ||
        tls_connect_socket(tls, fd, argv[4][0] == '\0' ? NULL : argv[4]) < 0 ||
        tls_handshake(tls) < 0)
        errx(1, "%s", tls_error(tls));
}

static long put(const char *p, size_t n)
{
    return tls_write(tls, p, n);
}

static long get(char *p, size_t n)
{
    return tls_read(tls, p, n);
}

#elif defined ODD_WOLFSSL
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

static WOLFSSL *tls;

static void open_tls(int fd, char **argv, int argc)
{
    WOLFSSL_CTX *c = wolfSSL_CTX_new(strcmp(argv[3], "TLSv1.3") == 0 ? wolfTLSv1_3_client_method()
                                                                     : wolfTLSv1_2_client_method());

    wolfSSL_CTX_set_verify(c, WOLFSSL_VERIFY_NONE, NULL);
    if (argv[4][0] != '\0')
        wolfSSL_CTX_UseSNI(c, WOLFSSL_SNI_HOST_NAME, argv[4], (unsigned short)strlen(argv[4]));
    if (argc > 6 &&
        (wolfSSL_CTX_use_certificate_file(c, argv[5], WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS ||
         wolfSSL_CTX_use_PrivateKey_file(c, argv[6], WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS))
        errx(1, "the certificate");
    tls = wolfSSL_new(c);
    wolfSSL_set_fd(tls, fd);
    if (wolfSSL_connect(tls) != WOLFSSL_SUCCESS)
        errx(1, "handshake: %d", wolfSSL_get_error(tls, 0));
}

static long put(const char *p, size_t n)
{
    return wolfSSL_write(tls, p, (int)n);
}

static long get(char *p, size_t n)
{
    return wolfSSL_read(tls, p, (int)n);
}

#else
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>

static mbedtls_ssl_context tls;

static void open_tls(int fd, char **argv, int argc)
{
    static mbedtls_ssl_config c;
    static mbedtls_entropy_context entropy;
    static mbedtls_ctr_drbg_context random;
    static mbedtls_x509_crt certificate;
    static mbedtls_pk_context key;
    static mbedtls_net_context net;
    int result;

    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&random);
    mbedtls_ssl_config_init(&c);
    mbedtls_ssl_init(&tls);
    mbedtls_x509_crt_init(&certificate);
    mbedtls_pk_init(&key);
    net.fd = fd;
    if (mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, NULL, 0) != 0 ||
        mbedtls_ssl_config_defaults(&c, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) != 0)
        errx(1, "start");
    mbedtls_ssl_conf_rng(&c, mbedtls_ctr_drbg_random, &random);
    mbedtls_ssl_conf_authmode(&c, MBEDTLS_SSL_VERIFY_NONE);
    if (argc > 6 && (mbedtls_x509_crt_parse_file(&certificate, argv[5]) != 0 ||
                     mbedtls_pk_parse_keyfile(&key, argv[6], NULL) != 0 ||
                     mbedtls_ssl_conf_own_cert(&c, &certificate, &key) != 0))
        errx(1, "the certificate");
    if (mbedtls_ssl_setup(&tls, &c) != 0 ||
        (argv[4][0] != '\0' && mbedtls_ssl_set_hostname(&tls, argv[4]) != 0))
        errx(1, "setup");
    mbedtls_ssl_set_bio(&tls, &net, mbedtls_net_send, mbedtls_net_recv, NULL);
    result = mbedtls_ssl_handshake(&tls);
    if (result != 0)
        errx(1, "handshake: -0x%x", (unsigned)-result);
}

static long put(const char *p, size_t n)
{
    return mbedtls_ssl_write(&tls, (const unsigned char *)p, n);
}

static long get(char *p, size_t n)
{
    return mbedtls_ssl_read(&tls, (unsigned char *)p, n);
}
#endif

/* One line of a reply in plain text is enough here: the last one of it. */
static void read_plain(int fd)
{
    char line[1024];
    size_t n = 0;

    while (n < sizeof line && read(fd, line + n, 1) == 1) {
        if (line[n++] != '\n')
            continue;
        if (n > 3 && line[3] == ' ')
            return;
        n = 0;
    }
    errx(1, "no reply");
}

int main(int argc, char **argv)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    static const char *const first[] = {"EHLO client.example.com\r\n", "STARTTLS\r\n"};
    static char room[65536];
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    size_t length = fread(room, 1, sizeof room, stdin);
    long n;

    if (argc < 5)
        errx(64, "usage");
    a.sin_port = htons((unsigned short)atoi(argv[1]));
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
        err(1, "connect");
    if (strcmp(argv[2], "starttls") == 0) {
        read_plain(fd);
        for (int i = 0; i < 2; i++) {
            if (write(fd, first[i], strlen(first[i])) < 0)
                err(1, "write");
            read_plain(fd);
        }
    }
    open_tls(fd, argv, argc);
    for (size_t done = 0; done < length; done += (size_t)n) {
        n = put(room + done, length - done);
        if (n <= 0)
            errx(1, "write: %ld", n);
    }
    while ((n = get(room, sizeof room)) > 0)
        fwrite(room, 1, (size_t)n, stdout);
    return 0;
}
