"""Speech recognition, if the extra is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from stream.domain.modality import Modality
from stream.media import asr
from stream.media.errors import TranscriptError
from stream.media.media_info import AudioSource
from stream.media.source import read_audio
from stream.produce.prepare import NO_TEXT, MediaRequest, prepare
from stream.produce.sample import CALL, FACES
from tests.support import media

needs_asr = pytest.mark.skipif(not asr.installed(), reason="speech recognition is not installed: pip install 'sentistream[asr]'")


@needs_asr
def test_words_have_times_within_the_recording() -> None:
    ((run,),) = read_audio(CALL, [AudioSource(0, 1)])
    words = asr.transcribe(run.samples)
    assert "thank" in " ".join(word.text.lower() for word in words)
    assert all(0 <= word.start_ms <= word.end_ms <= 24_900 and 0.0 <= word.confidence <= 1.0 for word in words)
    assert [word.start_ms for word in words] == sorted(word.start_ms for word in words)


@needs_asr
def test_silence_has_no_words() -> None:
    assert asr.transcribe(np.zeros(16_000, np.int16)) == ()
    assert asr.transcribe(np.zeros(0, np.int16)) == ()


@needs_asr
def test_a_clip_without_a_transcript_gets_words_and_a_notice() -> None:
    steps: list[str] = []
    session = prepare(MediaRequest(FACES), on_step=steps.append)
    assert session.plan.tracks[0].words
    assert steps == ["recognising speech"]
    assert "machine-made" in session.notices[0]


def test_without_recognition_a_notice_says_that_text_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert prepare(MediaRequest(FACES, recognise=False)).notices == (NO_TEXT,)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert prepare(MediaRequest(FACES)).plan.tracks[0].words is None
    with pytest.raises(TranscriptError, match=r"sentistream\[asr\]"):
        prepare(MediaRequest(FACES, recognise=True))


@needs_asr
def test_a_film_whose_sound_cannot_be_decoded_is_sent_without_words(tmp_path: Path) -> None:
    film = tmp_path / "film.mkv"
    media.write_film_with_broken_sound(film)
    session = prepare(MediaRequest(film))
    assert (session.plan.tracks[0].words, session.plan.tracks[0].video) == (None, True)
    assert session.notices[-1] == "the sound cannot be decoded, and there is no transcript: text is absent"
    with session.pieces() as pieces:
        assert {piece.modality for piece in pieces} == {Modality.VIDEO}
        sound, picture = pieces.report.streams
    assert (sound.sent_ms, sound.damaged, picture.sent_ms, picture.damaged) == (0, True, 2000, False)
