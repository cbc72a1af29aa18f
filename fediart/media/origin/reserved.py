"""What a file reserves against machines: the fields of PLUS and of TDMRep in its XMP. Read as its origin is, within bounds."""

from __future__ import annotations

import contextlib
from pathlib import Path

from fediart.domain.reservations import Reservation
from fediart.domain.signals import denying, read_data_mining, together
from fediart.media.origin.allowance import Allowance, OriginLimits
from fediart.media.origin.containers import Source, pieces
from fediart.media.origin.packets import properties


def read_reserved(path: Path) -> Reservation | None:
    """None: nothing is. Raises nothing but OSError: what is not understood says nothing."""
    said: list[Reservation | None] = []
    with path.open("rb", buffering=0) as file, contextlib.suppress(Exception):
        allowance = Allowance(OriginLimits())
        for piece in pieces(Source(file), allowance):
            if piece.kind == "xmp":
                for name, value in properties(piece.data, allowance):
                    if name == "plus:DataMining":
                        said.append(read_data_mining(value))
                    elif name == "tdm:reservation" and value.strip() == "1":
                        said.append(denying(training=True, ai_input=True))
    return together(said)
