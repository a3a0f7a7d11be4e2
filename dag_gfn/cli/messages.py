"""What the command says when something is wrong: one sentence, in the command's own words."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from dag_gfn.cli.log import Log
from dag_gfn.diagnostics import UntrustedPosteriorWarning

# The package's messages name Python arguments; whoever types a command knows the options.
_WORDS = {
    'score="bde"': "--score bde",
    'score="bge"': "--score bge",
    'prior="edge"': "--prior edge",
    "standardize=True": "--standardize",
    "max_parents": "--max-parents",
    "(n_samples)": "(--samples)",
    "random_state": "--seed",
    "num_updates": "--updates",
    "num_devices": "--devices",
    "another checkpoint_dir": "begin anew with --overwrite",
    "Train longer,": "Train longer (--updates),",
    "or .astype(float)": "or write them with a decimal point",
    "with MultipleImputation": "with dag_gfn.MultipleImputation in Python",
    ' use .astype("category") if its values are codes,': "",
}


class Refusal(Exception):
    """Something that the user can put right. The text is the whole message."""

    @classmethod
    def because(cls, error: BaseException) -> Refusal:
        """Turn an error into a refusal, its text in the command's words."""
        if isinstance(error, MemoryError):
            return cls("there is not enough memory for this table; limit --max-parents or --drop.")
        if isinstance(error, OSError) and error.strerror:
            # A name may hold line ends.
            return cls(" ".join(f"{error.filename or 'a file'}: {error.strerror}.".split()))
        text = in_command_words(str(error))
        return cls(text if text.endswith(".") else f"{text}.")


def in_command_words(text: str) -> str:
    """Replace the names of Python arguments by those of the options, and line ends by blanks.

    Examples
    --------
    >>> in_command_words("columns differ in scale; use standardize=True.")
    'columns differ in scale; use --standardize.'
    """
    for python, command in _WORDS.items():
        text = text.replace(python, command)
    return " ".join(text.split())


@contextmanager
def refusing(*errors: type[BaseException]) -> Iterator[None]:
    """Turn the errors that bad input causes into refusals."""
    try:
        yield
    except errors as error:
        raise Refusal.because(error) from error


@contextmanager
def plain_warnings(log: Log | None = None) -> Iterator[None]:
    """Print each warning that is meant for users once, as a sentence, and no other warning.

    A log that programs read is told as well.
    """
    said: set[str] = set()

    def show(message, category, filename, lineno, file=None, line=None) -> None:
        text = in_command_words(str(message))
        if text not in said:
            said.add(text)
            print(f"dag-gfn: warning: {text}", file=sys.stderr)
            if log is not None:
                log.event("warning", {"text": text})

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        # The report at the end says the same in full.
        warnings.simplefilter("ignore", UntrustedPosteriorWarning)
        warnings.showwarning = show
        yield
