"""The webhook that sends us a project's events: found again by its address, made or repaired
by API (https://docs.gitlab.com/api/project_webhooks/), or explained for doing it by hand."""

from __future__ import annotations

from gitlab.v4.objects import Project, ProjectHook

from bot.errors import GiveUp, Gone, RetryLater

EVENTS = {
    "merge_requests_events": "Merge request events",
    "push_events": "Push events",
    "note_events": "Comments",
    "emoji_events": "Emoji events",
}
TEST_EVENT = "push_events"  # needs nothing but a commit


def ensure(project: Project, url: str, secret: str, *, tls: bool) -> tuple[ProjectHook, str]:
    """The webhook, and whether it was `created`, `repaired` or `kept`. The secret cannot be
    read back, so it is set every time."""
    wanted = dict.fromkeys(EVENTS, True) | {"url": url, "enable_ssl_verification": tls}
    for hook in project.hooks.list(iterator=True):
        if hook.url.rstrip("/") == url.rstrip("/"):
            outcome = "kept" if _works(hook, wanted) else "repaired"
            project.hooks.update(hook.id, wanted | {"token": secret})
            return hook, outcome
    return project.hooks.create(wanted | {"token": secret}), "created"


def proof(hook: ProjectHook) -> str:
    """Ask GitLab for a test delivery, which also switches a disabled hook on again. What it
    said; empty where it cannot be asked."""
    try:
        hook.test(TEST_EVENT)
    except (Gone, RetryLater):
        return ""
    except GiveUp as error:
        return f"the test delivery failed: {error}"
    return "GitLab has delivered a test event"


def by_hand(project_url: str, url: str, *, tls: bool) -> str:
    """What to click in GitLab."""
    return "\n".join(
        [
            "the token may not manage webhooks (that takes scope api and the role Maintainer).",
            f"Give it that, or ask a maintainer to open {project_url}/-/hooks, choose",
            "“Add new webhook” and fill in:",
            f"  URL               {url}",
            "  Secret token      the value of gitlab.webhook_secret",
            f"  Trigger           {', '.join(EVENTS.values())}",
            f"  SSL verification  {'on' if tls else 'off'}",
        ]
    )


def refused(error: GiveUp) -> str:
    """What to do when GitLab does not take the webhook's address."""
    return (
        f"{error}; if the bot has a private address, an administrator has to allow it in "
        "Admin > Settings > Network > Outbound requests"
    )


def _works(hook: ProjectHook, wanted: dict[str, object]) -> bool:
    """Whether nothing visible has to change. An older GitLab has no emoji events."""
    seen = hook.attributes
    on = seen.get("alert_status", "executable") == "executable"
    return on and all(seen.get(name, value) == value for name, value in wanted.items())
