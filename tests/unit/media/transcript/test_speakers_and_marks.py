"""Names of speakers, and marks that nobody speaks."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from stream.media.errors import TranscriptError
from stream.media.transcript.read import Transcript, parse_transcript


def transcript_of(*cues: str, names: Sequence[str] = ()) -> Transcript:
    """A WebVTT file with a cue of two seconds for each text."""
    blocks = (
        f"{2 * i // 60:02}:{2 * i % 60:02}.000 --> {(2 * i + 2) // 60:02}:{(2 * i + 2) % 60:02}.000\n{cue}\n" for i, cue in enumerate(cues)
    )
    return parse_transcript(("WEBVTT\n\n" + "\n".join(blocks)).encode(), ".vtt", speakers=names)


def spoken(*cues: str, names: Sequence[str] = ()) -> list[tuple[str | None, str]]:
    """Speaker and text of each turn."""
    turns: list[tuple[str | None, str]] = []
    for word in transcript_of(*cues, names=names).words:
        if turns and turns[-1][0] == word.speaker:
            turns[-1] = (word.speaker, f"{turns[-1][1]} {word.text}")
        else:
            turns.append((word.speaker, word.text))
    return turns


def text(*cues: str) -> str:
    return " ".join(word.text for word in transcript_of(*cues).words)


@pytest.mark.parametrize(
    ("cues", "turns"),
    [
        (("Agent: I am happy", "Customer: thank you", "Customer: yes"), [("Agent", "I am happy"), ("Customer", "thank you yes")]),
        (("Anna Meier: hello", "Ben: hi"), [("Anna Meier", "hello"), ("Ben", "hi")]),
        (("Anna: hello", "how are you", "Ben: fine", "Anna: good"), [("Anna", "hello how are you"), ("Ben", "fine"), ("Anna", "good")]),
        (("Anna: hello\nBen: hi", "Anna: bye"), [("Anna", "hello"), ("Ben", "hi"), ("Anna", "bye")]),
        ((">> ANNA: hello", ">> hi"), [("ANNA", "hello"), (None, "hi")]),
        ((">> ANNA: hello >> BEN: hi", "yes"), [("ANNA", "hello"), ("BEN", "hi yes")]),
        (("&gt;&gt; ANNA: hello", "- [Ben] hi"), [("ANNA", "hello"), ("Ben", "hi")]),
        (("[Speaker 1] hello", "[Speaker 2]: hi"), [("Speaker 1", "hello"), ("Speaker 2", "hi")]),
        (("[SPEAKER_00]: hello", "[SPEAKER_01]: hi"), [("SPEAKER_00", "hello"), ("SPEAKER_01", "hi")]),
        (("Speaker 1: hello",), [("Speaker 1", "hello")]),
        (("Speaker 1\nhello", "Speaker 2\nhi"), [("Speaker 1", "hello"), ("Speaker 2", "hi")]),
        (("- [Whispering] hello", "- [Anna] hi"), [(None, "hello"), ("Anna", "hi")]),
        (("spk_0: hello", "spk_1: hi"), [("spk_0", "hello"), ("spk_1", "hi")]),
        (("(Speaker 1): hello",), [("Speaker 1", "hello")]),
        (("Unknown Speaker: hello",), [("Unknown Speaker", "hello")]),
        (("Interviewer: hello",), [("Interviewer", "hello")]),
        (("MAN #1: hello", "WOMAN 2: hi"), [("MAN #1", "hello"), ("WOMAN 2", "hi")]),
        (("Anna (Guest): hello", "Dr. Ben van der Berg: hi"), [("Anna", "hello"), ("Dr. Ben van der Berg", "hi")]),
        (("Smith, John: hello", "Smith, John: bye"), [("Smith, John", "hello bye")]),
        (("\u5f20\u4e09\uff1a\u4f60\u597d", "\u674e\u56db: hi"), [("\u5f20\u4e09", "\u4f60\u597d"), ("\u674e\u56db", "hi")]),
        (("anna: a", "ben: b", "anna: c", "ben: d"), [("anna", "a"), ("ben", "b"), ("anna", "c"), ("ben", "d")]),
        (("Q: why", "A: because", "Q: how"), [("Q", "why"), ("A", "because"), ("Q", "how")]),
        (("<v Anna>hello</v>", "<v Ben>Note: this</v>"), [("Anna", "hello"), ("Ben", "Note: this")]),
        (("<v Anna>hello</v>", "hi"), [("Anna", "hello"), (None, "hi")]),
        (("- hello\n- hi", "-Yes I do"), [(None, "hello hi Yes I do")]),
        (("<v Anna>DA", "<v Anna>-LLE."), [("Anna", "DA -LLE.")]),
        (("a high", "-end phone"), [(None, "a high -end phone")]),
        (("Anna: hello", "- hi", "Anna: bye"), [("Anna", "hello"), (None, "hi"), ("Anna", "bye")]),
    ],
)
def test_speakers_are_named(cues: tuple[str, ...], turns: list[tuple[str | None, str]]) -> None:
    assert spoken(*cues) == turns


@pytest.mark.parametrize(
    "cue",
    [
        "Note: this",
        "Remember: to call",
        "10:30 is late",
        "at 10: they left",
        "The thing is: I go",
        "So: yes",
        "Chapter 2: home",
        "see http://x",
        "a:b",
    ],
)
def test_a_text_before_a_colon_is_often_no_name(cue: str) -> None:
    assert spoken(cue, "and then", cue, "they went home") == [(None, f"{cue} and then {cue} they went home")]


def test_a_name_that_begins_a_cue_once_in_many_is_no_speaker() -> None:
    cues = [f"word {i}" for i in range(20)]
    assert {speaker for speaker, _ in spoken("Bonus: well", *cues)} == {None}


def test_a_repeated_name_is_a_speaker_although_most_cues_have_none() -> None:
    cues = ["Anna: one", *["more"] * 8, "Ben: two", *["more"] * 4, "Anna: three", "Ben: four"]
    assert {speaker for speaker, _ in spoken(*cues)} == {"Anna", "Ben"}


def test_the_name_of_a_track_is_a_speaker_at_once_in_any_case() -> None:
    assert spoken("ivan: hello", *["word"] * 5) == [(None, "ivan: hello word word word word word")]
    assert spoken("IVAN: hello", *["word"] * 5, names=("Ivan",)) == [("IVAN", "hello word word word word word")]


@pytest.mark.parametrize(
    ("cue", "left"),
    [
        ("[BLANK_AUDIO]", ""),
        ("[MUSIC]", ""),
        ("[ Silence ]", ""),
        ("(hold music)", ""),
        ("(upbeat music playing)", ""),
        ("*laughs*", ""),
        ("\u266a la la la \u266a", ""),
        ("\u266a\u266a", ""),
        ("\u266a la la\nso good", "so good"),
        ("so good \u266a", "so good"),
        ("\u266a la \u266a so good \u266a la \u266a", "so good"),
        ("so [laughter] good", "so good"),
        ("[Anna sighs] so good", "so good"),
        ("so (inaudible) good", "so good"),
        ("\u3010\u97f3\u697d\u3011", ""),
        ("(I think so) good", "(I think so) good"),
        ("so *very* good", "so *very* good"),
        ("<i>so</i> good", "so good"),
        ("so good <|endoftext|>", "so good"),
        ("so - good - yes", "so good yes"),
        ("so good !", "so good!"),
        ("good \U0001f642", "good \U0001f642"),
        ("5 % & more", "5 % & more"),
        ("Transcribed by https://otter.ai", ""),
        ("Subtitles by the Amara.org community", ""),
        ("It was transcribed by my sister", "It was transcribed by my sister"),
    ],
)
def test_marks_that_nobody_speaks_are_no_words(cue: str, left: str) -> None:
    assert text(cue, "yes") == f"{left} yes".strip()


def test_marks_are_counted_by_kind_and_said() -> None:
    transcript = transcript_of("[MUSIC]", "so <i>good</i> (laughter)", "\u266a la \u266a", "Transcribed by https://otter.ai")
    assert transcript.notices == ("marks that nobody speaks are left out: 2 sounds, 1 music, 1 credits, 2 formatting",)


def test_a_transcript_of_marks_alone_says_that_nobody_speaks() -> None:
    with pytest.raises(TranscriptError, match="no words, only 2 marks such as sounds: nobody speaks in it"):
        transcript_of("[MUSIC]", "[BLANK_AUDIO]")


def test_names_are_short_printable_and_on_one_line() -> None:
    assert transcript_of(f"<v An\u200bna {'x' * 100}>hello").speakers == (f"Anna {'x' * 59}",)
