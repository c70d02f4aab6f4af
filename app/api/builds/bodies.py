"""What routes answer of a build: its facts, paths of the routes about it, and reports."""

from collections.abc import Collection
from typing import Annotated, Literal, NotRequired

from pydantic import Field, WithJsonSchema
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.body_fields import BuildId, Links, Time
from app.errors import ProblemSummary
from app.http.links import link
from app.http.openapi import COMPONENT
from app.http.problems import from_library, problem_summary
from app.store.builds import Build, TraceFacts
from model_zoo import (
    ExplanationDocument,
    GraphDocument,
    LayerDocument,
    PredictedSignalDocument,
    RestoreSummary,
    ScopeUseDocument,
    SpecDocument,
    Trace,
    ZooError,
)

_Layers = Annotated[list[LayerDocument], Field(description="As in the summary.")]
# The reports that an answer can have beside a build.
Report = Literal["layers", "explanation", "graph", "code", "predicted_signal"]

# `restore-plan` and `tf-slim` are no identifiers, so these types are no classes.
BuildLinks = TypedDict(
    "BuildLinks",
    {
        "self": str,
        "summary": str,
        "explanation": str,
        "graph": str,
        "scopes": Annotated[str, Field(description="It takes the query parameter layer.")],
        "code": str,
        "restore-plan": str,
        "weights": str,
        "predict": str,
        "profile": str,
        "probe": str,
    },
)
BuildLinks.__doc__ = "Paths of the routes about a build."

CodeBody = TypedDict("CodeBody", {"python": str, "tf-slim": NotRequired[str]})
CodeBody.__doc__ = "The build as code, by style; without a style that cannot express it."

CodeProblemsBody = TypedDict("CodeProblemsBody", {"tf-slim": ProblemSummary})
CodeProblemsBody.__doc__ = "Why a style cannot express the build."


class NamedScopes(TypedDict, total=False):
    """Only in a build whose request named saved scopes."""

    saved_scopes: Annotated[
        list[ScopeUseDocument],
        Field(description="The saved scopes that were named, and their levels in the spec."),
    ]


class _HeadBody(TypedDict):
    id: BuildId
    architecture: str


class _FactsBody(TraceFacts, NamedScopes):
    spec: Annotated[SpecDocument, WithJsonSchema({COMPONENT: "BuildSpec"})]
    restore: Annotated[
        RestoreSummary | None,
        Field(description="What the sources of the weights fill; null if all are random."),
    ]


class BuildBody(_HeadBody, _FactsBody):
    """A build: its spec with every default filled in, and what its trace says."""

    created: Time
    links: BuildLinks


class _ReportsBody(TypedDict, total=False):
    explanation: ExplanationDocument
    graph: Annotated[GraphDocument, Field(description="At full depth.")]
    code: CodeBody
    code_problems: Annotated[
        CodeProblemsBody, Field(description="If a style cannot express the build: why.")
    ]
    predicted_signal: Annotated[
        PredictedSignalDocument,
        Field(description="The signal at each layer at initialization, told from the trace."),
    ]


class _LayersBody(TypedDict, total=False):
    layers: _Layers


class PostedReportsBody(_ReportsBody, _LayersBody):
    """The reports that `include` names."""


class PostedBuildBody(BuildBody, PostedReportsBody):
    """A build as it was posted, with the reports that `include` names."""


class TracedBuildBody(_HeadBody, _FactsBody, _ReportsBody):
    """A build that is not kept, with its layers and the reports that `include` names."""

    created: None
    links: Annotated[Links, Field(description="Empty: no route is about it.", max_length=0)]
    layers: _Layers


def build_body(build: Build) -> BuildBody:
    """Return a build as the routes show it."""
    path = link(f"/v1/builds/{build.id}")
    return {
        "id": build.id,
        "architecture": build.architecture,
        "created": build.created,
        **_facts(build),
        "links": {
            "self": path,
            "summary": f"{path}/summary",
            "explanation": f"{path}/explanation",
            "graph": f"{path}/graph",
            "scopes": f"{path}/scopes",
            "code": f"{path}/code",
            "restore-plan": f"{path}/restore-plan",
            "weights": f"{path}/weights",
            "predict": f"{path}/predict",
            "profile": f"{path}/profile",
            "probe": f"{path}/probe",
        },
    }


def posted_reports_body(traced: Trace, include: Collection[Report]) -> PostedReportsBody:
    """Return reports of a trace, to go with the build that is kept."""
    layers: _LayersBody = {"layers": _layers(traced)} if "layers" in include else {}
    return {**layers, **_reports(traced, include)}


def traced_build_body(build: Build, traced: Trace, include: Collection[Report]) -> TracedBuildBody:
    """Return a build that is not kept, with reports of its trace."""
    return {
        "id": build.id,
        "architecture": build.architecture,
        "created": None,
        **_facts(build),
        "links": {},
        "layers": _layers(traced),
        **_reports(traced, include),
    }


def _facts(build: Build) -> _FactsBody:
    named: NamedScopes = {"saved_scopes": list(build.saved_scopes)} if build.saved_scopes else {}
    return {
        "spec": build.spec,
        "restore": None,
        **build.facts,
        **named,
    }


def _layers(traced: Trace) -> list[LayerDocument]:
    return [row.to_dict() for row in traced.summary().rows]


def _reports(traced: Trace, include: Collection[Report]) -> _ReportsBody:
    reports: _ReportsBody = {}
    if "explanation" in include:
        reports["explanation"] = traced.explanation().to_dict()
    if "graph" in include:
        reports["graph"] = traced.graph_report().to_dict()
    if "code" in include:
        reports["code"] = {"python": traced.code("python")}
        try:
            reports["code"]["tf-slim"] = traced.code("tf-slim")
        except ZooError as error:
            reports["code_problems"] = {"tf-slim": problem_summary(from_library(error))}
    if "predicted_signal" in include:
        reports["predicted_signal"] = traced.predicted_signal().to_dict()
    return reports
