"""Full encoders the plain way: torch's own layers and tape, the whole picture at once. What `full_encoders` is held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as nn
from torch import Tensor

from fediart.media.cloak.architectures import Architecture, Attention, Convolution, Norm, Part, Residual, Step

Named = Mapping[str, Tensor]


def readings(architecture: Architecture, weights: Named, picture: Tensor) -> list[Tensor]:
    """`(1, 3, H, W)` of 0..1 → what goes into the middle, and the latent's mean."""
    x, taps = picture * 2 - 1, []
    for number, part in enumerate(architecture.parts):
        if number == architecture.middle:
            taps.append(x)
        x = _through(architecture, weights, part, x)
    return [*taps, x[:, : architecture.latent]]


def gradient(
    architecture: Architecture, weights: Named, picture: Tensor, loss: Callable[[list[Tensor]], Tensor]
) -> tuple[float, Tensor]:
    moved = picture.clone().requires_grad_()
    value = loss(readings(architecture, weights, moved))
    value.backward()
    assert moved.grad is not None
    return float(value.detach()), moved.grad


def _through(architecture: Architecture, weights: Named, part: Part, x: Tensor) -> Tensor:
    def convolved(one: Convolution, x: Tensor) -> Tensor:
        weight, bias = weights[f"{one.name}.weight"], weights[f"{one.name}.bias"]
        if one.halves:
            return nn.conv2d(nn.pad(x, (0, 1, 0, 1)), weight, bias, stride=2)
        if weight.ndim == 5:  # a film of one frame, with zeros before it
            before = (0, 0, 0, 0, one.side - 1, 0)
            return nn.conv3d(nn.pad(x[:, :, None], before), weight, bias, padding=(0, one.side // 2, one.side // 2))[:, :, 0]
        return nn.conv2d(x, weight, bias, padding=one.side // 2)

    def normed(norm: Norm, x: Tensor) -> Tensor:
        if architecture.norms == "groups":
            return nn.group_norm(x, 32, weights[f"{norm.name}.weight"], weights[f"{norm.name}.bias"], 1e-6)
        return nn.normalize(x, dim=1) * norm.channels**0.5 * weights[f"{norm.name}.gamma"].reshape(1, -1, 1, 1)

    def stepped(step: Step, x: Tensor) -> Tensor:
        return convolved(step.convolution, nn.silu(normed(step.norm, x)))

    match part:
        case Convolution():
            return convolved(part, x)
        case Step():
            return stepped(part, x)
        case Residual(first=first, second=second, skip=skip):
            return stepped(second, stepped(first, x)) + (x if skip is None else convolved(skip, x))
        case Attention(norm=norm, mixed=mixed, out=out):
            inner = normed(norm, x)
            query, key, value = torch.cat([convolved(one, inner) for one in mixed], 1).flatten(2).transpose(1, 2).chunk(3, 2)
            found = nn.scaled_dot_product_attention(query, key, value)
            return x + convolved(out, found.transpose(1, 2).reshape(x.shape))
