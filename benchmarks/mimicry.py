"""Does a cloak spoil what is imitated from a portfolio, more than noise that is as visible does, and what does a denoiser undo?

    python -m benchmarks.mimicry FOLDER --encoders DIR [--content FOLDER] [--json FILE] [--html FILE]

FOLDER holds pictures of one artist; without it a portfolio is drawn. DIR holds encoders of the TAESD family as
`NAME_encoder.pth`, and for at least one of them its `NAME_decoder.pth`: in its latent space the three mimics of
`benchmarks.mimics` work. Each sees the portfolio clean, with noise, and cloaked as the server does it, as posted and after
total variation (TV) or non-local means (NLM). Noise is scaled, picture by picture, to the ꟻLIP of the most visible cloak
there, at 33 pixels per degree. Told is how far what they make is from the clean portfolio's style (`benchmarks.style`), in %
over what the same mimic makes of the clean portfolio: above 0, the mimic is worse off.

How to read it. The features are stand-ins for VGG's. Those of an encoder took part in steering where that encoder steered;
the waves never did. A mimic that blurs is brought nearer to a style by whatever adds fine structure, noise too: a figure
below 0 is no good sign for the artist, and one above 0 does not tell how it looks; see the page. The mimics are small, and the
encoders small copies of those that image generators use: nothing here shows what a fine-tuned model does.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import html
import io
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.decoders import Decoder
from benchmarks.denoise import nlm, tv
from benchmarks.mimics import LatentModel, quilt, wct
from benchmarks.report import Figure, arguments, tell
from benchmarks.style import Features, Style, gabor, taps
from fediart.errors import FediartError
from fediart.media.cloak.backend import CloakOrder
from fediart.media.cloak.backends import cloak_named
from fediart.media.cloak.encoders import Encoder
from fediart.media.cloak.laying import apply
from fediart.media.cloak.strengths import NEAR, STRENGTHS
from fediart.media.cloak.visibility import prepare
from tests.pictures import KINDS

Pixels = NDArray[np.uint8]
F = NDArray[np.float32]

MULTIPLE = 32
"""Sides are cropped to a multiple of this: of the downscale of all small encoders."""
TREATED: dict[str, Callable[[Pixels], Pixels]] = {"as posted": lambda rgb: rgb, "TV": tv, "NLM": nlm}
MIMICS = ("wct", "quilt", "model")
CONTENT = ("photograph", "portrait", "sky", "evening")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
WAVES = "waves"
TARGETS = {"texture": 6.0, "encoders": 20.0}
"""Of the quilt, in % over the clean portfolio, as posted, by the waves: they took part in nothing."""


# --- pictures


def pictures_in(folder: Path, many: int, side: int) -> list[Pixels]:
    """The first by name, made smaller to this long side."""
    found = []
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)[:many]:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        if max(picture.size) < side:
            raise SystemExit(f"{path.name} is smaller than {side} pixels: choose a smaller --size.")
        found.append(within(np.asarray(picture), side))
    if not found:
        raise SystemExit(f"There are no pictures in {folder}.")
    return found


def within(rgb: Pixels, side: int) -> Pixels:
    """Made smaller to this long side, then cropped to multiples of MULTIPLE."""
    scale = side / max(rgb.shape[:2])
    if scale < 1:
        size = (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))
        rgb = np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))
    tall, wide = (length // MULTIPLE * MULTIPLE for length in rgb.shape[:2])
    if not tall or not wide:
        raise SystemExit(f"A picture is narrower than {MULTIPLE} pixels: choose a larger --size.")
    return np.ascontiguousarray(rgb[:tall, :wide])


def drawn(kinds: Sequence[str], many: int, side: int, seed: int) -> list[Pixels]:
    return [within(KINDS[kinds[at % len(kinds)]](side, side * 3 // 4, seed + at), side) for at in range(many)]


# --- ways to change a portfolio


@dataclass(slots=True)
class Variant:
    """A portfolio, changed. `flip` (mean, at NEAR) and `psnr` by picture; `weak`: pictures whose cloak the server calls weak."""

    name: str
    what: str
    pictures: list[Pixels]
    flip: list[float] = field(default_factory=list)
    psnr: list[float] = field(default_factory=list)
    weak: int = 0


def cloaked(name: str, backend: str, portfolio: Sequence[Pixels], order: Callable[[int], CloakOrder], what: str) -> Variant:
    made, weak = [], 0
    for at, rgb in enumerate(portfolio):
        (out,), report = cloak_named(backend).cloak([rgb], order(at))
        made.append(out)
        weak += report.weak
    return Variant(name, what, made, weak=weak)


def waves(kind: str, height: int, width: int, random: np.random.Generator) -> F:
    if kind == "noise":
        return random.standard_normal((height, width), dtype=np.float32)
    small = random.standard_normal((height // 2 + 1, width // 2 + 1), dtype=np.float32)
    return np.ascontiguousarray(small.repeat(2, 0).repeat(2, 1)[:height, :width])


def with_noise(kind: str, rgb: Pixels, wanted: float, seed: int) -> Pixels:
    """Luminance noise at this mean ꟻLIP: the upper end of a bisection, so that it is never less visible than wanted."""
    random = np.random.default_rng(seed)
    wave = waves(kind, rgb.shape[0], rgb.shape[1], random)
    dither = random.random(rgb.shape[:2], dtype=np.float32)
    reference = prepare(rgb, NEAR)
    low, high = 0.1, 40.0
    for _ in range(10):
        middle = math.sqrt(low * high)
        seen = float(reference.flip(apply(rgb, np.float32(middle) * wave, dither)).mean())
        low, high = (middle, high) if seen < wanted else (low, middle)
    return apply(rgb, np.float32(high) * wave, dither)


def variants_of(
    portfolio: list[Pixels], encoders: Sequence[tuple[str, Path]], mimic: str, strength: str, seed: int
) -> list[Variant]:
    """Clean first, then noise, then the cloaks."""

    def order(names: Sequence[tuple[str, Path]]) -> Callable[[int], CloakOrder]:
        def made(at: int) -> CloakOrder:
            return CloakOrder(hashlib.sha256(f"mimicry {seed} {at}".encode()).digest(), strength, encoders=tuple(names))

        return made

    others = [(name, path) for name, path in encoders if name != mimic]
    cloaks = [
        cloaked("texture", "texture", portfolio, order(()), "embedded texture"),
        cloaked("encoders", "encoders", portfolio, order(encoders), f"steered by {', '.join(name for name, _ in encoders)}"),
    ]
    if others:
        what = f"steered by {', '.join(name for name, _ in others)} alone"
        cloaks.append(cloaked("left_out", "encoders", portfolio, order(others), what))
    for variant in cloaks:
        measure(variant, portfolio)
    most = [max(flips) for flips in zip(*(variant.flip for variant in cloaks), strict=True)]
    noises = []
    for kind, what in (("noise", "luminance noise"), ("blocks", "luminance noise, 2×2")):
        made = [with_noise(kind, rgb, flip, seed + at) for at, (rgb, flip) in enumerate(zip(portfolio, most, strict=True))]
        noises.append(Variant(kind, what, made))
        measure(noises[-1], portfolio)
    return [Variant("clean", "clean", portfolio), *noises, *cloaks]


def measure(variant: Variant, portfolio: Sequence[Pixels]) -> None:
    for rgb, changed in zip(portfolio, variant.pictures, strict=True):
        variant.flip.append(float(prepare(rgb, NEAR).flip(changed).mean()))
        error = float(np.square(changed.astype(np.float32) - rgb).mean())
        variant.psnr.append(10 * math.log10(255**2 / error))


# --- the mimics at work


def latent_of(encoder: Encoder, rgb: Pixels) -> F:
    return encoder.encode(np.ascontiguousarray(rgb.transpose(2, 0, 1)).astype(np.float32) / np.float32(255))[-1]


@dataclass(frozen=True, slots=True)
class Trial:
    """What the mimics made of one portfolio as they saw it: pictures by mimic. `left`: see LatentModel."""

    variant: Variant
    treatment: str
    seen: Pixels
    made: dict[str, list[Pixels]]
    left: float


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where the mimics work: one encoder and its decoder, what they are asked to draw, and how long they learn."""

    encoder: Encoder
    decoder: Decoder
    contents: list[F]
    seen_side: int
    steps: int
    samples: int
    seed: int

    def latent(self, rgb: Pixels) -> F:
        return latent_of(self.encoder, rgb)

    def tried(self, variant: Variant, treatment: str) -> Trial:
        seen = [TREATED[treatment](within(rgb, self.seen_side)) for rgb in variant.pictures]
        latents = [self.latent(rgb) for rgb in seen]
        model = LatentModel(latents, self.steps, self.seed)
        _, tall, wide = latents[0].shape
        made = {
            "wct": [wct(content, latents) for content in self.contents],
            "quilt": [quilt(content, latents) for content in self.contents],
            "model": [model.sample(tall, wide, self.seed + number) for number in range(self.samples)],
        }
        decoded = {name: [self.decoder.decode(latent) for latent in found] for name, found in made.items()}
        return Trial(variant, treatment, seen[0], decoded, model.left)


