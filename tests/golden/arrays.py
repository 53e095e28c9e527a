"""Makes the arrays of tests/data/npy.rs, as NumPy writes them.

Run in this folder: python arrays.py. Needs numpy (made with 2.4.6).
"""

import numpy
from numpy.lib import format

values = numpy.arange(6).reshape(2, 3) / 4 - 0.5
half = numpy.array([0.5, -65504, 2**-24, -(2**-14), numpy.inf, numpy.nan], "f2")
kinds = {"b1": numpy.array([True, False, True]), "f2": half, "f4": half, "f8": half}
for kind in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"):
    limits = numpy.iinfo(kind)
    kinds[kind] = numpy.array([limits.min, 0, 1, limits.max], kind)
types = [
    (f"{name}_{kind}.npy", array.astype(order + kind), (1, 0))
    for kind, array in kinds.items()
    for order, name in (("<", "little"), (">", "big"))
]
for name, array, version in types + [
    ("f4_version1.npy", values.astype("<f4"), (1, 0)),
    ("f8_version2.npy", values, (2, 0)),
    ("f4_version3.npy", values.astype("<f4"), (3, 0)),
    ("scalar.npy", numpy.array(2.5), (1, 0)),
    ("empty.npy", numpy.zeros((0, 3), "<f4"), (1, 0)),
    ("fortran.npy", numpy.asfortranarray(values), (1, 0)),
    ("big_endian.npy", values.astype(">f4"), (1, 0)),
    ("integers.npy", numpy.arange(3), (1, 0)),
    ("fortran_3.npy", numpy.asfortranarray(numpy.arange(12).reshape(2, 2, 3)), (1, 0)),
    ("complex.npy", numpy.array([1j], "c8"), (1, 0)),
    ("text.npy", numpy.array(["a"]), (1, 0)),
    ("object.npy", numpy.array([None]), (1, 0)),
    ("structure.npy", numpy.zeros(1, [("a", "f4")]), (1, 0)),
]:
    with open(f"arrays/{name}", "wb") as file:
        format.write_array(file, array, version=version)
