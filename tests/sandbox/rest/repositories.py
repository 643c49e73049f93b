"""Commits, branches, files and statuses of a repository."""

from __future__ import annotations

from tests.sandbox import diffs, pushes
from tests.sandbox.rest import entities
from tests.sandbox.rest.call import Answer, Call
from tests.sandbox.state import (
    CommitComment,
    Json,
    Project,
    Refused,
    Role,
    Status,
    not_found,
    now,
)

STATES = ("pending", "running", "success", "failed", "canceled", "skipped")


def commit(call: Call) -> Answer:
    project = call.project()
    made = project.repository.commits(_sha(call, project), limit=1)[0]
    return Answer(200, entities.commit(call.world, project, made))


def commit_diff(call: Call) -> Answer:
    project = call.project()
    made = project.repository.commits(_sha(call, project), limit=1)[0]
    return call.page(diffs.of_commit(project.repository, made), lambda file: file.entity())


def comments(call: Call) -> Answer:
    project = call.project()
    kept = project.comments.get(_sha(call, project), [])
    return call.page(kept, lambda one: entities.comment(call.world, one))


def add_comment(call: Call) -> Answer:
    project = call.project()
    body = call.body
    made = CommitComment(
        author=call.user,
        note=call.given("note"),
        path=body.get("path"),
        line=body.get("line"),
        line_type=body.get("line_type"),
        created_at=now(),
    )
    project.comments.setdefault(_sha(call, project), []).append(made)
    return Answer(201, entities.comment(call.world, made))


def statuses(call: Call) -> Answer:
    project = call.project()
    sha = _sha(call, project)
    found = [one for one in project.statuses if one.sha == sha]
    return call.page(found, lambda one: entities.status(call.world, one))


def set_status(call: Call) -> Answer:
    """One status a commit and name; setting it again replaces it."""
    project = call.project(Role.DEVELOPER)
    sha, body = _sha(call, project), call.body
    if call.given("state") not in STATES:
        raise Refused(400, error="state does not have a valid value")
    name = body.get("name") or body.get("context") or "default"
    project.statuses = [s for s in project.statuses if (s.sha, s.name) != (sha, name)]
    made = Status(
        id=call.world.new_id(),
        sha=sha,
        ref=body.get("ref"),
        state=body["state"],
        name=name,
        description=body.get("description"),
        target_url=body.get("target_url"),
        author=call.user,
        created_at=now(),
    )
    project.statuses.append(made)
    return Answer(201, entities.status(call.world, made))


def raw_file(call: Call) -> Answer:
    project = call.project()
    ref = call.query.get("ref", project.default_branch)
    content = project.repository.read(ref, call.path["file_path"])
    if content is None:
        raise not_found("File")
    return Answer(200, content)


def branches(call: Call) -> Answer:
    project = call.project()
    names = sorted(project.repository.branches())
    return call.page(names, lambda name: _branch(call, project, name))


def branch(call: Call) -> Answer:
    project = call.project()
    if project.repository.tip(call.path["branch"]) is None:
        raise not_found("Branch")
    return Answer(200, _branch(call, project, call.path["branch"]))


def create_branch(call: Call) -> Answer:
    project = call.project(Role.DEVELOPER)
    name, sha = call.given("branch"), project.repository.resolve(call.given("ref"))
    if sha is None:
        raise Refused(400, "Invalid reference name: " + call.body["ref"])
    if project.repository.tip(name):
        raise Refused(400, "Branch already exists")
    project.repository.point(f"refs/heads/{name}", sha)
    pushes.notice(call.world, project, call.user)
    return Answer(201, _branch(call, project, name))


def delete_branch(call: Call) -> Answer:
    project = call.project(Role.DEVELOPER)
    if project.repository.tip(call.path["branch"]) is None:
        raise not_found("Branch")
    project.repository.delete_branch(call.path["branch"])
    pushes.notice(call.world, project, call.user)
    return Answer(204)


def compare(call: Call) -> Answer:
    project = call.project()
    ends = [project.repository.resolve(call.query.get(name, "")) for name in ("from", "to")]
    if ends[0] is None or ends[1] is None:
        raise not_found("Ref")
    base = project.repository.merge_base(ends[0], ends[1]) or ends[0]
    made = project.repository.commits(f"{base}..{ends[1]}")[::-1]
    commits = [entities.commit(call.world, project, one) for one in made]
    shape = {
        "commit": commits[-1] if commits else None,
        "commits": commits,
        "diffs": [file.entity() for file in diffs.between(project.repository, base, ends[1])],
        "compare_timeout": False,
        "compare_same_ref": ends[0] == ends[1],
        "web_url": f"{call.world.url}/{project.path}/-/compare/{ends[0]}...{ends[1]}",
    }
    return Answer(200, shape)


def _sha(call: Call, project: Project) -> str:
    sha = project.repository.resolve(call.path["sha"])
    if sha is None:
        raise not_found("Commit")
    return sha


def _branch(call: Call, project: Project, name: str) -> Json:
    tip = project.repository.commits(f"refs/heads/{name}", limit=1)[0]
    default = name == project.default_branch
    return {
        "name": name,
        "commit": entities.commit(call.world, project, tip),
        "merged": False,
        "protected": default,
        "developers_can_push": False,
        "developers_can_merge": False,
        "can_push": project.role(call.user) >= Role.DEVELOPER,
        "default": default,
        "web_url": f"{call.world.url}/{project.path}/-/tree/{name}",
    }
