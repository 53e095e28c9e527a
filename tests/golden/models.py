"""Makes models/*, nodes/*.onnx and models.txt, with which tests/onnx.rs compares: models as
PyTorch and skl2onnx write them, the nodes of ONNX's own backend tests that are covered, and what
ONNX Runtime, or the test itself, makes of some rows.

Run in this folder: python models.py. Needs onnx, onnxruntime, onnxscript, torch, scikit-learn,
skl2onnx and numpy; the versions used are in the first line.

python models.py FOLDER takes the models that `cargo test --features onnx --test onnx -- --ignored`
has written to that folder in the system's folder for temporary files, with rows for each: it checks
them by onnx.checker, runs them by ONNX Runtime, and makes exports/*.onnx and exports.txt.
"""

import pathlib
import shutil
import sys
import warnings

import numpy
import onnx
import onnxruntime
import onnxscript
import skl2onnx
import sklearn
import torch
from golden_file import File
from onnx import helper, numpy_helper
from sklearn.neural_network import MLPClassifier, MLPRegressor
from torch import nn

warnings.filterwarnings("ignore")
ROWS = 4


def run(model, x):
    """What ONNX Runtime gives for the output of floats."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    floats = [o.name for o in session.get_outputs() if "float" in o.type or "double" in o.type]
    y = session.run(floats, {session.get_inputs()[0].name: x})[0]
    if isinstance(y, list):
        y = numpy.array([[row[key] for key in sorted(row)] for row in y])
    return y


def read_rows(path):
    """The cases of a golden file with their rows."""
    cases, name = {}, None
    for line in path.read_text().splitlines():
        key, *values = line.split(" ")
        if key == "case":
            name = " ".join(values)
        elif key == "x":
            cases[name] = numpy.array([float(value) for value in values])
    return cases


def exports(folder):
    file = File(onnx, onnxruntime, numpy)
    shutil.rmtree("exports", ignore_errors=True)
    pathlib.Path("exports").mkdir()
    for name, x in read_rows(folder / "rows.txt").items():
        path = folder / f"{name}.onnx"
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        columns = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
        is_double = model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.DOUBLE
        x = x.reshape(-1, columns).astype(numpy.float64 if is_double else numpy.float32)
        file.case(name, x=x, y=run(model, x))
        shutil.copy(path, "exports")
    file.write("exports.txt")


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


def torch_model():
    torch.manual_seed(1)
    activations = [
        nn.ReLU(),
        nn.GELU(),
        nn.GELU(approximate="tanh"),
        nn.SiLU(),
        nn.Mish(),
        nn.Softplus(),
        nn.Hardswish(),
        nn.Hardsigmoid(),
        nn.ELU(0.5),
        nn.SELU(),
        nn.LeakyReLU(0.1),
        nn.Sigmoid(),
        nn.Tanh(),
    ]
    layers = [nn.Flatten()]
    for activation in activations:
        layers += [nn.Linear(4, 4), activation]
    layers += [
        nn.BatchNorm1d(4),
        nn.Dropout(0.25),
        nn.LayerNorm(4),
        Residual(nn.LayerNorm(4, elementwise_affine=False), nn.Linear(4, 4, bias=False), nn.ReLU()),
        nn.Linear(4, 3),
        nn.Softmax(1),
    ]
    model = nn.Sequential(*layers)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.LayerNorm)) and module.weight is not None:
                module.weight.normal_(1, 0.3)
                module.bias.normal_()
            if isinstance(module, nn.Linear):
                module.weight.mul_(2)
        for _ in range(3):
            model(torch.randn(20, 2, 2))
    return model.eval()


def plain(model):
    """Without what says where in the Python program it was made."""
    del model.metadata_props[:], model.graph.metadata_props[:], model.functions[:]
    for message in (*model.graph.node, *model.graph.value_info, *model.graph.initializer):
        del message.metadata_props[:]
        message.doc_string = ""
    del model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    return model


def save(file, name, model, x, y=None, folder="models"):
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, f"{folder}/{name}.onnx")
    file.case(name, x=x, y=run(model, x) if y is None else y)


def pytorch(file):
    model, x = torch_model(), torch.randn(ROWS, 2, 2)
    y = model(x).detach().numpy()
    batch = {"input": {0: "batch"}}
    for opset in (11, 17):
        path = f"models/pytorch_{opset}.onnx"
        torch.onnx.export(
            model, x, path, opset_version=opset, dynamo=False, input_names=["input"], dynamic_axes=batch
        )
        save(file, f"pytorch_{opset}", plain(onnx.load(path)), x.numpy(), y)
    path = "models/pytorch_dynamo.onnx"
    torch.onnx.export(model, (x,), path, dynamo=True, external_data=False, verbose=False)
    save(file, "pytorch_dynamo", plain(onnx.load(path)), x.numpy(), y)
    # In training mode there are a dropout and a batch normalization to be trained on.
    layers = nn.Sequential(nn.Linear(3, 4, bias=False), nn.ReLU(), nn.Dropout(0.25), nn.Linear(4, 2))
    x = torch.randn(ROWS, 3)
    path = "models/pytorch_training.onnx"
    torch.onnx.export(
        layers,
        x,
        path,
        opset_version=13,
        dynamo=False,
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
    )
    save(file, "pytorch_training", plain(onnx.load(path)), x.numpy(), layers.eval()(x).detach().numpy())


def pytorch_clips(file):
    torch.manual_seed(2)
    layers = []
    for clip in (nn.ReLU6(), nn.Hardtanh(), nn.Hardtanh(-0.3, 2.0)):
        layers += [nn.Linear(3, 3), clip]
    model, x = nn.Sequential(*layers).eval(), 3 * torch.randn(ROWS, 3)
    with torch.no_grad():
        for linear in layers[::2]:
            linear.weight.mul_(3)
        y = model(x).numpy()
    # Bounds are attributes up to opset 10, and inputs since then.
    for opset in (9, 11):
        path = f"models/pytorch_clip_{opset}.onnx"
        torch.onnx.export(model, x, path, opset_version=opset, dynamo=False)
        save(file, f"pytorch_clip_{opset}", plain(onnx.load(path)), x.numpy(), y)
    path = "models/pytorch_clip_dynamo.onnx"
    torch.onnx.export(model, (x,), path, dynamo=True, external_data=False, verbose=False)
    save(file, "pytorch_clip_dynamo", plain(onnx.load(path)), x.numpy(), y)


class Rows(nn.Module):
    """Images as rows, scaled by what each column is, to one number each."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1))
        self.register_buffer("mean", torch.tensor([100.0, 0.5, -3.0, 0.0]))
        self.register_buffer("std", torch.tensor([0.25, 3.0, 1.5, 1e-4]))

    def forward(self, x):
        x = (x.view(x.size(0), -1) - self.mean) / self.std
        return self.layers(x).squeeze(-1)


