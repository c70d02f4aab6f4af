"""The declared messages are TensorFlow's: the same numbers, and types of the same wire form."""

from typing import Any

import numpy as np
import pytest
from google.protobuf.descriptor import FieldDescriptor
from tensorflow.core.framework import (
    tensor_pb2,
    tensor_shape_pb2,
    tensor_slice_pb2,
    types_pb2,
    versions_pb2,
)
from tensorflow.core.protobuf import tensor_bundle_pb2, trackable_object_graph_pb2
from tensorflow.core.util import saved_tensor_slice_pb2
from tensorflow_checkpoints import field, shape_message, slice_message

from model_zoo.weights.reading.messages import DTYPES, MESSAGES, parse, shape_of
from model_zoo.weights.reading.parts import Extent, extents_of

THEIRS: dict[str, Any] = {
    "Versions": versions_pb2.VersionDef,
    "Dimension": tensor_shape_pb2.TensorShapeProto.Dim,
    "Shape": tensor_shape_pb2.TensorShapeProto,
    "Extent": tensor_slice_pb2.TensorSliceProto.Extent,
    "Slice": tensor_slice_pb2.TensorSliceProto,
    "BundleHeader": tensor_bundle_pb2.BundleHeaderProto,
    "BundleEntry": tensor_bundle_pb2.BundleEntryProto,
    "ObjectGraph": trackable_object_graph_pb2.TrackableObjectGraph,
    "ObjectNode": trackable_object_graph_pb2.TrackableObjectGraph.TrackableObject,
    "ObjectAttribute": (
        trackable_object_graph_pb2.TrackableObjectGraph.TrackableObject.SerializedTensor
    ),
    "SavedSlices": saved_tensor_slice_pb2.SavedTensorSlices,
    "SavedMeta": saved_tensor_slice_pb2.SavedTensorSliceMeta,
    "SavedSliceMeta": saved_tensor_slice_pb2.SavedSliceMeta,
    "SavedSlice": saved_tensor_slice_pb2.SavedSlice,
    "Values": tensor_pb2.TensorProto,
}
SCALARS_BY_LENGTH = {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}


def same_wire_form(ours: FieldDescriptor, theirs: FieldDescriptor) -> bool:
    if ours.type == FieldDescriptor.TYPE_MESSAGE:
        declared = THEIRS[ours.message_type.name].DESCRIPTOR.full_name
        return theirs.message_type is not None and theirs.message_type.full_name == declared
    if ours.type == FieldDescriptor.TYPE_BYTES:
        # The bytes of a message, and of numbers that are packed: both follow their length.
        return theirs.type in {*SCALARS_BY_LENGTH, FieldDescriptor.TYPE_MESSAGE} or theirs.is_packed
    if ours.type == FieldDescriptor.TYPE_INT32 and theirs.type == FieldDescriptor.TYPE_ENUM:
        return True
    return ours.type == theirs.type


def test_every_message_has_a_counterpart() -> None:
    assert set(THEIRS) == set(MESSAGES)


@pytest.mark.parametrize("name", THEIRS)
def test_fields_are_those_of_tensorflow(name: str) -> None:
    theirs = THEIRS[name].DESCRIPTOR.fields_by_name
    ours = MESSAGES[name].DESCRIPTOR
    for declared in ours.fields:
        counterpart = theirs[declared.name]
        assert declared.number == counterpart.number, declared.name
        assert same_wire_form(declared, counterpart), declared.name
        assert declared.has_presence == counterpart.has_presence or name == "Values"
        if name != "Values":
            assert declared.is_repeated == counterpart.is_repeated, declared.name
    assert ours.full_name.startswith("model_zoo.")
    assert ours.file.pool is not THEIRS[name].DESCRIPTOR.file.pool


def test_values_of_one_tensor_are_one_field_of_bytes() -> None:
    values = tensor_pb2.TensorProto(float_val=[1.5, -2.0, float("inf")], half_val=[0x3C00])
    ours = parse("Values", values.SerializeToString())
    assert np.frombuffer(ours.float_val, "<f4").tolist() == [1.5, -2.0, float("inf")]
    assert ours.half_val == b"\x80\x78"


def test_dtypes_are_those_of_tensorflow() -> None:
    theirs = {
        number: name.removeprefix("DT_").lower() for name, number in types_pb2.DataType.items()
    }
    other_names = {"float": "float32", "double": "float64", "half": "float16"}
    for number, name in DTYPES.items():
        assert other_names.get(theirs[number], theirs[number]) == name


def test_bytes_that_are_no_message_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^An entry is no Shape message\.$"):
        parse("Shape", b"\x12\x7f")
    with pytest.raises(ValueError, match=r"^An entry is no SavedSliceMeta message\.$"):
        parse("SavedSliceMeta", field(1, b"\xff"))


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (field(3, 1), "A tensor's rank is unknown; it may be 0 to 8."),
        (shape_message([1] * 9), "A tensor's rank is 9; it may be 0 to 8."),
        (shape_message([2, -1]), r"A tensor has the shape \[2, -1\]; no size is negative."),
    ],
)
def test_shape_is_known(message: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=f"^{why}$"):
        shape_of(parse("Shape", message))


def test_slice_takes_all_of_a_dimension_without_a_length() -> None:
    message = parse("Slice", slice_message([None, (0, 0), (2, 3)]))
    assert extents_of(message, (7, 7, 5)) == (Extent(0, -1), Extent(0, 0), Extent(2, 3))


@pytest.mark.parametrize(
    ("extents", "why"),
    [
        ([(0, 1)], r"A slice of rank 1 is of the shape \[4, 5\]."),
        ([(0, 5), None], "A slice takes 5 of 4 elements, from 0 on."),
        ([(4, 1), None], "A slice takes 1 of 4 elements, from 4 on."),
        ([(-1, 1), None], "A slice takes 1 of 4 elements, from -1 on."),
        ([(2, -1), None], "A slice takes -1 of 4 elements, from 2 on."),
        ([(0, -2), None], "A slice takes -2 of 4 elements, from 0 on."),
        ([(2**62, 2**62), None], f"A slice takes {2**62} of 4 elements, from {2**62} on."),
    ],
)
def test_slice_lies_within_its_tensor(extents: list[tuple[int, int] | None], why: str) -> None:
    with pytest.raises(ValueError, match=f"^{why}$"):
        extents_of(parse("Slice", slice_message(extents)), (4, 5))
