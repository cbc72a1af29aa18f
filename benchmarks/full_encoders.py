"""What one step against a full encoder costs: CPU seconds and peak memory, with random weights of the true architectures.

    python -m benchmarks.full_encoders [--sizes 512 1024] [--kinds float32 bfloat16] [--plain]

Wants fediart[vae]. Each figure comes from a process of its own; --plain runs torch's own layers and tape over the whole picture
beside it. CPU seconds of a busy machine are too high, and the plain way's are so by as much.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time

import numpy as np

from fediart.media.cloak.architectures import ARCHITECTURES


def step(number: int, side: int, kind: str, threads: int, *, plain: bool) -> dict[str, float]:
    """In this process: a second step's CPU seconds, and the peak of all."""
    import torch

    from fediart.media.cloak.full_encoders import FullEncoder
    from tests.full_encoder import full_weight
    from tests.plain_full_encoder import gradient

    architecture, precision = ARCHITECTURES[number], getattr(torch, kind)
    torch.set_num_threads(threads)
    picture = np.random.default_rng(1).random((3, side, side), dtype=np.float32)
    widths = architecture.tensors()[_middle_bias(number)][0], architecture.latent
    aims = [np.zeros((width, side // 8, side // 8), np.float32) for width in widths]
    if plain:
        weights = {name: torch.from_numpy(full_weight(architecture, name)).to(precision) for name in architecture.tensors()}
        whole = torch.from_numpy(picture)[None].to(precision)

        def run() -> None:
            gradient(architecture, weights, whole, lambda taps: sum(tap.float().square().mean() for tap in taps))
    else:
        encoder = FullEncoder("cost", architecture, lambda name: full_weight(architecture, name), threads, kind=precision)

        def run() -> None:
            encoder.gradient(picture, aims, [0.3, 1.0])

    seconds = 0.0
    for _ in range(2):
        began = time.process_time()
        run()
        seconds = time.process_time() - began
    return {"cpu_s": round(seconds, 1), "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10}


def _middle_bias(number: int) -> str:
    return "encoder.middle.0.residual.6.bias" if ARCHITECTURES[number].films else "encoder.mid.block_1.conv2.bias"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--kinds", nargs="+", choices=["float32", "bfloat16"], default=["float32", "bfloat16"])
    parser.add_argument("--architectures", type=int, nargs="+", choices=range(len(ARCHITECTURES)), default=[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--plain", action="store_true", help="beside it the whole picture at once on torch's tape")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        number, side, kind, plain = json.loads(options.one)
        print(json.dumps(step(number, side, kind, options.threads, plain=plain)))
        return 0
    print("| encoder | side | precision | way | CPU s a step | peak MB | load |")
    print("|---|---|---|---|---|---|---|")
    for number in options.architectures:
        for side in options.sizes:
            for kind in options.kinds:
                for plain in (False, True) if options.plain else (False,):
                    one = json.dumps([number, side, kind, plain])
                    command = [sys.executable, "-m", "benchmarks.full_encoders", "--threads", str(options.threads), "--one", one]
                    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                    way = "plain" if plain else "strips"
                    row = (
                        ARCHITECTURES[number].name,
                        side,
                        kind,
                        way,
                        told["cpu_s"],
                        told["peak_mb"],
                        f"{os.getloadavg()[0]:.0f}",
                    )
                    print(f"| {' | '.join(map(str, row))} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
