"""The server of `webhooks.py`: what `strop serve` runs, but for the forge.

With --review the configured model answers prompts for the queued jobs; without, the jobs
take their time and compute nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import click
import uvicorn
from starlette.applications import Starlette

from bot import wiring
from bot.config import load
from bot.domain import Job, Prompt
from bot.events.decisions import jobs
from bot.integrations.database import SqlDatabase
from bot.integrations.database_engine import make_engine, migrate
from bot.integrations.database_workers import Workers
from bot.integrations.jobs import DurableJobs
from bot.integrations.jobs_queue import JobQueue
from bot.integrations.jobs_reaper import Reaper
from bot.ports import Engine, Steps
from bot.web.app import application
from bot.web.webhooks import GitLabWebhook

TIME_LIMIT_S = 600.0


@click.command(help=__doc__)
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("port", type=int)
@click.option("--review", is_flag=True)
def main(path: Path, port: int, review: bool) -> None:
    # uvicorn ends by sending itself the signal again: it has to unwind us, not kill us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    connections = make_engine(f"sqlite:///{path}")
    migrate(connections)
    with ExitStack() as stack:
        run: Callable[[Job, Steps], None] = wait
        if review:
            run = partial(ask, stack.enter_context(closing(wiring.engine(load()))))
        queue = JobQueue(connections)
        worker = DurableJobs(
            connections,
            queue=queue,
            reaper=Reaper(Workers(connections), "benchmark:0"),
            run=run,
            explain=lambda *_: None,
        )
        worker.start()
        stack.callback(worker.stop)
        uvicorn.run(
            app(
                SqlDatabase(
                    connections, enqueue=queue.enqueue, active=queue.active, cancel=queue.cancel
                )
            ),
            port=port,
            log_level="warning",
            server_header=False,
        )


def app(database: SqlDatabase) -> Starlette:
    webhook = GitLabWebhook(
        hear=lambda event: database.record(event, jobs(event)),
        secret=None,
        signing_token=os.environ["SIGNING_TOKEN"],
        own_account=1,
    )
    return application(webhook=webhook, max_body_bytes=2**20, ready=database.ping)


def wait(_job: Job, steps: Steps) -> None:
    """A job that takes as long as a review and computes nothing."""

    def work() -> None:
        while not steps.cancelled():
            time.sleep(1)

    steps("wait", work)


def ask(engine: Engine, job: Job, steps: Steps) -> None:
    """Two prompts of some length, which no two jobs share."""
    code = "\n".join(f"+{n} value_{n} = compute({n}, seed={job.delivery!r})" for n in range(40))
    prompts = [
        Prompt("benchmark", "", "Explain this code.", f"{part}\n{code}", 128) for part in "ab"
    ]

    def work() -> list[str]:
        answers = engine.complete(prompts, time_limit_s=TIME_LIMIT_S, cancelled=steps.cancelled)
        return [answer.text for answer in answers]

    steps("ask", work)


if __name__ == "__main__":
    main()
