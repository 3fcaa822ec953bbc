"""seeds_milter.py DIRECTORY: what filters say to smtpin-milter, as seeds for the fuzzer."""
import os, struct, sys

def packet(letter, *parts):
    data = letter.encode() + b"".join(struct.pack(">I", p) if isinstance(p, int) else p.encode() for p in parts)
    return struct.pack(">I", len(data)) + data

SILENT = packet("O", 6, 0x1ff, 0xff3bf)  # no event but the last one is answered
seeds = {
    "header": SILENT + packet("h", "X-B\0 1\0") + packet("i", 0, "X-C\0 2\n\t3\0") + packet("m", 2, "X-A\0\0") + packet("m", 1, "Subject\0y\0") + packet("c"),
    "body": SILENT + packet("b", "new\r") + packet("b", "\nbody\r\r\n") + packet("p") + packet("c"),
    "envelope": SILENT + packet("+", "<c@example.org>\0") + packet("2", "<d@example.org>\0", "NOTIFY=NEVER\0") + packet("-", "<a@example.org>\0") + packet("e", "<r@example.net>\0", "SIZE=1\0") + packet("q", "virus\0") + packet("a"),
    "blank": packet("O", 6, 0x1ff, 0x1ff3bf) + packet("h", "X-B\0 1\0") + packet("c"),
    "code": packet("O", 6, 0x1ff, 0x100400, 0, "i j\0") + packet("c") * 5 + packet("s") + packet("c") + packet("s") + packet("y", "550-5.7.1 a%%\r\n550 5.7.1 b\0"),
    "old": packet("O", 2, 0x3f, 0x7f) + packet("t"),
}
for name, octets in seeds.items():
    with open(os.path.join(sys.argv[1], name), "wb") as f: f.write(octets)
