"""Times a prediction of a ReLU perceptron by ONNX Runtime and PyTorch on one thread.

    python scripts/compare_predict.py 784,512,512,10 1

beside `cargo run --release --example step_time -- --dims 784,512,512,10 --batch 1 --mode predict`.
Needs numpy, onnx, onnxruntime and torch. Prints the median microseconds of a call, and after a
number of calls as a third argument the 99.9th percentile of so many, each timed alone.
"""

import statistics
import sys
import time

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

SECONDS = 3.0
CALLS = 10


def timed(call):
    text = f"{median_us(call):.2f}"
    if len(sys.argv) > 3:
        text += f", p99.9 {tail_us(call, int(sys.argv[3])):.2f}"
    return text


def tail_us(call, calls):
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return sorted(times)[round((calls - 1) * 0.999)] * 1e6


def median_us(call):
    for _ in range(20):
        call()
    samples = []
    begin = time.perf_counter()
    while time.perf_counter() - begin < SECONDS:
        start = time.perf_counter()
        for _ in range(CALLS):
            call()
        samples.append((time.perf_counter() - start) / CALLS)
    return statistics.median(samples) * 1e6


def onnx_model(layers, batch):
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


def main():
    widths = [int(width) for width in sys.argv[1].split(",")]
    batch = int(sys.argv[2])
    random = np.random.default_rng(0)
    layers = [
        (
            (random.standard_normal((outputs, inputs)) / inputs**0.5).astype(np.float32),
            np.zeros(outputs, np.float32),
        )
        for inputs, outputs in zip(widths, widths[1:])
    ]
    x = random.standard_normal((batch, widths[0])).astype(np.float32)

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = onnx_model(layers, batch).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    # Bound once, so that no call converts an array.
    binding = session.io_binding()
    value = onnxruntime.OrtValue.ortvalue_from_numpy
    binding.bind_ortvalue_input("x", value(x))
    binding.bind_ortvalue_output("y", value(np.zeros((batch, widths[-1]), np.float32)))
    text = timed(lambda: session.run_with_iobinding(binding))
    print(f"onnxruntime {onnxruntime.__version__}: {text}")

    torch.set_num_threads(1)
    modules = []
    for weight, bias in layers:
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
        linear.weight.data, linear.bias.data = torch.from_numpy(weight), torch.from_numpy(bias)
        modules += [linear, torch.nn.ReLU()]
    network = torch.nn.Sequential(*modules[:-1]).eval()
    tensor = torch.from_numpy(x)
    with torch.inference_mode():
        print(f"torch {torch.__version__}: {timed(lambda: network(tensor))}")


if __name__ == "__main__":
    main()
