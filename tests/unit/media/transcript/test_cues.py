"""WebVTT and SRT as tools and people write them: each variant holds the same words at the same times."""

from __future__ import annotations

import pytest

from stream.domain.features import Word
from stream.media.errors import TranscriptError
from stream.media.transcript.read import Transcript, parse_transcript

GOOD = [("so", 100, 1233), ("good", 1233, 3500), ("thank", 3600, 5100), ("you", 5100, 6000)]

VARIANTS = {
    "plain WebVTT": "WEBVTT\n\n00:00:00.100 --> 00:00:03.500\nso good\n\n00:00:03.600 --> 00:00:06.000\nthank you\n",
    "plain SRT": "1\n00:00:00,100 --> 00:00:03,500\nso good\n\n2\n00:00:03,600 --> 00:00:06,000\nthank you\n",
    "no blank line after the header": "WEBVTT\n00:00:00.100 --> 00:00:03.500\nso good\n\n00:00:03.600 --> 00:00:06.000\nthank you\n",
    "no blank line after the header, with numbers": (
        "WEBVTT\n1\n00:00:00.100 --> 00:00:03.500\nso good\n\n2\n00:03.600 --> 00:06.000\nthank you"
    ),
    "no blank line between SRT cues": "1\n00:00:00,100 --> 00:00:03,500\nso good\n2\n00:00:03,600 --> 00:00:06,000\nthank you\n",
    "no blank line between WebVTT cues": "WEBVTT\n\n00:00:00.100 --> 00:00:03.500\nso good\n00:00:03.600 --> 00:00:06.000\nthank you\n",
    "a blank line in a cue": "1\n00:00:00,100 --> 00:00:03,500\nso\n\ngood\n\n2\n00:00:03,600 --> 00:00:06,000\nthank you\n",
    "blank lines in a WebVTT cue": "WEBVTT\n\n00:00:00.100 --> 00:00:03.500\n\nso\n\ngood\n\n00:00:03.600 --> 00:00:06.000\nthank\n\n\nyou",
    "a payload line of one blank": "WEBVTT\n\n00:00:00.100 --> 00:00:03.500\n \nso good\n \n\n00:00:03.600 --> 00:00:06.000\nthank you\n",
    "two digits of milliseconds": "1\n00:00:00,10 --> 00:00:03,50\nso good\n\n2\n00:00:03,60 --> 00:00:06,00\nthank you\n",
    "one digit everywhere": "1\n0:0:0,1 --> 0:0:3,5\nso good\n\n2\n0:0:3,6 --> 0:0:6,0\nthank you\n",
    "microseconds": "1\n00:00:00,100000 --> 00:00:03,500000\nso good\n\n2\n00:00:03,600000 --> 00:00:06,000000\nthank you\n",
    "missing milliseconds where they are zero": "1\n00:00:00,100 --> 00:00:03,500\nso good\n\n2\n00:00:03,600 --> 00:00:06\nthank you\n",
    "no hours": "1\n00:00,100 --> 00:03,500\nso good\n\n2\n00:03,600 --> 00:06,000\nthank you\n",
    "hours of many digits": "1\n0000:00:00,100 --> 0000:00:03,500\nso good\n\n2\n0000:00:03,600 --> 0000:00:06,000\nthank you\n",
    "a dot and a comma": "1\n00:00:00.100 --> 00:00:03,500\nso good\n\n2\n00:00:03,600 --> 00:00:06.000\nthank you\n",
    "a colon before the milliseconds": "1\n00:00:00:100 --> 00:00:03:500\nso good\n\n2\n00:00:03:600 --> 00:00:06:000\nthank you\n",
    "a colon before the milliseconds and no hours": "1\n00:00:100 --> 00:03:500\nso good\n\n2\n00:03:600 --> 00:06:000\nthank you\n",
    "blanks within the times": "1\n00: 00: 00, 100 --> 00: 00: 03, 500\nso good\n\n2\n00:00:03 ,600 --> 00:00:06 ,000\nthank you\n",
    "an arrow without blanks": "1\n00:00:00,100-->00:00:03,500\nso good\n\n2\n00:00:03,600-->00:00:06,000\nthank you\n",
    "a short arrow": "1\n00:00:00,100 -> 00:00:03,500\nso good\n\n2\n00:00:03,600 -> 00:00:06,000\nthank you\n",
    "a typeset arrow": "1\n00:00:00,100 \u2013> 00:00:03,500\nso good\n\n2\n00:00:03,600 → 00:00:06,000\nthank you\n",
    "a torn arrow": "1\n00:00:00,100 -- > 00:00:03,500\nso good\n\n2\n00:00:03,600 --> 00:00:06,000\nthank you\n",
    "blanks and tabs around the times": (
        "1\n  00:00:00,100\t-->\t00:00:03,500  \nso good\n\n2\n\t00:00:03,600 --> 00:00:06,000\t\nthank you\n"
    ),
    "positions": (
        "1\n00:00:00,100 --> 00:00:03,500 X1:100 X2:200 Y1:10 Y2:20\nso good\n\n2\n00:00:03,600 --> 00:00:06,000  X1:1 Y1:2\nthank you\n"
    ),
    "settings": (
        "WEBVTT\n\n00:00:00.100 --> 00:00:03.500 align:start position:0% line:-1\nso good\n\n"
        "00:03.600 --> 00:06.000 region:fred\nthank you\n"
    ),
    "CRLF": "1\r\n00:00:00,100 --> 00:00:03,500\r\nso good\r\n\r\n2\r\n00:00:03,600 --> 00:00:06,000\r\nthank you\r\n",
    "CR": "1\r00:00:00,100 --> 00:00:03,500\rso good\r\r2\r00:00:03,600 --> 00:00:06,000\rthank you\r",
    "mixed ends of lines": "1\r\n00:00:00,100 --> 00:00:03,500\nso good\r\r2\n00:00:03,600 --> 00:00:06,000\r\nthank you",
    "doubled carriage returns": (
        "1\r\r\n00:00:00,100 --> 00:00:03,500\r\r\nso good\r\r\n\r\r\n2\r\r\n00:00:03,600 --> 00:00:06,000\r\r\nthank you"
    ),
    "a byte order mark": "\ufeff1\n00:00:00,100 --> 00:00:03,500\nso good\n\n2\n00:00:03,600 --> 00:00:06,000\nthank you\n",
    "a header with text and metadata": (
        "WEBVTT - made by a tool\nKind: captions\nLanguage: en\n\n"
        "00:00:00.100 --> 00:00:03.500\nso good\n\n00:03.600 --> 00:06.000\nthank you"
    ),
    "metadata without a header": (
        "Kind: captions\nLanguage: en\n\n00:00:00.100 --> 00:00:03.500\nso good\n\n00:00:03.600 --> 00:00:06.000\nthank you"
    ),
    "notes, styles and regions": (
        "WEBVTT\n\nSTYLE\n::cue { color: red }\n\nREGION\nid:fred\nwidth:40%\n\n"
        "NOTE a --> b\nnot this\n\n1\n00:00:00.100 --> 00:00:03.500\n"
        "so good\n\nNOTE\nnor this\n\n2\n00:00:03.600 --> 00:00:06.000\nthank you\n\nNOTE last"
    ),
    "names of cues": "WEBVTT\n\nintro\n00:00:00.100 --> 00:00:03.500\nso good\n\na1b2-c3/12-0\n00:00:03.600 --> 00:00:06.000\nthank you\n",
    "SRT under the name of WebVTT": "1\n00:00:00,100 --> 00:00:03,500\nso good\n\n2\n00:00:03,600 --> 00:00:06,000\nthank you\n",
    "no numbers": "00:00:00,100 --> 00:00:03,500\nso good\n\n00:00:03,600 --> 00:00:06,000\nthank you\n",
    "repeated numbers": "1\n00:00:00,100 --> 00:00:03,500\nso good\n\n1\n00:00:03,600 --> 00:00:06,000\nthank you\n",
    "numbers with signs": "#1\n00:00:00,100 --> 00:00:03,500\nso good\n\n2.\n00:00:03,600 --> 00:00:06,000\nthank you\n",
    "a blank line between number and times": "1\n\n00:00:00,100 --> 00:00:03,500\nso good\n\n2\n00:00:03,600 --> 00:00:06,000\nthank you\n",
    "blank lines between numbers and times": (
        "1\n\n00:00:00,100 --> 00:00:03,500\n\nso good\n\n2\n\n00:00:03,600 --> 00:00:06,000\n\nthank you\n\n"
    ),
    "unordered cues": "2\n00:00:03,600 --> 00:00:06,000\nthank you\n\n1\n00:00:00,100 --> 00:00:03,500\nso good\n",
    "an empty cue": (
        "1\n00:00:00,100 --> 00:00:03,500\nso good\n\n2\n00:00:03,500 --> 00:00:03,600\n\n3\n00:00:03,600 --> 00:00:06,000\nthank you\n"
    ),
    "a cue twice": (
        "1\n00:00:00,100 --> 00:00:03,500\nso good\n\n2\n00:00:03,600 --> 00:00:06,000\nthank you\n\n3\n"
        "00:00:03,600 --> 00:00:06,000\nthank you\n"
    ),
    "SBV": "0:00:00.100,0:00:03.500\nso good\n\n0:00:03.600,0:00:06.000\nthank you\n",
    "Whisper's terminal": "[00:00.100 --> 00:03.500]  so good\n[00:03.600 --> 00:06.000]  thank you\n",
    "whisper.cpp's terminal": "[00:00:00.100 --> 00:00:03.500]   so good\n[00:00:03.600 --> 00:00:06.000]   thank you\n",
    "formatting": (
        '1\n00:00:00,100 --> 00:00:03,500\n{\\an8}<i>so</i> <font color="#fff">good</font>\n\n2\n'
        "00:03,600 --> 00:06,000\n<b>th</b>ank\\Nyou"
    ),
    "entities": "WEBVTT\n\n00:00:00.100 --> 00:00:03.500\nso&nbsp;good\n\n00:00:03.600 --> 00:00:06.000\n&lrm;thank &#121;ou\n",
    "escaped tags": "1\n00:00:00,100 --> 00:00:03,500\n&lt;i&gt;so good&lt;/i&gt;\n\n2\n00:00:03,600 --> 00:00:06,000\nthank you\n",
    "characters without width": (
        "1\n00:00:00,100 --> 00:00:03,500\n\u200bso\u200b \ufeffgood\u00ad\n\n2\n00:00:03,600 --> 00:00:06,000\n\u202athank\u202c you\n"
    ),
}


