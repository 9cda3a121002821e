"""Wrong settings of every kind are one readable line that names the setting and its source. A new setting is covered at once."""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import annotated_types
import pytest
from pydantic.fields import FieldInfo
from typer.testing import CliRunner

from stream.cli.config import app
from stream.cli.errors import describe
from stream.config.load import ConfigError, load_settings, setting_names, variable_name
from stream.config.settings import Settings
from stream.config.yaml_file import MAX_BYTES

MARKER = "hunter2"
"""It is in each wrong text. A message that holds it would show a password as well."""

ALWAYS_WRONG = {
    "blank": "   ",
    "very long": MARKER * 300,
    "a line break": f"{MARKER}\nx",
    "a control character": f"{MARKER}\x1b[31m",
}
OFTEN_WRONG = {
    "empty": "",
    "unicode": f"☃{MARKER}🤖",
    "a path that leaves its folder": f"../../{MARKER}/passwd",
    "a shell command": f"$(reboot {MARKER})",
    "a template": f"{{{{ {MARKER} }}}}%s%n",
    "a statement": f"'; DROP TABLE {MARKER}; --",
    "a word": MARKER,
    "a list as text": f'["{MARKER}"]',
    "a mapping as text": f'{{"{MARKER}": 1}}',
    "null as text": "null",
    "not a number": "nan",
    "infinite": "-inf",
    "too large for a float": "1e999",
    "too many digits": "9" * 5000,
    "a half": "0.5.1",
    "true": "true",
}
NESTED = {"a list": "[1, 2]", "a mapping": "{a: 1}", "a deep list": "[" * 15 + "]" * 15, "null": "null", "nothing": ""}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("SENTISTREAM_")]:
        monkeypatch.delenv(variable)


def field_of(name: str) -> FieldInfo:
    model: Any = Settings
    *sections, leaf = name.split(".")
    for section in sections:
        model = model.model_fields[section].annotation
    return model.model_fields[leaf]  # type: ignore[no-any-return]


def kinds(annotation: Any) -> set[Any]:
    """The classes of an annotation, without those that it is wrapped in."""
    if get_origin(annotation) is Literal:
        return {Literal}
    inner = set(itertools.chain.from_iterable(kinds(part) for part in get_args(annotation) if isinstance(part, type) or get_args(part)))
    return inner or {annotation}


def bounds(name: str) -> tuple[float, float]:
    lowest, highest = -math.inf, math.inf
    for part in field_of(name).metadata:
        if isinstance(part, annotated_types.Ge):
            lowest = float(part.ge)  # type: ignore[arg-type]
        if isinstance(part, annotated_types.Gt):
            lowest = float(part.gt)  # type: ignore[arg-type]
        if isinstance(part, annotated_types.Le):
            highest = float(part.le)  # type: ignore[arg-type]
    return lowest, highest


def is_number(name: str) -> bool:
    return bool(kinds(field_of(name).annotation) & {int, float})


def wrong_texts(name: str) -> Iterator[tuple[str, str]]:
    """Texts that this setting cannot have."""
    yield from ALWAYS_WRONG.items()
    if is_number(name):
        yield from OFTEN_WRONG.items()
        lowest, highest = bounds(name)
        yield "below its bound", str(int(lowest) - 1)
        yield "above its bound", str(int(highest) + 1)
    if kinds(field_of(name).annotation) == {Literal}:
        yield from OFTEN_WRONG.items()


def check(file: Path | None = None) -> tuple[int, list[str]]:
    """Exit code and lines with which every command ends that loads these settings."""
    try:
        load_settings(file)
    except Exception as error:
        described = describe(error)
        assert described is not None, "a traceback would reach the user"
        assert MARKER not in described[0]
        return described[1], described[0].splitlines()
    return 0, []


def is_one_line_about(name: str, source: str, lines: list[str]) -> bool:
    return (
        len(lines) == 1 and lines[0].startswith((f"{name}: ", f"{name.partition('.')[0]}: ")) and source in lines[0] and len(lines[0]) < 500
    )


