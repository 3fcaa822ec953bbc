#include "commands/report/charts.h"

#include <inttypes.h>

enum {
    WIDTH = 720,
    HEIGHT = 220,
    LEFT = 52,
    BOTTOM = 24,
    TOP = 12,
    PLOT = HEIGHT - BOTTOM - TOP,
    TIME_BARS = 20,
};

static void begin(FILE *out, const char *class, const char *title)
{
    (void)fprintf(out,
                  "<svg class=\"%s\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" "
                  "xmlns=\"http://www.w3.org/2000/svg\"><title>%s</title>\n",
                  class, WIDTH, HEIGHT, WIDTH, HEIGHT, title);
}

/* The lowest of 1, 2, 5, 10, 20 ... that is not below. */
static uint64_t round_up(uint64_t n)
{
    static const uint64_t steps[] = {1, 2, 5};
    uint64_t unit = 1;

    for (;; unit *= 10) {
        for (size_t i = 0; i < 3; i++)
            if (steps[i] * unit >= n)
                return steps[i] * unit;
        if (unit > UINT64_MAX / 100)
            return UINT64_MAX;
    }
}

/* Lines for a half and the whole, and the axis. */
static void scale(FILE *out, uint64_t most)
{
    for (uint64_t i = 0; i <= 2; i++) {
        const int y = TOP + PLOT - (int)(PLOT * i / 2);

        if (i == 1 && most % 2 != 0)
            continue;
        (void)fprintf(out,
                      "<path class=\"%s\" d=\"M%d %dH%d\"/><text class=\"end\" x=\"%d\" "
                      "y=\"%d\">%" PRIu64 "</text>\n",
                      i == 0 ? "axis" : "grid", LEFT, y, WIDTH, LEFT - 6, y + 4, most * i / 2);
    }
}

/* In tenths of a unit, so that a pile of bars has no gaps. */
static uint64_t height_of(uint64_t n, uint64_t most)
{
    return (uint64_t)((double)n / (double)most * (PLOT * 10) + 0.5);
}

static void bar(FILE *out, const char *class, size_t place, size_t places, uint64_t from,
                uint64_t height)
{
    const uint64_t step = (uint64_t)(WIDTH - LEFT) * 10 / places;
    const uint64_t x = (uint64_t)LEFT * 10 + step * place + step / 10;
    const uint64_t y = (uint64_t)(TOP + PLOT) * 10 - from - height, width = step - step / 5;

    if (height > 0)
        (void)fprintf(out,
                      "<rect class=\"%s\" x=\"%" PRIu64 ".%" PRIu64 "\" y=\"%" PRIu64 ".%" PRIu64
                      "\" width=\"%" PRIu64 ".%" PRIu64 "\" height=\"%" PRIu64 ".%" PRIu64 "\"/>",
                      class, x / 10, x % 10, y / 10, y % 10, width / 10, width % 10, height / 10,
                      height % 10);
}

static void label(FILE *out, size_t place, size_t places, const char *text)
{
    (void)fprintf(out, "<text class=\"middle\" x=\"%zu\" y=\"%d\">%s</text>\n",
                  LEFT + (WIDTH - LEFT) * (2 * place + 1) / (2 * places), HEIGHT - 6, text);
}

void charts_hours(FILE *out, const struct tally *t)
{
    static const struct {
        enum total_result result[2];
        const char *class;
    } parts[] = {{{RESULT_ACCEPTED, RESULT_ACCEPTED}, "accepted"},
                 {{RESULT_DEFERRED, RESULT_DEFERRED}, "deferred"},
                 {{RESULT_REFUSED, RESULT_MIXED}, "refused"},
                 {{RESULT_ABANDONED, RESULT_OTHER}, "abandoned"}};
    uint64_t most = 1;

    for (size_t h = 0; h < 24; h++) {
        uint64_t sum = 0;

        for (size_t i = 0; i < RESULTS; i++)
            sum += t->hour[h][i];
        most = sum > most ? sum : most;
    }
    most = round_up(most);
    begin(out, "hours", "Messages by hour of the day");
    scale(out, most);
    for (size_t h = 0; h < 24; h++) {
        char hour[8];
        uint64_t from = 0;

        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            const enum total_result *r = parts[i].result;
            const uint64_t n = t->hour[h][r[0]] + (r[0] != r[1] ? t->hour[h][r[1]] : 0);
            const uint64_t height = height_of(n, most);

            bar(out, parts[i].class, h, 24, from, height);
            from += height;
        }
        (void)snprintf(hour, sizeof hour, "%02zu", h % 24);
        label(out, h, 24, hour);
    }
    (void)fputs("</svg>\n", out);
}

/* Up to 1 ms, 2 ms, 4 ms ... 2^19 ms, nine minutes; what took longer is in the last bar. */
void charts_delivery(FILE *out, const struct tally *t)
{
    static const char *const labels[TIME_BARS] = {"1 ms", "",    "4",  "",    "16",    "",  "64",
                                                  "",     "256", "",   "1 s", "",      "4", "",
                                                  "16",   "",    "66", "",    "4 min", ""};
    uint64_t n[TIME_BARS], before = 0, most = 1;

    for (size_t i = 0; i < TIME_BARS; i++) {
        const uint64_t up_to =
            i + 1 < TIME_BARS ? sketch_up_to(&t->delivery, (uint64_t)1 << i) : t->delivery.n;

        n[i] = up_to - before;
        before = up_to;
        most = n[i] > most ? n[i] : most;
    }
    most = round_up(most);
    begin(out, "delivery", "Messages by the time that their delivery took");
    scale(out, most);
    for (size_t i = 0; i < TIME_BARS; i++) {
        bar(out, "accepted", i, TIME_BARS, 0, height_of(n[i], most));
        if (labels[i][0] != '\0')
            label(out, i, TIME_BARS, labels[i]);
    }
    (void)fputs("</svg>\n", out);
}
