from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from stream.config.worker_settings import PolicySettings
from stream.domain.modality import MODALITIES, Modality
from stream.policy.tenant import tenant_policy

EVERYTHING, WORDS = frozenset(MODALITIES), frozenset({Modality.TEXT})


def settings(**values: Any) -> PolicySettings:
    return PolicySettings.model_validate(values)


def test_by_default_agents_are_text_only_and_nobody_else() -> None:
    policy = tenant_policy(settings(), "acme")
    assert policy.used_of("agent") == policy.used_of("Agent") == WORDS
    assert policy.used_of("customer") == policy.used_of("agent-2") == EVERYTHING
    assert not policy.consent_required
    assert policy.knows("en")
    assert policy.knows("EN-gb")
    assert not policy.knows("de")


@pytest.mark.parametrize("given", ["customer=off", {"customer": "off"}, {"customer": False}, {"Customer": "off"}])
def test_naming_other_roles_does_not_lift_the_rule_for_agents(given: object) -> None:
    policy = tenant_policy(settings(roles=given), "acme")
    assert policy.used_of("agent") == WORDS
    assert policy.used_of("customer") == frozenset()
    assert policy.used_of("guest") == EVERYTHING


def test_a_tenant_changes_what_it_names_and_nothing_else() -> None:
    own = {
        "acme": {"roles": {"customer": "text_only"}, "consent": "required"},
        "other": {"languages": ["de"], "without_consent": "nothing"},
    }
    given = settings(roles="guest=off", languages="en,fr", tenants=own)
    acme, other, third = (tenant_policy(given, name) for name in ("acme", "other", "third"))
    assert (acme.used_of("customer"), acme.used_of("guest"), acme.used_of("agent")) == (WORDS, frozenset(), WORDS)
    assert (acme.consent_required, other.consent_required, third.consent_required) == (True, False, False)
    assert (acme.without_consent, other.without_consent) == (WORDS, frozenset())
    assert (other.languages, third.languages) == (frozenset({"de"}), frozenset({"en", "fr"}))


def test_a_star_stands_for_all_languages() -> None:
    assert tenant_policy(settings(languages="*"), "acme").knows("tlh")


@pytest.mark.parametrize(
    "values",
    [
        {"roles": {"a b": "all"}},
        {"roles": {"agent": "everything"}},
        {"roles": {"agent": ["all"]}},
        {"roles": "agent"},
        {"roles": "agent=all,agent=off"},
        {"roles": {"Agent": "all", "agent": "off"}},
        {"roles": {f"role-{n}": "all" for n in range(101)}},
        {"roles": {}},
        {"languages": "english"},
        {"languages": []},
        {"languages": "e1"},
        {"tenants": {"a/b": {}}},
        {"tenants": {"acme": {"roles": "agent=none"}}},
        {"tenants": {"acme": {"role": "agent=all"}}},
        {"tenants": {"acme": "all"}},
        {"tenants": "{"},
        {"tenants": "[" * 10_000},
    ],
)
def test_wrong_values_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**values)


def test_a_wrong_policy_of_a_tenant_says_which_part_is_wrong() -> None:
    with pytest.raises(ValidationError, match=r"tenant no. 2: consent: Input should be 'assumed' or 'required'"):
        settings(tenants={"one": {}, "two": {"consent": "maybe"}})
