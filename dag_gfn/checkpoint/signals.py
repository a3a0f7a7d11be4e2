"""Asked to stop: finish what is under way first."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["StopRequests"]

_TERMINATED = 128 + signal.SIGTERM  # exit code of a process that SIGTERM has ended, 143


class StopRequests:
    """Take Ctrl-C and SIGTERM as requests, for as long as the ``with`` block lasts.

    The first one is kept, to be honoured by `honour` when it suits; a second one acts as it would
    have without this. In a thread other than the main one, where Python handles no signals, nothing
    is changed.

    Examples
    --------
    >>> with StopRequests() as requests:
    ...     requests.honour()  # nobody has asked
    >>> requests.received is None
    True
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Begin to listen."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                previous = signal.getsignal(number)
                # What is ignored, as in the background of a script, stays so; and what was not
                # installed by Python (None) could not be restored.
                if previous not in (None, signal.SIG_IGN):
                    self._previous[number] = previous
                    signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Restore what was there before; honour a request that nobody has."""
        self._restore()
        if kind is None:
            self.honour()

    def honour(self) -> None:
        """End the run, if somebody has asked for it.

        Raises
        ------
        KeyboardInterrupt
            After Ctrl-C.
        SystemExit
            After SIGTERM, with the exit code 143.
        """
        if self.received == signal.SIGINT:
            raise KeyboardInterrupt
        if self.received == signal.SIGTERM:
            raise SystemExit(_TERMINATED)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self._restore()

    def _restore(self) -> None:
        while self._previous:
            number, previous = self._previous.popitem()
            signal.signal(number, previous)
