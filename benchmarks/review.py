"""How good is the review? The real pipeline over labelled real diffs, half of them clean.

    python benchmarks/review.py --data review-dev.jsonl --sample 15

Each row of the data set is one diff of one file, `kind` being "bug" (it puts a known bug into
the code) or "clean" (the fix of one). A row is flagged if at least one finding is shown.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from bot import wiring
from bot.config import RepositorySettings, load
from bot.context.diff import parse
from bot.domain import Diff, HoldReason
from bot.ports import Engine
from bot.reviewing import review_diff
from bot.tasks.templates import PromptTemplate

DATA = Path(__file__).parents[2] / "shared" / "data" / "review-dev.jsonl"
KINDS = ("bug", "clean")


@dataclass(frozen=True)
class Row:
    """One reviewed diff, and what it cost."""

    id: str
    kind: str
    complete: bool
    claims: tuple[str, ...]
    held_back: dict[str, int]
    calls: int
    prompt_tokens: int
    evaluated_tokens: int
    output_tokens: int
    seconds: float


@click.command(help=__doc__)
@click.option("--data", type=click.Path(exists=True, path_type=Path), default=DATA)
@click.option("--sample", default=15, show_default=True, help="Rows of each kind.")
@click.option("--seed", default=11, show_default=True)
@click.option("--prompt", type=click.Path(exists=True, path_type=Path), help="Other template.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, rows included.")
def main(data: Path, sample: int, seed: int, prompt: Path | None, as_json: bool) -> None:
    cases = chosen([json.loads(line) for line in data.open(encoding="utf-8")], sample, seed)
    settings = load()
    template = (
        PromptTemplate(prompt.read_text(encoding="utf-8"))
        if prompt
        else wiring.review_template()
    )
    with closing(wiring.engine(settings)) as engine:
        with click.progressbar(cases, label="diffs", file=sys.stderr) as bar:
            rows = [measured(case, engine, template) for case in bar]
        report = {
            "model": asdict(engine.model),
            "template": template.hash,
            "instruction_tokens": engine.count_tokens(template.system),
            "sample": sample,
            "seed": seed,
            **score(rows),
        }
    if as_json:
        click.echo(json.dumps({**report, "rows": [asdict(row) for row in rows]}, indent=2))
    else:
        click.echo("\n".join(f"{name:20} {value}" for name, value in report.items()))


def chosen(cases: Sequence[dict[str, Any]], sample: int, seed: int) -> list[dict[str, Any]]:
    """`sample` cases of each kind, the same ones for the same seed."""
    rng = random.Random(seed)  # noqa: S311 - a sample, not a secret
    return [
        case
        for kind in KINDS
        for case in rng.sample([case for case in cases if case["kind"] == kind], sample)
    ]


def measured(case: dict[str, Any], engine: Engine, template: PromptTemplate) -> Row:
    review = review_diff(
        diff_of(case),
        engine=engine,
        template=template,
        settings=RepositorySettings(),
        time_limit_s=600,
    )
    usage = review.usage
    return Row(
        case["id"],
        case["kind"],
        review.complete,
        tuple(finding.claim for finding in review.findings),
        dict(Counter(held.reason for held in review.held_back)),
        usage.calls,
        usage.prompt_tokens,
        usage.prompt_tokens - usage.cached_tokens,
        usage.output_tokens,
        usage.seconds,
    )


def diff_of(case: dict[str, Any]) -> Diff:
    """The diff of a row, with the list git would have put before it."""
    path, blobs = case["path"], f"{'1' * 40} {'2' * 40}"
    raw = f":100644 100644 {blobs} M\0{path}\0".encode()
    return parse(raw, case["diff"].encode(), base="before", head="after")


def score(rows: Sequence[Row]) -> dict[str, Any]:
    """Detection as a classifier of diffs, and what was said and spent."""
    flagged = {kind: sum(bool(r.claims) for r in rows if r.kind == kind) for kind in KINDS}
    of_kind = Counter(row.kind for row in rows)
    held = sum((Counter(row.held_back) for row in rows), Counter[str]())
    shown = sum(len(row.claims) for row in rows)
    precision = flagged["bug"] / max(sum(flagged.values()), 1)
    recall = flagged["bug"] / of_kind["bug"]
    return {
        "bug_flagged": f"{flagged['bug']}/{of_kind['bug']}",
        "clean_left_clean": f"{of_kind['clean'] - flagged['clean']}/{of_kind['clean']}",
        "precision": round(precision, 3),
        "recall": round(recall, 3),
        "f1": round(2 * precision * recall / max(precision + recall, 1e-9), 3),
        "findings": shown,
        "anchored": round(1 - held[HoldReason.UNANCHORED] / max(shown + held.total(), 1), 3),
        "held_back": dict(held),
        "unparsed": sum(not row.complete for row in rows),
        "calls": sum(row.calls for row in rows),
        "prompt_tokens": sum(row.prompt_tokens for row in rows),
        "evaluated_tokens": sum(row.evaluated_tokens for row in rows),
        "output_tokens": sum(row.output_tokens for row in rows),
        "seconds": round(sum(row.seconds for row in rows), 1),
    }


if __name__ == "__main__":
    main()
