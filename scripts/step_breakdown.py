"""Where the time of a training step goes: forward, δ, ∂L/∂W, the optimizer and the rest.

    python scripts/step_breakdown.py --dims 784,512,512,10 --batch 64

takes the options of the example step_time. Needs Linux's `perf`, and Rust; builds the example with
frame pointers into target/breakdown, samples it, and tells the samples apart by the functions on
their stacks. Full bars are tiles of products in registers, the others packing, epilogues and what is
not a product. The lines below "the rest" say what that is.
"""

import collections
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = ROOT / "target" / "breakdown"

# What a function on the stack says, the first that is found there.
STEP = "trainer::"
STAGES = (
    ("weight_gradient", "∂L/∂W = δᵀ a"),
    ("add_bias_gradient", "∂L/∂b"),
    ("layers::Operation<f32>>::forward", "forward: σ(W a + b)"),
    ("OptimizerKernels", "optimizer"),
    ("loss::", "loss and its δ"),
    # What is left of the products.
    ("gemm::Gemm<", "δ = Wᵀ δ ⊙ σ′"),
)
TILES = "micro_kernel::"
REST = "the rest"


def stacks(perf_script):
    stack = []
    for line in perf_script:
        line = line.strip()
        if line:
            stack.append(line.split(None, 1)[-1])
        elif stack:
            yield stack
            stack = []
    if stack:
        yield stack


def main():
    # Names that tell for which types a function was compiled.
    flags = "-C force-frame-pointers=yes -C symbol-mangling-version=v0"
    environment = dict(os.environ, RUSTFLAGS=flags)
    build = ["cargo", "build", "--release", "--example", "step_time", "--target-dir", TARGET]
    subprocess.run(build, cwd=ROOT, env=environment, check=True)
    example = TARGET / "release" / "examples" / "step_time"
    with tempfile.TemporaryDirectory() as directory:
        data = str(pathlib.Path(directory) / "perf.data")
        record = ["perf", "record", "--quiet", "-F", "5000", "--call-graph", "fp", "-o", data]
        subprocess.run([*record, example, *sys.argv[1:], "--mode", "train"], check=True)
        script = ["perf", "script", "-i", data, "-F", "ip,sym"]
        text = subprocess.run(script, check=True, capture_output=True, text=True).stdout

    shares, tiles, rest = (collections.Counter() for _ in range(3))
    for stack in stacks(text.splitlines()):
        if not any(STEP in function for function in stack):
            continue
        found = (stage for name, stage in STAGES if any(name in function for function in stack))
        stage = next(found, REST)
        shares[stage] += 1
        tiles[stage] += TILES in stack[0]
        if stage == REST:
            rest[stack[0]] += 1
    total = max(1, sum(shares.values()))
    for stage, count in shares.most_common():
        bar = "█" * round(40 * tiles[stage] / total)
        bar += "░" * (round(40 * count / total) - len(bar))
        print(f"{100 * count / total:6.1f} %  {stage:<22} {bar}")
    for function, count in rest.most_common(5):
        print(f"{100 * count / total:6.1f} %    {function[:90]}")


if __name__ == "__main__":
    main()
