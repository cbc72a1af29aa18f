"""What cloaking a picture costs: CPU and peak memory of the child process that does it, for pictures of several sizes.

The child is `fediart.media.child`, asked by `media/pipeline`; CPU and memory are what the kernel counted for that process
alone. Each picture is also rendered without a cloak, so that what the cloak adds can be told from decoding
and encoding. The public copy has at most 8.29 megapixels: a larger source is made smaller first.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Figure, arguments, tell
from benchmarks.server import ROOT, environment

SIZES = {2: (1632, 1224), 8: (3264, 2448), 12: (4000, 3000)}
WANTED = {"texture": (0.8, 2.5, 400), "light": (6, 8, 700), "standard": (6, 8, 700), "strong": (20, 25, 1000)}
"""CPU seconds of the cloak without the looking (ꟻLIP) at 2 and at 8 megapixels, and megabytes at 8."""

DRAW = (
    "import sys; from fediart.media.sample import draw_sample; "
    "open(sys.argv[3], 'wb').write(draw_sample(int(sys.argv[1]), int(sys.argv[2])))"
)


@dataclass(frozen=True, slots=True)
class Cost:
    """`pixels` of the public copy, in millions."""

    cpu: float
    peak_mb: float
    pixels: float
    psnr: float
    check: float


def draw(width: int, height: int, path: Path) -> None:
    subprocess.run([sys.executable, "-c", DRAW, str(width), str(height), str(path)], cwd=ROOT, env=environment(), check=True)


def render(original: Path, out: Path, strength: str, encoders: Sequence[Path], *, cloak: bool) -> Cost:
    """One picture, by a child of its own."""
    out.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.one_render", str(original), str(out), strength, "cloak" if cloak else "plain"]
    command += [str(path) for path in encoders]
    told = json.loads(subprocess.run(command, cwd=ROOT, env=environment(), check=True, stdout=subprocess.PIPE).stdout)
    if told["cloaked"] != cloak:
        raise SystemExit(f"Asked for cloak={cloak}, got {told}.")
    return Cost(told["cpu"], told["peak_mb"], told["pixels"], told["psnr"], told["check"])


def median(costs: Sequence[Cost], of: Callable[[Cost], float]) -> float:
    return statistics.median(of(cost) for cost in costs)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--strength", default="standard", help="light, standard or strong")
    parser.add_argument("--encoders", type=Path, help="folder of .pth encoders to steer by; without it: the texture")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", choices=list(SIZES), default=list(SIZES), help="in megapixels")
    parser.add_argument("--shrink", type=int, default=1, help="divide each side by this, to try the program out")
    chosen = parser.parse_args()
    sizes: list[int] = chosen.sizes
    encoders = (
        [path for path in sorted(chosen.encoders.glob("*.pth")) if not path.stem.endswith("_decoder")] if chosen.encoders else []
    )
    wanted = WANTED["texture" if not encoders else chosen.strength]
    cloaked: dict[int, list[Cost]] = {size: [] for size in sizes}
    plain: dict[int, list[Cost]] = {size: [] for size in sizes}
    with tempfile.TemporaryDirectory(prefix="fediart-bench-") as temporary:
        folder = Path(temporary)
        for size in sizes:
            width, height = SIZES[size]
            draw(width // chosen.shrink, height // chosen.shrink, folder / f"{size}.jpg")
        render(folder / f"{sizes[0]}.jpg", folder / "out", chosen.strength, encoders, cloak=True)  # once, for the .pyc files
        for _ in range(chosen.rounds):
            for size in sizes:
                original = folder / f"{size}.jpg"
                cloaked[size].append(render(original, folder / "out", chosen.strength, encoders, cloak=True))
                plain[size].append(render(original, folder / "out", chosen.strength, encoders, cloak=False))
    figures = []
    for size in sizes:
        cpu, bare, pixels = (
            median(cloaked[size], lambda cost: cost.cpu),
            median(plain[size], lambda cost: cost.cpu),
            median(cloaked[size], lambda cost: cost.pixels),
        )
        most = wanted[2] if size == 8 else None
        check = median(cloaked[size], lambda cost: cost.check)
        seconds = {2: wanted[0], 8: wanted[1]}.get(size)
        figures += [
            Figure(
                f"cpu_per_mp_{size}", f"{size} MP: CPU per megapixel, all told", cpu / pixels, "s", most=None if encoders else 1.0
            ),
            Figure(f"cpu_{size}_s", "  CPU of the child", cpu, "s"),
            Figure(f"cloak_per_mp_{size}", "  the cloak's part per megapixel", (cpu - bare) / pixels, "s"),
            Figure(f"cloak_{size}_s", "  the cloak without the looking", cpu - bare - check, "s", most=seconds),
            Figure(f"check_{size}_s", "  the looking (ꟻLIP)", check, "s"),
            Figure(f"ratio_{size}", "  with the cloak to without", cpu / bare, "x"),
            Figure(f"peak_{size}_mb", "  peak memory", median(cloaked[size], lambda cost: cost.peak_mb), "MB", most=most),
            Figure(
                f"plain_peak_{size}_mb", "  peak memory without the cloak", median(plain[size], lambda cost: cost.peak_mb), "MB"
            ),
            Figure(f"psnr_{size}_db", "  PSNR of the cloaked copy", median(cloaked[size], lambda cost: cost.psnr), "dB"),
        ]
    tell("cloak_cost", figures, **{key: str(value) if isinstance(value, Path) else value for key, value in vars(chosen).items()})


if __name__ == "__main__":
    main()
