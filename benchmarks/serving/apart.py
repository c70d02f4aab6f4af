"""Runs a function in a process of its own: `python -m benchmarks.serving.apart`.

The function and its argument come in a pickle, and what it returns goes back in one.
"""

import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import TypeVar

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


if __name__ == "__main__":
    answers = sys.stdout.buffer
    sys.stdout = sys.stderr  # what libraries print is no answer
    called, given = pickle.load(sys.stdin.buffer)
    answers.write(pickle.dumps(called(given)))
