"""The corridor: an event becomes jobs, a job a review, a review comments.

Everything Strop does for a forge can be read here from top to bottom; the steps are in the
packages, and everything outside is behind `bot.ports`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from pydantic import TypeAdapter

from bot.config import REPOSITORY_FILE, RepositorySettings, repository_settings
from bot.context.redaction import redact_lines
from bot.domain import Event, Finding, Job, JobKind, MergeRequest, Project, Review
from bot.errors import GiveUp, RetryLater, Skip, Superseded, Unplaceable
from bot.events import decisions
from bot.findings import rendering, suggestions
from bot.ports import Database, Engine, Forge, Mirror, Remark, Repository, Steps
from bot.reviewing import review_diff
from bot.tasks.templates import PromptTemplate

PREPARED_WAITS_S = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the corridor is fitted with. `time_limit_s` is how long one review may ask the
    model, in seconds."""

    forge: Forge
    mirrors: Mirror
    engine: Engine
    database: Database
    template: PromptTemplate
    time_limit_s: float
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be said about a merge request, decided once. `review.diff` names the commits
    and holds no files; `language` is that of the words."""

    review: Review
    remarks: tuple[Remark, ...]
    language: str


PLAN = TypeAdapter(Plan)


def hear(event: Event, database: Database) -> bool:
    """Store an event and its jobs; False if it was heard before."""
    return database.record(event, decisions.jobs(event))


def reconcile(forge: Forge, database: Database) -> int:
    """Look at the open merge requests and hear of those whose head was not reviewed, as if
    a webhook had told; returns how many were new."""
    heard = 0
    for project in forge.projects():
        for merge_request in forge.open_merge_requests(project.id):
            last = database.reviewed_head(project.id, merge_request.iid)
            if merge_request.head_sha != last:
                delivery = f"poll:{project.id}:{merge_request.iid}:{merge_request.head_sha}"
                heard += _hear_of(project, merge_request, f"{delivery}:{last}", database)
    return heard


def run_job(job: Job, steps: Steps, parts: Parts) -> None:
    """Do a job to its end. Doing it again, from any point, changes nothing more.

    Raises Skip or Superseded if there is nothing to do, RetryLater if it may work later,
    GiveUp if it never will.
    """
    if job.kind is JobKind.FAN_OUT:
        fan_out(job, parts)
    else:
        review_merge_request(job, steps, parts)


def explain(job: Job, reason: str, forge: Forge) -> None:
    """Tell people that a job ended without a review: silence would look like consent."""
    if job.iid is not None:
        merge_request = forge.merge_request(job.project_id, job.iid)
        if merge_request.head_sha == job.head_sha:
            forge.put_summary(merge_request, rendering.notice(reason))


def fan_out(job: Job, parts: Parts) -> None:
    """Hear of the open merge requests of a pushed branch. GitLab tells of them itself, too:
    whichever comes second finds the work queued or done."""
    project = parts.forge.project(job.project_id)
    for merge_request in parts.forge.open_merge_requests(project.id, job.branch):
        _hear_of(project, merge_request, f"{job.delivery}:{merge_request.iid}", parts.database)


def review_merge_request(job: Job, steps: Steps, parts: Parts) -> None:
    """Read what a merge request changes, and say what was found, where it was found.

    What is to be said is a step: once decided it is the same after a restart, whatever has
    happened to the settings or the model since, and each remark is posted as a step after it.
    """
    if parts.database.reviewed_head(job.project_id, _iid(job)) == job.head_sha:
        raise Skip("this head has been reviewed")
    merge_request = prepared(job, steps, parts)
    decided = steps(
        "read", lambda: PLAN.dump_python(read(merge_request, steps, parts), mode="json")
    )
    plan = PLAN.validate_python(decided)
    publish(plan, merge_request, steps, parts)
    parts.database.save_review(job, plan.review)


def prepared(job: Job, steps: Steps, parts: Parts) -> MergeRequest:
    """The merge request once the forge has made its diff at the head of the job.

    GitLab makes diffs in the background: until then positions are refused. Raises
    Superseded if the head has moved on, Skip if it is no longer to be reviewed.
    """
    for wait_s in PREPARED_WAITS_S:
        merge_request = parts.forge.merge_request(job.project_id, _iid(job))
        refused = decisions.unreviewable(
            state=merge_request.state, draft=merge_request.draft, head_sha=job.head_sha
        )
        if refused is not None:
            raise Skip(refused.reason)
        if merge_request.ready and merge_request.head_sha == job.head_sha:
            return merge_request
        if steps.cancelled():
            raise Superseded("newer work replaces this review")
        parts.sleep(wait_s)
    if merge_request.ready:
        raise Superseded("the merge request has another head by now")
    raise RetryLater("the forge has not made the diff of the merge request yet")


def read(merge_request: MergeRequest, steps: Steps, parts: Parts) -> Plan:
    """Fetch the commits, let the model read the diff by the rules of the project, and decide
    what to say."""
    project = parts.forge.project(merge_request.project_id)
    repository = parts.mirrors.refreshed(project, merge_request)
    settings = _rules_of(project, repository)
    diff = repository.diff(merge_request.base_sha or "", merge_request.head_sha or "")
    review = review_diff(
        diff,
        engine=parts.engine,
        template=parts.template,
        settings=settings,
        title=merge_request.title,
        answers=parts.database,
        cancelled=steps.cancelled,
        time_limit_s=parts.time_limit_s,
    )
    remarks = tuple(
        _remark(finding, merge_request, repository, settings.language)
        for finding in review.findings
    )
    return Plan(_to_keep(review), remarks, settings.language)


def publish(plan: Plan, merge_request: MergeRequest, steps: Steps, parts: Parts) -> None:
    """Post what is not there yet, each remark as a step of its own, then the summary."""
    said = parts.forge.posted(merge_request)
    unplaced = set()
    for remark in plan.remarks:
        _still_wanted(merge_request, steps, parts)
        post = partial(_post, remark, merge_request, said, parts.forge)
        if not steps(f"post {remark.fingerprint}", post):
            unplaced.add(remark.fingerprint)
    _still_wanted(merge_request, steps, parts)
    told = [finding for finding in plan.review.findings if finding.fingerprint in unplaced]
    body = rendering.summary(plan.review, plan.language, unplaced=told)
    steps("summary", lambda: parts.forge.put_summary(merge_request, body))


def _hear_of(
    project: Project, merge_request: MergeRequest, delivery: str, database: Database
) -> bool:
    event = decisions.from_merge_request(project, merge_request, delivery=delivery)
    return not isinstance(event, decisions.Ignored) and hear(event, database)


def _rules_of(project: Project, repository: Repository) -> RepositorySettings:
    """The project's settings, from its default branch and nowhere else."""
    settings = repository_settings(repository.read(project.default_branch, REPOSITORY_FILE))
    if not settings.review.enabled:
        raise Skip(f"review.enabled is false in {REPOSITORY_FILE}")
    return settings


