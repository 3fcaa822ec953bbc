/* Networks: what is one, and whether a list of them has an address. */
#include "syntax/network.h"
#include "unit.h"

Test(network, parse_and_match)
{
    static const struct {
        const char *list, *address;
        bool has;
    } cases[] = {
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"0.0.0.0/0", "255.255.255.255", true},
        {"0.0.0.0/0", "::1", false},
        {"::/0", "192.0.2.1", true},
        {"::ffff:192.0.2.1", "192.0.2.1", true},
        {"192.0.2.0/24", "::ffff:192.0.2.7", true},
        {"2001:db8::/33", "2001:db8:7fff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"10.0.0.0/8, 192.0.2.1", "192.0.2.1", true},
        {"", "192.0.2.1", false},
        {"192.0.2.0/24", "", false},
        {"192.0.2.0/24", "192.0.2.0/25", false},
        {"192.0.2.0/24", "nonsense", false},
    };
    struct network n;

    for (size_t i = 0; i < COUNT(cases); i++)
        cr_expect_eq(network_list_has(span_of(cases[i].list), span_of(cases[i].address)),
                     cases[i].has, "%s in %s", cases[i].address, cases[i].list);
    cr_expect_not(network_parse(SPAN("192.0.2.1/24"), &n), "host bits");
    cr_expect_not(network_parse(SPAN("192.0.2.0/33"), &n));
    cr_expect_not(network_parse(SPAN("192.0.2.0/"), &n));
    cr_expect_not(network_parse(SPAN("192.0.2"), &n));
    cr_expect_not(network_parse(SPAN("2001:db8::/129"), &n));
}
