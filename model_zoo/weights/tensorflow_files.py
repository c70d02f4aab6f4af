"""SavedModels, which TensorFlow Serving and TensorFlow itself read."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef, TensorInfo
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from model_zoo.weights.checkpoint_files import all_values, save_tensors
from model_zoo.weights.packing import write_tar_gz
from model_zoo.weights.savable import SavableModel
from model_zoo.weights.tensorflow_preprocessing import inputs_of, takes_images

SAVED_MODEL_FOLDER = "saved_model"
# What is larger is a variable of a SavedModel, the rest are constants: TensorFlow's loader takes
# milliseconds for each variable, and copies the constants several times.
_LARGE_BYTES = 2**16


def write_saved_model(model: SavableModel, path: Path) -> None:
    """Write the network and its weights for serving, by TF-Slim's names.

    `serving_default` takes arrays. Where images feed the network, `serving_images` takes JPEG and
    PNG files and preprocesses them. The folder `variables` is a whole checkpoint: what the graph
    has as constants, and does not restore from there, can be taken from it again.
    """
    weights = model.weights()
    read = {id(variable) for variable in model.keras_model.weights}
    used = {
        name: weights[name] for name, variable in model.variables.items() if id(variable) in read
    }
    large = [name for name, value in used.items() if value.nbytes > _LARGE_BYTES]
    saved = SavedModel(saved_model_schema_version=1)
    saved.meta_graphs.add().CopyFrom(_meta_graph(model, used, large))
    _rename_functions(saved.meta_graphs[0].graph_def)
    files = save_tensors(all_values(model), path.with_name("variables"))
    write_tar_gz(
        path,
        {
            # Protobuf writes maps in any order, unless it is asked for one.
            f"{SAVED_MODEL_FOLDER}/saved_model.pb": saved.SerializeToString(deterministic=True),
            **{f"{SAVED_MODEL_FOLDER}/variables/{file.name}": file for file in files},
        },
    )


def _meta_graph(model: SavableModel, weights: Mapping[str, Any], restored: Collection[str]) -> Any:
    """Return the network with its signatures; the weights to restore are variables of it.

    A graph of TensorFlow 1, in which Keras calls its layers on these in place of its own variables:
    what TensorFlow 2 writes names functions by counters of the process, and bears a random number.
    """
    shape = tuple(size or 0 for size in model.graph.input.shape[1:])
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        variables = {
            name: v1.get_variable(
                name,
                weights[name].shape,
                tf.float32,
                v1.zeros_initializer(),
                use_resource=True,
            )
            for name in restored
        }
        values = [
            (
                model.variables[name],
                variables[name].read_value()
                if name in variables
                else tf.constant(value, tf.float32, name=name),
            )
            for name, value in weights.items()
        ]
        values += _dropout_seeds(model)
        with keras.StatelessScope(values, initialize_variables=False):
            images = None
            if takes_images(model.preprocessing, shape):
                # TensorFlow Serving reads base64 from JSON where a name ends so.
                images = v1.placeholder(tf.string, (None,), "image_bytes")
                # Whoever feeds arrays feeds them over what the images would become.
                inputs = v1.placeholder_with_default(
                    inputs_of(str(model.preprocessing), images, shape), (None, *shape), "input"
                )
            else:
                inputs = v1.placeholder(tf.float32, (None, *shape), "input")
            outputs = tf.identity(model.keras_model(inputs, training=False), "output")
        saver = v1.train.Saver(list(variables.values())).as_saver_def() if variables else None
        # Other versions of TensorFlow read a graph that leaves out what they take as default.
        meta_graph = v1.train.export_meta_graph(
            graph=graph, saver_def=saver, strip_default_attrs=True
        )
    meta_graph.meta_info_def.tags.append(tf.saved_model.SERVING)
    meta_graph.signature_def["serving_default"].CopyFrom(_signature("input", inputs, outputs))
    if images is not None:
        by_image = _signature("image_bytes", images, outputs)
        meta_graph.signature_def["serving_images"].CopyFrom(by_image)
    return meta_graph


def _dropout_seeds(model: SavableModel) -> list[tuple[Any, Any]]:
    """Return seeds to draw at each call, if the network drops in prediction, as `predict` does."""
    if not model.graph.random_nodes:
        return []
    return [
        (layer.seed_generator.state, tf.random.uniform((2,), 0, 2**31 - 1, tf.int64, layer.seed))
        for layer in model.keras_model.layers
        if getattr(layer, "seed_generator", None) is not None
    ]


def _signature(input_name: str, inputs: Any, outputs: Any) -> SignatureDef:
    return SignatureDef(
        inputs={input_name: _tensor_info(inputs)},
        outputs={"output": _tensor_info(outputs)},
        method_name=tf.saved_model.PREDICT_METHOD_NAME,
    )


def _tensor_info(tensor: Any) -> TensorInfo:
    # TensorFlow's own function for it warns that it is deprecated, and names no other.
    return TensorInfo(
        name=tensor.name,
        dtype=tensor.dtype.as_datatype_enum,
        tensor_shape=tensor.shape.as_proto(),
    )


def _rename_functions(graph: Any) -> None:
    """Name functions by their order of use: TensorFlow numbers them over the whole process."""
    functions = {function.signature.name: function for function in graph.library.function}
    names: dict[str, str] = {}

    def rename(nodes: Iterable[Any]) -> None:
        for node in nodes:
            for _, attribute in sorted(node.attr.items()):
                for used in (attribute.func, *attribute.list.func):
                    if used.name in functions and used.name not in names:
                        names[used.name] = f"function_{len(names)}"
                        rename(functions[used.name].node_def)
                    if used.name in names:
                        used.name = names[used.name]

    rename(graph.node)
    for old, function in functions.items():
        function.signature.name = names[old]
        for argument in function.signature.input_arg:
            # A loop's condition names the arguments that it does not read after itself.
            argument.name = argument.name.replace(old, names[old])
    graph.library.function.sort(key=lambda function: function.signature.name)
