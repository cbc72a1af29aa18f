"""What a picture's file says of its origin: read before anything is stripped, within bounds, without network.

This is a reader of declarations, not a detector: it finds what programs write into files on purpose, and a file from which
that was taken says nothing. Content Credentials themselves are read in `manifest`, hidden settings in `stealth`.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from fediart.domain.origin import STRENGTH, Level, Origin, Signal
from fediart.media.origin import exif, signs
from fediart.media.origin.allowance import Allowance, OriginLimits, Spent
from fediart.media.origin.containers import Piece, Source, pieces
from fediart.media.origin.packets import properties

CREDENTIALS = Signal(Level.INFO, "c2pa", "This file carries Content Credentials (C2PA), which were not read.")
ELSEWHERE = Signal(
    Level.INFO, "c2pa", "This file names Content Credentials that are kept elsewhere; this server does not fetch them."
)


def read_origin(path: Path, *, limits: OriginLimits | None = None, sha256: str | None = None) -> Origin:
    """All signals in a file's metadata. `sha256`: the file's, where it is known already.

    Whatever the bytes are, this ends within the limits and raises nothing but OSError: what is not understood says nothing.
    """
    reading = Reading(Allowance(limits or OriginLimits()))
    with path.open("rb", buffering=0) as file:
        if sha256 is None:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        # A door: a stranger's bytes never keep a picture from being taken. The tests look behind it.
        with contextlib.suppress(Exception):
            reading.walk(Source(file))
    return Origin(in_order(reading.signals), sha256, "not read" if reading.has_credentials else "absent")


def with_more(origin: Origin, signals: list[Signal], c2pa: str | None = None) -> Origin:
    """Together with what was found in another way."""
    return Origin(in_order([*origin.signals, *signals]), origin.sha256, c2pa or origin.c2pa)


def in_order(signals: list[Signal]) -> tuple[Signal, ...]:
    """The strongest first, and of each source at each level the first that was found."""
    first: dict[tuple[Level, str], Signal] = {}
    for signal in signals:
        first.setdefault((signal.level, signal.source), signal)
    return tuple(sorted(first.values(), key=lambda signal: -STRENGTH.index(signal.level)))


class Reading:
    """What was found in one file so far."""

    def __init__(self, allowance: Allowance) -> None:
        self.signals: list[Signal] = []
        self.has_credentials = False
        self._allowance = allowance
        self._keys: set[str] = set()
        self._artist = self._description = ""
        self._of_editor: list[Signal] = []

    def walk(self, source: Source) -> None:
        try:
            for piece in pieces(source, self._allowance):
                for signal in self._of_piece(piece, source):
                    self.signals.append(signal)
        except Spent:
            pass
        self._together()

    def _of_piece(self, piece: Piece, source: Source) -> Iterator[Signal]:
        if piece.kind == "c2pa":
            yield from self._credentials(CREDENTIALS)
        elif piece.kind == "text":
            yield from self._of_text(piece)
        elif piece.kind == "xmp":
            yield from self._of_xmp(piece.data)
        elif piece.kind == "iptc":
            for caption in exif.captions(piece.data, self._allowance):
                yield from signs.of_text(caption, "The IPTC field “Caption”")
        else:
            yield from self._of_exif(piece, source)

    def _credentials(self, signal: Signal) -> Iterator[Signal]:
        self.has_credentials = True
        yield signal

    def _of_text(self, piece: Piece) -> Iterator[Signal]:
        text = exif.plain(piece.data)
        self._keys.add(piece.name)
        where = f"The text field “{piece.name}”" if piece.name in _KNOWN_KEYS else "A text field"
        if piece.name == "AIGC":
            yield from signs.of_aigc(text, "the text field “AIGC”")
        elif piece.name == "Software" and text.startswith("NovelAI"):
            yield _NOVELAI
        else:
            found = list(self._of_keyed(text, where, piece.name))
            yield from found
            if piece.name in _OWN_KEYS and not found and text.lstrip().startswith("{"):
                yield signs.of_settings(where, _OWN_KEYS[piece.name])

    def _of_keyed(self, text: str, where: str, key: str) -> Iterator[Signal]:
        found = signs.of_text(text, where, key)
        if key == "workflow":
            self._of_editor += found
        else:
            yield from found

    def _of_xmp(self, packet: bytes) -> Iterator[Signal]:
        tool = ""
        for name, value in properties(packet, self._allowance):
            if name == "Iptc4xmpExt:DigitalSourceType":
                yield from signs.of_source_type(value)
            elif name == "Iptc4xmpExt:AISystemUsed" and value:
                yield signs.of_ai_system()
            elif name == "TC260:AIGC":
                yield from signs.of_aigc(value, "the XMP of this file")
            elif name == "dcterms:provenance" and value:
                yield from self._credentials(ELSEWHERE)
            elif name == "xmp:CreatorTool":
                tool = value
            elif name in _XMP_TEXTS:
                for signal in signs.of_text(value, f"The XMP field “{_XMP_TEXTS[name]}”"):
                    yield self._of_draw_things(signal) if tool.startswith("Draw Things") else signal

    @staticmethod
    def _of_draw_things(signal: Signal) -> Signal:
        return signs.of_settings("The XMP field “User Comment”", "drawthings") if signal.source == "json" else signal

    def _of_exif(self, piece: Piece, source: Source) -> Iterator[Signal]:
        data = piece.data
        at = source.at if piece.kind == "tiff" else lambda start, count: data[start : start + count]
        for tag, value, order in exif.entries(at, self._allowance):
            if tag == exif.XMP:
                yield from self._of_xmp(value)
            elif tag == exif.C2PA:
                yield from self._credentials(CREDENTIALS)
            elif tag == exif.IPTC:
                yield from self._of_piece(Piece("iptc", value), source)
            else:
                yield from self._of_field(exif.FIELDS[tag], exif.text_of(tag, value, order))

    def _of_field(self, name: str, text: str) -> Iterator[Signal]:
        where = f"The Exif field “{_words(name)}”"
        if name == "Artist":
            self._artist = text
        elif name == "ImageDescription":
            self._description = text
        if name == "Software" and text.startswith("NovelAI"):
            yield _NOVELAI
            return
        # ComfyUI has no fields of its own in Exif and puts the field's name before what it writes into another.
        named = _PREFIXED.match(text) if name in ("Make", "Model", "ImageDescription") else None
        if named is not None:
            self._keys.add(named[1].lower())
            yield from self._of_keyed(text[named.end() :], where, named[1].lower())
        else:
            yield from signs.of_text(text, where)

    def _together(self) -> None:
        """What several fields say only together."""
        keys = signs.snake_keys(iter(self._keys))
        if signs.is_settings(keys):
            source = "easydiffusion" if "use_stable_diffusion_model" in keys else "json"
            self.signals.append(signs.of_settings("The text fields of this file together", source))
        elif "use_stable_diffusion_model" in keys:
            self.signals.append(_EASY)
        if _SIGNED.fullmatch(self._description.strip()) and _UUID.fullmatch(self._artist.strip()):
            self.signals.append(_XAI)
        if "prompt" not in self._keys:  # what was run counts, not what was open in the editor
            self.signals += self._of_editor


_KNOWN_KEYS = {
    *("parameters", "prompt", "workflow", "extras", "postprocessing", "Dream", "sd-metadata", "invokeai_metadata"),
    *("Comment", "Description", "Title", "Software", "generation_data", "smproj"),
}
"""Names of text fields that may stand in a sentence: any other is a stranger's words."""

_OWN_KEYS = {"invokeai_metadata": "invokeai", "sd-metadata": "invokeai"}
"""Fields that only one program writes: an object in one is its settings, whatever it names them."""

_XMP_TEXTS = {"exif:UserComment": "User Comment", "dc:description": "Description", "tiff:ImageDescription": "Image Description"}
_PREFIXED = re.compile(r"(prompt|workflow): ?(?=\{)", re.IGNORECASE)
_SIGNED = re.compile(r"Signature: ?[A-Za-z0-9+/=_-]{40,}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

_NOVELAI = Signal(Level.GENERATOR, "novelai", "The field “Software” of this file says NovelAI.")
_EASY = Signal(Level.HINT, "easydiffusion", "A text field of this file names a model of Easy Diffusion, and no settings.")
_XAI = Signal(
    Level.GENERATOR, "xai", "The Exif fields “Artist” and “Image Description” are signed as xAI's Grok signs its pictures."
)


def _words(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
