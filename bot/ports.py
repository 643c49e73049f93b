"""What the pipeline needs from outside, in the fewest verbs that work.

Each Protocol is implemented by one file of `bot/integrations/`; tests put small real
implementations behind the same door.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from bot.domain import (
    Anchor,
    Capabilities,
    Completion,
    Diff,
    Event,
    Job,
    MergeRequest,
    ModelIdentity,
    Project,
    Prompt,
    Review,
)

T = TypeVar("T")


class Engine(Protocol):
    """What runs a model."""

    @property
    def model(self) -> ModelIdentity:
        """Which weights answer."""

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can do."""

    @property
    def context_tokens(self) -> int:
        """How many tokens a prompt and its answer may have together."""

    def count_tokens(self, text: str) -> int:
        """The number of tokens of `text` alone (see `Capabilities.exact_tokens`)."""

    def complete(
        self,
        prompts: Sequence[Prompt],
        *,
        time_limit_s: float,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[Completion]:
        """Answers in the order of `prompts`; any number of prompts may be given.

        `time_limit_s` holds for the whole call: prompts not done by then end as TIMEOUT
        with what they have. `cancelled` is asked at least once a second; unfinished
        prompts then end as CANCELLED. The same prompts give the same text at
        temperature 0.

        Raises PromptTooLong if a prompt and its `max_tokens` exceed the context,
        EngineFailed if the engine broke (it is usable again afterwards), RetryLater if a
        server is down or busy, Misconfigured if it refused us.
        """

    def close(self) -> None:
        """Free the model. Calling it twice is harmless."""


class Repository(Protocol):
    """Reading a git repository: objects only, never a checkout, never its hooks or drivers."""

    def diff(self, base: str, head: str) -> Diff:
        """What changed from commit `base` to commit `head`, renames found."""

    def staged(self) -> Diff:
        """What `git commit` would record now."""

    def read(self, commit: str | None, path: str) -> bytes | None:
        """The bytes of a file at a commit (None: in the index); None if it is not there."""


class Mirror(Protocol):
    """Bare copies of the projects we work for."""

    def refreshed(self, project: Project, merge_request: MergeRequest | None) -> Repository:
        """The project's repository, holding its default branch and the commits of the merge
        request. Raises RetryLater if the forge does not answer, Gone if the commits are no
        longer there, Misconfigured if we may not read it."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who we are on the forge."""

    id: int
    username: str


@dataclass(frozen=True, slots=True)
class Remark:
    """A comment ready to be posted, and how it reads where it cannot stand on its lines: both
    passed the rendering choke point and hold the marker of `fingerprint`."""

    anchor: Anchor
    fingerprint: str
    body: str
    unplaced_body: str


@dataclass(frozen=True, slots=True)
class HookReport:
    """What `connect` did: `created` or `repaired` or `kept`, and what the test delivery
    showed (empty if it could not be asked for)."""

    hook_id: int
    outcome: str
    proof: str


class Forge(Protocol):
    """A GitLab (later: a GitHub), seen as far as a reviewer needs it.

    Every verb raises RetryLater (down, busy, limited), Misconfigured (401, 403), Gone (404).
    """

    def account(self) -> Account:
        """The account our token belongs to."""

    def project(self, project: int | str) -> Project:
        """A project by number or by full path."""

    def projects(self) -> Sequence[Project]:
        """The projects our token may work on."""

    def merge_request(self, project_id: int, iid: int) -> MergeRequest:
        """The merge request as it is now."""

    def open_merge_requests(
        self, project_id: int, source_branch: str | None = None
    ) -> Sequence[MergeRequest]:
        """The open merge requests, of one source branch if it is given. Of their SHAs only
        `head_sha` is set."""

    def posted(self, merge_request: MergeRequest) -> frozenset[str]:
        """Fingerprints of the remarks we have already posted, read from the markers in our
        own comments (and in nobody else's)."""

    def post_remark(self, merge_request: MergeRequest, remark: Remark) -> None:
        """Post a remark on its lines; if the forge refuses the lines, on the file, in the words
        that name the lines. Raises Unplaceable if it refuses both."""

    def put_summary(self, merge_request: MergeRequest, body: str) -> None:
        """Make our one summary note say `body`: create it, or update it in place."""

    def connect(self, project: Project, url: str, secret: str, *, tls: bool) -> HookReport:
        """Create or repair the webhook that sends us this project's events, and ask the
        forge for a test delivery. Raises Misconfigured where we lack the right."""


class Answers(Protocol):
    """Remembers what a model answered."""

    def completion(self, key: str) -> Completion | None:
        """The remembered answer to a prompt (`Prompt.key`)."""

    def remember(self, prompt: Prompt, model: ModelIdentity, completion: Completion) -> None:
        """Keep an answer with the exact prompt. Keeping it twice is harmless."""


class Database(Answers, Protocol):
    """What must outlive the process. Every verb is one transaction."""

    def record(self, event: Event, jobs: Sequence[Job]) -> bool:
        """Store an event and its jobs together; False (and nothing stored) if this delivery
        is already there. Queued and running jobs with the same subject and another head
        are cancelled; a job whose subject and head are already queued or running is not
        added."""

    def save_review(self, job: Job, review: Review) -> None:
        """Keep what a review found and held back. Saving it again replaces it."""

    def reviewed_head(self, project_id: int, iid: int) -> str | None:
        """The head of the last finished review of a merge request."""


class Steps(Protocol):
    """Remembers the finished steps of one job, so that a restart does not repeat them."""

    def __call__(self, name: str, work: Callable[[], T]) -> T:
        """Run `work` once per job and name; after a restart return what it returned. The
        result must be JSON data. Raises Superseded once the job has been cancelled."""

    def cancelled(self) -> bool:
        """Whether the job was cancelled. Cheap enough to be asked once a second."""
