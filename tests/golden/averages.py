"""Makes averages.txt, with which tests/network/averages.rs compares: weights that PyTorch averaged.

Run in this folder: python averages.py. Needs torch and numpy; the versions used are in the first
line.
"""

import numpy
import torch
from golden_file import File
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_avg_fn

torch.set_default_dtype(torch.float64)
torch.manual_seed(2)

ROWS, INPUTS, STEPS = 16, 3, 15
AVERAGES = {
    "exponential 0.9": {"multi_avg_fn": get_ema_multi_avg_fn(0.9)},
    "exponential 0.25": {"multi_avg_fn": get_ema_multi_avg_fn(0.25)},
    "equal": {"avg_fn": get_swa_avg_fn()},
}


def flat(tensors):
    return [float(x) for tensor in tensors for x in tensor.detach().reshape(-1)]


def main():
    x, y = torch.rand(ROWS, INPUTS) * 2 - 1, torch.rand(ROWS, 2)
    network = nn.Sequential(
        nn.Linear(INPUTS, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 2)
    )
    file = File(torch, numpy)
    file.case("data", x=flat([x]), y=flat([y]), start=flat(network.parameters()))
    averages = {name: AveragedModel(network, **how) for name, how in AVERAGES.items()}
    trajectories = {name: [] for name in AVERAGES}
    optimizer = torch.optim.SGD(network.parameters(), lr=0.3)
    for step in range(STEPS):
        rows = ROWS - step % 5
        optimizer.zero_grad()
        # The mean over rows of sums over outputs.
        loss = nn.functional.mse_loss(network(x[:rows]), y[:rows], reduction="sum") / rows
        loss.backward()
        optimizer.step()
        for name, average in averages.items():
            average.update_parameters(network)
            trajectories[name] += flat(average.module.parameters())
    for name, average in averages.items():
        average.eval()
        norm = average.module[1]
        file.case(
            name,
            parameters=trajectories[name],
            statistics=flat([norm.running_mean, norm.running_var]),
            outputs=flat([average(x)]),
        )
    file.write("averages.txt")


main()
