"""Encoders of image generators, as ONNX graphs of our own making: what they read in a picture, and how to move it.

A graph holds the forward pass and, for the loss below, the gradient with respect to the picture. Layers are told by the
names and shapes of the weights (the TAESD family, https://github.com/madebyollin/taesd, and TAEHV's encoder of stills).
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fediart.errors import CloakFailed
from fediart.media.cloak.onnx_format import Model

F = NDArray[np.float32]
Weights = dict[str, F]
_EPSILON = 1e-5


class _Tape:
    """Operators with what is needed to go back through them."""

    def __init__(self) -> None:
        self.model = Model()
        self._back: list[tuple[str, Callable[[str], list[tuple[str, str]]]]] = []
        self._zero = self.model.constant(np.zeros(1, np.float32))

    def conv(self, x: str, weight: F, bias: F | None = None, *, stride: int = 1, to_input: bool = True) -> str:
        side = weight.shape[2]
        pad = side // 2
        names = [x, self.model.constant(weight)] + ([self.model.constant(bias)] if bias is not None else [])
        out = self.model.node("Conv", names, kernel_shape=[side, side], pads=[pad] * 4, strides=[stride] * 2)

        def back(gradient: str) -> list[tuple[str, str]]:
            if stride == 1:
                turned = np.ascontiguousarray(weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3))
                names = [gradient, self.model.constant(turned)]
                return [(x, self.model.node("Conv", names, kernel_shape=[side, side], pads=[pad] * 4, strides=[1, 1]))]
            names = [gradient, self.model.constant(weight)]
            more = stride - 1 + 2 * pad - side + 1
            return [
                (
                    x,
                    self.model.node(
                        "ConvTranspose",
                        names,
                        kernel_shape=[side, side],
                        pads=[pad] * 4,
                        strides=[stride] * 2,
                        output_padding=[more] * 2,
                    ),
                )
            ]

        self._back.append((out, back))
        return out

    def relu(self, x: str) -> str:
        out = self.model.node("Relu", [x])
        # One byte a value is kept for the way back, not four.
        mask = self.model.node("Greater", [out, self._zero])
        self._back.append((out, lambda gradient: [(x, self.model.node("Where", [mask, gradient, self._zero]))]))
        return out

    def add(self, first: str, second: str) -> str:
        out = self.model.node("Add", [first, second])
        self._back.append((out, lambda gradient: [(first, gradient), (second, gradient)]))
        return out

    def group_norm(self, x: str, weight: F, bias: F, groups: int = 4) -> str:
        """Normalised over each group of channels and the whole plane."""
        model, channels = self.model, weight.shape[0]
        shape = model.node("Shape", [x])
        grouped = model.constant(np.array([1, groups, -1], np.int64))
        axes = model.constant(np.array([2], np.int64))
        scale = model.constant(weight.reshape(1, channels, 1, 1))
        flat = model.node("Reshape", [x, grouped])
        centred = model.node("Sub", [flat, model.node("ReduceMean", [flat, axes], keepdims=1)])
        variance = model.node("ReduceMean", [model.node("Mul", [centred, centred]), axes], keepdims=1)
        spread = model.node("Sqrt", [model.node("Add", [variance, model.constant(np.array([_EPSILON], np.float32))])])
        normed = model.node("Div", [centred, spread])
        scaled = model.node("Mul", [model.node("Reshape", [normed, shape]), scale])
        out = model.node("Add", [scaled, model.constant(bias.reshape(1, channels, 1, 1))])

        def back(gradient: str) -> list[tuple[str, str]]:
            g = model.node("Reshape", [model.node("Mul", [gradient, scale]), grouped])
            mean = model.node("ReduceMean", [g, axes], keepdims=1)
            along = model.node("ReduceMean", [model.node("Mul", [g, normed]), axes], keepdims=1)
            rest = model.node("Sub", [model.node("Sub", [g, mean]), model.node("Mul", [normed, along])])
            return [(x, model.node("Reshape", [model.node("Div", [rest, spread]), shape]))]

        self._back.append((out, back))
        return out

    def gradient(self, of: str, seeds: Sequence[tuple[str, str]]) -> str:
        """The gradient with respect to `of`, given the gradient at some tensors."""
        held: dict[str, str] = {}

        def put(tensor: str, gradient: str) -> None:
            held[tensor] = gradient if tensor not in held else self.model.node("Add", [held[tensor], gradient])

        for tensor, seed in seeds:
            put(tensor, seed)
        for out, back in reversed(self._back):
            if out in held:
                for tensor, gradient in back(held.pop(out)):
                    put(tensor, gradient)
        return held[of]


def _block(tape: _Tape, x: str, layer: Weights) -> str:
    if "pool.0.weight" in layer:
        branch = tape.group_norm(tape.conv(x, layer["pool.0.weight"]), layer["pool.1.weight"], layer["pool.1.bias"])
        x = tape.add(x, tape.conv(tape.relu(branch), layer["pool.3.weight"]))
    return _residual(tape, tape.conv(x, layer["conv.0.weight"], layer["conv.0.bias"]), x, layer)


def _residual(tape: _Tape, first: str, x: str, layer: Weights) -> str:
    inner = tape.conv(tape.relu(first), layer["conv.2.weight"], layer["conv.2.bias"])
    inner = tape.conv(tape.relu(inner), layer["conv.4.weight"], layer["conv.4.bias"])
    skip = tape.conv(x, layer["skip.weight"]) if "skip.weight" in layer else x
    return tape.relu(tape.add(inner, skip))


def _layers(weights: Weights, prefix: str = "") -> dict[int, Weights]:
    layers: dict[int, Weights] = collections.defaultdict(dict)
    for name, tensor in weights.items():
        if name.startswith(prefix):
            number, rest = name[len(prefix) :].split(".", 1)
            layers[int(number)][rest] = tensor
    return dict(sorted(layers.items()))


def _still(tape: _Tape, x: str, layers: dict[int, Weights]) -> tuple[list[str], int]:
    """TAESD's order of layers: its taps (the last is the latent) and how many times it halves the picture."""
    taps, halved = [], 0
    last = max(layers)
    for number, layer in layers.items():
        if "conv.0.weight" in layer:
            x = _block(tape, x, layer)
            continue
        # A number left out after a layer is a ReLU; two layers with ReLU at the start halve, as does one without bias.
        followed = number + 1 not in layers and number != last
        halves = "bias" not in layer or followed
        if halves and number:
            taps.append(x)
        halved += halves
        x = tape.conv(x, layer["weight"], layer.get("bias"), stride=2 if halves else 1)
        if followed:
            x = tape.relu(x)
    return [*taps, x], halved


