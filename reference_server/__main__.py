"""Command line of the reference server.

examples:
  python -m reference_server                                  listen on 127.0.0.1:8080
  python -m reference_server --port 0 --virtual-clock         a free port, and a clock that tests move
  python -m reference_server --brokers 5 --partitions 12 --heartbeat-timeout 10
  python -m reference_server --users-file users.txt           lines like  alice:secret
  python -m reference_server --host 0.0.0.0 --tls-cert server.pem
  python -m reference_server --retention acknowledged         records that every group has acknowledged make room
  python -m reference_server --odd lines-end-with-cr-lf       legal but unusual, for tests of clients; see --list-odd
  python -m reference_server --stomp-port 61613               STOMP over plain TCP too
  python -m reference_server --log kafka://127.0.0.1:9092     one of several nodes that keep all in Apache Kafka
  python -m reference_server --config server.toml             lines like  heartbeat_timeout = 10
  STOMPLIANCE_PORT=9000 python -m reference_server

A setting is taken from its flag, else from the environment (STOMPLIANCE_ and its name in capitals), else from
the --config file, else it has its default. Then, in another terminal:
  python -m conformance ws://127.0.0.1:8080/stomp
"""

import argparse
import contextlib
import ctypes
import errno
import gc
import os
import signal
import sys
from collections.abc import Sequence

from reference_server.config import OPTIONS, ConfigError, Option, Settings, build
from reference_server.server import Server
from reference_server.server.application import Application
from reference_server.server.logs import writing
from reference_server.server.oddities import ODDITIES
from reference_server.server.running import NAME, implementation, version

_NEEDS_POSIX = (
    "The reference server needs a POSIX system, such as Linux, macOS or WSL. The suite does not: it can judge, from"
    " here, a server that runs there."
)
_TWO_ARENAS = (-8, 2)
"""M_ARENA_MAX: memory that one thread of the C library gave back is there for others."""
_FULL_COLLECTIONS = 100
"""Collections of the middle generation between two full ones."""
_ENDING = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM, SIGHUP or Ctrl-C; return 0, or 2 if the server cannot start."""
    if not hasattr(signal, "pthread_sigmask"):
        print(_NEEDS_POSIX, file=sys.stderr)
        return 2
    # Blocked before any thread starts, and so in all of them: a signal waits for sigwait. The first one ends the
    # server; those of an impatient sender stay pending, and cannot turn a clean end into a kill.
    # One that is ignored, as nohup ignores SIGHUP, stays so.
    ending = {each for each in _ENDING if signal.getsignal(each) is not signal.SIG_IGN}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    try:
        settings = read_settings(arguments)
        server = Server(settings, _application(settings))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(_explain(settings, error), file=sys.stderr)
        return 2
    _collect_rarely()
    with contextlib.suppress(AttributeError):  # not everywhere
        ctypes.CDLL(None).mallopt(*_TWO_ARENAS)
    with writing(settings.log_level, as_json=settings.log_format == "json"), server:
        print(f"{NAME} {version()} listens at {server.url} (Ctrl-C ends it)", flush=True)
        if server.stomp_url:
            print(f"STOMP over TCP: {server.stomp_url}", flush=True)
        signal.sigwait(ending)
    return 0


def _application(settings: Settings) -> Application | None:
    """Return the application on a log, if one is asked for. Raises ConfigError."""
    if not settings.log:
        return None
    try:
        from reference_server.kafka.application import LogApplication
    except ImportError as error:
        raise ConfigError(
            f"--log needs the client of Kafka ({error}): pip install 'stompliance[kafka]'"
        ) from None
    return LogApplication(settings, implementation())


def _collect_rarely() -> None:
    """Keep the pauses of the garbage collector rare: a full collection goes through all topics and groups."""
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _FULL_COLLECTIONS)


def read_settings(arguments: Sequence[str] | None = None) -> Settings:
    """Read flags, environment and file. Raises ConfigError; argparse exits with 2 for unknown flags."""
    given = vars(_parser().parse_args(arguments))
    file = given.pop("config", None)
    return build(file, os.environ, given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m reference_server",
        usage="%(prog)s [--port 8080] [--config FILE] [other options]",
        description="A small broker: STOMP 1.0 to 1.2 over WebSocket, and the partitioned queue over STOMP and HTTP.",
        epilog=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{NAME} {version()}")
    parser.add_argument("--config", metavar="FILE", help="TOML file of settings, or a Java .properties file")
    table = "\n".join(f"{odd.name}\n    {odd.summary}. {odd.freedom}" for odd in ODDITIES.values())
    parser.add_argument("--list-odd", action="version", version=table, help="list names for --odd and exit")
    for option in OPTIONS.values():
        _add(parser, option)
    return parser


def _add(parser: argparse.ArgumentParser, option: Option) -> None:
    text = option.help.replace("%", "%%")
    if isinstance(option.default, bool):
        parser.add_argument(option.flag, action=argparse.BooleanOptionalAction, help=text)
    elif isinstance(option.default, tuple):
        parser.add_argument(option.flag, action="append", metavar=option.unit, help=text)
    else:
        is_shown = option.default not in ("", None)
        default = f" (default: {option.default} {option.unit}".rstrip() + ")" if is_shown else ""
        metavar = option.unit.upper() or "VALUE"
        parser.add_argument(option.flag, metavar=metavar, help=text + default)


def _explain(settings: Settings, error: OSError) -> str:
    where, flags = f"{settings.host}:{settings.port}", "--port"
    if settings.stomp_port is not None:
        where, flags = f"{where} or {settings.host}:{settings.stomp_port}", "--port or --stomp-port"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use: stop what listens there, or choose another {flags}."
    return f"Cannot listen on {where}: {error.strerror or error}. Check --host and --port."


if __name__ == "__main__":
    sys.exit(main())
