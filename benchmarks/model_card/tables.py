"""Makes the tables of docs/model-card.md from the numbers in docs/model-metrics.json."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from benchmarks.markdown import fill_tables, markdown_table


def fill_card(card: str, metrics: Mapping[str, Any]) -> str:
    """Fill the tables of a card.

    Args:
        card: Markdown with ``<!-- table: NAME -->`` marks.
        metrics: The numbers that `stream.training.recipe.run` measures.

    Raises:
        KeyError: If the card asks for a table that does not exist, or a number is missing.
    """
    tables = {
        "text": text_table,
        "evidence": evidence_table,
        "encoders": encoders_table,
        "modalities": modalities_table,
        "coalitions": coalitions_table,
        "review": review_table,
        "speakers": speakers_table,
        "actors": actors_table,
        "seeds": seeds_table,
    }
    return fill_tables(card, {name: partial(make, metrics) for name, make in tables.items()})


def text_table(metrics: Mapping[str, Any]) -> str:
    """The text encoder on validation sentences: as trained, and as served with an adapter of low rank in place of all the changes."""
    text = metrics["text"]
    titles = {"trained": "as trained", "adapter": f"served: changes of rank {text['rank']}"}
    rows = []
    for key, title in titles.items():
        rated, meld = text[key]["rated sentences"], text[key]["meld"]
        rows.append([title, *_numbers(rated, "acc2_non0", "mae", "corr"), *_numbers(meld, "accuracy", "weighted_f1")])
    return markdown_table(["encoder", "rated sentences: Acc-2 non0", "MAE", "correlation", "MELD: accuracy", "weighted F1"], rows)


def evidence_table(metrics: Mapping[str, Any]) -> str:
    """The evidence of the voice encoder by itself, on the recordings of each part of each corpus."""
    rows = []
    for key, found in metrics["audio"]["results"].items():
        part, corpus = key.split(" ", 1)
        rows.append([corpus, part, f"{found['n']:.0f}", *_known(found, "emotion", "polarity", "happy_negative", "arousal")])
    header = ["corpus", "part", "n", "emotions, macro recall", "polarity, macro recall", "AUC happy against negative", "AUC arousal"]
    return markdown_table(header, rows)


def encoders_table(metrics: Mapping[str, Any]) -> str:
    """The face encoder with its training classifiers, on all three parts of FER2013."""
    rows = []
    for part in ("train", "validation", "test"):
        for kind in ("emotion", "polarity"):
            found = metrics["face"]["results"][f"{part} {kind}"]
            numbers = _numbers(found, "accuracy", "macro_recall", "macro_f1", "majority_accuracy")
            rows.append([part, kind, f"{found['n']:.0f}", *numbers])
    return markdown_table(["part", "classes", "n", "accuracy", "macro recall", "macro F1", "majority"], rows)


def modalities_table(metrics: Mapping[str, Any]) -> str:
    """The whole served model with one modality at a time, on that modality's test part: the shipped seed, and the mean over the seeds."""
    titles = {
        "text mosi": "text: MOSI test, by video",
        "text mosi, cut": "text: windows that cut MOSI's sentences, encoded after the earlier words",
        "text mosi, cut, alone": "text: the same windows, encoded alone",
        "text meld": "text: MELD test, by dialogue",
        "text routine": "text: made-up calls, with phrases of their own",
        **{key: f"voice: {key.removeprefix('voice ')}, test speakers" for key in _shipped(metrics) if key.startswith("voice ")},
        "face": "face: FER2013 test without copies of training images",
    }
    rows = []
    for key, title in titles.items():
        found = _shipped(metrics).get(key)
        if found is None:
            continue
        interval = f"{found['accuracy_low']:.3f}-{found['accuracy_high']:.3f}" if "accuracy_low" in found else ""
        mean, deviation = metrics["mmci"]["spread"][key]["accuracy"]
        spread = f"{mean:.3f} ± {deviation:.3f}"
        rows.append(
            [
                *(title, f"{found['n']:.0f}", *_numbers(found, "accuracy"), interval, spread),
                *_numbers(found, "macro_f1", "weighted_f1", "majority_accuracy", "calibration_error"),
            ]
        )
    header = ["modality alone", "n", "accuracy", "95 % interval", "mean of seeds", "macro F1", "weighted F1", "majority", "ECE"]
    score = _shipped(metrics)["text mosi"]
    names = (("MAE", "mae"), ("correlation", "correlation"), ("Acc-2 has0", "accuracy_has0"), ("Acc-2 non0", "accuracy_non0"))
    sentence = "Score against MOSI's annotation (test, text alone): " + ", ".join(f"{title} {score[key]:.3f}" for title, key in names) + "."
    return markdown_table(header, rows) + "\n\n" + sentence


