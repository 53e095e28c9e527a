"""Times a training step of a ReLU perceptron beside JAX and PyTorch: forward, softmax
cross-entropy, backward, Adam.

    python scripts/compare_train.py 784,512,512,10 64 1

(widths, rows, threads). Builds and runs the example `step_time`; needs numpy, jax and torch.
"""

import os
import sys

from turns import compare, take_turns

RATE, FIRST, SECOND, EPSILON = 1e-4, 0.9, 0.999, 1e-8


def jax_step(layers, x, labels, _):
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


PEERS = {"jax": jax_step, "torch": torch_step}


def peer(which, widths, rows, threads):
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()}"

    import numpy as np

    random = np.random.default_rng(0)
    draw = lambda *shape: random.standard_normal(shape).astype(np.float32)
    layers = [
        (draw(inputs, outputs) * np.float32((2 / inputs) ** 0.5), np.zeros(outputs, np.float32))
        for inputs, outputs in zip(widths, widths[1:])
    ]
    x, labels = draw(rows, widths[0]), random.integers(0, widths[-1], rows)
    take_turns(*PEERS[which](layers, x, labels, threads))


def main():
    dims, rows, threads, *which = sys.argv[1:]
    if which:
        peer(*which, [int(width) for width in dims.split(",")], int(rows), int(threads))
        return
    step_time = ["--dims", dims, "--batch", rows, "--threads", threads]
    peers = [[sys.executable, *sys.argv, which] for which in PEERS]
    compare(step_time, peers, int(threads))


if __name__ == "__main__":
    main()
