"""The sandbox forge: a small stateful GitLab with real git repositories behind it.

    with SandboxGitLab(tmp_path) as forge:
        alice, bot = forge.add_user("alice"), forge.add_user("bot")
        app = forge.create_project(
            "bank/app", members={alice: Role.MAINTAINER, bot: Role.DEVELOPER}
        )
        forge.commit(app, "main", {"a.py": "x = 1\n"}, user=alice)         # or push by git:
        forge.git_url(app, alice)                   # http://oauth2:TOKEN@127.0.0.1:…/bank/app.git
        forge.commit(app, "topic", {"a.py": "x = 2\n"}, user=alice, start="main")
        mr = forge.open_merge_request(app, alice, source="topic", title="Two")

        gitlab.Gitlab(forge.url, private_token=bot.token)                  # any GitLab client
        mr.discussions, mr.notes, mr.state, mr.version.head                # what is there now
        forge.executed                              # quick actions that ran: (user, command)
        forge.deliveries, forge.wait_for_deliveries(), forge.resend(…)     # webhooks sent
        forge.requests                              # everything asked: method, path, body
        forge.fail("POST", r"/notes$", 502, after=True)     # the work is done, the answer lost
        forge.observe(callback)                     # called before and after each request

Hooks are made by the REST API (`POST /projects/:id/hooks`). `SandboxGitLab(…,
preparing_reads=2)` makes the diff of a merge request appear only at the third read of it.
`python -m tests.sandbox --port P --directory D` runs one by hand.
"""

from tests.sandbox.faults import Dropped
from tests.sandbox.hooks import Attempt
from tests.sandbox.server import SandboxGitLab
from tests.sandbox.state import MergeRequest, Note, Project, Role, User

__all__ = [
    "Attempt",
    "Dropped",
    "MergeRequest",
    "Note",
    "Project",
    "Role",
    "SandboxGitLab",
    "User",
]
