"""The only place that constructs integrations, from the operator's settings.

Imports stand inside the functions: a command loads what it uses and nothing else.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bot.config import Settings, secret
from bot.domain import Event
from bot.errors import Misconfigured, RetryLater
from bot.resources import resource

if TYPE_CHECKING:
    import sqlalchemy as sa
    from starlette.types import ASGIApp

    from bot.integrations.database import SqlDatabase
    from bot.integrations.git import GitRepository
    from bot.integrations.git_mirror import GitMirrors
    from bot.integrations.gitlab import GitLabForge
    from bot.integrations.jobs import DurableJobs
    from bot.integrations.jobs_queue import JobQueue
    from bot.integrations.model_store import ModelStore
    from bot.integrations.terminal import Terminal
    from bot.ports import Engine
    from bot.tasks.templates import PromptTemplate
    from bot.web.webhooks import GitLabWebhook

Hear = Callable[[Event], bool]


def model_store(settings: Settings) -> ModelStore:
    """The models on this machine."""
    from bot.integrations.model_store import ModelStore

    return ModelStore(settings.model.directory)


def convert_model(source: Path, target: Path) -> None:
    """Rewrite a model file for the engine ctransformers. Raises UnusableModel."""
    from bot.integrations.gguf_convert import convert

    convert(source, target)


def engine(settings: Settings) -> Engine:
    """The engine that the settings name. Raises UnusableModel if its model is not here."""
    builders = {"llamacpp": _llamacpp, "ctransformers": _ctransformers, "openai": _openai}
    return builders[settings.model.engine](settings)


def review_template() -> PromptTemplate:
    """The prompt of the review task."""
    from bot.tasks.templates import PromptTemplate

    return PromptTemplate(resource("prompts", "review.md").read_text(encoding="utf-8"))


def repository(path: Path) -> GitRepository:
    """The git repository that `path` is in. Raises Misconfigured outside of one."""
    from bot.context.diff import parse
    from bot.integrations.git import GitRepository

    return GitRepository.discover(path, parse)


def terminal() -> Terminal:
    """Where the words of a command go."""
    from bot.integrations.terminal import Terminal

    return Terminal()


def forge(settings: Settings) -> GitLabForge:
    """The GitLab we work for. Raises Misconfigured if it was not named."""
    from bot.findings import rendering
    from bot.integrations.gitlab import GitLabForge

    gitlab = settings.gitlab
    if not gitlab.url:
        raise Misconfigured("set gitlab.url in strop.toml, or STROP_GITLAB__URL")
    return GitLabForge(
        gitlab.url,
        _token(settings),
        markers=rendering.markers,
        is_summary=lambda body: rendering.SUMMARY in rendering.markers(body),
        ca_file=gitlab.ca_file,
        timeout_s=gitlab.timeout_s,
        max_wait_s=gitlab.max_wait_s,
        projects=gitlab.projects,
    )


def migrated_engine(settings: Settings) -> sa.Engine:
    """Connections to our database, its tables up to date."""
    from bot.integrations.database_engine import make_engine, migrate

    connections = make_engine(settings.database.url)
    migrate(connections)
    return connections


@contextmanager
def serving(settings: Settings, *, poll_only: bool) -> Iterator[ASGIApp]:
    """The whole bot at work: what it yields answers HTTP; jobs and polling run beside it.

    Everything stops in good order when the context ends. Raises Misconfigured, before
    anything runs, if something that it needs is missing.
    """
    from bot import pipeline
    from bot.integrations.database_workers import Workers
    from bot.integrations.jobs import DurableJobs
    from bot.integrations.jobs_reaper import Reaper
    from bot.repeating import Repeating
    from bot.web.app import application

    with ExitStack() as stack:
        gitlab = forge(settings)
        receiver = None if poll_only else _receiver(settings, gitlab.account().id)
        model = stack.enter_context(closing(engine(settings)))
        connections = migrated_engine(settings)
        stack.callback(connections.dispose)
        queue = stack.enter_context(closing(_queue(connections)))
        database = _database(connections, queue)
        parts = pipeline.Parts(
            forge=gitlab,
            mirrors=_mirrors(settings),
            engine=model,
            database=database,
            template=review_template(),
            time_limit_s=settings.model.time_limit_s,
        )
        jobs = DurableJobs(
            connections,
            queue=queue,
            reaper=Reaper(Workers(connections), settings.database.executor),
            run=partial(pipeline.run_job, parts=parts),
            explain=partial(pipeline.explain, forge=gitlab),
        )
        jobs.start()
        stack.callback(jobs.stop)
        look = partial(pipeline.reconcile, gitlab, database)
        stack.enter_context(Repeating("poll", settings.server.poll_interval_s, look))

        yield application(
            webhook=receiver and receiver(partial(pipeline.hear, database=database)),
            max_body_bytes=settings.server.max_body_bytes,
            ready=lambda: _at_work(database, jobs),
        )


def _receiver(settings: Settings, account: int) -> Callable[[Hear], GitLabWebhook]:
    """What receives webhooks, once it is told how to store an event. Raises Misconfigured if
    there is nothing by which a delivery could prove itself."""
    from bot.web.webhooks import GitLabWebhook

    gitlab = settings.gitlab
    token = secret(gitlab.webhook_secret, gitlab.webhook_secret_file, "gitlab.webhook_secret")
    key = secret(gitlab.signing_token, gitlab.signing_token_file, "gitlab.signing_token")
    if token is None and key is None:
        raise Misconfigured(
            "set gitlab.webhook_secret_file (or signing_token_file) in strop.toml to a long "
            "random text that GitLab sends with every event, or start with --poll"
        )
    return partial(GitLabWebhook, secret=token, signing_token=key, own_account=account)


def _at_work(database: SqlDatabase, jobs: DurableJobs) -> None:
    database.ping()
    if not jobs.alive:
        raise RetryLater("no jobs are being taken on")


def _llamacpp(settings: Settings) -> Engine:
    from bot.integrations.llamacpp import LlamaCppEngine

    store, chosen = model_store(settings), settings.model
    return LlamaCppEngine(
        store.path(chosen.name),
        model=store.identity(chosen.name),
        context_tokens=chosen.context_tokens,
        parallel=chosen.parallel,
        threads=chosen.threads,
    )


def _ctransformers(settings: Settings) -> Engine:
    from bot.integrations.ctransformers import CTransformersEngine

    store, chosen = model_store(settings), settings.model
    return CTransformersEngine(
        store.path(chosen.name),
        model=store.identity(chosen.name),
        context_tokens=chosen.context_tokens,
        threads=chosen.threads,
    )


def _openai(settings: Settings) -> Engine:
    from bot.integrations.openai_api import OpenAIEngine

    server = settings.openai
    return OpenAIEngine(
        server.url,
        model=server.model,
        api_key=secret(server.api_key, server.api_key_file, "openai.api_key"),
        ca_file=server.ca_file,
        concurrency=server.concurrency,
        timeout_s=server.timeout_s,
        context_tokens=server.context_tokens,
    )


def _mirrors(settings: Settings) -> GitMirrors:
    from bot.context.diff import parse
    from bot.integrations.git_mirror import GitMirrors

    return GitMirrors(
        settings.mirrors.directory,
        settings.gitlab.url,
        _token(settings),
        parse,
        ca_file=settings.gitlab.ca_file,
    )


def _queue(connections: sa.Engine) -> JobQueue:
    from bot.integrations.jobs_queue import JobQueue

    return JobQueue(connections)


def _database(connections: sa.Engine, queue: JobQueue) -> SqlDatabase:
    from bot.integrations.database import SqlDatabase

    return SqlDatabase(
        connections, enqueue=queue.enqueue, active=queue.active, cancel=queue.cancel
    )


def _token(settings: Settings) -> str:
    gitlab = settings.gitlab
    token = secret(gitlab.token, gitlab.token_file, "gitlab.token")
    if token is None:
        raise Misconfigured(
            "set gitlab.token_file in strop.toml, or STROP_GITLAB__TOKEN, to an access token "
            "with the scope api"
        )
    return token
