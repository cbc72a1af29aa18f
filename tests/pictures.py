"""Pictures of several kinds, drawn by our own code: what the cloak is tried on.

Every kind is drawn for its size (strokes and lines go with it), and another seed gives another picture.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from fediart.media.sample import draw_sample

Pixels = NDArray[np.uint8]


def painting(width: int, height: int, seed: int) -> Pixels:
    """Dense short strokes over a coarse plan of colours."""
    random = np.random.default_rng(seed)
    plan = random.uniform(20, 235, (5, 7, 3))
    colours = np.asarray(_enlarged(plan, width, height))
    picture = Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    unit = max(width, height) / 1024
    flow = random.uniform(0, np.pi, (4, 5, 1))
    turn = np.asarray(_enlarged(flow, width, height))[..., 0]
    for _ in range(9000):
        x, y = int(random.integers(width)), int(random.integers(height))
        angle, length = float(turn[y, x]) + random.normal(0, 0.25), random.uniform(8, 34) * unit
        shade = np.clip(colours[y, x] + random.normal(0, 26) + random.normal(0, 9, 3), 0, 255)
        dx, dy = np.cos(angle) * length / 2, np.sin(angle) * length / 2
        red, green, blue = (int(value) for value in shade)
        draw.line((x - dx, y - dy, x + dx, y + dy), (red, green, blue), max(1, int(random.uniform(2, 6) * unit)))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(0.6)))


def cel(width: int, height: int, seed: int) -> Pixels:
    """Flat colours within black outlines, smoothed as a drawing program does."""
    random = np.random.default_rng(seed)
    many = 2
    picture = Image.new("RGB", (width * many, height * many), (236, 226, 208))
    draw = ImageDraw.Draw(picture)
    line = max(2, round(3.5 * many * max(width, height) / 1024))
    palette = [(226, 132, 110), (90, 140, 170), (244, 214, 130), (110, 160, 110), (242, 204, 180), (70, 70, 110)]
    for number in range(14):
        x, y = random.uniform(0, width * many), random.uniform(0, height * many)
        reach = random.uniform(0.08, 0.3) * height * many
        sides = int(random.integers(5, 11))
        angles = np.sort(random.uniform(0, 2 * np.pi, sides))
        points = [(x + reach * np.cos(a), y + reach * np.sin(a)) for a in angles]
        if number % 3 == 0:
            draw.ellipse((x - reach, y - reach, x + reach, y + reach), palette[number % 6], (24, 20, 28), line)
        else:
            draw.polygon(points, palette[number % 6])
            draw.line([*points, points[0]], (24, 20, 28), line, joint="curve")
    return np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))


def sky(width: int, height: int, seed: int) -> Pixels:
    """A gradient with soft clouds: nothing for a texture to hide in."""
    random = np.random.default_rng(seed)
    rows = np.linspace(0, 1, height)[:, None, None]
    top, low = np.array([70.0, 110, 180]), np.array([236.0, 200, 170])
    clouds = _enlarged(random.normal(0, 1, (6, 8, 1)), width, height)
    canvas = top * (1 - rows) + low * rows + 12 * clouds + random.random((height, width, 1))
    return np.clip(canvas, 0, 255).astype(np.uint8)


def line_art(width: int, height: int, seed: int) -> Pixels:
    """Black pen on white: curves, and hatching in places."""
    random = np.random.default_rng(seed)
    many = 2
    picture = Image.new("L", (width * many, height * many), 255)
    draw = ImageDraw.Draw(picture)
    unit = many * max(width, height) / 1024
    for _ in range(26):
        steps = np.linspace(0, 1, 60)
        ends = random.uniform(0, 1, (4, 2)) * (width * many, height * many)
        weights = np.stack([(1 - steps) ** 3, 3 * steps * (1 - steps) ** 2, 3 * steps**2 * (1 - steps), steps**3], -1)
        draw.line([(float(x), float(y)) for x, y in weights @ ends], 10, max(1, round(random.uniform(1.5, 5) * unit)))
    for _ in range(6):
        x, y = random.uniform(0, width * many), random.uniform(0, height * many)
        for step in range(24):
            at = x + step * 7 * unit
            draw.line((at, y, at - 60 * unit, y + 90 * unit), 40, max(1, round(1.5 * unit)))
    grey = np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))
    return np.repeat(grey[..., None], 3, 2)


def photograph(width: int, height: int, seed: int) -> Pixels:
    """Energy at all scales as in photographs of nature, and sharp edges where things stand before each other."""
    random = np.random.default_rng(seed)
    canvas = np.zeros((height, width, 3))
    for layer in range(4):
        leaf = _natural(height, width, random) * 30
        colour = random.uniform(40, 210, 3)
        mask = _natural(height, width, random, 1.7) > layer * 0.35 - 0.6 if layer else np.ones((height, width), bool)
        canvas[mask] = (colour + leaf[..., None] * (0.8, 1.0, 0.7))[mask]
    return np.clip(canvas + random.normal(0, 1.2, canvas.shape), 0, 255).astype(np.uint8)


def portrait(width: int, height: int, seed: int) -> Pixels:
    """Soft shading of skin before a calm ground, with hair-like strands."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    away = np.hypot((x - 0.5 * width / max(width, height)) / 0.22, (y - 0.4 * height / max(width, height)) / 0.28)
    face = np.clip(1.6 - 1.5 * away, 0, 1)[..., None]
    ground = np.array([92.0, 96, 104]) + 26 * (y[..., None] - 0.4)
    skin = np.array([224.0, 176, 150]) * (0.75 + 0.3 * (1 - x[..., None])) + 3 * _natural(height, width, random)[..., None]
    picture = Image.fromarray(np.clip(ground * (1 - face) + skin * face, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    side = max(width, height)
    for _ in range(700):
        start = random.normal(0.5 * width, 0.16 * side)
        shade = int(random.uniform(20, 80))
        points = [
            (start + random.normal(0, 4) * side / 1024 + 0.02 * side * np.sin(step / 3), step * 0.022 * side) for step in range(9)
        ]
        draw.line(points, (shade, int(shade * 0.7), int(shade * 0.5)), max(1, side // 700))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(0.7)))


def cloth(width: int, height: int, seed: int) -> Pixels:
    """A woven pattern: a picture that has a texture of its own."""
    random = np.random.default_rng(seed)
    unit = max(width, height) / 1024
    y, x = np.mgrid[0:height, 0:width] / unit
    bend = 6 * _natural(height, width, random, 2.0)
    weave = np.sin((x + bend) / 2.3) * np.sin((y + bend) / 2.9) + 0.6 * np.sin((x + y) / 31)
    canvas: NDArray[np.float64] = np.array([120.0, 84, 70]) + (34 * weave + 8 * _natural(height, width, random))[..., None]
    return np.clip(canvas, 0, 255).astype(np.uint8)


def evening(width: int, height: int, seed: int) -> Pixels:
    """The sample picture of the demo."""
    return np.asarray(Image.open(io.BytesIO(draw_sample(width, height, seed))).convert("RGB"))


KINDS: dict[str, Callable[[int, int, int], Pixels]] = {
    "painting": painting,
    "cel": cel,
    "sky": sky,
    "line art": line_art,
    "photograph": photograph,
    "portrait": portrait,
    "cloth": cloth,
    "evening": evening,
}


def _enlarged(plan: NDArray[np.float64], width: int, height: int) -> NDArray[np.float64]:
    """Each channel of a small plan resized with a cubic kernel."""
    channels = [
        np.asarray(Image.fromarray(plan[..., c].astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC))
        for c in range(plan.shape[2])
    ]
    return np.stack(channels, -1).astype(np.float64)


def _natural(height: int, width: int, random: np.random.Generator, fall: float = 1.15) -> NDArray[np.float64]:
    """Noise whose amplitude falls with frequency, mean 0 and root mean square 1."""
    fy, fx = np.fft.fftfreq(height)[:, None] * height, np.fft.rfftfreq(width)[None, :] * width
    amplitude = 1 / np.maximum(np.hypot(fy, fx), 1) ** fall
    amplitude[0, 0] = 0
    phase = np.exp(2j * np.pi * random.random(amplitude.shape))
    plane: NDArray[np.float64] = np.fft.irfft2(amplitude * phase, s=(height, width))
    plane /= plane.std()
    return plane
