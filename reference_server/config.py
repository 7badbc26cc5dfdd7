"""Settings and their sources: defaults < file < environment < flags.

Each setting is declared once, in the part of the server that uses it; the flags, the environment variables,
`--help` and the reader of files follow from that.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote

import msgspec

from reference_server.stomp.limits import StompLimits
from reference_server.units import MIB, Count, Octets, Seconds


class ConfigError(Exception):
    """A setting that cannot be used; the text names its source and key, and the expected value."""


_Texts = tuple[str, ...]


def _named(metavar: str) -> msgspec.Meta:
    return msgspec.Meta(extra={"unit": metavar})


class Settings(StompLimits, frozen=True, kw_only=True):
    """All settings of one server; sizes in bytes, times in seconds."""

    host: Annotated[str, "address to listen on; 0.0.0.0 is every IPv4 one"] = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535), "TCP port; 0 takes a free one"] = 8080
    stomp_port: Annotated[
        Annotated[int, msgspec.Meta(ge=0, le=65535)] | None,
        "port for STOMP over plain TCP too, as clients without WebSocket speak it; 0 takes a free one",
    ] = None
    tls_cert: Annotated[str, "PEM file with the certificate chain; with it, wss:// and https:// only"] = ""
    tls_key: Annotated[str, "PEM file with the private key, if it is not in the --tls-cert file"] = ""
    path: Annotated[_Texts, _named("PATH"), "further path for WebSocket, beside /stomp; may be repeated"] = ()
    user: Annotated[
        _Texts, _named("NAME:PASSCODE"), "user, also for HTTP (Basic); none: no login is needed"
    ] = ()
    users_file: Annotated[str, "file of users, a NAME:PASSCODE on each line; --user shows them in ps"] = ""
    allow_host: Annotated[_Texts, _named("NAME"), "further name of this server in Host; * for any"] = ()
    allow_origin: Annotated[_Texts, _named("ORIGIN"), "origin whose pages are served, too; * for any"] = ()
    introspection: Annotated[
        bool, "serve the live page at / and the descriptions of topics and groups, to clients and people"
    ] = True
    virtual_clock: Annotated[
        bool, "let the queue's time stand still until POST /clock/advance moves it (for tests)"
    ] = False
    odd: Annotated[
        _Texts,
        _named("NAME"),
        "legal but unusual behaviour, for tests of clients; --list-odd lists them; may be repeated",
    ] = ()
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        "debug, info, warning or error: least level of lines on stderr; info has connections, refusals, rebalances",
    ] = "warning"
    log_format: Annotated[Literal["text", "json"], "text or json: format of these lines"] = "text"
    log: Annotated[
        str,
        "keep all in Apache Kafka, as kafka://HOST:PORT, further brokers after commas; any number of nodes may share it"
        " (needs stompliance[kafka])",
    ] = ""
    log_name: Annotated[str, "beginning of the names of the Kafka topics of --log"] = "stompliance"
    log_option: Annotated[
        _Texts,
        _named("NAME=VALUE"),
        "setting of the client of Kafka for TLS and a login, as security.protocol=SASL_SSL; may be repeated",
    ] = ()
    log_timeout: Annotated[
        Seconds,
        "time that an operation waits for Kafka; then it is answered 503, or not at all if it may be done",
    ] = 5.0
    connections: Annotated[Count, "connections at once; one more is answered 503 and closed"] = 1000
    outbox_bytes: Annotated[
        Octets, "output that waits for one slow reader; past it the connection is cut off"
    ] = 8 * MIB
    idle_timeout: Annotated[Seconds, "silence after which an HTTP connection is closed"] = 60.0
    linger: Annotated[Seconds, "time that a client has to read the last frame of a connection"] = 2.0

    @property
    def users(self) -> dict[str, str]:
        """Passcodes by login; a passcode may contain colons."""
        return dict(entry.split(":", 1) for entry in self.user)


class Option:
    """One setting, as flags and `--help` need it."""

    def __init__(self, field: msgspec.structs.FieldInfo) -> None:
        *metas, self.help = field.type.__metadata__
        self.name = field.name
        self.type = field.type
        self.default = field.default
        self.unit = next((meta.extra["unit"] for meta in metas if meta.extra), "")
        self.flag = "--" + field.name.replace("_", "-")
        self.variable = "STOMPLIANCE_" + field.name.upper()

    def read(self, value: object, source: str) -> Any:
        """Convert a value of a file, the environment or a flag; raises ConfigError, which names `source`."""
        if isinstance(self.default, tuple) and isinstance(value, str):
            value = value.split()
        try:
            return msgspec.convert(value, self.type, strict=False)
        except msgspec.ValidationError as error:
            reason = str(error).partition(" - at ")[0]
            raise ConfigError(f"{source}: {value!r} cannot be used. {reason} ({self.help}).") from None


# The server's own settings first, then those of the queue and of STOMP.
_FIELDS = sorted(
    msgspec.structs.fields(Settings), key=lambda field: field.name not in Settings.__annotations__
)
OPTIONS = {field.name: Option(field) for field in _FIELDS}


def build(file: str | None, environment: Mapping[str, str], flags: Mapping[str, object]) -> Settings:
    """Merge the sources; `file` is a path, `flags` holds only those that were given. Raises ConfigError."""
    values = {} if file is None else _read_file(Path(file))
    for option in OPTIONS.values():
        if option.variable in environment:
            values[option.name] = option.read(environment[option.variable], f"environment {option.variable}")
    for name, value in flags.items():
        values[name] = OPTIONS[name].read(value, f"flag {OPTIONS[name].flag}")
    settings = Settings(**values)
    users = [("user", user) for user in settings.user]
    if settings.users_file:
        added = _users_of(Path(settings.users_file))
        users = [*users, *added]
        settings = msgspec.structs.replace(settings, user=settings.user + tuple(user for _, user in added))
    for mistake in (*_in_users(users), *_contradictions(settings)):
        raise ConfigError(mistake)
    return settings


_PATH = re.compile(r"/[!-~]*")
_ORIGIN = re.compile(r"\*|null|[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#@*]+/?")
_HOST = re.compile(r"\*|\[[0-9A-Fa-f:.]+\]|[^\s/?#@:*\[\]]+")


def _contradictions(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each setting that would have no effect, or a wrong one: what is wrong, what is expected."""
    if not settings.host.strip():
        yield "host is empty. Expected an address; 0.0.0.0 listens on every IPv4 one."
    if settings.host.startswith("["):
        yield f"host: {settings.host} is no address. Expected it without brackets, as in ::1."
    if settings.users_file and not settings.user:
        yield f"{settings.users_file} names no user."
    yield from _in_names(settings)
    if settings.partitions > settings.topic_partitions:
        bound = f"topic_partitions, {settings.topic_partitions}"
        yield f"partitions is {settings.partitions}, more than {bound}. Expected at most as many."
    if settings.log and settings.virtual_clock:
        yield "log and virtual_clock exclude each other: on a log, time is that of Kafka."
    if settings.log and settings.retention != "keep":
        yield "log and retention acknowledged exclude each other: retention is a setting of Kafka topics."
    if settings.tls_key and not settings.tls_cert:
        yield "tls_key needs tls_cert, which may be a file with both."


