/* What the unit tests share. */
#ifndef SMTPIN_TESTS_UNIT_H
#define SMTPIN_TESTS_UNIT_H

#include "base/span.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static inline void cr_expect_span(struct span got, const char *expected, const char *what)
{
    cr_expect(span_eq(got, span_of(expected)), "%s: expected \"%s\", got \"%.*s\"", what, expected,
              SPAN_FORMAT(got));
}

/* A copy whose end is the end of a mapping: reading one byte too many is a crash. */
static inline struct span guarded(const char *bytes, size_t n)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t pages = (n + page - 1) / page + 1;
    char *base =
        mmap(NULL, (pages + 1) * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    cr_assert(base != MAP_FAILED);
    mprotect(base + pages * page, page, PROT_NONE);
    memcpy(base + pages * page - n, bytes, n);
    return (struct span){.p = base + pages * page - n, .n = n};
}

#define COUNT(array) (sizeof(array) / sizeof *(array))

#endif
