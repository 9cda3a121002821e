"""Where the files of rules that come with the product lie: ``configs/`` in a checkout, beside this module in a wheel."""

from __future__ import annotations

from pathlib import Path

from stream.config.project import PROJECT_ROOT
from stream.config.settings import Settings
from stream.rules.read import read_rules

_IN_WHEEL = Path(__file__).parent / "files"

CALL_CENTER = "call-center.yaml"
BROADCAST = "broadcast.yaml"


def shipped_rules(name: str) -> Path:
    """The path of a file of rules that comes with the product."""
    packaged = _IN_WHEEL / name
    return packaged if packaged.exists() else PROJECT_ROOT / "configs" / name


def with_checked_rules(settings: Settings) -> Settings:
    """The settings with the rules for call centres, unless they name other rules: for `demo` and `up`.

    Raises `stream.rules.read.RulesError` here, where the user sees it, and not in the log of a worker.
    """
    if settings.alerts.rules is not None:
        read_rules(settings.alerts.rules)
        return settings
    return settings.model_copy(update={"alerts": settings.alerts.model_copy(update={"rules": shipped_rules(CALL_CENTER)})})
