"""What happens when branches move: push hooks, and new diffs for open merge requests."""

from __future__ import annotations

from collections.abc import Mapping

from tests.sandbox import events, merge_requests
from tests.sandbox.state import Project, User, World

ZERO = "0" * 40
MOST_BRANCHES = 3


def notice(world: World, project: Project, user: User) -> None:
    """Compare the branches with what was last seen, and act on every one that moved. More
    than three at once cause no push hooks ("Webhook events" documentation)."""
    before, after = project.branches, project.repository.branches()
    project.branches = after
    moved = [b for b in sorted({*before, *after}) if before.get(b) != after.get(b)]
    for branch in moved:
        if len(moved) <= MOST_BRANCHES:
            shas = (before.get(branch, ZERO), after.get(branch, ZERO))
            events.push(world, project, user, branch, shas)
        merge_requests.branch_moved(world, project, branch, user)


def commit(
    world: World,
    project: Project,
    branch: str,
    files: Mapping[str, bytes | None],
    message: str,
    *,
    user: User,
    author: User | None = None,
) -> str:
    """Commit as GitLab's web editor does, and act on it as on a push. Returns the SHA."""
    sha = project.repository.commit(
        branch, files, message, (author or user).person, user.person
    )
    notice(world, project, user)
    return sha
