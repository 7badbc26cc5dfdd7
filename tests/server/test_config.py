"""Settings from four sources, and messages about bad ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from reference_server.config import OPTIONS, ConfigError, Settings, build
from reference_server.queue.settings import QueueSettings
from reference_server.stomp import StompLimits

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_defaults() -> None:
    """Defaults hold without sources, and each setting of the queue and of STOMP can be set."""
    settings = build(None, {}, {})
    assert settings == Settings()
    assert (settings.port, settings.brokers, settings.heartbeat_timeout) == (8080, 3, 30.0)
    for part in (QueueSettings(), StompLimits()):
        for name in part.__struct_fields__:
            assert getattr(settings, name) == getattr(part, name), name
            assert name in OPTIONS


def test_the_order_of_sources(tmp_path: Path) -> None:
    """Defaults < file < environment < flags."""
    file = write(tmp_path / "server.toml", "port = 1\nbrokers = 1\npartitions = 1\nheartbeat-timeout = 1.5\n")
    environment = {
        "STOMPLIANCE_BROKERS": "2",
        "STOMPLIANCE_PARTITIONS": "2",
        "STOMPLIANCE_UNKNOWN": "x",
        "PORT": "9",
    }
    settings = build(file, environment, {"partitions": "3"})
    assert (settings.port, settings.brokers, settings.partitions) == (1, 2, 3)
    assert (settings.heartbeat_timeout, settings.host) == (1.5, "127.0.0.1")


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.name)
def test_every_setting_can_be_set(tmp_path: Path, option: Any) -> None:
    """Each setting can be set by flag, environment and file, and has a flag, a description and a checked bound."""
    samples = {
        bool: (True, "true"),
        int: (7, "7"),
        float: (0.5, "0.5"),
        tuple: (("a:b",), "a:b"),
        str: ("x", "x"),
        type(None): (7, "7"),  # a port that is closed by default
    }
    users = write(tmp_path / "users.txt", "ann:x\n")
    named = {
        "path": (("/ws",), "/ws"),
        "allow_host": (("a.example",), "a.example"),
        "allow_origin": (("http://a.example",), "http://a.example"),
        "users_file": (users, users),
        "log_level": ("debug", "debug"),
        "log_format": ("json", "json"),
        "retention": ("acknowledged", "acknowledged"),
    }
    value, text = named.get(option.name) or samples[type(option.default)]
    others = {"tls_key": {"tls_cert": "x"}}.get(option.name, {})
    toml = {str: f'"{text}"', tuple: f'["{text}"]'}.get(type(option.default), text)
    lines = [f"{option.name} = {toml}"] + [f'{name} = "{other}"' for name, other in others.items()]
    file = write(tmp_path / "one.toml", "\n".join(lines))
    for settings in (
        build(None, {option.variable: text}, others),
        build(None, {}, {option.name: text} | others),
        build(file, {}, {}),
    ):
        assert getattr(settings, option.name) == value
    assert option.flag == "--" + option.name.replace("_", "-")
    assert option.help


@pytest.mark.parametrize(
    ("brokers", "partitions", "heartbeat", "port"),
    [
        ("brokers", "partitions", "heartbeat.timeout", "server.port"),
        ("brokers", "partitions", "heartbeat-timeout", "port"),
        ("brokers", "partitions", "heartbeat_timeout", "server.port"),
    ],
)
def test_properties(tmp_path: Path, brokers: str, partitions: str, heartbeat: str, port: str) -> None:
    """Settings may be among other keys of a file, with dots, dashes or underscores between words."""
    text = f"""# a comment
