import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain import Event, EventKind
from bot.errors import Malformed
from bot.events.decisions import Ignored
from bot.events.gitlab import parse

PAYLOADS = Path(__file__).parents[3] / "shared" / "forge" / "payloads" / "gitlab"
HEAD = "a" * 40
OLD = "b" * 40
BOT = 99

Json = dict[str, Any]


def headers(event: str = "Merge Request Hook", **more: str) -> dict[str, str]:
    return {"X-Gitlab-Event": event, "Idempotency-Key": "key-1", **more}


def merge_request(changes: Json | None = None, user: int = 1, **attributes: Any) -> Json:
    about = {
        "iid": 3,
        "state": "opened",
        "action": "open",
        "draft": False,
        "last_commit": {"id": HEAD},
        **attributes,
    }
    return {
        "object_kind": "merge_request",
        "user": {"id": user},
        "project": {"id": 7, "path_with_namespace": "group/app"},
        "object_attributes": about,
        "changes": changes or {},
    }


def push(**changes: Any) -> Json:
    project = {"id": 7, "path_with_namespace": "group/app"}
    return {
        "user_id": 1,
        "project": project,
        "ref": "refs/heads/feat/x",
        "after": HEAD,
        **changes,
    }


def heard(payload: Any, event: str = "Merge Request Hook", **more: str) -> Event | Ignored:
    return parse(headers(event, **more), json.dumps(payload).encode(), own_account=BOT)


def delivery(payload: Json, **headers: str) -> str:
    event = heard(payload, **headers)
    assert isinstance(event, Event)
    return event.delivery


def test_an_opened_merge_request_is_an_event() -> None:
    assert heard(merge_request()) == Event(
        "key-1", EventKind.MERGE_REQUEST, "open", 7, "group/app", 1, HEAD, iid=3
    )


def test_a_push_to_a_branch_is_an_event() -> None:
    assert heard(push(), "Push Hook") == Event(
        "key-1", EventKind.PUSH, "push", 7, "group/app", 1, HEAD, branch="feat/x"
    )


@pytest.mark.parametrize(
    "payload",
    [
        merge_request(action="reopen"),
        merge_request(action="update", oldrev=OLD),
        merge_request(action="update", changes={"draft": {"previous": True, "current": False}}),
        merge_request(
            action="update",
            draft=None,
            work_in_progress=False,
            changes={"work_in_progress": {"previous": True, "current": False}},
        ),
        merge_request(
            action="update",
            draft=None,
            changes={"title": {"previous": "Draft: a change", "current": "a change"}},
        ),
    ],
    ids=["reopened", "new commits", "ready", "ready, old field", "ready, by title"],
)
def test_what_changes_the_code_under_review_is_an_event(payload: Json) -> None:
    assert isinstance(heard(payload), Event)


@pytest.mark.parametrize(
    "payload",
    [
        merge_request(action="update"),
        merge_request(action="update", changes={"draft": {"previous": False, "current": True}}),
        merge_request(
            action="update", changes={"title": {"previous": "Draftsman", "current": "b"}}
        ),
        merge_request(
            action="update",
            draft=None,
            work_in_progress=True,
            changes={"title": {"previous": "WIP: a", "current": "WIP: b"}},
        ),
        merge_request(action="update", oldrev=OLD, draft=True),
        merge_request(action="update", oldrev=OLD, state="merged"),
        merge_request(action="open", draft=True),
        merge_request(action="open", draft=None, work_in_progress=True),
        merge_request(action="open", last_commit=None),
        merge_request(action="close", state="closed"),
        merge_request(action="merge", state="merged"),
        merge_request(action="approved"),
        merge_request(action="unapproval"),
        merge_request(action="something_new"),
        merge_request(user=BOT),
    ],
)
def test_what_leaves_the_code_as_it_was_is_ignored_with_a_reason(payload: Json) -> None:
    outcome = heard(payload)
    assert isinstance(outcome, Ignored) and outcome.reason


@pytest.mark.parametrize(
    "payload",
    [push(ref="refs/tags/v1"), push(after="0" * 40), push(after="0" * 64), push(user_id=BOT)],
)
def test_pushes_of_tags_deletions_and_our_own_are_ignored(payload: Json) -> None:
    assert isinstance(heard(payload, "Push Hook"), Ignored)


def test_without_knowing_who_we_are_nobody_is_taken_for_us() -> None:
    anonymous = merge_request()
    anonymous["user"] = {}
    body = json.dumps(anonymous).encode()
    assert isinstance(parse(headers(), body, own_account=None), Event)


def test_other_kinds_of_events_are_ignored_without_reading_their_body() -> None:
    outcome = parse(headers("Pipeline Hook"), b"not JSON", own_account=None)
    assert outcome == Ignored("events of the kind 'Pipeline Hook' cause no work")


