"""The policy of one tenant, from the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stream.config.policy_values import ANY, Use
from stream.config.worker_settings import PolicySettings
from stream.domain.modality import MODALITIES, Modality

USED: Mapping[Use, frozenset[Modality]] = {"all": frozenset(MODALITIES), "text_only": frozenset({Modality.TEXT}), "off": frozenset()}
"""The modalities that may be used, by the value of a role."""

WITHOUT_CONSENT: Mapping[str, frozenset[Modality]] = {"text_only": frozenset({Modality.TEXT}), "nothing": frozenset()}
"""The modalities that may be used without consent, by the setting."""


@dataclass(frozen=True, slots=True)
class TenantPolicy:
    """What may be used of the people of a tenant.

    Attributes:
        roles: By role, in lower case, what may be used; `ANY` for the others.
        consent_required: Whether somebody of whom nothing is said counts as not having consented.
        without_consent: The modalities that may be used without consent.
        languages: Languages whose words may be used; None for all.
    """

    roles: Mapping[str, Use]
    consent_required: bool
    without_consent: frozenset[Modality]
    languages: frozenset[str] | None

    def used_of(self, role: str) -> frozenset[Modality]:
        """The modalities that may be used of a role, if there is consent."""
        return USED[self.roles.get(role.lower(), self.roles[ANY])]

    def knows(self, language: str) -> bool:
        """Whether the words of a language may be used. Of a tag such as ``en-GB``, the first part counts."""
        return self.languages is None or language.partition("-")[0].lower() in self.languages


def tenant_policy(settings: PolicySettings, tenant: str) -> TenantPolicy:
    """The policy of a tenant: its own values, and those of all tenants where it has none."""
    own = settings.tenants.get(tenant)
    roles, consent, without, languages = settings.roles, settings.consent, settings.without_consent, settings.languages
    if own is not None:
        roles = {**roles, **(own.roles or {})}
        consent, without, languages = own.consent or consent, own.without_consent or without, own.languages or languages
    return TenantPolicy(
        roles=roles,
        consent_required=consent == "required",
        without_consent=WITHOUT_CONSENT[without],
        languages=None if ANY in languages else frozenset(languages),
    )
