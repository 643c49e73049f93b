"""Is everything there that Strop needs? Each check says what it saw, or what to do."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum

from bot import wiring
from bot.config import Settings, secret
from bot.domain import Prompt
from bot.errors import Misconfigured, Skip, StropError

OLDEST_GIT = (2, 31)
PROBE_TIMEOUT_S = 20.0


class Health(StrEnum):
    """How a check ended: UNUSED means that nothing configured needs it."""

    GOOD = "ok"
    BAD = "FAIL"
    UNUSED = "--"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What one check saw (GOOD), what to do (BAD), or why it was not needed (UNUSED)."""

    name: str
    health: Health
    words: str


def diagnose(settings: Settings) -> Iterator[Diagnosis]:
    """All checks, each as soon as it has ended."""
    checks: dict[str, Callable[[Settings], str]] = {
        "git": _git,
        "model": _model,
        "database": _database,
        "forge": _forge,
        "webhook": _webhook,
        "sandbox": _sandbox,
    }
    for name, check in checks.items():
        try:
            yield Diagnosis(name, Health.GOOD, check(settings))
        except Skip as reason:
            yield Diagnosis(name, Health.UNUSED, str(reason))
        except StropError as error:
            yield Diagnosis(name, Health.BAD, str(error))


def _git(settings: Settings) -> str:
    del settings
    if shutil.which("git") is None:
        raise Misconfigured("git is not on the PATH; install it with your package manager")
    said = _output("git", "--version")
    numbers = tuple(int(number) for number in re.findall(r"\d+", said)[:2])
    if numbers < OLDEST_GIT:
        wanted = ".".join(map(str, OLDEST_GIT))
        raise Misconfigured(f"{said} is too old; install git {wanted} or newer")
    return said


def _model(settings: Settings) -> str:
    probe = Prompt(task="doctor", template="", system="", user="Say yes.", max_tokens=4)
    with closing(wiring.engine(settings)) as engine:
        (answer,) = engine.complete([probe], time_limit_s=settings.model.time_limit_s)
        speed = answer.output_tokens / answer.seconds if answer.seconds else 0.0
        return f"{engine.model.name} answers ({settings.model.engine}, {speed:.0f} tokens/s)"


def _database(settings: Settings) -> str:
    wiring.migrated_engine(settings).dispose()
    return f"{settings.database.model_dump()['url']} is there and up to date"


def _forge(settings: Settings) -> str:
    if not settings.gitlab.url:
        raise Skip("gitlab.url is not set; needed by `strop serve` only")
    forge = wiring.forge(settings)
    projects = forge.projects()
    if not projects:
        raise Misconfigured(
            "the token reaches no project; give the bot's account the Developer role in one"
        )
    return f"{settings.gitlab.url} as @{forge.account().username}, {len(projects)} project(s)"


def _webhook(settings: Settings) -> str:
    gitlab = settings.gitlab
    if not gitlab.url:
        raise Skip("gitlab.url is not set")
    proofs = {
        "secret": secret(gitlab.webhook_secret, gitlab.webhook_secret_file, "webhook_secret"),
        "signing token": secret(
            gitlab.signing_token, gitlab.signing_token_file, "signing_token"
        ),
    }
    named = [name for name, value in proofs.items() if value]
    if not named:
        raise Skip("no gitlab.webhook_secret is set: only `strop serve --poll` can start")
    return f"deliveries are checked by {' and '.join(named)}"


def _sandbox(settings: Settings) -> str:
    del settings
    if shutil.which("bwrap") is None:
        raise Skip("bubblewrap is not installed; reviews do not need it, running tests will")
    _output("bwrap", "--ro-bind", "/", "/", "--unshare-all", "true")
    return "bubblewrap works"


def _output(*argv: str) -> str:
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Misconfigured(f"`{' '.join(argv)}` does not work: {error}") from None
    return done.stdout.strip()
