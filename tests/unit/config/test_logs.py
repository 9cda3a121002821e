"""Libraries may not flood the log."""

from __future__ import annotations

import logging

from stream.config.logs import REPEAT_S, RareRepeats


def record(name: str, line: int, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, f"{name}.py", line, "Unable connect to node %s", arguments, None)


def test_a_statement_of_a_library_passes_once_a_minute_and_ours_always() -> None:
    now_s = [0.0]
    rare = RareRepeats(lambda: now_s[0])
    passed = []
    for second in range(150):
        now_s[0] = float(second)
        passed += [second for _ in range(10) if rare.filter(record("aiokafka.client", 7, second))]
        assert rare.filter(record("stream.agents.worker", 7))
    assert passed == [0, int(REPEAT_S), int(2 * REPEAT_S)]
    assert rare.filter(record("aiokafka.client", 8))
    assert rare.filter(record("streaming", 7))
    assert not rare.filter(record("streaming", 7))
