"""What can be set, and where a setting comes from: defaults < file < environment < flags.

`Settings` is the one table: each field has its type, bounds, default, unit and help, and everything else
(the flags, the environment variables, `--help`, the reader of files) is made from it.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ENVIRONMENT_PREFIX = "STOMPLIANCE_"
KIB = 1024
MIB = 1024 * KIB


class ConfigError(Exception):
    """A setting that cannot be used; the text names its source and key, and says what was expected."""


def _about(text: str, unit: str = "") -> msgspec.Meta:
    return msgspec.Meta(description=text, extra={"unit": unit})


_Count = Annotated[int, msgspec.Meta(ge=1)]
_Octets = Annotated[int, msgspec.Meta(ge=1)]
_LONGEST = 1e6  # poll(2) takes milliseconds as a C int
_Seconds = Annotated[float, msgspec.Meta(gt=0, le=_LONGEST)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of one server; sizes in bytes, times in seconds."""

    host: Annotated[str, _about("address to listen on; 0.0.0.0 is every IPv4 one")] = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535), _about("TCP port; 0 takes a free one")] = 8080
    tls_cert: Annotated[
        str, _about("PEM file with the certificate chain; with it, wss:// and https:// only")
    ] = ""
    tls_key: Annotated[str, _about("PEM file with the private key, if it is not in the --tls-cert file")] = ""
    user: Annotated[
        tuple[str, ...],
        _about("NAME:PASSCODE that may CONNECT; repeat it for several; none: anybody may"),
    ] = ()
    virtual_clock: Annotated[
        bool, _about("let the queue's time stand still until POST /clock/advance moves it (for tests)")
    ] = False

    brokers: Annotated[_Count, _about("brokers over which partitions are placed")] = 3
    partitions: Annotated[_Count, _about("partitions of a topic that does not ask for a number")] = 4
    heartbeat_timeout: Annotated[_Seconds, _about("silence after which a consumer is evicted", "s")] = 30.0
    eviction_grace: Annotated[
        Annotated[float, msgspec.Meta(ge=0, le=_LONGEST)],
        _about("declared delay by which an eviction may be late", "s"),
    ] = 1.0
    rebalance_timeout: Annotated[
        _Seconds, _about("time after which a record in flight is taken back from a partition that moves", "s")
    ] = 30.0

    topics: Annotated[_Count, _about("topics at once")] = 1_000_000
    groups: Annotated[_Count, _about("consumer groups at once")] = 1_000_000
    consumers: Annotated[_Count, _about("registered consumers at once")] = 1_000_000
    topic_partitions: Annotated[_Count, _about("partitions that one topic may ask for")] = 1024
    partition_bytes: Annotated[_Octets, _about("keys and messages stored in one partition", "bytes")] = (
        256 * MIB
    )
    total_bytes: Annotated[_Octets, _about("keys and messages stored in all partitions", "bytes")] = 512 * MIB
    poll_messages: Annotated[_Count, _about("records in the answer of one batch poll")] = 100
    wait_seconds: Annotated[_Seconds, _about("longest long poll", "s")] = 30.0

    connections: Annotated[_Count, _about("connections at once; one more is answered 503 and closed")] = 1000
    headers: Annotated[_Count, _about("header lines of one frame or HTTP request")] = 256
    header_bytes: Annotated[_Octets, _about("headers of one frame or HTTP request together", "bytes")] = (
        64 * KIB
    )
    header_line_bytes: Annotated[_Octets, _about("one header line of a frame", "bytes")] = 32 * KIB
    body_bytes: Annotated[_Octets, _about("body of one frame or HTTP request", "bytes")] = MIB
    outbox_bytes: Annotated[
        _Octets, _about("output that waits for one slow reader; past it the connection is cut off", "bytes")
    ] = 8 * MIB
    idle_timeout: Annotated[_Seconds, _about("silence after which an HTTP connection is closed", "s")] = 60.0
    linger: Annotated[
        _Seconds, _about("time that a client has to read the last frame of a connection", "s")
    ] = 2.0

    subscriptions: Annotated[_Count, _about("subscriptions of one connection")] = 1000
    unacknowledged: Annotated[_Count, _about("unsettled messages of one connection; then queues wait")] = (
        10_000
    )
    transactions: Annotated[_Count, _about("open transactions of one connection")] = 100
    transaction_frames: Annotated[_Count, _about("frames in the open transactions of one connection")] = (
        10_000
    )
    transaction_bytes: Annotated[
        _Octets, _about("octets in the open transactions of one connection", "bytes")
    ] = 16 * MIB
    long_polls: Annotated[_Count, _about("unanswered long polls of one connection")] = 100
    destinations: Annotated[_Count, _about("plain queues at once")] = 10_000
    queue_messages: Annotated[_Count, _about("messages that wait in one plain queue")] = 1_000_000
    queue_bytes: Annotated[_Octets, _about("octets that wait in one plain queue", "bytes")] = 256 * MIB
    first_frame_timeout: Annotated[_Seconds, _about("time until the first frame must be there", "s")] = 30.0
    incomplete_frame_timeout: Annotated[_Seconds, _about("time that one frame may take to arrive", "s")] = (
        60.0
    )
    heartbeat_interval: Annotated[
        _Seconds, _about("shortest interval of STOMP heart-beats that is agreed on", "s")
    ] = 0.1

    @property
    def users(self) -> dict[str, str]:
        """Passcodes by login; a passcode may contain colons."""
        return dict(entry.split(":", 1) for entry in self.user)


