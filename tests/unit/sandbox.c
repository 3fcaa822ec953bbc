/* The filter against the kernel's own definitions and libseccomp's filter of the same calls; the
 * packets and requests. */
#include "io/filter.h"

#include "sandbox/request.h"
#include "unit.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>
#if defined(HAVE_SECCOMP)
#include <seccomp.h>
#endif

/* What a filter answers: the few instructions that seccomp filters are made of. */
static uint32_t run(const struct sock_filter *f, size_t n, const struct seccomp_data *data)
{
    uint32_t a = 0;

    for (size_t at = 0; at < n; at++) {
        const struct sock_filter *i = &f[at];
        bool jumps = true;

        switch (i->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            cr_assert(i->k % 4 == 0 && i->k < sizeof *data);
            memcpy(&a, (const char *)data + i->k, sizeof a);
            continue;
        case BPF_RET | BPF_K:
            return i->k;
        case BPF_JMP | BPF_JA:
            at += i->k;
            continue;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= i->k;
            continue;
        case BPF_JMP | BPF_JEQ | BPF_K:
            jumps = a == i->k;
            break;
        case BPF_JMP | BPF_JGT | BPF_K:
            jumps = a > i->k;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            jumps = a >= i->k;
            break;
        default:
            cr_assert(false, "code %x", i->code);
        }
        at += jumps ? i->jt : i->jf;
    }
    cr_assert(false, "ran past the end");
    return 0;
}

#if defined(__x86_64__) || defined(__aarch64__)
#if defined(__x86_64__)
enum { OURS = (int)AUDIT_ARCH_X86_64 };
#else
enum { OURS = (int)AUDIT_ARCH_AARCH64 };
#endif

static const int allowed[] = {
#ifdef SYS_poll
    SYS_poll,
#endif
    SYS_ppoll,      SYS_read,  SYS_recvfrom,  SYS_write, SYS_clock_gettime,
    SYS_shutdown,   SYS_lseek, SYS_ftruncate, SYS_close, SYS_restart_syscall,
    SYS_exit_group, SYS_exit,  SYS_sendto};

static bool is_allowed(unsigned call)
{
    for (size_t i = 0; i < COUNT(allowed); i++)
        if ((unsigned)allowed[i] == call)
            return true;
    return false;
}

static uint32_t ask(unsigned arch, unsigned call, unsigned long to)
{
    const struct seccomp_data data = {
        .nr = (int)call, .arch = arch, .args = {~0UL, ~0UL, ~0UL, ~0UL, to, ~0UL}};
    size_t n;
    const struct filter_step *program = filter_program(&n);
    struct sock_filter copy[256];

    cr_assert(sizeof *program == sizeof *copy && n <= COUNT(copy));
    memcpy(copy, program, n * sizeof *copy);
    return run(copy, n, &data);
}

Test(sandbox, filter)
{
    for (unsigned call = 0; call < 2000; call++) {
        cr_expect_eq(ask((unsigned)OURS, call, 0),
                     is_allowed(call) ? SECCOMP_RET_ALLOW : SECCOMP_RET_KILL_PROCESS, "call %u",
                     call);
        /* The other ABI of x86-64, and other machines. */
        cr_expect_eq(ask((unsigned)OURS, call | 0x40000000U, 0), SECCOMP_RET_KILL_PROCESS, "x32 %u",
                     call);
        cr_expect_eq(ask(AUDIT_ARCH_I386, call, 0), SECCOMP_RET_KILL_PROCESS, "i386 %u", call);
    }
    cr_expect_eq(ask((unsigned)OURS, 0xffffffffU, 0), SECCOMP_RET_KILL_PROCESS);
    /* sendto: no address, in either half. */
    cr_expect_eq(ask((unsigned)OURS, SYS_sendto, 1), SECCOMP_RET_KILL_PROCESS);
    cr_expect_eq(ask((unsigned)OURS, SYS_sendto, 1UL << 32), SECCOMP_RET_KILL_PROCESS);
    cr_expect_eq(ask((unsigned)OURS, SYS_sendto, ~0UL), SECCOMP_RET_KILL_PROCESS);
}

