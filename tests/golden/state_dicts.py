"""Makes state_dicts/*.safetensors and state_dicts.txt, with which tests/safetensors.rs compares:
weights that PyTorch has saved, and what its networks make of some rows with them.

Run in this folder: python state_dicts.py. Needs torch, numpy and safetensors; the versions used are
in the first line.

python state_dicts.py FOLDER reads plain.safetensors and nested.safetensors there, which
`cargo test --features safetensors --test safetensors -- --ignored` has written to the system's
folder for temporary files, into these networks and compares their outputs.
"""

import sys

import numpy
import safetensors
import torch
from golden_file import File
from safetensors.torch import load_file, save_file
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(1)

ROWS = 5


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


class Embedding(nn.ModuleList):
    """Column 1 holds one of 3 categories, column 0 one of 2."""

    def __init__(self):
        super().__init__([nn.Embedding(3, 2), nn.Embedding(2, 1)])

    def forward(self, x):
        vectors = self[0](x[:, 1].long()), self[1](x[:, 0].long())
        return torch.cat([*vectors, x[:, 2:]], dim=1)


plain = nn.Sequential(
    nn.Linear(3, 4),
    nn.GELU(),
    nn.BatchNorm1d(4),
    nn.Dropout(0.2),
    nn.Linear(4, 3, bias=False),
    nn.LayerNorm(3),
)
nested = nn.Sequential(
    Embedding(),
    nn.Linear(4, 3),
    Residual(
        nn.LayerNorm(3, elementwise_affine=False), nn.Linear(3, 3), nn.ReLU(), Residual(nn.Linear(3, 3))
    ),
    nn.BatchNorm1d(3, affine=False),
    nn.Linear(3, 1),
)
x_plain = torch.randn(ROWS, 3)
x_nested = torch.randn(ROWS, 3)
x_nested[:, 0] = torch.tensor([0, 1, 1, 0, 1])
x_nested[:, 1] = torch.tensor([2, 0, 1, 1, 2])
with torch.no_grad():
    for module in plain.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.LayerNorm)):
            module.weight.normal_(1, 0.3)
            module.bias.normal_()
    for _ in range(3):
        plain(torch.randn(20, 3))
        nested(x_nested)
plain.eval()
nested.eval()


def converted(model, dtype):
    """The weights in another type, and the model with those weights."""
    state = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in model.state_dict().items()
    }
    model.load_state_dict(state)
    return state


def check(folder):
    for name, model, x in (("plain", plain, x_plain), ("nested", nested, x_nested)):
        before = model(x)
        for parameter in model.parameters():
            parameter.data.zero_()
        model.load_state_dict(load_file(f"{folder}/{name}.safetensors"), strict=True)
        error = (model(x) - before).abs().max().item()
        print(f"{name}: largest difference {error:.1e}")
        assert error < 1e-12


if len(sys.argv) > 1:
    converted(plain, torch.float64)
    check(sys.argv[1])
    sys.exit()

file = File(torch, numpy, safetensors)
for name, dtype in (
    ("f64", torch.float64),
    ("f32", torch.float32),
    ("bf16", torch.bfloat16),
    ("f16", torch.float16),
):
    # From here on the weights are numbers of the smaller type too.
    if name == "f16":
        plain.load_state_dict(load_file("state_dicts/plain_f64.safetensors"))
    state = converted(plain, dtype)
    prefix = "body." if name == "f16" else ""
    state = {prefix + key: tensor for key, tensor in state.items()}
    if prefix:
        state["head.weight"] = torch.ones(1)
    save_file(state, f"state_dicts/plain_{name}.safetensors")
    file.case(f"plain_{name}", x=x_plain.numpy(), y=plain(x_plain).detach().numpy())
save_file(nested.state_dict(), "state_dicts/nested.safetensors")
file.case("nested", x=x_nested.numpy(), y=nested(x_nested).detach().numpy())
file.write("state_dicts.txt")
