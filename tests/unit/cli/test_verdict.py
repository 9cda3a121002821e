"""A mistake in a verdict is named before anything is sent."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from stream.cli.main import app

pytestmark = pytest.mark.unit

WINDOW = "default/call-17/agent/0-8000"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("call-17", "right"), "TENANT/SESSION/TRACK/EPOCH-END"),
        ((WINDOW, "maybe"), "one of right, wrong, right_for_wrong_reason, artefact, genuine"),
        ((WINDOW, "artefact"), "needs --artefact NAME"),
        ((WINDOW, "right", "--span", "audio"), "for example audio:4000-5200"),
        ((WINDOW, "right", "--span", "smell:0-100"), "text, audio or video"),
        ((WINDOW, "right", "--span", "audio:500-100"), "must end after it starts"),
        ((WINDOW, "right", "--reviewer", "Jane Doe"), "reviewer must be"),
    ],
)
def test_a_mistake_is_named_with_what_is_expected(arguments: tuple[str, ...], sentence: str) -> None:
    result = CliRunner().invoke(app, ["verdict", *arguments])
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert "Jane" not in result.stderr
