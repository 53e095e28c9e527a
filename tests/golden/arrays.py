"""Makes the arrays of tests/data/npy.rs, as NumPy writes them.

Run in this folder: python arrays.py. Needs numpy (made with 2.4.6).
"""

import numpy
from numpy.lib import format

values = numpy.arange(6).reshape(2, 3) / 4 - 0.5
for name, array, version in (
    ("f4_version1.npy", values.astype("<f4"), (1, 0)),
    ("f8_version2.npy", values, (2, 0)),
    ("f4_version3.npy", values.astype("<f4"), (3, 0)),
    ("scalar.npy", numpy.array(2.5), (1, 0)),
    ("empty.npy", numpy.zeros((0, 3), "<f4"), (1, 0)),
    ("fortran.npy", numpy.asfortranarray(values), (1, 0)),
    ("big_endian.npy", values.astype(">f4"), (1, 0)),
    ("integers.npy", numpy.arange(3), (1, 0)),
):
    with open(f"arrays/{name}", "wb") as file:
        format.write_array(file, array, version=version)
