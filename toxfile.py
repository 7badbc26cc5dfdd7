"""An inline tox plugin: lets `tox run` take the names of environments as plain arguments.

`tox run conformance` then means `tox run -e conformance`, and `tox run conformance -- URL` hands on the URL.
"""

from argparse import Action, ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Any

from tox.config.cli.parser import ToxParser
from tox.plugin import impl
from tox.session.env_select import CliEnv


class _SelectEnvironments(Action):
    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        if values:  # argparse also calls a positional action when nothing was given: -e then stays in force
            namespace.env = CliEnv(",".join(values))


@impl(trylast=True)  # after tox itself has added its `run` command
def tox_add_option(parser: ToxParser) -> None:
    run, _handler = parser.handlers["run"]
    run.add_argument(
        "environments",
        nargs="*",
        action=_SelectEnvironments,
        of_type=list[str],
        default=[],
        metavar="ENVIRONMENT",
        help="environments to run, as with -e: `tox run conformance -- ws://127.0.0.1:8080/stomp`",
    )
