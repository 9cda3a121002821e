from __future__ import annotations

import pytest
from typer.testing import CliRunner

from stream.cli.forget import lines
from stream.cli.main import app
from stream.kafka_admin.erasures import LeftInTopic
from stream.sinks.forget import Erased, ForgetReport


@pytest.mark.parametrize("name", ["*", "a/b", "a:b", "../x", "x" * 65, "", "{}", "a\nb"])
def test_a_name_that_no_session_has_is_refused_before_anything_is_asked(name: str) -> None:
    result = CliRunner().invoke(app, ["forget", name])
    assert result.exit_code == 2
    assert "session must be 1 to 64 letters" in result.stderr


def test_the_report_says_what_was_found_what_is_left_and_until_when() -> None:
    left = (LeftInTopic("chunks.text", 12, 1_795_000_000_000), LeftInTopic("feedback", 1, None))
    found = {"keys": Erased(9, 0), "cases": Erased(1, 0), "messages": Erased(2, 0), "windows": Erased(3, 0)}
    report = ForgetReport(tenant="acme", session="call-1", at_ms=1, **found, overwritten=False, topics=left)
    assert not report.complete
    assert lines(report) == [
        "Redis, keys: 9 found, 0 left",
        "moderation queue, cases: 1 found, 0 left",
        "webhooks, messages: 2 found, 0 left",
        "store of windows: 3 found, 0 left",
        "store of windows: copies are left in its log while a worker uses it",
        "Kafka, chunks.text: 12 records left until 2026-11-18T11:06+00:00; nothing uses them any more",
        "Kafka, feedback: 1 records left for as long as the topic keeps records; nothing uses them any more",
    ]


def test_something_that_is_left_is_not_complete() -> None:
    none = Erased(0, 0)
    assert ForgetReport(tenant="acme", session="call-1", at_ms=1, keys=Erased(9, 0), cases=none, messages=none).complete
    assert not ForgetReport(tenant="acme", session="call-1", at_ms=1, keys=Erased(9, 1), cases=none, messages=none).complete


def test_a_name_of_which_nothing_is_known_is_doubted() -> None:
    none = Erased(0, 0)
    assert lines(ForgetReport(tenant="acme", session="call-1", at_ms=1, keys=none, cases=none, messages=none))[-2:] == [
        "Kafka: no records left",
        "nothing was found of acme/call-1: are its name and its tenant right?",
    ]