@pytest.mark.parametrize(
    ("payload", "where"),
    [
        (merge_request(iid="3"), "object_attributes.iid"),
        (merge_request(iid=2**63), "object_attributes.iid"),
        (merge_request(iid=True), "object_attributes.iid"),
        (merge_request(last_commit={"id": "HEAD"}), "object_attributes.last_commit.id"),
        (merge_request(last_commit={"id": HEAD + "\n"}), "object_attributes.last_commit.id"),
        ({"object_attributes": {}}, "user"),
        ([], "the body"),
    ],
)
def test_a_body_of_another_form_is_malformed_and_the_field_is_named(
    payload: Any, where: str
) -> None:
    with pytest.raises(Malformed, match=rf": {where}: "):
        heard(payload)


def test_a_branch_with_control_characters_is_malformed() -> None:
    with pytest.raises(Malformed, match="ref"):
        heard(push(ref="refs/heads/a\u0000b"), "Push Hook")


def test_an_event_that_is_not_named_is_malformed() -> None:
    with pytest.raises(Malformed, match="X-Gitlab-Event"):
        parse({}, b"{}", own_account=None)


class TestDelivery:
    def test_the_signed_id_goes_before_the_one_anybody_can_write(self) -> None:
        assert delivery(merge_request(), **{"webhook-id": "signed"}) == "signed"

    def test_without_an_id_the_same_body_of_the_same_hook_is_the_same_delivery(self) -> None:
        def of(hook: str, **attributes: Any) -> str:
            unnamed = {"Idempotency-Key": "", "X-Gitlab-Webhook-UUID": hook}
            return delivery(merge_request(**attributes), **unnamed)

        assert of("hook-1") == of("hook-1")
        assert of("hook-1") != of("hook-2")
        assert of("hook-1") != of("hook-1", iid=4)

    def test_the_event_uuid_which_different_events_share_is_no_delivery(self) -> None:
        first = heard(merge_request(), **{"X-Gitlab-Event-UUID": "one"})
        assert first == heard(merge_request(), **{"X-Gitlab-Event-UUID": "two"})

    @pytest.mark.parametrize("key", ["a b", "é", "x" * 256, "a\x00"])
    def test_an_unusable_id_is_malformed(self, key: str) -> None:
        with pytest.raises(Malformed, match="delivery id"):
            heard(merge_request(), **{"Idempotency-Key": key})


@pytest.mark.skipif(
    not PAYLOADS.is_dir(), reason="needs the third-party payloads of ../shared/forge"
)
def test_payloads_made_by_others_are_understood_or_ignored() -> None:
    kinds = {"merge_request": "Merge Request Hook", "push": "Push Hook"}
    outcomes: Counter[str] = Counter()
    for file in sorted(PAYLOADS.glob("*_*.json")):
        payload = json.loads(file.read_bytes())
        event = kinds.get(payload["object_kind"], payload["object_kind"].title() + " Hook")
        outcome = parse(headers(event), file.read_bytes(), own_account=None)
        assert isinstance(outcome, Event) == (payload["object_kind"] in kinds), file.name
        outcomes[payload["object_kind"]] += isinstance(outcome, Event)
    assert outcomes["merge_request"] == 3
    assert outcomes["push"] == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def spoiled(payload: Json) -> st.SearchStrategy[Any]:
    """The payload with any one value, at any depth, replaced by any JSON."""

    def at(value: Any, path: tuple[str, ...], new: Any) -> Any:
        if not path:
            return new
        return {**value, path[0]: at(value[path[0]], path[1:], new)}

    def paths(value: Any, here: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        yield here
        if isinstance(value, dict):
            for key in value:
                yield from paths(value[key], (*here, key))

    where = st.sampled_from(list(paths(payload)))
    return st.builds(lambda path, new: at(payload, path, new), where, JSON)


@given(
    body=st.binary()
    | st.one_of(spoiled(merge_request(oldrev=OLD)), spoiled(push())).map(
        lambda payload: json.dumps(payload).encode()
    ),
    event=st.sampled_from(["Merge Request Hook", "Push Hook"]) | st.text(),
    key=st.text(),
)
def test_whatever_arrives_is_an_event_ignored_or_malformed(
    body: bytes, event: str, key: str
) -> None:
    try:
        outcome = parse(headers(event, **{"Idempotency-Key": key}), body, own_account=None)
    except Malformed:
        return
    assert isinstance(outcome, Event | Ignored)
    if isinstance(outcome, Event):
        assert outcome.project_id in range(1, 2**63) and outcome.delivery.isascii()
