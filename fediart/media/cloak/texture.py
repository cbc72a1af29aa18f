"""The embedded cloak: a band-limited luminance texture. It needs no weights and no network.

What it is worth, and what not, was measured and is said in docs: it moves what encoders of image generators read
somewhat more than noise of equal visibility does once a picture is downscaled, an ordinary denoiser takes most of it
away, and nobody has shown that it stops anyone from training.
"""

from __future__ import annotations

from collections.abc import Sequence

from fediart.media.cloak.backend import CloakOrder, Pixels
from fediart.media.cloak.built_in import TEXTURE, VERSIONS
from fediart.media.cloak.laying import Watch, lay_all, reported, source, unit, work_size
from fediart.media.cloak.report import CloakReport
from fediart.media.cloak.textures import texture


class TextureCloak:
    """See the module. `cloak` is deterministic in its arguments."""

    name = TEXTURE
    version = VERSIONS[TEXTURE]

    def cloak(self, pictures: Sequence[Pixels], order: CloakOrder) -> tuple[list[Pixels], CloakReport]:
        watch = Watch()
        rgb = source(pictures, order)
        direction = texture(*work_size(*rgb.shape[:2]), order.seed)
        order.progress(0.2)
        made, laid = lay_all(pictures, unit(direction), order, lambda share: order.progress(0.2 + 0.8 * share))
        return made, reported(self, order, laid, watch)
