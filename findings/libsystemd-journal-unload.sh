#!/bin/sh
# libsystemd 252.39-1~deb12u2 (Debian 12), used by dlopen(3): two surprises of sd_journal_sendv(3).
#
# 1. Where there is no journal (no /run/systemd/journal/socket: a container, an early boot, a chroot), it
#    returns 0. The record is nowhere. A program that falls back to standard error or syslog when the
#    journal can't be had has to look for the socket itself.
# 2. The library keeps its socket in a static variable, and does not close it when it is unloaded. A
#    program that loads it for a record and unloads it again (dlclose) has one open descriptor more after
#    each record. RTLD_NODELETE, which keeps the library, keeps the number at one.
#
# Output seen:
#
#     no journal: sd_journal_sendv returns 0
#     loaded and unloaded 5 times: 5 descriptors more
#     with RTLD_NODELETE: 1 descriptor more
#
# As root, or where user namespaces are allowed; fails if one of these changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
for p in libsystemd0=252.39-1~deb12u2; do
    apt-get download "$p" >/dev/null 2>&1 || { echo "$p can't be had"; exit 1; }
done
dpkg -x libsystemd0_*.deb unpacked
library=$(find "$work/unpacked" -name libsystemd.so.0)
cat >record.c <<'C'
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>

static int descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

int main(int argc, char **argv)
{
    const int before = descriptors(), flags = RTLD_NOW | atoi(argv[2]);
    int result = -1;

    for (int i = 0; i < 5; i++) {
        void *library = dlopen(argv[1], flags);
        int (*send)(const struct iovec *, int) = library == NULL ? NULL : dlsym(library, "sd_journal_sendv");
        struct iovec field = {"MESSAGE=nobody reads this", 25};

        if (send == NULL)
            return 1;
        result = send(&field, 1);
        dlclose(library);
    }
    printf("%d %d\n", result, descriptors() - before);
    return argc != 3;
}
C
gcc -w -o record record.c
own=$([ "$(id -u)" = 0 ] || echo -r)
# shellcheck disable=SC2086
run() { unshare $own --mount --propagation private sh -c 'mount -t tmpfs tmpfs /run && exec "$@"' sh ./record "$library" "$1"; }
unloaded=$(run 0) kept=$(run 4096) # RTLD_NODELETE
echo "no journal: sd_journal_sendv returns ${unloaded% *}"
echo "loaded and unloaded 5 times: ${unloaded#* } descriptors more"
echo "with RTLD_NODELETE: ${kept#* } descriptor more"
[ "$unloaded $kept" = "0 5 0 1" ]
