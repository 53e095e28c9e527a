"""Times a prediction of a ReLU perceptron beside ONNX Runtime and PyTorch on one thread.

    python scripts/compare_predict.py 784,512,512,10 1

(widths, rows). Builds and runs the example `step_time`; needs numpy, onnx, onnxruntime and torch.
"""

import sys

from turns import compare, take_turns


def onnx_model(layers, batch):
    from onnx import TensorProto, helper, numpy_helper

    nodes, weights, name = [], [], "x"
    for index, (weight, bias) in enumerate(layers):
        last = index == len(layers) - 1
        weights += [
            numpy_helper.from_array(weight, f"{index}.weight"),
            numpy_helper.from_array(bias, f"{index}.bias"),
        ]
        output = "y" if last else f"z{index}"
        inputs = [name, f"{index}.weight", f"{index}.bias"]
        nodes.append(helper.make_node("Gemm", inputs, [output], transB=1))
        if not last:
            name = f"a{index}"
            nodes.append(helper.make_node("Relu", [output], [name]))
    shape = lambda name, width: helper.make_tensor_value_info(
        name, TensorProto.FLOAT, [batch, width]
    )
    x, y = shape("x", layers[0][0].shape[1]), shape("y", layers[-1][0].shape[0])
    graph = helper.make_graph(nodes, "perceptron", [x], [y], weights)
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8)


def onnxruntime_call(layers, x):
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = onnx_model(layers, len(x)).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    # Bound once, so that no call converts an array.
    binding = session.io_binding()
    value = onnxruntime.OrtValue.ortvalue_from_numpy
    binding.bind_ortvalue_input("x", value(x))
    binding.bind_ortvalue_output("y", value(np.zeros((len(x), len(layers[-1][1])), np.float32)))
    name = f"onnxruntime {onnxruntime.__version__}"
    return name, lambda: session.run_with_iobinding(binding)


def torch_call(layers, x):
    import torch

    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    modules = []
    for weight, bias in layers:
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
        linear.weight.data, linear.bias.data = torch.from_numpy(weight), torch.from_numpy(bias)
        modules += [linear, torch.nn.ReLU()]
    network = torch.nn.Sequential(*modules[:-1]).eval()
    tensor = torch.from_numpy(x)
    return f"torch {torch.__version__}", lambda: network(tensor)


PEERS = {"onnxruntime": onnxruntime_call, "torch": torch_call}


def main():
    dims, rows, *which = sys.argv[1:]
    if not which:
        step_time = ["--mode", "predict", "--dims", dims, "--batch", rows]
        compare(step_time, [[sys.executable, *sys.argv, peer] for peer in PEERS])
        return

    import numpy as np

    widths = [int(width) for width in dims.split(",")]
    random = np.random.default_rng(0)
    layers = [
        (
            (random.standard_normal((outputs, inputs)) / inputs**0.5).astype(np.float32),
            np.zeros(outputs, np.float32),
        )
        for inputs, outputs in zip(widths, widths[1:])
    ]
    x = random.standard_normal((int(rows), widths[0])).astype(np.float32)
    take_turns(*PEERS[which[0]](layers, x))


if __name__ == "__main__":
    main()
