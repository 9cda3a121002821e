"""Regression of contributions on measured nuisances: how far does the noise of a line explain what its voice contributes?

(1)  phi_m = b_0 + sum_k b_k z_k + e,   z_k the measured nuisance k with mean 0 and standard deviation 1 (least squares)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats
from stream.domain.modality import Modality
from stream.nuisances import measures
from stream.reveal.battery import Baseline, contributions
from stream.reveal.findings import Detector, Finding

ROWS_PER_MEASURE = 5


def regressions(baseline: Baseline) -> list[Finding]:
    """Equation (1) for voice and face, as far as there are enough windows with them."""
    findings = []
    for modality in (Modality.AUDIO, Modality.VIDEO):
        chosen = [index for index, raw in enumerate(baseline.windows) if raw.has(modality)]
        values = contributions(baseline.windows, baseline.answers, modality)[chosen]
        names, measured = _measured(baseline, chosen, modality)
        findings += regression(names, measured, values, modality)
    return findings


def regression(names: Sequence[str], measured: npt.NDArray[np.float64], values: Floats, modality: Modality) -> list[Finding]:
    """Equation (1).

    Args:
        names: Names of the K measures.
        measured: (n, K) measured nuisances.
        values: (n,) contributions in score points.
        modality: What carries the nuisances.

    Returns:
        A finding for each measure that varies; none for fewer than `ROWS_PER_MEASURE` windows a measure.
    """
    varies = np.flatnonzero(measured.std(axis=0) > 1e-9).tolist() if len(values) else []
    if len(varies) == 0 or len(values) < ROWS_PER_MEASURE * (len(varies) + 1):
        return []
    own = measured[:, varies]
    design = np.column_stack([np.ones(len(values)), (own - own.mean(axis=0)) / own.std(axis=0)])
    slopes, *_ = np.linalg.lstsq(design, values.astype(np.float64), rcond=None)
    left = values - design @ slopes
    variance = float(left @ left) / (len(values) - design.shape[1])
    errors = np.sqrt(variance * np.diag(np.linalg.pinv(design.T @ design)))
    return [
        Finding(
            detector=Detector.REGRESSION,
            name=names[measure],
            modality=modality,
            value=float(slopes[row]),
            error=float(errors[row]),
            windows=len(values),
        )
        for row, measure in enumerate(varies, start=1)
    ]


def _measured(baseline: Baseline, chosen: Sequence[int], modality: Modality) -> tuple[tuple[str, ...], npt.NDArray[np.float64]]:
    windows = [baseline.windows[index] for index in chosen]
    if modality is Modality.AUDIO:
        rows = [[measure(raw.samples.astype(np.float64)) for measure in measures.SOUND.values()] for raw in windows]
        return tuple(measures.SOUND), np.array(rows).reshape(-1, len(measures.SOUND))
    rows = [[measure(raw.crops) for measure in measures.PICTURE.values()] for raw in windows]
    return tuple(measures.PICTURE), np.array(rows).reshape(-1, len(measures.PICTURE))
