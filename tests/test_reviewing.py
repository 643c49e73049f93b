"""Reading a diff: every file gets an outcome, and silence is never mistaken for consent."""

import json
from dataclasses import replace

from bot.config import repository_settings
from bot.domain import (
    Completion,
    Diff,
    FileKind,
    FileState,
    FileStatus,
    Finish,
    HoldReason,
    LineKind,
)
from bot.reviewing import PROMPT_TOKENS, review_diff
from bot.tasks import review as task
from bot.wiring import review_template
from tests.fakes import NOTHING, ScriptedEngine
from tests.findings.samples import file_diff, hunk

DEFAULTS = repository_settings(None)


def review(script, *files, settings=DEFAULTS, engine=None, **options):
    engine = engine or ScriptedEngine(script)
    diff = Diff(base="a" * 40, head="b" * 40, files=files or (file_diff(),))
    return review_diff(
        diff,
        engine=engine,
        template=review_template(),
        settings=settings,
        time_limit_s=60,
        **options,
    )


def answer(prompt, **changes):
    """One finding on the first line the schema offers."""
    items = json.loads(prompt.schema)["anyOf"][0]["properties"]["findings"]["items"]
    label = items["properties"]["first"]["enum"][0]
    path = prompt.user.partition("File: ")[2].partition(" (")[0]
    finding = {
        "first": label,
        "last": label,
        "claim": f"The bound at {label} of {path} is off by one",
        "why": "The last item can not be picked",
        "category": "correctness",
        "severity": "major",
        "replacement": None,
    }
    return json.dumps({"defect": "yes", "findings": [finding | changes]})


def states(result):
    return {outcome.path: (outcome.state, outcome.reason) for outcome in result.files}


def test_a_change_without_findings_is_complete_and_silent():
    result = review(lambda _: NOTHING)
    assert result.complete
    assert result.findings == ()
    assert states(result) == {"pick.py": (FileState.REVIEWED, "")}


def test_a_finding_is_anchored_to_a_changed_line():
    (finding,) = review(answer).findings
    assert finding.anchor.first.kind is not LineKind.CONTEXT
    assert finding.code == ("    if at > len(items):",)


def test_files_that_are_not_read_are_named_with_the_reason():
    binary = replace(file_diff(path="logo.png"), kind=FileKind.BINARY, hunks=())
    deleted = replace(file_diff(path="old.py"), status=FileStatus.DELETED)
    result = review(lambda _: NOTHING, binary, deleted, file_diff())
    assert states(result)["logo.png"] == (FileState.SKIPPED, "binary")
    assert states(result)["old.py"] == (FileState.SKIPPED, "deleted")
    assert states(result)["pick.py"] == (FileState.REVIEWED, "")


def test_a_repository_leaves_files_out():
    settings = repository_settings(b'[review]\nignore = ["pick.py"]\n')
    result = review(lambda _: None, settings=settings)
    assert states(result)["pick.py"][0] is FileState.SKIPPED


def test_rules_reach_the_files_they_are_for():
    settings = repository_settings(b'[[rules]]\npaths = ["pick.*"]\ntext = "Be exact."\n')
    engine = ScriptedEngine(lambda _: NOTHING)
    review(None, file_diff(), file_diff(path="other.py"), settings=settings, engine=engine)
    assert ["Be exact." in prompt.user for prompt in engine.asked] == [True, False]


def test_an_unusable_answer_is_asked_for_once_more():
    answers = iter(["I think it is fine", NOTHING])
    result = review(lambda _: next(answers))
    assert result.complete
    assert result.usage.calls == 2


def test_after_two_unusable_answers_the_review_is_incomplete():
    result = review(lambda _: "Looks good to me!")
    assert not result.complete
    state, reason = states(result)["pick.py"]
    assert state is FileState.INCOMPLETE
    assert "cannot be used" in reason


def test_the_second_question_says_what_was_wrong_with_the_first_answer():
    engine = ScriptedEngine(lambda prompt: NOTHING if "cannot be used" in prompt.user else "no")
    assert review(None, engine=engine).complete


def test_an_answer_that_was_cut_off_makes_the_review_incomplete():
    half = Completion('{"findings": [', Finish.LENGTH, 10, 0, 10, 0.1)
    assert states(review(lambda _: half))["pick.py"] == (
        FileState.INCOMPLETE,
        "the model's answer was cut off",
    )


def test_one_late_part_makes_its_file_incomplete_and_no_other():
    late = Completion("", Finish.TIMEOUT, 10, 0, 0, 0.1)
    result = review(
        lambda prompt: late if "File: slow.py" in prompt.user else NOTHING,
        file_diff(path="slow.py"),
        file_diff(),
    )
    assert states(result)["slow.py"] == (FileState.INCOMPLETE, "the time limit was reached")
    assert states(result)["pick.py"] == (FileState.REVIEWED, "")


def test_the_same_sentence_about_two_files_is_said_once():
    result = review(
        lambda p: answer(p, claim="It is off by one"), file_diff(), file_diff(path="other.py")
    )
    assert len(result.findings) == 1
    assert [held.reason for held in result.held_back] == [HoldReason.DUPLICATE]


def test_what_is_over_the_limit_is_held_back_and_counted():
    settings = repository_settings(b"[review]\nlimits = {findings = 1}\n")
    result = review(answer, file_diff(), file_diff(path="other.py"), settings=settings)
    assert len(result.findings) == 1
    assert [held.reason for held in result.held_back] == [HoldReason.QUOTA]


def test_no_prompt_is_longer_than_its_budget():
    long = hunk("\n".join(f"+x{n} = compute({n}, 'a long line of code')" for n in range(800)))
    engine = ScriptedEngine(lambda _: NOTHING)
    result = review(None, file_diff(long), engine=engine)
    assert result.complete
    sizes = [engine.count_tokens(p.system + p.user) for p in engine.asked]
    assert len(sizes) > 1
    assert max(sizes) <= PROMPT_TOKENS
    assert max(sizes) + task.MAX_TOKENS <= engine.context_tokens


def test_progress_ends_at_the_number_of_questions():
    seen = []
    review(
        lambda _: NOTHING,
        file_diff(),
        file_diff(path="b.py"),
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert seen[-1] == (2, 2)


def test_secrets_do_not_reach_the_model():
    token = "glpat-" + "a1B2c3D4e5F6g7H8i9J0"
    engine = ScriptedEngine(lambda _: NOTHING)
    review(None, file_diff(hunk(f"+TOKEN = '{token}'")), engine=engine)
    assert all(token not in prompt.user for prompt in engine.asked)
