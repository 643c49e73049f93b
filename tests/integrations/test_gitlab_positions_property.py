"""For diffs that git really makes, every line and range has a position that GitLab takes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bot.context.diff import parse
from bot.domain import Anchor, Diff, Hunk, LinePoint, MergeRequest, Side
from bot.integrations.git import GitRepository
from bot.integrations.gitlab_positions import line_code, text_position
from tests.sandbox import MergeRequest as Served
from tests.sandbox import Project, Role, SandboxGitLab, User
from tests.sandbox.positions import place

# Few different lines, so that git has choices; and some that look like a diff themselves.
ROWS = st.sampled_from(
    [b"a", b"b", b"c", b"", b"d\r", b"-- e", b"++ f", b"@@ -1 +1 @@", b"\\ No newline", b"\x0c"]
)
TEXT = st.builds(
    lambda rows, end: b"\n".join(rows) + end,
    st.lists(ROWS, min_size=1, max_size=40),
    st.sampled_from([b"", b"\n"]),
)
EDITS = st.one_of(
    st.tuples(TEXT, TEXT),
    st.tuples(st.none(), TEXT),
    st.tuples(TEXT, st.none()),
    st.tuples(TEXT, TEXT).map(lambda both: (both[0], both[0] + b"\n" + both[1])),
)
NAMES = ["one.py", "sub dir/twö.py"]
numbers = itertools.count()


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[SandboxGitLab, Project, User]]:
    with SandboxGitLab(tmp_path_factory.mktemp("gitlab")) as sandbox:
        alice = sandbox.add_user("alice")
        project = sandbox.create_project("bank/app", members={alice: Role.MAINTAINER})
        sandbox.commit(project, "main", {"README": "words\n"}, user=alice)
        yield sandbox, project, alice


def opened(
    world: tuple[SandboxGitLab, Project, User],
    edits: list[tuple[bytes | None, bytes | None]],
    *,
    rename: bool,
) -> tuple[Served, Diff]:
    """A merge request that makes these edits, and its diff as we read it."""
    sandbox, project, alice = world
    number = next(numbers)
    target, source = f"target-{number}", f"source-{number}"
    before = {
        name: old for name, (old, _) in zip(NAMES, edits, strict=False) if old is not None
    }
    after = {name: new for name, (_, new) in zip(NAMES, edits, strict=False)}
    if rename and after.get("one.py") is not None and "one.py" in before:
        after |= {"moved.py": after["one.py"], "one.py": None}
    sandbox.commit(project, target, {"README": "more\n", **before}, user=alice, start="main")
    sandbox.commit(project, source, {"CHANGES": "x\n", **after}, user=alice, start=target)
    served = sandbox.open_merge_request(
        project, alice, source=source, target=target, title="Random"
    )
    repository = GitRepository(project.repository.path, parse)
    return served, repository.diff(served.version.base, served.version.head)


def described(served: Served) -> MergeRequest:
    version = served.version
    return MergeRequest(
        project_id=1, iid=served.iid, title="", description="", source_branch="",
        target_branch="", state="opened", draft=False, web_url="", base_sha=version.base,
        start_sha=version.start, head_sha=version.head, prepared=True,
    )  # fmt: skip


def ranges(hunk: Hunk, data: st.DataObject) -> Iterator[tuple[LinePoint, LinePoint]]:
    """Every line, and on each side some range of lines."""
    points = [LinePoint(line.kind, line.old, line.new) for line in hunk.lines]
    yield from ((point, point) for point in points)
    for side in Side:
        ends = [point for point in points if point.side is side]
        if ends:
            first, last = sorted(
                data.draw(st.tuples(*[st.integers(0, len(ends) - 1)] * 2), label=side)
            )
            yield ends[first], ends[last]


@settings(
    max_examples=20,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes of git
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(edits=st.lists(EDITS, min_size=1, max_size=2), rename=st.booleans(), data=st.data())
def test_every_line_and_range_of_a_diff_has_a_position_that_is_taken(
    world: tuple[SandboxGitLab, Project, User],
    edits: list[tuple[bytes | None, bytes | None]],
    rename: bool,
    data: st.DataObject,
) -> None:
    served, diff = opened(world, edits, rename=rename)
    merge_request = described(served)
    for file in diff.files:
        for hunk in file.hunks:
            for first, last in ranges(hunk, data):
                where = Anchor(file.old_path, file.new_path, first, last)
                _, code = place(served, text_position(merge_request, where))
                assert code == line_code(where, last)
