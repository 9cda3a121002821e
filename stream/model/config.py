"""Sizes of the network, and which of its parts it has."""

from __future__ import annotations

from dataclasses import dataclass

from stream.domain.features import WIDTHS
from stream.domain.modality import MODALITIES, Modality
from stream.model.relations import PAST_RELATIONS, RELATIONS, Relation


@dataclass(frozen=True, slots=True)
class MMCIConfig:
    """Sizes of the network.

    Attributes:
        hidden: Width H of node states.
        head_hidden: Width of a head's hidden layer.
        strata: Number K of shortcut prototypes.
        dropout: Of node inputs and in the heads, in training.
        widths: Widths of text, audio and video nodes: how many of their numbers are read, from the first.
        evidence: Modalities whose numbers are few and mean something each. They are neither normalised, which would hide how strong
            the evidence is, nor dropped in training.
        past: Number K of past windows in the context; 0 for none.
        intra: Use the relations within a modality.
        inter: Use the relations across modalities.
        typed: Learn weights for each relation; else all relations share theirs.
        attention: Learn the causal and shortcut shares; else each is `EVEN_SHARE`.
        skip: Add the pooled encoder outputs to the causal read-out.
    """

    hidden: int = 64
    head_hidden: int = 64
    strata: int = 8
    dropout: float = 0.4
    widths: tuple[int, int, int] = (WIDTHS[Modality.TEXT], WIDTHS[Modality.AUDIO], WIDTHS[Modality.VIDEO])
    evidence: tuple[Modality, ...] = ()
    past: int = 0
    intra: bool = True
    inter: bool = True
    typed: bool = True
    attention: bool = True
    skip: bool = True

    @property
    def parts(self) -> int:
        """Number of parts of a modality's read-out: intra-modal, inter-modal and, with a skip, the pooled encoder outputs."""
        return 3 if self.skip else 2

    def dropout_of(self, modality: Modality) -> float:
        """Dropout of the nodes of a modality."""
        return 0.0 if modality in self.evidence else self.dropout

    @property
    def readout(self) -> int:
        """Width G of a read-out: the parts of each modality."""
        return self.parts * len(MODALITIES) * self.hidden

    @property
    def relations(self) -> tuple[Relation, ...]:
        """The relations of the graph."""
        every = RELATIONS + (PAST_RELATIONS if self.past else ())
        return tuple(r for r in every if (self.intra if r.within else self.inter))

    def weights_of(self, relation: Relation) -> str:
        """Name under which the weights of a relation are stored."""
        return relation.name if self.typed else "any"
