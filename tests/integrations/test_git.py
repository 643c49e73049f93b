import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.context.diff import parse
from bot.domain import Diff, FileDiff, FileKind, FileStatus, LineKind
from bot.errors import GiveUp, Gone, Malformed, Misconfigured, RetryLater, Skip
from bot.integrations.git import GitRepository
from bot.integrations.git_command import GitCommand
from tests.repositories import Files, Repository

TEXT = "".join(f"line {n}\n" for n in range(1, 41)).encode()
EDITED = TEXT.replace(b"line 20\n", b"line twenty\n")
BINARY = bytes(range(256)) * 8
SEPARATORS = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg".encode()


@pytest.fixture
def made(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def opened(made: Repository) -> GitRepository:
    return GitRepository(made.directory, parse)


def changed(made: Repository, before: Files, after: Files) -> Diff:
    base = made.commit(before)
    return opened(made).diff(base, made.commit(after))


def only(diff: Diff) -> FileDiff:
    (file,) = diff.files
    return file


def applied(old: bytes, file: FileDiff) -> bytes:
    """The file after the change: its hunks put onto the bytes before it."""
    rows = old.split(b"\n")
    lines = [row + b"\n" for row in rows[:-1]] + ([rows[-1]] if rows[-1] else [])
    new: list[bytes] = []
    position = 0
    for hunk in file.hunks:
        start = max(hunk.old_start - 1, 0) if hunk.old_count else hunk.old_start
        new += lines[position:start]
        position = start
        for line in hunk.lines:
            row = line.text.encode(file.encoding) + (b"\n" if line.newline else b"")
            if line.kind is not LineKind.ADDED:
                assert lines[position] == row
                assert line.old == position + 1
                position += 1
            if line.kind is not LineKind.REMOVED:
                new.append(row)
                assert line.new == len(new)
    return b"".join(new + lines[position:])


ODD_CASES: dict[str, tuple[bytes, bytes]] = {
    "one line": (TEXT, EDITED),
    "two hunks": (TEXT, EDITED.replace(b"line 2\n", b"").replace(b"line 39\n", b"x\ny\n")),
    "the first line": (TEXT, b"new\n" + TEXT),
    "the last line": (TEXT, TEXT + b"new\n"),
    "no newline before": (b"a\nb", b"a\nb\nc\n"),
    "no newline after": (b"a\nb\n", b"a\nc"),
    "no newline on both sides": (b"a\nb", b"a\nc"),
    "only the newline": (b"a\nb\n", b"a\nb"),
    "CRLF to LF": (b"a\r\nb\r\n", b"a\nb\n"),
    "CRLF edited": (b"a\r\nb\r\nc\r\n", b"a\r\nB\r\nc\r\n"),
    "lone CR": (b"a\rb\nc\n", b"a\rb\nC\rd\n"),
    "line separators of Unicode": (SEPARATORS + b"\nx\n", SEPARATORS + b"\ny" + SEPARATORS),
    "latin-1": ("caf\xe9\nb\n".encode("latin-1"), "caf\xe9\nna\xefve\n".encode("latin-1")),
    "latin-1 to UTF-8": ("caf\xe9\n".encode("latin-1"), "caf\xe9\n".encode()),
    "byte order mark": (b"\xef\xbb\xbfa\n", b"\xef\xbb\xbfb\n"),
    "lines that look like a patch": (
        b"--- a/x\n+++ b/x\n@@ -1 +1 @@\ndiff --git a/x b/x\n",
        b"-- a/x\n++ b/x\n@@ -1 +1 @@\ndiff --git a/y b/y\n\\ No newline at end of file\n",
    ),
    "empty to full": (b"", b"a\n"),
    "full to empty": (b"a\n", b""),
    "blank lines": (b"\n\n\n", b"\n\n\n\n"),
}


@pytest.mark.parametrize("case", ODD_CASES)
def test_the_hunks_make_the_new_file_of_the_old_one(made: Repository, case: str) -> None:
    old, new = ODD_CASES[case]
    file = only(changed(made, {"f": old}, {"f": new}))
    assert (file.kind, file.status) == (FileKind.TEXT, FileStatus.MODIFIED)
    assert applied(old, file) == new


LINE = st.one_of(
    st.sampled_from(
        [b"", b"a", b"b", b"-- a", b"++ b", b"@@ -1 +1 @@", b"\\ No newline", b"\r"]
    ),
    st.binary(max_size=6).map(lambda row: row.replace(b"\n", b"").replace(b"\0", b"")),
    st.text(st.sampled_from("ab\r\x85\u2028\u2029\x0b\x0c\x1c\xe9"), max_size=6).map(
        str.encode
    ),
)
CONTENT = st.tuples(
    st.lists(LINE, max_size=25).map(b"\n".join), st.sampled_from([b"", b"\n"])
).map(b"".join)


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(pairs=st.lists(st.tuples(CONTENT, CONTENT), min_size=1, max_size=8))
def test_any_edit_of_any_text_round_trips(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[bytes, bytes]]
) -> None:
    made = Repository(tmp_path_factory.mktemp("any"))
    before = {f"{n}.txt": old for n, (old, _) in enumerate(pairs)}
    after = {f"{n}.txt": new for n, (_, new) in enumerate(pairs)}
    for file in changed(made, before, after).files:
        assert applied(before[file.path], file) == after[file.path]


