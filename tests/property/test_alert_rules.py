"""Wherever one worker stops and another goes on, the alerts are the same: the state in Redis is all that is needed."""

from __future__ import annotations

import random
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from stream.domain.alert import AlertRecord
from stream.domain.conversation import Conversation
from stream.domain.modality import MODALITIES
from stream.domain.result import ExplanationRecord, ScoreRecord, decode_record, encode_record
from stream.rules.evaluate import RuleSet, TrackRules, decode_track_rules, encode_track_rules
from stream.rules.read import read_rules
from tests.fakes.results import make_explanation, make_score

CONFIGS = Path(__file__).parents[2] / "configs"
CALL_CENTER, BROADCAST = (RuleSet(read_rules(CONFIGS / name)) for name in ("call-center.yaml", "broadcast.yaml"))
RULES = {"customer": CALL_CENTER, "agent": CALL_CENTER, "guest": BROADCAST}

Final = tuple[ScoreRecord, ExplanationRecord]


def history(seed: int, windows: int) -> tuple[RuleSet, list[Final]]:
    """Rules, and the final windows of a track: scores, silence, gaps and new epochs."""
    draw = random.Random(seed)
    role, end_ms, epoch = draw.choice(sorted(RULES)), 4000, 0
    finals: list[Final] = []
    for _ in range(windows):
        points = draw.choice([None, -2.5, -1.9, -1.2, -0.4, 0.0, 0.5, 1.5])
        score = make_score(end_ms, points, epoch=epoch, role=role, present=draw.choice([MODALITIES, MODALITIES[:2], MODALITIES[1:]]))
        negative = draw.choice([0.1, 0.5, 0.9])
        score = structs.replace(
            score,
            label=None if points is None else "negative" if points < -0.5 else "neutral",
            probabilities={} if points is None else {"negative": negative, "neutral": 1 - negative, "positive": 0.0},
            arousal=draw.choice([None, 0.2, 0.8]),
            warnings=tuple(draw.choices(["modalities_disagree", "several_faces", "to_review"], k=draw.randrange(3))),
            conversation=draw.choice([None, Conversation(None, 0.4), Conversation(end_ms - 4000, None), Conversation(end_ms - 6000, 0.0)]),
        )
        parts = {m: draw.choice([-1.5, -0.2, 1.1]) for m in MODALITIES}
        finals.append((score, structs.replace(make_explanation(score), contributions=parts)))
        again = draw.random() < 0.05
        epoch, end_ms = (epoch + 1, 4000) if again else (epoch, end_ms + draw.choice([500, 2000, 2000, 7000, 60_000]))
    return RULES[role], finals


def evaluated(rules: RuleSet, finals: list[Final], state: TrackRules | None = None) -> tuple[list[bytes], TrackRules | None]:
    alerts: list[AlertRecord] = []
    for final in finals:
        found = rules.evaluate(state, *final)
        state = found.state
        alerts += found.alerts
    return [encode_record(alert) for alert in alerts], state


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32), st.integers(1, 60), st.data())
def test_a_takeover_at_any_window_gives_the_same_alerts(seed: int, windows: int, data: st.DataObject) -> None:
    rules, finals = history(seed, windows)
    whole, end = evaluated(rules, finals)
    at = data.draw(st.integers(0, len(finals)))
    repeated = data.draw(st.integers(0, at))
    first, state = evaluated(rules, finals[:at])
    restored = None if state is None else decode_track_rules(encode_track_rules(state))
    # The new worker may read windows again that are final already.
    again = [final for final in finals[at - repeated : at] if final[0].epoch == (restored.epoch if restored else None)]
    second, last = evaluated(rules, again + finals[at:], restored)
    assert first + second == whole
    assert last == end
    assert len({alert_id(alert) for alert in whole}) == len(whole)


def alert_id(alert: bytes) -> str:
    record = decode_record(alert)
    assert isinstance(record, AlertRecord)
    return record.alert_id
