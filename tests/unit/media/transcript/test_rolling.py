"""Rolling captions count each word once and with its own time."""

from __future__ import annotations

from stream.media.transcript.read import parse_transcript


def times(text: str, suffix: str = ".vtt") -> list[tuple[str, int, int]]:
    return [(word.text, word.start_ms, word.end_ms) for word in parse_transcript(text.encode(), suffix).words]


def texts(*cues: tuple[float, float, str]) -> list[str]:
    blocks = (f"{int(s // 60):02}:{s % 60:06.3f} --> {int(e // 60):02}:{e % 60:06.3f}\n{text}\n" for s, e, text in cues)
    return [word for word, _, _ in times("WEBVTT\n\n" + "\n".join(blocks))]


def test_captions_of_youtube() -> None:
    text = (
        "WEBVTT\nKind: captions\nLanguage: en\n\n00:00:00.100 --> 00:00:03.500 align:start position:0%\n \n"
        "I<00:00:00.600><c> am</c><00:00:01.200><c> happy</c>\n\n00:00:03.500 --> 00:00:03.510 align:start position:0%\nI am happy\n \n\n"
        "00:00:03.510 --> 00:00:06.400 align:start position:0%\nI am happy\nthank<00:00:04.200><c> you</c>\n\n"
        "00:00:06.400 --> 00:00:06.410 align:start position:0%\nthank you\n \n"
    )
    assert times(text) == [("I", 100, 600), ("am", 600, 1200), ("happy", 1200, 3500), ("thank", 3510, 4200), ("you", 4200, 6400)]


def test_captions_of_youtube_after_they_were_made_srt() -> None:
    text = (
        "1\n00:00:00,100 --> 00:00:03,500\nI am happy\n\n2\n00:00:03,500 --> 00:00:03,510\nI am happy\n\n"
        "3\n00:00:03,510 --> 00:00:06,400\nI am happy\nthank you\n\n4\n00:00:06,400 --> 00:00:06,410\nthank you\n\n"
        "5\n00:00:06,410 --> 00:00:09,000\nthank you\nyes\n"
    )
    assert [(word, start_ms) for word, start_ms, _ in times(text, ".srt")] == [
        ("I", 100),
        ("am", 525),
        ("happy", 1375),
        ("thank", 3510),
        ("you", 5316),
        ("yes", 6410),
    ]


def test_two_lines_that_roll_up() -> None:
    assert texts((0, 2, "one two"), (2, 4, "one two\nthree"), (4, 6, "three\nfour five"), (6, 8, "four five\nsix")) == [
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
    ]


def test_three_lines_that_roll_up() -> None:
    cues = ((0, 2, "a b c"), (2, 4, "a b c\nd e f"), (4, 6, "a b c\nd e f\ng"), (6, 8, "d e f\ng\nh"), (8, 10, "g\nh\ni"))
    assert "".join(texts(*cues)) == "abcdefghi"


def test_a_line_that_grows_word_by_word() -> None:
    assert texts((0, 1, "I"), (1, 2, "I am"), (2, 3, "I am very"), (3, 4, "I am very\nhappy")) == ["I", "am", "very", "happy"]


def test_a_line_that_grows_letter_by_letter() -> None:
    assert texts((0, 1, "I a"), (1, 2, "I am ve"), (2, 3, "I am very"), (3, 4, "I am very ha"), (4, 5, "I am very happy")) == [
        "I",
        "am",
        "very",
        "happy",
    ]


def test_what_people_say_twice_counts_twice() -> None:
    assert texts((0, 1, "No."), (1, 2, "No."), (2, 3, "No."), (3, 4, "Why?")) == ["No.", "No.", "No.", "Why?"]
    assert texts((0, 1, "thank you so much"), (1, 2, "thank you so much")) == ["thank", "you", "so", "much"] * 2
    assert texts((0, 1, "I am"), (1, 2, "I am here"), (2, 3, "so"), (3, 4, "are"), (4, 5, "we"), (5, 6, "all")) == [
        "I",
        "am",
        "I",
        "am",
        "here",
        "so",
        "are",
        "we",
        "all",
    ]
    assert texts((0, 1, "so it is"), (5, 6, "so it is\nand yes")) == ["so", "it", "is", "so", "it", "is", "and", "yes"]


def test_a_word_that_is_highlighted_has_the_time_of_its_cue() -> None:
    text = (
        "WEBVTT\n\n00:00.100 --> 00:00.600\n<u>so</u> very good\n\n00:00.600 --> 00:00.700\nso very good\n\n"
        "00:00.700 --> 00:01.200\nso <u>very</u> good\n\n00:01.200 --> 00:02.000\nso very <u>good</u>\n\n"
        "00:02.000 --> 00:03.000\n<u>so</u> very good\n\n"
        "00:03.000 --> 00:04.000\nso <u>very</u> good\n\n00:04.000 --> 00:05.000\nso very <u>good</u>\n"
    )
    assert times(text) == [
        ("so", 100, 600),
        ("very", 700, 1200),
        ("good", 1200, 2000),
        ("so", 2000, 3000),
        ("very", 3000, 4000),
        ("good", 4000, 5000),
    ]


def test_words_of_karaoke_in_srt() -> None:
    text = '1\n00:00:00,000 --> 00:00:01,000\n<font color="#00ff00">so</font> good\n\n'
    text += '2\n00:00:01,000 --> 00:00:02,000\nso <font color="#00ff00">good</font>\n'
    assert times(text, ".srt") == [("so", 0, 1000), ("good", 1000, 2000)]


def test_captions_with_turns_keep_their_turns() -> None:
    text = "1\n00:00:00,000 --> 00:00:02,000\n>> ANNA: so good\n\n2\n00:00:02,000 --> 00:00:04,000\n>> ANNA: so good\n>> BEN: yes it is\n\n"
    text += "3\n00:00:04,000 --> 00:00:06,000\n>> BEN: yes it is\nindeed\n"
    words = parse_transcript(text.encode(), ".srt").words
    assert [(w.text, w.speaker) for w in words] == [
        ("so", "ANNA"),
        ("good", "ANNA"),
        ("yes", "BEN"),
        ("it", "BEN"),
        ("is", "BEN"),
        ("indeed", "BEN"),
    ]
