"""The file of receivers: every mistake at once, in words, without a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.domain.alert import Severity
from stream.gateway.webhooks import receivers
from stream.gateway.webhooks.receivers import Kind, Receiver, WebhooksError, check_url, new_secret, read_receivers, read_secrets

SECRET = new_secret()
RECEIVER = "- {name: crm, url: https://hooks.example.com/s, secret_file: crm.secret, tenants: [default]"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "crm.secret").write_text(SECRET)
    return tmp_path / "webhooks.yaml"


def test_a_receiver_with_everything(file: Path) -> None:
    more = ", events: [alerts, finals, summaries], min_severity: high, words: true}"
    file.write_text(f"receivers:\n{RECEIVER}{more}\n- {{name: all, url: https://a.example/, secret_file: crm.secret, tenants: ['*']}}")
    first, second = read_receivers(file, private_addresses=False)
    assert first == Receiver(
        "crm",
        "https://hooks.example.com/s",
        "crm.secret",
        ("default",),
        (Kind.ALERTS, Kind.FINALS, Kind.SUMMARIES),
        Severity.HIGH,
        words=True,
    )
    assert first.wants("default", Kind.FINALS)
    assert not first.wants("other", Kind.FINALS)
    assert second.wants("other", Kind.ALERTS)
    assert not second.wants("other", Kind.FINALS)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "must have one list"),
        ("receivers: 1", "must have one list"),
        ("receivers: []\nothers: []", "must have one list"),
        ("- 1", "must have one list"),
        ("receivers: [", "is not YAML"),
        ("a: &x 1\nb: *x", "alias"),
        ("receivers: " + "[" * 3000, "nested too deeply"),
        ("receivers:\n" + f"{RECEIVER}}}\n" * 101, "at most 100"),
        ("#" * receivers.MAX_BYTES + "#", "too large"),
    ],
)
def test_a_file_of_another_form(file: Path, content: str, said: str) -> None:
    file.write_text(content)
    with pytest.raises(WebhooksError, match=said):
        read_receivers(file, private_addresses=False)


def test_every_mistake_is_told_at_once(file: Path) -> None:
    file.write_text(
        f"receivers:\n{RECEIVER}}}\n{RECEIVER}}}\n{RECEIVER}, extra: 1}}\n- {{name: x}}\n- 7\n"
        "- {name: a/b, url: https://a.example, secret_file: crm.secret, tenants: [x]}\n"
        "- {name: c, url: https://a.example, secret_file: crm.secret, tenants: []}\n"
        "- {name: d, url: https://a.example, secret_file: missing, tenants: [x]}\n"
        "- {name: e, url: https://a.example, secret_file: webhooks.yaml, tenants: [x], events: [loud]}\n"
    )
    with pytest.raises(WebhooksError) as caught:
        read_receivers(file, private_addresses=False)
    lines = str(caught.value).splitlines()
    assert [line.split("receiver ")[1][0] for line in lines] == list("23456789")
    assert "another receiver has this name" in lines[0]
    assert "No such file" in lines[6]


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(WebhooksError, match="No such file"):
        read_receivers(tmp_path / "none.yaml", private_addresses=False)


@pytest.mark.parametrize(
    "content", ["", "hunter2", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!!", f"{SECRET}\n{SECRET}\n{SECRET}", "whsec_é" + "A" * 40]
)
def test_a_secret_that_is_none_is_refused_and_not_quoted(tmp_path: Path, content: str) -> None:
    (tmp_path / "secret").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match="secret_file: ") as caught:
        read_secrets(tmp_path / "secret")
    assert "hunter2" not in str(caught.value)


def test_two_secrets_while_one_is_replaced(tmp_path: Path) -> None:
    other = new_secret()
    (tmp_path / "secret").write_text(f"{SECRET}\n\n{other}\n")
    assert read_secrets(tmp_path / "secret") == (SECRET, other)


PRIVATE = [
    "https://127.0.0.1/",
    "https://localhost/",
    "https://10.1.2.3/",
    "https://192.168.0.1:8443/x",
    "https://169.254.169.254/latest/meta-data",
    "https://[::1]/",
    "https://[fd00::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://0.0.0.0/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://100.64.0.1/",
    "https://224.0.0.1/",
    "http://127.0.0.1:9000/hook",
]


@pytest.mark.parametrize("url", PRIVATE)
def test_private_addresses_are_refused_unless_allowed(url: str) -> None:
    with pytest.raises(ValueError, match="private network"):
        check_url(url, private_addresses=False)
    check_url(url, private_addresses=True)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.com",
        "ftp://a.example",
        "https://",
        "https://user:pass@a.example/",
        "https://a.example/#x",
        "https://[::1",
        "https://a b/",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be https"):
        check_url(url, private_addresses=True)


@pytest.mark.parametrize("url", ["http://hooks.example.com/", "http://10.0.0.1/", "http://8.8.8.8/"])
def test_http_is_for_this_machine_alone(url: str) -> None:
    with pytest.raises(ValueError, match="must begin with https"):
        check_url(url, private_addresses=True)


@pytest.mark.parametrize(
    "url", ["https://hooks.example.com/a?b=c", "https://8.8.8.8/", "https://[2606:4700::1]/", "https://a.example:8443"]
)
def test_public_addresses_are_taken(url: str) -> None:
    check_url(url, private_addresses=False)
