"""An adapter as a process that speaks JSON lines on its standard input and output."""

import contextlib
import json
import shlex
import subprocess
import threading
from collections import deque
from typing import Any

from conformance.adapters.protocol import ANSWER_SECONDS, AdapterGone, Answer, NoAdapter, checked_answer
from conformance.history.system_facts import quoted

#: Longest line of an adapter, in octets.
LINE_LIMIT = 16 << 20
#: Last lines of its standard error that a message shows.
TAIL_LINES = 10
STOP_SECONDS = 5.0


class AdapterProcess:
    """An adapter that runs as long as this object is open. Thread-safe."""

    def __init__(self, command: str, *, seconds: float = ANSWER_SECONDS) -> None:
        """Start it. `seconds` is the time for an answer. Raises NoAdapter."""
        self._seconds = seconds
        self._writing = threading.Lock()
        self._changed = threading.Condition()
        self._answers: dict[int, Answer | None] = {}
        self._asked = 0
        self._gone = ""
        self._complaints: deque[str] = deque(maxlen=TAIL_LINES)
        try:
            words = shlex.split(command)
            if not words:
                raise NoAdapter("expected a command, found none")
            self._process = subprocess.Popen(  # noqa: S603  the user's own command line, split without a shell
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except (OSError, ValueError) as error:
            raise NoAdapter(f"cannot start {command!r}: {error}") from None
        self._threads = [
            threading.Thread(target=target, name="adapter", daemon=True)
            for target in (self._read, self._note)
        ]
        for thread in reversed(self._threads):  # the first one waits for the second
            thread.start()

    def ask(self, op: str, wait: float = 0.0, **members: Any) -> Answer | None:
        """The answer to a request; None if none came in time. Raises AdapterGone."""
        request = {"op": op, **({"wait": wait} if op == "poll" else {}), **members}
        with self._changed:
            self._asked += 1
            number = self._asked
            self._answers[number] = None
        self._write({"id": number, **request})
        with self._changed:
            came = self._changed.wait_for(
                lambda: self._answers[number] is not None or self._gone, wait + self._seconds
            )
            answer = self._answers.pop(number)
        if answer is None and came:
            raise AdapterGone(self._gone)
        return answer

    def close(self) -> None:
        """End its input, and the process if it does not end within `STOP_SECONDS`."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(STOP_SECONDS)

    def _write(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            with self._writing:
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
                self._process.stdin.flush()
        except (OSError, ValueError):
            self._threads[0].join(STOP_SECONDS)  # it knows more if the process has ended
            self._end("the adapter reads no more requests")
            raise AdapterGone(self._gone) from None

    def _read(self) -> None:
        """Take the answers, up to the end of the output."""
        assert self._process.stdout is not None
        with self._process.stdout as output:
            while line := output.readline(LINE_LIMIT + 1):
                try:
                    self._take(line)
                except AdapterGone as error:
                    self._end(str(error))
                    self._process.kill()
                    return
        status = self._process.wait()
        self._threads[1].join(STOP_SECONDS)
        said = "".join(f"\n    {line}" for line in self._complaints)
        self._end(f"the adapter ended with status {status}{'. Its last words:' + said if said else ''}")

    def _take(self, line: bytes) -> None:
        if len(line) > LINE_LIMIT:
            raise AdapterGone(f"a line of the adapter is longer than {LINE_LIMIT} octets")
        if not line.strip():
            return
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
            text = line.decode("utf-8", "replace").strip()
            raise AdapterGone(
                f"the adapter writes {quoted(text)}: expected a JSON object a line on its standard output; messages "
                "for people belong on its standard error"
            ) from None
        answer = checked_answer(document)
        with self._changed:
            if not 1 <= (number := answer["id"]) <= self._asked:
                raise AdapterGone(
                    f"the adapter answers the request {number!r}: expected the id of a request that it was sent, which "
                    f"are 1 to {self._asked}"
                )
            # The answer to a request that is not waited for any more is dropped.
            if number in self._answers:
                self._answers[number] = answer
                self._changed.notify_all()

    def _note(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as complaints:
            while line := complaints.readline(10_000):
                self._complaints.append(line.decode("utf-8", "replace").rstrip())

    def _end(self, why: str) -> None:
        with self._changed:
            self._gone = self._gone or why
            self._changed.notify_all()