def test_heading_is_kept_even_where_git_cuts_it_inside_a_character(made: Repository) -> None:
    text = ("def fo" + "\u20ac" * 40 + "():\n").encode() + TEXT.replace(b"line", b" line")
    file = only(changed(made, {"f.py": text}, {"f.py": text.replace(b"20\n", b"x\n")}))
    assert file.encoding == "utf-8"
    assert file.hunks[0].heading.startswith("def fo\u20ac\u20ac")


def test_added_and_deleted_files_have_no_line_zero_side(made: Repository) -> None:
    base = made.commit({"gone": b"a\nb\n"})
    new, old = opened(made).diff(base, made.commit({"gone": None, "born": b"c\nd\n"})).files
    assert (new.path, new.status, new.old_blob) == ("born", FileStatus.ADDED, None)
    assert [(line.old, line.new) for line in new.hunks[0].lines] == [(0, 1), (0, 2)]
    assert (old.path, old.status, old.new_blob) == ("gone", FileStatus.DELETED, None)
    assert [(line.old, line.new) for line in old.hunks[0].lines] == [(1, 0), (2, 0)]


@pytest.mark.parametrize(("before", "after"), [(b"", None), (None, b"")])
def test_empty_files_come_and_go_without_hunks(
    made: Repository, before: bytes | None, after: bytes | None
) -> None:
    file = only(changed(made, {"empty": before}, {"empty": after}))
    assert (file.path, file.kind, file.hunks) == ("empty", FileKind.TEXT, ())


def test_renames_with_and_without_changes(made: Repository) -> None:
    base = made.commit({"a": TEXT, "b": TEXT + b"b\n"})
    head = made.commit({"a": None, "b": None, "sub/a": TEXT, "c": EDITED + b"b\n"})
    edited, moved = opened(made).diff(base, head).files
    assert (edited.old_path, edited.new_path, len(edited.hunks)) == ("b", "c", 1)
    assert applied(TEXT + b"b\n", edited) == EDITED + b"b\n"
    assert (moved.old_path, moved.new_path, moved.hunks) == ("a", "sub/a", ())
    assert {edited.status, moved.status} == {FileStatus.RENAMED}


def test_a_rename_is_found_from_30_percent_on_as_gitlab_does(made: Repository) -> None:
    new = b"".join(TEXT.splitlines(keepends=True)[:16]) + b"".join(
        f"other {n}\n".encode() for n in range(24)
    )
    file = only(changed(made, {"a": TEXT}, {"a": None, "b": new}))
    assert (file.old_path, file.new_path, file.status) == ("a", "b", FileStatus.RENAMED)