@dataclass(frozen=True, slots=True)
class Over:
    """Style distance: its mean, what it is over another's in %, and the standard error of that over pictures drawn alike."""

    distance: float
    percent: float
    error: float

    @classmethod
    def of(cls, mine: Sequence[float], base: Sequence[float]) -> Over:
        more = np.subtract(mine, base) / np.mean(base) * 100
        error = float(more.std(ddof=1) / math.sqrt(len(more))) if len(more) > 1 else math.nan
        return cls(float(np.mean(mine)), float(more.mean()), error)


Key = tuple[str, str, str, str]
"""Variant, treatment, mimic, features."""


# --- telling


@dataclass(frozen=True, slots=True)
class Outcome:
    """`each`: style distances of the single pictures. `anchors`: by features, what distances to hold the others against."""

    trials: list[Trial]
    each: dict[Key, list[float]]
    anchors: dict[str, dict[str, float]]
    contents: list[Pixels]
    about: str

    @property
    def features(self) -> list[str]:
        return list(self.anchors)

    @property
    def variants(self) -> list[Variant]:
        return [trial.variant for trial in self.trials if trial.treatment == "as posted"]

    def over(self, variant: str, treatment: str, mimic: str, features: str, under: str = "as posted") -> Over:
        """Over what the mimic makes of the clean portfolio, under this treatment."""
        return Over.of(self.each[variant, treatment, mimic, features], self.each["clean", under, mimic, features])