#if defined(HAVE_SECCOMP)
Test(sandbox, filter_and_libseccomp)
{
    scmp_filter_ctx context = seccomp_init(SCMP_ACT_KILL_PROCESS);
    struct sock_filter theirs[1024];
    char name[] = "/tmp/smtpin-unit-XXXXXX";
    const int fd = mkstemp(name);
    ssize_t n;

    unlink(name);
    cr_assert(context != NULL && fd >= 0);
    for (size_t i = 0; i < COUNT(allowed); i++) {
        if (allowed[i] == SYS_sendto)
            cr_assert_eq(
                seccomp_rule_add(context, SCMP_ACT_ALLOW, allowed[i], 1, SCMP_A4(SCMP_CMP_EQ, 0)),
                0);
        else
            cr_assert_eq(seccomp_rule_add(context, SCMP_ACT_ALLOW, allowed[i], 0), 0);
    }
    cr_assert_eq(seccomp_export_bpf(context, fd), 0);
    n = pread(fd, theirs, sizeof theirs, 0);
    cr_assert(n > 0 && (size_t)n < sizeof theirs);
    for (unsigned call = 0; call < 2000; call++)
        for (unsigned long to = 0; to < 3; to++) {
            const struct seccomp_data data = {
                .nr = (int)call, .arch = (unsigned)OURS, .args = {0, 0, 0, 0, to << 31 << to, 0}};

            cr_expect_eq(ask((unsigned)OURS, call, to << 31 << to),
                         run(theirs, (size_t)n / sizeof *theirs, &data), "call %u", call);
        }
    close(fd);
    seccomp_release(context);
}
#endif
#endif

/* All fields that there are; octets only where the kind has them. */
static struct request sample(enum request_kind kind)
{
    const bool octets = request_about(kind)->fields & REQUEST_MESSAGE_OCTETS;

    return (struct request){
        .kind = kind,
        .transaction = 3,
        .address = SPAN("a@example.com"),
        .about = SMTP_ABOUT_RECIPIENT,
        .sender = SPAN("s@example.net"),
        .helo = SPAN("client.example.com"),
        .begins = true,
        .esmtp = true,
        .smtputf8 = true,
        .body = SMTP_BODY_BINARYMIME,
        .prdr = true,
        .recipients = 2,
        .declared_size = 190,
        .octets = octets ? SPAN("Subject: x\n") : SPAN(""),
        .added = SPAN("\5\0\0\0\0\0\0\0a@b.c"),
        .size = 200,
        .boundary = 7,
        .fault = SMTP_DATA_LOOP,
        .ended = true,
        .before = SMTP_RCPT,
        .phase = SMTP_GREETED,
        .close = true,
        .reply = {.code = 550, .enhanced = SPAN("5.1.1"), .text = SPAN("no"), .rule = "relay"},
        .argument = SPAN("x"),
        .judged = SPAN("b@example.org"),
        .commands = 9,
        .word = SPAN("quit"),
    };
}

static bool has(const struct request *r, unsigned field)
{
    return request_about(r->kind)->fields & field;
}

/* `in` where the kind has the field, nothing where it has not. */
static void expect_text(const struct request *r, unsigned field, struct span got, struct span in)
{
    cr_expect(span_eq(got, has(r, field) ? in : SPAN("")), "kind %d, field %x", (int)r->kind,
              field);
}

static void expect_number(const struct request *r, unsigned field, uint64_t got, uint64_t in)
{
    cr_expect(got == (has(r, field) ? in : 0), "kind %d, field %x", (int)r->kind, field);
}

static void expect_fields(const struct request *out, const struct request *in)
{
    expect_text(in, REQUEST_MESSAGE_OCTETS, out->octets, in->octets);
    expect_text(in, REQUEST_ADDRESS, out->address, in->address);
    expect_text(in, REQUEST_GREETING, out->helo, in->helo);
    expect_number(in, REQUEST_GREETING, out->esmtp, in->esmtp);
    expect_number(in, REQUEST_COMMANDS, out->commands, in->commands);
    expect_number(in, REQUEST_SUBJECT, out->about, in->about);
    expect_text(in, REQUEST_SUBJECT, out->sender, in->sender);
    expect_number(in, REQUEST_ENVELOPE, out->begins, in->begins);
    expect_number(in, REQUEST_ENVELOPE, out->body, in->body);
    expect_number(in, REQUEST_ENVELOPE, out->prdr, in->prdr);
    expect_number(in, REQUEST_ENVELOPE, out->recipients, in->recipients);
    expect_number(in, REQUEST_ENVELOPE, out->declared_size, in->declared_size);
    expect_number(in, REQUEST_SMTPUTF8, out->smtputf8, in->smtputf8);
    expect_number(in, REQUEST_OUTCOME, out->fault, in->fault);
    expect_number(in, REQUEST_OUTCOME, out->ended, in->ended);
    expect_number(in, REQUEST_SIZE, out->size, in->size);
    expect_number(in, REQUEST_BOUNDARY, out->boundary, in->boundary);
    expect_number(in, REQUEST_PHASE, out->phase, in->phase);
    expect_number(in, REQUEST_STEP, out->before, in->before);
    expect_number(in, REQUEST_STEP, out->close, in->close);
    expect_number(in, REQUEST_STEP, out->reply.code, in->reply.code);
    expect_text(in, REQUEST_STEP, out->reply.text, in->reply.text);
    expect_text(in, REQUEST_STEP, out->rule, SPAN("relay"));
    expect_text(in, REQUEST_STEP, out->argument, in->argument);
    expect_text(in, REQUEST_STEP, out->judged, in->judged);
    expect_text(in, REQUEST_WORD, out->word, in->word);
}

