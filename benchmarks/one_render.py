"""Render one picture by `media/pipeline` and print what the kernel counted for its child.

`one_render FILE OUT STRENGTH CLOAK [ENCODER …]`.

A program of its own, because the kernel keeps one peak for all children of a process, and because a child that is
started from a large process is counted at least as large: so nothing large is imported here.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from pathlib import Path

from fediart.media.pipeline import RenderRequest, render


def main() -> None:
    original, out, strength, cloak, *encoders = sys.argv[1:]
    request = RenderRequest(
        original_path=Path(original),
        purpose="work",
        cloak=cloak == "cloak",
        secret=bytes(range(32)),
        strength=strength,
        backend="auto",
        out_dir=Path(out),
        memory_mb=4096,  # so that what it needs is seen
        encoders=tuple((Path(path).stem.removesuffix("_encoder"), Path(path)) for path in encoders),
    )
    result = asyncio.run(render(request, lambda _share: None))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = {
        "cpu": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss * 1024 / 1e6,
        "pixels": result.width * result.height / 1e6,
        "check": result.report.check_seconds if result.report else 0.0,
        "psnr": result.report.psnr if result.report else 0.0,
        "cloaked": result.report is not None,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
