#include "commands/replay/diff.h"

#include <stdint.h>
#include <string.h>

enum {
    CELLS_MAX = 1 << 22,
    /* What has stayed the same is found wherever it stands: to put a line in a row's place is
     * hardly cheaper than to take one out and put another in. */
    COST_ONE = 10,
    COST_CHANGED = 19,
    /* As many lines as rows, unless there is a reason. */
    COST_APART = 9,
};

/* The last step on the best way to each cell (row-major, lines + 1 in a row), and its costs for the
 * last row in `cost`. */
static void fill(const struct diff *d, unsigned char *last, size_t *cost)
{
    const size_t width = d->lines + 1;

    for (size_t j = 0; j < width; j++) {
        cost[j] = j * COST_ONE;
        last[j] = DIFF_EXTRA;
    }
    for (size_t i = 1; i <= d->rows; i++) {
        size_t diagonal = cost[0];

        cost[0] = i * COST_ONE;
        last[i * width] = DIFF_MISSING;
        for (size_t j = 1; j < width; j++) {
            const bool same = d->same(d->context, i - 1, j - 1);
            const size_t above = cost[j];
            size_t best = diagonal + (same ? 0 : COST_CHANGED);
            unsigned char step = same ? DIFF_SAME : DIFF_CHANGED;

            if (above + COST_ONE <= best) {
                best = above + COST_ONE;
                step = DIFF_MISSING;
            }
            if (cost[j - 1] + COST_ONE <= best) {
                best = cost[j - 1] + COST_ONE;
                step = DIFF_EXTRA;
            }
            cost[j] = best;
            last[i * width + j] = step;
            diagonal = above;
        }
    }
}

/* Back from the cell where the rows end. */
static size_t trace(const struct diff *d, const unsigned char *last, size_t end,
                    unsigned char *steps)
{
    size_t i = d->rows, j = end, n = 0;

    while (i > 0 || j > 0) {
        const unsigned char step = last[i * (d->lines + 1) + j];

        steps[n++] = step;
        i -= step != DIFF_EXTRA;
        j -= step != DIFF_MISSING;
    }
    for (size_t k = 0; k < n / 2; k++) {
        const unsigned char step = steps[k];

        steps[k] = steps[n - 1 - k];
        steps[n - 1 - k] = step;
    }
    return n;
}

/* Behind which line the rows end best. */
static size_t find_end(const struct diff *d, const size_t *cost)
{
    size_t end = d->lines, best = SIZE_MAX;

    for (size_t j = d->lines + 1; j-- > d->least;) {
        const size_t apart = j > d->rows ? j - d->rows : d->rows - j;

        if (cost[j] + apart * COST_APART < best) {
            best = cost[j] + apart * COST_APART;
            end = j;
        }
    }
    return end;
}

size_t diff_lists(const struct diff *d, struct arena *a, unsigned char *steps)
{
    const size_t mark = a->used, width = d->lines + 1;
    unsigned char *last = NULL;
    size_t *cost = NULL, n;

    if (d->rows < CELLS_MAX / width) {
        last = arena_get(a, (d->rows + 1) * width);
        cost = arena_get(a, width * sizeof *cost);
    }
    if (last == NULL || cost == NULL) {
        memset(steps, DIFF_MISSING, d->rows);
        memset(steps + d->rows, DIFF_EXTRA, d->lines);
        a->used = mark;
        return d->rows + d->lines;
    }
    fill(d, last, cost);
    n = trace(d, last, find_end(d, cost), steps);
    a->used = mark;
    return n;
}
