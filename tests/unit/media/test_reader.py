"""What comes out of recordings as people send them: how much, when, how loud, and what is said about it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from stream.media.media_info import AudioSource, MediaInfo, Problem, Selection, StreamReport, UnreadableReason
from stream.media.pieces import Piece
from stream.media.probe import Unusable
from stream.media.quality import VideoQuality
from stream.media.reader import FileReader
from tests.support.recordings import Film, Planes, Sound, channels, cut, join, noise, tone, write, write_two_descriptions

LEVEL_DB = -20.0
NOISE_DB = -20.0 - 10 * np.log10(3)
"""Level of noise at 16 kHz: a third of its band is left."""


@dataclass
class Came:
    """What came out of a file."""

    info: MediaInfo
    audio: dict[int, list[Piece]] = field(default_factory=lambda: defaultdict(list))
    video: list[Piece] = field(default_factory=list)
    reports: dict[int, StreamReport] = field(default_factory=dict)

    def level_db(self, place: int = 0, from_s: float = 0.0, to_s: float = 1e9) -> float:
        """Level of a sound between two media times, in dBFS."""
        power, count = 0.0, 0
        for piece in self.audio[place]:
            samples = np.frombuffer(piece.payload, "<i2").astype(np.float64) / 32_768
            begin, end = (round((at - piece.start_ms / 1000) * 16_000) for at in (from_s, to_s))
            used = samples[max(0, begin) : max(0, end)]
            power, count = power + float(np.sum(used**2)), count + used.size
        return float(10 * np.log10(power / max(1, count) + 1e-12))

    def problems(self, index: int = 0) -> set[Problem]:
        return set(self.reports[index].problems)


def _read(path: Path, selection: Selection | None = None, quality: VideoQuality = VideoQuality.MODEL) -> Came:
    reader = FileReader(str(path), selection, quality)
    came = Came(reader.info)
    for piece in reader.pieces():
        if piece.source is None:
            came.video.append(piece)
        else:
            came.audio[piece.source].append(piece)
    for pieces in (*came.audio.values(), came.video):
        ends = [piece.start_ms + piece.duration_ms for piece in pieces]
        assert ends == sorted(ends)
        assert all(piece.start_ms // 1000 == (end - 1) // 1000 for piece, end in zip(pieces, ends, strict=True))
    came.reports = {report.stream.index: report for report in reader.report().streams}
    return came


def _length_ms(pieces: list[Piece]) -> int:
    return sum(piece.duration_ms for piece in pieces)


def _stereo(seconds: float, rate: int = 48_000) -> Planes:
    return np.repeat(tone(seconds, rate), 2, axis=0)


@pytest.mark.parametrize(
    ("container", "codec", "first_rate", "second_rate"),
    [
        ("mp3", "libmp3lame", 44_100, 22_050),
        ("mp3", "libmp3lame", 22_050, 44_100),
        ("adts", "aac", 44_100, 22_050),
        ("adts", "aac", 22_050, 48_000),
        ("ac3", "ac3", 48_000, 32_000),
        ("ogg", "libopus", 48_000, 48_000),
        ("ogg", "flac", 22_050, 44_100),
        ("flac", "flac", 44_100, 22_050),
        ("wav", "pcm_s16le", 8_000, 44_100),
        ("matroska", "libopus", 48_000, 48_000),
    ],
)
def test_joined_files_of_other_rates_and_channels_are_read_to_their_end(
    tmp_path: Path, container: str, codec: str, first_rate: int, second_rate: int
) -> None:
    stereo = write(tmp_path / "stereo", container, Sound([(0, _stereo(3, first_rate))], codec, "stereo", first_rate))
    mono = write(tmp_path / "mono", container, Sound([(0, tone(3, second_rate))], codec, "mono", second_rate))
    came = _read(join(tmp_path / "joined", stereo, mono))
    assert _length_ms(came.audio[0]) == pytest.approx(6_000, abs=150)
    assert Problem.PARAMETERS_CHANGED in came.problems()
    assert not came.reports[0].damaged
    for from_s, to_s in ((0.5, 2.5), (3.5, 5.5)):
        assert came.level_db(0, from_s, to_s) == pytest.approx(LEVEL_DB, abs=1)


def test_a_splice_from_surround_to_stereo_keeps_sound_and_picture(tmp_path: Path) -> None:
    surround = Sound([(0, channels(6, c2=tone(4)))], "ac3", "5.1(side)")
    stereo = Sound([(4, _stereo(4))], "ac3", "stereo")
    parts = [
        write(tmp_path / "1.ts", "mpegts", surround, Film([(0, 4)])),
        write(tmp_path / "2.ts", "mpegts", stereo, Film([(4, 4)], width=320, height=240)),
    ]
    came = _read(join(tmp_path / "spliced.ts", *parts))
    assert _length_ms(came.audio[0]) == pytest.approx(8_000, abs=100)
    assert _length_ms(came.video) == pytest.approx(8_000, abs=100)
    assert came.problems(0) == came.problems(1) == {Problem.PARAMETERS_CHANGED}
    assert came.level_db(0, 0.5, 3.5) == pytest.approx(LEVEL_DB, abs=1)
    assert came.level_db(0, 4.5, 7.5) == pytest.approx(LEVEL_DB, abs=1)


def test_a_channel_that_ends_is_silent_from_there_on_and_said(tmp_path: Path) -> None:
    stereo = write(tmp_path / "1.mp3", "mp3", Sound([(0, _stereo(3, 44_100))], "libmp3lame", "stereo", 44_100))
    mono = write(tmp_path / "2.mp3", "mp3", Sound([(0, tone(3, 44_100))], "libmp3lame", "mono", 44_100))
    came = _read(join(tmp_path / "joined.mp3", stereo, mono), Selection((AudioSource(0, 0), AudioSource(0, 1))))
    assert came.level_db(0, 3.5, 5.5) == pytest.approx(LEVEL_DB, abs=1)
    assert came.level_db(1, 0.5, 2.5) == pytest.approx(LEVEL_DB, abs=1)
    assert came.level_db(1, 3.5, 5.5) < -80
    assert Problem.CHANNEL_ENDED in came.problems()


def test_clocks_that_start_again_together_continue_in_step(tmp_path: Path) -> None:
    parts = [write(tmp_path / f"{n}.ts", "mpegts", Sound([(0, _stereo(4))], "aac", "stereo"), Film([(0, 4)])) for n in range(3)]
    came = _read(join(tmp_path / "joined.ts", *parts))
    assert _length_ms(came.audio[0]) == pytest.approx(12_000, abs=250)
    assert came.video[-1].start_ms + came.video[-1].duration_ms == pytest.approx(12_000, abs=250)
    assert len(came.video) >= 12
    assert came.problems(0) == came.problems(1) == {Problem.CLOCK_RESTARTED}


def test_a_hold_of_700_seconds_is_a_gap(tmp_path: Path) -> None:
    path = write(tmp_path / "hold.mka", "matroska", Sound([(0, tone(5)), (705, tone(5))], "libopus"))
    came = _read(path)
    starts = [piece.start_ms for piece in came.audio[0]]
    assert starts[:5] == [0, 1000, 2000, 3000, 4000]
    second = [piece for piece in came.audio[0] if piece.start_ms > 10_000]
    assert second[0].start_ms == pytest.approx(705_000, abs=30)
    assert _length_ms(second) == pytest.approx(5_000, abs=50)
    report = came.reports[0]
    assert report.gap_ms == pytest.approx(700_000, abs=100)
    assert (report.lost_ms, set(report.problems), report.damaged) == (0, {Problem.LONG_GAP}, False)
    assert came.info.duration_ms == pytest.approx(710_000, abs=50)


def test_a_short_gap_is_silence(tmp_path: Path) -> None:
    path = write(tmp_path / "gap.mka", "matroska", Sound([(0, tone(2)), (5, tone(2))], "pcm_s16le"))
    came = _read(path)
    assert _length_ms(came.audio[0]) == 7_000
    assert came.level_db(0, 2.2, 4.8) < -100
    assert came.level_db(0, 5.2, 6.8) == pytest.approx(LEVEL_DB, abs=1)
    assert came.problems() == set()


@pytest.mark.parametrize("days", [3, 8])
def test_a_clock_that_jumps_by_days_continues(tmp_path: Path, days: int) -> None:
    jump_s = days * 24 * 3600
    sound = Sound([(0, tone(4)), (4 + jump_s, tone(4))])
    came = _read(write(tmp_path / "jump.mkv", "matroska", sound, Film([(0, 4), (4 + jump_s, 4)])))
    assert _length_ms(came.audio[0]) == pytest.approx(8_000, abs=50)
    assert came.video[-1].start_ms + came.video[-1].duration_ms == pytest.approx(8_000, abs=100)
    assert came.problems(0) == came.problems(1) == {Problem.CLOCK_JUMPED}
    assert not came.reports[0].damaged


def test_two_tracks_are_read_apart(tmp_path: Path) -> None:
    agent = Sound([(0, tone(3))], "libopus", tags={"title": "agent"})
    customer = Sound([(0, noise(3, level_db=-30))], "libopus", tags={"title": "customer", "language": "eng"})
    path = write(tmp_path / "tracks.mka", "matroska", agent, customer)
    came = _read(path, Selection((AudioSource(0), AudioSource(1))))
    assert [(s.index, s.channels, s.title, s.language) for s in came.info.audio] == [(0, 1, "agent", ""), (1, 1, "customer", "eng")]
    assert came.level_db(0) == pytest.approx(-20, abs=1)
    assert came.level_db(1) == pytest.approx(NOISE_DB - 10, abs=1)
    assert {report.sent_ms for report in came.reports.values()} == {3_000}


@pytest.mark.parametrize(
    ("layout", "planes"),
    [
        ("stereo", channels(2, c1=noise(3))),
        ("stereo", np.concatenate([noise(3), -noise(3)])),
        ("5.1", channels(6, c2=noise(3))),
        ("5.1", channels(6, c0=noise(3), c1=noise(3), c3=noise(3, seed=2, level_db=-10))),
        ("7.1", channels(8, c2=noise(3))),
        ("9 channels", channels(9, c8=noise(3))),
        ("16 channels", channels(16, c4=noise(3))),
    ],
)
def test_speech_in_some_of_the_channels_keeps_its_level(tmp_path: Path, layout: str, planes: Planes) -> None:
    came = _read(write(tmp_path / "sound.wav", "wav", Sound([(0, planes)], "pcm_s16le", layout)))
    assert came.level_db() == pytest.approx(NOISE_DB, abs=0.5)


def test_surround_sound_of_eight_channels_in_aac_is_read(tmp_path: Path) -> None:
    sound = Sound([(0, channels(8, c2=tone(3)))], "aac", "7.1")
    came = _read(write(tmp_path / "sound.mp4", "mp4", sound), Selection((AudioSource(0), AudioSource(0, 2), AudioSource(0, 0))))
    assert [came.level_db(place) for place in (0, 1)] == pytest.approx([LEVEL_DB] * 2, abs=0.5)
    assert came.level_db(2) < -60


def test_more_channels_than_a_layout_has_are_said(tmp_path: Path) -> None:
    came = _read(write(tmp_path / "sound.wav", "wav", Sound([(0, channels(9, c1=tone(1)))], layout="9 channels")))
    assert came.problems() == {Problem.TOO_MANY_CHANNELS}


def test_inverted_channels_in_a_lossy_codec_keep_their_level(tmp_path: Path) -> None:
    inverted = Sound([(0, np.concatenate([noise(3), -noise(3)]))], "libopus", "stereo")
    came = _read(write(tmp_path / "inverted.ogg", "ogg", inverted))
    assert came.level_db() == pytest.approx(NOISE_DB, abs=1)
    assert came.problems() == {Problem.CHANNELS_INVERTED}


def test_inverted_and_dead_channels_are_said(tmp_path: Path) -> None:
    inverted = np.concatenate([noise(3), -noise(3)])
    came = _read(write(tmp_path / "inverted.wav", "wav", Sound([(0, inverted)], layout="stereo")))
    assert came.problems() == {Problem.CHANNELS_INVERTED}
    came = _read(write(tmp_path / "dead.wav", "wav", Sound([(0, channels(2, c1=noise(3)))], layout="stereo")))
    assert came.problems() == {Problem.DEAD_CHANNEL}


def test_a_second_speaker_who_speaks_late_does_not_change_the_level_of_the_first(tmp_path: Path) -> None:
    agent, customer = np.zeros((1, 48_000 * 10), np.float32), np.zeros((1, 48_000 * 10), np.float32)
    agent[:, : 48_000 * 4], customer[:, 48_000 * 6 :] = tone(4), tone(4)
    came = _read(write(tmp_path / "call.wav", "wav", Sound([(0, np.concatenate([agent, customer]))], layout="stereo")))
    assert came.level_db(0, 0.5, 3.5) == pytest.approx(LEVEL_DB - 6, abs=0.5)
    assert came.level_db(0, 6.5, 9.5) == pytest.approx(LEVEL_DB - 6, abs=0.5)


@pytest.mark.parametrize(
    ("container", "codec", "options"),
    [
        ("wav", "pcm_s16le", {}),
        ("w64", "pcm_s16le", {}),
        ("aiff", "pcm_s16be", {}),
        ("au", "pcm_s16be", {}),
        ("caf", "pcm_s16be", {}),
        ("flac", "flac", {}),
        ("mp3", "libmp3lame", {}),
        ("matroska", "flac", {}),
        ("avi", "pcm_s16le", {}),
        ("asf", "libmp3lame", {}),
        ("flv", "aac", {}),
        ("mp4", "aac", {"movflags": "faststart"}),
        ("mp4", "aac", {"movflags": "frag_keyframe+empty_moov+delay_moov", "frag_duration": "20000000"}),
    ],
)
def test_what_a_cut_off_file_announces_and_what_was_sent_differ_by_what_is_missing(
    tmp_path: Path, container: str, codec: str, options: dict[str, str]
) -> None:
    whole = write(tmp_path / "whole", container, Sound([(0, tone(10, 44_100))], codec, rate=44_100), options=options)
    complete = _read(whole)
    assert not complete.reports[0].damaged
    assert complete.reports[0].sent_ms == pytest.approx(10_000, abs=100)
    assert complete.reports[0].announced_ms == pytest.approx(10_000, abs=150)
    came = _read(cut(tmp_path / "cut", whole, 0.6))
    report = came.reports[0]
    assert report.announced_ms == pytest.approx(10_000, abs=150)
    assert report.sent_ms == pytest.approx(6_000, abs=500)
    assert report.sent_ms + report.lost_ms == pytest.approx(10_000, abs=150)
    assert Problem.CUT_OFF in report.problems
    assert report.damaged


@pytest.mark.parametrize(("container", "codec"), [("ogg", "libopus"), ("mpegts", "aac")])
def test_a_file_without_an_announced_length_says_that_it_is_cut_off(tmp_path: Path, container: str, codec: str) -> None:
    whole = write(tmp_path / "whole", container, Sound([(0, tone(10))], codec))
    assert _read(whole).problems() == set()
    came = _read(cut(tmp_path / "cut", whole, 0.6))
    assert 4_500 < came.reports[0].sent_ms < 6_500
    assert Problem.CUT_OFF in came.problems()


@pytest.mark.parametrize("size", [0, 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_a_wav_file_that_was_streamed_states_no_length_and_is_not_cut_off(tmp_path: Path, size: int) -> None:
    path = write(tmp_path / "streamed.wav", "wav", Sound([(0, tone(3))]))
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[4:8] = content[at : at + 4] = size.to_bytes(4, "little")
    path.write_bytes(content)
    came = _read(path)
    assert came.reports[0].sent_ms == 3_000
    assert came.problems() == set()


def test_a_stream_without_its_part_of_a_cut_off_file_does_not_end_the_other(tmp_path: Path) -> None:
    whole = tmp_path / "whole.mp4"
    # One fragment holds all of its pictures, then all of its sound.
    write(whole, "mp4", Film([(0, 10)]), Sound([(0, tone(10))], "aac"), options={"movflags": "frag_custom+empty_moov+delay_moov"})
    came = _read(cut(tmp_path / "cut.mp4", whole, 0.5))
    sound, film = came.reports[1], came.reports[0]
    assert film.announced_ms == pytest.approx(10_000, abs=100)
    assert 3_000 < film.sent_ms < 8_000
    assert film.sent_ms + film.lost_ms == pytest.approx(10_000, abs=150)
    assert (sound.sent_ms, set(sound.problems)) == (0, {Problem.CUT_OFF, Problem.NOTHING_DECODED})
    assert sound.lost_ms == pytest.approx(10_000, abs=150)


@pytest.mark.parametrize(
    ("container", "codec"), [("ogg", "libopus"), ("matroska", "libopus"), ("mp4", "aac"), ("flac", "flac"), ("mp3", "libmp3lame")]
)
def test_a_hole_in_a_file_is_a_loss_and_the_rest_keeps_its_time(tmp_path: Path, container: str, codec: str) -> None:
    whole = write(tmp_path / "whole", container, Sound([(0, noise(20))], codec))
    content = bytearray(whole.read_bytes())
    begin, length = len(content) // 2, len(content) // 5
    content[begin : begin + length] = bytes(length)
    holed = tmp_path / "holed"
    holed.write_bytes(content)
    report = _read(holed).reports[0]
    assert 3_000 < report.lost_ms < 10_000
    assert report.damaged
    assert report.announced_ms == pytest.approx(20_000, abs=150)


def test_missing_packets_of_a_transport_stream_are_a_loss(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.ts", "mpegts", Sound([(0, _stereo(10))], "aac", "stereo"))
    content = whole.read_bytes()
    packets = [content[at : at + 188] for at in range(0, len(content), 188)]
    begin, count = len(packets) // 3, len(packets) // 5
    # The count of packets has four bits: a loss of a multiple of sixteen cannot be seen in it.
    sound = [number for number, packet in enumerate(packets) if packet[1] & 0x1F == 1 and packet[2] == 0]
    while sum(begin <= number < begin + count for number in sound) % 16 == 0:
        count += 1
    lossy = tmp_path / "lossy.ts"
    lossy.write_bytes(b"".join(packets[:begin] + packets[begin + count :]))
    report = _read(lossy).reports[0]
    assert report.lost_ms == pytest.approx(2_000, abs=200)
    assert Problem.DAMAGED in report.problems


def test_a_transport_stream_whose_codecs_change_is_read_to_its_end(tmp_path: Path) -> None:
    parts = [
        write(tmp_path / "1.ts", "mpegts", Sound([(0, _stereo(4))], "mp2", "stereo"), Film([(0, 4)], codec="mpeg2video")),
        write(tmp_path / "2.ts", "mpegts", Sound([(4, _stereo(4))], "aac", "stereo"), Film([(4, 4)])),
        write(tmp_path / "3.ts", "mpegts", Film([(8, 4)]), Sound([(8, _stereo(4))], "ac3", "stereo")),
    ]
    came = _read(join(tmp_path / "joined.ts", *parts))
    assert _length_ms(came.audio[0]) == pytest.approx(12_000, abs=250)
    assert came.video[-1].start_ms + came.video[-1].duration_ms == pytest.approx(12_000, abs=300)
    assert not any(report.damaged for report in came.reports.values())
    for from_s, to_s in ((0.5, 3.5), (4.5, 7.5), (8.5, 11.5)):
        assert came.level_db(0, from_s, to_s) == pytest.approx(LEVEL_DB, abs=1)


def test_sound_that_begins_long_after_the_picture_is_found(tmp_path: Path) -> None:
    parts = [
        write(tmp_path / "1.ts", "mpegts", Film([(0, 12)])),
        write(tmp_path / "2.ts", "mpegts", Film([(12, 4)]), Sound([(12, _stereo(4))], "aac", "stereo")),
    ]
    came = _read(join(tmp_path / "joined.ts", *parts))
    assert [(stream.channels, stream.layout) for stream in came.info.audio] == [(2, "stereo")]
    assert came.level_db(0, 12.2, 15.8) == pytest.approx(LEVEL_DB, abs=1)
    report = came.reports[came.info.audio[0].index]
    assert report.announced_ms == pytest.approx(4_000, abs=50)
    assert report.sent_ms == pytest.approx(4_000, abs=50)
    assert came.level_db(0, 0, 11.8) < -100


def test_a_wav_file_that_states_only_the_length_of_its_beginning_is_read_to_its_end(tmp_path: Path) -> None:
    path = write(tmp_path / "chunks.wav", "wav", Sound([(0, tone(6, 16_000))], rate=16_000))
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = (2 * 16_000).to_bytes(4, "little")
    path.write_bytes(content)
    came = _read(path)
    assert _length_ms(came.audio[0]) == 6_000
    assert came.problems() == set()


def test_a_recording_that_follows_an_empty_one_is_read(tmp_path: Path) -> None:
    empty = tmp_path / "empty.wav"
    empty.write_bytes(write(tmp_path / "one.wav", "wav", Sound([(0, tone(1))])).read_bytes()[:78])
    whole = write(tmp_path / "whole.webm", "webm", Sound([(0, tone(3))], "libopus"))
    header = cut(tmp_path / "header.webm", whole, 0.02)
    came = _read(join(tmp_path / "joined.webm", header, whole))
    assert _length_ms(came.audio[0]) == pytest.approx(3_000, abs=50)
    assert Problem.CUT_OFF in came.problems()
    with pytest.raises(Unusable) as error:
        _read(empty)
    assert error.value.reason is UnreadableReason.NOTHING_DECODED


def test_slides_of_one_picture_a_second_are_complete(tmp_path: Path) -> None:
    came = _read(write(tmp_path / "slides.mkv", "matroska", Sound([(0, tone(10))], "libopus"), Film([(0, 10)], fps=1)))
    assert not any(report.damaged for report in came.reports.values())
    assert came.video[-1].start_ms + came.video[-1].duration_ms == 10_000


def test_a_track_with_two_descriptions_of_its_samples_is_read_to_its_end(tmp_path: Path) -> None:
    first, second = Sound([(0, _stereo(4))], "alac", "stereo"), Sound([(0, tone(4, 24_000))], "alac", "mono", 24_000)
    came = _read(write_two_descriptions(tmp_path / "two.mp4", first, second))
    assert _length_ms(came.audio[0]) == pytest.approx(8_000, abs=20)
    assert came.level_db(0, 4.5, 7.5) == pytest.approx(LEVEL_DB, abs=0.5)
    assert came.problems() == {Problem.PARAMETERS_CHANGED}


def test_a_sound_in_the_middle_of_a_long_film_is_read(tmp_path: Path) -> None:
    before = write(tmp_path / "1.ts", "mpegts", Film([(0, 8)]))
    both = write(tmp_path / "2.ts", "mpegts", Film([(8, 4)]), Sound([(8, _stereo(4))], "aac", "stereo"))
    after = write(tmp_path / "3.ts", "mpegts", Film([(12, 8)]))
    # FFmpeg looks for streams in the first and the last megabytes.
    padding = tmp_path / "padding.ts"
    padding.write_bytes((b"\x47\x1f\xff\x10" + bytes(184)) * 30_000)
    came = _read(join(tmp_path / "joined.ts", before, padding, both, padding, after))
    assert came.level_db(0, 8.5, 11.5) == pytest.approx(LEVEL_DB, abs=1)
    assert came.level_db(0, 0, 7.8) < -100
    assert came.video[-1].start_ms + came.video[-1].duration_ms == pytest.approx(20_000, abs=100)
    assert not any(report.damaged for report in came.reports.values())


def test_film_without_times_is_read(tmp_path: Path) -> None:
    came = _read(write(tmp_path / "film.h264", "h264", Film([(0, 3)])))
    assert _length_ms(came.video) == 3_000
    assert not came.problems()


def test_a_transport_stream_whose_times_are_all_the_same_is_read(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.ts", "mpegts", Film([(0, 3)]), Sound([(0, tone(3))], "aac"))
    content = bytearray(whole.read_bytes())
    for packet in range(0, len(content), 188):
        begins_unit, adaptation = content[packet + 1] & 0x40, content[packet + 3] >> 4 & 3
        unit = packet + (5 + content[packet + 4] if adaptation & 2 else 4)
        if begins_unit and content[unit : unit + 3] == b"\0\0\1":
            # The presentation time, and the decoding time behind it.
            for at in range(unit + 9, unit + 9 + 5 * (content[unit + 7] >> 6 & 2) // 2, 5):
                content[at : at + 5] = bytes([content[at] & 0xF0 | 1, 0, 3, 0, 1])
    (tmp_path / "same.ts").write_bytes(content)
    came = _read(tmp_path / "same.ts")
    assert _length_ms(came.video) == 3_000
    assert _length_ms(came.audio[0]) == pytest.approx(3_000, abs=50)
    assert came.problems(0) == came.problems(1) == {Problem.CLOCK_STOPPED}


def test_a_picture_that_is_shown_across_a_second_counts_as_sent(tmp_path: Path) -> None:
    # In a transport stream with AAC, each second begins within a picture.
    report = _read(write(tmp_path / "film.ts", "mpegts", Film([(0, 8)]), Sound([(0, tone(8))], "aac"))).reports[0]
    assert report.announced_ms == 8_000
    assert report.sent_ms == pytest.approx(8_000, abs=40)


def test_a_long_wav_file_that_is_cut_off_announces_its_whole_length(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.wav", "wav", Sound([(0, tone(4))], "pcm_s24le"), options={"rf64": "always"})
    report = _read(cut(tmp_path / "cut.wav", whole, 0.5)).reports[0]
    assert report.announced_ms == pytest.approx(4_000, abs=5)
    assert report.lost_ms == pytest.approx(2_000, abs=10)
    assert report.problems == (Problem.CUT_OFF,)


def test_a_playlist_that_its_recorder_did_not_end_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "part.ts", "mpegts", Sound([(0, tone(2))], "aac"))
    playlist = tmp_path / "call.m3u8"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\npart.ts\n")
    with pytest.raises(Unusable, match=UnreadableReason.CUT_OFF):
        _read(playlist)
    playlist.write_text(playlist.read_text() + "#EXT-X-ENDLIST\n")
    assert _length_ms(_read(playlist).audio[0]) == pytest.approx(2_000, abs=50)


def test_text_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "call.txt").write_text("Hello, this is a call.\n" * 20)
    with pytest.raises(Unusable, match=UnreadableReason.NOT_MEDIA):
        _read(tmp_path / "call.txt")


def test_joined_mp3_files_of_other_bit_rates_are_complete(tmp_path: Path) -> None:
    quiet = write(tmp_path / "quiet.mp3", "mp3", Sound([(0, tone(10, 24_000))], "libmp3lame", rate=24_000))
    loud = write(tmp_path / "loud.mp3", "mp3", Sound([(0, np.repeat(noise(10), 2, axis=0))], "libmp3lame", "stereo"))
    assert loud.stat().st_size > 2 * quiet.stat().st_size
    for first, second in ((quiet, loud), (loud, quiet)):
        came = _read(join(tmp_path / "joined.mp3", first, second))
        assert _length_ms(came.audio[0]) == pytest.approx(20_000, abs=150)
        assert not came.reports[0].damaged


def test_a_program_stream_that_is_cut_off_says_so(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.mpg", "mpeg", Film([(0, 4)], codec="mpeg2video"), Sound([(0, tone(4))], "mp2"))
    assert not _read(whole).reports[0].damaged
    for share in (0.93, 0.61, 0.27):
        assert Problem.CUT_OFF in _read(cut(tmp_path / "cut.mpg", whole, share)).problems()
