"""`strop connect`: have a forge send us the events of a project."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from bot import wiring
from bot.config import Settings, load, secret
from bot.errors import Misconfigured
from bot.web.paths import GITLAB_WEBHOOK


@click.group(help="Make or repair the webhook of a project.")
def command() -> None:
    """One subcommand a forge."""


@command.command(
    help="Make or repair the webhook of a GitLab project, and prove that it works."
)
@click.option("--project", "path", required=True, help="Full path, like group/name.")
@click.option("--url", help="How GitLab reaches this bot (default: server.public_url).")
@click.option("--config", type=click.Path(path_type=Path), help="Settings file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def gitlab(path: str, url: str | None, config: Path | None, as_json: bool) -> None:
    """Where our token may not do it, the error says what to click."""
    settings = load(config)
    hook_url = _hook_url(url or settings.server.public_url)
    token = _secret(settings)
    forge = wiring.forge(settings)
    tls = hook_url.startswith("https:")
    report = forge.connect(forge.project(path), hook_url, token, tls=tls)
    if as_json:
        click.echo(json.dumps({"project": path, "url": hook_url, **asdict(report)}))
        return
    click.echo(f"{path}: webhook {report.hook_id} to {hook_url} {report.outcome}")
    click.echo(report.proof or "GitLab could not be asked for a test delivery")


def _hook_url(public_url: str) -> str:
    if not public_url.startswith(("http://", "https://")):
        raise Misconfigured(
            "set server.public_url in strop.toml, or give --url, to how GitLab reaches this "
            "bot, like https://strop.example.com"
        )
    return public_url.rstrip("/") + GITLAB_WEBHOOK


def _secret(settings: Settings) -> str:
    """The token GitLab is to send along: without one, `strop serve` lets nothing in."""
    gitlab = settings.gitlab
    found = secret(gitlab.webhook_secret, gitlab.webhook_secret_file, "gitlab.webhook_secret")
    if found is None:
        raise Misconfigured(
            "set gitlab.webhook_secret_file in strop.toml, or STROP_GITLAB__WEBHOOK_SECRET, to "
            "a long random text that GitLab sends with every event"
        )
    return found
