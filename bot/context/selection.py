"""Pure: which files of a diff are worth a model's time, and why the others are not.

A file is left out for the first reason that holds. The reasons are shown to people, so that
nothing is ever missing without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pathspec import GitIgnoreSpec

from bot.domain import (
    Diff,
    DiffLine,
    FileDiff,
    FileKind,
    FileOutcome,
    FileState,
    FileStatus,
    LineKind,
)
from bot.errors import BadSettings

KIND_REASONS = {
    FileKind.BINARY: "binary",
    FileKind.SUBMODULE: "submodule",
    FileKind.SYMLINK: "symbolic link",
    FileKind.OVERSIZED: "too large",
}

# Written by package managers; those whose names do not end in .lock (Yarn, Cargo, Poetry, …).
LOCK_FILES = frozenset(
    {
        "bun.lockb", "cabal.project.freeze", "cartfile.resolved", "composer.lock", "deno.lock",
        "flake.lock", "gemfile.lock", "go.sum", "go.work.sum", "gradle.lockfile",
        "npm-shrinkwrap.json", "package-lock.json", "package.resolved", "packages.lock.json",
        "pnpm-lock.yaml", "pubspec.lock",
    }
)  # fmt: skip
LOCK_SUFFIX = ".lock"

# Folders that hold other people's code, and names that tools give to what they make.
VENDORED = GitIgnoreSpec.from_lines(
    ["node_modules/", "bower_components/", "vendor/", "third_party/", "thirdparty/", "Godeps/"]
)
GENERATED = GitIgnoreSpec.from_lines(
    [
        "*.min.js", "*.min.css", "*.bundle.js", "*.map", "*.snap",
        "*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*.pb.go", "*.pb.cc", "*.pb.h",
        "*.g.dart", "*.freezed.dart", "*.Designer.cs", "*.g.cs", "*.generated.*",
    ]
)  # fmt: skip

# Text for people. Asked for defects in it, a small model finds some.
PROSE = GitIgnoreSpec.from_lines(["*.md", "*.markdown", "*.rst", "*.adoc", "*.org", "LICENSE*"])

# Languages in which the white space before a line has a meaning.
INDENT_COUNTS = GitIgnoreSpec.from_lines(
    [
        "*.py", "*.pyi", "*.yml", "*.yaml", "*.hs", "*.fs", "*.nim", "*.coffee", "*.sass",
        "*.haml", "*.pug", "*.mk", "Makefile",
    ]
)  # fmt: skip

# Go's rule for generated files (go.dev/s/generatedcode), in any comment style, and the tag
# that Meta's tools and many others write: in a comment, near the top.
GENERATED_LINE = re.compile(
    r"^\s*(?:#|//|/?\*|--|;|%|<!--|\"\"\").*"
    r"(?:code generated\b.*\bdo not edit|(?<!\w)@generated\b(?!\.))",
    re.IGNORECASE,
)
TOP_LINES = 40
LFS_POINTER = "version https://git-lfs.github.com/spec/"
MINIFIED_LINE = 2000  # characters; no person wrote such a line


@dataclass(frozen=True, slots=True)
class Selection:
    """The files to read, in the order of the diff, and an outcome for each of the others."""

    files: tuple[FileDiff, ...]
    skipped: tuple[FileOutcome, ...]


def select(
    diff: Diff,
    *,
    include: Sequence[str],
    ignore: Sequence[str],
    max_files: int,
    max_lines: int,
) -> Selection:
    """Choose the files to read.

    `include` and `ignore` are patterns as in .gitignore, on the path people know the file
    by. At most `max_files` files are read, and no file with more than `max_lines` changed
    lines. Raises BadSettings for what is not a pattern.
    """
    wanted, unwanted = _patterns(include), _patterns(ignore)
    files: list[FileDiff] = []
    skipped: list[FileOutcome] = []
    for file in diff.files:
        reason = _reason(file, wanted, unwanted, max_lines)
        if reason is None and len(files) == max_files:
            reason = f"more than {max_files} files"
        if reason is None:
            files.append(file)
        else:
            skipped.append(FileOutcome(file.path, FileState.SKIPPED, reason))
    return Selection(tuple(files), tuple(skipped))


def rules(path: str, rules: Iterable[tuple[Sequence[str], str]]) -> tuple[str, ...]:
    """The texts of those rules one of whose patterns (as in .gitignore) matches `path`.
    Raises BadSettings for what is not a pattern."""
    return tuple(text for paths, text in rules if _patterns(paths).match_file(path))


def _patterns(lines: Sequence[str]) -> GitIgnoreSpec:
    try:
        return GitIgnoreSpec.from_lines(lines)
    except (ValueError, re.error) as error:
        raise BadSettings(f"Not a pattern as in .gitignore: {error}") from None


def _reason(
    file: FileDiff, wanted: GitIgnoreSpec, unwanted: GitIgnoreSpec, max_lines: int
) -> str | None:
    if file.kind in KIND_REASONS:
        return KIND_REASONS[file.kind]
    if unwanted.match_file(file.path) or not wanted.match_file(file.path):
        return "left out by the project's settings"
    if not file.hunks:
        return _without_lines(file)
    return _by_name(file.path) or _by_lines(file, max_lines)


def _without_lines(file: FileDiff) -> str:
    if file.status in (FileStatus.RENAMED, FileStatus.COPIED):
        return f"only {file.status.value}"
    if file.old_mode != file.new_mode and file.status is FileStatus.MODIFIED:
        return "only the mode changed"
    return "empty file"


def _by_name(path: str) -> str | None:
    name = PurePosixPath(path).name.lower()
    if name in LOCK_FILES or name.endswith(LOCK_SUFFIX):
        return "lock file"
    if VENDORED.match_file(path):
        return "vendored"
    if PROSE.match_file(path):
        return "prose"
    return "generated" if GENERATED.match_file(path) else None


def _by_lines(file: FileDiff, max_lines: int) -> str | None:
    if file.status is FileStatus.DELETED:
        return "deleted"
    lines = [line for hunk in file.hunks for line in hunk.lines]
    changed = [line for line in lines if line.kind is not LineKind.CONTEXT]
    if any(line.new == 1 and line.text.startswith(LFS_POINTER) for line in lines):
        return "Git LFS pointer"
    if any(line.new <= TOP_LINES and GENERATED_LINE.match(line.text) for line in lines):
        return "generated"
    if any(len(line.text) > MINIFIED_LINE for line in changed):
        return "minified"
    if len(changed) > max_lines:
        return f"more than {max_lines} changed lines"
    return "only white space changed" if _only_space(lines, file.path) else None


def _only_space(lines: Sequence[DiffLine], path: str) -> bool:
    """Whether both versions are the same words in the same order."""
    indent_counts = INDENT_COUNTS.match_file(path)
    old, new = (
        [_squeezed(line.text, indent_counts) for line in lines if line.kind is not other]
        for other in (LineKind.ADDED, LineKind.REMOVED)
    )
    return list(filter(None, old)) == list(filter(None, new))


def _squeezed(text: str, indent_counts: bool) -> str:
    words = " ".join(text.split())
    indent = text[: len(text) - len(text.lstrip())] if indent_counts and words else ""
    return indent + words