def _remark(
    finding: Finding, merge_request: MergeRequest, repository: Repository, language: str
) -> Remark:
    """The comment for a finding, without its suggestion if that does not fit the file."""
    if finding.replacement is not None:
        text = repository.read(merge_request.head_sha, finding.anchor.new_path) or b""
        if not suggestions.applies(text.decode("utf-8", "replace"), finding):
            finding = replace(finding, replacement=None)
    return Remark(
        finding.anchor,
        finding.fingerprint,
        rendering.inline(finding, language),
        rendering.on_file(finding, language),
    )


def _to_keep(review: Review) -> Review:
    """The review without the diff, and with the secrets taken out of the code it quotes: it
    goes into the database, from where it may go into a data set."""

    def clean(finding: Finding) -> Finding:
        return replace(finding, code=tuple(redact_lines(finding.code)))

    held_back = (
        replace(held, finding=held.finding and clean(held.finding)) for held in review.held_back
    )
    return replace(
        review,
        diff=replace(review.diff, files=()),
        findings=tuple(map(clean, review.findings)),
        held_back=tuple(held_back),
    )


def _post(
    remark: Remark, merge_request: MergeRequest, said: frozenset[str], forge: Forge
) -> bool:
    """Whether the remark stands in the merge request; False if the forge refuses its place."""
    if remark.fingerprint in said:
        return True
    try:
        forge.post_remark(merge_request, remark)
    except Unplaceable:
        return False
    return True


def _still_wanted(merge_request: MergeRequest, steps: Steps, parts: Parts) -> None:
    """Cancelling is quick but not certain, so the forge is asked before each post."""
    now = parts.forge.merge_request(merge_request.project_id, merge_request.iid)
    if steps.cancelled() or now.head_sha != merge_request.head_sha:
        raise Superseded("the merge request has another head by now")


def _iid(job: Job) -> int:
    if job.iid is None:
        raise GiveUp(f"the job {job.id} names no merge request")
    return job.iid
