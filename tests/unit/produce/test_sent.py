"""What was sent, compared with what a recording announces."""

from __future__ import annotations

import msgspec
import pytest

from stream.domain.modality import Modality
from stream.media.media_info import PROBLEMS, MediaReport, Problem, StreamInfo, StreamReport
from stream.media.quality import VideoQuality
from stream.produce.sent import LeftOutStream, SentRecording, SentWords, compare

SOUND = StreamInfo(0, Modality.AUDIO, "aac", 1, "mono")
PICTURE = StreamInfo(1, Modality.VIDEO, "h264")
SECOND_SOUND = StreamInfo(2, Modality.AUDIO, "aac", 1, "mono")


def sent(
    *streams: StreamReport, stopped: bool = False, left_out: tuple[LeftOutStream, ...] = (), words: SentWords | None = None
) -> SentRecording:
    return compare(
        session="s",
        media="a.mp4",
        stopped=stopped,
        report=MediaReport(streams),
        numbers={0: 1, 1: 1, 2: 2},
        left_out=left_out,
        words=words,
        quality=VideoQuality.SHARP,
        bytes_per_minute={Modality.TEXT: 950, Modality.AUDIO: 1_920_000, Modality.VIDEO: 700_400},
        notices=("said before",),
    )


def left_out(*, missing: bool) -> LeftOutStream:
    return LeftOutStream(
        kind="audio", track=2, title="", language="", channels=1, description="mono", usable=True, reason="it is silent", missing=missing
    )


def test_a_recording_of_which_all_was_sent_is_complete() -> None:
    recording = sent(StreamReport(SOUND, 8000, 7990), StreamReport(PICTURE, None, 8000), words=SentWords(announced=5, sent=5, unrouted=0))
    assert (recording.complete, recording.warnings, recording.notices) == (True, (), ("said before",))


def test_a_difference_is_said_by_stream_with_both_times_and_the_reason() -> None:
    cut = (Problem.CUT_OFF,)
    recording = sent(
        StreamReport(SOUND, 8000, 3200, lost_ms=4800, problems=cut),
        StreamReport(PICTURE, 8000, 0, lost_ms=8000, problems=(Problem.NOTHING_DECODED,)),
    )
    assert not recording.complete
    assert recording.warnings == (
        f"sound: 3.2 s of 8.0 s were sent; {PROBLEMS[Problem.CUT_OFF]}",
        f"picture: nothing of 8.0 s was sent; {PROBLEMS[Problem.NOTHING_DECODED]}",
    )
    undecoded = sent(StreamReport(SOUND, 8000, 8000, lost_ms=500, problems=(Problem.DAMAGED,)))
    assert undecoded.warnings == (f"sound: 7.5 s of 8.0 s were sent; {PROBLEMS[Problem.DAMAGED]}",)
    for announced_ms in (None, 3200):
        unknown = sent(StreamReport(SOUND, announced_ms, 3200, problems=cut))
        assert unknown.warnings == (f"sound: 3.2 s were sent; {PROBLEMS[Problem.CUT_OFF]}",)


def test_several_tracks_are_told_apart_by_their_numbers() -> None:
    recording = sent(StreamReport(SOUND, 8000, 8000), StreamReport(SECOND_SOUND, 8000, 3200, lost_ms=4800))
    assert recording.warnings == ("sound of track 2: 3.2 s of 8.0 s were sent",)


def test_what_costs_nothing_is_a_notice_and_no_warning() -> None:
    recording = sent(StreamReport(SOUND, 8000, 8000, problems=(Problem.DEAD_CHANNEL,)))
    assert (recording.complete, recording.warnings) == (True, ())
    assert recording.notices == ("said before", f"sound: {PROBLEMS[Problem.DEAD_CHANNEL]}")


def test_a_track_that_is_missing_counts_and_one_that_holds_nothing_does_not() -> None:
    assert sent(left_out=(left_out(missing=False),)).complete
    recording = sent(left_out=(left_out(missing=True),))
    assert (recording.complete, recording.warnings) == (False, ("audio track 2 (mono) is left out: it is silent",))


@pytest.mark.parametrize(
    ("words", "warnings"),
    [
        (SentWords(announced=13, sent=13, unrouted=0), ()),
        (SentWords(announced=13, sent=10, unrouted=3), ("words: 3 of 13 were not sent: their speaker is not named like a track",)),
        (
            SentWords(announced=13, sent=13, unrouted=0, after_end=4),
            ("words: 4 of 13 come after the end of what was sent of the recording: they have no sound",),
        ),
        (SentWords(announced=13, sent=11, unrouted=0), ("words: 2 of 13 were not sent: they are too far from the recording",)),
    ],
)
def test_words_that_were_not_sent_count(words: SentWords, warnings: tuple[str, ...]) -> None:
    recording = sent(words=words)
    assert (recording.warnings, recording.complete) == (warnings, not warnings)


def test_a_session_that_was_stopped_is_incomplete_and_only_damage_is_a_warning() -> None:
    words = SentWords(announced=13, sent=4, unrouted=0)
    recording = sent(
        StreamReport(SOUND, 8000, 2000), StreamReport(PICTURE, 8000, 2000, problems=(Problem.DAMAGED,)), stopped=True, words=words
    )
    assert (recording.complete, recording.stopped) == (False, True)
    assert recording.warnings == (f"picture: {PROBLEMS[Problem.DAMAGED]}",)


def test_the_record_of_a_stream_has_its_times_and_the_codes_of_its_problems() -> None:
    recording = sent(StreamReport(SECOND_SOUND, 8000, 3000, gap_ms=1000, lost_ms=4000, problems=(Problem.CUT_OFF,)))
    assert msgspec.to_builtins(recording)["streams"] == (
        {"kind": "audio", "track": 2, "announced_ms": 8000, "sent_ms": 3000, "gap_ms": 1000, "lost_ms": 4000, "problems": ("cut_off",)},
    )


def test_the_bytes_of_a_minute_are_said_by_modality_and_the_quality_belongs_to_the_picture() -> None:
    whole = sent()
    assert whole.rate() == "a minute is 950 bytes of text, 1.9 MB of audio and 700 kB of video (quality sharp)"
    sound = msgspec.structs.replace(whole, bytes_per_minute={Modality.TEXT: 0, Modality.AUDIO: 1_920_000, Modality.VIDEO: 0})
    assert sound.rate() == "a minute is 1.9 MB of audio"
    assert msgspec.structs.replace(whole, bytes_per_minute={}).rate() == "a minute is nothing"