def test_mode_type_and_binary_changes(made: Repository) -> None:
    base = made.commit(
        {"run": b"x\n", "link": Path("run"), "data": b"text\n", "kept": Path("run")}
    )
    (made.directory / "run").chmod(0o755)
    head = made.commit({"link": b"now a file\n", "data": BINARY, "kept": Path("link")})
    files = {file.path: file for file in opened(made).diff(base, head).files}
    assert (files["run"].old_mode, files["run"].new_mode) == ("100644", "100755")
    assert files["run"].hunks == ()
    assert (files["data"].kind, files["data"].hunks) == (FileKind.BINARY, ())
    assert (files["link"].kind, files["link"].status) == (
        FileKind.SYMLINK, FileStatus.TYPE_CHANGED,
    )  # fmt: skip
    assert files["kept"].kind is FileKind.SYMLINK


def test_submodules_are_seen_even_where_settings_hide_them(made: Repository) -> None:
    base = made.commit(
        {".gitmodules": b'[submodule "s"]\n path = s\n url = x\n ignore = all\n'}
    )
    made.git("update-index", "--add", "--cacheinfo", f"160000,{base},s")
    made.git("commit", "--quiet", "--message", "submodule")
    made.git("config", "diff.ignoreSubmodules", "all")
    file = only(opened(made).diff(base, made.head()))
    assert (file.path, file.kind, file.status) == ("s", FileKind.SUBMODULE, FileStatus.ADDED)


