"""Makes optimizers.txt, losses.txt and norms.txt, with which tests/golden_kernels.rs compares.

Run in this folder: python kernels.py. Needs torch, onnx and numpy; the versions used are in the
first line of each file. What PyTorch does not have (epsilon inside the root, Lion) is plain Python
arithmetic below. A file is a list of cases: a line `case NAME`, then lines `KEY VALUE VALUE ...`.
"""

import math
import warnings

import numpy
import onnx
import torch
from golden_file import File
from torch.nn import functional

warnings.filterwarnings("ignore")
torch.set_default_dtype(torch.float64)

class Numbers:
    """Exact multiples of 2^-31 in -1/2..1/2, which the Rust test makes too."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (1103515245 * self.state + 12345) % 2**31
        return self.state / 2**31 - 0.5

    def take(self, *shape):
        values = [self.next() for _ in range(math.prod(shape))]
        return torch.tensor(values).reshape(shape)


# 100 steps on 7 parameters; the gradient is curvature * parameter - pull + noise.
STEPS = 100
SHOWN = (1, 2, 10, 100)
START = [1.0, -2.0, 0.5, 3.0, -0.25, 0.125, -1.5]
CURVATURE = [0.5, 1.0, 2.0, 0.25, 4.0, 1.5, 0.75]
PULL = [0.1, -0.3, 0.7, 0.0, 0.2, -0.05, 0.4]


def gradient(parameters, numbers):
    return [c * p - d + numbers.next() for c, p, d in zip(CURVATURE, parameters, PULL)]


def torch_trajectory(make, prepare=lambda parameter: None):
    parameter = torch.nn.Parameter(torch.tensor(START))
    optimizer = make([parameter])
    numbers = Numbers(1)
    shown = {}
    for step in range(1, STEPS + 1):
        parameter.grad = torch.tensor(gradient(parameter.detach().tolist(), numbers))
        prepare(parameter)
        optimizer.step()
        if step in SHOWN:
            shown[f"step{step}"] = parameter.detach().numpy().copy()
    return shown


def plain_trajectory(update):
    """`update(t, g, p, state)` gives the new parameter; `state` is a list of 3 that it may change."""
    parameters, states = list(START), [[0.0] * 3 for _ in START]
    numbers = Numbers(1)
    shown = {}
    for step in range(1, STEPS + 1):
        g = gradient(parameters, numbers)
        parameters = [update(step, *args) for args in zip(g, parameters, states)]
        if step in SHOWN:
            shown[f"step{step}"] = parameters
    return shown


def adam_inside(t, g, p, s):
    s[0] = 0.9 * s[0] + 0.1 * g
    s[1] = 0.999 * s[1] + 0.001 * g * g
    return p - 0.05 * (s[0] / (1 - 0.9**t)) / math.sqrt(s[1] / (1 - 0.999**t) + 1e-3)


def rms_prop_inside(t, g, p, s):
    s[0] = 0.9 * s[0] + 0.1 * g * g
    return p - 0.02 * g / math.sqrt(s[0] + 1e-3)


def adagrad_inside(t, g, p, s):
    s[0] += g * g
    return p - 0.1 * g / math.sqrt(s[0] + 1e-3)


def lion(t, g, p, s):
    direction = 0.9 * s[0] + 0.1 * g
    s[0] = 0.99 * s[0] + 0.01 * g
    return p * (1 - 0.02 * 0.1) - 0.02 * math.copysign(1.0, direction)


def l1_sgd(t, g, p, s):
    return p - 0.1 * (g + 0.05 * math.copysign(1.0, p))


def write_optimizers():
    file = File(torch, onnx, numpy)
    o = torch.optim
    rules = {
        "sgd": lambda p: o.SGD(p, lr=0.1),
        "sgd_l2": lambda p: o.SGD(p, lr=0.1, weight_decay=0.02),
        "momentum": lambda p: o.SGD(p, lr=0.05, momentum=0.9),
        "nesterov": lambda p: o.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
        "momentum_dampened": lambda p: o.SGD(p, lr=0.05, momentum=0.9, dampening=0.25),
        "rms_prop": lambda p: o.RMSprop(p, lr=0.02, alpha=0.9, eps=1e-6),
        "rms_prop_centered": lambda p: o.RMSprop(p, lr=0.02, alpha=0.9, eps=1e-6, centered=True),
        "rms_prop_momentum": lambda p: o.RMSprop(p, lr=0.02, alpha=0.9, eps=1e-6, momentum=0.5),
        "rms_prop_both": lambda p: o.RMSprop(
            p, lr=0.02, alpha=0.9, eps=1e-6, momentum=0.5, centered=True
        ),
        "adam": lambda p: o.Adam(p, lr=0.05, betas=(0.9, 0.999), eps=1e-8),
        "adam_l2": lambda p: o.Adam(p, lr=0.05, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.02),
        "adam_w": lambda p: o.AdamW(p, lr=0.05, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1),
        "amsgrad": lambda p: o.Adam(p, lr=0.05, betas=(0.8, 0.9), eps=1e-8, amsgrad=True),
        "nadam": lambda p: o.NAdam(p, lr=0.05, betas=(0.9, 0.999), eps=1e-8, momentum_decay=0.004),
        "adagrad": lambda p: o.Adagrad(
            p, lr=0.1, lr_decay=0.05, initial_accumulator_value=0.25, eps=1e-10
        ),
    }
    for name, make in rules.items():
        file.case(name, **torch_trajectory(make))
    clip = lambda parameter: torch.nn.utils.clip_grad_value_([parameter], 0.25)
    file.case("sgd_clip_value", **torch_trajectory(rules["sgd"], clip))
    file.case("adam_inside", **plain_trajectory(adam_inside))
    file.case("rms_prop_inside", **plain_trajectory(rms_prop_inside))
    file.case("adagrad_inside", **plain_trajectory(adagrad_inside))
    file.case("lion", **plain_trajectory(lion))
    file.case("sgd_l1", **plain_trajectory(l1_sgd))
    for name in ("momentum", "nesterov_momentum", "adagrad"):
        attributes, inputs, outputs = node_test(f"test_{name}")
        scalars = [float(inputs[0].reshape(())), *(attributes[k] for k in sorted(attributes))]
        file.case(
            f"onnx_{name}",
            scalars=scalars,
            parameter=inputs[2],
            gradient=inputs[3],
            state=inputs[4],
            new_parameter=outputs[0],
            new_state=outputs[1],
        )
    # Its inputs: R, T = 0, then the parameter, the gradient, m and v.
    attributes, inputs, outputs = node_test("test_adam")
    scalars = [float(inputs[0].reshape(())), *(attributes[k] for k in sorted(attributes))]
    file.case(
        "onnx_adam",
        scalars=scalars,
        parameter=inputs[2],
        gradient=inputs[3],
        m=inputs[4],
        v=inputs[5],
        new_parameter=outputs[0],
        new_m=outputs[1],
        new_v=outputs[2],
    )
    file.write("optimizers.txt")


def node_test(name):
    """Numeric attributes, inputs and outputs of one of ONNX's node tests."""
    from onnx.backend.test.case.node import collect_testcases

    if not hasattr(node_test, "cases"):
        node_test.cases = {case.name: case for case in collect_testcases("")}
    case = node_test.cases[name]
    attributes = {a.name: a.f for a in case.model.graph.node[0].attribute if a.f}
    inputs, outputs = case.data_sets[0]
    return attributes, inputs, outputs


