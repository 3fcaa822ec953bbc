#include "syntax/maildir.h"

enum { NAME_OCTETS_MAX = 255 };

bool maildir_is_name(struct span s)
{
    if (s.n == 0 || s.n > NAME_OCTETS_MAX || s.p[0] == '.')
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '/' || byte_is_control(s.p[i]))
            return false;
    return true;
}
