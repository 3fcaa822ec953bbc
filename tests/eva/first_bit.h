/* __builtin_ctzll(), for Eva, which knows nothing of it: of a constant, the place and no other. */
static inline int eva_first_bit(unsigned long long bits)
{
    int n = 0;

    while (n < 63 && (bits >> n & 1) == 0)
        n++;
    return n;
}
