"""Who acts on a case, as others may see it: a role and a pseudonym."""

from __future__ import annotations

from stream.domain.case import Actor
from stream.domain.identity import check_name
from stream.domain.permission import ROLES, Permission
from stream.gateway.principal import Principal

OTHER_ROLE = "reviewer"
"""Of somebody whose roles have no name that others could be shown."""


def actor_of(principal: Principal) -> Actor:
    """The actor behind a principal: the first of their roles that lets them decide or review. The name goes no further than its digest."""
    if principal.open:
        return Actor.named("admin", principal.name)
    named = [role for role in principal.roles if is_name(role)]
    able = [role for role in named if ROLES.get(role, frozenset()) & {Permission.DECIDE, Permission.REVIEW}]
    return Actor.named(next(iter((*able, *named)), OTHER_ROLE), principal.account)


def is_name(role: str) -> bool:
    """Whether a role of an identity provider can stand in records."""
    try:
        check_name("role", role)
    except ValueError:
        return False
    return True
