"""Runs a function in a process of its own: `python -m benchmarks.serving.apart`.

The function and its argument come in a pickle, and what it returns goes back in one.
"""

import pickle
import select
import subprocess
import sys
from collections.abc import Callable
from typing import Generic, TypeVar

Argument = TypeVar("Argument")
Result = TypeVar("Result")


def apart(function: Callable[[Argument], Result], argument: Argument) -> Result:
    """Return what a module's function returns, called in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.serving.apart"],
        input=pickle.dumps((function, argument)),
        stdout=subprocess.PIPE,
        check=True,
    )
    result: Result = pickle.loads(done.stdout)
    return result


class Beside(Generic[Result]):
    """A module's function that runs in a fresh process until `end`; it asks `is_over`."""

    def __init__(self, function: Callable[[Argument], Result], argument: Argument) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.serving.apart"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(pickle.dumps((function, argument)))
        self._process.stdin.flush()

    def end(self) -> Result:
        """End the function, and return what it returns."""
        answer, _ = self._process.communicate()
        result: Result = pickle.loads(answer)
        return result


def is_over(wait_s: float) -> bool:
    """Return whether the process that runs this one `Beside` itself has ended it; wait for that."""
    return bool(select.select([sys.stdin], [], [], wait_s)[0])


if __name__ == "__main__":
    answers = sys.stdout.buffer
    sys.stdout = sys.stderr  # what libraries print is no answer
    called, given = pickle.load(sys.stdin.buffer)
    answers.write(pickle.dumps(called(given)))
