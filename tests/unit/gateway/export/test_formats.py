"""A session as a file: complete, in order, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from msgspec import structs

from stream.domain.result import Record, ScoreRecord, decode_record
from stream.explain.session_summary import summarise
from stream.gateway.export.formats import COLUMNS, ExportFormat, export
from tests.fakes.alerts import make_alert
from tests.fakes.results import SESSION, make_explanation, make_partial, make_score
from tests.support import contracts

NOW_MS = 1_795_000_000_123
FIRST = structs.replace(make_score(4000, -1.25), media_end_at_ms=NOW_MS, warnings=("to_review", "several_faces"))
SECOND = make_score(6000, None, track="agent", role="agent")
RECORDS: list[Record] = [
    FIRST,
    make_explanation(FIRST, "The customer seems negative (-1.2)."),
    make_alert(4000),
    SECOND,
    make_partial(8000),
    summarise(SESSION, 0, [FIRST, SECOND]),
]


async def written(kind: ExportFormat, records: list[Record]) -> bytes:
    async def each() -> AsyncIterator[Record]:
        for record in records:
            yield record

    return b"".join([piece async for piece in export(each(), kind, SESSION, NOW_MS)])


async def test_json_lines_are_the_records_as_published() -> None:
    lines = (await written(ExportFormat.JSONL, RECORDS)).splitlines()
    assert [decode_record(line) for line in lines] == [record for record in RECORDS if record is not RECORDS[4]]


async def test_csv_has_a_row_for_each_window() -> None:
    text = (await written(ExportFormat.CSV, RECORDS)).decode()
    first, second = csv.DictReader(io.StringIO(text))
    assert tuple(first) == COLUMNS
    assert first["window_id"] == FIRST.window_id
    assert (first["score"], first["negative"], first["contribution_text"]) == ("-1.25", "0.2", "-1.25")
    assert first["media_end_at"] == "2026-11-18T11:06:40.123Z"
    assert first["warnings"] == "to_review several_faces"
    assert first["sentence"] == "The customer seems negative (-1.2)."
    assert (second["role"], second["score"], second["sentence"], second["base_score"]) == ("agent", "", "", "")
    assert text.endswith("\r\n")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "\uff1d1", '=HYPERLINK("http://x","y")'])
async def test_a_text_that_looks_like_a_formula_is_disarmed(text: str) -> None:
    rows = csv.DictReader(io.StringIO((await written(ExportFormat.CSV, [FIRST, make_explanation(FIRST, text)])).decode(), newline=""))
    assert next(rows)["sentence"] == "'" + text


async def test_a_vcon_has_an_analysis_for_each_record_and_no_names() -> None:
    vcon = json.loads(await written(ExportFormat.VCON, RECORDS))
    assert vcon["vcon"] == "0.4.0"
    assert UUID(vcon["uuid"]).version == 8
    assert vcon["created_at"] == "2026-11-18T11:06:40.123Z"
    assert vcon["parties"] == [{"role": "customer"}, {"role": "agent"}]
    assert (vcon["dialog"], vcon["attachments"], vcon["extensions"]) == ([], [], ["CC"])
    analyses = vcon["analysis"]
    assert [analysis["type"] for analysis in analyses] == ["sentiment", "explanation", "report", "sentiment", "summary"]
    for analysis in analyses:
        assert (analysis["vendor"], analysis["encoding"], analysis["mediatype"]) == ("sentistream", "json", "application/json")
        name = analysis["schema"].rpartition(":")[2]
        assert contracts.problems("session-summary" if name == "session" else name, json.loads(analysis["body"])) == []


@pytest.mark.parametrize("kind", ExportFormat)
async def test_a_session_without_records_is_a_valid_file(kind: ExportFormat) -> None:
    content = await written(kind, [])
    match kind:
        case ExportFormat.JSONL:
            assert content == b""
        case ExportFormat.CSV:
            assert content.decode().strip() == ",".join(COLUMNS)
        case ExportFormat.VCON:
            assert json.loads(content)["analysis"] == []


async def test_pieces_come_as_records_do() -> None:
    taken = 0

    async def endless() -> AsyncIterator[Record]:
        nonlocal taken
        while True:
            taken += 1
            yield make_score(taken * 2000, 0.0)

    for kind in ExportFormat:
        taken, pieces = 0, export(endless(), kind, SESSION, NOW_MS)
        for _ in range(5):
            assert isinstance(await anext(pieces), bytes)
        assert taken <= 6
    assert isinstance(RECORDS[0], ScoreRecord)