Test(sandbox, requests)
{
    for (enum request_kind kind = 0; kind < REQUEST_KIND_COUNT; kind++) {
        const struct request in = sample(kind);
        char room[PACKET_MAX];
        struct text packet = TEXT(room);
        struct request out;

        request_write(&packet, &in);
        cr_assert(request_read(text_span(&packet), &out), "kind %d", (int)kind);
        cr_expect(out.kind == kind && out.transaction == 3 && span_eq(out.added, in.added));
        expect_fields(&out, &in);
        /* Every shorter one is none, and no octet behind its end is read; nor is a longer one. */
        for (size_t n = 0; n < packet.n; n++)
            cr_expect(!request_read(guarded(room, n), &out), "%zu octets", n);
        text_addc(&packet, 'x');
        cr_expect(!request_read(text_span(&packet), &out));
    }
}

/* Octets of a message are sent with the kinds that have them, and no other. */
Test(sandbox, octets_elsewhere)
{
    for (enum request_kind kind = 0; kind < REQUEST_KIND_COUNT; kind++) {
        struct request in = sample(kind), out;
        char room[PACKET_MAX];
        struct text packet = TEXT(room);

        in.octets = SPAN("x");
        request_write(&packet, &in);
        cr_expect(request_read(text_span(&packet), &out) == has(&in, REQUEST_MESSAGE_OCTETS));
    }
}

/* As many octets of a message as there may be, in their place or not, and one too many. */
Test(sandbox, octets)
{
    static char room[PACKET_MAX], again[PACKET_MAX];
    struct text packet = TEXT(room), copied = TEXT(again);
    struct request r = sample(REQUEST_DELIVER), out;

    r.octets = (struct span){.p = request_octets(&packet), .n = REQUEST_OCTETS_MAX};
    memset(request_octets(&packet), 'x', r.octets.n);
    request_write(&packet, &r);
    cr_assert(!packet.cut && request_read(text_span(&packet), &out));
    cr_expect(out.octets.n == REQUEST_OCTETS_MAX && out.octets.p == request_octets(&packet));
    request_write(&copied, &r);
    cr_expect(span_eq(text_span(&packet), text_span(&copied)));
    r.octets.n++;
    request_write(&packet, &r);
    cr_expect(!packet.cut && !request_read(text_span(&packet), &out));
}

static void expect_in_range(const struct request *out)
{
    cr_assert(out->kind < REQUEST_KIND_COUNT);
    cr_assert(out->address.n <= SMTP_ADDRESS_MAX && out->helo.n <= SMTP_DOMAIN_MAX);
    cr_assert(out->reply.code <= 599 && out->reply.text.n <= REQUEST_TEXT_MAX);
    cr_assert(request_is_word(out->rule) && request_is_word(out->word));
    cr_assert(out->phase <= SMTP_CHUNKS && (out->phase & (out->phase - 1)) == 0);
    cr_assert(out->before <= SMTP_CHUNKS && (out->before & (out->before - 1)) == 0);
    cr_assert(out->fault <= SMTP_DATA_BARE_CR);
}

/* One octet after the other replaced: read, or refused, and in its range. */
Test(sandbox, damaged_requests)
{
    for (enum request_kind kind = 0; kind < REQUEST_KIND_COUNT; kind++) {
        const struct request in = sample(kind);
        char room[PACKET_MAX];
        struct text packet = TEXT(room);
        struct request out;

        request_write(&packet, &in);
        for (size_t i = 0; i < packet.n; i++)
            for (unsigned value = 0; value < 256; value++) {
                const char before = room[i];

                room[i] = (char)value;
                if (request_read(text_span(&packet), &out))
                    expect_in_range(&out);
                room[i] = before;
            }
    }
}

Test(sandbox, words)
{
    cr_expect(request_is_word(SPAN("")) && request_is_word(SPAN("max_errors")));
    cr_expect(!request_is_word(SPAN("a b")) && !request_is_word(SPAN("A")) &&
              !request_is_word(SPAN("a\nb")) && !request_is_word(SPAN("a=b")));
    cr_expect(!request_is_word(SPAN("abcdefghijklmnopqrstuvwxyz0123456")));
}
