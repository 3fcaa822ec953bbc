/* Penalties of sources: adapters/penalty.h. */
#include "adapters/penalty.h"
#include "unit.h"

#include <arpa/inet.h>

static struct penalties all;

static struct admission_guest guest(const char *address)
{
    struct admission_guest g = {.local = false};

    if (inet_pton(AF_INET6, address, g.address) != 1) {
        memcpy(g.address, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
        cr_assert_eq(inet_pton(AF_INET, address, g.address + 12), 1);
    }
    return g;
}

static bool add(const char *address, uint64_t seconds, uint64_t now)
{
    const struct admission_guest g = guest(address);

    return penalty_add(&all, &g, seconds * 1000, 15 * 1000, 600 * 1000, now * 1000);
}

static uint64_t left(const char *address, uint64_t now)
{
    const struct admission_guest g = guest(address);

    return penalty_left(&all, &g, now * 1000) / 1000;
}

static void clear(void)
{
    memset(&all, 0, sizeof all);
}

Test(penalty, adds_up_passes_and_begins_once)
{
    clear();
    cr_expect_not(add("192.0.2.1", 5, 1000));
    cr_expect_not(add("192.0.2.1", 5, 1000));
    cr_expect_eq(left("192.0.2.1", 1000), 0, "less than penalty_min turns nobody away");
    cr_expect(add("192.0.2.1", 5, 1000), "now it begins");
    cr_expect_eq(left("192.0.2.1", 1000), 15);
    cr_expect_eq(left("192.0.2.1", 1014), 1);
    cr_expect_eq(left("192.0.2.1", 1015), 0);
    cr_expect_eq(left("192.0.2.2", 1000), 0);
    cr_expect_not(add("192.0.2.1", 5, 1010), "it goes on");
    cr_expect_eq(left("192.0.2.1", 1010), 10);
    cr_expect_not(add("192.0.2.1", 5, 1100), "it has begun anew");
    cr_expect_eq(left("192.0.2.1", 1100), 0);
}

Test(penalty, decays_before_it_counts)
{
    clear();
    for (uint64_t now = 1000; now < 1100; now += 5)
        cr_expect_not(add("192.0.2.1", 5, now), "one failure in five seconds, for ever");
    cr_expect_eq(left("192.0.2.1", 1100), 0);
}

Test(penalty, has_a_most)
{
    clear();
    for (int i = 0; i < 100; i++)
        add("192.0.2.1", 90, 1000);
    cr_expect_eq(left("192.0.2.1", 1000), 600);
}

Test(penalty, has_a_most_below_the_least)
{
    const struct admission_guest g = guest("192.0.2.1");

    clear();
    cr_expect_not(penalty_add(&all, &g, 2000, 15000, 3000, 1000));
    cr_expect(penalty_add(&all, &g, 2000, 15000, 3000, 1000), "all that there can be");
    cr_expect_eq(penalty_left(&all, &g, 1000), 3000);
}

Test(penalty, is_of_a_network_in_ipv6)
{
    clear();
    cr_expect(add("2001:db8:1:2::1", 90, 1000));
    cr_expect_eq(left("2001:db8:1:2:ffff::9", 1000), 90);
    cr_expect_eq(left("2001:db8:1:3::1", 1000), 0);
}

Test(penalty, is_nobodys_without_an_address)
{
    const struct admission_guest local = {.local = true};

    clear();
    cr_expect_not(penalty_add(&all, &local, 90000, 0, 600000, 0));
    cr_expect_eq(penalty_left(&all, &local, 0), 0);
    cr_expect_not(add("192.0.2.1", 0, 1000), "a penalty of 0 is none");
    cr_expect_eq(all.n, 0);
}

/* A flood of sources makes the least of penalties go, and takes no more memory. */
Test(penalty, forgets_the_least)
{
    char address[64];

    clear();
    cr_expect(add("192.0.2.1", 500, 1000));
    for (unsigned i = 0; i < 2 * PENALTY_SOURCES_MAX; i++) {
        snprintf(address, sizeof address, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        cr_expect(add(address, 20, 1000));
    }
    cr_expect_eq(all.n, PENALTY_SOURCES_MAX);
    cr_expect_eq(left("192.0.2.1", 1000), 500);
    cr_expect_eq(left(address, 1000), 20);
    add("192.0.2.2", 20, 1100);
    cr_expect_eq(all.n, 2, "those that have passed are forgotten");
}