def test_the_command_prints_the_lines_and_exits_with_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTISTREAM_KAFKA__PARTITIONS", MARKER)
    result = CliRunner().invoke(app, ["check"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("kafka.partitions: must be a valid integer")
    assert result.stderr.endswith("(SENTISTREAM_KAFKA__PARTITIONS)\n")
    assert MARKER not in result.stderr


every_setting = pytest.mark.parametrize("name", setting_names())


@every_setting
def test_a_wrong_variable_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variable = variable_name(tuple(name.split(".")))
    for kind, text in wrong_texts(name):
        monkeypatch.setenv(variable, text)
        code, lines = check()
        assert code == 2, f"{kind} is taken"
        assert is_one_line_about(name, f"({variable})", lines), (kind, lines)


@every_setting
def test_a_wrong_value_in_a_file_is_named_with_its_line(name: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    *sections, leaf = name.split(".")
    indent = "  " * len(sections)
    head = "".join(f"{section}:\n" for section in sections)
    texts = [(kind, json.dumps(text)) for kind, text in wrong_texts(name)]
    optional = type(None) in kinds(field_of(name).annotation)
    nested = [(kind, text) for kind, text in NESTED.items() if not (optional and kind in {"null", "nothing"})]
    for kind, text in [*texts, *nested]:
        file.write_text(f"# a comment\n{head}{indent}{leaf}: {text}\n", encoding="utf-8")
        code, lines = check(file)
        assert code == 2, f"{kind} is taken"
        assert is_one_line_about(name, f"({file}, line {2 + len(sections)})", lines), (kind, lines)


@every_setting
def test_odd_texts_are_taken_as_they_are_or_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variable = variable_name(tuple(name.split(".")))
    for kind, text in OFTEN_WRONG.items():
        monkeypatch.setenv(variable, text)
        code, lines = check()
        assert code == 0 or (code == 2 and is_one_line_about(name, f"({variable})", lines)), (kind, lines)


@every_setting
def test_every_number_has_two_bounds(name: str) -> None:
    if is_number(name):
        assert all(math.isfinite(bound) for bound in bounds(name))


def test_the_introspection_sees_every_setting() -> None:
    assert {"kafka.bootstrap", "redis.url", "triton.url", "windows.kind", "limits.drain_s", "log_level"} <= set(setting_names())
    assert is_number("kafka.partitions")
    assert bounds("triton.timeout_s") == (0.0, 120.0)
    assert kinds(field_of("kafka.password").annotation) >= {type(None)}
    assert kinds(field_of("windows.kind").annotation) == {Literal}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("kafka.bootstrap", "broker", "must be HOST:PORT, and the port is missing"),
        ("kafka.bootstrap", "kafka://broker:9092", "must be HOST:PORT, without kafka://"),
        ("kafka.bootstrap", "a:9092,SASL_SSL://b:9093", "must be HOST:PORT, without SASL_SSL://"),
        ("kafka.bootstrap", f"user:{MARKER}@broker:9092", "must be HOST:PORT, without a user or a password"),
        ("kafka.bootstrap", "broker:99999", "must be HOST:PORT, with a port from 1 to 65535"),
        ("kafka.bootstrap", ",", "must be HOST:PORT, or several of them, separated by commas"),
        ("triton.url", "http://triton:8001", "must be HOST:PORT, without http://"),
        ("triton.url", "grpc://triton:8001", "must be HOST:PORT, without grpc://"),
        ("triton.url", "triton", "must be HOST:PORT, and the port is missing"),
        ("triton.url", "triton:8001/v2", "must be HOST:PORT, without a path"),
        ("triton.url", ":8001", "must be HOST:PORT, and the host is missing"),
        ("triton.url", "::1:8001", "must be HOST:PORT, with a port from 1 to 65535 (an IPv6 address stands in brackets"),
        ("triton.url", f"{'a' * 64}.example:8001", "must have a host name that DNS allows"),
        ("health.host", "0.0.0.0:8080", "must be a host alone"),
        ("kafka.group", "", "must not be blank"),
        ("kafka.partitions", "six", "must be a valid integer (SENTISTREAM_KAFKA__PARTITIONS)"),
        ("kafka.partitions", "0", "must be greater than or equal to 1"),
        ("kafka.security", "ssl_sasl", "must be 'plaintext', 'ssl', 'sasl_plaintext' or 'sasl_ssl'"),
        ("triton.timeout_s", "nan", "must be a finite number"),
        ("windows.length_ms", "4050", "must be a multiple of 100"),
    ],
)
def test_the_mistake_is_said_in_words(name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable_name(tuple(name.split("."))), value)
    code, lines = check()
    assert (code, len(lines)) == (2, 1)
    assert lines[0].startswith(f"{name}: {said}"), lines


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("SENTISTREAM_KAFAK__BOOTSTRAP", "SENTISTREAM_KAFKA__BOOTSTRAP"),
        ("SENTISTREAM_KAFKA_BOOTSTRAP", "SENTISTREAM_KAFKA__BOOTSTRAP"),
        ("SENTISTREAM_REDIS_URL", "SENTISTREAM_REDIS__URL"),
        ("SENTISTREAM_LOGLEVEL", "SENTISTREAM_LOG_LEVEL"),
        ("SENTISTREAM_KAFKA__PARTITIONS__X", "SENTISTREAM_KAFKA__PARTITIONS"),
        ("SENTISTREAM_CONFIGS", "SENTISTREAM_CONFIG"),
    ],
)
def test_an_unknown_variable_is_named_with_the_nearest_one(variable: str, nearest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, MARKER)
    assert check() == (2, [f"{variable}: there is no such setting; did you mean {nearest}?"])


