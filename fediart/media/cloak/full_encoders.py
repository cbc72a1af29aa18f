"""The encoders that trainers use, whole: tens of millions of weights, run by torch. No other module imports it.

They look over the whole picture (group norms, attention), so it is never cut into pictures of its own. Memory is bounded
otherwise: between the parts of an encoder only what goes into each is kept, the rest is computed again on the way back; each
convolution works on strips of rows with their neighbours; statistics are gathered strip by strip and are those of the whole;
attention is computed for some queries at a time. All of that is exact: strips change the order of sums, and nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as nn
from numpy.typing import NDArray
from torch import Tensor

from fediart.errors import BadEncoder
from fediart.media.cloak.architectures import Architecture, Attention, Convolution, Norm, Part, Residual, Step, architecture_of
from fediart.media.cloak.weights import FullFile

F = NDArray[np.float32]

GROUPS = 32
GROUP_EPSILON = 1e-6
PLACE_EPSILON = 1e-12
"""Of the length that is divided by."""

STRIP = 1 << 14
"""Places (rows × columns) that are worked on at once: what comes between operations stays in the processor's caches."""

QUERIES = 1 << 10
"""Places whose attention to all others is computed at once."""

ROOM = 640 << 20
"""Bytes of what goes on inside residual blocks that are kept for the way back; beyond them it is computed again."""

Weights = Callable[[str], Tensor]
"""By name; in the precision of the run."""

Lines = Callable[[int, int], Tensor]
"""Some rows of a plane that is never there as a whole."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Mean and variance of the group that each channel is in, `(channels,)`, in the precision of sums."""

    mean: Tensor
    variance: Tensor


@dataclass(frozen=True, slots=True)
class _Kept:
    """What goes into a part; and inside a residual block into its second step, where there is room for it."""

    x: Tensor
    inner: Tensor | None


