/* Where a header begins and ends, and which Delivered-To: is ours. */
#include "unit.h"

#include "base/text.h"
#include "smtp/header.h"

static const struct {
    const char *bytes;
    enum smtp_start start;
    bool none, broken;
} messages[] = {
    {"", SMTP_START_HEADER, false, false},
    {"\n", SMTP_START_HEADER, false, false},
    {"\r\ntext", SMTP_START_HEADER, false, false},
    {"Subject: x\n\ntext\n", SMTP_START_HEADER, false, false},
    {"Subject: x\n", SMTP_START_HEADER, false, false},
    {"Subject \t: x\r\n\r\n", SMTP_START_HEADER, false, false},
    {"X-!#$%&'*+-./0~:\n", SMTP_START_HEADER, false, false},
    {"Subject: x\n folded\n\tmore\n\n", SMTP_START_HEADER, false, false},
    {"RAID degraded: disk 3 failed\nReplace it at once\n", SMTP_START_TEXT, true, false},
    {"text\n", SMTP_START_TEXT, true, false},
    {"text", SMTP_START_TEXT, true, false},
    {"http://x\n", SMTP_START_HEADER, false, false}, /* who can tell */
    {" (spf=pass); Mon, 01 Jan 2001 00:00:00 +0000\nSubject: x\n\n", SMTP_START_TEXT, true, false},
    {"\tx: y\n", SMTP_START_TEXT, true, false},
    {": x\n", SMTP_START_TEXT, true, false},
    {"Gr\xc3\xbc\xc3\x9f"
     "e: x\n",
     SMTP_START_TEXT, true, false},
    {"From: a\nthis is no field\nSubject: evil\n\nbody\n", SMTP_START_HEADER, false, true},
    {"From: a\n\nthis is no field\n", SMTP_START_HEADER, false, false},
    {"From a@b Mon Nov 23 2026\nSubject: x\n\ntext\n", SMTP_START_HEADER, false, false},
    {">From a@b\r\nSubject: x\r\n\r\ntext\r\n", SMTP_START_HEADER, false, false},
    {"From now on it is broken\nand so on\n", SMTP_START_TEXT, false, true},
    {"From now on it is broken\n\n", SMTP_START_TEXT, false, false},
    {"From now on", SMTP_START_TEXT, false, false},
};

Test(header, begins_and_ends)
{
    for (size_t i = 0; i < COUNT(messages); i++) {
        const size_t n = strlen(messages[i].bytes);
        struct smtp_header h;

        cr_expect_eq(smtp_header_start(guarded(messages[i].bytes, n), true), messages[i].start,
                     "%s", messages[i].bytes);
        /* What has come so far is enough to tell, or it is not; it never tells another thing. */
        for (size_t k = 0; k <= n; k++) {
            const enum smtp_start now = smtp_header_start(guarded(messages[i].bytes, k), false);

            cr_expect(now == SMTP_START_MORE || now == messages[i].start, "%zu of %s", k,
                      messages[i].bytes);
        }
        smtp_header_read(&h, guarded(messages[i].bytes, n), SPAN("mx"));
        cr_expect_eq(h.none, messages[i].none, "none: %s", messages[i].bytes);
        cr_expect_eq(h.broken, messages[i].broken, "broken: %s", messages[i].bytes);
    }
}

Test(header, a_long_first_line_is_told_early)
{
    char line[3 * SMTP_FIELD_NAME_MAX];

    memset(line, 'x', sizeof line);
    cr_expect_eq(smtp_header_start(guarded(line, SMTP_FIELD_NAME_MAX), false), SMTP_START_MORE);
    cr_expect_eq(smtp_header_start(guarded(line, SMTP_FIELD_NAME_MAX + 1), false), SMTP_START_TEXT);
    memset(line, ' ', sizeof line);
    line[0] = 'x';
    cr_expect_eq(smtp_header_start(guarded(line, SMTP_FIELD_NAME_MAX + 1), false), SMTP_START_TEXT);
    memcpy(line, "From ", 5);
    cr_expect_eq(smtp_header_start(guarded(line, SMTP_FIELD_NAME_MAX), false), SMTP_START_MORE);
    cr_expect_eq(smtp_header_start(guarded(line, SMTP_FIELD_NAME_MAX + 1), false), SMTP_START_TEXT);
    line[SMTP_FIELD_NAME_MAX] = '\n';
    memset(line + SMTP_FIELD_NAME_MAX + 1, 'y', SMTP_FIELD_NAME_MAX + 1);
    cr_expect_eq(smtp_header_start(guarded(line, 2 * (size_t)SMTP_FIELD_NAME_MAX + 2), false),
                 SMTP_START_TEXT);
}

#define OURS                                                                                       \
    "Received: from x ([192.0.2.1])\n\tby mx.example.org (smtpin) with ESMTP id 1;\n\tdate\n"
#define THEIRS "Received: from x by other.example.net (smtpin) with ESMTP id 1; date\n"
#define POSTFIX "Received: from x by mx.example.org (Postfix) with ESMTP id 1; date\n"
#define TO "Delivered-To: jane@example.org\n"

Test(header, only_ours_is_a_loop)
{
    static const struct {
        const char *bytes;
        bool with_host, without; /* is jane in it, for mx.example.org and for no host */
    } cases[] = {
        {TO OURS "\n", true, true},
        {TO "X-Filter: y\n" OURS "\n", true, true},
        {THEIRS "Return-Path: <>\n" TO OURS "\n", true, true},
        {"delivered-to:\t JANE@Example.Org \n" OURS "\n", true, true},
        {TO THEIRS "\n", false, true},
        {TO POSTFIX "\n", false, true},
        {TO "\n" OURS, false, true},
        {TO "\ntext\n", false, true},
        {TO THEIRS OURS "\n", false, true},
        {TO POSTFIX TO OURS "\n", true, true},
        {OURS TO "\n", false, true},
        {"Subject: x\n\n" TO OURS, false, false},
        {"text\n" TO OURS, false, false},
        {"Delivered-To: joe@example.org\n" OURS "\n", false, false},
        {"X-Delivered-To: jane@example.org\n" OURS "\n", false, false},
        {TO "Received: (smtpin) by mx.example.org\n\n", false, true},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct span bytes = guarded(cases[i].bytes, strlen(cases[i].bytes));
        struct smtp_header h;

        smtp_header_read(&h, bytes, SPAN("mx.example.org"));
        cr_expect_eq(smtp_header_has(&h, SPAN("jane@example.org")), cases[i].with_host, "%s",
                     cases[i].bytes);
        smtp_header_read(&h, bytes, SPAN(""));
        cr_expect_eq(smtp_header_has(&h, SPAN("jane@example.org")), cases[i].without, "%s",
                     cases[i].bytes);
    }
}

Test(header, many_are_bounded)
{
    static char bytes[64 * 1024];
    struct text t = TEXT(bytes);
    struct smtp_header h;

    while (t.n < sizeof bytes - 200)
        text_adds(&t, TO);
    text_adds(&t, OURS);
    smtp_header_read(&h, guarded(bytes, t.n), SPAN("mx.example.org"));
    cr_expect_eq(h.n, SMTP_OWN_MAX);
    cr_expect(smtp_header_has(&h, SPAN("jane@example.org")));
}