def table(outcome: Outcome) -> str:
    """Markdown. Style distance over that of the clean portfolio as posted in %, whose own row holds distances."""
    columns = [(mimic, one) for mimic in MIMICS for one in outcome.features]
    lines = ["| portfolio | seen | ꟻLIP | PSNR | " + " | ".join(f"{mimic}, {one}" for mimic, one in columns) + " |"]
    lines.append("|---" * (4 + len(columns)) + "|")
    for trial in outcome.trials:
        variant = trial.variant
        plain = variant.name == "clean"
        cells = [variant.what, trial.treatment]
        cells += ["", ""] if plain else [f"{np.mean(variant.flip):.3f}", f"{np.mean(variant.psnr):.1f}"]
        for mimic, one in columns:
            over = outcome.over(variant.name, trial.treatment, mimic, one)
            is_base = plain and trial.treatment == "as posted"
            cells.append(f"{over.distance:.3f}" if is_base else f"{over.percent:+.1f} ± {over.error:.1f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def notes(outcome: Outcome) -> list[str]:
    """What the table is to be read with."""
    lines = [
        f"{one}: content as it is {anchor['content']:.3f}; the artist's pictures to each other {anchor['among']:.3f}; "
        f"the portfolio through encoder and decoder {anchor['round_trip']:.3f}"
        for one, anchor in outcome.anchors.items()
    ]
    lines += [
        f"Called weak by the server: {variant.what}, {variant.weak} of {len(variant.pictures)}"
        for variant in outcome.variants
        if variant.weak
    ]
    return [*lines, f"Of a linear model's error the trained one leaves {outcome.trials[0].left:.3f} (clean, as posted)."]


def image(rgb: Pixels) -> str:
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, "JPEG", quality=92)  # to look at: as PNG the page would have four times the size
    return f'<img src="data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}" alt="">'