def coalitions_table(metrics: Mapping[str, Any]) -> str:
    """Every coalition of modalities on paired test windows, for the shipped seed."""
    rows = []
    for key, found in _shipped(metrics).items():
        if key.startswith("paired "):
            rows.append(
                [
                    key.removeprefix("paired "),
                    *_numbers(found, "accuracy", "macro_f1", "majority_accuracy", "calibration_error", "mosi_mae"),
                ]
            )
    order = sorted(rows, key=lambda row: (row[0] != "nothing", row[0].count("+"), row[0]))
    return markdown_table(["coalition", "accuracy", "macro F1", "majority", "ECE", "MAE on MOSI's windows"], order)


def review_table(metrics: Mapping[str, Any]) -> str:
    """Share of the windows that are set aside for review, and how often their labels are wrong, compared with the other windows."""
    rows = []
    for key, found in _shipped(metrics).items():
        if found.get("reviewed"):
            times = f"{found['wrong_reviewed'] / found['wrong_kept']:.1f}" if found["wrong_kept"] else ""
            rows.append([key, *_numbers(found, "reviewed", "wrong_reviewed", "wrong_kept"), times])
    return markdown_table(["windows", "set aside", "wrong of those", "wrong of the rest", "times as wrong"], sorted(rows))


def speakers_table(metrics: Mapping[str, Any]) -> str:
    """MELD's test lines by speaker, text alone."""
    return _groups_table(metrics, "speaker ", "speaker")


def actors_table(metrics: Mapping[str, Any]) -> str:
    """RAVDESS's test recordings by sex and actor, voice alone."""
    return _groups_table(metrics, "actor", "actor or sex")


def _groups_table(metrics: Mapping[str, Any], prefix: str, title: str) -> str:
    rows = [
        [
            key.removeprefix("speaker ").removeprefix("actors ").removeprefix("actor "),
            *(f"{found['n']:.0f}", *_numbers(found, "accuracy")),
            *(f"{found[name]:+.2f}" for name in ("mean_score", "mean_score_of_neutral")),
        ]
        for key, found in _shipped(metrics).items()
        if key.startswith(prefix)
    ]
    return markdown_table([title, "n", "accuracy", "mean score", "mean score of neutral ones"], rows)


def seeds_table(metrics: Mapping[str, Any]) -> str:
    """The seeds of MMCI. The seed with the lowest validation criterion is shipped."""
    shipped = metrics["mmci"]["shipped_seed"]
    rows = [
        [
            *(seed + (" (shipped)" if int(seed) == shipped else ""), f"{found['criterion']:.4f}", str(found["best_epoch"])),
            *_numbers(found["results"]["text mosi"], "mae", "accuracy_non0"),
            *_numbers(found["results"]["text meld"], "weighted_f1"),
            f"{_mean_of_voices(found['results'], 'macro_recall'):.3f}",
            *_numbers(found["results"]["face"], "accuracy"),
        ]
        for seed, found in sorted(metrics["mmci"]["seeds"].items())
    ]
    header = ["seed", "validation criterion", "epoch", "MOSI MAE", "MOSI Acc-2 non0", "MELD weighted F1", "voice recall", "face accuracy"]
    return markdown_table(header, rows)


def _shipped(metrics: Mapping[str, Any]) -> Mapping[str, Mapping[str, float]]:
    mmci = metrics["mmci"]
    results: Mapping[str, Mapping[str, float]] = mmci["seeds"][str(mmci["shipped_seed"])]["results"]
    return results


def _mean_of_voices(results: Mapping[str, Mapping[str, float]], name: str) -> float:
    """Mean over the corpora of voices."""
    values = [found[name] for key, found in results.items() if key.startswith("voice ")]
    return sum(values) / len(values)


def _known(found: Mapping[str, float | None], *names: str) -> list[str]:
    """Numbers, with nothing where one is unknown."""
    return ["" if (value := found[name]) is None else f"{value:.3f}" for name in names]


def _numbers(found: Mapping[str, float], *names: str) -> list[str]:
    return [f"{found[name]:.3f}" for name in names]