def times(transcript: Transcript) -> list[tuple[str, int, int]]:
    return [(word.text, word.start_ms, word.end_ms) for word in transcript.words]


def texts(text: str, suffix: str = ".srt") -> list[str]:
    return [word.text for word in parse_transcript(text.encode(), suffix).words]


@pytest.mark.parametrize("suffix", [".vtt", ".srt"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_each_variant_holds_the_same_words_at_the_same_times(variant: str, suffix: str) -> None:
    assert times(parse_transcript(VARIANTS[variant].encode(), suffix)) == GOOD


def test_a_fraction_is_decimal_however_many_digits_it_has() -> None:
    transcript = parse_transcript(b"0:0:3,5 --> 0:0:4,25\nhello\n", ".srt")
    assert times(transcript) == [("hello", 3500, 4250)]


def test_seconds_beyond_59_and_bare_seconds_are_counted() -> None:
    assert times(parse_transcript(b"1\n00:00:75,500 --> 00:00:76,500\nhello\n", ".srt")) == [("hello", 75_500, 76_500)]
    assert times(parse_transcript(b"[0.031 --> 3.5]  hello\n", ".srt")) == [("hello", 31, 3500)]


def test_a_number_that_somebody_says_is_a_word() -> None:
    assert texts("1\n00:00:00,000 --> 00:00:01,000\n42\n2\n00:00:01,000 --> 00:00:02,000\nyes\n") == ["42", "yes"]
    assert texts("1\n00:00:00,000 --> 00:00:01,000\n42\n\n2\n00:00:01,000 --> 00:00:02,000\n10\n") == ["42", "10"]
    assert texts("00:00:00,000 --> 00:00:01,000\nhow many\n42\n00:00:01,000 --> 00:00:02,000\nyes\n") == ["how", "many", "42", "yes"]


def test_text_after_a_blank_line_is_no_name_of_a_cue() -> None:
    text = "WEBVTT\n\n00:00.000 --> 00:01.000\none\n\ntwo three\n00:01.000 --> 00:02.000\nfour\n"
    assert texts(text, ".vtt") == ["one", "two", "three", "four"]


def test_negative_times_begin_with_the_recording() -> None:
    text = "1\n-00:00:01,000 --> 00:00:01,000\nfirst\n\n2\n-00:00:03,000 --> -00:00:02,000\nbefore\n\n"
    transcript = parse_transcript(f"{text}3\n00:00:01,000 --> 00:00:02,000\nnext\n".encode(), ".srt")
    assert times(transcript) == [("first", 0, 1000), ("next", 1000, 2000)]
    assert transcript.notices == ("1 of 3 cues are left out: they end before the recording begins",)


def test_cues_without_length_get_one_from_their_text() -> None:
    text = "1\n00:00:01,000 --> 00:00:01,000\nso good\n\n2\n00:00:05,000 --> 00:00:04,000\nyou\n\n3\n00:00:05,100 --> 00:00:06,000\nthere\n"
    transcript = parse_transcript(text.encode(), ".srt")
    assert times(transcript) == [("so", 1000, 1140), ("good", 1140, 1420), ("you", 5000, 5100), ("there", 5100, 6000)]
    assert transcript.notices == ("2 of 3 phrases end before or when they start: their ends are estimated",)


def test_a_word_without_length_stays_as_recognisers_write_it() -> None:
    text = "WEBVTT\n\n00:01.000 --> 00:01.000\nno\n\n00:01.000 --> 00:01.000\nno\n\n"
    text += "00:01.000 --> 00:01.040\nno\n\n00:01.040 --> 00:02.000\nno\n"
    transcript = parse_transcript(text.encode(), ".vtt")
    assert times(transcript) == [("no", 1000, 1000), ("no", 1000, 1000), ("no", 1000, 1040), ("no", 1040, 2000)]
    assert transcript.notices == ()


def test_overlapping_cues_keep_their_times() -> None:
    text = "WEBVTT\n\n00:00.000 --> 00:03.000\nhello\n\n00:01.000 --> 00:02.000\nyes\n"
    assert times(parse_transcript(text.encode(), ".vtt")) == [("yes", 1000, 2000), ("hello", 0, 3000)]


def test_a_cue_whose_times_cannot_be_read_is_left_out_and_said() -> None:
    text = "1\n00:00:00,000 --> 00:00:01,000\none\n\n2\n00:00:xx,000 --> 00:00:02,000\nsecret\n\n3\n00:00:02,000 --> 00:00:03,000\nthree\n"
    transcript = parse_transcript(text.encode(), ".srt")
    assert [word.text for word in transcript.words] == ["one", "three"]
    assert transcript.notices == ("1 of 3 cues are left out: their times cannot be read (the first is in line 6)",)


def test_text_before_the_first_cue_is_left_out_and_said() -> None:
    transcript = parse_transcript(b"A title\n\n1\n00:00:00,000 --> 00:00:01,000\none\n", ".srt")
    assert (texts("A title\n\n1\n00:00:00,000 --> 00:00:01,000\none\n"), transcript.notices) == (
        ["one"],
        ("lines before the first cue are left out: 1 (the first is line 1)",),
    )


def test_x_timestamp_map_moves_the_pieces_of_a_stream_to_their_places() -> None:
    piece = "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:{},MPEGTS:{}\n\n{} --> {}\n{}\n\n"
    text = piece.format("00:00:00.000", 900_000, "00:00:01.000", "00:00:02.000", "one")
    text += piece.format("01:00:00.000", 900_000 + 90_000 * 6, "01:00:00.500", "01:00:01.500", "two")
    text += piece.format("00:00:00.000", 900_000 + 90_000 * 12, "00:00:01.000", "00:00:02.000", "three")
    transcript = parse_transcript(text.encode(), ".vtt")
    assert times(transcript) == [("one", 1000, 2000), ("two", 6500, 7500), ("three", 13_000, 14_000)]
    assert transcript.notices == ("the transcript's times follow its X-TIMESTAMP-MAP",)


def test_x_timestamp_map_of_one_piece_counts_from_its_own_clock() -> None:
    text = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000\n\n00:00:01.000 --> 00:00:02.000\none\n"
    assert times(parse_transcript(text.encode(), ".vtt")) == [("one", 1000, 2000)]


def test_x_timestamp_map_survives_the_wrap_of_the_stream_clock() -> None:
    piece = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:{},LOCAL:00:00:00.000\n\n00:00:01.000 --> 00:00:02.000\n{}\n\n"
    text = piece.format((1 << 33) - 90_000, "one") + piece.format(90_000 * 5, "two")
    assert times(parse_transcript(text.encode(), ".vtt")) == [("one", 1000, 2000), ("two", 7000, 8000)]


def test_a_cue_that_two_pieces_of_a_stream_share_counts_once() -> None:
    head = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n"
    text = f"{head}00:05.000 --> 00:06.000\nso good\n\n{head}00:06.000 --> 00:07.000\nso good\n\n00:07.000 --> 00:08.000\nyes\n"
    assert texts(text, ".vtt") == ["so", "good", "yes"]


def test_an_arrow_between_words_is_text() -> None:
    assert texts("WEBVTT\n\n00:00.000 --> 00:01.000\nfrom a --> b\n", ".vtt") == ["from", "a", "b"]


def test_blocks_of_html_and_braces_are_no_words() -> None:
    assert texts("1\n00:00:00,000 --> 00:00:01,000\n<p>one</p><div>two</div>{b}three{/b}<br>four\n") == ["one", "two", "three", "four"]


def test_lines_less_than_signs_and_hearts_are_text() -> None:
    assert texts("1\n00:00:00,000 --> 00:00:01,000\n5 < 6 and 7 > 3 I <3 you\n") == ["5", "6", "and", "7", "3", "I", "<3", "you"]


def test_ruby_and_the_tokens_of_models_are_no_words() -> None:
    text = "WEBVTT\n\n00:00.000 --> 00:01.000\n<ruby>one<rt>uno</rt></ruby> <|0.00|>two<|2.00|>\n"
    assert texts(text, ".vtt") == ["one", "two"]


def test_voices_of_two_speakers_in_a_cue_share_its_time() -> None:
    words = parse_transcript(b"WEBVTT\n\n00:00.000 --> 00:02.000\n<v Anna Meier>hello<v.loud Ben>there</v>\n", ".vtt").words
    assert words == (Word("hello", 0, 1000, speaker="Anna Meier"), Word("there", 1000, 2000, speaker="Ben"))


def test_inline_times_that_run_backwards_or_too_far_are_pulled_into_the_cue() -> None:
    text = b"WEBVTT\n\n00:01.000 --> 00:04.000\none <00:00:03.000>two <00:00:02.000>three <00:09:00.000>four\n"
    assert times(parse_transcript(text, ".vtt")) == [("one", 1000, 3000), ("two", 3000, 3000), ("three", 3000, 4000), ("four", 4000, 4000)]


def test_ass_and_lrc_are_read() -> None:
    ass = (
        "[Script Info]\nTitle: x\n\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
        "Comment: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,not this\n"
        "Dialogue: 0,0:00:01.00,0:00:02.50,Default,Anna,0,0,0,,{\\i1}so{\\i0}\\Ngood, yes\n"
        "Dialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,{\\p1}m 0 0 l 100 0{\\p0}\n"
    )
    words = parse_transcript(ass.encode(), ".ass").words
    assert [(w.text, w.speaker) for w in words] == [("so", "Anna"), ("good,", "Anna"), ("yes", "Anna")]
    assert (words[0].start_ms, words[-1].end_ms) == (1000, 2500)
    lrc = "[ti:Title]\n[00:01.00]hello\n[00:02.50][00:05.00]there\n"
    assert times(parse_transcript(lrc.encode(), ".lrc")) == [("hello", 1000, 2500), ("there", 2500, 5000), ("there", 5000, 5350)]


def test_lrc_ends_words_and_moves_lines_as_it_says() -> None:
    lrc = "[ti:Title]\n[ar:Anna]\n[al:Album]\n[offset:+500]\n[00:10.00]<00:10.00>so <00:10.50>good<00:11.00>\n[00:20.00]there\n"
    assert times(parse_transcript(lrc.encode(), ".lrc")) == [("so", 9500, 10_000), ("good", 10_000, 10_500), ("there", 19_500, 19_850)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('<?xml version="1.0"?>\n<tt xmlns="http://www.w3.org/ns/ttml"><body/></tt>', "TTML"),
        ("<SAMI><BODY/></SAMI>", "SAMI"),
        ("{0}{25}secret", "MicroDVD"),
        ("<transcript><text>secret</text></transcript>", "XML"),
        ("PK\x03\x04secret", "Word"),
        ("%PDF-1.7 secret", "PDF"),
    ],
)
def test_other_formats_are_refused_by_name(text: str, name: str) -> None:
    with pytest.raises(TranscriptError, match=f"a {name}.*WebVTT, SRT or JSON") as error:
        parse_transcript(text.encode(), ".srt")
    assert "secret" not in str(error.value)
