"""Makes schedules.txt, with which tests/schedule.rs compares.

Run in this folder: python schedules.py. Needs torch; the version used is in the first line of the
file. Every case is the learning rate of a torch scheduler over the base rate, step after step.
"""

import math
import warnings

import torch
from golden_file import File
from torch.optim import lr_scheduler as torch_schedules

warnings.filterwarnings("ignore")
BASE = 0.5
STEPS = 60


def trajectory(make, steps=STEPS, metrics=None):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=BASE)
    schedule = make(optimizer)
    factors = []
    for step in range(steps):
        factors.append(optimizer.param_groups[0]["lr"] / BASE)
        optimizer.step()
        schedule.step(*([metrics[step]] if metrics else []))
    return factors


file = File(torch)
for name, make in {
    "step": lambda o: torch_schedules.StepLR(o, 7, gamma=0.5),
    "exponential": lambda o: torch_schedules.ExponentialLR(o, 0.9),
    "inverse_time": lambda o: torch_schedules.LambdaLR(o, lambda t: 1 / (1 + 0.1 * t)),
    "polynomial": lambda o: torch_schedules.PolynomialLR(o, total_iters=40, power=2.0),
    "cosine": lambda o: torch_schedules.CosineAnnealingLR(o, STEPS, eta_min=0.1 * BASE),
    "cosine_restarts": lambda o: torch_schedules.CosineAnnealingWarmRestarts(
        o, 5, T_mult=2, eta_min=0.01 * BASE
    ),
    "cosine_equal_restarts": lambda o: torch_schedules.CosineAnnealingWarmRestarts(o, 8),
    "one_cycle": lambda o: torch_schedules.OneCycleLR(o, max_lr=BASE, total_steps=STEPS + 1),
    "warm_up": lambda o: torch_schedules.LinearLR(o, start_factor=0.25, total_iters=10),
    "warm_up_then_exponential": lambda o: torch_schedules.SequentialLR(
        o,
        [
            torch_schedules.LinearLR(o, start_factor=0.25, total_iters=10),
            torch_schedules.ExponentialLR(o, 0.9),
        ],
        milestones=[10],
    ),
}.items():
    file.case(name, factors=trajectory(make))

metrics = [1 + math.exp(-t / 5) + 0.05 * math.sin(3 * t) for t in range(STEPS)]
for name, values, options in (
    ("plateau", metrics, dict(factor=0.5, patience=3)),
    ("plateau_cooldown", metrics, dict(factor=0.1, patience=1, cooldown=4, min_lr=0.01 * BASE)),
    ("plateau_threshold", metrics, dict(factor=0.5, patience=2, threshold=0.05)),
    ("plateau_max", [3 - m for m in metrics], dict(factor=0.5, patience=3, mode="max")),
):
    make = lambda o: torch_schedules.ReduceLROnPlateau(o, **options)
    file.case(name, metrics=values, factors=trajectory(make, metrics=values))
file.write("schedules.txt")
