"""Fits the polynomials of `kernels/src/math/` and prints them as Rust constants.

    python3 scripts/minimax.py [NAME ...]

Each polynomial minimises the largest weighted error on its interval: a Remez exchange on a dense
grid, in 60 decimal digits. The coefficients are then rounded to the element one by one, lowest
order first, and the others fitted again, so that they make up for the rounding. The comment that
is printed with a polynomial is its largest weighted error after all rounding.

Made with Python 3.11, mpmath 1.3.0 and numpy 2.4.6.
"""

import sys

import numpy as np
from mpmath import mp, mpf

mp.dps = 60
GRID = 1201


def solve(columns, values, rows):
    """The coefficients that make the errors on `rows` equal in size and alternate in sign."""
    n = len(columns)
    matrix = mp.matrix(n + 1, n + 1)
    right = mp.matrix(n + 1, 1)
    for i, row in enumerate(rows):
        for j in range(n):
            matrix[i, j] = columns[j][row]
        matrix[i, n] = (-1) ** i
        right[i] = values[row]
    solution = mp.lu_solve(matrix, right)
    return [solution[j] for j in range(n)]


def least_squares(columns, values):
    """Where the exchange starts: its error changes sign often enough wherever the weight is."""
    n = len(columns)
    some = range(0, len(values), 8)
    matrix = mp.matrix(n, n)
    right = mp.matrix(n, 1)
    for j in range(n):
        for k in range(n):
            matrix[j, k] = mp.fsum(columns[j][i] * columns[k][i] for i in some)
        right[j] = mp.fsum(columns[j][i] * values[i] for i in some)
    solution = mp.lu_solve(matrix, right)
    return [solution[j] for j in range(n)]


def exchange(errors, n):
    """n + 1 grid points where the error alternates, as large as can be."""
    extrema = []
    for i, e in enumerate(errors):
        if extrema and (e > 0) == (errors[extrema[-1]] > 0):
            if abs(e) > abs(errors[extrema[-1]]):
                extrema[-1] = i
        else:
            extrema.append(i)
    while len(extrema) > n + 1:
        if len(extrema) == n + 2:
            ends = (0, len(extrema) - 1)
            del extrema[min(ends, key=lambda k: abs(errors[extrema[k]]))]
        else:
            k = min(range(len(extrema)), key=lambda k: abs(errors[extrema[k]]))
            del extrema[k]
            # Two neighbours now have one sign: the smaller goes.
            if 0 < k < len(extrema):
                del extrema[k - 1 if abs(errors[extrema[k - 1]]) < abs(errors[extrema[k]]) else k]
    return extrema


def remez(columns, values):
    """Minimises max |values − Σ cⱼ columnsⱼ| over the grid."""
    n = len(columns)
    c = least_squares(columns, values)
    rows = best = None
    for _ in range(20):
        errors = [
            v - mp.fsum(c[j] * columns[j][i] for j in range(n)) for i, v in enumerate(values)
        ]
        largest = max(abs(e) for e in errors)
        if best is None or largest < best[0]:
            best = (largest, c)
        new = exchange(errors, n)
        if len(new) < n + 1 or new == rows:
            break
        rows = new
        c = solve(columns, values, rows)
    return best


def rounded(element, value):
    """`value` as the element, and back."""
    if element == "f64":
        return mpf(float(value))
    # Through longdouble, so that the value is rounded once for all that matters.
    return mpf(float(np.float32(np.longdouble(mp.nstr(value, 25)))))


def fit(element, f, powers, low, high, weight, fixed=()):
    """Rounded coefficients of x^p, p in `powers`, and the largest weighted error.

    `fixed` holds (power, value) terms that are given.
    """
    # Chebyshev points: dense at the ends, where the error turns fast.
    centre, radius = (mpf(high) + mpf(low)) / 2, (mpf(high) - mpf(low)) / 2
    xs = [centre - radius * mp.cos(mp.pi * i / (GRID - 1)) for i in range(GRID)]
    xs = [x for x in xs if x != 0]
    ws = [weight(x) for x in xs]
    values = [w * (f(x) - sum(c * x**p for p, c in fixed)) for x, w in zip(xs, ws)]
    columns = {p: [w * x**p for x, w in zip(xs, ws)] for p in powers}
    done = {}
    free = sorted(powers)
    while free:
        _, c = remez([columns[p] for p in free], values)
        p = free.pop(0)
        done[p] = rounded(element, c[0])
        values = [v - done[p] * b for v, b in zip(values, columns[p])]
    return [done[p] for p in sorted(done)], max(abs(v) for v in values)


