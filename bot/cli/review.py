"""`strop review`: review commits, or what is staged, on this machine."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from bot.config import REPOSITORY_FILE, Settings, load, repository_settings
from bot.domain import ModelIdentity, Review, Severity
from bot.errors import Skip

if TYPE_CHECKING:
    from bot.integrations.git import GitRepository

FAILED, INCOMPLETE = 1, 3
FORMATS = ("text", "json", "sarif", "codequality")
ENGINES = ("llamacpp", "ctransformers", "openai")


@click.command(
    help="Review a RANGE of commits (as git diff reads it; by default what HEAD has and the "
    "default branch lacks), or what is staged.",
    epilog="Exit code: 0, 1 findings at --fail-on or worse, 2 error, 3 review incomplete.",
)
@click.argument("commits", metavar="[RANGE]", required=False)
@click.option("--staged", is_flag=True, help="Review what git commit would record.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", help="Output.")
@click.option("--json", "form", flag_value="json", help="The same as --format json.")
@click.option(
    "--fail-on",
    type=click.Choice(["never", *map(str, Severity)]),
    default="never",
    help="Exit with 1 on a finding this bad or worse.",
)
@click.option(
    "--output",
    type=click.File("w", encoding="utf-8", lazy=True, atomic=True),
    default="-",
    help="Write to this file.",
)
@click.option("--model", help="Use this model instead of the one in the settings.")
@click.option("--engine", type=click.Choice(ENGINES), help="Use this engine.")
@click.option("--config", "path", type=click.Path(path_type=Path), help="Settings file.")
@click.pass_context
def command(
    context: click.Context,
    *,
    commits: str | None,
    staged: bool,
    form: str,
    fail_on: str,
    output: IO[str],
    model: str | None,
    engine: str | None,
    path: Path | None,
) -> None:
    """Review and print; the exit code is for CI."""
    if staged and commits:
        raise click.UsageError("Name a range or use --staged, not both.")
    settings = load(path).choosing(engine=engine, model=model)
    try:
        review = _review(settings, commits, staged=staged)
    except Skip as reason:
        click.echo(f"strop: {reason}", err=True)
        return
    _write(review, form, output)
    context.exit(exit_code(review, fail_on))


def exit_code(review: Review, fail_on: str) -> int:
    """1 if a finding is at least as bad as `fail_on`, else 3 if not all was read, else 0."""
    if fail_on != "never":
        limit = Severity(fail_on).rank
        if any(finding.severity.rank >= limit for finding in review.findings):
            return FAILED
    return 0 if review.complete else INCOMPLETE


def _review(settings: Settings, commits: str | None, *, staged: bool) -> Review:
    from bot import wiring  # noqa: PLC0415 - the model's libraries load only when needed
    from bot.reviewing import review_diff  # noqa: PLC0415

    repository = wiring.repository(Path.cwd())
    if staged:
        diff = repository.staged()
    else:
        diff = repository.diff(*repository.resolve_range(commits))
    if not diff.files:  # a hook runs at every commit: do not load a model for nothing
        return Review(diff, ModelIdentity(settings.model.name, ""), files=(), findings=())
    with (
        closing(wiring.engine(settings)) as engine,
        wiring.terminal().progress("reviewing") as on_progress,
    ):
        return review_diff(
            diff,
            engine=engine,
            template=wiring.review_template(),
            settings=repository_settings(_rules(repository)),
            on_progress=on_progress,
            time_limit_s=settings.model.time_limit_s,
        )


def _rules(repository: GitRepository) -> bytes | None:
    """The repository's settings come from its default branch, as they do on a forge."""
    commit = repository.default_branch_commit()
    return None if commit is None else repository.read(commit, REPOSITORY_FILE)


def _write(review: Review, form: str, output: IO[str]) -> None:
    from bot import wiring  # noqa: PLC0415
    from bot.findings.reports import as_codequality, as_json  # noqa: PLC0415
    from bot.findings.sarif import as_sarif  # noqa: PLC0415

    reports = {"json": as_json, "sarif": as_sarif, "codequality": as_codequality}
    if form == "text":
        wiring.terminal().show(review, output)
    else:
        click.echo(reports[form](review), file=output)
