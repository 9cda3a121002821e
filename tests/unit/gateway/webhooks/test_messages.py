"""Which receiver is told of what, and what it gets to see."""

from __future__ import annotations

import json

from msgspec import structs

from stream.domain.alert import AlertMode, AlertState, Severity
from stream.domain.evidence import WordClaim
from stream.explain.session_summary import summarise
from stream.gateway.views import WindowResult
from stream.gateway.webhooks.messages import News, messages_for
from stream.gateway.webhooks.receivers import Kind, Receiver
from stream.gateway.webhooks.sender import judge
from tests.fakes.alerts import make_alert
from tests.fakes.results import SESSION, make_explanation, make_score
from tests.support import contracts

EVERYTHING = Receiver("everything", "https://a.example", "s", ("*",), tuple(Kind), words=True)
SCORE = make_score(4000, -1.0)
WINDOW = WindowResult(score=SCORE, explanation=make_explanation(SCORE, "The customer seems negative (-1.0). Mainly “hunter2”."))
SUMMARY = summarise(SESSION, 0, [SCORE])


def told(receiver: Receiver, news: News) -> list[str]:
    return [message.kind for _, _, message in messages_for([receiver], news, 1_795_000_000_000)]


def test_each_receiver_is_told_of_what_it_wants() -> None:
    raised, cleared = make_alert(), make_alert(state=AlertState.CLEARED)
    assert [told(EVERYTHING, news) for news in (raised, cleared, WINDOW, SUMMARY)] == [
        ["alert.raised"],
        ["alert.cleared"],
        ["window.final"],
        ["session.ended"],
    ]
    of_others = structs.replace(EVERYTHING, tenants=("other",))
    assert [told(of_others, news) for news in (raised, cleared, WINDOW, SUMMARY)] == [[], [], [], []]
    urgent = structs.replace(EVERYTHING, min_severity=Severity.CRITICAL)
    assert [told(urgent, news) for news in (raised, make_alert(severity=Severity.CRITICAL), WINDOW)] == [
        [],
        ["alert.raised"],
        ["window.final"],
    ]


def test_rules_on_trial_call_nobody() -> None:
    assert told(EVERYTHING, make_alert(mode=AlertMode.SHADOW)) == []


def test_the_id_is_that_of_the_result_and_of_the_receiver() -> None:
    other = structs.replace(EVERYTHING, name="other")
    first = [(name, message_id) for name, message_id, _ in messages_for([EVERYTHING, other], make_alert(), 1)]
    assert first == [(name, message_id) for name, message_id, _ in messages_for([EVERYTHING, other], make_alert(), 2)]
    assert len({message_id for _, message_id in first}) == 2
    kinds: list[News] = [make_alert(), make_alert(state=AlertState.CLEARED), WINDOW, SUMMARY]
    assert len({message_id for news in kinds for _, message_id, _ in messages_for([EVERYTHING], news, 1)}) == 4


def test_words_are_left_out_unless_the_receiver_may_have_them() -> None:
    alert = make_alert()
    evidence = structs.replace(
        alert.evidence,
        sentence="Mainly “hunter2”.",
        claims=(WordClaim("hunter2", 0, 1, -1.0, "neutral"),),
        values={"score": -2.0, "words": ["hunter2"], "phrases": {"hunter2": -1.0}, "shouting": True},
    )
    assert alert.statement is not None
    facts = "Evidence: The customer seems negative. Mainly “hunter2”.\nRisk: high. Cut off: “hunter2…"
    alert = structs.replace(alert, evidence=evidence, statement=structs.replace(alert.statement, decision_facts=facts))
    results: list[News] = [alert, WINDOW]
    for news in results:
        bodies = {words: next(messages_for([structs.replace(EVERYTHING, words=words)], news, 1))[2].body for words in (False, True)}
        assert "hunter2" in bodies[True]
        assert "hunter2" not in bodies[False]
    ((_, _, message),) = messages_for([structs.replace(EVERYTHING, words=False)], alert, 1)
    data = json.loads(message.body)["data"]
    assert data["evidence"]["values"] == {"score": -2.0, "shouting": True}
    assert data["statement"]["decision_facts"] == "Evidence: The customer seems negative.\nRisk: high."


def test_bodies_keep_to_the_contract() -> None:
    for news in (make_alert(), WINDOW, SUMMARY):
        for _, _, message in messages_for([EVERYTHING], news, 1_795_000_000_000):
            assert contracts.problems("webhook", json.loads(message.body)) == []


def test_what_answers_mean() -> None:
    assert [judge(status, None).outcome for status in (200, 204, 299)] == ["delivered"] * 3
    assert [judge(status, None).outcome for status in (301, 400, 401, 404, 429, 500, 503)] == ["later"] * 7
    assert judge(410, None).outcome == "gone"
    assert judge(429, "120").retry_after_s == 120
    assert judge(503, "999999999").retry_after_s == 24 * 3600
    assert judge(503, "Wed, 21 Oct 2015 07:28:00 GMT").retry_after_s == 0
    assert judge(503, "Fri, 31 Dec 2100 23:59:59 GMT").retry_after_s == 24 * 3600
    assert [judge(429, text).retry_after_s for text in ("", "soon", "-5", "1e9", "٣")] == [0] * 5
    assert judge(500, "120").retry_after_s == 0
