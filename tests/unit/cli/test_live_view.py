"""The live table shows the content of records, and reads nothing in them as markup."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import msgspec
import pytest
from msgspec import structs
from rich.console import Console

from stream.cli.displays import JsonDisplay, LineDisplay
from stream.cli.live_view import LiveView, score_bar, share_bars, sparkline
from stream.domain.alert import AlertMode, AlertRecord, AlertState, Severity
from stream.domain.identity import SessionKey
from stream.domain.modality import Modality
from stream.domain.result import Record
from stream.domain.warning_codes import WarningCode
from stream.explain.session_summary import summarise
from stream.rules.condition import Condition
from stream.rules.evaluate import RuleSet
from stream.rules.rule import Rule, RuleBook
from tests.fakes.results import make_explanation, make_partial, make_score

HOSTILE = "[red]x[/red] [link=http://evil]y[/link] :smile: [/]"


def alert() -> AlertRecord:
    """An alert that was raised with the window at 4 s."""
    rule = Rule(name="unhappy", title=HOSTILE, text="It is low.", when=Condition("score < -1.0"), threshold=-1.0, respond="Listen in.")
    rules = RuleSet(RuleBook((replace(rule, value=Condition("score"), severity=Severity.HIGH),)))
    score = make_score(4000, -1.5)
    (raised,) = rules.evaluate(None, score, make_explanation(score)).alerts
    return raised


def drawn(*records: Record, height: int = 40, width: int = 120, styled: bool = False) -> str:
    view = LiveView()
    for record in records:
        view.add(record)
    console = Console(file=io.StringIO(), force_terminal=True, color_system="standard" if styled else None, width=width, height=height)
    console.print(view)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_bar_grows_from_the_middle() -> None:
    assert score_bar(-3.0, 7).plain == "███│···"
    assert score_bar(2.0, 7).plain == "···│██·"
    assert score_bar(0.0, 7).plain == "···│···"
    assert score_bar(9.0, 7).plain == "···│███"


def test_shares_are_small_bars_and_a_missing_modality_is_a_dash() -> None:
    score = msgspec.structs.replace(make_score(4000), shares={Modality.TEXT: 1.0, Modality.AUDIO: 0.5})
    assert share_bars(score).plain == "T ████ A ██   V -    "


def test_a_sparkline_runs_from_minus_three_to_three() -> None:
    assert sparkline(iter([-3.0, 0.0, 3.0, 5.0])) == "▁▅██"


def test_it_shows_score_label_confidence_and_sentence() -> None:
    score = make_score(64_000, -0.5)
    text = drawn(score, make_explanation(score, "The words did it."))
    for part in ("default/call-1", "customer", "1:04", "-0.50", "neutral", "60%", "The words did it.", "1 final window"):
        assert part in text


def test_an_unclear_window_has_no_label() -> None:
    score = msgspec.structs.replace(make_score(64_000, -0.5), warnings=("to_review",))
    text = drawn(score, make_explanation(score))
    assert "unclear" in text
    assert not any(part in text for part in ("neutral", "60%"))


def test_a_window_in_which_nothing_was_said_has_no_number_and_no_place_in_the_sparkline() -> None:
    nothing = make_score(8000, None)
    text = drawn(make_score(4000, -3.0), nothing, make_explanation(nothing, "Nothing was said."))
    assert "Nothing was said." in text
    assert "▁" in text
    assert not set("%+█│") & set(text.replace("│ ", "").replace(" │", ""))
    partial = drawn(msgspec.structs.replace(make_partial(4000), score=None, label=None, confidence=None, shares={}))
    assert "1 partial result" in partial
    assert "%" not in partial


def test_nothing_in_a_record_is_markup() -> None:
    score = make_score(4000)
    text = drawn(score, make_explanation(score, HOSTILE))
    assert HOSTILE in text


def test_a_partial_is_dim_and_does_not_count_as_final() -> None:
    assert "\x1b[1;2m" in drawn(make_partial(4000), styled=True)
    assert "\x1b[1;2m" not in drawn(make_score(4000), styled=True)
    assert "0 final windows  ·  1 partial result" in drawn(make_partial(4000))


def test_an_ended_session_shows_its_summary() -> None:
    score = make_score(4000, 1.0)
    text = drawn(score, summarise(SessionKey("default", "call-1"), 0, [score]))
    assert "ended" in text
    assert "mean +1.00" in text
    assert "best +1.00 at 0:04 (customer)" in text


def test_a_summary_says_how_many_windows_were_shed() -> None:
    whole, shed = make_score(4000, 1.0), make_score(6000, warnings=(WarningCode.SHED,))
    summary = SessionKey("default", "call-1"), 0
    assert "closed early" not in drawn(whole, summarise(*summary, [whole]))
    assert "1 closed early" in drawn(shed, summarise(*summary, [whole, shed]))


def test_a_summary_has_the_mean_arousal_where_there_was_a_voice() -> None:
    excited, written = make_score(4000, arousal=0.75), make_score(6000)
    summary = SessionKey("default", "call-1"), 0
    assert "arousal 0.75" in drawn(excited, summarise(*summary, [excited, written]))
    assert "arousal" not in drawn(written, summarise(*summary, [written]))


def test_a_summary_says_in_how_many_windows_nothing_was_said() -> None:
    spoken, nothing = make_score(4000, 1.0), make_score(6000, None)
    summary = SessionKey("default", "call-1"), 0
    assert "nothing was said" not in drawn(spoken, summarise(*summary, [spoken]))
    assert "1 in which nothing was said" in drawn(spoken, summarise(*summary, [spoken, nothing]))


def test_sessions_that_do_not_fit_are_counted() -> None:
    many = [make_score(4000, session=SessionKey("default", f"s{i:02}")) for i in range(20)]
    text = drawn(*many, height=20)
    assert "s19" in text
    assert "s00" not in text
    assert "not shown" in text
    assert len(text.splitlines()) <= 20


def test_before_the_first_window_it_says_that_it_waits() -> None:
    assert "waiting" in drawn()


def test_without_a_terminal_each_final_window_is_a_line() -> None:
    console = Console(file=io.StringIO(), width=80)
    display = LineDisplay(console)
    score = make_score(4000, -1.5)
    for record in (make_partial(4000), score, make_explanation(score, HOSTILE), summarise(SessionKey("default", "call-1"), 0, [score])):
        display.show(record)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("call-1/customer 0:04 ")
    assert lines[1] == f"  {HOSTILE}"
    assert lines[2] == "call-1 ended: 1 window, mean -1.50"


def test_an_alert_is_a_line_of_its_own() -> None:
    console = Console(file=io.StringIO(), width=200)
    LineDisplay(console).show(alert())
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == (f"call-1/customer 0:04 alert raised: {HOSTILE} (high, rule unhappy, value -1.5, threshold -1)\n")


def test_open_alerts_stand_below_their_track_until_they_are_cleared() -> None:
    raised = alert()
    picture = drawn(make_score(4000, -1.5), raised)
    assert f"! {HOSTILE}  since 0:00  Listen in." in picture
    assert "1 alert" in picture
    assert HOSTILE not in drawn(make_score(4000, -1.5), raised, structs.replace(raised, state=AlertState.CLEARED))
    assert HOSTILE not in drawn(make_score(4000, -1.5), structs.replace(raised, mode=AlertMode.SHADOW))


def test_a_line_says_that_nothing_was_said() -> None:
    console = Console(file=io.StringIO(), width=80)
    LineDisplay(console).show(make_score(4000, None))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "call-1/customer 0:04 nothing was said\n"


def test_json_is_one_object_a_line_with_the_event_first(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    display = JsonDisplay()
    display.show(make_score(4000))
    display.show(make_partial(6000))
    lines = capfdbinary.readouterr().out.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["score", "partial"]
    assert lines[0].startswith(b'{"event":"score"')