class _Run:
    """One pass through an encoder at one precision, without torch's own tape. Planes are `(height, width, channels)`."""

    def __init__(self, architecture: Architecture, weights: Weights, kind: torch.dtype, strip: int, room: int) -> None:
        self._architecture, self._of, self._kind, self._strip, self._room = architecture, weights, kind, strip, room
        self.wide = torch.float64 if kind == torch.float64 else torch.float32
        self._statistics: dict[str, _Group] = {}

    # ------------------------------------------------------------------------------------------------- there

    def forward(self, picture: Tensor, kept: list[_Kept] | None) -> list[Tensor]:
        """Of -1..1 → what goes into the middle, and the latent. `kept` gets what the way back needs."""
        x, taps = picture, []
        for number, part in enumerate(self._architecture.parts):
            if number == self._architecture.middle:
                taps.append(x)
            x = self._through(part, x, kept)
        return [*taps, x[:, :, : self._architecture.latent]]

    def _through(self, part: Part, x: Tensor, kept: list[_Kept] | None) -> Tensor:
        inner = None
        match part:
            case Convolution():
                out = self._convolved(part, x)
            case Step():
                out = self._stepped(part, x, None)
            case Residual(first=first, second=second, skip=skip):
                inner = self._stepped(first, x, None)
                out = self._stepped(second, inner, x.clone() if skip is None else self._convolved(skip, x))
            case Attention():
                out = self._attended(part, x)
        if kept is not None:
            if inner is not None:
                self._room -= inner.nbytes
            kept.append(_Kept(x, inner if self._room >= 0 else None))
        return out

    def _weight(self, one: Convolution) -> Tensor:
        weight = self._of(f"{one.name}.weight")
        # A picture is the last frame of a film whose other frames are zeros.
        return _by_places(weight[:, :, -1] if weight.ndim == 5 else weight)

    def _rows(self, height: int, width: int) -> Iterator[tuple[int, int]]:
        many = max(2, self._strip // width)
        for top in range(0, height, many):
            yield top, min(height, top + many)

    def _convolved(self, one: Convolution, x: Tensor) -> Tensor:
        weight, bias = self._weight(one), self._of(f"{one.name}.bias")
        height, width, _ = x.shape
        side = one.side // 2
        if not one.halves:
            out = x.new_empty((height, width, one.outs))
            for top, bottom in self._rows(height, width):
                out[top:bottom] = _convolution(_with_neighbours(x, top, bottom, side), weight, bias, side)
            return out
        out = x.new_empty((height // 2, width // 2, one.outs))
        for top, bottom in self._rows(height // 2, width // 2):
            strip = x[2 * top : 2 * bottom + 1]
            below = 2 * (bottom - top) + 1 - strip.shape[0]
            strip = nn.pad(strip, (0, 0, 0, 1, 0, below))
            out[top:bottom] = _planes(nn.conv2d(_batch(strip), weight, bias, stride=2))
        return out

    def _stepped(self, step: Step, x: Tensor, onto: Tensor | None) -> Tensor:
        """`onto`: what it is added to, in place."""
        one = step.convolution
        weight, bias = self._weight(one), self._of(f"{one.name}.bias")
        height, width, _ = x.shape
        self._measure(step.norm, x)
        out = x.new_empty((height, width, one.outs)) if onto is None else onto
        for top, bottom in self._rows(height, width):
            low, high = max(0, top - 1), min(height, bottom + 1)
            active = nn.silu(self._normed(step.norm, x[low:high]), inplace=True)
            if high - low < bottom - top + 2:
                active = nn.pad(active, (0, 0, 0, 0, low - top + 1, bottom + 1 - high))
            made = _convolution(active, weight, bias, 1)
            if onto is None:
                out[top:bottom] = made
            else:
                out[top:bottom] += made
        return out

    def _measure(self, norm: Norm, x: Tensor) -> None:
        """Mean and variance of the whole, put together from those of strips (Chan, Golub and LeVeque, 1979)."""
        if self._architecture.norms == "places":
            return
        height, width, channels = x.shape
        count = 0
        mean, squares = (x.new_zeros(channels, dtype=torch.float64) for _ in range(2))
        for top, bottom in self._rows(height, width):
            middle, spread = torch.batch_norm_update_stats(_batch(x[top:bottom]), None, None, 0.0)
            many, away = (bottom - top) * width, middle.double() - mean
            squares += spread.double() * many + away**2 * (count * many / (count + many))
            mean += away * (many / (count + many))
            count += many
        # The groups' from their channels', which are of the same number of places.
        together = mean.reshape(GROUPS, -1)
        middles = together.mean(1, keepdim=True)
        spread = (squares.reshape(GROUPS, -1) / count + (together - middles) ** 2).mean(1, keepdim=True) + GROUP_EPSILON
        self._statistics[norm.name] = _Group(*(one.expand_as(together).reshape(-1).to(self.wide) for one in (middles, spread)))

    def _normed(self, norm: Norm, x: Tensor) -> Tensor:
        """A new tensor."""
        if self._architecture.norms == "places":
            x = x.to(self.wide)
            return (nn.normalize(x, dim=2, eps=PLACE_EPSILON) * (self._gamma(norm) * norm.channels**0.5)).to(self._kind)
        known = self._statistics[norm.name]
        # With statistics that are given, this is one product and one sum for each channel; in one go, whatever the precision.
        factor, rest = self._column(norm, "weight"), self._column(norm, "bias")
        return _planes(nn.batch_norm(_batch(x), known.mean, known.variance, factor, rest, eps=0.0))

    def _column(self, norm: Norm, what: str) -> Tensor:
        return self._of(f"{norm.name}.{what}").to(self.wide).flatten()

    def _gamma(self, norm: Norm) -> Tensor:
        return self._column(norm, "gamma")

    def _mixed(self, part: Attention) -> tuple[Tensor, Tensor]:
        """Weight `(3 · channels, channels)` and bias of query, key and value behind each other."""
        weights = [self._of(f"{one.name}.weight").flatten(1) for one in part.mixed]
        return torch.cat(weights), torch.cat([self._of(f"{one.name}.bias") for one in part.mixed])

    def _looked(self, part: Attention, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query (over the root of the width), key and value, each `(places, channels)`."""
        self._measure(part.norm, x)
        flat = self._normed(part.norm, x).flatten(0, 1)
        weight, bias = self._mixed(part)
        query, key, value = nn.linear(flat, weight, bias).chunk(3, 1)
        return query * part.norm.channels**-0.5, key, value

    def _attended(self, part: Attention, x: Tensor) -> Tensor:
        query, key, value = self._looked(part, x)
        found = torch.empty_like(query)
        for at in range(0, len(query), QUERIES):
            share = (query[at : at + QUERIES] @ key.T).to(self.wide).softmax(1).to(self._kind)
            found[at : at + QUERIES] = share @ value
        out = nn.linear(found, self._of(f"{part.out.name}.weight").flatten(1), self._of(f"{part.out.name}.bias"))
        return x + out.reshape(x.shape)

    # -------------------------------------------------------------------------------------------------- back

    def backward(self, kept: list[_Kept], at_middle: Tensor, at_latent: Tensor) -> Tensor:
        """The gradient at the picture, from those at the two readings. Takes from `kept` what it has used."""
        parts = self._architecture.parts
        gradient = nn.pad(at_latent, (0, self._architecture.latent))
        for number in range(len(parts) - 1, -1, -1):
            gradient = self._back(parts[number], kept.pop(), gradient)
            if number == self._architecture.middle:
                gradient += at_middle
        return gradient

    def _back(self, part: Part, held: _Kept, gradient: Tensor) -> Tensor:
        x, inner = held.x, held.inner
        del held
        match part:
            case Convolution():
                return self._unconvolved(part, x.shape, gradient)
            case Step():
                return self._unstepped(part, x, gradient)
            case Residual(first=first, second=second, skip=skip):
                inner = self._stepped(first, x, None) if inner is None else inner
                inner = self._unstepped(second, inner, gradient)
                out = self._unstepped(first, x, inner)
                out += gradient if skip is None else self._unconvolved(skip, x.shape, gradient)
                return out
            case Attention():
                return self._unattended(part, x, gradient)

    def _turned(self, one: Convolution) -> Tensor:
        """The weight that carries gradients back, where nothing is halved."""
        return _by_places(self._weight(one).flip(2, 3).transpose(0, 1))

    def _unconvolved(self, one: Convolution, shape: Sequence[int], gradient: Tensor) -> Tensor:
        height, width, _ = shape
        side = one.side // 2
        if not one.halves:
            weight, out = self._turned(one), gradient.new_empty(tuple(shape))
            for top, bottom in self._rows(height, width):
                out[top:bottom] = _convolution(_with_neighbours(gradient, top, bottom, side), weight, None, side)
            return out
        weight, out = self._weight(one), gradient.new_zeros(tuple(shape))
        for top, bottom in self._rows(height // 2, width // 2):
            made = _planes(nn.conv_transpose2d(_batch(gradient[top:bottom]), weight, stride=2))
            end = min(height, 2 * bottom + 1)
            out[2 * top : end] += made[: end - 2 * top, :width]
        return out

    def _unstepped(self, step: Step, x: Tensor, gradient: Tensor) -> Tensor:
        """Back through convolution, SiLU and norm; the norm has been measured."""
        weight, out = self._turned(step.convolution), torch.empty_like(x)

        def at_normed(top: int, bottom: int) -> Tensor:
            back = _convolution(_with_neighbours(gradient, top, bottom, 1), weight, None, 1)
            return torch.ops.aten.silu_backward(back, self._normed(step.norm, x[top:bottom]))

        self._unnormed(step.norm, x, at_normed, out)
        return out

    def _unnormed(self, norm: Norm, x: Tensor, at_normed: Lines, out: Tensor) -> None:
        """`at_normed`: the gradient at what is normed. `out` gets that at `x`."""
        height, width, channels = x.shape
        if self._architecture.norms == "places":
            gamma = self._gamma(norm) * channels**0.5
            for top, bottom in self._rows(height, width):
                plain = x[top:bottom].to(self.wide)
                length = torch.linalg.vector_norm(plain, dim=2, keepdim=True).clamp_min(PLACE_EPSILON)
                ahead, back = plain / length, at_normed(top, bottom).to(self.wide) * gamma
                out[top:bottom] = (back - ahead * (ahead * back).sum(2, keepdim=True)) / length
            return
        known, gamma = self._statistics[norm.name], self._column(norm, "weight")
        scale = known.variance.rsqrt()
        total, along = (x.new_zeros(channels, dtype=torch.float64) for _ in range(2))
        for top, bottom in self._rows(height, width):
            # As if the statistics were given: gamma · scale · back, and the sums of back · ahead and of back over the places.
            made, first, second = torch.ops.aten.native_batch_norm_backward(
                _batch(at_normed(top, bottom)),
                _batch(x[top:bottom]),
                gamma,
                known.mean,
                known.variance,
                None,
                None,
                False,
                0.0,
                [True, True, True],
            )
            along += first
            total += second
            out[top:bottom] = _planes(made)
        # They are not given: scale · (gamma · back − its mean − ahead · the mean of gamma · back · ahead), over the group.
        count = channels // GROUPS * height * width
        both = ((gamma * one).reshape(GROUPS, -1).sum(1, keepdim=True) / count for one in (total, along))
        first, second = (one.expand(-1, channels // GROUPS).reshape(-1).to(self.wide) for one in both)
        for top, bottom in self._rows(height, width):
            rest = nn.batch_norm(_batch(x[top:bottom]), known.mean, known.variance, scale * second, scale * first, eps=0.0)
            out[top:bottom] -= _planes(rest)

    def _unattended(self, part: Attention, x: Tensor, gradient: Tensor) -> Tensor:
        query, key, value = self._looked(part, x)
        back = gradient.flatten(0, 1) @ self._of(f"{part.out.name}.weight").flatten(1)
        of_query, of_key, of_value = (torch.zeros_like(one, dtype=self.wide) for one in (query, key, value))
        for at in range(0, len(query), QUERIES):
            some = slice(at, at + QUERIES)
            share = (query[some] @ key.T).to(self.wide).softmax(1)
            of_value += share.to(self._kind).T @ back[some]
            pulled = (back[some] @ value.T).to(self.wide)
            pulled -= (pulled * share).sum(1, keepdim=True)
            pulled = (pulled * share).to(self._kind)
            of_query[some] = (pulled @ key).to(self.wide)
            of_key += pulled.T @ query[some]
        of_query *= part.norm.channels**-0.5
        weight, _ = self._mixed(part)
        at_normed = (torch.cat((of_query, of_key, of_value), 1).to(self._kind) @ weight).reshape(x.shape)
        out = torch.empty_like(x)
        self._unnormed(part.norm, x, lambda top, bottom: at_normed[top:bottom], out)
        out += gradient
        return out


def _batch(x: Tensor) -> Tensor:
    """As torch's convolutions take it; nothing is copied."""
    return x.permute(2, 0, 1)[None]


def _planes(x: Tensor) -> Tensor:
    return x[0].permute(1, 2, 0)


def _by_places(weight: Tensor) -> Tensor:
    """In the order in memory that goes with `(height, width, channels)`."""
    return weight.contiguous(memory_format=torch.channels_last)


def _convolution(strip: Tensor, weight: Tensor, bias: Tensor | None, side: int) -> Tensor:
    """Of rows that have their neighbours with them."""
    return _planes(nn.conv2d(_batch(strip), weight, bias, padding=(0, side)))


def _with_neighbours(x: Tensor, top: int, bottom: int, side: int) -> Tensor:
    """These rows and `side` more above and below: zeros outside the plane."""
    low, high = max(0, top - side), min(x.shape[0], bottom + side)
    if high - low == bottom - top + 2 * side:
        return x[low:high]
    return nn.pad(x[low:high], (0, 0, 0, 0, low - top + side, bottom + side - high))


def has_bf16() -> bool:
    """Does this processor multiply in bfloat16 by itself? Without that it would be slower, not quicker."""
    try:
        flags = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


@contextlib.contextmanager
def _memory_errors() -> Iterator[None]:
    """Torch tells of memory that is not there in its own way. Raises MemoryError."""
    try:
        yield
    except RuntimeError as problem:
        if any(words in str(problem) for words in ("allocate memory", "bad_alloc", "could not create a memory")):
            raise MemoryError(str(problem)[:200]) from None
        raise


class FullEncoder:
    """A full encoder at work, on `threads` of the processor; see `encoders.WorkingEncoder`.

    Its readings are computed in float32. Gradients are computed in `kind`: bfloat16 where the processor has it.
    """

    is_full = True

    def __init__(
        self,
        name: str,
        architecture: Architecture,
        weights: Callable[[str], F],
        threads: int = 1,
        *,
        kind: torch.dtype | None = None,
        strip: int = STRIP,
        room: int = ROOM,
    ) -> None:
        self.name, self.multiple, self.pools, self.cost = name, architecture.downscale, True, architecture.cost()
        self.kind = kind or (torch.bfloat16 if has_bf16() else torch.float32)
        self._architecture, self._read, self._threads = architecture, weights, threads
        self._strip, self._room = strip, room
        self._held: dict[str, Tensor] = {}

    @classmethod
    def load(cls, name: str, path: Path, threads: int = 1, sha256: str | None = None, **how: Any) -> FullEncoder:
        """With `sha256` it must be exactly that file. Raises BadEncoder."""
        file = FullFile(path)
        if sha256 is not None and file.sha256() != sha256:
            file.close()
            raise BadEncoder(f"{path.name} is not the file that it should be: its sha256 is another.")
        architecture = architecture_of(file.shapes)
        if architecture is None:
            file.close()
            raise BadEncoder(f"{path.name} is no full encoder that is known here (Stable Diffusion, SDXL, FLUX.2, Qwen-Image).")
        # The file stays open: what its hash was told of is what is read again after a rest.
        return cls(name, architecture, file.tensor, threads, **how)

    def rest(self) -> None:
        """Give back its weights; they are read again when they are needed."""
        self._held.clear()

    def _weights(self, kind: torch.dtype) -> Weights:
        wide = torch.float64 if kind == torch.float64 else torch.float32
        if not self._held:
            for name in self._architecture.tensors():
                self._held[name] = torch.from_numpy(self._read(name)).to(wide)
        return lambda name: self._held[name].to(kind)

    def _begun(self, picture: F, kind: torch.dtype) -> tuple[_Run, Tensor]:
        torch.set_num_threads(self._threads)
        run = _Run(self._architecture, self._weights(kind), kind, self._strip, self._room)
        return run, (torch.from_numpy(np.ascontiguousarray(picture.transpose(1, 2, 0))) * 2 - 1).to(kind)

    def encode(self, picture: F) -> list[F]:
        """`(3, H, W)` of 0..1 → what goes into its middle and the latent's mean, `(channels, h, w)`."""
        with _memory_errors(), torch.inference_mode():
            run, x = self._begun(picture, torch.float64 if self.kind == torch.float64 else torch.float32)
            return [tap.permute(2, 0, 1).contiguous().numpy() for tap in run.forward(x, None)]

    def gradient(self, picture: F, aims: Sequence[F], weights: Sequence[float]) -> tuple[float, F]:
        """(Σ weight · mean (tap - aim)², its gradient `(3, H, W)`)."""
        with _memory_errors(), torch.inference_mode():
            run, x = self._begun(picture, self.kind)
            kept: list[_Kept] = []
            loss, seeds = 0.0, []
            for tap, aim, weight in zip(run.forward(x, kept), aims, weights, strict=True):
                away = tap.to(run.wide) - torch.from_numpy(aim).permute(1, 2, 0).to(run.wide)
                loss += weight * float(away.square().mean())
                seeds.append((away * (2 * weight / away.numel())).to(self.kind))
            found = run.backward(kept, *seeds).to(run.wide)
            return loss, (2 * found).permute(2, 0, 1).contiguous().numpy()
