"""The read-outs of all coalitions, and of the points half-way between them, as sums of a few terms.

A read-out g^c has a part for the intra-modal messages, the inter-modal messages and the skip of each modality. Each part takes few values,
the terms: z_intra depends only on whether the earlier windows belong to the coalition, z_inter only on which other modalities send, and the
skip on nothing. The first layer of a head is linear. So it is applied to each term once, and every coalition is a sum of the results:

    W g(S) = sum over terms p of c_p(S) W_p p,   c_p(S) = 1 if S reads the term, else 0

The same holds at the middle of the step from S to S + m, where the gates of all nodes of m are 1/2 (`stream.model.owen`). The terms of m
have c_p = 1/2. What m sends to a modality of S that hears nobody else is half of its term, since ReLU(x / 2) = ReLU(x) / 2. Where another
modality of S sends to it, too, the ReLU mixes both, and there is a term of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stream.domain.coalitions import STEPS
from stream.domain.inference import COALITIONS, CONTEXT_BIT, MODALITY_SETS
from stream.domain.modality import MODALITIES, Modality
from stream.model.config import MMCIConfig
from stream.model.heads import Head
from stream.model.relations import Relation
from stream.model.streams import Messages

MIDDLE = 0.5
"""Gate of the joining nodes at the point at which a step is examined: quadrature with one point, the midpoint rule."""

JOINING = tuple((modality, step) for modality in MODALITIES for step in STEPS[modality.bit])
"""All steps by which a modality joins."""


class Term(NamedTuple):
    """One value of one part of a modality's read-out.

    Attributes:
        modality: The modality that is read.
        part: The part.
        past: Of z_intra: whether the earlier windows send.
        full: Of z_inter: bits of the modalities that send with open gates.
        half: Of z_inter: bit of the modality that sends with half open gates; 0 for none.
    """

    modality: Modality
    part: Literal["intra", "inter", "skip"]
    past: bool = False
    full: int = 0
    half: int = 0


def _terms_of(modality: Modality) -> tuple[Term, ...]:
    first, second = (m.bit for m in MODALITIES if m is not modality)
    heard = ((first, 0), (second, 0), (first | second, 0), (first, second), (second, first))
    intra = (Term(modality, "intra", past) for past in (False, True))
    inter = (Term(modality, "inter", full=full, half=half) for full, half in heard)
    return *intra, *inter, Term(modality, "skip")


TERMS = {m: _terms_of(m) for m in MODALITIES}
"""The terms of each modality, in order."""

EVERY_TERM = tuple(term for own in TERMS.values() for term in own)
ALL_INTRA, ALL_INTER = 1, 2
"""Places in the parts of the terms that the coalition of everything reads."""

OPEN = slice(0, 3)
"""Places among the z_inter of those that coalitions read: nobody sends with half open gates."""

INTRA, INTER, SKIP = (slice(first, end) for first, end in pairwise((0, 2, 7, 8)))
"""Places of the terms of each part among those of a modality."""


def read_by(coalition: int) -> dict[Term, float]:
    """The terms that a coalition reads, with c_p = 1."""
    members = [m for m in MODALITIES if coalition & m.bit]
    used = [Term(m, "intra", past=bool(coalition & CONTEXT_BIT)) for m in members] + [Term(m, "skip") for m in members]
    used += [Term(m, "inter", full=senders) for m in members if (senders := _senders(coalition, m))]
    return dict.fromkeys(used, 1.0)


def read_half_way(before: int, joining: Modality) -> tuple[dict[Term, float], dict[Term, float]]:
    """The terms of the joining modality that are read at the middle of its step, with c_p, and those of the other modalities."""
    own = dict.fromkeys((term for term in read_by(before | joining.bit) if term.modality is joining), MIDDLE)
    others = {term: 1.0 for term in read_by(before) if term.part != "inter"}
    for m in (m for m in MODALITIES if before & m.bit):
        senders = _senders(before, m)
        heard = Term(m, "inter", full=senders, half=joining.bit) if senders else Term(m, "inter", full=joining.bit)
        others[heard] = 1.0 if senders else MIDDLE
    return own, others


def _senders(coalition: int, modality: Modality) -> int:
    """Bits of the modalities of a coalition that send to one of them."""
    return coalition & (MODALITY_SETS - 1) & ~modality.bit


def table(rows: list[dict[Term, float]]) -> Tensor:
    """(rows, 24) c_p of `EVERY_TERM`."""
    return torch.tensor([[used.get(term, 0.0) for term in EVERY_TERM] for used in rows])


class Terms(NamedTuple):
    """The terms of one modality before its nodes are pooled, in the order of `TERMS`.

    Attributes:
        intra: (B, 2, N_m, H) z_intra.
        inter: (B, 5, N_m, H) z_inter.
        skip: (B, H).
    """

    intra: Tensor
    inter: Tensor
    skip: Tensor


class Reading(nn.Module):
    """Computes the terms, and from them the first layer of a head for every coalition and for the middle of every step.

    Attributes:
        used: (40, 24) c_p of the coalitions and, after them, of `JOINING`.
    """

    used: Tensor

    def __init__(self, config: MMCIConfig) -> None:
        super().__init__()
        self.config = config
        half_way = [own | others for own, others in (read_half_way(step.before, m) for m, step in JOINING)]
        self.register_buffer("used", table([*map(read_by, range(COALITIONS)), *half_way]), persistent=False)

    def terms(self, messages: Messages, skips: Mapping[Modality, Tensor]) -> dict[Modality, Terms]:
        """The terms of each modality, from the messages of the causal stream and the (B, H) skips."""
        return {m: Terms(self._intra(m, messages), self._inter(m, messages), skips[m]) for m in MODALITIES}

    def _intra(self, modality: Modality, messages: Messages) -> Tensor:
        within = [relation for relation in self._into(modality) if relation.within]
        alone = messages.own[modality] + sum(messages.received[r.name] for r in within if not r.from_past)
        return F.relu(torch.stack([alone, alone + sum(messages.received[r.name] for r in within if r.from_past)], dim=1))

    def _inter(self, modality: Modality, messages: Messages) -> Tensor:
        received = {r.source.bit: messages.received[r.name] for r in self._into(modality) if not r.within}
        sums = []
        for term in TERMS[modality][INTER]:
            full = [own for bit, own in received.items() if term.full & bit]
            sums.append(reduce(add, [*full, MIDDLE * received[term.half]] if term.half else full))
        return F.relu(torch.stack(sums, dim=1))

    def _into(self, modality: Modality) -> list[Relation]:
        return [relation for relation in self.config.relations if relation.target is modality]

    def first_layer(self, head: Head, weights: Mapping[Modality, Tensor], terms: Mapping[Modality, Terms]) -> Tensor:
        """(B, 40, hidden) W g of the rows of `used`, without the bias.

        Args:
            head: The head.
            weights: By modality (B, N_m), w^c of equation (4).
            terms: The terms.
        """
        images = []
        for modality, own in terms.items():
            pool = weights[modality].unsqueeze(1).unsqueeze(1)
            pooled = ((pool @ own.intra).squeeze(2), (pool @ own.inter).squeeze(2), own.skip.unsqueeze(1))
            images += [values @ part.T for values, part in zip(pooled, parts_of(head, self.config)[modality], strict=True)]
        return self.used @ torch.cat(images, dim=1)


def parts_of(head: Head, config: MMCIConfig) -> dict[Modality, tuple[Tensor, ...]]:
    """By modality, the (hidden, H) columns of the head's first layer for each part of the read-out."""
    by_modality = head.inner.weight.chunk(len(MODALITIES), dim=1)
    return {m: own.chunk(config.parts, dim=1) for m, own in zip(MODALITIES, by_modality, strict=True)}
