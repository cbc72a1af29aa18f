"""A picture to try things with, drawn by our own code: an evening over water."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter


def draw_sample(width: int = 1600, height: int = 1200, seed: int = 7) -> bytes:
    """A JPEG of this size; another seed gives another picture."""
    random = np.random.default_rng(seed)
    horizon = int(height * 0.58)
    rows = np.linspace(0, 1, horizon)[:, None]
    top, low = np.array([38, 44, 92]), np.array([244, 162, 97])
    sky = (top * (1 - rows) + low * rows)[:, None, :].repeat(width, 1)
    depth = np.linspace(0, 1, height - horizon)[:, None]
    water = (np.array([214, 128, 92]) * (1 - depth) + np.array([22, 34, 66]) * depth)[:, None, :].repeat(width, 1)
    canvas = np.concatenate([sky, water])
    grain = random.normal(0, 1, (height // 6 + 1, width // 18 + 1))
    strokes = np.asarray(Image.fromarray(grain.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC))
    canvas += strokes[..., None] * np.where(np.arange(height) < horizon, 5, 16)[:, None, None]
    picture = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    x, y, r = int(width * 0.64), int(horizon * 0.72), height // 12
    draw.ellipse((x - r, y - r, x + r, y + r), fill=(255, 221, 158))
    for step in range(90):
        at = horizon + int((step / 90) ** 1.6 * (height - horizon))
        half = int(r * (0.5 + random.random() * (0.4 + step / 60)))
        shift = int(random.normal(0, 6))
        draw.line((x - half + shift, at, x + half + shift, at), fill=(255, 206, 140), width=max(1, step // 22))
    for far, shade in ((0.86, (52, 46, 84)), (0.93, (34, 32, 62))):
        line = [(0, horizon)]
        level = far * horizon
        for at in range(0, width + 40, 40):
            level += random.normal(0, height / 90)
            line.append((at, int(min(horizon, max(horizon * 0.7, level)))))
        draw.polygon([*line, (width, horizon)], fill=shade)
    out = io.BytesIO()
    picture.filter(ImageFilter.GaussianBlur(0.6)).save(out, "JPEG", quality=92)
    return out.getvalue()
