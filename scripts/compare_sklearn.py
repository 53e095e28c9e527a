"""Compares this library with scikit-learn: the same splits, widths, batches, epochs and Adam.

Run with: python3 scripts/compare_sklearn.py [--fashion-mnist DIR] [--diamonds FILE]

DIR has Fashion-MNIST's IDX files, plain or .gz; FILE is ggplot2's diamonds as CSV. Without them,
digits and breast cancer are compared, which come with scikit-learn. The first lines make a virtual
environment in target/compare-venv. Five seeds each, of the weights, the batches and the split, of
which a fifth is the test; ReLU, Glorot's weights, no decay, f32 on both sides. A time is that of
one training, on as many threads as the machine gives.
"""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
VENV = TARGET / "compare-venv"
if pathlib.Path(sys.prefix).resolve() != VENV.resolve():
    if not (VENV / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        install = [VENV / "bin" / "python", "-m", "pip", "install", "-q", "numpy", "scikit-learn"]
        subprocess.run(install, check=True)
    python = str(VENV / "bin" / "python")
    os.execv(python, [python, *sys.argv])

import argparse
import csv
import gzip
import platform
import tempfile
import time
import warnings

import numpy
import sklearn
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import OneHotEncoder, StandardScaler

warnings.filterwarnings("ignore", category=ConvergenceWarning)


def split(x, y, regression=False):
    """The parts of the data for a seed, scaled by the training part."""

    def parts(seed):
        stratify = None if regression else y
        train_x, test_x, train_y, test_y = train_test_split(
            x, y, test_size=0.2, random_state=seed, stratify=stratify
        )
        scaler = StandardScaler().fit(train_x)
        return scaler.transform(train_x), scaler.transform(test_x), train_y, test_y

    return parts


def idx(folder, name):
    path = pathlib.Path(folder) / name
    data = path.read_bytes() if path.exists() else gzip.open(f"{path}.gz").read()
    dimensions = data[3]
    shape = numpy.frombuffer(data, ">u4", dimensions, 4)
    return numpy.frombuffer(data, "u1", offset=4 + 4 * dimensions).reshape(shape)


def fashion_mnist(folder):
    parts = []
    for part in ("train", "t10k"):
        images = idx(folder, f"{part}-images-idx3-ubyte")
        labels = idx(folder, f"{part}-labels-idx1-ubyte")
        parts.append((images.reshape(len(images), -1) / 255, labels))
    (train_x, train_y), (test_x, test_y) = parts
    return lambda seed: (train_x, test_x, train_y, test_y)


def diamonds(path):
    with open(path, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    numbers = [[float(row[c]) for c in ("carat", "depth", "table", "x", "y", "z")] for row in rows]
    categories = [[row[c] for c in ("cut", "color", "clarity")] for row in rows]
    one_hot = OneHotEncoder(sparse_output=False).fit_transform(categories)
    price = numpy.log([float(row["price"]) for row in rows])
    price = (price - price.mean()) / price.std()
    return split(numpy.hstack([numbers, one_hot]), price, regression=True)


def theirs(parts, settings, seed):
    train_x, test_x, train_y, test_y = parts
    kind = MLPRegressor if settings["regression"] else MLPClassifier
    model = kind(
        hidden_layer_sizes=settings["hidden"],
        batch_size=settings["batch"],
        max_iter=settings["epochs"],
        learning_rate_init=settings["learning_rate"],
        alpha=0,
        tol=0,
        n_iter_no_change=settings["epochs"] + 1,
        random_state=seed,
    )
    start = time.perf_counter()
    model.fit(train_x, train_y)
    seconds = time.perf_counter() - start
    assert model.n_iter_ == settings["epochs"]
    return model.score(test_x, test_y), seconds


def ours(parts, settings, seed):
    with tempfile.TemporaryDirectory() as folder:
        for name, part in zip(("train_x", "test_x", "train_y", "test_y"), parts):
            array = part.astype("<f4")
            numpy.save(f"{folder}/{name}.npy", array if array.ndim == 2 else array[:, None])
        program = TARGET / "release" / "examples" / "fit_npy"
        arguments = [program, folder, "--hidden", ",".join(map(str, settings["hidden"]))]
        for name in ("epochs", "batch", "learning_rate"):
            arguments += [f"--{name.replace('_', '-')}", str(settings[name])]
        arguments += ["--seed", str(seed), "--seeds", "1"]
        arguments += ["--regression"] * settings["regression"]
        line = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout
    words = line.split()
    return float(words[3]), float(words[5])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fashion-mnist", metavar="DIR")
    parser.add_argument("--diamonds", metavar="FILE")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    build = ["cargo", "build", "--quiet", "--release", "--example", "fit_npy"]
    subprocess.run(build, cwd=ROOT, check=True)

    settings = lambda hidden, batch, epochs, learning_rate, regression=False: locals()
    digits = datasets.load_digits(return_X_y=True)
    cancer = datasets.load_breast_cancer(return_X_y=True)
    races = [
        ("digits", split(*digits), settings((128, 64), 32, 40, 1e-3)),
        ("breast cancer", split(*cancer), settings((32,), 32, 60, 1e-3)),
    ]
    if options.fashion_mnist:
        parts = fashion_mnist(options.fashion_mnist)
        races.append(("Fashion-MNIST", parts, settings((256, 128), 128, 10, 1e-3)))
    if options.diamonds:
        parts = diamonds(options.diamonds)
        races.append(("diamonds", parts, settings((64, 64), 128, 20, 1e-3, True)))

    threads = len(os.sched_getaffinity(0))
    print(f"Python {platform.python_version()}, scikit-learn {sklearn.__version__}, ", end="")
    print(f"numpy {numpy.__version__}, {threads} threads, {options.seeds} seeds\n")
    print("| data | score | scikit-learn's | seconds | scikit-learn's | times as fast |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    for name, parts_of, race in races:
        runs = []
        for seed in range(1, options.seeds + 1):
            f4 = lambda part: part.astype("f4") if part.dtype.kind == "f" else part
            parts = tuple(map(f4, parts_of(seed)))
            runs.append((ours(parts, race, seed), theirs(parts, race, seed)))
        mine, their = numpy.array(runs).swapaxes(0, 1)
        score = lambda runs: f"{runs[:, 0].mean():.4f} ± {runs[:, 0].std():.4f}"
        seconds = mine[:, 1].mean(), their[:, 1].mean()
        print(
            f"| {name} | {score(mine)} | {score(their)} "
            f"| {seconds[0]:.3f} | {seconds[1]:.3f} | {seconds[1] / seconds[0]:.1f} |",
            flush=True,
        )


main()