def page(outcome: Outcome) -> str:
    """One HTML, complete in itself: what each mimic made of each portfolio, with its figures."""
    rows = []
    for trial in outcome.trials:
        name = f"{trial.variant.what}, {trial.treatment}"
        cells = [f"<th>{html.escape(name)}</th><td>{image(trial.seen)}<br>a picture of the portfolio</td>"]
        for mimic in MIMICS:
            overs = [(one, outcome.over(trial.variant.name, trial.treatment, mimic, one)) for one in outcome.features]
            told = "; ".join(f"{one} {over.distance:.3f} ({over.percent:+.1f} %)" for one, over in overs)
            shown = image(trial.made[mimic][0]) + image(trial.made[mimic][-1])
            cells.append(f"<td>{shown}<br>{html.escape(f'{mimic}: {told}')}</td>")
        rows.append("<tr>" + "".join(cells) + "</tr>")
    contents = image(outcome.contents[0]) + image(outcome.contents[-1])
    told = "\n".join([outcome.about, "", table(outcome), "", *notes(outcome)])
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Mimicry</title>"
        "<style>body{font:14px sans-serif}td,th{padding:6px;vertical-align:top;text-align:left}img{margin-right:2px}</style>"
        f"<h1>Mimicry</h1><p>{html.escape((__doc__ or '').split('How to read it. ')[-1])}</p><p>Content: {contents}</p>"
        f"<table>{''.join(rows)}</table><pre>{html.escape(told)}</pre></html>\n"
    )


def figures_of(outcome: Outcome) -> list[Figure]:
    """The quilt and the trained model, by all features: as posted, and after each denoiser over the clean portfolio after it."""
    figures = []
    for variant in (variant.name for variant in outcome.variants if variant.name != "clean"):
        for mimic in ("quilt", "model"):
            for one in outcome.features:
                key, what = f"{variant}_{mimic}_{one}", f"{variant}, {mimic}, {one}"
                least = TARGETS.get(variant) if (mimic, one) == ("quilt", WAVES) else None
                figures.append(Figure(key, what, outcome.over(variant, "as posted", mimic, one).percent, "%", least=least))
                for treatment in list(TREATED)[1:]:
                    left = outcome.over(variant, treatment, mimic, one, under=treatment).percent
                    what = f"  after {treatment}, over clean after {treatment}"
                    figures.append(Figure(f"{key}_{treatment.lower()}", what, left, "%"))
    return figures


def written(outcome: Outcome, how: dict[str, object]) -> str:
    """JSON of all there is, but pictures."""
    rows = []
    for (variant, treatment, mimic, one), each in outcome.each.items():
        posted, same = (outcome.over(variant, treatment, mimic, one, under) for under in ("as posted", treatment))
        rows.append(
            {"variant": variant, "treatment": treatment, "mimic": mimic, "features": one, "distance": posted.distance}
            | {"over_clean": posted.percent, "error": posted.error}
            | {"over_clean_treated_alike": same.percent, "error_treated_alike": same.error, "each": each}
        )
    variants = [{"name": v.name, "what": v.what, "flip": v.flip, "psnr": v.psnr, "weak": v.weak} for v in outcome.variants]
    left = [{"variant": trial.variant.name, "treatment": trial.treatment, "left": trial.left} for trial in outcome.trials]
    whole = {"how": how, "variants": variants, "anchors": outcome.anchors, "rows": rows, "trained": left}
    return json.dumps(whole, indent=1) + "\n"


# --- the program


def encoders_in(folder: Path, wanted: str | None) -> tuple[list[tuple[str, Path]], str]:
    """All encoders of a folder, and the one that the mimics use: the wanted one, else the first with a decoder."""
    found = [(path.stem.removesuffix("_encoder"), path) for path in sorted(folder.glob("*_encoder.pth"))]
    complete = [name for name, _ in found if (folder / f"{name}_decoder.pth").exists()]
    if not complete or (wanted and wanted not in complete):
        raise SystemExit(f"In {folder} there is no {wanted or 'NAME'}_encoder.pth with its {wanted or 'NAME'}_decoder.pth.")
    return found, wanted or complete[0]


def run(
    workshop: Workshop, variants: Sequence[Variant], contents: list[Pixels], features: dict[str, Features], about: str
) -> Outcome:
    clean = [within(rgb, workshop.seen_side) for rgb in variants[0].pictures]
    styles = {one: Style(features_of, clean) for one, features_of in features.items()}
    trials: list[Trial] = []
    each: dict[Key, list[float]] = {}
    for variant in variants:
        for treatment in TREATED:
            print(f"{variant.what}, {treatment} …", file=sys.stderr, flush=True)
            trials.append(workshop.tried(variant, treatment))
            for mimic, made in trials[-1].made.items():
                for one, style in styles.items():
                    each[variant.name, treatment, mimic, one] = [style.distance(rgb) for rgb in made]
    through = [workshop.decoder.decode(workshop.latent(rgb)) for rgb in clean]
    anchors = {
        one: {
            "content": float(np.mean([style.distance(rgb) for rgb in contents])),
            "among": float(np.mean(style.among())),
            "round_trip": float(np.mean([style.distance(rgb) for rgb in through])),
        }
        for one, style in styles.items()
    }
    return Outcome(trials, each, anchors, contents, about)


