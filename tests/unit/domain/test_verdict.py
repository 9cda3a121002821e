"""Verdicts survive the topic, and nothing else passes for one."""

from __future__ import annotations

import msgspec
import pytest

from stream.domain.kafka_records import BadRecordError
from stream.domain.modality import Modality
from stream.domain.verdict import (
    Judgement,
    Mask,
    Span,
    SuspectJudgement,
    SuspectVerdict,
    Verdict,
    Withdrawal,
    new_verdict_id,
    parse_feedback,
    standing,
    suspect_record,
    verdict_record,
    withdrawal_record,
)
from stream.reveal.feedback import counted

pytestmark = pytest.mark.unit

WINDOW = "default/call-1/agent/0-8000"


def verdict(judgement: Judgement = Judgement.ARTEFACT, artefact: str | None = "hiss", given_at_ms: int = 1_760_000_000_000) -> Verdict:
    span = Span(Modality.AUDIO, 4_000, 8_000, Mask.NOT_EVIDENCE)
    return Verdict(window_id=WINDOW, verdict=judgement, reviewer="qa", given_at_ms=given_at_ms, artefact=artefact, span=span)


def test_a_verdict_survives_the_topic() -> None:
    key, value, headers = verdict_record(verdict(), "test")
    assert key == b"default/call-1"
    assert parse_feedback(key, value, headers)[1] == verdict()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"verdict": "maybe"}, "bad_verdict"),
        ({"window_id": "call-1/agent"}, "bad_verdict"),
        ({"window_id": "default/call-2/agent/0-8000"}, "key_mismatch"),
        ({"reviewer": "Jane Doe"}, "bad_verdict"),
        ({"artefact": None}, "bad_verdict"),
        ({"artefact": "x" * 65}, "bad_verdict"),
        ({"span": {"modality": "audio", "start_ms": 5, "end_ms": 5, "mask": "evidence"}}, "bad_verdict"),
    ],
)
def test_a_record_that_is_no_verdict_is_refused_without_being_quoted(change: dict[str, object], reason: str) -> None:
    key, value, headers = verdict_record(verdict(), "test")
    changed = msgspec.json.encode(msgspec.json.decode(value) | change)
    with pytest.raises(BadRecordError) as error:
        parse_feedback(key, changed, headers)
    assert error.value.reason == reason
    assert "Jane" not in str(error.value)


def test_a_record_of_another_type_is_refused() -> None:
    key, value, _ = verdict_record(verdict(), "test")
    with pytest.raises(BadRecordError, match="ce_type"):
        parse_feedback(key, value, [("ce_type", b"io.sentistream.session.start")])


def test_the_last_verdict_of_a_role_counts() -> None:
    both = [verdict(), verdict(Judgement.GENUINE), verdict(Judgement.WRONG, artefact=None)]
    assert counted(both) == {"hiss": {"genuine": 1}}


def test_a_verdict_that_was_taken_back_does_not_stand() -> None:
    first, second = new_verdict_id(), new_verdict_id()
    other = Withdrawal(verdict_id=second, window_id="default/call-2/agent/0-8000", given_at_ms=1)
    records = [
        verdict_record(verdict(), "test", first),
        verdict_record(verdict(), "test", first),
        verdict_record(verdict(Judgement.GENUINE), "test", second),
        withdrawal_record(Withdrawal(verdict_id=first, window_id=WINDOW, given_at_ms=1), "test"),
        withdrawal_record(other, "test"),
    ]
    assert standing(parse_feedback(*record) for record in records) == [verdict(Judgement.GENUINE)]


def test_verdicts_on_a_suspect_count_with_those_on_windows() -> None:
    said = [SuspectVerdict(artefact="hiss", verdict=kind, reviewer="qa", given_at_ms=1) for kind in SuspectJudgement]
    read = [parse_feedback(*suspect_record(each, "test")) for each in said]
    assert [each for _, each in read] == said
    assert counted([verdict(), *standing(read)]) == {"hiss": {"artefact": 1, "unsure": 1}}
    key, value, headers = suspect_record(said[0], "test")
    with pytest.raises(BadRecordError, match="key"):
        parse_feedback(b"artefact/hum", value, headers)
    with pytest.raises(BadRecordError):
        parse_feedback(key, value.replace(b"hiss", b"h\\u00e9"), headers)