def _filmed(tape: _Tape, x: str, layers: dict[int, Weights]) -> tuple[list[str], int]:
    """TAEHV's order, for a still: four equal frames of which each pair is pooled, the first remembering nothing.

    A block joins its frame with the frame before: a convolution of both is the sum of two convolutions.
    """
    frames, taps, halved = [x, x, x, x], [], 0
    last = max(layers)
    for number, layer in layers.items():
        if "conv.0.weight" in layer:
            both, bias = layer["conv.0.weight"], layer["conv.0.bias"]
            here, before = np.ascontiguousarray(both[:, : both.shape[1] // 2]), np.ascontiguousarray(both[:, both.shape[1] // 2 :])
            made: list[str] = []
            for at, frame in enumerate(frames):
                first = tape.conv(frame, here, bias)
                if at:
                    first = tape.add(first, tape.conv(frames[at - 1], before))
                made.append(_residual(tape, first, frame, layer))
            frames = made
        elif "conv.weight" in layer:
            weight = layer["conv.weight"]
            stride = weight.shape[1] // weight.shape[0]
            parts = [np.ascontiguousarray(part) for part in np.split(weight, stride, axis=1)]
            pooled = []
            for at in range(0, len(frames), stride):
                if at and frames[at : at + stride] == frames[:stride]:
                    pooled.append(pooled[0])  # equal frames give equal frames
                    continue
                total = tape.conv(frames[at], parts[0])
                for part, frame in zip(parts[1:], frames[at + 1 : at + stride], strict=True):
                    total = tape.add(total, tape.conv(frame, part))
                pooled.append(total)
            frames = pooled
        else:
            halves = "bias" not in layer
            if halves:
                taps.append(frames[-1])
                halved += 1
            followed = number == 0
            unique = {frame: tape.conv(frame, layer["weight"], layer.get("bias"), stride=2 if halves else 1) for frame in frames}
            if followed:
                unique = {frame: tape.relu(out) for frame, out in unique.items()}
            frames = [unique[frame] for frame in frames]
    if len(frames) != 1 or number != last:
        raise CloakFailed("This encoder's layers are of a kind that fediart does not know.")
    return [*taps, frames[0]], halved


@dataclass(frozen=True, slots=True)
class Graphs:
    """`forward`: `picture` `(1, 3, H, W)`, sRGB 0..1, H and W multiples of `multiple` → `tap0` … the latent last.

    `gradient`: that, `aim0` … of the taps' shapes and `weight0` … `(1)` → `loss` `(1)` = Σ weight · mean (tap - aim)²,
    and `gradient` `(1, 3, H, W)` of it.
    """

    forward: bytes
    gradient: bytes
    taps: int
    multiple: int
    whole: bool
    """Some layer looks at the whole picture: it must not be tiled."""


def graphs_of(weights: Weights) -> Graphs:
    """Raises CloakFailed when the layers are of an unknown kind."""
    filmed = any(name.startswith("encoder.") for name in weights)
    layers = _layers(weights, "encoder." if filmed else "")

    def begun() -> tuple[_Tape, str, list[str], int]:
        tape = _Tape()
        picture = tape.model.input("picture", [1, 3, "height", "width"])
        taps, halved = (_filmed if filmed else _still)(tape, picture, layers)
        return tape, picture, taps, halved

    try:
        tape, picture, taps, halved = begun()
        for at, tap in enumerate(taps):
            tape.model.output(tap, f"tap{at}", [1, f"c{at}", f"h{at}", f"w{at}"])
        forward = tape.model.to_bytes()
        tape, picture, taps, halved = begun()
    except (KeyError, ValueError, IndexError) as problem:
        raise CloakFailed("This encoder's layers are of a kind that fediart does not know.", detail=repr(problem)) from None
    model, losses, seeds = tape.model, [], []
    for at, tap in enumerate(taps):
        aim = model.input(f"aim{at}", [1, f"c{at}", f"h{at}", f"w{at}"])
        weight = model.input(f"weight{at}", [1])
        away = model.node("Sub", [tap, aim])
        squared = model.node("ReduceMean", [model.node("Mul", [away, away])], keepdims=0)
        losses.append(model.node("Mul", [squared, weight]))
        many = model.node("Cast", [model.node("Size", [tap])], to=1)
        factor = model.node("Div", [model.node("Mul", [weight, model.constant(np.array([2], np.float32))]), many])
        seeds.append((tap, model.node("Mul", [away, factor])))
    total = losses[0]
    for loss in losses[1:]:
        total = model.node("Add", [total, loss])
    model.output(total, "loss", [1])
    model.output(tape.gradient(picture, seeds), "gradient", [1, 3, "height", "width"])
    whole = any("pool.0.weight" in layer for layer in layers.values())
    return Graphs(forward, model.to_bytes(), len(taps), 1 << halved, whole)


class Encoder:
    """An encoder at work. `threads` of the processor."""

    def __init__(self, graphs: Graphs, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        options.enable_cpu_mem_arena = False
        self._graphs, self._options, self._sessions = graphs, options, dict[str, Any]()
        self.taps, self.multiple, self.whole = graphs.taps, graphs.multiple, graphs.whole

    def _session(self, which: str) -> Any:
        import onnxruntime

        if which not in self._sessions:
            model = getattr(self._graphs, which)
            self._sessions[which] = onnxruntime.InferenceSession(model, self._options, ["CPUExecutionProvider"])
        return self._sessions[which]

    def encode(self, picture: F) -> list[F]:
        """`(3, H, W)` of 0..1 → its taps `(channels, h, w)`, the latent last."""
        found = self._session("forward").run(None, {"picture": picture[None]})
        return [tap[0] for tap in found]

    def gradient(self, picture: F, aims: Sequence[F], weights: Sequence[float]) -> tuple[float, F]:
        """(Σ weight · mean (tap - aim)², its gradient `(3, H, W)`)."""
        feed: dict[str, F] = {"picture": picture[None]}
        for at, (aim, weight) in enumerate(zip(aims, weights, strict=True)):
            feed[f"aim{at}"], feed[f"weight{at}"] = aim[None], np.array([weight], np.float32)
        loss, gradient = self._session("gradient").run(["loss", "gradient"], feed)
        return float(loss[0]), gradient[0]
