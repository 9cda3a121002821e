"""`sentistream rebuild` reads its --since, and reports what calls for attention."""

from __future__ import annotations

import pytest

from stream.cli.errors import CommandError
from stream.cli.options import since_time_ms
from stream.cli.rebuild import warnings
from stream.sinks.rebuild import RebuildReport

NOW = 1_700_000_000_000


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("90m", NOW - 90 * 60_000),
        ("12h", NOW - 12 * 3_600_000),
        ("7d", NOW - 7 * 86_400_000),
        ("5s", NOW - 5000),
        ("2023-11-14T22:13:20+00:00", NOW),
        ("2023-11-15T00:13:20+02:00", NOW),
    ],
)
def test_since_is_how_long_ago_or_a_time(text: str, ms: int) -> None:
    assert since_time_ms(text, NOW) == ms


@pytest.mark.parametrize("text", ["", "yesterday", "5", "-5m", "5 m", "2023-11-14T22:13:20", "2023-99-14"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="--since"):
        since_time_ms(text, NOW)


def test_only_what_matters_is_noted() -> None:
    assert warnings(RebuildReport(refilled=3, present=2, repeated=4)) == []
    ids = tuple(f"a/b/c/0-{number}" for number in range(12))
    found = warnings(RebuildReport(overtaken=2, conflicts=ids, unexplained=1, unreadable=5))
    assert [sentence.split()[0] for sentence in found] == ["2", "12", "1", "5"]
    assert ids[9] in found[1]
    assert ids[10] not in found[1]
