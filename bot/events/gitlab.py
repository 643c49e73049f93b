"""What a GitLab webhook said, as an event. Pure.

The fields are those of https://docs.gitlab.com/user/project/integrations/webhook_events/.
Only what is needed is read, so that new GitLab versions may say more.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from bot.domain import Event, EventKind
from bot.errors import Malformed
from bot.events.decisions import Ignored, unreviewable

BRANCH_PREFIX = "refs/heads/"
DELIVERY_HEADERS = ("webhook-id", "idempotency-key")
# How a title says that its merge request is a draft (GitLab's documentation on drafts).
DRAFT_TITLE = re.compile(r"\s*(\[draft\]|\(draft\)|draft:|\[wip\]|wip:)", re.IGNORECASE)

# The bounds are those of the database: 64-bit numbers, no control characters.
Id = Annotated[int, Field(ge=1, lt=2**63)]
Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=1024)]
Sha = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]
Word = Annotated[str, StringConstraints(pattern=r"^[a-z_]*$", max_length=40)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class _Delivery(_Part):
    id: Annotated[str, StringConstraints(pattern=r"^[!-~]+$", max_length=255)]


class _User(_Part):
    id: Id | None = None


class _Project(_Part):
    id: Id
    path_with_namespace: Line


class _Commit(_Part):
    id: Sha


class _MergeRequest(_Part):
    iid: Id
    state: Word
    action: Word = ""
    oldrev: Sha | None = None
    draft: bool | None = None
    work_in_progress: bool = False
    last_commit: _Commit | None = None

    @property
    def is_draft(self) -> bool:
        """`draft` has replaced `work_in_progress`; older versions send only the latter."""
        return self.work_in_progress if self.draft is None else self.draft


class _Change(_Part):
    previous: Any = None


class _Changes(_Part):
    draft: _Change = _Change()
    work_in_progress: _Change = _Change()
    title: _Change = _Change()

    @property
    def was_draft(self) -> bool:
        """Whether a draft was edited; older versions send only the titles."""
        flags = (self.draft.previous, self.work_in_progress.previous)
        return True in flags or DRAFT_TITLE.match(str(self.title.previous or "")) is not None


class _MergeRequestHook(_Part):
    user: _User
    project: _Project
    object_attributes: _MergeRequest
    changes: _Changes = _Changes()


class _PushHook(_Part):
    user_id: Id | None = None
    project: _Project
    ref: Line
    after: Sha


Hook = TypeVar("Hook", bound=_Part)


def parse(
    headers: Mapping[str, str], body: bytes, *, own_account: int | None
) -> Event | Ignored:
    """The event a webhook delivery stands for, or why it causes no work.

    `own_account` is the number of the account we act as, whose events are ignored, or else
    we would answer ourselves. Raises Malformed if the delivery is not what GitLab sends.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    match lower.get("x-gitlab-event"):
        case "Merge Request Hook":
            return _merge_request(lower, _read(_MergeRequestHook, body), body, own_account)
        case "Push Hook":
            return _push(lower, _read(_PushHook, body), body, own_account)
        case None:
            raise Malformed("a webhook has to name its event in X-Gitlab-Event")
        case other:
            return Ignored(f"events of the kind {other[:40]!r} cause no work")


def _merge_request(
    headers: Mapping[str, str], hook: _MergeRequestHook, body: bytes, own_account: int | None
) -> Event | Ignored:
    about = hook.object_attributes
    head = about.last_commit.id if about.last_commit else None
    if hook.user.id is not None and hook.user.id == own_account:
        return Ignored("we caused this event ourselves")
    if not _calls_for_review(hook):
        return Ignored(f"{about.action or 'an unnamed action'} changes nothing to review")
    reason = unreviewable(state=about.state, draft=about.is_draft, head_sha=head)
    if reason is not None:
        return reason
    return Event(
        delivery=_delivery(headers, body),
        kind=EventKind.MERGE_REQUEST,
        action=about.action,
        project_id=hook.project.id,
        project_path=hook.project.path_with_namespace,
        actor_id=hook.user.id,
        head_sha=head,
        iid=about.iid,
    )


def _calls_for_review(hook: _MergeRequestHook) -> bool:
    """GitLab sends `oldrev` only with an update that brought new commits. (An update to or
    of a draft gets past this and is told apart by what the merge request is now.)"""
    about = hook.object_attributes
    if about.action == "update":
        return about.oldrev is not None or hook.changes.was_draft
    return about.action in {"open", "reopen"}


def _push(
    headers: Mapping[str, str], hook: _PushHook, body: bytes, own_account: int | None
) -> Event | Ignored:
    if hook.user_id is not None and hook.user_id == own_account:
        return Ignored("we caused this event ourselves")
    if not hook.ref.startswith(BRANCH_PREFIX):
        return Ignored("the push is not to a branch")
    if not hook.after.strip("0"):
        return Ignored("the branch was deleted")
    return Event(
        delivery=_delivery(headers, body),
        kind=EventKind.PUSH,
        action="push",
        project_id=hook.project.id,
        project_path=hook.project.path_with_namespace,
        actor_id=hook.user_id,
        head_sha=hook.after,
        branch=hook.ref.removeprefix(BRANCH_PREFIX),
    )


def _read(form: type[Hook], body: bytes) -> Hook:
    try:
        return form.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise Malformed(
            f"a webhook does not have GitLab's form: {where}: {first['msg']}"
        ) from None


def _delivery(headers: Mapping[str, str], body: bytes) -> str:
    """What stays the same when GitLab sends a delivery again.

    `webhook-id` goes first because it is covered by the signature, and equals
    `Idempotency-Key`, which GitLab sends since 17.4; before that the same hook with the same
    body is taken for the same delivery. (`X-Gitlab-Event-UUID` is shared by different
    events and identifies none.)
    """
    hook = headers.get("x-gitlab-webhook-uuid", "")
    digest = f"{hook}:{hashlib.sha256(body).hexdigest()[:32]}"
    named = (headers[name] for name in DELIVERY_HEADERS if headers.get(name))
    try:
        return _Delivery(id=next(named, digest)).id
    except ValidationError:
        raise Malformed("a webhook has an unusable delivery id") from None
