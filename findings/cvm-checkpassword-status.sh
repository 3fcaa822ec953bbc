#!/bin/sh
# cvm 0.97-3 (Debian 12): cvm-checkpassword ends with status 100, not 1, where a password is wrong.
#
# The checkpassword interface (cr.yp.to/checkpwd/interface.html) has 1 for a password that is not acceptable, and 111 for a
# temporary failure. A server that takes 1 alone for "wrong password" takes a wrong password here for a fault of the
# program: it tells the user to try again later, counts no failed login, and locks nobody out. Seen here:
#
#     right password   the program named last is executed, 0
#     wrong password   100
#     unknown user     100
#
# Fails if the statuses are others.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cd "$work"
apt-get download cvm=0.97-3 libcvm1=0.97-3 libbg2=2.04+dfsg-2.1 >/dev/null 2>&1
for d in ./*.deb; do dpkg -x "$d" unpacked; done
LD_LIBRARY_PATH=$(dirname "$(find "$work/unpacked" -name 'libcvm.so*' | head -n 1)")
export LD_LIBRARY_PATH
echo "jane:secret:$(id -u):$(id -g):Jane:/:/bin/sh" >users
chmod 644 users
try() { # USER PASSWORD: the status
    printf '%s\0%s\0\0' "$1" "$2" >asked
    status=0
    CVM_PWFILE_PATH=$work/users CVM_ACCOUNT_SPLIT_CHARS='' "$work/unpacked/usr/bin/cvm-checkpassword" \
        "$work/unpacked/usr/bin/cvm-pwfile" /bin/true 3<asked || status=$?
    echo "$1 $2: $status"
}
{ try jane secret; try jane wrong; try joe secret; } | tee seen
printf 'jane secret: 0\njane wrong: 100\njoe secret: 100\n' | cmp - seen
