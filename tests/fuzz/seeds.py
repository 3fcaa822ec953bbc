"""seeds.py TRANSCRIPTS DIRECTORY: what the clients of the transcripts say, as inputs of the session's fuzzer."""
import glob, os, re, sys


def octets(text): return re.sub(rb"\\(x[0-9a-fA-F]{2}|[rnt\\])", lambda m: bytes([int(m[1][1:], 16)]) if m[1][:1] == b"x" else {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"\\": b"\\"}[m[1]], text)


def said_in(path):
    """All that the client of a transcript sends."""
    said = b""
    for line in open(path, "rb").read().split(b"\n"):
        if line.startswith(b"C: "): said += octets(line[3:]) + b"\r\n"
        elif line == b"C:": said += b"\r\n"
        elif line.startswith(b"C! "): said += octets(line[3:])
    return said


if __name__ == "__main__":
    source, target = sys.argv[1:3]
    os.makedirs(target, exist_ok=True)
    for path in sorted(glob.glob(os.path.join(source, "**", "*.smtp"), recursive=True)):
        said = said_in(path)
        with open(os.path.join(target, os.path.basename(path)), "wb") as f: f.write(bytes([(b"LHLO" in said) | 2, 0x30 if b"AUTH" in said else 0, 4, 7]) + said[:60000])
