from dataclasses import replace

from bot.domain import Event, EventKind, JobKind, MergeRequest, Project
from bot.events.decisions import Ignored, from_merge_request, jobs

HEAD = "a" * 40
PROJECT = Project(7, "group/app", "main", "https://git.example/group/app.git")
MERGE_REQUEST = MergeRequest(
    project_id=7,
    iid=3,
    title="A change",
    description="",
    source_branch="feature",
    target_branch="main",
    state="opened",
    draft=False,
    web_url="https://git.example/group/app/-/merge_requests/3",
    base_sha=None,
    start_sha=None,
    head_sha=HEAD,
    prepared=True,
)
PUSH = Event("d1", EventKind.PUSH, "push", 7, "group/app", 5, HEAD, branch="feature")


def test_a_merge_request_is_reviewed_at_its_head() -> None:
    event = from_merge_request(PROJECT, MERGE_REQUEST, delivery="poll")
    assert isinstance(event, Event)
    (job,) = jobs(event)
    assert (job.kind, job.project_id, job.iid, job.head_sha) == (JobKind.REVIEW, 7, 3, HEAD)
    assert job.delivery == "poll"


def test_a_push_is_fanned_out_to_its_branch() -> None:
    (job,) = jobs(PUSH)
    assert (job.kind, job.branch, job.iid, job.head_sha) == (
        JobKind.FAN_OUT,
        "feature",
        None,
        HEAD,
    )


def test_an_event_without_a_head_causes_no_work() -> None:
    assert jobs(replace(PUSH, head_sha=None)) == ()


def test_seeing_the_same_merge_request_twice_makes_the_same_event() -> None:
    first = from_merge_request(PROJECT, MERGE_REQUEST, delivery="poll:7:3")
    assert first == from_merge_request(PROJECT, MERGE_REQUEST, delivery="poll:7:3")


def test_drafts_closed_and_empty_merge_requests_are_ignored_with_a_reason() -> None:
    for change in ({"draft": True}, {"state": "merged"}, {"head_sha": None}):
        outcome = from_merge_request(PROJECT, replace(MERGE_REQUEST, **change), delivery="d")
        assert isinstance(outcome, Ignored) and outcome.reason