class Option(msgspec.Struct, frozen=True):
    """One row of the table, as flags and `--help` need it."""

    name: str
    type: Any
    default: Any
    help: str
    unit: str

    @property
    def flag(self) -> str:
        """The flag, as in --heartbeat-timeout."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable, as in STOMPLIANCE_HEARTBEAT_TIMEOUT."""
        return ENVIRONMENT_PREFIX + self.name.upper()

    def read(self, value: object, source: str) -> Any:
        """Convert a value of a file, the environment or a flag; raises ConfigError, which names `source`."""
        if self.type == tuple[str, ...] and isinstance(value, str):
            value = value.split()
        try:
            return msgspec.convert(value, self.type, strict=False)
        except msgspec.ValidationError as error:
            reason = str(error).partition(" - at ")[0]
            raise ConfigError(f"{source}: {value!r} cannot be used. {reason} ({self.help}).") from None


def _table() -> dict[str, Option]:
    hints = get_type_hints(Settings, include_extras=True)
    defaults = dict(zip(Settings.__struct_fields__, Settings.__struct_defaults__, strict=True))
    options = {}
    for name, default in defaults.items():
        hint = hints[name]
        about = next(meta for meta in hint.__metadata__ if meta.description is not None)
        plain = tuple[str, ...] if name == "user" else hint
        options[name] = Option(name, plain, default, about.description, about.extra["unit"])
    return options


OPTIONS = _table()


def build(file: str | None, environment: Mapping[str, str], flags: Mapping[str, object]) -> Settings:
    """Merge the sources; `file` is a path, `flags` holds only what was given. Raises ConfigError."""
    values = {} if file is None else _read_file(Path(file))
    for option in OPTIONS.values():
        if option.variable in environment:
            values[option.name] = option.read(environment[option.variable], f"environment {option.variable}")
    for name, value in flags.items():
        values[name] = OPTIONS[name].read(value, f"flag {OPTIONS[name].flag}")
    settings = Settings(**values)
    _check_together(settings)
    return settings


def _check_together(settings: Settings) -> None:
    if any(not entry.partition(":")[1] for entry in settings.user):
        raise ConfigError(
            "user: an entry has no passcode. Expected NAME:PASSCODE, as in --user alice:secret."
        )
    if settings.tls_key and not settings.tls_cert:
        raise ConfigError(
            "tls_key is of no use without tls_cert. Give both, or a tls_cert file that holds both."
        )


def _read_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}. Name a TOML or .properties file.") from None
    found = _read_properties(text, path) if path.suffix == ".properties" else _read_toml(text, path)
    return {name: OPTIONS[name].read(value, f"{path}: {key}") for name, key, value in found}


def _read_toml(text: str, path: Path) -> Iterable[tuple[str, str, object]]:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}.") from None
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in OPTIONS:
            raise ConfigError(f"{path}: {key} is no setting. `--help` lists them all.")
        yield name, key, value


_PROPERTY = re.compile(r"^[ \t]*([^#!=:\s][^=:\n]*?)[ \t]*[=:][ \t]*(.*?)[ \t\r]*$", re.MULTILINE)
_PROPERTIES = (
    ("port", re.compile(r"serverport")),
    ("brokers", re.compile(r".*brokers?(count|number)?")),
    ("partitions", re.compile(r".*partitions?(pertopic|count|number)?")),
    ("heartbeat_timeout", re.compile(r".*heartbeat(timeout|interval|period|time)?(in)?(s|secs?|seconds?)?")),
)
"""The queue that this one is modelled on says what its application.properties sets, not how the keys are
spelled; so they are known by their words, whatever the case and the separators: number.of.brokers,
noOfBrokers, broker-count are the same."""


def _read_properties(text: str, path: Path) -> Iterable[tuple[str, str, str]]:
    """Read a Java properties file; keys that mean nothing here belong to other programs and are skipped."""
    seen: dict[str, str] = {}
    for key, value in _PROPERTY.findall(text):
        name = _name_of_property(key)
        if name is None:
            continue
        if name in seen:
            raise ConfigError(f"{path}: {seen[name]} and {key} both set {name}. Keep one of them.")
        seen[name] = key
        yield name, key, value


def _name_of_property(key: str) -> str | None:
    words = re.sub(r"[^a-z]", "", key.lower())
    return next((name for name, pattern in _PROPERTIES if pattern.fullmatch(words)), None)