def show(element, value):
    text = repr(float(value)) if element == "f64" else repr(float(str(np.float32(float(value)))))
    if "e" not in text:
        whole, fraction = text.split(".")
        if len(fraction) > 6:
            fraction = "_".join(fraction[i : i + 3] for i in range(0, len(fraction), 3))
        text = f"{whole}.{fraction}"
    else:
        mantissa, exponent = text.split("e")
        if "." in mantissa:
            whole, fraction = mantissa.split(".")
            if len(fraction) > 6:
                fraction = "_".join(fraction[i : i + 3] for i in range(0, len(fraction), 3))
            mantissa = f"{whole}.{fraction}"
        text = f"{mantissa}e{int(exponent)}"
    return text


def split(name, value, bits):
    """`value` as a leading part of so many bits, and the rest in one element: f32, then f64."""
    for element, keep in zip(("f32", "f64"), bits):
        exponent = mp.floor(mp.log(abs(value), 2)) + 1
        unit = mpf(2) ** (exponent - keep)
        high = mp.nint(value / unit) * unit
        print(f"// {name} {element}: {show(element, high)}, {show(element, value - high)}")


LN2 = mp.log(2)
HALF_LN2 = LN2 / 2 * mpf("1.0001")


def exp(element, more=0):
    """(eʳ − 1 − r)/r², |r| ≤ ½ ln 2; error relative to eʳ."""
    degree = {"f32": 4, "f64": 9}[element] + more
    return fit(
        element,
        lambda r: (mp.expm1(r) - r) / r**2,
        range(degree + 1),
        -HALF_LN2,
        HALF_LN2,
        lambda r: r**2 / mp.exp(r),
    )


def exp_eighths(element):
    """(eʳ − 1 − κ − r)/r², |r| ≤ ln 2/16, error relative to eʳ; then the powers and the rest.

    The powers are the f32 nearest to 2^{j/8}, with j eighths of an exponent taken from their bits;
    the rest is 2^{j/8} over that f32, less 1, and κ.
    """
    if element == "f64":
        return None
    bound = HALF_LN2 / 8
    # κ, r² and r³ by themselves, for κ is added to numbers of many sizes and never rounded alone.
    xs = [bound * mp.cos(mp.pi * i / (GRID - 1)) for i in range(GRID)]
    values = [(mp.expm1(x) - x) / mp.exp(x) for x in xs]
    _, (kappa, _, _) = remez([[x**p / mp.exp(x) for x in xs] for p in (0, 2, 3)], values)
    coefficients, error = fit(
        element,
        lambda r: mp.expm1(r) - r,
        (2, 3),
        -bound,
        bound,
        lambda r: 1 / mp.exp(r),
        [(0, kappa)],
    )
    powers = [mpf(2) ** (mpf(j) / 8) for j in range(8)]
    nearest = [rounded(element, power) for power in powers]
    bits = [int(np.float32(float(t)).view(np.uint32)) - (j << 20) for j, t in enumerate(nearest)]
    table = [mpf(float(np.uint32(b).view(np.float32))) for b in bits]
    rest = [rounded(element, power / t - 1 + kappa) for power, t in zip(powers, nearest)]
    return [*coefficients, tuple(table), tuple(rest)], error


def expm1(element):
    """(eʳ − 1 − r)/r², |r| ≤ ½ ln 2, with a term more; error relative to eʳ."""
    return exp(element, more=1)


def log(element):
    """(2 atanh(s)/s − 2)/z in z = s², |s| ≤ 1/5; error relative to log((1 + s)/(1 − s))."""
    count = {"f32": 3, "f64": 7}[element]
    return fit(
        element,
        lambda z: (2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 2) / z,
        range(count),
        mpf("1e-12"),
        mpf("0.04001"),
        lambda z: z * mp.sqrt(z) / (2 * mp.atanh(mp.sqrt(z))),
    )


def exp2(element):
    """(2ʳ − 1)/r, |r| ≤ ½; error relative to 2ʳ."""
    if element == "f32":
        return None
    return fit(
        element,
        lambda r: mp.expm1(r * LN2) / r,
        range(12),
        mpf("-0.5001"),
        mpf("0.5001"),
        lambda r: r / mpf(2) ** r,
    )