def _in_names(settings: Settings) -> Iterator[str]:
    for path in settings.path:
        if not path.startswith("/"):
            yield "path: an entry does not begin with a slash, as in /ws."
        elif (
            not _PATH.fullmatch(path)
            or "?" in path
            or "#" in path
            or "\N{REPLACEMENT CHARACTER}" in unquote(path)
        ):
            expected = "one such as /ws, in ASCII (%C3%BC for ü), without blanks, query or fragment"
            yield f"path: {path} is no path alone. Expected {expected}."
    for origin in settings.allow_origin:
        if not _ORIGIN.fullmatch(origin):
            expected = "a scheme and a host, as in https://app.example:8443, or * for any"
            yield f"allow_origin: {origin or repr(origin)} is the origin of no page. Expected {expected}."
    for host in settings.allow_host:
        if not _HOST.fullmatch(host):
            expected = "a name without scheme and port, as in broker.example, or * for any"
            yield f"allow_host: {host or repr(host)} is no name of a host. Expected {expected}."


def _users_of(path: Path) -> list[tuple[str, str]]:
    """Entries of a file of users, each with its place. Raises ConfigError."""
    lines = _read_text(path, "Name a file of NAME:PASSCODE lines.").split("\n")
    entries = [(f"{path}, line {number}", line.removesuffix("\r")) for number, line in enumerate(lines, 1)]
    return [(place, line) for place, line in entries if line.strip() and not line.startswith("#")]


def _in_users(users: Iterable[tuple[str, str]]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for place, user in users:
        name, colon, _ = user.partition(":")
        if not colon:  # not shown: it may be a passcode
            yield f"{place}: an entry has no passcode. Expected a name, a colon and a passcode, as in alice:secret."
        elif not name:
            yield f"{place}: an entry has no name. Expected a name, a colon and a passcode, as in alice:secret."
        elif name in seen:
            yield f"{place}: {name} stands twice, first in {seen[name]}. Expected one passcode for each user."
        seen.setdefault(name, place)


def _read_file(path: Path) -> dict[str, Any]:
    text = _read_text(path, "Name a TOML or .properties file.")
    found = _read_properties(text, path) if path.suffix == ".properties" else _read_toml(text, path)
    return {name: OPTIONS[name].read(value, f"{path}: {key}") for name, key, value in found}


def _read_text(path: Path, advice: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}. {advice}") from None


def _read_toml(text: str, path: Path) -> Iterable[tuple[str, str, object]]:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}.") from None
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply. Expected lines like  port = 8080") from None
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in OPTIONS:
            raise ConfigError(f"{path}: {key} is no setting. `--help` lists them all.")
        yield name, key, value


_PROPERTY = re.compile(r"^[ \t]*([^#!=:\s][^=:\n]*?)[ \t]*[=:][ \t]*(.*?)[ \t\r]*$", re.MULTILINE)


def _read_properties(text: str, path: Path) -> Iterable[tuple[str, str, str]]:
    """Read a Java properties file; keys that are no settings belong to other programs and are skipped."""
    seen: dict[str, str] = {}
    for key, value in _PROPERTY.findall(text):
        name = "port" if key == "server.port" else re.sub("[.-]", "_", key)
        if name in seen:
            raise ConfigError(f"{path}: {seen[name]} and {key} both set {name}. Keep one of them.")
        if name in OPTIONS:
            seen[name] = key
            yield name, key, value
