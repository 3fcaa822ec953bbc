#!/bin/sh
# tinycdb 0.78 (Debian 12, 0.78+b1): `cdb -c -m` makes keys of the lines that continue an entry.
#
# Postfix's tables (virtual(5)) go on in lines that begin with a blank. `cdb -c -m` is told to read "key value"
# lines, and skips comments as Postfix does, so it is tempting to compile such a table with it. It leaves out the
# blank, says nothing and exits with 0; the entry is cut, and what was to continue it is a key of its own. Seen here:
#
#     info@example.org jane@example.org,        info@example.org has the value "jane@example.org,"
#         bob@example.org                       bob@example.org is a key, with an empty value
#
# A mail server that takes an empty value for "this address exists" would accept bob@, and send info@'s mail to jane@ alone.
# Fails if the values are others.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download tinycdb=0.78+b1 libcdb1=0.78+b1 >/dev/null 2>&1
for d in ./*.deb; do dpkg -x "$d" unpacked; done
PATH=$work/unpacked/usr/bin:$PATH
LD_LIBRARY_PATH=$(dirname "$(find "$work/unpacked" -name libcdb.so.1 | head -n 1)")
export LD_LIBRARY_PATH
printf '# who gets the mail of info@\ninfo@example.org jane@example.org,\n    bob@example.org\n' >table
cdb -c -m table.cdb table
cdb -d -m table.cdb | tee dump
printf 'info@example.org jane@example.org,\nbob@example.org \n' | cmp - dump