def write_losses():
    file = File(torch, onnx, numpy)
    rows, columns = 4, 5
    labels = torch.tensor([2, 0, 4, 1])
    row_weights = torch.tensor([1.0, 0.5, 2.0, 0.25])
    class_weights = torch.tensor([1.0, 0.5, 2.0, 0.25, 3.0])
    x = Numbers(2).take(rows, columns) * 8
    targets = Numbers(3).take(rows, columns) + 0.5
    distribution = targets / targets.sum(1, keepdim=True)
    file.case(
        "inputs",
        x=x,
        targets=targets,
        distribution=distribution,
        labels=labels,
        row_weights=row_weights,
        class_weights=class_weights,
    )

    def case(name, loss):
        z = x.clone().requires_grad_()
        losses = loss(z)
        losses = (losses.sum(1) if losses.dim() == 2 else losses) * row_weights
        losses.sum().backward()
        file.case(name, losses=losses.detach(), delta=z.grad)

    f = functional
    case("squared_error", lambda z: f.mse_loss(z, targets, reduction="none"))
    case("absolute_error", lambda z: f.l1_loss(z, targets, reduction="none"))
    tau = 0.9
    pinball = lambda e: torch.maximum((1 - tau) * e, -tau * e)
    case("quantile", lambda z: pinball(z - targets))
    case("huber", lambda z: f.huber_loss(z, targets, reduction="none", delta=1.5))
    bce = f.binary_cross_entropy_with_logits
    case("binary_cross_entropy", lambda z: bce(z, targets, reduction="none"))
    weight = torch.tensor(2.5)
    case(
        "binary_cross_entropy_weighted",
        lambda z: bce(z, targets, reduction="none", pos_weight=weight),
    )
    case("poisson", lambda z: f.poisson_nll_loss(z, targets, reduction="none"))
    case("kl_divergence", lambda z: f.kl_div(z, distribution, reduction="none"))
    ce = f.cross_entropy
    case("cross_entropy", lambda z: ce(z, labels, reduction="none"))
    case("cross_entropy_smoothed", lambda z: ce(z, labels, reduction="none", label_smoothing=0.1))
    case(
        "cross_entropy_weighted",
        lambda z: ce(z, labels, weight=class_weights, reduction="none", label_smoothing=0.1),
    )
    case("cross_entropy_probabilities", lambda z: ce(z, distribution, reduction="none"))
    case(
        "cross_entropy_probabilities_weighted",
        lambda z: ce(z, distribution, weight=class_weights, reduction="none"),
    )
    case(
        "softmax_kl_divergence",
        lambda z: f.kl_div(f.log_softmax(z, 1), distribution, reduction="none"),
    )
    for name in ("sce_none", "sce_none_weights"):
        _, inputs, outputs = node_test(f"test_{name}")
        weights = inputs[2] if len(inputs) > 2 else numpy.ones(inputs[0].shape[1])
        file.case(f"onnx_{name}", x=inputs[0], labels=inputs[1], weights=weights, losses=outputs[0])
    file.write("losses.txt")