class Scaled(nn.Module):
    """Images scaled by constants, to numbers that are scaled back."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 3), nn.Linear(3, 2, bias=False)
        self.register_buffer("mean", torch.tensor([100.0, -0.5]))
        self.register_buffer("std", torch.tensor([20.0, 0.25]))

    def forward(self, x):
        x = (x - 0.5) / 0.25
        x = torch.relu(self.first(x.view(x.size(0), 4)))
        return 1 - (self.last(x) * self.std + self.mean)


def pytorch_scaled(file):
    """Networks with more than their layers, by both exporters."""
    torch.manual_seed(3)
    for module in (Rows().eval(), Scaled().eval()):
        name = type(module).__name__.lower()
        x = torch.randn(ROWS, 2, 2)
        if name == "rows":
            x = (x.view(-1, 4) * module.std + module.mean).view(-1, 2, 2)
        y = module(x).detach().numpy()
        options = {
            "script": {"dynamo": False, "input_names": ["x"], "dynamic_axes": {"x": {0: "batch"}}},
            "dynamo": {"dynamo": True, "external_data": False, "verbose": False,
                "dynamic_shapes": ({0: torch.export.Dim("batch")},)},
        }
        for exporter, options in options.items():
            path = f"models/pytorch_{name}_{exporter}.onnx"
            torch.onnx.export(module, (x,), path, **options)
            save(file, f"pytorch_{name}_{exporter}", plain(onnx.load(path)), x.numpy(), y)


def pytorch_external(file):
    """Weights beside the model, which the exporter does to those of 1 KiB and more."""
    torch.manual_seed(2)
    model, x = nn.Sequential(nn.Linear(5, 64), nn.ReLU(), nn.Linear(64, 5)).eval(), torch.randn(ROWS, 5)
    path = pathlib.Path("models/pytorch_external.onnx")
    torch.onnx.export(model, (x,), path, dynamo=True, verbose=False)
    onnx.save(plain(onnx.load(path, load_external_data=False)), path)
    onnx.checker.check_model(path, full_check=True)
    assert path.with_name("pytorch_external.onnx.data").stat().st_size == 2 * 4 * 5 * 64
    file.case("pytorch_external", x=x.numpy(), y=model(x).detach().numpy())


def scikit_learn(file):
    random = numpy.random.RandomState(0)
    train, x = random.randn(60, 4).astype(numpy.float32), random.randn(ROWS, 4).astype(numpy.float32)
    targets = {"two": (train[:, 0] > 0).astype(int), "three": numpy.digitize(train[:, 0], [-0.5, 0.5])}
    for name, y in targets.items():
        model = MLPClassifier((5,), activation="tanh", max_iter=20, random_state=1).fit(train, y)
        for zipmap in (True, False):
            converted = skl2onnx.to_onnx(model, train[:1], options={id(model): {"zipmap": zipmap}})
            suffix = "maps" if zipmap else "tensor"
            save(file, f"classifier_{name}_{suffix}", converted, x, model.predict_proba(x))
    for activation in ("relu", "logistic", "identity"):
        # skl2onnx 1.20 gives several outputs the shape of one, each in a row of its own.
        y = train[:, 0]
        model = MLPRegressor(
            hidden_layer_sizes=(5, 3), activation=activation, max_iter=20, random_state=1
        ).fit(train, y)
        converted = skl2onnx.to_onnx(model, train[:1])
        save(file, f"regressor_{activation}", converted, x, model.predict(x))


def types(file):
    """Weights of every type and kind of storage, and constants of every kind."""
    random = numpy.random.RandomState(1)
    x = random.randn(ROWS, 3).astype(numpy.float32)
    w = (random.randint(-64, 64, (3, 2)) / 32).astype(numpy.float32)
    rows = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", k]) for name, k in (("x", 3), ("y", 2))]

    def make(name, nodes, tensors):
        graph = helper.make_graph(nodes, name, rows[:1], rows[1:], tensors)
        opset = [helper.make_opsetid("", 17)]
        save(file, name, helper.make_model(graph, opset_imports=opset, ir_version=8), x, x @ w)

    for name in ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16"):
        element = getattr(onnx.TensorProto, name)
        dtype = helper.tensor_dtype_to_np_dtype(element)
        for raw in (True, False):
            values = w.astype(dtype)
            values = values.tobytes() if raw else values.flatten()
            tensor = helper.make_tensor("w", element, w.shape, values, raw=raw)
            cast = helper.make_node("Cast", ["w"], ["v"], to=onnx.TensorProto.FLOAT)
            product = helper.make_node("MatMul", ["x", "v"], ["y"])
            make(f"type_{name.lower()}_{'raw' if raw else 'list'}", [cast, product], [tensor])
    zeros = helper.make_node("Constant", [], ["zeros"], value_floats=[0.0, 0.0])
    turned = helper.make_node("Transpose", ["t"], ["w"], perm=[1, 0])
    shape = helper.make_node("Constant", [], ["shape"], value_ints=[-1, 3])
    make(
        "constants",
        [
            zeros,
            turned,
            shape,
            helper.make_node("Reshape", ["x", "shape"], ["r"]),
            helper.make_node("Gemm", ["r", "w", "zeros"], ["g"]),
            helper.make_node("Constant", [], ["zero"], value_float=0.0),
            helper.make_node("Add", ["zero", "g"], ["y"]),
        ],
        [numpy_helper.from_array(numpy.ascontiguousarray(w.T), "t")],
    )


LAST_AXIS = """Relu LeakyRelu Elu Selu Sigmoid Tanh Softplus Mish Gelu HardSwish HardSigmoid
Identity Clip Softmax LogSoftmax LayerNormalization Dropout""".split()
PRODUCTS = ["Gemm", "MatMul"]
# What is not read, on purpose: transposed inputs, matrices as biases, other axes, other constants.
LEFT_OUT = ("transposeA", "all_attributes", "matrix_bias", "_axis_0", "_axis_1", "axis1", "axis0", "axis_negative_2",
    "axis_negative_3", "axis_negative_4", "_axis_2", "training", "mask", "opt", "sequence", "bfloat", "matmul_1d",
    "matmul_3d", "matmul_4d", "matmul_bcast", "old", "hardsigmoid", "selu_example", "3d_", "4d_axis2", "4d_axis3",
    "4d_axis0", "4d_axis1", "min_greater_than_max")


def backend_nodes(file):
    from onnx.backend.test.case.node import collect_testcases

    for case in collect_testcases(None):
        graph = case.model.graph
        if len(graph.node) != 1 or graph.node[0].domain or len(case.data_sets) != 1:
            continue
        operator = graph.node[0].op_type
        is_batch_norm = operator == "BatchNormalization"
        if operator not in LAST_AXIS + PRODUCTS and not is_batch_norm:
            continue
        if any(part in case.name for part in LEFT_OUT) or case.name.endswith("_expanded"):
            continue
        if case.name == "test_selu":
            continue
        (x, *others), (y, *_) = case.data_sets[0]
        if not isinstance(x, numpy.ndarray) or x.dtype not in (numpy.float32, numpy.float64):
            continue
        if is_batch_norm:
            x, y = numpy.moveaxis(x, 1, -1), numpy.moveaxis(y, 1, -1)
        if operator not in PRODUCTS:
            x, y = x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1])
        if x.ndim != 2 or y.ndim != 2:
            continue
        # A few numbers of each are enough.
        if len(x) == 1 and x.shape == y.shape and x.shape[1] > 100:
            x, y = (values[:, :: x.shape[1] // 40] for values in (x, y))
        x, y = x[:8], y[:8]
        node = graph.node[0]
        names = [name for name in node.input if name]
        element = helper.np_dtype_to_tensor_dtype(x.dtype)
        new = helper.make_graph(
            [node],
            case.name,
            [helper.make_tensor_value_info(names[0], element, ["rows", x.shape[1]])],
            [helper.make_tensor_value_info(node.output[0], element, ["rows", y.shape[1]])],
            [numpy_helper.from_array(value, name) for name, value in zip(names[1:], others)],
        )
        model = helper.make_model(new, opset_imports=case.model.opset_import, ir_version=10)
        save(file, case.name, model, x, y, folder="nodes")


if len(sys.argv) > 1:
    exports(pathlib.Path(sys.argv[1]))
    sys.exit()
for name in ("models", "nodes"):
    shutil.rmtree(name, ignore_errors=True)
    pathlib.Path(name).mkdir()
file = File(onnx, onnxruntime, onnxscript, torch, sklearn, skl2onnx, numpy)
pytorch(file)
pytorch_clips(file)
scikit_learn(file)
types(file)
pytorch_external(file)
pytorch_scaled(file)
file.write("models.txt")
file = File(onnx, numpy)
backend_nodes(file)
file.write("nodes.txt")