HOSTILE_NAMES = [
    "with space.py",
    "tab\tname.py",
    'quo"te.py',
    "new\nline.py",
    "new\ndiff --git a/x b/x\n@@ -1 +1 @@",
    "-option.py",
    "--output=evil",
    ":(exclude)x.py",
    "a b/c d.py",
    "b/x and b/y",
    "back\\slash.py",
    "\u00fcml\u00e4ut.py",
    "*",
    "HEAD",
    "$(touch evil)",
    "x => y",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_names_are_what_they_are_and_their_files_are_read(made: Repository, name: str) -> None:
    base = made.commit({name: TEXT, "other": TEXT, "moved": b"m\n" * 9})
    head = made.commit({name: EDITED, "moved": None, f"{name}.2": b"m\n" * 9})
    files = {file.new_path: file for file in opened(made).diff(base, head).files}
    assert set(files) == {name, f"{name}.2"}
    assert applied(TEXT, files[name]) == EDITED
    assert opened(made).read(head, name) == EDITED
    assert opened(made).read(None, name) == EDITED
    assert not (made.directory / "evil").exists()


def test_a_name_that_is_not_utf8_can_still_be_stored_and_sent(made: Repository) -> None:
    file = only(
        changed(made, {os.fsdecode(b"caf\xe9"): b"a\n"}, {os.fsdecode(b"caf\xe9"): b"b\n"})
    )
    assert file.path == r"caf\xe9"
    assert file.path.encode()


def test_what_is_staged_is_read_and_what_is_not_is_not(made: Repository) -> None:
    head = made.commit({"f": b"a\n"})
    made.write({"f": b"b\n", "new": b"n\n"})
    made.git("add", "f", "new")
    made.write({"f": b"not staged\n"})
    diff = opened(made).staged()
    assert (diff.base, diff.head) == (head, None)
    assert [file.path for file in diff.files] == ["f", "new"]
    assert diff.files[0].hunks[0].lines[-1].text == "b"
    assert opened(made).read(None, "f") == b"b\n"


def test_before_the_first_commit_everything_staged_is_new(made: Repository) -> None:
    made.write({"f": b"a\n"})
    made.git("add", "f")
    diff = opened(made).staged()
    assert [file.status for file in diff.files] == [FileStatus.ADDED]
    assert opened(made).diff(diff.base, made.commit()).files == diff.files


def test_nothing_staged_is_an_empty_diff(made: Repository) -> None:
    made.commit({"f": b"a\n"})
    assert opened(made).staged().files == ()


def test_a_merge_conflict_in_the_index_is_named(made: Repository) -> None:
    base = made.commit({"f": b"a\n"})
    made.commit({"f": b"b\n"})
    made.git("switch", "--quiet", "--create", "other", base)
    made.commit({"f": b"c\n"})
    with pytest.raises(Exception, match="exit status 1"):
        made.git("merge", "main")
    with pytest.raises(Malformed, match="resolve it"):
        opened(made).staged()


def test_files_above_the_limit_are_said_to_be_too_large(made: Repository) -> None:
    base = made.commit({"small": b"a\n", "big": b"a\n", "binary": b"a\n"})
    head = made.commit({"small": b"b\n", "big": TEXT * 20, "binary": b"\0" * 100})
    files = GitRepository(made.directory, parse, max_file_bytes=1000).diff(base, head).files
    assert {file.path: file.kind for file in files} == {
        "small": FileKind.TEXT, "big": FileKind.OVERSIZED, "binary": FileKind.BINARY,
    }  # fmt: skip


def test_what_does_not_fit_into_the_whole_limit_is_still_listed(made: Repository) -> None:
    base = made.commit({f"{n}.txt": b"a\n" for n in range(9)})
    head = made.commit({f"{n}.txt": TEXT for n in range(9)})
    files = GitRepository(made.directory, parse, max_bytes=3000).diff(base, head).files
    kinds = [file.kind for file in files]
    assert len(files) == 9
    assert kinds == sorted(kinds, reverse=True)
    assert {FileKind.TEXT, FileKind.OVERSIZED} == set(kinds)
    assert all(applied(b"a\n", file) == TEXT for file in files if file.kind is FileKind.TEXT)


def test_a_list_of_files_that_does_not_fit_is_refused(made: Repository) -> None:
    base = made.commit({f"{n}.txt": b"a\n" for n in range(9)})
    head = made.commit({f"{n}.txt": b"b\n" for n in range(9)})
    with pytest.raises(GiveUp, match="more files"):
        GitRepository(made.directory, parse, max_bytes=100).diff(base, head)


def test_reading_what_is_no_file_gives_nothing(made: Repository) -> None:
    head = made.commit({"d/f": b"a\n", "link": Path("d/f")})
    repository = opened(made)
    for commit in (head, None):
        assert repository.read(commit, "d/f") == b"a\n"
        for path in (
            "d",
            "d/",
            "link",
            "",
            "../x",
            "/d/f",
            "d/../d/f",
            "none",
            "a\0b",
            "\ud800",
        ):
            assert repository.read(commit, path) is None
    with pytest.raises(Gone):
        repository.read("nope", "d/f")


@pytest.mark.parametrize(
    "name",
    ["--output=x", "-h", "", "nope", "0" * 40, "a\0b", "\ud800", "HEAD:f", "^", "HEAD x"],
)
def test_what_is_no_commit_is_refused(made: Repository, name: str) -> None:
    made.commit({"f": b"a\n"})
    with pytest.raises((Gone, GiveUp)):
        opened(made).diff(name, "HEAD")
    assert sorted(path.name for path in made.directory.iterdir()) == [".git", "f"]


def test_ranges_are_read_as_git_diff_reads_them(made: Repository) -> None:
    first = made.commit({"f": b"a\n"})
    second = made.commit({"f": b"b\n"})
    made.git("tag", "--annotate", "--message", "v1", "v1")
    made.git("switch", "--quiet", "--create", "topic", first)
    third = made.commit({"g": b"a\n"})
    repository = opened(made)
    assert repository.resolve_range("main..topic") == (second, third)
    assert repository.resolve_range("main...topic") == (first, third)
    assert repository.resolve_range("v1..") == (second, third)
    assert repository.resolve_range("..main") == (third, second)
    assert repository.resolve_range("HEAD~1") == (first, third)
    assert repository.resolve_range(None) == (first, third)
    assert repository.default_branch_commit() == second


def test_without_a_range_the_remote_says_what_the_default_branch_is(
    made: Repository, tmp_path: Path
) -> None:
    made.git("branch", "--move", "trunk")
    base = made.commit({"f": b"a\n"})
    clone = Repository(tmp_path / "clone")
    clone.git("fetch", "--quiet", str(made.directory), "trunk:refs/remotes/origin/trunk")
    clone.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
    clone.git("switch", "--quiet", "--create", "work", "refs/remotes/origin/trunk")
    head = clone.commit({"f": b"b\n"})
    assert opened(clone).resolve_range("") == (base, head)


def test_no_range_and_nothing_to_go_by_says_what_to_type(made: Repository) -> None:
    made.commit({"f": b"a\n"})
    with pytest.raises(Skip, match="--staged"):
        opened(made).resolve_range(None)
    made.git("branch", "--move", "odd")
    with pytest.raises(Misconfigured, match="name a range"):
        opened(made).resolve_range(None)
    made.git("switch", "--quiet", "--orphan", "lone")
    made.commit({"g": b"b\n"})
    with pytest.raises(GiveUp, match="no common ancestor"):
        opened(made).resolve_range("odd...lone")


def test_the_repository_is_found_from_inside(made: Repository, tmp_path: Path) -> None:
    made.commit({"d/f": b"a\n"})
    found = GitRepository.discover(made.directory / "d", parse)
    assert found.directory == made.directory
    assert found.read("HEAD", "d/f") == b"a\n"
    made.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare"))
    assert GitRepository.discover(tmp_path / "bare", parse).directory == tmp_path / "bare"


def test_outside_a_repository_people_are_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="not inside a git repository: change to one"):
        GitRepository.discover(tmp_path, parse)


