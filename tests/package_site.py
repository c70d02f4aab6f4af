"""A folder of installed packages, good and broken, for a process that has it in its path."""

import os
import re
from pathlib import Path

_NETWORK = """
from model_zoo import ArgScope, architecture, arg_scope, variable_scope
from model_zoo.layers import batch_norm, conv2d, layer_norm, register_op
from model_zoo.primitives import reduce_mean, squeeze
from model_zoo.values import l2_regularizer

def own_arg_scope():
    with arg_scope([conv2d], weights_regularizer=l2_regularizer(0.1)) as scope:
        return scope

def network(name, body, arg_scope=own_arg_scope):
    def built(inputs, num_classes=10, is_training=False):
        with variable_scope(name):
            return body(inputs)
    built.__name__ = name
    built.__module__ = __name__
    return architecture(
        arg_scope=arg_scope,
        input_shape=(8, 8, 3),
        preprocessing="inception",
        source=name,
        classes=10,
    )(built)

def pooled(net):
    return squeeze(reduce_mean(conv2d(net, 10, 3, scope="conv"), [1, 2]), [-3, 2])
"""


def without_lines(text: str) -> str:
    """Return a text with LINE in place of the numbers of lines."""
    return re.sub(r"(\.py:|, line )\d+", r"\1LINE", text)


# What each package does when it is imported, after the lines above.
MODULES = {
    "good": 'network("good_net", pooled)',
    "raises": """
@register_op
def raised_op(net, size: int = 1, scope: str | None = None):
    return net

network("raised_net", pooled)
raise RuntimeError("there is no license")
""",
    "exits": 'network("exited_net", pooled)\nraise SystemExit(3)',
    "ends": "class End(BaseException): pass\n\nraise End",
    "does_not_parse": "def (",
    "takes_a_name": 'network("first_net", pooled)\nnetwork("lenet", pooled)',
    "imports_nothing_there": "import there_is_no_such_module",
    # Fails after it has imported a package that stands by itself, and is loaded later.
    "builds_on_shared": "import shared\n\nraise ValueError",
    "shared": 'network("shared_net", pooled)',
    "string_as_function": """
network("string_net", lambda net: conv2d(net, 4, 3, activation_fn="relu", scope="stem"))
""",
    "string_in_scope": """
def string_scope():
    with arg_scope([conv2d], weights_initializer="xavier") as scope:
        return scope

network("scope_net", pooled, string_scope)
""",
    "axis_by_name": """
network("axis_net", lambda net: layer_norm(net, begin_norm_axis="height", scope="norm"))
""",
    "mean_by_name": 'network("mean_net", lambda net: reduce_mean(net, ["height", "width"]))',
    "returns_a_tuple": 'network("tuple_net", lambda net: (net, {}))',
    "calls_wrongly": 'network("call_net", lambda net: conv2d(net, 4, 3, kernel=3))',
    "no_scope_function": 'network("none_net", pooled, "own_arg_scope")',
}
ABSENT = "is_not_installed"


def make_site(folder: Path) -> Path:
    """Write the packages, as an installer leaves them; return the folder."""
    for name in (*MODULES, ABSENT):
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        package = name.replace("_", "-")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[model_zoo.architectures]\n{name} = {name}\n")
    for name, code in MODULES.items():
        (folder / f"{name}.py").write_text(f"{_NETWORK}\n{code}\n")
    return folder


def path_with(site: Path) -> str:
    """Return the PYTHONPATH of a process that has the packages."""
    return os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))
