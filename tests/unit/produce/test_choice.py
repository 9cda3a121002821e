"""What of a file is sent, what is left out, and why."""

from __future__ import annotations

import pytest

from stream.domain.modality import Modality
from stream.media.errors import SourceError
from stream.media.media_info import AudioSource, Content, MediaInfo, Selection, StreamInfo, Survey, UnusableStream
from stream.produce.choice import Wish, choose

VOICE, SOUND, SILENT, FACE, PICTURE, UNREADABLE = (
    Content.VOICE, Content.SOUND, Content.SILENT, Content.FACE, Content.PICTURE, Content.UNREADABLE,
)  # fmt: skip


def audio(channels: int = 1, title: str = "", language: str = "") -> StreamInfo:
    layout = {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels")
    return StreamInfo(0, Modality.AUDIO, "aac", channels, layout, title, language)


def video() -> StreamInfo:
    return StreamInfo(0, Modality.VIDEO, "h264")


def survey(*streams: tuple[StreamInfo, Content]) -> Survey:
    """A file with these streams, in this order."""
    numbered = [StreamInfo(index, s.modality, s.codec, s.channels, s.layout, s.title, s.language) for index, (s, _) in enumerate(streams)]
    sound = tuple(stream for stream in numbered if stream.modality is Modality.AUDIO)
    picture = tuple(stream for stream in numbered if stream.modality is Modality.VIDEO)
    return Survey(MediaInfo(8000, sound, picture), {index: content for index, (_, content) in enumerate(streams)})


def test_the_first_voice_and_the_first_face_are_sent_and_the_others_are_named_with_their_reason() -> None:
    found = survey((video(), PICTURE), (audio(2, "Desktop"), SILENT), (audio(2, "Mic", "eng"), VOICE), (video(), FACE), (audio(), SOUND))
    choice = choose(found, Wish())
    assert choice.selection == Selection((AudioSource(2),), 3)
    assert [(track.track, track.audio, track.video) for track in choice.tracks] == [("speaker", AudioSource(2), True)]
    assert choice.notices == (
        'audio track 1 ("Desktop", stereo) is left out: it is silent where it was tried',
        "audio track 3 (mono) is left out: no voice was found where it was tried",
        "video track 1 (h264) is left out: no face was found where it was tried",
    )
    assert not any(stream.missing for stream in choice.left_out)


def test_a_second_voice_that_is_left_out_is_missing_and_the_note_says_how_to_send_it() -> None:
    choice = choose(survey((video(), FACE), (audio(language="eng"), VOICE), (audio(language="fra"), VOICE)), Wish(split=True))
    assert choice.selection == Selection((AudioSource(1),), 0)
    assert [stream.missing for stream in choice.left_out] == [True]
    assert choice.notices == (
        "audio track 2 (fra, mono) is left out: it is not the first with a voice",
        "--audio-track N sends another audio track, --channels NAME,NAME makes a speaker of each (`-` leaves one out)",
    )


def test_a_call_with_an_audio_track_for_each_speaker_becomes_a_track_for_each() -> None:
    agent, customer, music = audio(title="Agent"), audio(title="Customer"), audio()
    choice = choose(survey((agent, VOICE), (music, SOUND), (customer, VOICE)), Wish(split=True))
    assert [(track.track, track.role, track.audio) for track in choice.tracks] == [
        ("agent", "agent", AudioSource(0)),
        ("customer", "customer", AudioSource(2)),
    ]
    assert choice.notices[0].startswith("each audio track is a speaker: agent is audio track 1, customer is audio track 3;")
    untitled = choose(survey((audio(), VOICE), (audio(), VOICE)), Wish(split=True))
    assert [track.track for track in untitled.tracks] == ["speaker-1", "speaker-2"]
    assert untitled.left_out == ()


@pytest.mark.parametrize(
    ("found", "wish"),
    [
        (survey((audio(language="eng"), VOICE), (audio(language="fra"), VOICE)), Wish(split=True)),
        (survey((audio(), VOICE), (audio(), VOICE)), Wish(split=False)),
        (survey((audio(), VOICE), (audio(), VOICE)), Wish(split=True, audio_track=1)),
        (survey((audio(), VOICE), (audio(), VOICE), (video(), FACE)), Wish(split=True)),
    ],
)
def test_other_files_with_two_voices_are_one_track(found: Survey, wish: Wish) -> None:
    choice = choose(found, wish)
    assert [(track.track, track.audio) for track in choice.tracks] == [("speaker", AudioSource(0))]
    # What the user chose is not missing.
    assert [stream.missing for stream in choice.left_out] == [wish.audio_track is None]


@pytest.mark.parametrize(
    ("found", "sources"),
    [
        (survey((audio(2), VOICE)), [AudioSource(0, 0), AudioSource(0, 1)]),
        (survey((audio(), VOICE), (audio(), VOICE)), [AudioSource(0), AudioSource(1)]),
        (survey((audio(2), VOICE), (audio(2), VOICE)), [AudioSource(0), AudioSource(1)]),
        (survey((audio(), VOICE), (audio(), SILENT)), [AudioSource(0), AudioSource(1)]),
        (survey((audio(2), SILENT), (audio(), VOICE), (audio(), VOICE)), [AudioSource(1), AudioSource(2)]),
        (survey((audio(1), SOUND), (audio(1), SILENT), (audio(2), VOICE)), [AudioSource(2, 0), AudioSource(2, 1)]),
        (survey((audio(2), SILENT), (audio(6), SOUND), (audio(2), VOICE)), [AudioSource(2, 0), AudioSource(2, 1)]),
    ],
)
def test_names_of_speakers_mean_audio_tracks_or_the_channels_of_one(found: Survey, sources: list[AudioSource]) -> None:
    choice = choose(found, Wish(channels=("agent", "customer")))
    assert [track.audio for track in choice.tracks] == sources
    assert [(track.track, track.role) for track in choice.tracks] == [("agent", "agent"), ("customer", "customer")]
    assert choice.selection == Selection(tuple(sources))


def test_an_audio_track_can_be_chosen_for_its_channels_and_a_name_can_be_left_out() -> None:
    found = survey((audio(2), VOICE), (audio(2), VOICE), (audio(2), VOICE))
    channels = choose(found, Wish(channels=("agent", "customer"), audio_track=2))
    assert [track.audio for track in channels.tracks] == [AudioSource(1, 0), AudioSource(1, 1)]
    without_mix = choose(found, Wish(channels=("-", "agent", "customer")))
    assert without_mix.notices[0] == "each audio track is a speaker: agent is audio track 2, customer is audio track 3"
    assert [(track.track, track.audio) for track in without_mix.tracks] == [("agent", AudioSource(1)), ("customer", AudioSource(2))]
    assert [(stream.track, stream.missing) for stream in without_mix.left_out] == [(1, False)]


@pytest.mark.parametrize(
    ("found", "wish", "message"),
    [
        (survey((audio(), VOICE)), Wish(channels=("a", "b")), "has 2 names, but the file has 1 audio channel in one track"),
        (
            survey((audio(2, "Mix"), VOICE), (audio(1, language="eng"), VOICE)),
            Wish(channels=("a", "b", "c")),
            r"has 3 names, but the file has 2 audio tracks: 1 \(\"Mix\", stereo\), 2 \(eng, mono\)",
        ),
        # Which of them is the mix of the others is not known.
        (survey((audio(2), VOICE), (audio(2), SOUND), (audio(2), VOICE)), Wish(channels=("a", "b")), "the file has 3 audio tracks"),
        (survey((video(), FACE)), Wish(channels=("a", "b")), "the file has no audio track that can be read"),
        (survey((audio(), VOICE)), Wish(audio_track=2), "there is no audio track 2: the file has 1 audio channel in one track"),
        (survey((video(), FACE), (video(), FACE)), Wish(video_track=3), "there is no video track 3: the file has 2 video tracks"),
        (survey((audio(2), VOICE), (video(), FACE)), Wish(channels=("a", "b"), video_track=1), "exclude each other"),
        (survey((audio(), UNREADABLE), (video(), FACE)), Wish(audio_track=1), "audio track 1 cannot be sent"),
        (survey((audio(2), VOICE)), Wish(channels=("a", "A")), "twice"),
        (survey((audio(2), VOICE)), Wish(channels=("-", "-")), "must name 1 to 32"),
    ],
)
def test_what_the_file_does_not_have_is_refused_with_what_it_has(found: Survey, wish: Wish, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        choose(found, wish)


def test_the_video_of_several_speakers_is_left_out() -> None:
    choice = choose(survey((audio(2), VOICE), (video(), FACE)), Wish(channels=("agent", "customer")))
    assert choice.selection.video is None
    assert choice.notices == ("video track 1 (h264) is left out: with several speakers it is unknown whose face it shows",)


def test_a_stream_that_cannot_be_decoded_is_missing_unless_another_one_is_sent() -> None:
    spatial = UnusableStream(1, Modality.AUDIO, "apac", "there is no decoder for its codec")
    memo = Survey(MediaInfo(8000, (audio(),), (), (spatial,)), {0: VOICE})
    assert [(stream.track, stream.reason, stream.missing) for stream in choose(memo, Wish()).left_out] == [
        (2, "there is no decoder for its codec", False)
    ]
    film = Survey(MediaInfo(8000, (), (video(),), (spatial,)), {0: FACE})
    assert [(stream.track, stream.missing) for stream in choose(film, Wish()).left_out] == [(1, True)]
    with pytest.raises(SourceError, match="audio track 1 cannot be sent: there is no decoder"):
        choose(film, Wish(audio_track=1))


def test_a_stream_in_which_nothing_was_found_is_read_if_there_is_no_other_so_that_the_report_has_it() -> None:
    assert choose(survey((audio(), UNREADABLE), (video(), FACE)), Wish()).selection == Selection((AudioSource(0),), 1)
    choice = choose(survey((audio(), UNREADABLE), (audio(), SOUND)), Wish())
    assert choice.selection == Selection((AudioSource(1),))
    assert [(stream.track, stream.reason, stream.missing) for stream in choice.left_out] == [(1, "nothing of it could be decoded", False)]


def test_players_count_undecodable_tracks_as_well() -> None:
    first = UnusableStream(0, Modality.AUDIO, "apac", "there is no decoder for its codec")
    second = StreamInfo(1, Modality.AUDIO, "aac", 1, "mono")
    found = Survey(MediaInfo(8000, (second,), (), (first,)), {1: VOICE})
    assert choose(found, Wish(audio_track=2)).selection == Selection((AudioSource(1),))


def test_silence_and_a_picture_without_a_face_are_said() -> None:
    choice = choose(survey((audio(), SILENT), (video(), PICTURE)), Wish())
    assert choice.notices == ("the sound is silent where it was tried", "no face was found where the picture was tried")
