"""Redis keys, result records and dead letters: their contents, and what must not be in them."""

from __future__ import annotations

import json

import pytest

from stream.domain.delivery import InboundRecord
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.result import decode_record
from stream.explain.session_summary import summarise
from stream.sinks import dead_letter
from stream.sinks.dead_letter import dead_letter_message, late_message, unscorable_message
from stream.sinks.keys import session_names, session_of_nudge, track_names
from stream.sinks.results import result_message
from tests.fakes.results import SESSION, make_explanation, make_partial, make_score
from tests.fakes.windows import make_window

SECRET = b"my card number is 4111"


def inbound(
    value: bytes | None = SECRET, headers: list[tuple[str, bytes]] | None = None, key: bytes | None = b"default/call-1"
) -> InboundRecord:
    return InboundRecord("chunks.text", 3, 42, key, value, headers or [("ce_id", b"7")], lambda: None)


def test_all_keys_of_a_session_share_one_hash_tag() -> None:
    session = session_names(SESSION)
    track = track_names(TrackKey(SESSION, "tracks"))
    names = [session.state, session.tracks, session.summary, session.nudge, track.scores, track.explanations, track.latest, track.partial]
    assert all(name.split("{")[1].split("}")[0] == "default/call-1" for name in names)
    assert len(set(names)) == len(names)
    assert track.scores == "sentistream:{default/call-1}:tracks:scores"


def test_a_nudge_names_its_session() -> None:
    assert session_of_nudge(session_names(SESSION).nudge) == SESSION
    with pytest.raises(ValueError, match="tenant/session"):
        session_of_nudge("other")


def test_a_result_is_a_cloud_event_and_repeats_byte_for_byte() -> None:
    score = make_score(4000, -1.0)
    key, value, headers = result_message(score)
    assert (key, value, headers) == result_message(make_score(4000, -1.0))
    assert key == b"default/call-1"
    assert decode_record(value) == score
    attributes = dict(headers)
    assert attributes["ce_id"] == score.window_id.encode()
    assert attributes["ce_type"] == b"io.sentistream.result.score"
    assert dict(result_message(make_explanation(score))[2])["ce_type"] == b"io.sentistream.result.explanation"


def test_a_summary_is_named_after_its_epoch_and_a_partial_is_refused() -> None:
    summary = summarise(SESSION, 2, [])
    assert dict(result_message(summary)[2])["ce_id"] == b"default/call-1/2"
    with pytest.raises(ValueError, match="partial result"):
        result_message(make_partial(4000))


def test_a_dead_letter_can_be_replayed_and_says_where_it_came_from() -> None:
    key, value, headers = dead_letter_message(inbound(), "bad_words", "word 3 is empty", attempt=2)
    assert (key, value) == (b"default/call-1", SECRET)
    assert dict(headers) == {
        "ce_id": b"7",
        "dl_reason": b"bad_words",
        "dl_detail": b"word 3 is empty",
        "dl_attempt": b"2",
        "dl_topic": b"chunks.text",
        "dl_partition": b"3",
        "dl_offset": b"42",
    }


def test_nothing_of_the_payload_gets_into_the_headers() -> None:
    _, _, headers = dead_letter_message(inbound(), "bad_words", "x")
    assert not any(part in name.encode() + content for name, content in headers for part in SECRET.split())


def test_a_second_dead_letter_replaces_the_headers_of_the_first() -> None:
    _, _, first = dead_letter_message(inbound(), "bad_words", "x")
    _, _, second = dead_letter_message(inbound(headers=first), "bad_header", "y")
    assert [content for name, content in second if name == "dl_reason"] == [b"bad_header"]
    assert len(second) == len(first)


def test_headers_and_value_are_bounded() -> None:
    many = [(f"h{i}", b"x" * 1000) for i in range(200)]
    _, value, headers = dead_letter_message(inbound(b"v" * 3_000_000, many, key=b"k" * 5000), "too_large", "é\n" * 1000)
    attributes = dict(headers)
    assert len(value) == dead_letter.MAX_VALUE_BYTES
    assert attributes["dl_cut"] == b"3000000"
    assert int(attributes["dl_headersdropped"]) == 200 - sum(name.startswith("h") for name in attributes)
    assert sum(len(n) + len(v) for n, v in headers) < dead_letter.MAX_HEADER_BYTES + 1000
    assert b"\n" not in attributes["dl_detail"]


def test_a_record_without_key_or_value_still_becomes_a_dead_letter() -> None:
    key, value, headers = dead_letter_message(inbound(None, key=None), "empty", "the record is empty")
    assert (key, value) == (b"", b"")
    assert dict(headers)["dl_reason"] == b"empty"


def test_a_late_chunk_has_its_lateness_in_a_header() -> None:
    _, value, headers = late_message(inbound(), 1500)
    assert value == SECRET
    assert dict(headers)["dl_lateby"] == b"1500"
    assert dict(headers)["dl_reason"] == b"late"


def test_a_refused_window_is_named_without_its_words() -> None:
    window = make_window(["secretword"], 1)
    key, value, headers = unscorable_message(window, "ModelRejectedError")
    assert key == b"default/call-1"
    assert json.loads(value)["window_id"] == window.id
    assert b"secretword" not in value + b"".join(v for _, v in headers)


def test_a_hostile_session_never_becomes_a_key() -> None:
    with pytest.raises(ValueError, match="session"):
        session_names(SessionKey("default", "a}:b{"))
