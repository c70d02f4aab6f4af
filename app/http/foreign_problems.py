"""Error responses of the two foreign protocols: Open Inference and TensorFlow Serving.

Their clients read only the string `error` of a JSON object, and do not know status 422. The members
of our own problem documents stand beside it.
"""

MEDIA_TYPE = "application/json"

_OPEN_INFERENCE = "/v2"
_TENSORFLOW_SERVING = "/v1/models"
_INFERENCE_METHODS = ("GET", "HEAD", "POST")
# Triton's words, which our own sentence follows.
_PREFIXES = {404: "Not Found", 405: "Method Not Allowed"}


def is_foreign(path: str) -> bool:
    """Return whether a path belongs to a foreign protocol.

    >>> [is_foreign(path) for path in ("/v2", "/v2/x", "/v20", "/v1/models/m:predict", "/v1/ops")]
    [True, True, False, True, False]
    """
    return _below(path, _OPEN_INFERENCE) or _below(path, _TENSORFLOW_SERVING)


def foreign_status(status: int, method: str, path: str) -> int:
    """Return the status that the protocol's clients expect.

    Our own model registry shares `/v1/models`: its listing, PUT and DELETE keep 422.

    >>> foreign_status(422, "POST", "/v1/models/m:predict"), foreign_status(422, "GET", "/v2")
    (400, 400)
    >>> foreign_status(422, "PUT", "/v1/models/m"), foreign_status(422, "GET", "/v1/models")
    (422, 422)
    """
    if status != 422 or not is_foreign(path):
        return status
    own = _below(path, _TENSORFLOW_SERVING) and (
        path.lower().rstrip("/") == _TENSORFLOW_SERVING or method not in _INFERENCE_METHODS
    )
    return status if own else 400


def foreign_error(kind: str, status: int, detail: str) -> str:
    """Return the string that clients show.

    >>> foreign_error("not-found", 404, "No route has this path.")
    'Not Found: No route has this path.'
    >>> foreign_error("unknown-model", 404, "There is no model 'x'.")
    "There is no model 'x'."
    """
    is_prefixed = kind in ("not-found", "method-not-allowed")
    return f"{_PREFIXES[status]}: {detail}" if is_prefixed else detail


def _below(path: str, root: str) -> bool:
    path = path.lower()  # TensorFlow Serving's paths match in upper and lower case
    return path == root or path.startswith(root + "/")
