from __future__ import annotations

import numpy as np

from stream.domain.features import AudioFeatures, TextFeatures, VideoFeatures, Word
from stream.domain.media_format import FACE_WIDTH, VOICE_WIDTH
from stream.domain.modality import Modality
from stream.domain.window import Window
from tests.fakes.chunks import header


def window(start_ms: int = 0, end_ms: int = 4000, **features: object) -> Window:
    values = {"text": (), "audio": (), "video": ()} | features
    return Window(
        track=header(0).track,
        role="customer",
        epoch=0,
        start_ms=start_ms,
        end_ms=end_ms,
        media_end_ms=end_ms,
        revision=5,
        is_final=True,
        **values,  # type: ignore[arg-type]
    )


def audio(
    start_ms: int, *audible: bool, voiced: tuple[bool, ...] | None = None, confirmed: tuple[bool, ...] | None = None
) -> AudioFeatures:
    starts = start_ms + 100 * np.arange(len(audible))
    spans, embeddings = np.stack([starts, starts + 100], axis=1), np.zeros((len(audible), VOICE_WIDTH), np.float32)
    seeming, certain = (None if found is None else np.array(found) for found in (voiced, confirmed))
    return AudioFeatures(spans, embeddings, np.array(audible), seeming, certain)


def video(*spans: tuple[int, int], faces: int = 1) -> VideoFeatures:
    n = len(spans)
    return VideoFeatures(
        np.array(spans, np.int64).reshape(n, 2),
        np.zeros((n, FACE_WIDTH), np.float32),
        np.zeros((n, 4), np.float32),
        faces_max=faces,
        frames=5,
    )


def test_a_word_is_in_the_windows_in_which_it_ends() -> None:
    spoken = (TextFeatures((Word("late", 3900, 4100), Word("early", 100, 4000))),)
    assert [w.text for w in window(text=spoken).words()] == ["early"]
    assert [w.text for w in window(2000, 6000, text=spoken).words()] == ["early", "late"]


def test_nothing_is_present_in_silence_without_a_face() -> None:
    silent = window(text=(TextFeatures(()),), audio=(audio(0, False, False),), video=(video(faces=0),))
    assert silent.present() == ()


def test_presence_needs_something_inside_the_window() -> None:
    outside = window(text=(TextFeatures((Word("x", 4100, 4200),)),), audio=(audio(4000, True),), video=(video((4000, 4200)),))
    inside = window(text=(TextFeatures((Word("x", 100, 200),)),), audio=(audio(3900, True),), video=(video((3800, 4000)),))
    assert outside.present() == ()
    assert inside.present() == (Modality.TEXT, Modality.AUDIO, Modality.VIDEO)


MUSIC = (True,) * 10
NO_VOICE = (False,) * 10
LEAST_VOICE = (True,) * 3 + (False,) * 7
TOO_LITTLE_VOICE = (True,) * 2 + (False,) * 8


def test_sound_alone_is_present_only_if_it_holds_a_voice() -> None:
    def heard(*chunks: AudioFeatures) -> tuple[Modality, ...]:
        return window(text=(TextFeatures(()),), audio=chunks, video=(video(faces=0),)).present()

    assert heard(audio(0, *MUSIC, voiced=NO_VOICE), audio(1000, *MUSIC, voiced=NO_VOICE)) == ()
    assert heard(audio(0, *MUSIC, voiced=TOO_LITTLE_VOICE)) == ()
    assert heard(audio(0, *MUSIC, voiced=LEAST_VOICE)) == (Modality.AUDIO,)
    assert heard(audio(0, *MUSIC, voiced=TOO_LITTLE_VOICE), audio(2000, *MUSIC, voiced=TOO_LITTLE_VOICE)) == (Modality.AUDIO,)


def test_a_voice_counts_only_inside_the_window_and_where_it_is_audible() -> None:
    assert window(audio=(audio(3800, *MUSIC, voiced=MUSIC),)).present() == ()
    assert window(audio=(audio(3700, *MUSIC, voiced=MUSIC),)).present() == (Modality.AUDIO,)
    assert window(audio=(audio(0, *NO_VOICE, voiced=MUSIC),)).present() == ()


def test_a_voice_that_is_not_confirmed_is_music() -> None:
    assert window(audio=(audio(0, *MUSIC, voiced=MUSIC, confirmed=NO_VOICE),)).present() == ()
    assert window(audio=(audio(0, *MUSIC, voiced=MUSIC, confirmed=LEAST_VOICE),)).present() == (Modality.AUDIO,)


def test_a_short_window_needs_a_tenth_of_voice() -> None:
    hello = (audio(0, *MUSIC, voiced=MUSIC, confirmed=(True, *NO_VOICE[1:])),)
    assert window(0, 1000, audio=hello).present() == (Modality.AUDIO,)
    assert window(0, 1100, audio=hello).present() == ()


def test_all_sound_counts_as_voice_where_the_producer_says_nothing_about_voice() -> None:
    assert window(audio=(audio(0, *LEAST_VOICE),)).present() == (Modality.AUDIO,)
    assert window(audio=(audio(0, *TOO_LITTLE_VOICE),)).present() == ()


def test_beside_a_word_or_a_face_any_sound_is_present() -> None:
    music = (audio(0, *MUSIC, voiced=NO_VOICE),)
    assert window(audio=music, text=(TextFeatures((Word("x", 100, 200),)),)).present() == (Modality.TEXT, Modality.AUDIO)
    assert window(audio=music, video=(video((0, 200)),)).present() == (Modality.AUDIO, Modality.VIDEO)


def test_the_id_is_the_same_for_every_revision() -> None:
    assert window().id == "acme/call-1/customer/0-4000"


def test_faces_max_is_the_most_in_any_chunk() -> None:
    assert window(video=(video((0, 200)), video((1000, 1200), faces=3))).faces_max == 3
