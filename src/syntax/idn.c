#include "syntax/idn.h"

#include "smtp/path.h"

#if !defined(SMTPIN_STATIC)
#include "base/note.h"

#include <dlfcn.h>

NOTE_DLOPEN(note, "[{\"feature\":\"idn\",\"description\":\"Internationalized domain names\","
                  "\"priority\":\"recommended\",\"soname\":[\"libidn2.so.0\"]}]");

/* Of idn2.h, which the build does not need. */
enum { IDN2_NFC_INPUT = 1, IDN2_NONTRANSITIONAL = 8 };
enum { IDN2_MALLOC = -100, IDN2_ICONV_FAIL = -102 }; /* and what is between: of the moment */
typedef int to_ascii(const char *input, char **output, int flags);
typedef void release(void *text);

/* The name as libidn2 makes it, into *out. */
static enum idn_result convert(const char *name, struct text *out)
{
    void *library = dlopen("libidn2.so.0", RTLD_NOW | RTLD_LOCAL); /* loaded once, and kept */
    to_ascii *to = NULL;
    release *done = NULL;
    int error;
    char *ascii = NULL;

    if (library != NULL) {
        *(void **)&to = dlsym(library, "idn2_to_ascii_8z");
        *(void **)&done = dlsym(library, "idn2_free");
    }
    if (to == NULL || done == NULL)
        return IDN_MISSING;
    error = to(name, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    if (error != 0)
        return error <= IDN2_MALLOC && error >= IDN2_ICONV_FAIL ? IDN_MISSING : IDN_NONE;
    text_adds(out, ascii);
    done(ascii);
    return IDN_OK;
}
#else
static enum idn_result convert(const char *name, struct text *out)
{
    (void)name;
    (void)out;
    return IDN_MISSING;
}
#endif

enum idn_result idn_to_ascii(struct span domain, struct text *out)
{
    char name[SMTP_DOMAIN_MAX + 1], room[2 * SMTP_DOMAIN_MAX];
    struct text input = TEXT(name), ascii = TEXT(room);
    enum idn_result result = IDN_OK;

    text_add(&input, domain);
    text_string(&input);
    if (span_is_ascii(domain))
        text_add(&ascii, domain);
    else
        result = input.cut ? IDN_NONE : convert(name, &ascii);
    if (result != IDN_OK)
        return result;
    if (!span_is_ascii(domain) && !smtp_is_domain(text_span(&ascii), false))
        return IDN_NONE;
    if (ascii.cut || out->cap - out->n <= ascii.n)
        return IDN_NONE;
    for (size_t i = 0; i < ascii.n; i++)
        text_addc(out, byte_lower(ascii.p[i]));
    out->p[out->n] = '\0';
    return IDN_OK;
}

bool idn_works(void)
{
    char room[64];
    struct text out = TEXT(room);

    return idn_to_ascii(SPAN("\xc3\xbc.example"), &out) == IDN_OK;
}