def write_norms():
    file = File(torch, onnx, numpy)
    rows, columns = 6, 5
    numbers = Numbers(4)
    x = numbers.take(rows, columns) * 8
    upstream = numbers.take(rows, columns)
    gamma, beta = numbers.take(columns), numbers.take(columns)
    running_mean, running_variance = numbers.take(columns), numbers.take(columns) + 1
    file.case(
        "inputs",
        x=x,
        upstream=upstream,
        gamma=gamma,
        beta=beta,
        running_mean=running_mean,
        running_variance=running_variance,
    )

    def case(name, norm, **others):
        leaves = [tensor.clone().requires_grad_() for tensor in (x, gamma, beta)]
        y = norm(*leaves)
        (y * upstream).sum().backward()
        gradients = [leaf.grad for leaf in leaves]
        file.case(
            name,
            y=y.detach(),
            delta=gradients[0],
            gamma_gradient=gradients[1],
            beta_gradient=gradients[2],
            **others,
        )

    evaluated = functional.batch_norm(x, running_mean, running_variance, gamma, beta, eps=1e-5)
    running = (running_mean.clone(), running_variance.clone())
    batch = lambda x, g, b: functional.batch_norm(x, *running, g, b, True, 0.1, 1e-5)
    case("batch", batch)
    file.case(
        "batch_running", mean=running[0], variance=running[1], evaluated=evaluated
    )
    case("layer", lambda x, g, b: functional.layer_norm(x, (columns,), g, b, 1e-5))

    _, inputs, outputs = node_test("test_layer_normalization_2d_axis1")
    file.case(
        "onnx_layer",
        x=inputs[0],
        gamma=inputs[1],
        beta=inputs[2],
        y=outputs[0],
        mean=outputs[1],
        inverse_std=outputs[2],
    )
    _, inputs, outputs = node_test("test_batchnorm_example_training_mode")
    rows_first = lambda image: numpy.moveaxis(image, 1, -1)
    file.case(
        "onnx_batch",
        x=rows_first(inputs[0]),
        gamma=inputs[1],
        beta=inputs[2],
        y=rows_first(outputs[0]),
    )
    file.write("norms.txt")


write_optimizers()
write_losses()
write_norms()
