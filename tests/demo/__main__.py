"""Review a real merge request: `python -m tests.demo`.

Real are git, the webhook, the bot (a process of its own, started as a user would) and the
model. Only the forge is a stand-in, because no GitLab fits into a demo.
"""

import os
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
from rich.console import Console

from tests.bot_process import BotProcess
from tests.demo.show import show_discussion, show_summary
from tests.sandbox import Role, SandboxGitLab

HERE = Path(__file__).parent
WORK = HERE.parent.parent / ".demo"
MODEL = os.environ.get("STROP_MODEL__NAME", "qwen2.5-coder-1.5b")
PATIENCE_S = 900.0
BRANCH = "faster-accounts"
TITLE = "Find accounts by a part of their name"

console = Console(highlight=False)


def main() -> int:
    """Run the demo; 0 if at least one inline discussion arrived."""
    step("1/4", f"Model {MODEL}")
    strop("model", "pull", MODEL)
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir()
    step("2/4", "A sandbox GitLab, and Strop beside it")
    with SandboxGitLab(WORK / "forge") as forge:
        alice, robot = forge.add_user("alice"), forge.add_user("strop")
        members = {alice: Role.DEVELOPER, robot: Role.MAINTAINER}
        project = forge.create_project("bank/ledger", members=members)
        clone = first_commit(forge, project, alice)
        with bot_beside(forge, robot) as bot:
            strop("connect", "gitlab", "--project", "bank/ledger", environment=bot.environment)
            step("3/4", f"alice pushes a branch and opens a merge request: {TITLE}")
            merge_request = propose(forge, project, alice, clone)
            step("4/4", "Strop reviews (two cores: about a minute)")
            return watch(forge, project, robot, merge_request)


def first_commit(forge, project, user) -> Path:
    """A clone with the project as it was, pushed to the default branch."""
    clone = WORK / "clone"
    git("init", "--quiet", "--initial-branch=main", str(clone))
    git("-C", str(clone), "remote", "add", "origin", forge.git_url(project, user))
    commit(clone, "before", "Accounts and daily limits", user)
    git("-C", str(clone), "push", "--quiet", "origin", "main")
    return clone


def propose(forge, project, user, clone: Path) -> dict:
    """Push a branch by git, and open a merge request by the API, as alice would."""
    git("-C", str(clone), "switch", "--quiet", "--create", BRANCH)
    commit(clone, "after", TITLE, user)
    git("-C", str(clone), "push", "--quiet", "origin", BRANCH)
    answer = httpx.post(
        f"{forge.url}/api/v4/projects/{project.id}/merge_requests",
        headers={"PRIVATE-TOKEN": user.token},
        json={"source_branch": BRANCH, "target_branch": "main", "title": TITLE},
    )
    opened: dict = answer.raise_for_status().json()
    return opened


def watch(forge, project, robot, merge_request) -> int:
    """Print discussions as they arrive, until the summary does."""
    notes_url = (
        f"{forge.url}/api/v4/projects/{project.id}"
        f"/merge_requests/{merge_request['iid']}/discussions?per_page=100"
    )
    seen: set[str] = set()
    inline = 0
    deadline = time.monotonic() + PATIENCE_S
    with console.status("reading the diff"):
        while time.monotonic() < deadline:
            found = httpx.get(notes_url, headers={"PRIVATE-TOKEN": robot.token}).json()
            for discussion in found:
                note = discussion["notes"][0]
                if discussion["id"] in seen or note["author"]["username"] != robot.username:
                    continue
                seen.add(discussion["id"])
                if "position" in note:
                    inline += 1
                    show_discussion(console, note, HERE / "project")
                else:
                    show_summary(console, note)
                    return verdict(inline)
            time.sleep(0.5)
    console.print("[red]No review arrived in time.[/] See .demo/strop.log")
    return 1


def verdict(inline: int) -> int:
    """Say how it ended."""
    if not inline:
        console.print("[red]The review arrived without an inline discussion.[/]")
        return 1
    console.print(f"\n[green]{inline} inline discussion(s).[/] The bot's log: .demo/strop.log")
    return 0


def bot_beside(forge, robot) -> BotProcess:
    """`strop serve`, set up by environment variables alone."""
    return BotProcess(
        WORK,
        {
            "STROP_GITLAB__URL": forge.url,
            "STROP_GITLAB__TOKEN": robot.token,
            "STROP_GITLAB__WEBHOOK_SECRET": secrets.token_urlsafe(24),
            "STROP_MODEL__NAME": MODEL,
        },
    )


def commit(clone: Path, state: str, message: str, user) -> None:
    """Make the clone's files those of a state of the demo project, and commit."""
    shutil.copytree(HERE / "project" / state, clone, dirs_exist_ok=True)
    git("-C", str(clone), "add", "--all")
    who = (f"user.name={user.username}", f"user.email={user.username}@bank.invalid")
    identity = [word for setting in who for word in ("-c", setting)]
    git(*identity, "-C", str(clone), "commit", "--quiet", "--no-verify", "--message", message)


def git(*words: str) -> None:
    """Run git without the user's own settings, which a demo must not depend on."""
    plain = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *words], check=True, env=plain)


def strop(*words: str, environment: dict[str, str] | None = None) -> None:
    """Run the command as a user would; its output is part of the demo."""
    done = subprocess.run([sys.executable, "-m", "bot", *words], env=environment, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def step(number: str, words: str) -> None:
    """A heading."""
    console.print(f"\n[bold cyan]{number}[/] [bold]{words}[/]")


if __name__ == "__main__":
    sys.exit(main())
