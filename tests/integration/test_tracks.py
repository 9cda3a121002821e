"""Files with several tracks: what is sent without options. The survey of real files meets the choice."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from stream.media.media_info import AudioSource, Selection
from stream.produce.prepare import MediaRequest, PreparedSession, prepare
from stream.produce.sample import CALL, FACES
from tests.support import media


@pytest.fixture(scope="module")
def two_speakers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The call with an audio track for each speaker."""
    path = tmp_path_factory.mktemp("media") / "call.mka"
    media.write_tracks(path, CALL)
    return path


def sources(prepared: PreparedSession) -> list[tuple[str, AudioSource | None]]:
    return [(track.track, track.audio) for track in prepared.plan.tracks]


def test_each_audio_track_with_a_voice_is_a_speaker(two_speakers: Path) -> None:
    prepared = prepare(MediaRequest(two_speakers, recognise=False))
    assert sources(prepared) == [("speaker-1", AudioSource(0)), ("speaker-2", AudioSource(1))]
    assert prepared.left_out == ()
    assert "speaker-1 is audio track 1, speaker-2 is audio track 2" in prepared.notices[0]


def test_one_track_alone_can_be_sent(two_speakers: Path) -> None:
    prepared = prepare(MediaRequest(two_speakers, recognise=False, audio_track=2, track="customer"))
    assert sources(prepared) == [("customer", AudioSource(1))]
    assert [(stream.track, stream.missing) for stream in prepared.left_out] == [(1, False)]


def test_the_camera_with_the_voice_is_sent_and_not_the_slides_and_the_silence_before_it(tmp_path: Path) -> None:
    path = tmp_path / "meeting.mkv"
    with av.open(str(FACES)) as camera, av.open(str(path), "w") as output:
        slides: Any = output.add_stream("libx264", rate=5, options={"preset": "ultrafast"})
        slides.width, slides.height, slides.pix_fmt = 320, 240, "yuv420p"
        silence: Any = output.add_stream("flac", rate=16_000, layout="mono")
        copies = {stream.index: output.add_stream_from_template(stream) for stream in camera.streams}
        for number in range(105):
            frame = av.VideoFrame.from_ndarray(media.picture(seed=number // 25), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 5)
            output.mux(slides.encode(frame))
        output.mux(slides.encode(None))
        nothing = av.AudioFrame(format="s16", layout="mono", samples=21 * 16_000)
        nothing.planes[0].update(bytes(21 * 16_000 * 2))
        nothing.sample_rate, nothing.pts, nothing.time_base = 16_000, 0, Fraction(1, 16_000)
        resampler = av.AudioResampler("s16", "mono", 16_000, frame_size=4096)
        for block in [*resampler.resample(nothing), *resampler.resample(None)]:
            output.mux(silence.encode(block))
        output.mux(silence.encode(None))
        for packet in camera.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream_index]
                output.mux(packet)
    prepared = prepare(MediaRequest(path, recognise=False))
    kinds = {index: "video" if stream.type == "video" else "audio" for index, stream in copies.items()}
    chosen = {kind: copies[index].index for index, kind in kinds.items()}
    assert prepared.selection == Selection((AudioSource(chosen["audio"]),), chosen["video"])
    assert [(stream.kind, stream.track, stream.reason) for stream in prepared.left_out] == [
        ("audio", 1, "it is silent where it was tried"),
        ("video", 1, "no face was found where it was tried"),
    ]
    assert not any(stream.missing for stream in prepared.left_out)
