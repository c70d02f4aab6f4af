"""The kinds of problems: what each means, and what its client can do. /docs shows them."""

from collections.abc import Mapping
from typing import NamedTuple

from app.errors import ProblemKind


class ProblemType(NamedTuple):
    """A kind of problem: status and title, the same in each response; what it means, what to do."""

    status: int
    title: str
    explanation: str


PROBLEM_TYPES: Mapping[ProblemKind, ProblemType] = {
    "malformed-json": ProblemType(
        400,
        "The body cannot be read as JSON",
        "The body is not JSON, or it has the same key twice, a number that JSON does not have, "
        "or more values or levels than the limits allow. The message has the line and column; "
        "mend the text there.",
    ),
    "malformed-body": ProblemType(
        400,
        "The body cannot be read",
        "The form, or the upload, ended early or breaks the rules of its format. Send it again "
        "with a client that writes the format itself, such as `curl -F`.",
    ),
    "malformed-request": ProblemType(
        400,
        "The request does not follow the protocol",
        "The request is valid JSON, but not what the Open Inference or TensorFlow Serving "
        "protocol asks for here. The message names the member at fault and what would be valid.",
    ),
    "malformed-http": ProblemType(
        400,
        "The request is not valid HTTP",
        "The request line, a header or the framing of the body breaks the rules of HTTP/1.1, or "
        "the head is longer than 64 KiB. The connection closes; use a client that writes HTTP "
        "itself, such as `curl`.",
    ),
    "unauthenticated": ProblemType(
        401,
        "A valid token is needed",
        "The request has no token, or one that is unknown, revoked or expired. Send "
        "`Authorization: Bearer TOKEN`, once; `model-zoo token add` makes a token.",
    ),
    "forbidden": ProblemType(
        403,
        "The token does not have the role",
        "The token is valid, and its role may not do this. `role` names the role that is needed; "
        "each of read, infer, build and admin includes those before it.",
    ),
    "cross-site": ProblemType(
        403,
        "A page of another origin may not do this",
        "A browser says in `Sec-Fetch-Site` that a page of another origin sent the request, and "
        "only this service's own pages, and those of `ZOO_CORS_ORIGINS`, may change something. "
        "Programs are not affected: send it from one, or through a server of yours.",
    ),
    "not-found": ProblemType(
        404,
        "There is no such route",
        "The path belongs to no route. Check it for a missing `/v1`, a slash at the end, or a "
        "prefix of your proxy; this page lists every route.",
    ),
    "unknown-build": ProblemType(
        404,
        "There is no such build",
        "No build has this id: it was deleted, or it was posted to another service. Post its "
        "spec again: the same spec always gets the same id.",
    ),
    "unknown-model": ProblemType(
        404,
        "There is no such model",
        "No named model, version, label or build is called this. `GET /v1/models` lists what is "
        "there.",
    ),
    "unknown-name": ProblemType(
        404,
        "There is no such name in the catalogue",
        "The catalogue has no architecture or op of this name. The message suggests the nearest; "
        "`GET /v1/architectures` and `GET /v1/ops` list them all.",
    ),
    "unknown-scope": ProblemType(
        404,
        "There is no such saved scope",
        "No saved scope has this name, or none of its versions has this digest. `GET /v1/scopes` "
        "lists the versions.",
    ),
    "unknown-sweep": ProblemType(
        404,
        "There is no such sweep",
        "No sweep has this id: it was deleted, or newer sweeps took its place under the limit of "
        "kept bytes. Post its request again: rows whose builds are known are not traced again.",
    ),
    "method-not-allowed": ProblemType(
        405,
        "The route does not support the method",
        "The path exists, but not for this method. The header `Allow` and the message list the "
        "methods that it supports.",
    ),
    "unknown-weights": ProblemType(
        404,
        "There are no such weights",
        "No upload has this id. Upload the file with `POST /v1/weights`: the id is the digest of "
        "its content, so it is the same as before.",
    ),
    "not-acceptable": ProblemType(
        406,
        "None of the accepted types is available",
        "The header `Accept` allows none of the types that the route can answer with. Send one "
        "of those that the message lists, or choose with `?format=`.",
    ),
    "slow-body": ProblemType(
        408,
        "The body did not arrive in time",
        "The body, or the next piece of an upload, did not arrive within the time limit. Send it "
        "again over a faster connection, or raise the setting that the message names.",
    ),
    "conflict": ProblemType(
        409,
        "The version already exists and differs",
        "This version of the model exists already with another build or other options, and a "
        "version never changes. Leave `version` out to get the next number.",
    ),
    "in-use": ProblemType(
        409,
        "The resource is still in use",
        "Something else depends on it: a build that takes weights from it, or a named model that "
        "is this build. Delete what `builds` or `models` list first.",
    ),
    "body-too-large": ProblemType(
        413,
        "The body is too large",
        "The body has more bytes than `limit` allows. Send less at once, or raise the "
        "environment variable that `setting` names.",
    ),
    "unsupported-type": ProblemType(
        415,
        "The body's type is not supported",
        "The route reads no body of this `Content-Type`, or no file of this format. The message "
        "lists what it reads.",
    ),
    "unsatisfiable-range": ProblemType(
        416,
        "The range starts beyond the end",
        "The header `Range` asks for bytes beyond the end of the file. `Content-Range` has the "
        "file's size; if the download was complete, nothing is missing.",
    ),
    "invalid-query": ProblemType(
        422,
        "A query parameter is not valid",
        "A query parameter is unknown, has a value that is not allowed, or is given twice. "
        "`errors` names the parameter and suggests the nearest valid value.",
    ),
    "invalid-spec": ProblemType(
        422,
        "The build spec is not valid",
        "Something in the spec, the levels or the sweep is unknown or has the wrong type. Each "
        "of `errors` has the place as a JSON pointer, the rule, and often the nearest valid "
        "value.",
    ),
    "build-refused": ProblemType(
        422,
        "The network cannot be built as configured",
        "Every value is valid, but the network cannot be built with them: a layer refused its "
        "input or an argument. `layer` says which, `scopes` what was in force there; the message "
        "suggests changes that were tried.",
    ),
    "over-budget": ProblemType(
        422,
        "The build exceeds the budget",
        "The network or the sweep is larger than the service allows. Make it smaller, or raise "
        "the limit that the message names; `GET /v1/limits` lists all limits.",
    ),
    "weights-refused": ProblemType(
        422,
        "The weights do not fit, or cannot be read",
        "Weights do not have the names or shapes that the build needs, or the file cannot be "
        "read safely. `errors` lists what does not fit; try `exclude`, `rename` or the policy "
        "`skip_mismatch` with `POST /v1/builds/{build_id}/restore-plan`.",
    ),
    "invalid-input": ProblemType(
        422,
        "The input does not fit the network",
        "The images or arrays do not fit the network: a shape, a type, the number of rows, or a "
        "file that is no image. The message says what the network takes.",
    ),
    "unprocessable": ProblemType(
        422,
        "The request cannot be carried out",
        "The request is valid, but cannot be carried out on this build or with this combination "
        "of options. The message gives the reason and, where there is one, another way.",
    ),
    "too-many-requests": ProblemType(
        429,
        "The client sends too many requests",
        "This client address, or this token, has as many requests in progress as it may, or sent "
        "more a second than it may. `reason` says which; send again after `Retry-After`.",
    ),
    # nginx's number, for the log: no client is left to receive it.
    "client-gone": ProblemType(
        499,
        "The client closed the connection",
        "The client closed the connection before the answer was ready. Only the log shows this; "
        "nothing is wrong with the request.",
    ),
    "internal-error": ProblemType(
        500,
        "Internal error",
        "The service failed in a way that it did not foresee. The log has the cause under the "
        "`request_id`; please report it with that.",
    ),
    "not-implemented": ProblemType(
        501,
        "The service does not support this",
        "The protocol knows this request, but this service does not do it, such as changing a "
        "model's files while loading it. The message says what to do in its place.",
    ),
    "not-ready": ProblemType(
        503,
        "The service or the model is not ready",
        "The readiness check found the service or the model not ready. It was asked for and is "
        "no failure: ask again after `Retry-After`; `GET /healthz` shows why.",
    ),
    "issuer-unavailable": ProblemType(
        503,
        "The issuer of tokens does not answer",
        "The keys of the OpenID Connect provider, which verify the token, cannot be fetched now. "
        "Send again after `Retry-After`; if it lasts, check `ZOO_OIDC_ISSUER`: the log has the "
        "reason.",
    ),
    "overloaded": ProblemType(
        503,
        "The service is at capacity",
        "The service works on as many requests as it may, or one that admits no other is "
        "running. `reason` says what is full; send again after `Retry-After`.",
    ),
    "worker-died": ProblemType(
        503,
        "The worker died while computing",
        "The process that computes ended in the middle of the request, for example for lack of "
        "memory. Another is being started: send again after `Retry-After`.",
    ),
    "worker-unavailable": ProblemType(
        503,
        "The worker is not available",
        "The process that computes is starting, restarting or stopping. Send again after "
        "`Retry-After`; builds, summaries and explanations do not need it.",
    ),
    "out-of-memory": ProblemType(
        503,
        "There is not enough memory",
        "The network with these rows does not fit into the memory that the service may use. Send "
        "fewer rows, or unload other models.",
    ),
    "store-full": ProblemType(
        503,
        "The store is full",
        "What the service may keep has reached its limit. Delete builds, uploads, models or "
        "scopes that you do not need, or raise the setting that the message names.",
    ),
    "store-unavailable": ProblemType(
        503,
        "The store is not available",
        "The database, the folder of files or their bucket cannot be read or written: it is "
        "locked, full or gone, or does not answer. Send again after `Retry-After`; if it lasts, "
        "check the disk and the permissions of `ZOO_HOME`, the server that `ZOO_DATABASE_URL` "
        "names, and the bucket of `ZOO_FILES_URL`.",
    ),
    "deadline-passed": ProblemType(
        504,
        "The deadline passed",
        "The request waited and computed longer than the time limit. Send fewer rows, try again "
        "when less is going on, or raise `ZOO_REQUEST_TIMEOUT_S`.",
    ),
}
