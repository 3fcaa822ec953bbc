/* An ELF note for a library that a program loads while it runs, so that packagers' tools find it as
 * they find one that is linked: section .note.dlopen, owner "FDO", type 0x407c0c0a
 * (https://systemd.io/ELF_DLOPEN_METADATA/). */
#ifndef SMTPIN_BASE_NOTE_H
#define SMTPIN_BASE_NOTE_H

#include <stdalign.h>
#include <stdint.h>

/* At file level. `json` is a literal: an array of objects with feature, description, priority
 * (required, recommended, suggested) and soname. */
/* NOLINTBEGIN(bugprone-macro-parentheses): a name and a literal can't have them. */
#define NOTE_DLOPEN(variable, json)                                                                \
    __attribute__((used, section(".note.dlopen"))) alignas(4) static const struct {                \
        uint32_t owner_octets, octets, type;                                                       \
        char owner[4];                                                                             \
        alignas(4) char text[sizeof(json)];                                                        \
    } variable = {.owner_octets = 4,                                                               \
                  .octets = sizeof(json),                                                          \
                  .type = 0x407c0c0a,                                                              \
                  .owner = "FDO",                                                                  \
                  .text = json}
/* NOLINTEND(bugprone-macro-parentheses) */

#endif
