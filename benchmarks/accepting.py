"""Our server with nobody at work on its jobs: what is accepted stays accepted. For measuring the accepting alone.

The same application under the same uvicorn as `fediart serve`; only the runner of jobs is left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import uvicorn
import uvloop

from fediart.config import load_config
from fediart.instance import open_instance
from fediart.observe import set_up_logs
from fediart.web.app import create_app


async def serve(data: Path, port: int) -> None:
    config = load_config(data / "config.toml", {}, {"server.port": port})
    set_up_logs(config.log.level, config.log.format)
    async with open_instance(config, data) as instance:
        held = uvicorn.Config(
            create_app(instance),
            port=port,
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
        )
        await uvicorn.Server(held).serve()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    chosen = parser.parse_args()
    uvloop.run(serve(chosen.data, chosen.port))


if __name__ == "__main__":
    main()
