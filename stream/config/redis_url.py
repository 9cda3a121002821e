"""Parses the address of Redis.

Each error is one sentence that names the mend, and quotes nothing of the address, which may hold a password.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from stream.config.addresses import check_host
from stream.domain.address import Address, format_address

REDIS_PORT = 6379
SENTINEL_PORT = 26379

FORM = "redis://HOST:PORT/0"
ENCODE = "percent-encode each character of user and password that is no letter or digit: / is %2F, # is %23, ? is %3F, % is %25, @ is %40"
SCHEMES = {
    "redis": (False, False),
    "rediss": (True, False),
    "valkey": (False, False),
    "valkeys": (True, False),
    "redis+sentinel": (False, True),
    "rediss+sentinel": (True, True),
}
"""Scheme → whether with TLS, whether a Sentinel names the server."""

OTHER_SCHEMES = frozenset(
    {"http", "https", "tcp", "tls", "ssl", "kafka", "grpc", "redis-sentinel", "redis+cluster", "redis-cluster", "redis+socket"}
)
"""Schemes that are common mistakes. Only these may be quoted: anything else might be a part of a password."""

TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
OPTIONS = frozenset({"db", "ssl_cert_reqs", "ssl_check_hostname", *TLS_FILES})
SENTINEL_OPTIONS = frozenset({"sentinel_username", "sentinel_password"})


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where Redis is, and how to log in.

    Attributes:
        hosts: Host and port of the server, of nodes of its cluster, or of Sentinels; empty for a Unix socket.
        socket: Path of the Unix socket, if there is one.
        primary: Name by which Sentinels know the primary, if the hosts are Sentinels.
        database: Number of the database.
        tls: Whether to connect with TLS.
        username: User, if one is named.
        password: Password, if one is given.
        options: Options of TLS as redis-py names them.
        sentinel: User and password for the Sentinels, if they have their own.
    """

    hosts: tuple[Address, ...] = ()
    socket: str | None = None
    primary: str | None = None
    database: int = 0
    tls: bool = False
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    options: dict[str, str | bool] = field(default_factory=dict)
    sentinel: dict[str, str] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        """The address without user and password, for people."""
        where = self.socket or ",".join(map(format_address, self.hosts))
        return f"{where} (Sentinel)" if self.primary else where


def parse_redis_url(url: str) -> RedisAddress:
    """Parse an address.

    It is ``redis://[USER:PASSWORD@]HOST[:PORT][,HOST:PORT…][/DATABASE]``, the same with ``rediss://`` (TLS; ``?ssl_ca_certs=FILE``…),
    ``unix:///PATH[?db=DATABASE]``, or ``redis+sentinel://HOST[:PORT][,HOST:PORT…]/PRIMARY[/DATABASE]``.

    Raises:
        ValueError: With one sentence that holds nothing of the address but a well-known scheme.
    """
    url = url.strip()
    if not url:
        raise ValueError(f"must not be blank; write {FORM}")
    if re.search(r"[\s\x00-\x1f]", url):
        raise ValueError(f"holds a space or a line break; remove it, or if it belongs to the password, {ENCODE}")
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator or not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
        raise ValueError(f"has no scheme; write {FORM}")
    if scheme not in SCHEMES and scheme != "unix":
        raise ValueError(_wrong_scheme(scheme))
    authority, path, query = _split(rest)
    username, password, hosts = _credentials(authority)
    options = _options(query, sentinel=scheme in SCHEMES and SCHEMES[scheme][1])
    if scheme == "unix":
        return _unix(hosts, path, options, username, password)
    tls, sentinel = SCHEMES[scheme]
    primary, database = _path(path, options.pop("db", ""), sentinel=sentinel)
    own = {name.removeprefix("sentinel_"): options.pop(name) for name in SENTINEL_OPTIONS if name in options}
    if options and not tls:
        raise ValueError(f"has the option {min(options)}, which only rediss:// has: write rediss:// or remove it")
    return RedisAddress(
        hosts=_hosts(hosts, SENTINEL_PORT if sentinel else REDIS_PORT),
        primary=primary,
        database=database,
        tls=tls,
        username=username,
        password=password,
        options=_tls_options(options),
        sentinel=own,
    )


def _wrong_scheme(scheme: str) -> str:
    if "cluster" in scheme and scheme in OTHER_SCHEMES:
        return f"begins with {scheme}://; write {FORM}: a Redis Cluster is recognised by itself"
    if "sentinel" in scheme and scheme in OTHER_SCHEMES:
        return f"begins with {scheme}://; write redis+sentinel://HOST:PORT/PRIMARY/0"
    found = f"begins with {scheme}://, which is not Redis" if scheme in OTHER_SCHEMES else "has an unknown scheme"
    return f"{found}; write {FORM}, rediss:// for TLS, unix:///PATH for a socket or redis+sentinel:// for Sentinels"


