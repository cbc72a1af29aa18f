"""Encoders of image generators: what they read in a picture, and how to move it.

Small ones are run as ONNX graphs of our own making. A graph holds the forward pass and, for the loss below, the gradient with
respect to the picture. Full ones are run by torch, in `full_encoders`, which is loaded when one is asked for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fediart.errors import BadEncoder, CloakFailed, EncoderFailed
from fediart.media.cloak.catalogue import CATALOGUE, is_full
from fediart.media.cloak.encoder_files import HASH_NAME
from fediart.media.cloak.layers import GROUPS, Block, Convolution, Frames, Layers, layers_of
from fediart.media.cloak.onnx_format import Model
from fediart.media.cloak.weights import read_weights
from fediart.media.memory import is_shortage

F = NDArray[np.float32]
_EPSILON = 1e-5


class _Tape:
    """Operators with what is needed to go back through them."""

    def __init__(self) -> None:
        self.model = Model()
        self._back: list[tuple[str, Callable[[str], list[tuple[str, str]]]]] = []
        self._zero = self.model.constant(np.zeros(1, np.float32))

    def conv(self, x: str, weight: F, bias: F | None = None, *, stride: int = 1) -> str:
        side = weight.shape[2]
        pad = side // 2
        names = [x, self.model.constant(np.ascontiguousarray(weight))] + ([self.model.constant(bias)] if bias is not None else [])
        out = self.model.node("Conv", names, kernel_shape=[side, side], pads=[pad] * 4, strides=[stride] * 2)

        def back(gradient: str) -> list[tuple[str, str]]:
            if stride == 1:
                turned = np.ascontiguousarray(weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3))
                names = [gradient, self.model.constant(turned)]
                return [(x, self.model.node("Conv", names, kernel_shape=[side, side], pads=[pad] * 4, strides=[1, 1]))]
            return [(x, self._spread(gradient, weight))]

        self._back.append((out, back))
        return out

    def _spread(self, gradient: str, weight: F) -> str:
        """Back through a convolution of 3 × 3 at every second pixel.

        A pixel got its share from one, two or four places, by whether its row and its column are even: so all four kinds are
        channels of one convolution, then laid out as pixels. ConvTranspose does the same in twice the time.
        """
        outs, ins, _, _ = weight.shape
        taps = {0: {0: 1}, 1: {0: 2, 1: 0}}  # of an even or odd row: offset of the place → row of the kernel that led there
        kinds = np.zeros((2, 2, ins, outs, 2, 2), np.float32)
        for row, rows in taps.items():
            for column, columns in taps.items():
                for down, y in rows.items():
                    for right, x in columns.items():
                        kinds[row, column, :, :, down, right] = weight[:, :, y, x].T
        names = [gradient, self.model.constant(kinds.reshape(4 * ins, outs, 2, 2))]
        found = self.model.node("Conv", names, kernel_shape=[2, 2], pads=[0, 0, 1, 1], strides=[1, 1])
        return self.model.node("DepthToSpace", [found], blocksize=2)

    def relu(self, x: str) -> str:
        out = self.model.node("Relu", [x])
        # One byte a value is kept for the way back, not four.
        mask = self.model.node("Greater", [out, self._zero])

        def back(gradient: str) -> list[tuple[str, str]]:
            # Where(mask, gradient, 0) is the same, and takes six times as long.
            return [(x, self.model.node("Mul", [gradient, self.model.node("Cast", [mask], to=1)]))]

        self._back.append((out, back))
        return out

    def add(self, first: str, second: str) -> str:
        out = self.model.node("Add", [first, second])
        self._back.append((out, lambda gradient: [(first, gradient), (second, gradient)]))
        return out

    def group_norm(self, x: str, weight: F, bias: F, groups: int = GROUPS) -> str:
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


def _block(tape: _Tape, x: str, before: str | None, block: Block) -> str:
    """`before`: the frame before, of a block that remembers; None is a frame of zeros."""
    if block.branch is not None:
        branch = block.branch
        wide = tape.group_norm(tape.conv(x, branch.widen), branch.scale, branch.shift)
        x = tape.add(x, tape.conv(tape.relu(wide), branch.narrow))
    first, second, third = block.convolutions
    if block.remembers:
        # A convolution of two frames behind each other is the sum of a convolution of each.
        here, there = np.split(first.weight, 2, axis=1)
        inner = tape.conv(x, here, first.bias)
        if before is not None:
            inner = tape.add(inner, tape.conv(before, there))
    else:
        inner = tape.conv(x, first.weight, first.bias)
    inner = tape.conv(tape.relu(inner), second.weight, second.bias)
    inner = tape.conv(tape.relu(inner), third.weight, third.bias)
    skip = tape.conv(x, block.skip) if block.skip is not None else x
    return tape.relu(tape.add(inner, skip))


def _pooled(tape: _Tape, frames: list[str], layer: Frames) -> list[str]:
    parts = np.split(layer.weight, layer.count, axis=1)
    made: dict[tuple[str, ...], str] = {}
    out = []
    for at in range(0, len(frames), layer.count):
        group = tuple(frames[at : at + layer.count])
        if group not in made:  # equal frames give equal frames
            total = tape.conv(group[0], parts[0])
            for frame, part in zip(group[1:], parts[1:], strict=True):
                total = tape.add(total, tape.conv(frame, part))
            made[group] = total
        out.append(made[group])
    return out


def _taps(tape: _Tape, picture: str, layers: Layers) -> list[str]:
    """What stands before each halving, from the second on, and the latent.

    For an encoder of films a picture is four frames that stand still.
    """
    frames = [picture] * (4 if layers.is_video else 1)
    taps: list[str] = []
    for number, layer in enumerate(layers.order):
        match layer:
            case Convolution():
                if layer.stride > 1 and number:
                    taps.append(frames[-1])
                made = {frame: tape.conv(frame, layer.weight, layer.bias, stride=layer.stride) for frame in dict.fromkeys(frames)}
                if layer.relu:
                    made = {frame: tape.relu(out) for frame, out in made.items()}
                frames = [made[frame] for frame in frames]
            case Block():
                befores: list[str | None] = [None, *frames[:-1]] if layer.remembers else [None] * len(frames)
                frames = [_block(tape, frame, before, layer) for frame, before in zip(frames, befores, strict=True)]
            case Frames():
                frames = _pooled(tape, frames, layer)
    if len(frames) != 1:
        raise BadEncoder("This encoder's layers do not make one picture of one.")
    return [*taps, frames[0]]


def cost_of(layers: Layers) -> float:
    """Multiplications for each pixel of the picture, forward and back, in thousands."""
    total, share = 0.0, 1.0
    for layer in layers.order:
        match layer:
            case Convolution():
                share /= layer.stride**2
                total += layer.weight.size * share
            case Block():
                weights = [part.weight for part in layer.convolutions] + [w for w in (layer.skip,) if w is not None]
                if layer.branch is not None:
                    weights += [layer.branch.widen, layer.branch.narrow]
                total += sum(weight.size for weight in weights) * share * (2 if layer.remembers else 1)
            case Frames():
                total += layer.weight.size * share
    return 2 * total / 1000


@dataclass(frozen=True, slots=True)
class Graphs:
    """`forward`: `picture` `(1, 3, H, W)`, sRGB 0..1, H and W multiples of the downscale → `tap0` … the latent last.

    `gradient`: that, `aim0` … of the taps' shapes and `weight0` … `(1)` → `loss` `(1)` = Σ weight · mean (tap - aim)²,
    and `gradient` `(1, 3, H, W)` of it.
    """

    forward: bytes
    gradient: bytes
    taps: int


def graphs_of(layers: Layers) -> Graphs:
    def begun() -> tuple[_Tape, str, list[str]]:
        tape = _Tape()
        picture = tape.model.input("picture", [1, 3, "height", "width"])
        return tape, picture, _taps(tape, picture, layers)

    tape, picture, taps = begun()
    for at, tap in enumerate(taps):
        tape.model.output(tap, f"tap{at}", [1, f"c{at}", f"h{at}", f"w{at}"])
    forward = tape.model.to_bytes()
    tape, picture, taps = begun()
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
    return Graphs(forward, model.to_bytes(), len(taps))


class WorkingEncoder(Protocol):
    """What steps are steered by.

    `multiple`: pixels that its pictures' sides must be a multiple of. `pools`: some layer looks at the whole picture, so
    that a tile is to it a picture of its own. `is_full`: it takes the whole picture, bounds its memory by itself, and is slow.
    `cost`: thousands of multiplications for a pixel, forward and back.
    """

    name: str
    multiple: int
    pools: bool
    is_full: bool
    cost: float

    def rest(self) -> None:
        """Give back what it holds to run; it is made again when it is needed."""

    def encode(self, picture: F) -> list[F]:
        """`(3, H, W)` of 0..1 → its readings `(channels, h, w)`, the latent last."""
        ...

    def gradient(self, picture: F, aims: Sequence[F], weights: Sequence[float]) -> tuple[float, F]:
        """(Σ weight · mean (reading - aim)², its gradient `(3, H, W)`)."""
        ...


def load_encoder(name: str, path: Path, threads: int = 1) -> WorkingEncoder:
    """Raises BadEncoder for a file that is none, not the one that the catalogue knows by this name, or cannot be run here."""
    known = CATALOGUE.get(name)
    if not is_full(path, known):
        return Encoder.load(name, path, threads)
    try:
        from fediart.media.cloak.full_encoders import FullEncoder
    except ImportError as problem:
        if problem.name != "torch":
            raise
        raise BadEncoder(f"The encoder {name} is a full one, which needs torch. {GET_TORCH}") from None
    return FullEncoder.load(name, path, threads, known.sha256 if known else None)


GET_TORCH = "pip install 'fediart[vae]' brings it; docs/cloak.md says how to get the small one, without graphics cards."


class Encoder:
    """A small encoder at work, on `threads` of the processor; see WorkingEncoder."""

    is_full = False

    def __init__(self, name: str, layers: Layers, threads: int = 1) -> None:
        self.name, self.multiple, self.pools, self.cost = name, layers.downscale, layers.pools, cost_of(layers)
        self._graphs, self._threads, self._sessions = graphs_of(layers), threads, dict[str, Any]()

    @classmethod
    def load(cls, name: str, path: Path, threads: int = 1) -> Encoder:
        """Raises BadEncoder for a file that is none, or not the one that this name stands for."""
        known = CATALOGUE.get(name)
        digest = known.sha256 if known else name if HASH_NAME.fullmatch(name) else None
        return cls(name, layers_of(read_weights(path, digest)), threads)

    def _session(self, which: str) -> Any:
        if which not in self._sessions:
            try:
                import onnxruntime
            except ImportError as problem:
                if is_shortage(problem):
                    raise MemoryError(str(problem)) from None
                raise CloakFailed("Encoders cannot run on this machine: there is no onnxruntime for it.") from None
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads, options.inter_op_num_threads = self._threads, 1
            options.enable_cpu_mem_arena = False  # what one step needed is given back before the next
            options.log_severity_level = 3
            model = getattr(self._graphs, which)
            self._sessions[which] = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
        return self._sessions[which]

    def rest(self) -> None:
        """Give back what it holds to run; it is made again when it is needed."""
        self._sessions.clear()

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        """Raises MemoryError where there is too little of it, else EncoderFailed: these layers do not run."""
        try:
            yield
        except (CloakFailed, MemoryError):
            raise
        except Exception as problem:  # a door: the run time's errors have no class of their own to be told by
            if is_shortage(problem):
                raise MemoryError(repr(problem)[:300]) from None
            raise failed(self.name, f"its layers do not run. {NOT_ITSELF}", detail=repr(problem)[:300]) from None

    def encode(self, picture: F) -> list[F]:
        """`(3, H, W)` of 0..1 → its taps `(channels, h, w)`, the latent last."""
        with self._at_work():
            found = self._session("forward").run(None, {"picture": picture[None]})
        return [tap[0] for tap in found]

    def gradient(self, picture: F, aims: Sequence[F], weights: Sequence[float]) -> tuple[float, F]:
        """(Σ weight · mean (tap - aim)², its gradient `(3, H, W)`)."""
        feed: dict[str, F] = {"picture": picture[None]}
        for at, (aim, weight) in enumerate(zip(aims, weights, strict=True)):
            feed[f"aim{at}"], feed[f"weight{at}"] = aim[None], np.array([weight], np.float32)
        with self._at_work():
            loss, gradient = self._session("gradient").run(["loss", "gradient"], feed)
        return float(loss[0]), gradient[0]


NOT_ITSELF = "Whoever runs this server can take it away: fediart cloak encoders remove"


def failed(name: str, why: str, *, detail: str | None = None) -> EncoderFailed:
    """In words for whoever waits for the picture, and for whoever can do something about it."""
    return EncoderFailed(f"The encoder {name}, which was to steer this cloak, cannot be used: {why}", encoder=name, detail=detail)
