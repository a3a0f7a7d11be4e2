"""One run a folder: a lock that the system gives back, however a process ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # on Windows, where folders are not locked
    fcntl = None  # type: ignore[assignment]

__all__ = ["locked"]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, which is made for this and removed afterwards.

    A file that a killed process has left behind is no obstacle: the lock was its process's.

    Parameters
    ----------
    path : Path
        In the folder that one run alone may write to.

    Raises
    ------
    ValueError
        If another run holds it.
    OSError
        If the file cannot be made.
    """
    if fcntl is None:
        yield
        return
    handle = _hold(path)
    try:
        yield
    finally:
        # Removed first: whoever waits for a file that is gone looks again.
        path.unlink(missing_ok=True)
        os.close(handle)


def _hold(path: Path) -> int:
    """Open and lock a file; return its handle."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_there(path, handle):
                return handle
        except BlockingIOError as error:
            os.close(handle)
            raise ValueError(
                f"another run is writing to {path.parent}; let it end, or give another folder."
            ) from error
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _is_there(path: Path, handle: int) -> bool:
    """Return whether a path still names the open file, which its last owner may have removed."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(found, os.fstat(handle))
