/* The whole session: bytes in, in pieces and at once, which must make no difference. */
#include "drive.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct drive_input in;
    struct drive_output whole, pieces;

    if (size < 4)
        return 0;
    in = (struct drive_input){.bytes = {.p = (const char *)data + 4, .n = size - 4},
                              .options = (data[0] | (unsigned)data[1] << 8) % DRIVE_OPTIONS,
                              .verdicts = data[2]};
    whole = drive(&in);
    in.pieces = 1 + data[3];
    pieces = drive(&in);
    if (whole.replies != pieces.replies || whole.deliveries != pieces.deliveries ||
        whole.messages != pieces.messages)
        abort();
    return 0;
}