def options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="pictures of one artist; without it some are drawn")
    parser.add_argument("--content", type=Path, help="pictures to draw in the artist's style; without it some are drawn")
    parser.add_argument("--encoders", type=Path, required=True, help="folder of NAME_encoder.pth and NAME_decoder.pth")
    parser.add_argument("--mimic", help="NAME that the mimics use; without it the first that has a decoder")
    parser.add_argument("--kind", default="painting", choices=list(KINDS), help="of a drawn portfolio")
    parser.add_argument("--strength", default="standard", choices=list(STRENGTHS))
    parser.add_argument("--pictures", type=int, default=10, help="of the portfolio")
    parser.add_argument("--contents", type=int, default=6, help="at least 2")
    parser.add_argument("--samples", type=int, default=6, help="that the trained model draws, at least 2")
    parser.add_argument("--size", type=int, default=256, help="long side at which pictures are posted")
    parser.add_argument("--seen", type=int, help="long side to which mimics make them smaller; without it they do not")
    parser.add_argument("--steps", type=int, default=500, help="of training; more where there is time")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="tiny, to try the program out: its figures say little")
    parser.add_argument("--json", type=Path, help="write every figure there")
    parser.add_argument("--html", type=Path, help="write a page with samples there")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.pictures, chosen.contents, chosen.samples, chosen.size, chosen.steps = 2, 2, 2, 128, 20
    chosen.seen = min(chosen.seen or chosen.size, chosen.size)
    if min(chosen.contents, chosen.samples) < 2:
        parser.error("at least 2 contents and 2 samples are needed to tell a figure from chance")
    return chosen


def main() -> None:
    chosen = options()
    found, name = encoders_in(chosen.encoders, chosen.mimic)
    if chosen.folder:
        portfolio = pictures_in(chosen.folder, chosen.pictures, chosen.size)
    else:
        portfolio = drawn([chosen.kind], chosen.pictures, chosen.size, chosen.seed)
    if chosen.content:
        contents = pictures_in(chosen.content, chosen.contents, chosen.seen)
    else:
        contents = drawn(CONTENT, chosen.contents, chosen.seen, chosen.seed + 1000)
    try:
        nets = {one: Encoder.load(one, path) for one, path in found}
        decoder = Decoder.load(chosen.encoders / f"{name}_decoder.pth")
        latents = [latent_of(nets[name], rgb) for rgb in contents]
        if decoder.channels != latents[0].shape[0] or decoder.scale != nets[name].multiple:
            raise SystemExit(f"{name}'s decoder does not fit its encoder.")
        variants = variants_of(portfolio, found, name, chosen.strength, chosen.seed)
    except FediartError as problem:
        raise SystemExit(problem.message) from None
    features: dict[str, Features] = {WAVES: gabor}
    for other in [one for one in nets if one != name][:1]:
        features[other] = taps(nets[other])
    workshop = Workshop(nets[name], decoder, latents, chosen.seen, chosen.steps, chosen.samples, chosen.seed)
    about = (
        f"{len(portfolio)} pictures, {len(contents)} contents, posted at {chosen.size} px, seen at {chosen.seen} px, "
        f"{chosen.strength}; mimics in {name}'s latent space.\n"
        "Style distance over that of the clean portfolio as posted, in % (in that row: the distance); ± standard error, paired."
    )
    outcome = run(workshop, variants, contents, features, about)
    print("\n".join([about, "", table(outcome), "", *notes(outcome)]))
    how = {key: str(value) if isinstance(value, Path) else value for key, value in vars(chosen).items()} | {"mimic": name}
    if chosen.json:
        chosen.json.write_text(written(outcome, how))
    if chosen.html:
        chosen.html.write_text(page(outcome))
    tell("mimicry", figures_of(outcome), **how)


if __name__ == "__main__":
    main()
