"""What OpenAPI says of the routes beyond what the framework reads off them.

A route names the types of its answers, and the kinds of its problems; the framework makes a schema
of each type. Bodies of requests are read raw, and a problem's status and form follow from the path:
`finished` adds both.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import TypeAdapter

from app.callers.roles import ROLES, Need
from app.errors import ForeignProblemBody, ProblemBody, ProblemKind, ProblemKinds
from app.http.admission import is_always_admitted
from app.http.cross_origin import SAFE_METHODS
from app.http.foreign_problems import MEDIA_TYPE as FOREIGN_MEDIA_TYPE
from app.http.foreign_problems import foreign_status, is_foreign
from app.http.links import link
from app.http.openapi_examples import PROBLEM
from app.http.problem_types import PROBLEM_TYPES
from app.http.problems import MEDIA_TYPE
from model_zoo import BuildSpec, ScopeRequest, SweepRequest, list_architectures, list_ops

Schema = dict[str, Any]
Responses = dict[int | str, Schema]

# What reading a body can end in, what a spec can, what waiting for the worker can, and all that an
# inference can, whichever protocol asks for it.
BODY_PROBLEMS: ProblemKinds = ("malformed-body", "slow-body", "body-too-large", "unsupported-type")
SPEC_PROBLEMS: ProblemKinds = ("malformed-json", "invalid-spec", "build-refused", "over-budget")
WORKER_PROBLEMS: ProblemKinds = (
    "overloaded",
    "worker-died",
    "worker-unavailable",
    "out-of-memory",
    "deadline-passed",
)
INFERENCE_PROBLEMS: ProblemKinds = (
    *BODY_PROBLEMS,
    "malformed-json",
    "invalid-input",
    "unprocessable",
    "weights-refused",
    *WORKER_PROBLEMS,
)

# What any request can end in, except those that are always admitted.
_ADMISSION_PROBLEMS: ProblemKinds = ("overloaded", "store-unavailable")
# What any request can end in where there is access control.
_ACCESS_PROBLEMS: ProblemKinds = (
    "unauthenticated",
    "forbidden",
    "too-many-requests",
    "issuer-unavailable",
)

# A schema that is no more than this and the name of a component refers to it: for what a request
# and an answer share.
COMPONENT = "x-component"

_BEARER = "bearer"
_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "A token of `model-zoo token add`, or one of the OpenID Connect provider. Each "
    f"route names the role that it needs: {', '.join(ROLES)}. A role includes those before it. "
    "Where a route may do without, it is open to all.",
}
_JSON = "application/json"
_REF = "#/components/schemas/{model}"
TEXT: Schema = {"schema": {"type": "string"}}
# A type's name has these in Python; its schema's has not.
_SUFFIX = re.compile("(Body|Document)$")
_FRAMEWORK_ERRORS = ("HTTPValidationError", "ValidationError")


# The types of answers, each with the number that stands for it until its schema is asked for: the
# framework would compile them all for each application, at its first request.
_BODIES: list[Any] = []
_BODY = "x-body"


def answer(
    description: str,
    body: Any,
    media_types: Iterable[str] = (),
    json_bodies: Mapping[str, Any] | None = None,
) -> Schema:
    """Return the description of an answer in JSON, and of the other types that it has.

    `json_bodies` are those that are JSON of another form.
    """
    content: Schema = {}
    for media_type, each in {_JSON: body, **(json_bodies or {})}.items():
        content[media_type] = {_BODY: len(_BODIES)}
        _BODIES.append(each)
    for media_type in media_types:
        name = media_type.partition(";")[0]
        content.setdefault(name, TEXT if name.startswith("text/") else {})
    return {"description": description, "content": content}


def problems(*kinds: ProblemKind) -> Responses:
    """Return the kinds of problems that a route answers with, by their statuses."""
    titles: dict[int, list[str]] = {}
    for kind in kinds:
        titles.setdefault(PROBLEM_TYPES[kind].status, []).append(PROBLEM_TYPES[kind].title)
    return {status: {"description": "; ".join(each)} for status, each in titles.items()}


def reference(name: str) -> Schema:
    """Return the schema that leads to a component."""
    return {"$ref": _REF.format(model=name)}


def json_body(name: str, *, required: bool = True, **media: Any) -> Schema:
    """Return what a route that reads the JSON of a component adds to its description."""
    content = {_JSON: {"schema": reference(name), **media}}
    return {"requestBody": {"required": required, "content": content}}


def schemas_of(types: Mapping[str, Any]) -> dict[str, Schema]:
    """Return the schemas of types by the names that they are given, and of what they consist of."""
    schemas: dict[str, Schema] = {}
    for name, each in types.items():
        schema = TypeAdapter(each).json_schema(ref_template=_REF)
        schemas |= schema.pop("$defs", {})
        schemas[name] = {**schema, "title": name}
    return schemas


def spec_schemas() -> dict[str, Schema]:
    """Return the schemas of a spec, with the names of the catalogue; `Sources` is its `weights`."""
    schemas = schemas_of(
        {"BuildSpec": BuildSpec, "ScopeLevels": ScopeRequest, "SweepRequest": SweepRequest}
    )
    properties = schemas["BuildSpec"]["properties"]
    properties["architecture"]["enum"] = list(list_architectures())
    schemas["ScopeLevel"]["properties"]["ops"]["items"]["enum"] = list(list_ops())
    schemas["Sources"] = {**properties["weights"], "title": "Sources"}
    properties["weights"] = reference("Sources")
    # openapi-python-client takes no object as the default of what may be null.
    del properties["default_scope"]["default"]
    return schemas


def security(need: Need, *, is_optional: bool) -> list[Schema]:
    """Return the security of a route; the roles of its scheme stand where OAuth has scopes."""
    return [{_BEARER: [need.role]}, *([{}] if is_optional else [])]


def finished(
    document: Schema,
    requests: Mapping[str, Schema],
    securities: Mapping[tuple[str, str], list[Schema]],
) -> Schema:
    """Return the framework's document with requests, problems, and the security of routes."""
    bodies, answers = _answers()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            responses = operation["responses"]
            for response in responses.values():
                for media in response.get("content", {}).values():
                    if _BODY in media:
                        media["schema"] = bodies[media.pop(_BODY)]
            operation["responses"] = _with_problems(responses, method.upper(), path)
            operation["security"] = securities[method.upper(), path]
    document["components"]["securitySchemes"] = {_BEARER: _SCHEME}
    problem_types = {"Problem": ProblemBody, "ForeignProblem": ForeignProblemBody}
    problem_schemas = schemas_of(problem_types)
    problem_schemas["Problem"]["examples"] = [PROBLEM]
    problem_schemas["ForeignProblem"]["examples"] = [{"error": PROBLEM["detail"], **PROBLEM}]
    schemas = document["components"]["schemas"] | answers | problem_schemas | requests
    named: dict[str, Schema] = {}
    for name, schema in schemas.items():
        if name not in _FRAMEWORK_ERRORS:
            if (short := _SUFFIX.sub("", name)) in named:
                raise ValueError(f"Two types are called {short} in OpenAPI.")
            named[short] = schema
    document["components"]["schemas"] = dict(sorted(named.items()))
    document = _without_suffixes(document)
    if prefix := link(""):
        document["servers"] = [{"url": prefix}]
    document["x-problems"] = [
        {"type": link(f"/docs#problem-{name}"), **kind._asdict()}
        for name, kind in PROBLEM_TYPES.items()
    ]
    return document


