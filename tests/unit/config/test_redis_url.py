"""The address of Redis is parsed as Redis clients do; a wrong one is refused in one sentence without a part of the password."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from stream.config.load import ConfigError, load_settings
from stream.config.redis_url import RedisAddress, parse_redis_url
from stream.config.service_settings import RedisSettings

SECRETS = ("hunter2", "w0rd", "alice", "s3cret")
"""Parts of users and passwords in the addresses below; no message may hold one."""


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://h", RedisAddress((("h", 6379),))),
        ("REDIS://h:1/", RedisAddress((("h", 1),))),
        (" redis://h:1/3\n", RedisAddress((("h", 1),), database=3)),
        ("valkey://h:1/3", RedisAddress((("h", 1),), database=3)),
        ("redis://h/?db=2", RedisAddress((("h", 6379),), database=2)),
        ("redis://[::1]:7/0", RedisAddress((("::1", 7),))),
        ("rediss://h", RedisAddress((("h", 6379),), tls=True)),
        (
            "rediss://h?ssl_cert_reqs=none&ssl_check_hostname=False",
            RedisAddress((("h", 6379),), tls=True, options={"ssl_cert_reqs": "none", "ssl_check_hostname": False}),
        ),
        ("redis://:hunter2@h", RedisAddress((("h", 6379),), password="hunter2")),
        ("redis://alice:@h", RedisAddress((("h", 6379),), username="alice")),
        ("redis://al%40ice:p%40s%2Fw%23%25@h:1/0", RedisAddress((("h", 1),), username="al@ice", password="p@s/w#%")),
        ("redis://alice:p@ss:w0rd@h:1/0", RedisAddress((("h", 1),), username="alice", password="p@ss:w0rd")),
        ("redis://a:1,b,c:3/0", RedisAddress((("a", 1), ("b", 6379), ("c", 3)))),
        ("unix:///run/redis.sock?db=1", RedisAddress(socket="/run/redis.sock", database=1)),
        ("unix://alice:hunter2@/run/redis.sock", RedisAddress(socket="/run/redis.sock", username="alice", password="hunter2")),
        ("redis+sentinel://a,b:2/mymaster", RedisAddress((("a", 26379), ("b", 2)), primary="mymaster")),
        (
            "redis+sentinel://alice:hunter2@a/mymaster/4?sentinel_password=s3cret",
            RedisAddress(
                (("a", 26379),), primary="mymaster", database=4, username="alice", password="hunter2", sentinel={"password": "s3cret"}
            ),
        ),
    ],
)
def test_addresses_are_parsed(url: str, address: RedisAddress) -> None:
    assert parse_redis_url(url) == address
    assert not any(secret in f"{address}{address!r}" for secret in SECRETS)


WRONG = [
    ("", "must not be blank"),
    ("  ", "must not be blank"),
    ("localhost:6379", "has no scheme; write redis://HOST:PORT/0"),
    ("hunter2", "has no scheme"),
    (":hunter2@localhost:6379", "has no scheme"),
    ("//localhost:6379", "has no scheme"),
    ("redis:/localhost", "has no scheme"),
    ("http://localhost:6379", "begins with http://, which is not Redis"),
    ("hunter2://localhost:6379", "has an unknown scheme"),
    ("redis+cluster://localhost:6379", "a Redis Cluster is recognised by itself"),
    ("redis-sentinel://localhost:6379", r"write redis\+sentinel://HOST:PORT/PRIMARY/0"),
    ("redis://:p@ss/w0rd%@localhost:6379/0", "percent-encode"),
    ("redis://:hunter2/w0rd@localhost:6379/0", "percent-encode"),
    ("redis://:hunter2?w0rd@localhost:6379/0", "percent-encode"),
    ("redis://:hunter2#w0rd@localhost:6379/0", "percent-encode"),
    ("redis://:hunter2#w0rd", "percent-encode"),
    ("redis://:hunter2%w0rd@localhost:6379/0", "percent-encode"),
    ("redis://:hunter2[w0rd]@localhost:6379/0", "percent-encode"),
    ("redis://:hunter2%FFw0rd@localhost:6379/0", "not UTF-8"),
    ("redis://:hunter2 w0rd@localhost:6379/0", "space or a line break"),
    ("redis://hunter2@localhost:6379/0", "redis://:PASSWORD@HOST:PORT/0, with a colon"),
    ("redis://:hunter2@", "names no host"),
    ("redis://:hunter2@:6379/0", "names no host"),
    ("redis://:hunter2", "names no host"),
    ("redis:///0", "names no host"),
    ("redis://alice:hunter2:w0rd", "host that cannot be parsed|port that is no number"),
    ("redis://localhost:hunter2/0", "port that is no number from 1 to 65535"),
    ("redis://localhost:/0", "port that is no number"),
    ("redis://localhost:0/0", "port that is no number"),
    ("redis://localhost:65536/0", "port that is no number"),
    ("redis://localhost:٣/0", "port that is no number"),
    ("redis://::1:6379/0", "IPv6 address in brackets"),
    ("redis://localhost/hunter2", "database that is no number"),
    ("redis://localhost/-1", "database that is no number"),
    ("redis://localhost/0/1", "database that is no number"),
    ("redis://localhost/0?db=hunter2", "database that is no number"),
    ("redis://localhost/0?hunter2=w0rd", "unknown option"),
    ("redis://localhost/0?socket_timeout=3", "unknown option"),
    ("redis://localhost/0?ssl_cert_reqs=none", "only rediss:// has"),
    ("rediss://localhost/0?ssl_ca_certs=/hunter2.pem", "ssl_ca_certs that does not exist"),
    ("rediss://localhost/0?ssl_cert_reqs=hunter2", "not none, optional or required"),
    ("rediss://localhost/0?ssl_check_hostname=hunter2", "not true or false"),
    ("unix://run/redis.sock", "with three slashes"),
    ("unix://", "with three slashes"),
    ("unix:///run/redis.sock?ssl_cert_reqs=none", "options of TLS"),
    ("redis+sentinel://localhost:26379", "does not name the primary"),
]


@pytest.mark.parametrize(("url", "sentence"), WRONG)
def test_a_wrong_address_is_one_sentence_without_a_part_of_it(url: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as refused:
        parse_redis_url(url)
    assert "\n" not in str(refused.value)
    assert not any(secret in str(refused.value) for secret in SECRETS)


@pytest.mark.parametrize("url", ["redis://:p@ss/w0rd%@localhost:6379/0", "hunter2", "redis://alice@h"])
def test_settings_name_the_setting_and_quote_no_secret(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTISTREAM_REDIS__URL", url)
    with pytest.raises(ConfigError, match=r"^redis\.url: ") as from_environment:
        load_settings()
    with pytest.raises(ValidationError) as from_python:
        RedisSettings(url=SecretStr(url))
    for error in (from_environment.value, from_python.value):
        assert not any(secret in f"{error}{error!r}" for secret in SECRETS)


def test_files_of_tls_are_loaded_with_the_settings(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ValueError, match="names a file of TLS that cannot be used"):
        parse_redis_url(f"rediss://h?ssl_ca_certs={tmp_path}/ca.pem")
