"""The encoders that a cloak can work against: whose they mirror, where they are fetched, and exactly which file is meant.

A file is known by its hash: an address at a commit does not move, and what comes from it is still checked. The files belong
to their authors; fediart neither contains nor changes them.

Full encoders are those that trainers use themselves. They are large and slow, want torch, and come only to those who ask.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fediart.errors import ConfigError
from fediart.media.cloak.encoder_files import MAX_BYTES, is_full_file

_TAESD = "https://github.com/madebyollin/taesd/raw/5cccb12dc72074a4be35680c3b108548a7c69978"
_TAEHV = "https://github.com/madebyollin/taehv/raw/1f14a568f24bf8811e0a0ac601613e04fc1581e8"


@dataclass(frozen=True, slots=True)
class Encoder:
    """`mirrors`: the models whose own encoder it imitates, in words. `size` in bytes, where it is known.

    `downscale`: pixels of the picture to one of the latent, along a side. `channels`: of the latent. `is_full`: no imitation.
    """

    name: str
    mirrors: str
    address: str
    sha256: str
    licence: str
    downscale: int
    channels: int
    size: int | None = None
    is_full: bool = False

    @property
    def most_bytes(self) -> int:
        """What is read of it at most."""
        return self.size or MAX_BYTES


Catalogue = Mapping[str, Encoder]

_KNOWN = (
    Encoder(
        "taesdxl",
        "SDXL (so Illustrious, NoobAI, Pony)",
        f"{_TAESD}/taesdxl_encoder.pth",
        "a5648de089aba6b641e505c0f132b2dc7ff70ab6070c31be5e624e807e711c5e",
        "MIT",
        8,
        4,
    ),
    Encoder(
        "taef1",
        "FLUX.1 (so HiDream-I1, Z-Image)",
        f"{_TAESD}/taef1_encoder.pth",
        "1d1ad34546aea0edd99dc2db9411d870319f428ced5065c6464582c17c070536",
        "MIT",
        8,
        16,
    ),
    Encoder(
        "taew2_1",
        "Wan 2.1 (so Qwen-Image)",
        f"{_TAEHV}/taew2_1.pth",
        "d26151e76cdc2c9424bef988de874b33d9a53f30ef3060cd556c429c469c797e",
        "MIT",
        8,
        16,
    ),
    Encoder(
        "taef2",
        "FLUX.2",
        f"{_TAESD}/taef2_encoder.pth",
        "10a4e1021e89d7551eaf161352da8dbd0b1aa83872ae28b150c1df1ce2f147b6",
        "MIT",
        8,
        32,
        2_704_692,
    ),
    Encoder(
        "taesd",
        "Stable Diffusion 1 and 2",
        f"{_TAESD}/taesd_encoder.pth",
        "15bc6128f0ac51c673d3427216082ebfa62402ffc89763af74edfe259b32d49d",
        "MIT",
        8,
        4,
    ),
    Encoder(
        "taesd3",
        "Stable Diffusion 3 and 3.5",
        f"{_TAESD}/taesd3_encoder.pth",
        "b8fefa64b92a867df673c7f22fb2cbc6ae144070e22e7a0b3af0f21de2f43f92",
        "MIT",
        8,
        16,
    ),
    Encoder(
        "taesana",
        "Sana",
        f"{_TAESD}/taesana_encoder.pth",
        "858f4e4cc293f88efaf58107f4154b960b9ced0cb5d9c050dad11f926b618c1f",
        "MIT",
        32,
        32,
        2_537_004,
    ),
    # From here on what they mirror is what they are. A file's size follows from the names and shapes of its tensors, to the byte.
    Encoder(
        "sd15",
        "Stable Diffusion 1 and 2, itself",
        "https://huggingface.co/stabilityai/sd-vae-ft-mse-original/resolve/629b3ad3030ce36e15e70c5db7d91df0d60c627f/"
        "vae-ft-mse-840000-ema-pruned.safetensors",
        "735e4c3a447a3255760d7f86845f09f937809baa529c17370d83e4c3758f3c75",
        "MIT",
        8,
        4,
        334_641_190,
        is_full=True,
    ),
    Encoder(
        "sdxl",
        "SDXL, itself (so Illustrious, NoobAI, Pony)",
        "https://huggingface.co/stabilityai/sdxl-vae/resolve/main/sdxl_vae.safetensors",
        "63aeecb90ff7bc1c115395962d3e803571385b61938377bc7089b36e81e92e2e",
        "MIT",
        8,
        4,
        334_641_164,
        is_full=True,
    ),
    Encoder(
        "flux2",
        "FLUX.2, itself",
        "https://huggingface.co/Comfy-Org/vae-text-encorder-for-flux-klein-4b/resolve/5f526678002e43af5551dadb73ce2e8c91b43afe/"
        "split_files/vae/flux2-vae.safetensors",
        "868fe7b343cc8f3a19dbcfcafbc3d5f888802be3f89bd81b65b3621a066ce8f3",
        "Apache-2.0",
        8,
        32,
        336_211_292,
        is_full=True,
    ),
    Encoder(
        "qwen_image",
        "Qwen-Image, itself (so Anima, Krea 2)",
        "https://huggingface.co/Comfy-Org/Qwen-Image_ComfyUI/resolve/main/split_files/vae/qwen_image_vae.safetensors",
        "a70580f0213e67967ee9c95f05bb400e8fb08307e017a924bf3441223e023d1f",
        "Apache-2.0",
        8,
        16,
        253_806_246,
        is_full=True,
    ),
)
CATALOGUE: Catalogue = {encoder.name: encoder for encoder in _KNOWN}


def is_full(path: Path, known: Encoder | None) -> bool:
    """Is this file a full encoder's? `known`: which one it should be, where the catalogue knows it."""
    return (known is not None and known.is_full) or is_full_file(path)


def check_names(where: str, names: Iterable[str], catalogue: Catalogue = CATALOGUE) -> None:
    """Are these the names of encoders? Raises ConfigError that tells `where` they stand, and which one was probably meant."""
    for name in names:
        if name not in catalogue:
            close = difflib.get_close_matches(name, catalogue, n=1, cutoff=0.4)
            hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(catalogue)}."
            raise ConfigError(f"{where}: there is no encoder {name[:40]} that could be fetched. {hint}")