def tanh(element):
    """z/(1 − tanh(x)/x) in z = x², |x| ≤ 1; error relative to tanh x."""
    count = {"f32": 4, "f64": 9}[element]

    def ratio(z):
        return z / (1 - mp.tanh(mp.sqrt(z)) / mp.sqrt(z))

    return fit(
        element,
        ratio,
        range(count),
        mpf("1e-9"),
        mpf("1.0001"),
        lambda z: z * mp.sqrt(z) / ratio(z) ** 2 / mp.tanh(mp.sqrt(z)),
    )


def erf(element):
    """erf(x)/x − 1 in z = x², |x| ≤ 15/16; error relative to erf x."""
    if element == "f32":
        return None
    return fit(
        element,
        lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1,
        range(12),
        mpf("1e-12"),
        mpf("0.8791"),
        lambda z: mp.sqrt(z) / mp.erf(mp.sqrt(z)),
    )


def log2_erfc(element):
    """The binary logarithm of erfc x in x − 1, 15/16 ≤ x ≤ SATURATED; error relative to erf x."""
    if element == "f32":
        return None
    return fit(
        element,
        lambda t: mp.log(mp.erfc(1 + t), 2),
        range(18),
        mpf("-0.0626"),
        mpf(5),
        lambda t: LN2 * mp.erfc(1 + t) / mp.erf(1 + t),
    )


# A tail is a polynomial in v − centre, v = x/(x + a): (centre, a). The rounding of the first
# coefficients can't be made up for; these centres were chosen to have little of it.
NORMAL_TAIL = {"f64": ("0.4375", "4")}
ERFC = {"f32": ("0.515625", "2.125"), "f64": ("0.46875", "2.75")}


def tail(element, function, parameters, top):
    """`function(x)·(x + a)` in v − centre, 0 ≤ x ≤ top; relative error."""
    count = {"f32": 11, "f64": 25}[element]
    centre, a = (mpf(text) for text in parameters[element])

    def scaled(w):
        v = w + centre
        return function(a * v / (1 - v)) * a / (1 - v)

    low, high = -centre, mpf(top[element]) / (top[element] + a) - centre
    return fit(element, scaled, range(count), low, high, lambda w: 1 / scaled(w))


def normal_tail(element):
    """e^{x²/2}·Φ(−x)·(x + a) in v − centre, v = x/(x + a); relative error."""
    if element == "f32":
        return None
    return tail(
        element,
        lambda x: mp.exp(x * x / 2) * mp.erfc(x / mp.sqrt(2)) / 2,
        NORMAL_TAIL,
        {"f64": mpf(39)},
    )


def erfc(element):
    """e^{x²}·erfc(x)·(x + a) in v − centre, v = x/(x + a); relative error."""
    return tail(
        element,
        lambda x: mp.exp(x * x) * mp.erfc(x),
        ERFC,
        {"f32": mpf("10.2"), "f64": mpf("27.4")},
    )


def log_tail(element, logarithm, low, high, centres):
    """(logarithm(x) − value)/w in w = x − centre; absolute error of the logarithm.

    The centre is the one among `centres`, in steps of 1/1024, whose value is nearest to an f32.
    """
    if element == "f64":
        return None

    def rounding(centre):
        return abs(rounded(element, logarithm(centre)) - logarithm(centre))

    first, last = (int(c * 1024) for c in centres)
    centre = min((mpf(i) / 1024 for i in range(first, last + 1)), key=rounding)
    value = rounded(element, logarithm(centre))
    coefficients, error = fit(
        element,
        lambda w: (logarithm(centre + w) - value) / w,
        range(10),
        mpf(low) - centre,
        mpf(high) - centre,
        lambda w: w,
    )
    return [centre, value, *coefficients], error


def scaled_normal_tail(x):
    """e^{x²/2}·Φ(−x)."""
    return mp.exp(x * x / 2) * mp.erfc(x / mp.sqrt(2)) / 2


def log_normal_tail_far(element):
    """The centre, the value and the coefficients of ln(e^{x²/2}·Φ(−x)) from 4 to 13.3."""
    return log_tail(element, lambda x: mp.log(scaled_normal_tail(x)), "4", "13.3", (7, 8))


def log_gelu_slope(x):
    """ln(e^{x²/2}·(Φ(−x) − xφ(x))/(x₀ − x)), x₀ the zero."""
    zero = gelu_minimum()
    # At the zero itself both are 0.
    x = x + mpf(10) ** -25 if abs(x - zero) < mpf(10) ** -25 else x
    return mp.log((scaled_normal_tail(x) - x / mp.sqrt(2 * mp.pi)) / (zero - x))


