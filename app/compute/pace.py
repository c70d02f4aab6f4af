"""How long a request takes, and so when one that is refused may be sent again."""

from app.engine import Answer

# The weight of the last answer in the mean.
_NEWEST = 1 / 8
_LONGEST_S = 60


class Pace:
    """The moving average of the time that a request takes of an engine."""

    def __init__(self, workers: int = 1) -> None:
        """`workers` compute requests side by side."""
        self.seconds_per_request = 0.0
        self._workers = workers

    def count(self, answer: Answer) -> None:
        """Count an answer, which shares its batch with others."""
        seconds = answer.seconds.get("compute", 0.0) / self._workers
        share = seconds / max(1, answer.batch_rows)
        self.seconds_per_request += (share - self.seconds_per_request) * _NEWEST

    def retry_after_s(self, waiting: float) -> int:
        """Return in how many seconds to try again, behind so many requests that wait."""
        return max(1, min(_LONGEST_S, round(waiting * self.seconds_per_request)))
