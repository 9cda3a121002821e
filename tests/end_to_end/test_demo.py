"""`sentistream demo` as a user runs it: real broker, Redis, Triton, worker and media."""

from __future__ import annotations

import json
from pathlib import Path

import av
import pytest

from stream.produce.sample import CALL, FACES
from tests.support.demo import run_demo
from tests.support.media import write_tracks

WORDS = FACES.with_suffix(".vtt")
ALL = ["text", "audio", "video"]


@pytest.fixture(scope="module")
def silent_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first seconds of the talking faces without their sound."""
    path = tmp_path_factory.mktemp("media") / "silent.mp4"
    with av.open(str(FACES)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None and (packet.pts or 0) * packet.time_base < 6:
                packet.stream = stream
                target.mux(packet)
    return path


def test_four_recordings_at_once_report_their_modalities(silent_video: Path) -> None:
    result = run_demo("--speed", "max", "--no-asr", "--transcript", WORDS, FACES, CALL, silent_video, WORDS)
    assert result.code == 0, result.errors
    both, audio, video, text = result.sessions()
    sent = [{tuple(window["modalities_expected"]) for window in windows} for windows in (both, audio, video, text)]
    assert sent == [{tuple(ALL)}, {("audio",)}, {("video",)}, {("text",)}]
    assert any(window["modalities_present"] == ALL for window in both)
    assert {tuple(window["modalities_present"]) for window in audio} <= {("audio",), ()}
    assert {tuple(window["modalities_present"]) for window in video} <= {("video",), ()}
    assert {tuple(window["modalities_present"]) for window in text} <= {("text",), ()}
    for windows in (both, audio, video, text):
        assert any(window["modalities_present"] for window in windows)
        assert all(window["is_final"] for window in windows)
        assert all(-3 <= window["score"] <= 3 if window["modalities_present"] else window["score"] is None for window in windows)
        ends = [window["end_ms"] for window in windows]
        assert ends == sorted(set(ends))
    explained = {line["window_id"] for line in result.events("explanation")}
    assert explained == {window["window_id"] for windows in result.sessions() for window in windows}
    assert len(result.events("session")) == 4
    summary = result.lines[-1]
    assert summary["event"] == "summary"
    assert summary["sessions"] == 4
    assert summary["windows"] == len(result.events("score"))
    assert (summary["latency_ms"], summary["dead_letters"], summary["late"]) == (None, 0, 0)
    assert summary["real_time_factor"] > 0


def test_a_call_with_an_audio_track_for_each_speaker_is_scored_by_speaker(tmp_path: Path) -> None:
    path = tmp_path / "call.mka"
    write_tracks(path, CALL)
    result = run_demo("--speed", "max", "--strict", "--channels", "agent,customer", "--transcript", CALL.with_suffix(".vtt"), path)
    assert result.code == 0, result.errors
    finals = result.events("score")
    assert {(line["track"], line["role"]) for line in finals} == {("agent", "agent"), ("customer", "customer")}
    # By default the voice of an agent is not used.
    assert all(("audio" in line["modalities_present"]) is (line["role"] == "customer") for line in finals if line["end_ms"] == 8000)
    assert all(("audio" in line["withheld"]) is (line["role"] == "agent") for line in finals)
    summary = result.lines[-1]
    assert summary["complete"]
    (recording,) = summary["recordings"]
    assert [(s["kind"], s["track"], s["lost_ms"]) for s in recording["streams"]] == [("audio", 1, 0), ("audio", 2, 0)]
    assert all(24_800 <= stream["sent_ms"] <= 25_000 for stream in recording["streams"])
    assert recording["words"]["announced"] == recording["words"]["sent"] > 40


def test_contributions_add_up_to_the_score_and_evidence_has_times() -> None:
    result = run_demo("--speed", "max", "--transcript", WORDS, FACES)
    scores = {line["window_id"]: line for line in result.events("score")}
    for explanation in result.events("explanation"):
        window = scores[explanation["window_id"]]
        if window["score"] is None:
            assert explanation["sentence"].startswith("Nothing was said by the ")
            continue
        total = explanation["base_score"] + sum(explanation["contributions"].values()) + explanation["earlier_windows"]
        assert round(total, 4) == window["score"]
        listed = {"text": explanation["words"], "audio": explanation["audio_spans"], "video": explanation["video_frames"]}
        for modality, rest in explanation["rest"].items():
            evidence = sum(item["relevance"] for item in listed[modality])
            assert round(evidence + rest, 4) == explanation["contributions"][modality]
        for evidence in (*explanation["words"], *explanation["audio_spans"], *explanation["video_frames"], *explanation["claims"]):
            assert evidence["start_ms"] < window["end_ms"]
            assert evidence["end_ms"] > window["start_ms"]
        change = explanation["change"]["since_previous"]
        if change is not None:
            assert round(sum(change["contributions"].values()) + change["earlier_windows"], 4) == change["score"]
        assert explanation["sentence"].endswith(".")
        assert len(explanation["sentence"].split()) <= 30


HOSTILE = """WEBVTT

