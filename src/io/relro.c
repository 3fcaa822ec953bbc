/* What relocation has written is read-only from here on (PT_GNU_RELRO). glibc sees to that before
 * main; musl, in a program that is linked statically, does not. It is linked into such a program,
 * and needs no call. */
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden"))); /* the linker's */

__attribute__((constructor)) static void protect(void)
{
    const char *const base = (const char *)&__ehdr_start;
    const ElfW(Phdr) *segment = (const ElfW(Phdr) *)(base + __ehdr_start.e_phoff);
    const size_t page = (size_t)getpagesize();

    for (size_t i = 0; i < __ehdr_start.e_phnum; i++, segment++) {
        const size_t from = segment->p_vaddr & -page;
        const size_t to = (segment->p_vaddr + segment->p_memsz) & -page;

        /* Where the kernel will not, it is as it was. */
        if (segment->p_type == PT_GNU_RELRO && to > from)
            mprotect((char *)base + from, to - from, PROT_READ);
    }
}
