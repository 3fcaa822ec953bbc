/* What smtpin (or smtpin-replay) and smtpin-tls say to each other: packets on a local socket
 * (SOCK_SEQPACKET), in this order.
 *
 *   smtpin      BEGIN: "begin", then fields; with it three descriptors: the connection to read
 *               from, the connection to write to (the same one twice, where it is a socket), and
 *               smtpin-tls's end of a stream for the plain text
 *   smtpin-tls  "ready", or "unavailable" and a reason: there is no certificate, for example
 *   smtpin      "go", once it has sent its last plain text; from here on the connection belongs to
 *               smtpin-tls alone
 *   smtpin-tls  "secure" and the facts, or "failed", a reason, and what is known of the client
 *
 * Each packet is its word and a NUL, then fields, each NAME=VALUE and a NUL, in any order. A field
 * that is not known is passed over: a new version may add some. Then smtpin-tls carries the octets
 * between the connection and the stream until one of them ends; nothing more is said.
 *
 * UCSPI-TLS has facts in the same form, without the word: there an empty field is the end. */
#ifndef SMTPIN_SYNTAX_TLS_TALK_H
#define SMTPIN_SYNTAX_TLS_TALK_H

#include "base/span.h"

enum {
    TLS_PACKET_MAX = 8192,
    TLS_VALUE_MAX = 1000, /* octets of a value: what is longer is cut by smtpin-tls */
};

/* Of BEGIN: "smtpin-tls.version" is TLS_TALK_VERSION; "timeout" is milliseconds for the handshake,
 * from "go" on. */
#define TLS_TALK_VERSION "1"
#define TLS_FIELD_VERSION "version"
#define TLS_FIELD_TIMEOUT "timeout"
/* Of "unavailable" and "failed". */
#define TLS_FIELD_REASON "reason"
/* Of "failed": the versions that the client offered, "TLSv1.3 TLSv1.2"; SSL_TLS_SNI too. */
#define TLS_FIELD_OFFERED "offered"
/* Of "secure": where the plain text goes on: "stream", the descriptor of BEGIN; or "socket", the
 * connection itself (kernel TLS). smtpin takes "stream" alone so far. */
#define TLS_FIELD_PLAIN "plain"

/* Facts, named as mod_ssl names them where it has such a name. Values are printable ASCII. */
#define TLS_FACT_PROTOCOL "SSL_PROTOCOL"       /* TLSv1.3 */
#define TLS_FACT_CIPHER "SSL_CIPHER"           /* OpenSSL's name of it */
#define TLS_FACT_CIPHER_IANA "SSL_CIPHER_IANA" /* TLS_AES_256_GCM_SHA384 */
#define TLS_FACT_BITS "SSL_CIPHER_USEKEYSIZE"  /* 256 */
#define TLS_FACT_GROUP "SSL_GROUP"             /* x25519, as IANA writes it; may be missing */
#define TLS_FACT_SNI "SSL_TLS_SNI"             /* the client's; missing: it sent none */
#define TLS_FACT_VERIFY "SSL_CLIENT_VERIFY"    /* NONE, SUCCESS, FAILED:reason */
#define TLS_FACT_SUBJECT "SSL_CLIENT_S_DN"     /* RFC 2253 */
#define TLS_FACT_ISSUER "SSL_CLIENT_I_DN"      /* RFC 2253 */
#define TLS_FACT_NAME "SSL_CLIENT_NAME" /* the first DNS name of the certificate, or its CN */
#define TLS_FACT_FINGERPRINT "SSL_CLIENT_FINGERPRINT" /* SHA-256 of the certificate, AA:BB:... */
#define TLS_FACT_KEY_FINGERPRINT "SSL_CLIENT_KEY_FINGERPRINT" /* of its public key (SPKI) */
#define TLS_FACT_SERVER_END "SSL_SERVER_V_END" /* our certificate ends: 2026-12-31T23:59:59Z */
/* Channel bindings (RFC 9266, RFC 5929), in small hexadecimal digits. */
#define TLS_FACT_EXPORTER "SSL_TLS_EXPORTER"
#define TLS_FACT_END_POINT "SSL_TLS_SERVER_END_POINT"

#endif
