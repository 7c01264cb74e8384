"""The network as an ONNX file, for any length of text, checked against torch in onnxruntime.

Inputs: `ids` (batch, length), `sigma` (batch,), `given` (batch, length). Output: `logits` (batch, length, characters).
The graph is written node by node: torch's exporter takes neither complex numbers nor our convolution's own gradient.
"""

import argparse
import json
from typing import Any

import numpy as np
import torch
from torch import Tensor

from command.libraries import library
from command.messages import counted, say
from command.outputs import Outputs
from config.schema import ModelConfig
from exporting.weights import finite
from generation.checkpoint import content_of, load_checkpoint, named_weights, network_of
from generation.folder import config_of, model_files, model_name
from model import ROTARY_BASE, SMALLEST_SIGMA, DiffusionTransformer, noise_frequencies
from utils import SOFTWARE, UserError

OPSET = 20  # the first with Gelu
IR_VERSION = 9  # of the file format, which goes with this opset
LARGEST_DIFFERENCE = 1e-4  # of a logit, between onnxruntime and torch
CHECKED_LENGTHS = (1, 33)  # and the context: a network that takes any length takes these
Value = str  # the name of what a node gives


class Graph:
    """Nodes and constants of an ONNX graph, in the order in which they are computed."""

    def __init__(self) -> None:
        self.helper = library("onnx.helper")
        self.tensors = library("onnx.numpy_helper")
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def constant(self, value: Any, name: str = "") -> Value:
        """A constant array; whole numbers as int64, all others as float32."""
        array = np.asarray(value)
        array = array.astype(np.int64 if array.dtype.kind == "i" else np.float32)
        name = name or f"constant_{len(self.constants)}"
        self.constants[name] = self.tensors.from_array(array, name)
        return name

    def __call__(self, kind: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        """A node: names are values, all else becomes a constant. -> its output's name, or the names of several."""
        names = [i if isinstance(i, str) else self.constant(i) for i in inputs]
        made = [f"{kind.lower()}_{len(self.nodes)}_{k}" for k in range(outputs)]
        self.nodes.append(self.helper.make_node(kind, names, made, **attributes))
        return made[0] if outputs == 1 else made


class Exporter:
    """Builds the graph of a network from its weights, part by part as in model.py."""

    def __init__(self, config: ModelConfig, weights: dict[str, Tensor]) -> None:
        self.config, self.graph = config, Graph()
        self.weights = {name: value.float().numpy() for name, value in weights.items()}

    def linear(self, x: Value, name: str) -> Value:
        """x through a layer, with its bias if it has one."""
        product = self.graph("MatMul", x, self.graph.constant(self.weights[f"{name}.weight"].T, f"{name}.weight"))
        bias = self.weights.get(f"{name}.bias")
        return product if bias is None else self.graph("Add", product, bias)

    def embedded(self) -> Value:
        marks = self.graph("Cast", "given", to=7)  # int64
        ids = self.graph("Gather", self.graph.constant(self.weights["tokens.weight"], "tokens.weight"), "ids")
        return self.graph("Add", ids, self.graph("Gather", self.weights["given.weight"], marks))

    def noise(self) -> Value:
        """The noise embedding, (batch, noise width)."""
        g = self.graph
        level = g("Unsqueeze", g("Log", g("Max", "sigma", np.float32(SMALLEST_SIGMA))), [1])
        angles = g("Mul", level, noise_frequencies().numpy())
        features = g("Concat", g("Cos", angles), g("Sin", angles), axis=1)
        return self.silu(self.linear(self.silu(self.linear(features, "noise.mlp.0")), "noise.mlp.2"))

    def silu(self, x: Value) -> Value:
        return self.graph("Mul", x, self.graph("Sigmoid", x))

    def modulation(self, noise: Value, name: str, parts: int) -> list[Value]:
        """Vectors (batch, 1, width) that shift, scale and gate."""
        whole = self.graph("Unsqueeze", self.linear(noise, name), [1])
        return self.graph("Split", whole, axis=2, num_outputs=parts, outputs=parts)

    def modulated(self, x: Value, shift: Value, scale: Value) -> Value:
        g = self.graph
        normal = g("LayerNormalization", x, np.ones(self.config.width, np.float32), epsilon=1e-5)
        return g("Add", g("Mul", normal, g("Add", scale, np.float32(1))), shift)

    def convolved(self, x: Value, name: str) -> Value:
        g, taps = self.graph, self.weights[f"{name}.weight"][:, :, 0].copy()
        half = taps.shape[-1] // 2
        taps[:, :, half] += 1  # the residual
        mixed = g("Conv", g("Transpose", x, perm=[0, 2, 1]), taps, group=self.config.width, pads=[half, half])
        return g("Transpose", mixed, perm=[0, 2, 1])

    def attended(self, x: Value, name: str, turns: tuple[Value, Value]) -> Value:
        """Attention without its output projection."""
        g, heads = self.graph, self.config.heads
        width = self.config.width // heads
        parts = g("Reshape", self.linear(x, f"{name}.qkv"), [0, 0, 3, heads, width])
        q, k, v = g("Split", g("Transpose", parts, perm=[2, 0, 3, 1, 4]), axis=0, num_outputs=3, outputs=3)
        q, k, v = (g("Squeeze", part, [0]) for part in (q, k, v))  # (batch, heads, length, width)
        q, k = (self.unit(self.turned(part, turns, width)) for part in (q, k))
        scores = g("Mul", g("MatMul", q, g("Transpose", k, perm=[0, 1, 3, 2])), np.float32(width**0.5))
        mixed = g("Transpose", g("MatMul", g("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
        return g("Reshape", mixed, [0, 0, self.config.width])

    def turns(self) -> tuple[Value, Value]:
        """Cosines and sines (length, half a head's width) by which pairs turn."""
        g, width = self.graph, self.config.width // self.config.heads
        length = g("Gather", g("Shape", "ids"), np.int64(1))
        place = g("Unsqueeze", g("Cast", g("Range", np.int64(0), length, np.int64(1)), to=1), [1])  # float32
        angles = g("Mul", place, (ROTARY_BASE ** (-torch.arange(0, width, 2) / width)).numpy())
        return g("Cos", angles), g("Sin", angles)

    def turned(self, x: Value, turns: tuple[Value, Value], width: int) -> Value:
        g, (cosines, sines) = self.graph, turns
        pairs = g("Reshape", x, [0, 0, 0, width // 2, 2])
        a, b = (g("Squeeze", part, [4]) for part in g("Split", pairs, axis=4, num_outputs=2, outputs=2))
        first = g("Sub", g("Mul", a, cosines), g("Mul", b, sines))
        second = g("Add", g("Mul", a, sines), g("Mul", b, cosines))
        both = g("Concat", g("Unsqueeze", first, [4]), g("Unsqueeze", second, [4]), axis=4)
        return g("Reshape", both, [0, 0, 0, width])

    def unit(self, x: Value) -> Value:
        """Vectors of length 1."""
        return self.graph("Div", x, self.graph("Max", self.graph("ReduceL2", x, [-1]), np.float32(1e-12)))

    def block(self, x: Value, noise: Value, layer: int, turns: tuple[Value, Value]) -> Value:
        g, name = self.graph, f"blocks.{layer}"
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.modulation(noise, f"{name}.modulation", 6)
        h = self.convolved(self.modulated(x, shift_a, scale_a), f"{name}.conv_attention")
        if f"{name}.attention.qkv.weight" in self.weights:
            h = self.attended(h, f"{name}.attention", turns)
        x = self.added(x, self.linear(h, f"{name}.attention.out"), gate_a)
        h = self.convolved(self.modulated(x, shift_m, scale_m), f"{name}.conv_mlp")
        return self.added(x, self.linear(g("Gelu", self.linear(h, f"{name}.up")), f"{name}.down"), gate_m)

    def added(self, x: Value, branch: Value, gate: Value) -> Value:
        return self.graph("Add", x, self.graph("Mul", branch, self.graph("Add", gate, np.float32(1))))

    def model(self, outputs: int, metadata: dict[str, str]) -> bytes:
        """The whole network as the bytes of a file."""
        x, noise, turns = self.embedded(), self.noise(), self.turns()
        for layer in range(self.config.layers):
            x = self.block(x, noise, layer, turns)
        shift, scale = self.modulation(noise, "modulation", 2)
        logits = self.linear(self.modulated(x, shift, scale), "head")
        helper, g = self.graph.helper, self.graph
        g.nodes.append(helper.make_node("Identity", [logits], ["logits"]))
        sides = ["batch", "length"]
        inputs = [("ids", 7, sides), ("sigma", 1, ["batch"]), ("given", 9, sides)]  # int64, float32, bool
        made = helper.make_graph(
            g.nodes, "denoiser", [helper.make_tensor_value_info(*entry) for entry in inputs],
            [helper.make_tensor_value_info("logits", 1, [*sides, outputs])], list(g.constants.values()),
        )  # fmt: skip
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        helper.set_model_props(model, metadata)
        library("onnx.checker").check_model(model)
        return model.SerializeToString(deterministic=True)


def settings_of(content: dict[str, Any]) -> dict[str, str]:
    """What a file of ONNX says of its model: config, vocabulary and versions, as texts."""
    return {
        "program": f"{SOFTWARE} {content['version']}",
        "config": json.dumps(config_of(content)),
        "vocabulary": json.dumps(content["vocabulary"]),
    }


def export_onnx(arguments: argparse.Namespace) -> int:
    """Write the network of a model as ONNX. Raises UserError if onnxruntime does not compute what torch does."""
    checkpoint = load_checkpoint(arguments.model)
    if checkpoint.network != "transformer":
        raise UserError(f"{arguments.model}: a network of the notebook, which is not exported as ONNX")
    output = arguments.output or arguments.model.parent / f"{model_name(arguments.model)}.onnx"
    outputs = Outputs(output.parent, [output.name], model_files(arguments.model), overwrite=arguments.overwrite)
    network = network_of(checkpoint)
    assert isinstance(network, DiffusionTransformer)
    exporter = Exporter(checkpoint.run.model, checkpoint.weights)
    data = exporter.model(network.head.out_features, settings_of(content_of(checkpoint)))
    with named_weights(arguments.model):
        difference = largest_difference(data, network.eval())
    if not difference <= LARGEST_DIFFERENCE:  # nor NaN
        raise UserError(
            f"{arguments.model}: onnxruntime's logits differ from torch's by {difference:.2g}, more than"
            f" {LARGEST_DIFFERENCE}; this is an error of the export, no choice of yours helps"
        )
    outputs.write(data)
    lengths = counted(len(CHECKED_LENGTHS) + 1, "length")
    say(f"{output}: {len(data) / 1e6:.2f} MB; logits as torch's within {difference:.1e}, at {lengths} of text")
    return 0


def largest_difference(data: bytes, network: DiffusionTransformer) -> float:
    """The largest difference of a logit between onnxruntime and torch, over random texts and noise levels."""
    session = library("onnxruntime").InferenceSession(data, providers=["CPUExecutionProvider"])
    generator, found = torch.Generator().manual_seed(0), []
    for length in (*CHECKED_LENGTHS, network.config.context):
        ids = torch.randint(network.tokens.num_embeddings, (4, length), generator=generator)
        given = torch.rand(4, length, generator=generator) < 0.25
        sigma = torch.tensor([1e-3, 0.1, 1.0, 6.0])
        with torch.no_grad():
            expected = finite(network(ids, sigma, given))
        (logits,) = session.run(None, {"ids": ids.numpy(), "sigma": sigma.numpy(), "given": given.numpy()})
        found.append(np.abs(logits - expected.numpy()).max())
    return float(np.max(found))
