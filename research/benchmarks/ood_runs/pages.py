"""The out-of-distribution tables of docs/research/model.md, from the result of the benchmark."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from benchmarks.markdown import markdown_table

Result = Mapping[str, Any]


def halves(split: str, result: Result) -> str:
    """Halves of one split, in the order of the drop."""
    rows = [(name, row) for name, row in result["halves"].items() if name.startswith(f"{split}-")]
    lines = []
    for name, row in sorted(rows, key=lambda item: float(item[1]["acc2_non0"]["drop"])):
        own = row["acc2_non0"]
        against = own.get("against")
        lines.append(
            [
                _named(name, row),
                f"{own['all']:.3f}",
                f"{own['ood']:.3f}",
                f"{own['rest']:.3f}",
                f"{own['drop']:.3f} ± {own['sd']:.3f}",
                _ends(own["interval"]),
                f"{own['random']['mean']:.3f} ± {own['random']['sd']:.3f}",
                f"{against['difference']:+.3f} ({_ends(against['interval'])})" if against else "-",
                f"{against['ratio']:.2f} ({_ends(against['ratio_interval'], 2)})" if against and against["ratio"] is not None else "-",
                str(row["seeds"]),
            ]
        )
    header = ["row", "all", "OOD", "rest", "drop ± sd", "95 %", "random halves", "drop minus ERM's (95 %)", "drop / ERM's (95 %)", "seeds"]
    return markdown_table(header, lines)


def meld(result: Result) -> str:
    """Models of MOSI on lines of MELD."""
    lines = []
    for name, row in result["meld"].items():
        for past in ("none", "own") if row["own"] != row["none"] else ("none",):
            sign, three = row[past]["sign"], row[past]["three"]
            lines.append(
                [
                    f"`{name}`",
                    past,
                    _spread(sign["accuracy"]),
                    _ends(sign["accuracy"]["interval"]),
                    f"{sign['majority']:.3f}",
                    _spread(sign["macro_f1"]),
                    _spread(three["accuracy"]),
                    f"{three['majority']:.3f}",
                    _spread(three["macro_f1"]),
                    str(row["seeds"]),
                ]
            )
    header = ["trained on MOSI", "past", "sign", "95 %", "majority", "macro F1", "three classes", "majority", "macro F1", "seeds"]
    return markdown_table(header, lines)


def social(result: Result) -> str:
    """Context of other speakers."""
    titles = {"real": "real past", "shuffled": "others' exchanged", "none": "without others", "no past": "no past"}
    lines = []
    for name, row in result["social"].items():
        kinds = [(titles[key], row[key]) for key in titles]
        kinds += [(f"{titles[key]}, at test only", row["heard_at_test"][key]) for key in titles if key in row["heard_at_test"]]
        for title, own in kinds:
            cells = [f"`{name}`", title]
            for f1 in ("weighted_f1", "macro_f1"):
                gain = f"{own[f1]['real_gains']:+.3f} ({_ends(own[f1]['real_gains_interval'])})" if "real_gains" in own[f1] else "-"
                cells += [_spread(own[f1]), gain]
            lines.append([*cells, str(row["seeds"])])
    header = ["row", "trained and tested with", "weighted F1", "real past gains (95 %)", "macro F1", "real past gains (95 %)", "seeds"]
    return markdown_table(header, lines)


def adversarial(result: Result) -> str:
    """Accuracy under attack."""
    rows = result["adversarial"]
    radii = [(norm, radius) for norm in ("linf", "l2") for radius in next(iter(rows.values()))[norm] if norm == "linf" or radius != "0"]
    titles = ["0" if radius == "0" else f"{'L∞' if norm == 'linf' else 'L2'} {radius}" for norm, radius in radii]
    lines = [
        [f"`{name}`", *(f"{row[norm][radius]['mean']:.3f}" for norm, radius in radii), str(row["n"]), str(row["seeds"])]
        for name, row in rows.items()
    ]
    return markdown_table(["row", *titles, "windows", "seeds"], lines)


def smoothing(result: Result) -> str:
    """Certified accuracy."""
    lines = []
    radii: list[str] = []
    for name, row in result["smoothing"].items():
        for sigma, own in row.items():
            if isinstance(own, dict):
                radii = list(own["certified"])
                certified = [f"{own['certified'][radius]:.3f}" for radius in radii]
                lines.append(
                    [
                        f"`{name}`",
                        sigma,
                        f"{own['mean_radius']:.3f}",
                        *certified,
                        f"{own['abstained']:.3f}",
                        str(row["n"]),
                        str(row["seeds"]),
                    ]
                )
    return markdown_table(["row", "sigma", "mean radius", *(f"at {radius}" for radius in radii), "no answer", "windows", "seeds"], lines)


def gaps(part: str, result: Result) -> str:
    """Curves of ``dropped`` or ``noised``."""
    lines = []
    amounts: list[str] = []
    for name, row in result[part].items():
        for modality, own in row.items():
            if isinstance(own, dict):
                amounts = list(own["accuracy"])
                curve = [f"{own['accuracy'][amount]:.3f}" for amount in amounts]
                share = f"{own['of_without']:.3f}{'' if own['reached'] else ' (missed)'}"
                lines.append([f"`{name}`", modality, *curve, f"{own['area']:.3f}", f"{own['without']:.3f}", share, str(row["seeds"])])
    unit = "share gone " if part == "dropped" else "sd "
    return markdown_table(
        ["row", "modality", *(f"{unit}{a}" for a in amounts), "area", "never had it", "worst / never had it", "seeds"], lines
    )


def conflict(result: Result) -> str:
    """Windows in conflict, and the others."""
    lines = []
    for name, row in result["conflict"].items():
        for pair, own in row.items():
            if isinstance(own, dict):
                cells = [f"{own[kind]['accuracy']:.3f} ({_ends(own[kind]['interval'])})" for kind in ("conflict", "agreement")]
                lines.append(
                    [f"`{name}`", pair, str(own["conflict"]["n"]), cells[0], str(own["agreement"]["n"]), cells[1], str(row["seeds"])]
                )
    return markdown_table(["row", "pair", "in conflict", "accuracy (95 %)", "agreeing", "accuracy (95 %)", "seeds"], lines)


def _once_measured(part: str, make: Callable[[Result], str]) -> Callable[[Result], str]:
    return lambda result: make(result) if result.get(part) else "Not measured yet."


TABLES: Mapping[str, Callable[[Result], str]] = {
    "halves-bclstm": _once_measured("halves", partial(halves, "bclstm")),
    "halves-std": _once_measured("halves", partial(halves, "std")),
    "meld": _once_measured("meld", meld),
    "social": _once_measured("social", social),
    "adversarial": _once_measured("adversarial", adversarial),
    "smoothing": _once_measured("smoothing", smoothing),
    "dropped": _once_measured("dropped", partial(gaps, "dropped")),
    "noised": _once_measured("noised", partial(gaps, "noised")),
    "conflict": _once_measured("conflict", conflict),
}


def _named(name: str, row: Result) -> str:
    return f"`{name}`" + (f" ({row['role']})" if row["role"] else "")


def _spread(own: Mapping[str, float]) -> str:
    return f"{own['mean']:.3f} ± {own['sd']:.3f}"


def _ends(interval: list[float], digits: int = 3) -> str:
    return " to ".join(f"{end:.{digits}f}" for end in interval)
