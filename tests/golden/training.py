"""Makes training.txt, with which tests/network/pytorch.rs compares: networks trained by PyTorch.

Run in this folder: python training.py. Needs torch and numpy; the versions used are in the first
line.
"""

import numpy
import torch
from golden_file import File
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(1)

ROWS, INPUTS, OUTPUTS, STEPS = 40, 6, 4, 30


class Residual(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.block = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.block(x)


class Embedding(nn.Module):
    """Columns 0 and 1 hold one of 3 and of 5 categories."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Embedding(3, 2), nn.Embedding(5, 3)

    def forward(self, x):
        vectors = self.first(x[:, 0].long()), self.second(x[:, 1].long())
        return torch.cat([*vectors, x[:, 2:]], dim=1)


NETWORKS = {
    "batch norm": lambda: nn.Sequential(
        nn.Linear(INPUTS, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, OUTPUTS)
    ),
    "layer norm": lambda: nn.Sequential(
        nn.Linear(INPUTS, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, OUTPUTS)
    ),
    "residual": lambda: nn.Sequential(
        nn.Linear(INPUTS, 8),
        nn.SiLU(),
        Residual(nn.LayerNorm(8), nn.Linear(8, 12), nn.GELU(), nn.Linear(12, 8)),
        nn.BatchNorm1d(8, eps=1e-3, momentum=0.3),
        nn.Linear(8, OUTPUTS),
    ),
    "embedding": lambda: nn.Sequential(
        Embedding(), nn.Linear(9, 8), nn.BatchNorm1d(8, affine=False), nn.Tanh(), nn.Linear(8, OUTPUTS)
    ),
}
OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "nesterov": lambda parameters: torch.optim.SGD(parameters, lr=0.02, momentum=0.9, nesterov=True),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.01, eps=1e-8),
}


def flat(tensors):
    return [float(x) for tensor in tensors for x in tensor.detach().reshape(-1)]


def statistics(network):
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm1d)]
    return flat(x for norm in norms for x in (norm.running_mean, norm.running_var))


def main():
    x = torch.rand(ROWS, INPUTS) * 2 - 1
    # Every category in every batch: PyTorch updates the vectors of the others too.
    x[:, 0] = torch.arange(ROWS) % 3
    x[:, 1] = torch.arange(ROWS) % 5
    labels = torch.randint(0, OUTPUTS, (ROWS,))
    file = File(torch, numpy)
    file.case("data", x=flat([x]), labels=labels.tolist())
    for network_name, build in NETWORKS.items():
        for optimizer_name, optimize in OPTIMIZERS.items():
            network = build()
            optimizer = optimize(network.parameters())
            start, losses = flat(network.parameters()), []
            for step in range(STEPS):
                rows = ROWS - step % 3
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(network(x[:rows]), labels[:rows])
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            network.eval()
            values = {"end": flat(network.parameters()), "outputs": flat([network(x)])}
            if statistics(network):
                values["statistics"] = statistics(network)
            file.case(f"{network_name}, {optimizer_name}", start=start, losses=losses, **values)
    file.write("training.txt")


main()
