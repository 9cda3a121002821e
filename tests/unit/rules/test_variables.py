"""The variables of conditions, on windows that have and that lack things."""

from __future__ import annotations

import pytest
from msgspec import structs

from stream.domain.conversation import Conversation
from stream.domain.modality import Modality
from stream.domain.result import ScoreRecord
from stream.rules.rehearsal import typical_windows
from stream.rules.track_history import TrackHistory
from stream.rules.variables import BY_NAME, Seen, values_of
from tests.fakes.results import make_explanation, make_score

TYPES = {"double": float, "int": int, "string": str, "map": dict, "list": list}


def seen(*scores: ScoreRecord) -> Seen:
    history = TrackHistory()
    for score in scores:
        history = history.after(score)
    return Seen(scores[-1], make_explanation(scores[-1]), history)


def value(name: str, *scores: ScoreRecord) -> object:
    return values_of(seen(*scores), [name])[name]


@pytest.mark.parametrize("name", BY_NAME)
def test_every_variable_has_the_type_of_its_table_or_is_null(name: str) -> None:
    variable = BY_NAME[name]
    for what, window in typical_windows():
        found = variable.of(window)
        assert found is None or isinstance(found, TYPES[variable.kind]), what
        assert found is not None or "null" in variable.absent, what


def test_the_short_horizon_is_fifteen_seconds_and_the_long_one_is_what_came_before() -> None:
    windows = [make_score(4000 + 2000 * n, 1.0 if n < 10 else -1.0) for n in range(18)]
    assert value("recent", *windows) == -1.0
    assert value("earlier", *windows) == 1.0
    assert value("trend", *windows) == -2.0
    assert value("mean", *windows) == pytest.approx(2 / 18, abs=1e-4)
    assert value("trend", *windows[:12]) is None


def test_the_state_stays_small_however_many_windows_come() -> None:
    history = TrackHistory()
    for end_ms in range(500, 200_000, 10):
        history = history.after(make_score(end_ms, 0.5))
    assert len(history.recent) == 64
    assert history.mean == pytest.approx(0.5)


def test_silence_counts_from_the_last_window_with_words_or_a_voice() -> None:
    windows = [make_score(4000, 0.1), make_score(6000, None), make_score(8000, 0.2, present=(Modality.VIDEO,))]
    assert value("silence_s", *windows) == 4.0
    assert value("silence_s", make_score(9000, None)) == 4.0


def test_nobody_speaks_only_if_no_track_does() -> None:
    def window(end_ms: int, *, others_until_ms: int | None) -> ScoreRecord:
        return structs.replace(make_score(end_ms, None), conversation=Conversation(others_until_ms, None))

    assert value("conversation_silence_s", make_score(4000, None)) is None
    assert value("conversation_silence_s", window(10_000, others_until_ms=6000)) == 0.0
    assert value("conversation_silence_s", window(10_000, others_until_ms=6000), window(20_000, others_until_ms=None)) == 10.0


def test_modalities_pull_in_opposite_directions() -> None:
    score = make_score(4000, 0.2)
    contributions = {Modality.TEXT: 0.9, Modality.AUDIO: -0.7, Modality.VIDEO: 0.1}
    both = Seen(score, structs.replace(make_explanation(score), contributions=contributions), TrackHistory().after(score))
    assert BY_NAME["conflict"].of(both) == 0.7
    assert value("conflict", make_score(4000, 1.0)) == 0.0
    assert value("conflict", make_score(4000, None)) is None


def test_labels_in_a_row() -> None:
    labels = ["negative", "neutral", "neutral"]
    windows = [structs.replace(make_score(4000 + 2000 * n, 0.0), label=label) for n, label in enumerate(labels)]
    assert (value("streak", *windows), value("label_before", *windows)) == (2, "neutral")
    assert (value("streak", *windows[:2]), value("label_before", *windows[:2])) == (1, "negative")
