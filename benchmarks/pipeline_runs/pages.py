"""The tables of the pages, from the result of `benchmarks.pipeline`: pure. What was not measured has no row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from benchmarks.markdown import markdown_table
from benchmarks.pipeline_runs.parts import OTHERS, PARTS, STUBS
from benchmarks.pipeline_runs.raw_media import KINDS

PERCENTILES = ("p50", "p95", "p99")
DETAILED = ("encoded", "sample", "320@5")
"""The kinds whose steps are shown."""

TITLES = {"encoded": "encoded by the producer", "sample": "the packaged sample as it is: H.264, PCM, words"}
NAMES = {
    "sentistream": "sentistream: worker, Redis and Triton",
    "plain_faust": "plain Faust, torch for each window",
    "quixstreams": "Quix Streams, torch for each window",
    "floor": "the floor: records through Faust, requests to Triton, Redis",
    "reading_alone": "records through Faust and nothing else",
    "torch": "the model alone in torch, in the same batches",
    "onnxruntime": "the model alone in ONNX Runtime, in the same batches",
}
RAW_NAMES = {
    "sentistream": "sentistream",
    "plain_faust": "plain Faust, OpenCV and ONNX Runtime for each chunk, torch for each window",
    "quixstreams": "the same on Quix Streams",
    "fer": "`fer` for each picture and `vaderSentiment` for the words, in one process; no voice, no windows",
}
PART_NAMES = {
    "decoder": "decoder processes",
    "worker": "worker",
    "triton": "Triton's server",
    "text": "text encoder",
    "face": "face encoder",
    "audio": "audio encoder",
    "mmci": "MMCI",
    "redis": "Redis",
    "broker": "broker",
    "load": "load",
}


def capacity_table(result: Mapping[str, Any]) -> str:
    """The largest number of sessions and the latency of the middle and of the slow windows."""
    rows = [[title(kind), str(sessions), _ms(of_kind, "p50"), _ms(of_kind, "p95")] for kind, sessions, of_kind in by_kind(result)]
    return markdown_table(["what the producer sends", "live sessions", "p50 ms", "p95 ms"], rows)


def latency_table(result: Mapping[str, Any]) -> str:
    """The largest number of sessions with a p95 within one second, their latency, and the size of their media."""
    rows = [
        [
            title(kind),
            str(sessions),
            *(_ms(of_kind, name) for name in PERCENTILES),
            ", ".join(map(_whole, of_kind.get("p95_ms_by_run", ()))),
            f"{of_kind.get('kb_per_minute', '')}",
        ]
        for kind, sessions, of_kind in by_kind(result)
    ]
    header = ["what the producer sends", "live sessions", "p50 ms", "p95 ms", "p99 ms", "p95 ms of each run", "kB a minute"]
    return markdown_table(header, rows)


def milestones_table(result: Mapping[str, Any]) -> str:
    """Duration of each step of a window, with the largest number of sessions."""
    rows = [
        [kind, step, *(f"{times[name]:.1f}" for name in PERCENTILES)]
        for kind, _, of_kind in by_kind(result)
        if kind in DETAILED
        for step, times in (of_kind["milestones_ms"] or {}).items()
    ]
    return markdown_table(["chunks", "step", "p50 ms", "p95 ms", "p99 ms"], rows)


def parts_table(result: Mapping[str, Any]) -> str:
    """CPU time of each part for a session-second, by kind of media."""
    kinds: Mapping[str, Mapping[str, float]] = result.get("cpu_ms_per_session_second", {})
    rows = [[PART_NAMES[part], *(_two(ms.get(part)) for ms in kinds.values())] for part in PART_NAMES if part not in OTHERS]
    rows.append(["**all of sentistream**", *(f"**{sum(ms.get(part, 0.0) for part in PARTS):.2f}**" for ms in kinds.values())])
    rows += [[PART_NAMES[part], *(_two(ms.get(part)) for ms in kinds.values())] for part in OTHERS]
    rows.append(["live sessions", *(str(result["raw_sessions_at_1s"][kind]) for kind in kinds)])
    return markdown_table(["CPU ms for a session-second", *kinds], rows)


def cost_by_sessions_table(result: Mapping[str, Any]) -> str:
    """Cost and latency of a session, by the number of sessions."""
    rows = []
    for kind, runs in result.get("cost_by_sessions", {}).items():
        for sessions, run in runs.items():
            parts: Mapping[str, float] = run["parts"]
            triton = sum(parts.get(part, 0.0) for part in ("triton", *STUBS))
            figures = (run["cpu_ms"], parts.get("decoder"), parts.get("worker"), triton, parts.get("redis"), parts.get("broker"))
            rows.append([kind, sessions, *map(_two, figures), *(_whole(run[name]) for name in ("p50", "p95"))])
    header = [
        "chunks",
        "sessions",
        "CPU ms for a session-second",
        "decoder",
        "worker",
        "Triton",
        "Redis",
        "broker beside",
        "p50 ms",
        "p95 ms",
    ]
    return markdown_table(header, rows)


def flat_note(result: Mapping[str, Any]) -> str:
    """From which number of sessions on a session costs about the same."""
    return "\n".join(
        f"With {number} sessions of `{kind}` or more, each costs the same within 15 %."
        for kind, number in result.get("cost_flat_from", {}).items()
    )


def overload_table(result: Mapping[str, Any]) -> str:
    """The recovery from an overload."""
    rows = []
    if found := result.get("overload"):
        gone = "longer than measured" if found["gone_s"] is None else f"{found['gone_s']:.0f}"
        figures = (found["sessions"], found["too_many"], found["seconds"], found["due"], found["missing"])
        rows.append([*map(str, figures), f"{found['late_s']:.1f}", gone])
    header = ["live sessions", "in the overload", "its seconds", "windows due", "missing", "at most late, s", "in time again after, s"]
    return markdown_table(header, rows)


def workers_table(result: Mapping[str, Any]) -> str:
    """The same sessions on one worker and on more."""
    rows = [
        [workers, run["kind"], str(run["sessions"]), _two(run["cpu_ms"]), _whole(run["p50"]), _whole(run["p95"])]
        for workers, run in result.get("workers", {}).items()
    ]
    return markdown_table(["workers", "chunks", "sessions", "CPU ms for a session-second", "p50 ms", "p95 ms"], rows)


def ratios_table(result: Mapping[str, Any]) -> str:
    """CPU time per window of all systems that do the same job."""
    ms = {name: median(values) for name, values in result["cpu_ms_per_window"].items()}
    ratios = {
        "sentistream": 1.0,
        "torch": result["ratio_to_ceiling"],
        "onnxruntime": result["ratio_to_ceiling_in_onnxruntime"],
    } | {name: result[f"ratio_to_{name}"] for name in ms if f"ratio_to_{name}" in result}
    rows = [[NAMES[name], f"{ms[name]:.2f}", f"{ratios.get(name, ms[name] / ms['sentistream']):.2f}"] for name in NAMES if name in ms]
    return markdown_table(["", "CPU ms per window", "times sentistream's"], rows)


def raw_ratios_table(result: Mapping[str, Any]) -> str:
    """CPU time of all systems for a session-second of raw media, and the sessions that a core carries at that cost."""
    ms: Mapping[str, float] = result.get("raw_ms_by_system", {})
    rows = [[RAW_NAMES[name], _two(own), f"{1000 / own:.0f}", f"{result.get(f'ratio_raw_to_{name}', 1.0):.2f}"] for name, own in ms.items()]
    return markdown_table(["", "CPU ms for a session-second", "sessions that fill a core", "times sentistream's"], rows)


def by_kind(result: Mapping[str, Any]) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    """Each kind of chunk, its largest number of sessions, and their latencies."""
    if "encoded_sessions_at_1s" in result:
        yield "encoded", result["encoded_sessions_at_1s"], result
    for kind, sessions in result.get("raw_sessions_at_1s", {}).items():
        yield kind, sessions, result["raw"][kind]


def title(kind: str) -> str:
    """What a page calls a kind of chunk."""
    name, plus, _ = kind.partition("+")
    found = TITLES.get(name) or KINDS[name].title
    return f"{found}; with partial results" if plus else found


def _ms(of_kind: Mapping[str, Any], percentile: str) -> str:
    return _whole((of_kind["latency_ms"] or {}).get(percentile))


def _two(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _whole(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"
