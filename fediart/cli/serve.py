"""`fediart serve`: the server in the foreground, until it is told to stop."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
import sys

import structlog
import uvicorn

from fediart.cli.settings import Chosen, keep_port, read_settings
from fediart.config import Config
from fediart.errors import ConfigError
from fediart.instance import Instance, open_instance
from fediart.jobs.runner import running_jobs
from fediart.observe import set_up_logs
from fediart.studio.estimate_cloak import calibrate_when_settled
from fediart.studio.open_account import setup_token
from fediart.web.app import create_app
from fediart.web.deadlines import Deadlines

log = structlog.get_logger("fediart.serve")


def bound_socket(config: Config) -> socket.socket:
    """The listening socket. Raises ConfigError that says what to do."""
    family = socket.AF_INET6 if ":" in config.server.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((config.server.host, config.server.port))
    except OSError as problem:
        listener.close()
        if problem.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"Port {config.server.port} is taken by another program. "
                f"Stop it, or choose another one: --port {config.server.port + 1}"
            ) from None
        raise ConfigError(f"Cannot listen on {config.server.host} port {config.server.port}: {problem.strerror}.") from None
    return listener


def run_server(chosen: Chosen) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    config = read_settings(chosen)
    set_up_logs(config.log.level, config.log.format)
    listener = bound_socket(config)
    try:
        if sys.platform == "win32":
            asyncio.run(_serve(chosen, config, listener))
        else:
            import uvloop

            uvloop.run(_serve(chosen, config, listener))
    except KeyboardInterrupt:
        pass
    finally:
        listener.close()


async def _serve(chosen: Chosen, config: Config, listener: socket.socket) -> None:
    async with open_instance(config, chosen.data, settings_file=chosen.config) as instance, running_jobs(instance):
        keep_port(chosen, config)
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(instance),
                http=Deadlines,
                ws="none",
                lifespan="off",
                access_log=False,
                log_level="warning",
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=20,
                timeout_graceful_shutdown=10,
            )
        )
        # What was made while starting stays: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        beside = [asyncio.create_task(_greet(instance, server)), asyncio.create_task(calibrate_when_settled(instance))]
        await server.serve(sockets=[listener])
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


async def _greet(instance: Instance, server: uvicorn.Server) -> None:
    while not server.started:
        await asyncio.sleep(0.01)
    sys.stderr.write(f"\n  fediart is at  {instance.config.base_url}\n")
    token = await setup_token(instance)
    if token is not None:
        sys.stderr.write(f"  Make the first account (this link works once):  {instance.config.base_url}/setup?token={token}\n")
    sys.stderr.write("  Stop it with Ctrl-C.\n\n")
    sys.stderr.flush()
