"""The consent along the media time, by examples and against a plain reading of the rules on generated statements."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream.domain.consent import EVERYBODY, ConsentStatement
from stream.domain.modality import Modality
from stream.domain.session_events import SessionConsent, SessionStart, TrackPlan
from stream.policy.consent import Consents

TRACKS = (EVERYBODY, "one", "two")
TIMES = range(0, 50, 10)

statements = st.lists(
    st.builds(
        lambda track, at_ms, granted: ConsentStatement(track, at_ms, granted, at_ms),
        st.sampled_from(TRACKS),
        st.sampled_from(TIMES),
        st.booleans(),
    ),
    max_size=8,
)


def consents(*said: ConsentStatement) -> Consents:
    made = Consents()
    made.add(said)
    return made


def of(track: str, at_ms: int, *, granted: bool) -> ConsentStatement:
    return ConsentStatement(track, at_ms, granted, at_ms)


def plainly(said: list[ConsentStatement], track: str, at_ms: int) -> bool | None:
    """The rules of `stream.policy.consent`, read one after the other."""

    def last(name: str) -> tuple[int, bool] | None:
        times = [statement.media_ms for statement in said if statement.track == name and statement.media_ms <= at_ms]
        if not times:
            return None
        return max(times), all(s.granted for s in said if s.track == name and s.media_ms == max(times))

    own, every = last(track), last(EVERYBODY)
    if own is None:
        return None if every is None else every[1]
    if every is None or own[1] is False:
        return own[1]
    return every[1] or own[0] >= every[0]


@given(statements, st.sampled_from(("one", "two", "three")), st.integers(0, 60))
def test_a_moment_is_judged_by_the_rules(said: list[ConsentStatement], track: str, at_ms: int) -> None:
    assert consents(*said).holds(track, at_ms) == plainly(said, track, at_ms)


@given(statements, st.permutations(range(8)), st.sampled_from(("one", "two")))
def test_the_order_in_which_records_are_read_does_not_matter(said: list[ConsentStatement], order: list[int], track: str) -> None:
    other = [said[index] for index in order if index < len(said)]
    for at_ms in range(0, 60, 5):
        assert consents(*said).holds(track, at_ms) == consents(*other, *said).holds(track, at_ms)


@given(statements, st.integers(0, 50), st.integers(1, 30))
def test_a_span_is_covered_if_each_of_its_moments_is(said: list[ConsentStatement], start_ms: int, length_ms: int) -> None:
    made = consents(*said)
    states = [made.holds("one", at_ms) for at_ms in range(start_ms, start_ms + length_ms)]
    expected = False if False in states else None if None in states else True
    assert made.covers("one", start_ms, start_ms + length_ms) is expected


@given(statements, st.booleans())
def test_what_is_refused_to_the_end(said: list[ConsentStatement], required: bool) -> None:
    made = consents(*said)
    since_ms = made.refused_since("one", required=required)
    refused = [made.holds("one", at_ms) is False or (required and made.holds("one", at_ms) is None) for at_ms in range(60)]
    first = next((at_ms for at_ms in range(60) if all(refused[at_ms:])), None)
    assert since_ms == first


def test_only_the_person_lifts_their_own_withdrawal() -> None:
    made = consents(of("one", 10, granted=False), of(EVERYBODY, 20, granted=True))
    assert made.holds("one", 30) is False
    assert made.holds("two", 30) is True
    made.add([of("one", 25, granted=True)])
    assert made.holds("one", 30) is True


def test_a_start_says_it_for_the_session_and_for_tracks() -> None:
    plans = (TrackPlan("one", "a", (Modality.TEXT,), consent=False), TrackPlan("two", "b", (Modality.TEXT,)))
    made = Consents()
    made.add(made.of_event(SessionStart(0, plans, consent=True)))
    assert (made.holds("one", 0), made.holds("two", 0)) == (False, True)
    assert made.of_event(SessionStart(0, plans, consent=True)) == []


def test_a_late_consent_begins_after_what_was_left_out_and_a_withdrawal_where_it_says() -> None:
    made = Consents()
    made.note_refused("one", 7000)
    assert made.of_event(SessionConsent(0, 1000, consent=True, track="one")) == [ConsentStatement("one", 1000, True, 7000)]
    assert made.of_event(SessionConsent(0, 1000, consent=True, track="two")) == [ConsentStatement("two", 1000, True, 1000)]
    assert made.of_event(SessionConsent(0, 1000, consent=True)) == [ConsentStatement(EVERYBODY, 1000, True, 7000)]
    assert made.of_event(SessionConsent(0, 1000, consent=False)) == [ConsentStatement(EVERYBODY, 1000, False, 1000)]


@given(statements, statements)
def test_the_next_epoch_begins_with_how_the_one_before_ended(first: list[ConsentStatement], second: list[ConsentStatement]) -> None:
    end = consents(*first)
    for track in ("one", "two", "three"):
        assert Consents([first]).holds(track, 0) == end.holds(track, 1000)
    everybody = [statement for statement in second if statement.track == EVERYBODY]
    later = Consents([first])
    later.add(second)
    if not second:
        assert later.holds("one", 1000) == end.holds("one", 1000)
    if everybody and not max(everybody, key=lambda s: s.media_ms).granted and all(s.track == EVERYBODY for s in second):
        assert later.holds("one", 1000) is False


@given(statements, statements)
def test_what_an_epoch_inherits_later_allows_no_more_than_what_it_had_and_no_more_than_what_it_inherits(
    first: list[ConsentStatement], then: list[ConsentStatement]
) -> None:
    begun, late = Consents([first]), Consents([first])
    late.inherit_withdrawals([first + then])
    whole = Consents([first + then])
    for track in ("one", "two", "three"):
        held, own, all_said = (known.holds(track, 0) for known in (late, begun, whole))
        assert held is False or False not in (own, all_said)
        assert held is not True or own
