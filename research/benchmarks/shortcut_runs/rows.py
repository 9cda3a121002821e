"""The rows of the table: configurations of the common interface, with or without the plant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from research.models.variants import Variant, VariantConfig
from research.shortcuts.defence import Defence
from research.shortcuts.trial import Planted, transformed
from stream.domain.modality import Modality

GRAPH_HIDDEN, GRAPH_DROPOUT = 16, 0.5
HIDDEN, DROPOUT = 32, 0.4


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        defence: Model, eraser and weights.
        planted: False trains and tests without a plant, which gives the upper limit.
    """

    defence: Defence
    planted: bool = True


def _graph(name: Variant = Variant.MMCI, *, skip: bool = True, **switches: Any) -> VariantConfig:
    return VariantConfig(name=name, hidden=GRAPH_HIDDEN, dropout=GRAPH_DROPOUT, skip=skip, **switches)


def _flat(name: Variant) -> VariantConfig:
    return VariantConfig(name=name, hidden=HIDDEN, dropout=DROPOUT)


ROWS: dict[str, Row] = {
    "ours": Row(Defence(_graph(), erase=True)),
    "ours_fusion": Row(Defence(_flat(Variant.FUSION), erase=True)),
    "unplanted": Row(Defence(_graph()), planted=False),
    "unplanted_fusion": Row(Defence(_flat(Variant.FUSION)), planted=False),
    "text_only": Row(Defence(_flat(Variant.TEXT_ONLY))),
    "erm": Row(Defence(_flat(Variant.FUSION))),
    "rgcn": Row(Defence(_graph(Variant.RGCN, skip=False))),
    "mmci_cal": Row(Defence(_graph(intervention="recombination", skip=False))),
    "mmci": Row(Defence(_graph())),
    "cider": Row(Defence(_flat(Variant.CIDER))),
    "gear": Row(Defence(_flat(Variant.GEAR))),
    "clue": Row(Defence(_flat(Variant.CLUE))),
    "group_reweighting": Row(Defence(_flat(Variant.FUSION), weighted=True)),
}
"""The rows by name. ``ours`` is MMCI with strata after the eraser; ``group_reweighting`` is an oracle, which is given the marks."""

_SWITCHES: dict[str, dict[str, Any]] = {
    "no intra-modal relations": {"intra": False},
    "no inter-modal relations": {"inter": False},
    "one relation type": {"typed": False},
    "no attention": {"attention": False},
    "no shortcut stream": {"shortcut_stream": False},
    "no adjustment": {"intervention": "none"},
}
ABLATIONS = {name: Row(Defence(_graph(**switches), erase=True)) for name, switches in _SWITCHES.items()} | {"no eraser": ROWS["mmci"]}
"""Ours without one part."""

ABLATED_AT = (0.9, 0.99)
FEW_ROWS = ("ours", "unplanted", "text_only", "erm")
SPREAD_ROWS = (*FEW_ROWS, "mmci", "ours_fusion", "unplanted_fusion")
"""Rows of marks in the spread. LayerNorm at the graph's input hides the scale of a block from it, so fusion is measured too."""

QUICK_ROWS = ("ours", "ours_fusion", "unplanted", "text_only", "erm", "mmci_cal", "mmci")


def input_of(row: Row, trial: Planted) -> Planted:
    """The blocks of a trial that the model of a row uses."""
    if row.defence.model.name is not Variant.TEXT_ONLY:
        return trial
    return transformed(trial, lambda blocks: {Modality.TEXT: blocks[Modality.TEXT]})
