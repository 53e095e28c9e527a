"""Times a training step of a ReLU perceptron by JAX and PyTorch: forward, softmax cross-entropy,
backward, Adam.

    python scripts/compare_train.py 784,512,512,10 64 1

(widths, rows, threads) beside
`cargo run --release --example step_time -- --dims 784,512,512,10 --batch 64 --threads 1`.
Needs numpy, jax and torch. Prints the median microseconds of a step.
"""

import os
import statistics
import sys
import time

SAMPLES = 15
SECONDS = 3.0
RATE, FIRST, SECOND, EPSILON = 1e-4, 0.9, 0.999, 1e-8


def median_us(step):
    for _ in range(5):
        step()
    begin = time.perf_counter()
    step()
    once = time.perf_counter() - begin
    calls = max(1, int(SECONDS / SAMPLES / once))
    samples = []
    for _ in range(SAMPLES):
        begin = time.perf_counter()
        for _ in range(calls):
            step()
        samples.append((time.perf_counter() - begin) / calls)
    return statistics.median(samples) * 1e6


def jax_step(layers, x, labels):
    import jax
    import jax.numpy as jnp

    def loss(parameters, x, labels):
        for weights, biases in parameters[:-1]:
            x = jax.nn.relu(x @ weights + biases)
        weights, biases = parameters[-1]
        logits = jax.nn.log_softmax(x @ weights + biases)
        return -jnp.mean(jnp.take_along_axis(logits, labels[:, None], 1))

    def update(parameters, m, v, t, x, labels):
        gradient = jax.grad(loss)(parameters, x, labels)
        tree = jax.tree.map
        m = tree(lambda m, g: FIRST * m + (1 - FIRST) * g, m, gradient)
        v = tree(lambda v, g: SECOND * v + (1 - SECOND) * g * g, v, gradient)

        def moved(parameter, m, v):
            m, v = m / (1 - FIRST**t), v / (1 - SECOND**t)
            return parameter - RATE * m / (jnp.sqrt(v) + EPSILON)

        return tree(moved, parameters, m, v), m, v, t + 1

    parameters = [(jnp.array(weights), jnp.array(biases)) for weights, biases in layers]
    zeros = lambda: jax.tree.map(jnp.zeros_like, parameters)
    state = [parameters, zeros(), zeros(), jnp.float32(1)]
    x, labels = jnp.array(x), jnp.array(labels)
    compiled = jax.jit(update, donate_argnums=(0, 1, 2))

    def step():
        state[:] = compiled(*state, x, labels)
        jax.block_until_ready(state)

    return f"jax {jax.__version__}", step


def torch_step(layers, x, labels, threads):
    import torch

    torch.set_num_threads(threads)
    modules = []
    for weights, biases in layers:
        linear = torch.nn.Linear(*weights.shape)
        linear.weight.data = torch.from_numpy(weights.T.copy())
        linear.bias.data = torch.from_numpy(biases.copy())
        modules += [linear, torch.nn.ReLU()]
    network = torch.nn.Sequential(*modules[:-1])
    adam = torch.optim.Adam(network.parameters(), lr=RATE, fused=True)
    x, labels = torch.from_numpy(x), torch.from_numpy(labels)

    def step():
        adam.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(network(x), labels).backward()
        adam.step()

    return f"torch {torch.__version__}", step


def main():
    widths = [int(width) for width in sys.argv[1].split(",")]
    rows, threads = int(sys.argv[2]), int(sys.argv[3])
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    several = str(threads > 1).lower()
    os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={several}"
    # XLA makes a thread for each CPU that it may run on.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])

    import numpy as np

    random = np.random.default_rng(0)
    draw = lambda *shape: random.standard_normal(shape).astype(np.float32)
    layers = [
        (draw(inputs, outputs) * np.float32((2 / inputs) ** 0.5), np.zeros(outputs, np.float32))
        for inputs, outputs in zip(widths, widths[1:])
    ]
    x, labels = draw(rows, widths[0]), random.integers(0, widths[-1], rows)
    for name, step in (jax_step(layers, x, labels), torch_step(layers, x, labels, threads)):
        print(f"{name}: {median_us(step):.1f}")


if __name__ == "__main__":
    main()
