"""Which events cause which work. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bot.domain import Event, EventKind, Job, JobKind, MergeRequest, Project

SEEN = "seen"


@dataclass(frozen=True, slots=True)
class Ignored:
    """Something that causes no work, and why, in words for a log."""

    reason: str


def jobs(event: Event) -> tuple[Job, ...]:
    """The work an event causes: a merge request is reviewed at its head, a push is fanned
    out to the open merge requests of its branch. Without a head there is nothing to do."""
    if event.head_sha is None:
        return ()
    kind = JobKind.REVIEW if event.kind is EventKind.MERGE_REQUEST else JobKind.FAN_OUT
    job = Job(
        kind=kind,
        project_id=event.project_id,
        head_sha=event.head_sha,
        delivery=event.delivery,
        iid=event.iid,
        branch=event.branch,
    )
    return (job,)


def unreviewable(*, state: str, draft: bool, head_sha: str | None) -> Ignored | None:
    """Why a merge request in this state is not reviewed, or None if it is: the one rule for
    merge requests a webhook tells us of and for those we find by looking."""
    if state != "opened":
        return Ignored("the merge request is not open")
    if draft:
        return Ignored("the merge request is a draft")
    if head_sha is None:
        return Ignored("the merge request has no commits")
    return None


def from_merge_request(
    project: Project, merge_request: MergeRequest, *, delivery: str
) -> Event | Ignored:
    """The event of a merge request found by looking (a poll, or a push fanned out), held to
    the same rule as one told of by a webhook. Nobody in particular caused it (`actor_id` is
    None), and `delivery` is whatever makes seeing the same thing twice the same delivery.
    """
    reason = unreviewable(
        state=merge_request.state, draft=merge_request.draft, head_sha=merge_request.head_sha
    )
    if reason is not None:
        return reason
    return Event(
        delivery=delivery,
        kind=EventKind.MERGE_REQUEST,
        action=SEEN,
        project_id=project.id,
        project_path=project.path,
        actor_id=None,
        head_sha=merge_request.head_sha,
        iid=merge_request.iid,
    )
