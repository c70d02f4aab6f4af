"""TF-Slim's arg scopes and network zoo, traced without TensorFlow and lowered to Keras 3.

    >>> import model_zoo
    >>> spec = model_zoo.BuildSpec.read({"architecture": "lenet", "params": {"num_classes": 7}})
    >>> trace = model_zoo.trace(spec)
    >>> trace.summary().totals["parameters"]
    3271559

What networks are written with is imported at once, everything else on first use: specs and traces
need pydantic, `materialize` needs Keras, images need Pillow.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from model_zoo import layers
from model_zoo.architectures.registry import Architecture, architecture
from model_zoo.arg_scope import (
    add_arg_scope,
    arg_scope,
    arg_scoped_arguments,
    current_arg_scope,
    has_arg_scope,
)
from model_zoo.errors import (
    BudgetError,
    BuildError,
    InputError,
    OptionError,
    Problem,
    ScopeError,
    SpecError,
    WeightsError,
    ZooError,
    describe_each,
    json_pointer,
    not_accepted,
    spell_names,
    unknown_name,
)
from model_zoo.graph import (
    Graph,
    Node,
    Tensor,
    Variable,
    build_graph,
    end_point,
    layer_scope,
    variable_scope,
)
from model_zoo.scope_chain import ArgScope
from model_zoo.strict_json import read_json
from model_zoo.tables import aligned_table, csv_table, spell_shape

if TYPE_CHECKING:
    from model_zoo.budget import Budget
    from model_zoo.classification import class_probabilities, top_classes
    from model_zoo.file_locks import (
        HomeInUseError,
        HomeLock,
        remove_abandoned,
        scratch_folder,
    )
    from model_zoo.image_files import decode_image
    from model_zoo.levels import ScopeRequest, read_scope
    from model_zoo.lowering import Model, materialize
    from model_zoo.onnx_lowering import onnx_model
    from model_zoo.packages import FailedPackage
    from model_zoo.plain_values import ArgumentDescription
    from model_zoo.predicted_signal.prediction import PredictedSignal, PredictedSignalDocument
    from model_zoo.preprocessing import preprocess
    from model_zoo.probing.documents import DEFAULT_ROWS as PROBE_ROWS
    from model_zoo.probing.documents import MODES as PROBE_MODES
    from model_zoo.probing.documents import Mode as ProbeMode
    from model_zoo.probing.documents import ProbeDocument, VerdictDocument, signal_gain
    from model_zoo.probing.probe import Probe, probe, probe_bytes
    from model_zoo.reports.code.styles import CODE_STYLES
    from model_zoo.reports.diff import Diff, diff
    from model_zoo.reports.diff_documents import DiffDocument
    from model_zoo.reports.explanation import ExplanationDocument
    from model_zoo.reports.explanation_csv import explanation_csv
    from model_zoo.reports.explanation_filter import filter_explanation
    from model_zoo.reports.graph_documents import GraphDocument
    from model_zoo.reports.graph_report import GraphReport
    from model_zoo.reports.model_explorer import (
        NODE_METRICS,
        ModelExplorerDocument,
        NodeDataDocument,
        NodeMetric,
    )
    from model_zoo.reports.scope_at_layer import LayerScopeDocument
    from model_zoo.reports.summary import LayerDocument, SummaryDocument, Totals
    from model_zoo.saved_scopes import (
        SCOPE_DIGEST,
        SCOPE_NAME,
        SavedScope,
        ScopeLibrary,
        ScopeUseDocument,
    )
    from model_zoo.saving import save_weights, weight_writer
    from model_zoo.spec import BuildSpec, SpecDocument
    from model_zoo.sweeps.arrangement import arrange
    from model_zoo.sweeps.format import SweepRequest
    from model_zoo.sweeps.front import pareto_front, read_objectives
    from model_zoo.sweeps.parquet import sweep_parquet
    from model_zoo.sweeps.reuse import RowTracer
    from model_zoo.sweeps.rows import (
        MeasuredDocument,
        RowKey,
        RowOutcome,
        RowProblem,
        RowStatus,
        SweepRow,
        SweepRowDocument,
        identify_row,
        row_problem,
        trace_row,
    )
    from model_zoo.sweeps.scopes import PinnedScopes
    from model_zoo.sweeps.sweep import Sweep, SweepRows, sweep
    from model_zoo.sweeps.tables import sweep_columns, sweep_csv
    from model_zoo.tracing import Trace, trace
    from model_zoo.weight_sources import BUILD_ID, CHECKPOINT_ID
    from model_zoo.weights.files import FORMATS as WEIGHT_FORMATS
    from model_zoo.weights.files import find_format as find_weight_format
    from model_zoo.weights.importing import end_imports, import_checkpoint
    from model_zoo.weights.plan import RestorePlan, TensorInfo
    from model_zoo.weights.plan_documents import RestoreDocument, RestoreSummary
    from model_zoo.weights.published import PublishedDescription, describe_published
    from model_zoo.weights.reading.contents import ImportLimits, NamedFile
    from model_zoo.weights.reading.npy import read_npy
    from model_zoo.weights.restore import WeightLibrary, build_weights, plan_restore
    from model_zoo.weights.store import Checkpoint, CheckpointDocument, CheckpointStore
    from model_zoo.zoo import (
        ArchitectureDescription,
        ArchitectureRow,
        LevelDocument,
        OpDescription,
        describe_architecture,
        describe_architectures,
        describe_op,
        failed_packages,
        find_architecture,
        list_architectures,
        list_ops,
    )

__all__ = [
    "BUILD_ID",
    "CHECKPOINT_ID",
    "CODE_STYLES",
    "NODE_METRICS",
    "PROBE_MODES",
    "PROBE_ROWS",
    "SCOPE_DIGEST",
    "SCOPE_NAME",
    "WEIGHT_FORMATS",
    "Architecture",
    "ArchitectureDescription",
    "ArchitectureRow",
    "ArgScope",
    "ArgumentDescription",
    "Budget",
    "BudgetError",
    "BuildError",
    "BuildSpec",
    "Checkpoint",
    "CheckpointDocument",
    "CheckpointStore",
    "Diff",
    "DiffDocument",
    "ExplanationDocument",
    "FailedPackage",
    "Graph",
    "GraphDocument",
    "GraphReport",
    "HomeInUseError",
    "HomeLock",
    "ImportLimits",
    "InputError",
    "LayerDocument",
    "LayerScopeDocument",
    "LevelDocument",
    "MeasuredDocument",
    "Model",
    "ModelExplorerDocument",
    "NamedFile",
    "Node",
    "NodeDataDocument",
    "NodeMetric",
    "OpDescription",
    "OptionError",
    "PinnedScopes",
    "PredictedSignal",
    "PredictedSignalDocument",
    "Probe",
    "ProbeDocument",
    "ProbeMode",
    "Problem",
    "PublishedDescription",
    "RestoreDocument",
    "RestorePlan",
    "RestoreSummary",
    "RowKey",
    "RowOutcome",
    "RowProblem",
    "RowStatus",
    "RowTracer",
    "SavedScope",
    "ScopeError",
    "ScopeLibrary",
    "ScopeRequest",
    "ScopeUseDocument",
    "SpecDocument",
    "SpecError",
    "SummaryDocument",
    "Sweep",
    "SweepRequest",
    "SweepRow",
    "SweepRowDocument",
    "SweepRows",
    "Tensor",
    "TensorInfo",
    "Totals",
    "Trace",
    "Variable",
    "VerdictDocument",
    "WeightLibrary",
    "WeightsError",
    "ZooError",
    "add_arg_scope",
    "aligned_table",
    "architecture",
    "arg_scope",
    "arg_scoped_arguments",
    "arrange",
    "build_graph",
    "build_weights",
    "class_probabilities",
    "csv_table",
    "current_arg_scope",
    "decode_image",
    "describe_architecture",
    "describe_architectures",
    "describe_each",
    "describe_op",
    "describe_published",
    "diff",
    "end_imports",
    "end_point",
    "explanation_csv",
    "failed_packages",
    "filter_explanation",
    "find_architecture",
    "find_weight_format",
    "has_arg_scope",
    "identify_row",
    "import_checkpoint",
    "json_pointer",
    "layer_scope",
    "layers",
    "list_architectures",
    "list_ops",
    "materialize",
    "not_accepted",
    "onnx_model",
    "pareto_front",
    "plan_restore",
    "preprocess",
    "probe",
    "probe_bytes",
    "read_json",
    "read_npy",
    "read_objectives",
    "read_scope",
    "remove_abandoned",
    "row_problem",
    "save_weights",
    "scratch_folder",
    "signal_gain",
    "spell_names",
    "spell_shape",
    "sweep",
    "sweep_columns",
    "sweep_csv",
    "sweep_parquet",
    "top_classes",
    "trace",
    "trace_row",
    "unknown_name",
    "variable_scope",
    "weight_writer",
]

_LAZY = {
    "BUILD_ID": "model_zoo.weight_sources",
    "CHECKPOINT_ID": "model_zoo.weight_sources",
    "CODE_STYLES": "model_zoo.reports.code.styles",
    "NODE_METRICS": "model_zoo.reports.model_explorer",
    "SCOPE_DIGEST": "model_zoo.saved_scopes",
    "SCOPE_NAME": "model_zoo.saved_scopes",
    "ArchitectureDescription": "model_zoo.zoo",
    "ArchitectureRow": "model_zoo.zoo",
    "ArgumentDescription": "model_zoo.plain_values",
    "Budget": "model_zoo.budget",
    "BuildSpec": "model_zoo.spec",
    "Checkpoint": "model_zoo.weights.store",
    "CheckpointDocument": "model_zoo.weights.store",
    "CheckpointStore": "model_zoo.weights.store",
    "Diff": "model_zoo.reports.diff",
    "DiffDocument": "model_zoo.reports.diff_documents",
    "ExplanationDocument": "model_zoo.reports.explanation",
    "FailedPackage": "model_zoo.packages",
    "GraphDocument": "model_zoo.reports.graph_documents",
    "GraphReport": "model_zoo.reports.graph_report",
    "HomeInUseError": "model_zoo.file_locks",
    "HomeLock": "model_zoo.file_locks",
    "ImportLimits": "model_zoo.weights.reading.contents",
    "LayerDocument": "model_zoo.reports.summary",
    "LayerScopeDocument": "model_zoo.reports.scope_at_layer",
    "LevelDocument": "model_zoo.zoo",
    "MeasuredDocument": "model_zoo.sweeps.rows",
    "Model": "model_zoo.lowering",
    "ModelExplorerDocument": "model_zoo.reports.model_explorer",
    "NamedFile": "model_zoo.weights.reading.contents",
    "NodeDataDocument": "model_zoo.reports.model_explorer",
    "NodeMetric": "model_zoo.reports.model_explorer",
    "OpDescription": "model_zoo.zoo",
    "PinnedScopes": "model_zoo.sweeps.scopes",
    "PredictedSignal": "model_zoo.predicted_signal.prediction",
    "PredictedSignalDocument": "model_zoo.predicted_signal.prediction",
    "Probe": "model_zoo.probing.probe",
    "ProbeDocument": "model_zoo.probing.documents",
    "PublishedDescription": "model_zoo.weights.published",
    "RestoreDocument": "model_zoo.weights.plan_documents",
    "RestorePlan": "model_zoo.weights.plan",
    "RestoreSummary": "model_zoo.weights.plan_documents",
    "RowKey": "model_zoo.sweeps.rows",
    "RowOutcome": "model_zoo.sweeps.rows",
    "RowProblem": "model_zoo.sweeps.rows",
    "RowStatus": "model_zoo.sweeps.rows",
    "RowTracer": "model_zoo.sweeps.reuse",
    "SavedScope": "model_zoo.saved_scopes",
    "ScopeLibrary": "model_zoo.saved_scopes",
    "ScopeRequest": "model_zoo.levels",
    "ScopeUseDocument": "model_zoo.saved_scopes",
    "SpecDocument": "model_zoo.spec",
    "SummaryDocument": "model_zoo.reports.summary",
    "Sweep": "model_zoo.sweeps.sweep",
    "SweepRequest": "model_zoo.sweeps.format",
    "SweepRow": "model_zoo.sweeps.rows",
    "SweepRowDocument": "model_zoo.sweeps.rows",
    "SweepRows": "model_zoo.sweeps.sweep",
    "TensorInfo": "model_zoo.weights.plan",
    "Totals": "model_zoo.reports.summary",
    "Trace": "model_zoo.tracing",
    "VerdictDocument": "model_zoo.probing.documents",
    "WeightLibrary": "model_zoo.weights.restore",
    "arrange": "model_zoo.sweeps.arrangement",
    "build_weights": "model_zoo.weights.restore",
    "class_probabilities": "model_zoo.classification",
    "decode_image": "model_zoo.image_files",
    "describe_architecture": "model_zoo.zoo",
    "describe_architectures": "model_zoo.zoo",
    "describe_op": "model_zoo.zoo",
    "describe_published": "model_zoo.weights.published",
    "diff": "model_zoo.reports.diff",
    "end_imports": "model_zoo.weights.importing",
    "explanation_csv": "model_zoo.reports.explanation_csv",
    "failed_packages": "model_zoo.zoo",
    "filter_explanation": "model_zoo.reports.explanation_filter",
    "find_architecture": "model_zoo.zoo",
    "identify_row": "model_zoo.sweeps.rows",
    "import_checkpoint": "model_zoo.weights.importing",
    "list_architectures": "model_zoo.zoo",
    "list_ops": "model_zoo.zoo",
    "materialize": "model_zoo.lowering",
    "onnx_model": "model_zoo.onnx_lowering",
    "pareto_front": "model_zoo.sweeps.front",
    "plan_restore": "model_zoo.weights.restore",
    "preprocess": "model_zoo.preprocessing",
    "probe": "model_zoo.probing.probe",
    "probe_bytes": "model_zoo.probing.probe",
    "read_npy": "model_zoo.weights.reading.npy",
    "read_objectives": "model_zoo.sweeps.front",
    "read_scope": "model_zoo.levels",
    "remove_abandoned": "model_zoo.file_locks",
    "row_problem": "model_zoo.sweeps.rows",
    "save_weights": "model_zoo.saving",
    "scratch_folder": "model_zoo.file_locks",
    "signal_gain": "model_zoo.probing.documents",
    "sweep": "model_zoo.sweeps.sweep",
    "sweep_columns": "model_zoo.sweeps.tables",
    "sweep_csv": "model_zoo.sweeps.tables",
    "sweep_parquet": "model_zoo.sweeps.parquet",
    "top_classes": "model_zoo.classification",
    "trace": "model_zoo.tracing",
    "trace_row": "model_zoo.sweeps.rows",
    "weight_writer": "model_zoo.saving",
}

# What has a shorter name in its module.
_RENAMED = {
    "PROBE_ROWS": ("model_zoo.probing.documents", "DEFAULT_ROWS"),
    "PROBE_MODES": ("model_zoo.probing.documents", "MODES"),
    "ProbeMode": ("model_zoo.probing.documents", "Mode"),
    "WEIGHT_FORMATS": ("model_zoo.weights.files", "FORMATS"),
    "find_weight_format": ("model_zoo.weights.files", "find_format"),
}


def __getattr__(name: str) -> Any:
    if name in _RENAMED:
        module, own = _RENAMED[name]
        value = getattr(import_module(module), own)
    elif name in _LAZY:
        value = getattr(import_module(_LAZY[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value