def _split(rest: str) -> tuple[str, str, str]:
    """Authority, path and query. An ``@`` behind the authority shows that a reserved character of the password has ended it too early."""
    end = next((index for index, character in enumerate(rest) if character in "/?#"), len(rest))
    authority, tail = rest[:end], rest[end:]
    if "@" in tail or "#" in tail:
        raise ValueError(f"cannot be parsed, because user or password holds a character that a URL reserves; {ENCODE}")
    path, _, query = tail.partition("?")
    return authority, path, query


def _credentials(authority: str) -> tuple[str | None, str | None, str]:
    """User, password and the hosts. A raw ``@`` in a password does no harm: no host holds one."""
    userinfo, at, hosts = authority.rpartition("@")
    if not at:
        return None, None, hosts
    user, colon, password = userinfo.partition(":")
    if not colon:
        raise ValueError("names a user but no password; a password without a user is written redis://:PASSWORD@HOST:PORT/0, with a colon")
    return _decoded(user) or None, _decoded(password) or None, hosts


def _decoded(text: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})", text) or re.search(r"[\[\]]", text):
        raise ValueError(f"cannot be parsed, because user or password holds a raw %, [ or ]; {ENCODE}")
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ValueError(f"cannot be parsed, because a percent-encoded character of user or password is not UTF-8; {ENCODE}") from None


def _hosts(text: str, default_port: int) -> tuple[Address, ...]:
    if not text:
        raise ValueError(f"names no host; write {FORM}")
    return tuple(_host(item, default_port) for item in text.split(","))


def _host(text: str, default_port: int) -> Address:
    found = re.fullmatch(r"(?:\[(?P<six>[0-9A-Fa-f:.%]+)\]|(?P<name>[\w.-]*))(?::(?P<port>.*))?", text)
    if found is None or (found["name"] == "" and text.count(":") > 1):
        raise ValueError(f"has a host that cannot be parsed; write {FORM}, with an IPv6 address in brackets")
    host, port = found["six"] or found["name"], found["port"]
    if not host:
        raise ValueError(f"names no host; write {FORM}")
    if found["name"]:
        check_host(host)
    if port is None:
        return host, default_port
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65_535:
        raise ValueError(f"has a port that is no number from 1 to 65535; write {FORM}")
    return host, int(port)


def _path(path: str, db: str, *, sentinel: bool) -> tuple[str | None, int]:
    """Name of the primary, if there are Sentinels, and number of the database."""
    parts = path.strip("/").split("/")
    primary = None
    if sentinel:
        primary = unquote(parts.pop(0)) or None
        if primary is None:
            raise ValueError("does not name the primary; write redis+sentinel://HOST:PORT/PRIMARY/0")
        parts = parts or [""]
    number = db or parts[0]
    if len(parts) > 1 or (number and not re.fullmatch(r"[0-9]{1,6}", number)):
        raise ValueError(f"has a database that is no number; Redis has numbered databases: write {FORM}")
    return primary, int(number or 0)


def _options(query: str, *, sentinel: bool) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    known = OPTIONS | SENTINEL_OPTIONS if sentinel else OPTIONS
    if not options.keys() <= known:
        raise ValueError(f"has an unknown option behind the ? (known: {', '.join(sorted(known))}); if ? belongs to the password, {ENCODE}")
    return options


def _tls_options(options: dict[str, str]) -> dict[str, str | bool]:
    found: dict[str, str | bool] = dict(options)
    for name in TLS_FILES:
        if name in options and not Path(options[name]).is_file():
            raise ValueError(f"names a file with {name} that does not exist")
    if options.get("ssl_cert_reqs", "required") not in {"none", "optional", "required"}:
        raise ValueError("has an ssl_cert_reqs that is not none, optional or required")
    if "ssl_check_hostname" in options:
        switch = options["ssl_check_hostname"].lower()
        if switch not in {"true", "false"}:
            raise ValueError("has an ssl_check_hostname that is not true or false")
        found["ssl_check_hostname"] = switch == "true"
    if options:
        _load(options)
    return found


def _load(options: dict[str, str]) -> None:
    """Load the files, so that a wrong one is noticed before the first connection."""
    context = ssl.create_default_context()
    try:
        if "ssl_ca_certs" in options:
            context.load_verify_locations(options["ssl_ca_certs"])
        if "ssl_certfile" in options:
            context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"), password=lambda: b"")
    except (OSError, ssl.SSLError):
        raise ValueError("names a file of TLS that cannot be used: ssl_ca_certs, ssl_certfile and ssl_keyfile are PEM files") from None


def _unix(host: str, path: str, options: dict[str, str], username: str | None, password: str | None) -> RedisAddress:
    if host or not path.strip("/"):
        raise ValueError("does not name the socket file; write unix:///PATH, with three slashes, and ?db=1 for another database")
    if options.keys() - {"db"}:
        raise ValueError("has options of TLS, which a Unix socket does not have: remove them")
    _, database = _path("", options.get("db", ""), sentinel=False)
    return RedisAddress(socket=unquote(path), database=database, username=username, password=password)