! another one
spring.application.name=queue
{port} = 9001
{brokers}=5
  {partitions} : 6
{heartbeat}\t=\t12
"""
    settings = build(write(tmp_path / "application.properties", text), {}, {})
    found = (settings.port, settings.brokers, settings.partitions, settings.heartbeat_timeout)
    assert found == (9001, 5, 6, 12.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("brokers = 0", "brokers"),
        ("brokers = 'many'", "brokers"),
        ("brokers = 1.5", "brokers"),
        ("brokes = 3", "brokes is no setting"),
        ("port = 70000", "port"),
        ("heartbeat_timeout = -1", "heartbeat_timeout"),
        ("heartbeat_timeout = inf", "heartbeat_timeout"),
        ("heartbeat_timeout = nan", "heartbeat_timeout"),
        ("[server]\nport = 1", "server is no setting"),
        ("port = ", "is not TOML"),
        ("user = ['bob']", "has no passcode"),
        ("tls_key = 'x'", "tls_cert"),
        ("host = ''", "host is empty"),
        ("path = ['ws']", "path: an entry does not begin with a slash"),
        ("users_file = 'missing.txt'", "missing.txt cannot be read"),
        ("path = ['/a b']", "path: /a b"),
        ("path = ['/a?b']", "path: /a?b"),
        ("path = ['/a#b']", "path: /a#b"),
        ("path = ['/ü']", "path: /ü"),
        ("host = '[::1]'", "without brackets, as in ::1"),
        ("port = " + "[" * 5000, "nested too deeply"),
        ("user = [':x']", "user: an entry has no name"),
        ("user = ['ann:x', 'ann:y']", "user: ann stands twice"),
        ("allow_origin = ['app.example']", "allow_origin: app.example"),
        ("allow_origin = ['http://app.example/page']", "allow_origin: http://app.example/page"),
        ("allow_origin = ['http://*.example']", "allow_origin: http://*.example"),
        ("allow_origin = ['']", "allow_origin: ''"),
        ("allow_host = ['http://a.example']", "allow_host: http://a.example"),
        ("allow_host = ['a.example:80']", "allow_host: a.example:80"),
        ("allow_host = ['']", "allow_host: ''"),
        ("partitions = 2000", "partitions is 2000, more than topic_partitions, 1024"),
        ("users_file = '/dev/null'", "/dev/null names no user"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, text: str, said: str) -> None:
    """One sentence names the file, the key and what was expected."""
    file = write(tmp_path / "server.toml", text)
    with pytest.raises(ConfigError) as refused:
        build(file, {}, {})
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_properties_that_contradict_each_other(tmp_path: Path) -> None:
    """Two keys for one setting are refused."""
    file = write(tmp_path / "a.properties", "heartbeat.timeout=1\nheartbeat-timeout=2\n")
    with pytest.raises(ConfigError, match="both set heartbeat_timeout"):
        build(file, {}, {})
    file = write(tmp_path / "b.properties", "brokers=many\n")
    with pytest.raises(ConfigError, match=r"b\.properties: brokers: 'many' cannot be used"):
        build(file, {}, {})


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing files, folders, and files that are not text are refused."""
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    for path in (tmp_path / "missing.toml", tmp_path, binary):
        with pytest.raises(ConfigError, match="cannot be read"):
            build(str(path), {}, {})


@pytest.mark.parametrize("text", ["maybe", "2", ""])
def test_booleans(text: str) -> None:
    """A word that is neither true nor false is refused; the usual words are known."""
    with pytest.raises(ConfigError, match="STOMPLIANCE_VIRTUAL_CLOCK"):
        build(None, {"STOMPLIANCE_VIRTUAL_CLOCK": text}, {})
    for word, value in (("true", True), ("1", True), ("false", False), ("0", False)):
        assert build(None, {"STOMPLIANCE_VIRTUAL_CLOCK": word}, {}).virtual_clock is value


def test_users() -> None:
    """Several users, with colons in passcodes; blanks separate them in the environment."""
    assert build(None, {"STOMPLIANCE_USER": "a:b c:d:e"}, {}).users == {"a": "b", "c": "d:e"}
    assert build(None, {}, {"user": ["a:b", "c:"]}).users == {"a": "b", "c": ""}
    assert msgspec.structs.asdict(Settings())["user"] == ()


def test_a_file_of_users(tmp_path: Path) -> None:
    """A file names users beside those of the flags, with comments and empty lines; each has a passcode."""
    file = write(tmp_path / "users.txt", "# who may in\nann:x\n\nbob:a:b c\r\n")
    assert build(None, {}, {"users_file": file}).users == {"ann": "x", "bob": "a:b c"}
    assert build(None, {"STOMPLIANCE_USER": "eve:y"}, {"users_file": file}).users.keys() == {
        "ann",
        "bob",
        "eve",
    }
    marked = write(tmp_path / "marked.txt", "\ufeffann:x\n")
    assert build(None, {}, {"users_file": marked}).users == {"ann": "x"}
    odd = write(tmp_path / "odd.txt", "ann:x\u2028y\x85z\n")
    assert build(None, {}, {"users_file": odd}).users == {"ann": "x\u2028y\x85z"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ann\n", "bad.txt, line 1: an entry has no passcode"),
        ("# users\r\n\r\nann:x\r\nbob\r\n", "bad.txt, line 4: an entry has no passcode"),
        ("ann:x\n:y", "bad.txt, line 2: an entry has no name"),
        ("ann:x\nbob:y\nann:z\n", r"line 3: ann stands twice, first in .*bad.txt, line 1"),
        ("eve:x", "line 1: eve stands twice, first in user"),
    ],
)
def test_a_mistake_in_a_file_of_users_has_its_place(tmp_path: Path, text: str, said: str) -> None:
    """The message names file and line, and never shows what may be a passcode."""
    flags = {"users_file": write(tmp_path / "bad.txt", text), "user": ["eve:secret"]}
    with pytest.raises(ConfigError, match=said) as caught:
        build(None, {}, flags)
    assert "bob" not in str(caught.value)
    assert "Expected" in str(caught.value)
