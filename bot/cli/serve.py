"""`strop serve`: the bot."""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path

import click

from bot.config import load

LOG_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
MOST_REQUESTS = 64  # each may hold a body of server.max_body_bytes until it is proven
OURS = ("bot", "uvicorn.error")  # of all others, only warnings are worth a line


@click.command(help="Answer webhooks and review merge requests.")
@click.option("--config", "path", type=click.Path(path_type=Path), help="Settings file.")
@click.option("--poll", is_flag=True, help="Only look for work; take no webhooks.")
def command(path: Path | None, poll: bool) -> None:
    """Run until SIGTERM or Ctrl-C; unfinished work goes on after the next start."""
    import uvicorn  # noqa: PLC0415 - keeps `strop --help` light

    from bot import wiring  # noqa: PLC0415
    from bot.logs import Redacting  # noqa: PLC0415

    handler = logging.StreamHandler()
    handler.setFormatter(Redacting(LOG_FORMAT))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    settings = load(path)
    # uvicorn hands the signal on once it has stopped; the rest stops in good order too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with wiring.serving(settings, poll_only=poll) as app:
        uvicorn.run(
            app,
            host=settings.server.host,
            port=settings.server.port,
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=MOST_REQUESTS,
        )
