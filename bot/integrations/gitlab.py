"""GitLab as a `Forge`, through python-gitlab.

Each verb is one unit of retrying; where GitLab may have done what it did not confirm, the
verb looks for its own earlier work before it does anything twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from gitlab import Gitlab
from gitlab.v4.objects import ProjectMergeRequest

from bot.domain import MergeRequest, Project
from bot.errors import GiveUp, Gone, Misconfigured
from bot.integrations import gitlab_hooks as hooks
from bot.integrations.gitlab_comments import Pace, fingerprints, keep_one, place
from bot.integrations.gitlab_positions import Json
from bot.integrations.gitlab_session import Connection, Forbidden
from bot.integrations.retry import patiently
from bot.ports import Account, HookReport, Remark

T = TypeVar("T")
DEVELOPER = 30
POST_GAP_S = 0.2  # self-managed GitLab allows an account 300 notes a minute by default


class GitLabForge:
    """See `ports.Forge`.

    `url`, `ca_file` and `timeout_s` (of one request) are those of a `Connection`. `markers`
    finds the fingerprints in the body of a comment, `is_summary` tells whether a body is
    that of our summary. `max_wait_s` limits the seconds a verb waits in all before it
    raises RetryLater; `post_gap_s` is the shortest time between two new comments, and a
    stricter limit of the server's is heard from its 429s.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        markers: Callable[[str], Iterable[str]],
        is_summary: Callable[[str], bool],
        ca_file: Path | None = None,
        timeout_s: float = 30.0,
        max_wait_s: float = 120.0,
        projects: Sequence[str] = (),
        post_gap_s: float = POST_GAP_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connection = Connection(url, token, ca_file, timeout_s)
        self._markers = markers
        self._is_summary = is_summary
        self._max_wait_s = max_wait_s
        self._projects = tuple(projects)
        self._sleep = sleep
        self._pace = Pace(post_gap_s, sleep)
        self._known_account: Account | None = None

    def account(self) -> Account:
        """The account our token belongs to; asked for once."""
        return self._patiently(self._account)

    def project(self, project: int | str) -> Project:
        """A project by number or by full path."""
        return self._patiently(
            lambda: self._project(self._gitlab.projects.get(project).attributes)
        )

    def projects(self) -> Sequence[Project]:
        """The configured projects, or else all where our account is at least Developer."""
        if self._projects:
            return [self.project(path) for path in self._projects]
        return self._patiently(self._member_projects)

    def merge_request(self, project_id: int, iid: int) -> MergeRequest:
        """The merge request as it is now."""

        def read() -> MergeRequest:
            project = self._gitlab.projects.get(project_id, lazy=True)
            return _merge_request(project_id, project.mergerequests.get(iid).attributes)

        return self._patiently(read)

    def open_merge_requests(
        self, project_id: int, source_branch: str | None = None
    ) -> Sequence[MergeRequest]:
        """The open merge requests; a source branch is one of this project, not of a fork.
        Of the three SHAs only the head is set."""
        wanted = {} if source_branch is None else {"source_branch": source_branch}

        def read() -> list[MergeRequest]:
            project = self._gitlab.projects.get(project_id, lazy=True)
            found = project.mergerequests.list(iterator=True, state="opened", **wanted)
            return [
                _merge_request(project_id, one.attributes)
                for one in found
                if not wanted or one.source_project_id == project_id
            ]

        return self._patiently(read)

    def posted(self, merge_request: MergeRequest) -> frozenset[str]:
        """The fingerprints in our own comments."""
        return self._patiently(lambda: self._posted(merge_request))

    def post_remark(self, merge_request: MergeRequest, remark: Remark) -> None:
        """Post a remark; after a failure only if it is not there, since an answer that did
        not reach us may have been about a remark that was posted."""
        for attempt in patiently(self._max_wait_s, sleep=self._sleep):
            with attempt:
                again = attempt.retry_state.attempt_number > 1
                if not (again and remark.fingerprint in self._posted(merge_request)):
                    place(self._of(merge_request), merge_request, remark, self._pace)

    def put_summary(self, merge_request: MergeRequest, body: str) -> None:
        """Make our one summary note say `body`; of several (after a crash) the first stays."""

        def put() -> None:
            us = self._account().id
            keep_one(self._of(merge_request), us, self._is_summary, body, self._pace)

        self._patiently(put)

    def connect(self, project: Project, url: str, secret: str, *, tls: bool) -> HookReport:
        """Create or repair the webhook with this URL. Misconfigured says what to click."""

        def ensured() -> HookReport:
            lazy = self._gitlab.projects.get(project.id, lazy=True)
            hook, outcome = hooks.ensure(lazy, url, secret, tls=tls)
            return HookReport(hook.id, outcome, hooks.proof(hook))

        try:
            return self._patiently(ensured)
        except (Forbidden, Gone):
            page = f"{self._connection.url}/{project.path}"
            raise Misconfigured(hooks.by_hand(page, url, tls=tls)) from None
        except GiveUp as error:
            raise Misconfigured(hooks.refused(error)) from None

    @property
    def _gitlab(self) -> Gitlab:
        return self._connection.gitlab

    def _patiently(self, work: Callable[[], T]) -> T:
        return patiently(self._max_wait_s, sleep=self._sleep)(work)

    def _account(self) -> Account:
        if self._known_account is None:
            self._gitlab.auth()
            user = self._gitlab.user
            assert user is not None  # noqa: S101 - set by auth()
            self._known_account = Account(user.id, user.username)
        return self._known_account

    def _project(self, attributes: Json) -> Project:
        """The clone address is built on our own URL: the token goes there, too, and the one
        GitLab names may be another."""
        path = attributes["path_with_namespace"]
        return Project(
            id=attributes["id"],
            path=path,
            default_branch=attributes.get("default_branch") or "",
            clone_url=f"{self._connection.url}/{path}.git",
        )

    def _member_projects(self) -> list[Project]:
        found = self._gitlab.projects.list(
            iterator=True,
            membership="true",
            archived="false",
            simple="true",
            min_access_level=DEVELOPER,
            pagination="keyset",
            order_by="id",
            sort="asc",
        )
        return [self._project(project.attributes) for project in found]

    def _of(self, merge_request: MergeRequest) -> ProjectMergeRequest:
        project = self._gitlab.projects.get(merge_request.project_id, lazy=True)
        return project.mergerequests.get(merge_request.iid, lazy=True)

    def _posted(self, merge_request: MergeRequest) -> frozenset[str]:
        return fingerprints(self._of(merge_request), self._account().id, self._markers)


def _merge_request(project_id: int, seen: Json) -> MergeRequest:
    """`seen` is an entry of a list, which has `sha` but no `diff_refs`, or a whole answer.
    GitLab before 15 does not say when it was prepared."""
    refs = seen.get("diff_refs") or {}
    return MergeRequest(
        project_id=project_id,
        iid=seen["iid"],
        title=seen["title"],
        description=seen.get("description") or "",
        source_branch=seen["source_branch"],
        target_branch=seen["target_branch"],
        state=seen["state"],
        draft=bool(seen.get("draft", seen.get("work_in_progress"))),
        web_url=seen["web_url"],
        base_sha=refs.get("base_sha"),
        start_sha=refs.get("start_sha"),
        head_sha=refs.get("head_sha") or seen.get("sha"),
        prepared=seen.get("prepared_at", "") is not None,
    )
