"""How an artist says a work was made. A statement of its author, never a badge of ours."""

from __future__ import annotations

from enum import StrEnum

_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"


class Declaration(StrEnum):
    """NONE: nothing was said. CODE is art made by a program its artist wrote; it is not AI."""

    NONE = ""
    DIGITAL = "digital"
    TRADITIONAL = "traditional"
    PHOTO = "photo"
    THREE_D = "3d"
    CODE = "code"
    PARTS_AI = "parts-ai"
    AI = "ai"

    @property
    def source_type(self) -> str | None:
        """IPTC's address for it (Digital Source Type NewsCodes), or None where nothing was said."""
        return _IPTC + _SOURCE_TYPES[self] if self in _SOURCE_TYPES else None

    @property
    def words(self) -> str:
        return _WORDS[self]

    @property
    def self_label(self) -> str | None:
        """Which of our labels goes out with it (FEP-4c96): ai-generated, ai-assisted or no-generative-ai."""
        if self == Declaration.NONE:
            return None
        return {Declaration.AI: "ai-generated", Declaration.PARTS_AI: "ai-assisted"}.get(self, "no-generative-ai")


_SOURCE_TYPES = {
    Declaration.DIGITAL: "digitalCreation",
    Declaration.TRADITIONAL: "digitalCapture",
    Declaration.PHOTO: "digitalCapture",
    Declaration.THREE_D: "digitalCreation",
    Declaration.CODE: "algorithmicMedia",
    Declaration.PARTS_AI: "compositeWithTrainedAlgorithmicMedia",
    Declaration.AI: "trainedAlgorithmicMedia",
}

_WORDS = {
    Declaration.NONE: "I would rather not say",
    Declaration.DIGITAL: "Made by hand, digitally",
    Declaration.TRADITIONAL: "Made by hand, traditionally",
    Declaration.PHOTO: "A photograph",
    Declaration.THREE_D: "3D, modelled by hand",
    Declaration.CODE: "Code art: a program I wrote",
    Declaration.PARTS_AI: "Parts were made with AI",
    Declaration.AI: "Made with AI",
}

LABELS = {
    "ai-generated": "Made with AI",
    "ai-assisted": "Parts made with AI",
    "no-generative-ai": "Made without generative AI",
}
"""Our labels and what they say; each has a page of its own, `/labels/NAME`."""
