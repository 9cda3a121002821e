"""The recordings of ``$SENTISTREAM_DATA/field``: what people have sent, and what must come out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stream.domain.kafka_records import decode_text
from stream.domain.modality import Modality
from stream.media.media_info import Content, Problem
from stream.media.quality import VideoQuality
from stream.media.reader import FileReader
from stream.media.surveyor import survey_file
from stream.produce.prepare import MediaRequest, prepare
from stream.produce.session import PlannedChunk, plan_records

DATA = os.environ.get("SENTISTREAM_DATA")
FIELD = Path(DATA or "/nonexistent") / "field"
pytestmark = pytest.mark.skipif(DATA is None or not FIELD.is_dir(), reason="needs the field data: set SENTISTREAM_DATA")


def test_ten_seconds_of_sound_come_out_of_two_rates() -> None:
    reader = FileReader(str(FIELD / "mp3_rate_change.mp3"), None, VideoQuality.MODEL)
    assert sum(piece.duration_ms for piece in reader.pieces()) == pytest.approx(10_000, abs=150)
    assert not reader.report().damaged


def test_a_splice_from_surround_to_stereo_keeps_eight_seconds_of_both() -> None:
    reader = FileReader(str(FIELD / "ts_51_to_stereo.ts"), None, VideoQuality.MODEL)
    pieces = list(reader.pieces())
    for modality in ("audio", "video"):
        assert sum(piece.duration_ms for piece in pieces if piece.modality == modality) == pytest.approx(8_000, abs=50)
    report = reader.report()
    assert not report.damaged
    assert report.streams[0].problems == (Problem.PARAMETERS_CHANGED,)


def test_the_words_after_a_hold_are_sent_beside_its_sound() -> None:
    session = prepare(MediaRequest(FIELD / "gap_700s.mka", FIELD / "gap.vtt"))
    with session.pieces() as pieces:
        records = list(plan_records(session.plan, pieces))
    chunks = [record for record in records if isinstance(record, PlannedChunk)]
    sound = [chunk.start_ms for chunk in chunks if chunk.modality is Modality.AUDIO]
    assert min(start for start in sound if start > 10_000) == pytest.approx(705_000, abs=30)
    after = [
        word for chunk in chunks if chunk.modality is Modality.TEXT for word in decode_text(chunk.payload).words if word.start_ms > 10_000
    ]
    assert after[0].start_ms == pytest.approx(706_000, abs=50)
    assert len(records) < 60


def test_both_tracks_of_a_call_have_a_voice() -> None:
    assert survey_file(str(FIELD / "mkv_two_tracks.mka")).contents == {0: Content.VOICE, 1: Content.VOICE}


def test_a_cut_off_fragment_gives_what_is_there_and_says_what_is_missing() -> None:
    reader = FileReader(str(FIELD / "frag_cut.mp4"), None, VideoQuality.MODEL)
    assert sum(piece.duration_ms for piece in reader.pieces()) == pytest.approx(5_500, abs=100)
    reports = {report.stream.modality: report for report in reader.report().streams}
    assert all(report.announced_ms == pytest.approx(8_020, abs=20) for report in reports.values())
    assert all(Problem.CUT_OFF in report.problems for report in reports.values())
    assert reports[Modality.VIDEO].lost_ms == pytest.approx(2_440, abs=50)
    assert (reports[Modality.AUDIO].sent_ms, reports[Modality.AUDIO].lost_ms) == (0, reports[Modality.AUDIO].announced_ms)
