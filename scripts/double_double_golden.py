"""Prints the rows of the test in `kernels/src/reference/double_double.rs`.

    python3 scripts/double_double_golden.py

Made with Python 3.11 and mpmath 1.3.0.
"""

from mpmath import mp, mpf

mp.dps = 50

ROWS = [
    ("exp", mp.exp, [-300.25, -1.5, 0.1, 3.75, 700.25]),
    ("exp_m1", mp.expm1, [-3.5, -0.375, 1e-10, 0.3, 20.0]),
    ("ln", mp.log, [1e-300, 0.3, 0.999, 1.0001, 2.5, 1e300]),
    ("ln_1p", mp.log1p, [-0.875, -1e-12, 0.2, 0.7, 1e10]),
    ("tanh", mp.tanh, [-2.5, 1e-9, 0.4, 15.0]),
    ("sigmoid", lambda x: 1 / (1 + mp.exp(-x)), [-100.0, -0.7, 5.5]),
    ("erf", mp.erf, [1e-8, 0.5, -1.9, 3.5]),
    ("erfc", mp.erfc, [-1.5, 0.6, 1.99, 2.01, 4.0, 25.0]),
]


def literal(value):
    text = repr(value)
    mantissa, _, exponent = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "_".join(fraction[i : i + 3] for i in range(0, len(fraction), 3)) or "0"
    return f"{whole}.{fraction}" + (f"e{int(exponent)}" if exponent else "")


for name, function, points in ROWS:
    for x in points:
        y = function(mpf(x))
        high = float(y)
        low = float(y - mpf(high))
        print(f'("{name}", Real::{name}, {literal(x)}, {literal(high)}, {literal(low)}),')
