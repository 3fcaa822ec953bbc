/* The rules for recipients: whether a list has a domain. (Transcripts have what they decide.) */
#include "adapters/rules.h"
#include "unit.h"

Test(rules, domains)
{
    const struct span list = SPAN("example.org, .example.net [192.0.2.1]");

    cr_expect(rules_domain_listed(list, SPAN("EXAMPLE.org")));
    cr_expect_not(rules_domain_listed(list, SPAN("x.example.org")));
    cr_expect(rules_domain_listed(list, SPAN("a.b.Example.NET")));
    cr_expect_not(rules_domain_listed(list, SPAN("example.net")));
    cr_expect_not(rules_domain_listed(list, SPAN("badexample.net")));
    cr_expect(rules_domain_listed(list, SPAN("[192.0.2.1]")));
    cr_expect_not(rules_domain_listed(list, SPAN("")));
    cr_expect_not(rules_domain_listed(SPAN(""), SPAN("example.org")));
}
