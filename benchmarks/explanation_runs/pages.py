"""The tables of docs/explanations.md and its picture: comprehensiveness by milliseconds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from benchmarks.markdown import markdown_table
from stream.domain.live_reveal import ALONE
from stream.nuisances.probes import FACE_PROBES

FACE_MARKS = {mark.name for mark in FACE_PROBES}
TITLES = {
    "ours": "**the product's**",
    "closed_form": "closed form",
    "attention": "raw attention",
    "grad_cam_pp": "Grad-CAM++",
    "integrated_gradients": "integrated gradients",
    "occlusion": "occlusion",
    "leave_one_out": "leave one out and in",
    "shap": "KernelSHAP, 2,048 samples",
    "lime": "LIME, 512 samples",
    "random": "random",
    "combiner": "learned combination",
    "mean": "mean of five",
    "oracle": "oracle: greedy deletion",
    "oracle_insertion": "oracle: greedy insertion",
}
COLUMNS = {
    "comprehensiveness": "comprehensiveness",
    "sufficiency": "sufficiency",
    "sufficiency_overshooting": "…with excess",
    "deletion_auc": "deletion",
    "insertion_auc": "insertion",
    "exchange": "exchange",
    "reencoded_sign": "phrase: sign",
    "reencoded_top1": "phrase: first",
    "word_top1": "word: first",
    "iou": "marks: IoU",
    "relevance_mass": "marks: mass",
    "max_sensitivity": "sensitivity",
    "randomised": "random weights",
    "ms": "ms",
}
MEASURES = {
    "comprehensiveness": "comprehensiveness",
    "sufficiency": "sufficiency",
    "sufficiency_overshooting": "sufficiency, with excess",
    "deletion_auc": "deletion curve",
    "insertion_auc": "insertion curve",
    "exchange": "exchange",
    "reencoded_sign": "sign of the first phrase",
    "reencoded_top1": "first phrase",
    "word_sign": "sign of the first word",
    "word_top1": "first word",
    "pointing": "pointing game on marks",
    "relevance_mass": "relevance mass on marks",
    "iou": "IoU on marks",
    "max_sensitivity": "sensitivity",
    "agreement": "agreement of two runs (Kendall's tau)",
    "randomised": "random weights",
    "gini": "Gini",
}
WIDTH, HEIGHT, MARGIN = 640, 360, 50
LEAST_MS, MOST_MS = 0.5, 5000.0


def methods_table(result: Mapping[str, Any]) -> str:
    """Methods side by side."""
    rows = [
        [title, *(_number(key, result["methods"][name].get(key)) for key in COLUMNS)]
        for name, title in TITLES.items()
        if name in result["methods"]
    ]
    windows, marked = result["windows"]["explained"], result["windows"]["planted"]
    note = f"{windows} windows with {result['nodes']:.0f} nodes each, {marked} with marks; {result['machine']['cpu']}."
    return markdown_table(["method", *COLUMNS.values()], rows) + "\n\n" + note


def claims_table(result: Mapping[str, Any]) -> str:
    """How often claims on words hold by the number of phrases that are tried, and what the product's claims on windows are worth."""
    rows = [[most, f"{own['removals']:.2f}", f"{own['top']:.2f}", f"{own['sign']:.2f}"] for most, own in result["by_candidates"].items()]
    table = markdown_table(["candidates", "phrases left out, mean", "first claim is the strongest phrase", "right sign"], rows)
    windows = result["windows"]
    sizes = {int(size): count for size, count in windows["label_hangs_on"].items()}
    of_texts = f"{result['texts']} texts; in {next(iter(result['by_candidates'].values()))['windows']:.0f} of them a phrase has an effect."
    of_windows = [
        ["examined in full", f"{windows['count']}"],
        ["a phrase has an effect", f"{windows['with_effect']}"],
        ["first claim is the strongest phrase", f"{windows['top']:.2f} of these"],
        ["right sign", f"{windows['sign']:.2f} of {windows['claims']} claims"],
        ["label hangs on one phrase", f"{sizes.pop(1, 0)}"],
        ["label hangs on two to four phrases", f"{sum(sizes.values())}"],
    ]
    counts = markdown_table([f"windows, {result['candidates']} candidates", ""], of_windows)
    return f"{table}\n\n{of_texts}\n\n{counts}"


def live_probes_table(result: Mapping[str, Any]) -> str:
    """What the probes of the live stream do to honest windows; fillers, which share a threshold, in one row."""
    alike: dict[str, list[str]] = {}
    for name in result["moved"]:
        alike.setdefault(_row_of(name), []).append(name)
    titles = ["probe", "windows", "mean shift of the contribution, corpora and sample", "threshold", "beyond it, corpora", "sample"]
    return markdown_table(titles, [[row, *_live_probe_cells(result, names)] for row, names in alike.items()])