def test_a_repository_of_somebody_else_is_not_trusted(
    made: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(Misconfigured, match=r"safe\.directory"):
        GitRepository.discover(made.directory, parse)


def test_nothing_that_the_repository_configures_runs(made: Repository, tmp_path: Path) -> None:
    witness = tmp_path / "ran"
    script = tmp_path / "evil"
    script.write_text(f"#!/bin/sh\ntouch {witness}\ncat\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    base = made.commit({".gitattributes": b"* diff=evil filter=evil\n", "f": b"a\n"})
    head = made.commit({"f": b"b\n"})
    for key in (
        "diff.evil.textconv", "diff.evil.command", "diff.external", "filter.evil.smudge",
        "filter.evil.clean", "core.fsmonitor", "core.pager", "core.editor", "core.askPass",
        "core.sshCommand", "credential.helper", "alias.diff-tree",
    ):  # fmt: skip
        made.git("config", key, str(script))
    hooks = made.directory / ".git" / "hooks"
    for hook in ("post-index-change", "reference-transaction", "pre-commit"):
        (hooks / hook).write_bytes(script.read_bytes())
        (hooks / hook).chmod(0o755)
    repository = opened(made)
    assert only(repository.diff(base, head)).hunks[0].lines[-1].text == "b"
    assert repository.read(head, "f") == b"b\n"
    assert repository.staged().files == ()
    assert not witness.exists()


def test_settings_of_the_user_do_not_change_the_diff(made: Repository) -> None:
    base = made.commit({"a": b"a\n\nb\n", "moved": TEXT})
    head = made.commit({"a": b"a\n\nc\n", "moved": None, "here": TEXT})
    expected = opened(made).diff(base, head)
    for key, value in {
        "diff.noprefix": "true", "diff.mnemonicPrefix": "true", "diff.renames": "false",
        "diff.context": "0", "color.ui": "always", "diff.suppressBlankEmpty": "true",
        "diff.wordRegex": ".", "diff.relative": "true", "core.quotePath": "true",
        "diff.colorMoved": "zebra", "diff.interHunkContext": "9", "core.abbrev": "4",
    }.items():  # fmt: skip
        made.git("config", key, value)
    assert opened(made).diff(base, head) == expected


def test_git_that_takes_too_long_is_ended(made: Repository) -> None:
    slow = GitCommand(made.directory, time_limit_s=0.2)
    with pytest.raises(RetryLater, match=r"within 0\.2 seconds"):
        slow.run("-c", "alias.wait=!sleep 20", "wait")


def test_a_missing_git_is_said_in_words(
    made: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(made.directory))
    with pytest.raises(Misconfigured, match="install git"):
        opened(made).staged()


def test_an_answer_that_is_too_long_is_refused(
    made: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.integrations.git_command.MAX_OUTPUT_BYTES", 100)
    made.commit({"f": TEXT})
    with pytest.raises(GiveUp, match="longer than 100 bytes"):
        opened(made).read("HEAD", "f")