def test_an_unknown_variable_that_is_like_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTISTREAM_QUX", MARKER)
    assert check() == (2, ["SENTISTREAM_QUX: there is no such setting (see `sentistream config show`)"])


def test_a_section_is_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTISTREAM_KAFKA", f'{{"password": "{MARKER}"}}')
    assert check() == (2, ["SENTISTREAM_KAFKA: it is a section; set SENTISTREAM_KAFKA__NAME"])


TAB = "kafka:\n\tgroup: x\n"
BOMB = "a: &a [x, x]\n" + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20))
BAD_FILES: dict[str, tuple[bytes, str]] = {
    "a tab": (TAB.encode(), ", line 2: not valid YAML: a tab; indent with blanks"),
    "a duplicate key": (b"kafka:\n  group: a\n  group: b\n", ", line 3: kafka.group is there twice (before in line 2): remove one of them"),
    "a duplicate section": (b"kafka: {group: a}\nkafka: {group: b}\n", ", line 2: kafka is there twice (before in line 1)"),
    "a list": (b"- a\n- b\n", ": must be a mapping of sections"),
    "a text": (f"redis://:{MARKER}@host\n".encode(), ": must be a mapping of sections"),
    "two documents": (b"log_level: info\n---\nlog_level: debug\n", ", line 2: not valid YAML: more than one document (---)"),
    "an open bracket": (b"kafka: [\n", ", line 2: not valid YAML: a bracket, a quote or a colon is missing"),
    "a colon in a value": (b"kafka: group: a\n", ", line 1: not valid YAML: two settings in one line"),
    "an at sign": (f"kafka:\n  password: @{MARKER}\n".encode(), ", line 2: not valid YAML: put a value with special characters in"),
    "an alias": (f"kafka:\n  password: *{MARKER}\n".encode(), ", line 2: an alias (*NAME), which a settings file may not hold"),
    "a bomb of aliases": (BOMB.encode(), ", line 2: an alias (*NAME)"),
    "a tag": (f"kafka:\n  password: !{MARKER} x\n".encode(), ", line 2: a tag (!NAME), which a settings file may not hold"),
    "a Python object": (b"kafka: !!python/object/apply:os.system ['reboot']\n", ", line 1: a tag (!NAME)"),
    "deep nesting": (b"[" * 100_000, ", line 1: nested too deeply"),
    "a key that is a list": (b"? [a, b]\n: c\n", ", line 1: a key that is not a name"),
    "Latin-1": ("kafka: {group: Zürich}\n".encode("latin-1"), ": not UTF-8: save it as UTF-8 text"),
    "UTF-16 without a mark": ("kafka: {group: x}\n".encode("utf-16-le"), ": not a text file: it holds control characters"),
    "a program": (b"\x7fELF\x02\x01\x01" + bytes(100), ": not"),
    "a huge file": (b"# comment\n" * (MAX_BYTES // 10 + 1), ": larger than 256 KiB, so it is not a settings file"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_file_that_is_no_settings_file_is_one_line(kind: str, tmp_path: Path) -> None:
    content, said = BAD_FILES[kind]
    file = tmp_path / "settings.yaml"
    file.write_bytes(content)
    code, lines = check(file)
    assert (code, len(lines)) == (2, 1), lines
    assert lines[0].startswith(f"{file}{said}"), lines


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    assert check(tmp_path) == (2, [f"{tmp_path}: Is a directory"])
    assert check(tmp_path / "none.yaml") == (2, [f"{tmp_path / 'none.yaml'}: No such file or directory"])
    assert check(Path("/dev/zero"))[1] == ["/dev/zero: larger than 256 KiB, so it is not a settings file"]
    assert check(Path("x" * 5000))[0] == 2
    if os.geteuid() != 0:
        (tmp_path / "secret.yaml").touch(mode=0)
        assert check(tmp_path / "secret.yaml") == (2, [f"{tmp_path / 'secret.yaml'}: Permission denied"])


def test_a_file_that_a_variable_names_is_said_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTISTREAM_CONFIG", str(tmp_path / "none.yaml"))
    assert check() == (2, [f"{tmp_path / 'none.yaml'}: No such file or directory (SENTISTREAM_CONFIG)"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_does_no_harm(encoding: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_bytes("kafka:\r\n  group: Zürich\r\n".encode(encoding))
    assert load_settings(file).kafka.group == "Zürich"


def test_a_file_without_settings_has_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    for content in ("", "# nothing\n", "kafka:\n  # group: x\nredis:\n", "---\n", "{}"):
        file.write_text(content)
        assert load_settings(file) == Settings(), content


def test_values_are_texts_as_in_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("kafka: {username: 007, password: 1e3, group: yes, partitions: '3', security: sasl_ssl}\nlimits: {drain_s: 1.5}\n")
    settings = load_settings(file)
    assert settings.kafka.password is not None
    kafka = settings.kafka
    assert (kafka.username, settings.kafka.password.get_secret_value(), kafka.group, kafka.partitions) == ("007", "1e3", "yes", 3)
    assert settings.limits.drain_s == 1.5


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("kafka: {partitons: 3}", "kafka.partitons: there is no such setting; did you mean kafka.partitions?"),
        ("kafak: {partitions: 3}", "kafak: there is no such setting; did you mean kafka?"),
        ("reddis: {url: redis://h}", "reddis: there is no such setting; did you mean redis?"),
        ("bootstrap: broker:9092", "bootstrap: there is no such setting; did you mean kafka.bootstrap?"),
        ("windows: {LENGTH_MS: 4000}", "windows.LENGTH_MS: there is no such setting; did you mean windows.length_ms?"),
        ("zzz: 1", "zzz: there is no such setting (see `sentistream config show`)"),
        ("kafka: broker:9092", "kafka: must be a section: put its settings below it, indented"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_one(content: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(content)
    assert check(file) == (2, [f"{said} ({file}, line 1)"])


def test_a_value_in_place_of_a_section_is_not_hidden_by_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("kafka: broker:9092\n")
    monkeypatch.setenv("SENTISTREAM_KAFKA__GROUP", "x")
    assert check(file)[1] == [f"kafka: must be a section: put its settings below it, indented ({file}, line 1)"]


def test_all_mistakes_come_at_once_each_with_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("kafka:\n  partitions: 0\n  partitons: 1\nwindows:\n  hop_ms: 9000\n")
    monkeypatch.setenv("SENTISTREAM_TRITON__URL", "triton")
    with pytest.raises(ConfigError) as error:
        load_settings(file, {"redis": {"timeout_s": "long"}})
    found = {mistake.key: mistake.source for mistake in error.value.mistakes}
    assert found == {
        "kafka.partitions": f"{file}, line 2",
        "kafka.partitons": f"{file}, line 3",
        "redis.timeout_s": "command line",
        "triton.url": "SENTISTREAM_TRITON__URL",
        "windows": f"{file}, line 4",
    }


def test_many_mistakes_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("".join(f"key{number}: 1\n" for number in range(1000)))
    code, lines = check(file)
    assert (code, len(lines), lines[-1]) == (2, 21, "… and 980 more mistakes")


def test_a_key_that_is_too_long_or_has_control_characters_stays_readable(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(f'"{"k" * 500}": 1\n"a\\n\\e[31mb": 1\n')
    _, lines = check(file)
    assert len(lines) == 2
    assert all(len(line) < 250 and line.isprintable() for line in lines)