def gelu_minimum():
    """The zero of Φ(−x) − xφ(x)."""
    return mp.findroot(lambda x: scaled_normal_tail(x) - x / mp.sqrt(2 * mp.pi), mpf("0.75"))


def log_gelu_slope_far(element):
    """The centre, the value and the coefficients of log_gelu_slope from 4 to 14."""
    return log_tail(element, log_gelu_slope, "4", "14", (7, 8))


def pieces(f, first=None, slope=0):
    """f in eight pieces of length ½ from 0 to 4: the centres, then the coefficients of each power.

    The centres, but for the first if it is given, are those near the middle, in steps of 1/1024,
    whose value is nearest to an f32, for the rounding of that value can't be made up for. In the
    first piece `slope` times x is left out of the coefficients.
    """
    columns, largest = [], mpf(0)
    for piece in range(8):
        low, high = mpf(piece) / 2, mpf(piece + 1) / 2

        def rounding(centre):
            return abs(rounded("f32", f(centre)) / f(centre) - 1)

        middle = int((low + high) * 512)
        near = [mpf(i) / 1024 for i in range(middle - 32, middle + 33)]
        centre = min(near, key=rounding) if piece or first is None else mpf(first)
        value = rounded("f32", f(centre))
        # A piece is entered by rounding, so it reaches a little further.
        coefficients, error = fit(
            "f32",
            lambda w: f(centre + w),
            range(1, 8),
            low - centre - mpf("1e-6"),
            high - centre + mpf("1e-6"),
            lambda w: 1 / f(centre + w),
            [(0, value), (1, 0 if piece else slope)],
        )
        columns.append([centre, value, *coefficients])
        largest = max(largest, error)
    return list(zip(*columns)), largest


def erf_pieces(element):
    """erf x, less x in the first piece, in eight pieces from 0 to 4; error relative to erf x."""
    return None if element == "f64" else pieces(mp.erf, 0, 1)


def normal_tail_pieces(element):
    """xΦ(−x) in eight pieces from 0 to 4; relative error."""
    if element == "f64":
        return None
    return pieces(lambda x: x * mp.erfc(x / mp.sqrt(2)) / 2, 0)


def gelu_slope_pieces(element):
    """(Φ(−x) − xφ(x))/(x₀ − x) in eight pieces from 0 to 4; relative error."""
    if element == "f64":
        return None
    zero = gelu_minimum()

    def ratio(x):
        x = x + mpf(10) ** -25 if abs(x - zero) < mpf(10) ** -25 else x
        return (mp.erfc(x / mp.sqrt(2)) / 2 - x * mp.npdf(x)) / (zero - x)

    return pieces(ratio)


FITS = [
    exp,
    exp_eighths,
    expm1,
    exp2,
    log,
    tanh,
    erf,
    log2_erfc,
    normal_tail,
    erfc,
    log_normal_tail_far,
    log_gelu_slope_far,
    erf_pieces,
    normal_tail_pieces,
    gelu_slope_pieces,
]


def main():
    chosen = sys.argv[1:]
    if not chosen or "split" in chosen:
        # n·ln 2 is exact in the leading part for every exponent n, without FMA too.
        split("LN_2", LN2, (15, 42))
        split("LN_2_EIGHTH", LN2 / 8, (12, 39))
        b = 2 * mp.sqrt(2 / mp.pi)
        split("GELU tanh form, B", b, (19, 19))
        split("GELU tanh form, C", b * mpf("0.044715"), (24, 53))
        split("GELU_MINIMUM", gelu_minimum(), (24, 53))
        split("FRAC_1_SQRT_TAU", 1 / mp.sqrt(2 * mp.pi), (24, 53))
    for family in FITS:
        if chosen and family.__name__ not in chosen:
            continue
        for element in ("f32", "f64"):
            if (found := family(element)) is None:
                continue
            coefficients, error = found
            unit = mpf(2) ** {"f32": -24, "f64": -53}[element]
            print(f"// {family.__name__} {element}: {family.__doc__.splitlines()[0]}")
            print(f"// Largest error {mp.nstr(error, 3)}, {mp.nstr(error / unit, 3)} half ulps.")
            for c in coefficients:
                if isinstance(c, tuple):
                    print(f"    [{', '.join(show(element, lane) for lane in c)}],")
                else:
                    print(f"    {show(element, c)},")


if __name__ == "__main__":
    main()
