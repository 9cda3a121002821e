"""Features of utterances as blocks, one for each modality."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats
from stream.domain.modality import MODALITIES, Modality

Labels = npt.NDArray[np.int64]
"""(n,) binary labels, 0 or 1."""

Blocks = dict[Modality, Floats]
"""By modality, (n, d_m) float32 features, standardised on the training rows."""


def joined(blocks: Mapping[Modality, Floats]) -> Floats:
    """Concatenate the blocks in the fixed order of the modalities: (n, sum of d_m)."""
    return np.concatenate([blocks[m] for m in MODALITIES if m in blocks], axis=1)
