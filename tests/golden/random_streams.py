"""The numbers of the tests in src/random.rs, src/data/ and tests/network/init.rs, from an independent ChaCha8 (Python >= 3.8, no packages).

Run with: python3 tests/golden/random_streams.py
"""

import math
import struct

MASK = 0xFFFFFFFF


def quarter_round(s, a, b, c, d):
    for x, y, z, rotation in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & MASK
        s[z] ^= s[x]
        s[z] = ((s[z] << rotation) | (s[z] >> (32 - rotation))) & MASK


def words(seed, tag, stream):
    """The 64-bit words of ChaCha8 with a 64-bit counter and this 64-bit stream number."""
    key = struct.pack("<Q", seed) + tag + bytes(16)
    counter = 0
    while True:
        start = list(struct.unpack("<4I", b"expand 32-byte k")) + list(struct.unpack("<8I", key))
        start += struct.unpack("<4I", struct.pack("<QQ", counter, stream))
        s = start[:]
        for _ in range(4):
            for i in range(4):
                quarter_round(s, i, 4 + i, 8 + i, 12 + i)
            for i in range(4):
                quarter_round(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
        block = [(x + y) & MASK for x, y in zip(s, start)]
        for low, high in zip(block[::2], block[1::2]):
            yield low | high << 32
        counter += 1


def uniform(source):
    return (next(source) >> 11) / 2**53


def normal(source):
    u, v = 1 - uniform(source), uniform(source)
    return math.sqrt(-2 * math.log(u)) * math.cos(math.tau * v)


def below(source, bound):
    while True:
        wide = next(source) * bound
        if wide % 2**64 >= (2**64 - bound) % bound:
            return wide >> 64


def shuffled(source, items):
    for last in range(len(items) - 1, 0, -1):
        other = below(source, last + 1)
        items[last], items[other] = items[other], items[last]
    return items


source = words(42, b"initial.", 3)
print("words", [next(source) for _ in range(3)])
print("order", shuffled(words(7, b"shuffle.", 0), list(range(10))))
source = words(42, b"split...", 0)
print("uniform", uniform(source), "normal", normal(source))
# tests/network/init.rs: a layer of 2 inputs and 2 outputs, rounded to f32.
f32 = lambda value: struct.unpack("<f", struct.pack("<f", value))[0]
source = words(42, b"initial.", 0)
print("He uniform", [f32(math.sqrt(3.0) * (2 * uniform(source) - 1)) for _ in range(4)])
source = words(42, b"initial.", 0)
print("Xavier normal", [f32(math.sqrt(0.5) * normal(source)) for _ in range(4)])
# src/data: twelve rows, the first six of class 0 and the others of class 1.
classes = [(0, range(6)), (1, range(6, 12))]
halves = [shuffled(words(3, b"split...", group), list(rows))[:3] for group, rows in classes]
print("stratified split", [sorted(half) for half in halves])
whole = shuffled(words(3, b"split...", 0), list(range(12)))
print("split", sorted(whole[:6]))
dealt = lambda order: [sorted(order[fold::3]) for fold in range(3)]
print("folds", dealt(shuffled(words(3, b"folds...", 0), list(range(12)))))
order = sum((shuffled(words(3, b"folds...", group), list(rows)) for group, rows in classes), [])
print("stratified folds", dealt(order))