def _answers() -> tuple[list[Schema], dict[str, Schema]]:
    """Return the schema of each type of answer, and those that they refer to."""
    mode: Literal["serialization"] = "serialization"
    numbered = [(number, mode, TypeAdapter(body)) for number, body in enumerate(_BODIES)]
    schemas, definitions = TypeAdapter.json_schemas(numbered, ref_template=_REF)
    return [schemas[number, mode] for number in range(len(_BODIES))], definitions["$defs"]


def _with_problems(responses: Schema, method: str, path: str) -> Schema:
    """Return the answers of a route, each problem with the status and the form of its path."""
    answers: Schema = {}
    descriptions: dict[str, list[str]] = {}
    is_admitted = is_always_admitted({"path": path, "method": method})
    for kind in (*_ACCESS_PROBLEMS, *(() if is_admitted else _ADMISSION_PROBLEMS)):
        described = PROBLEM_TYPES[kind]
        descriptions.setdefault(str(described.status), []).append(described.title)
    is_page = "text/html" in responses.get("200", {}).get("content", {})
    # Our own routes refuse unknown parameters; a page opens with any.
    if foreign_status(422, method, path) == 422 and not is_page:
        descriptions["422"] = [PROBLEM_TYPES["invalid-query"].title]
    if method not in SAFE_METHODS:
        descriptions["403"].append(PROBLEM_TYPES["cross-site"].title)
    for status, response in responses.items():
        if status < "400":
            answers[status] = response
        elif "content" not in response:  # the framework's own 422 has content
            titles = descriptions.setdefault(str(foreign_status(int(status), method, path)), [])
            titles += [each for each in response["description"].split("; ") if each not in titles]
    content = {MEDIA_TYPE: {"schema": reference("Problem")}}
    if is_foreign(path):
        content = {FOREIGN_MEDIA_TYPE: {"schema": reference("ForeignProblem")}}
    for status, each in sorted(descriptions.items()):
        answers[status] = {"description": "; ".join(each), "content": content}
    return answers


def _without_suffixes(node: Any) -> Any:
    """Return a part of the document in which references and titles name what `finished` does.

    What stands for a component refers to it. The types of problems are links.
    """
    match node:
        case {"x-component": str(name)}:
            return reference(name)
        case dict():
            return {
                key: _SUFFIX.sub("", value)
                if key in ("$ref", "title") and isinstance(value, str)
                else _without_suffixes(value)
                for key, value in node.items()
            }
        case list():
            return [_without_suffixes(item) for item in node]
        case str() if node.startswith("/docs#problem-"):
            return link(node)
        case _:
            return node
