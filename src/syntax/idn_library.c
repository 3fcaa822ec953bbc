#include "syntax/idn.h"

/* The other way: idn_program.c. */
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

enum idn_result idn_convert(struct idn *i, const char *name, struct text *out)
{
    void *library = dlopen("libidn2.so.0", RTLD_NOW | RTLD_LOCAL); /* loaded once, and kept */
    to_ascii *to = NULL;
    release *done = NULL;
    int error;
    char *ascii = NULL;

    (void)i;
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

void idn_end(struct idn *i)
{
    (void)i;
}

#endif
