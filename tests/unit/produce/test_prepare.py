from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from kafka.errors import KafkaTimeoutError, SaslAuthenticationFailedError, TopicAuthorizationFailedError
from pydantic import SecretStr

from stream.config.service_settings import KafkaSettings
from stream.domain.features import Word
from stream.domain.modality import Modality
from stream.kafka_admin import connection
from stream.kafka_admin.connection import broker_errors, kafka_options
from stream.kafka_admin.errors import BrokerError
from stream.kafka_admin.topics import co_partitions
from stream.media.errors import SourceError, TranscriptError
from stream.produce.prepare import MediaRequest, prepare
from stream.produce.routing import route_words


def test_options_of_a_plain_broker() -> None:
    options = kafka_options(KafkaSettings(bootstrap="a:1, b:2"))
    assert options["bootstrap_servers"] == ["a:1", "b:2"]
    assert options["security_protocol"] == "PLAINTEXT"
    assert "sasl_mechanism" not in options


def test_options_of_a_secured_broker() -> None:
    kafka = KafkaSettings(security="sasl_ssl", sasl_mechanism="SCRAM-SHA-512", username="u", password=SecretStr("hidden"))
    options = kafka_options(kafka)
    assert options["security_protocol"] == "SASL_SSL"
    assert options["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert (options["sasl_mechanism"], options["sasl_plain_username"], options["sasl_plain_password"]) == ("SCRAM-SHA-512", "u", "hidden")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KafkaTimeoutError("x"), "--kafka HOST:PORT"),
        (SaslAuthenticationFailedError("hidden"), "kafka.username and kafka.password"),
        (TopicAuthorizationFailedError("x"), "does not allow"),
        (FileNotFoundError(2, "No such file or directory"), "No such file"),
    ],
)
def test_broker_errors_become_one_sentence(error: Exception, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "broker_problem", lambda _kafka: None)
    with pytest.raises(BrokerError, match=message) as caught, broker_errors(KafkaSettings()):
        raise error
    assert "127.0.0.1:9092" in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_existing_input_topics_set_the_partitions_of_new_ones() -> None:
    assert co_partitions({}, 6) == 6
    assert co_partitions({"chunks.text": 3, "sessions": 3}, 6) == 3
    with pytest.raises(BrokerError, match=r"chunks\.text: 3, sessions: 4"):
        co_partitions({"chunks.text": 3, "sessions": 4}, 6)


def test_words_go_to_the_track_named_like_their_speaker() -> None:
    words = (Word("a", 0, 1, speaker="Agent"), Word("b", 1, 2, speaker="customer"), Word("c", 2, 3), Word("d", 3, 4, speaker="x"))
    routed, unrouted = route_words(words, ("agent", "customer"))
    assert [[w.text for w in track_words] for track_words in routed] == [["a"], ["b"]]
    assert unrouted == 2
    assert route_words(words, ("only",)) == ([words], 0)


def test_what_a_transcript_leaves_out_and_how_it_is_matched_are_notices(tmp_path: Path) -> None:
    file = tmp_path / "call.srt"
    text = "1\n01:00:00,000 --> 01:00:01,000\n[Speaker 1] hello (laughs)\n\n2\n01:00:01,000 --> 01:00:02,000\n[Speaker 2] hi\n"
    file.write_bytes(text.encode("utf-16"))
    prepared = prepare(MediaRequest(file, channels=("agent", "customer")))
    assert [[(w.text, w.start_ms) for w in track.words or ()] for track in prepared.plan.tracks] == [[("hello", 0)], [("hi", 1000)]]
    assert prepared.notices == (
        "the transcript is UTF-16 text",
        "the transcript begins after more than an hour of silence: it is moved by 1:00:00",
        "marks that nobody speaks are left out: 1 sounds",
        "the transcript's speakers are matched by number: Speaker 1 is agent, Speaker 2 is customer",
    )


def test_a_transcript_alone_is_a_session(tmp_path: Path) -> None:
    file = tmp_path / "w.vtt"
    file.write_text("WEBVTT\n\n00:00.000 --> 00:01.500\n<v agent>hello\n\n00:02.000 --> 00:02.500\n<v who>there\n")
    prepared = prepare(MediaRequest(file, session="s", role="customer"))
    assert (prepared.media, prepared.duration_ms, str(prepared.plan.key)) == (None, 2500, "default/s")
    assert [(t.track, t.role, t.modalities) for t in prepared.plan.tracks] == [("speaker", "customer", (Modality.TEXT,))]
    split = prepare(MediaRequest(file, channels=("agent", "customer")))
    assert [(t.track, len(t.words or ())) for t in split.plan.tracks] == [("agent", 1), ("customer", 0)]
    assert (split.unrouted_words, split.name) == (1, "w.vtt")
    assert split.notices == ("1 of 2 words are left out: their speaker is not named like a track (agent, customer)",)


def test_the_error_says_why_a_file_cannot_be_sent(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        prepare(MediaRequest(tmp_path / "gone.mp4"))
    with pytest.raises(TranscriptError, match="no such file"):
        prepare(MediaRequest(tmp_path / "gone.vtt"))
    file = tmp_path / "w.srt"
    file.write_text("1\n00:00:00,000 --> 00:00:01,000\nhello\n")
    with pytest.raises(ValueError, match="session must be") as error:
        prepare(MediaRequest(file, session="../evil"))
    assert "evil" not in str(error.value)


def test_what_cannot_be_sent_is_refused_before_anything_starts(tmp_path: Path) -> None:
    file = tmp_path / "w.vtt"
    file.write_text("WEBVTT\n\n00:00.000 --> 00:00.500\n" + "word " * 300, encoding="utf-8")
    with pytest.raises(TranscriptError, match="more than 256 words end in second 0"):
        prepare(MediaRequest(file))
    file.write_text("WEBVTT\n\n00:00.000 --> 00:00.500\nhello\n", encoding="utf-8")
    with pytest.raises(ValueError, match="role must be"):
        prepare(MediaRequest(file, role="a b"))
    with pytest.raises(SourceError, match="has no audio or video track"):
        prepare(MediaRequest(file, audio_track=1))