def _live_probe_cells(result: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """The row of the probes of these names."""
    own = [result["moved"][name] for name in names]
    means = {kind: [moved[kind]["mean"] for moved in own if kind in moved] for kind in ("corpora", "sample")}
    windows, beyond = ({kind: sum(moved[kind][key] for moved in own if kind in moved) for kind in means} for key in ("windows", "beyond"))
    several = [f"{edge([*means['corpora'], *means['sample']]):+.2f}" for edge in (min, max)]
    honest = result["reference"]["probes"][names[-1]]
    return [
        f"{honest['windows']}",
        ", ".join(f"{own_means[0]:+.2f}" for own_means in means.values()) if len(names) == 1 else f"between {' and '.join(several)}",
        f"{honest['threshold']:.2f}",
        f"{beyond['corpora'] / windows['corpora']:.3f}".lstrip("0"),
        f"{beyond['sample']} of {windows['sample']}",
    ]


def _row_of(probe: str) -> str:
    mark = probe.removesuffix(ALONE)
    if mark.startswith("word "):
        return "ten filler words, each" if mark == probe else "fillers, nothing but words"
    return mark if mark == probe else f"{mark}, nothing but a {'face' if mark in FACE_MARKS else 'voice'}"


def agreeing_table(result: Mapping[str, Any]) -> str:
    """The single methods on windows whose parts have one polarity."""
    keys = ("comprehensiveness", "sufficiency", "sufficiency_overshooting")
    rows = [[TITLES[name], *(_number(key, own[key]) for key in keys)] for name, own in result["agreeing"].items()]
    return markdown_table(["method", *(COLUMNS[key] for key in keys)], rows)


def measures_table(result: Mapping[str, Any]) -> str:
    """Which measures passed their own check."""
    rows = [
        [
            MEASURES[name],
            "yes" if one["trusted"] else "**no**",
            f"{one['order']:.2f}",
            f"{one['random_wins']:.2f}",
            "yes" if one["oracle_first"] else "no",
        ]
        for name, one in result["metrics"].items()
    ]
    return markdown_table(["measure", "trusted", "order under noise", "random wins", "oracle first"], rows)


def agreement_table(result: Mapping[str, Any]) -> str:
    """Kendall's tau between the methods, and how fast the product's explanation changes with random weights."""
    names = [name for name in result["agreement"] if name not in {"oracle", "oracle_insertion", "mean", "combiner"}]
    rows = [[TITLES[one], *(f"{result['agreement'][one][two]:.2f}" for two in names)] for one in names]
    return markdown_table(["", *(TITLES[name] for name in names)], rows)


def _number(key: str, value: float | None) -> str:
    if value is None:
        return ""
    if key == "ms":
        return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
    fine = {"comprehensiveness", "sufficiency", "sufficiency_overshooting", "max_sensitivity"}
    return f"{value:.3f}" if key in fine else f"{value:.2f}"


def picture(result: Mapping[str, Any]) -> str:
    """SVG: comprehensiveness by CPU milliseconds, on a logarithmic scale; the best methods are at the top left."""
    right, bottom = WIDTH - MARGIN, HEIGHT - MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<path d="M{MARGIN} {MARGIN}V{bottom}H{right}" fill="none" stroke="#888"/>',
        f'<text x="{MARGIN}" y="{MARGIN - 12}">comprehensiveness</text>',
        f'<text x="{right}" y="{HEIGHT - 12}" text-anchor="end">CPU milliseconds of a window</text>',
    ]
    for ms in (1, 10, 100, 1000):
        x = _x(ms)
        parts += [
            f'<path d="M{x:.1f} {MARGIN}V{bottom}" stroke="#eee"/>',
            f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{ms:,}</text>',
        ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _y(share)
        parts += [
            f'<path d="M{MARGIN} {y:.1f}H{right}" stroke="#eee"/>',
            f'<text x="{MARGIN - 6}" y="{y + 4:.1f}" text-anchor="end">{share:g}</text>',
        ]
    for name, row in result["methods"].items():
        if row.get("ms"):
            x, y, colour = _x(row["ms"]), _y(row["comprehensiveness"]), "#cc3311" if name == "ours" else "#3366cc"
            title = escape(TITLES[name].strip("*").partition(",")[0])
            anchor, shift = ("end", -8) if x > 0.75 * WIDTH else ("start", 8)
            parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>',
                f'<text x="{x + shift:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}">{title}</text>',
            ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _x(ms: float) -> float:
    share = math.log(max(ms, LEAST_MS) / LEAST_MS) / math.log(MOST_MS / LEAST_MS)
    return MARGIN + share * (WIDTH - 2 * MARGIN)


def _y(share: float) -> float:
    return HEIGHT - MARGIN - min(max(share, 0.0), 1.0) * (HEIGHT - 2 * MARGIN)
