"""What an artist's pictures take of this server's disk, and whether one more fits."""

from __future__ import annotations

from dataclasses import dataclass

from fediart.domain.actors import Account

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Space:
    """In bytes. `shown`: the files that are made of the originals. `copies`: those for elsewhere, which go by themselves."""

    originals: int
    shown: int
    copies: int

    @property
    def whole(self) -> int:
        return self.originals + self.shown + self.copies


def quota_of(account: Account, usual_mb: int) -> int | None:
    """Bytes that this artist's pictures may take; None: without bound. `usual_mb`: everybody's, 0 for none."""
    own = usual_mb if account.quota_mb is None else account.quota_mb
    return own * MB if own else None


def space_problem(space: Space, quota: int | None, size: int) -> str | None:
    """Why a file of `size` bytes does not fit any more, in words for its artist, or None."""
    if quota is None or space.whole + size <= quota:
        return None
    return (
        f"This picture has {in_mb(size)}, and your pictures take {in_mb(space.whole)} of the {in_mb(quota)} that you have here: "
        f"{in_mb(space.originals)} originals, {in_mb(space.shown)} what is shown of them, {in_mb(space.copies)} copies for "
        "elsewhere. Delete a work or a draft that you can spare, or ask the admin for more."
    )


def in_mb(size: int) -> str:
    return f"{size / MB:.1f} MB"