00:00:00.200 --> 00:00:03.800
hi this is terrible my name is zebulon kapoor and i am very angry

00:00:04.200 --> 00:00:11.800
the card is four one one one um one one one one then one one one one double one one one

00:00:12.200 --> 00:00:15.800
<script>alert(1)</script> write to john dot smith at mail dot com \u202ereversed\u202c

00:00:16.200 --> 00:00:19.800
call me on 415 555 2671 at 12 Mill Lane it is awful J O H N
"""


def test_a_hostile_transcript_leaks_through_no_field_of_a_result(tmp_path: Path) -> None:
    path = tmp_path / "hostile.vtt"
    path.write_text(HOSTILE, encoding="utf-8")
    result = run_demo("--speed", "max", path)
    assert result.code == 0, result.errors
    explanations = result.events("explanation")
    assert any(explanation["claims"] for explanation in explanations)
    assert any("terrible" in explanation["sentence"] for explanation in explanations)
    said = json.dumps(
        [*explanations, *result.events("score"), *result.events("session"), *result.events("alert")], ensure_ascii=False
    ).lower()
    for secret in (
        "zebulon",
        "kapoor",
        "john",
        "smith",
        "mail.com",
        "mill lane",
        "script",
        "<",
        "\u202e",
        "415",
        "2671",
        "j o h n",
        "one one",
    ):
        assert secret not in said, secret


def test_a_live_run_reports_its_latency() -> None:
    result = run_demo("--transcript", WORDS, FACES)
    assert result.code == 0, result.errors
    latency = result.lines[-1]["latency_ms"]
    assert 0 <= latency["p50"] <= latency["p95"] <= latency["p99"]
    assert result.events("partial")


@pytest.mark.parametrize(
    ("content", "name"),
    [(None, "nowhere.mp4"), (b"", "empty.mp4"), (b"not media at all" * 100, "text.mp4"), (b"\x00\x00\x00\x18ftypmp42" * 50, "broken.mp4")],
)
def test_an_unusable_file_is_one_clear_sentence(tmp_path: Path, content: bytes | None, name: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    result = run_demo(path)
    assert result.code != 0
    assert result.lines == []
    assert "Traceback" not in result.errors
    assert name in result.errors


def test_all_unusable_files_are_named_before_anything_starts(tmp_path: Path) -> None:
    empty, cut = tmp_path / "empty.wav", tmp_path / "cut.mp4"
    empty.write_bytes(b"")
    cut.write_bytes(FACES.read_bytes()[:2000])
    result = run_demo(FACES, empty, tmp_path / "gone.mp4", cut)
    assert (result.code, result.lines) == (1, [])
    assert [line.split(": ")[0] for line in result.errors.splitlines()[-3:]] == list(map(str, (empty, tmp_path / "gone.mp4", cut)))
    assert "starting" not in result.errors


def test_a_truncated_recording_yields_the_part_that_can_be_decoded(tmp_path: Path) -> None:
    path = tmp_path / "truncated.mkv"
    with av.open(str(FACES)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    result = run_demo("--speed", "max", "--no-asr", "--strict", path, FACES)
    assert result.code == 4, result.errors
    assert len(result.sessions()[0]) < len(result.sessions()[1])
    cut, whole = result.lines[-1]["recordings"]
    (picture,) = cut["streams"]
    assert (result.lines[-1]["complete"], cut["complete"], whole["complete"]) == (False, False, True)
    assert (picture["kind"], picture["announced_ms"], picture["problems"]) == ("video", 21_000, ["cut_off"])
    assert 0 < picture["sent_ms"] == 21_000 - picture["lost_ms"]
    assert f"warning: truncated.mkv: picture: {picture['sent_ms'] / 1000:.1f} s of 21.0 s were sent; " in result.errors
