"""Rows as a table: columns in order, refused rows among them, and nothing that computes."""

import csv
import io

from refusals import CLASSES, LENET, over

from model_zoo import sweep, sweep_columns, sweep_csv

HEADER = (
    "index,build,status,/params/num_classes,/strict,layers,parameters,trainable_parameters,"
    "multiply_adds,weight_bytes,activation_bytes,peak_activation_bytes,problem,warnings,"
    "duplicate_of"
)


def test_columns_are_index_build_status_axes_totals_and_the_rest() -> None:
    assert ",".join(sweep_columns([CLASSES, "/strict"])) == HEADER


def test_every_row_is_in_the_table_the_refused_too() -> None:
    rows = over({CLASSES: [2, "=1+1", 2, None]})
    table = sweep_csv((row.to_dict() for row in rows), rows.places)
    traced, refused, duplicate, features = csv.DictReader(io.StringIO(table))
    assert [each["status"] for each in (traced, refused, duplicate, features)] == [
        "traced",
        "refused",
        "duplicate",
        "traced",
    ]
    assert traced["parameters"] == "3266434"
    assert traced[CLASSES] == "2"
    assert features[CLASSES] == "null"
    # With the apostrophe a spreadsheet shows the text, and computes nothing.
    assert refused[CLASSES] == "'=1+1"
    assert (refused["build"], refused["parameters"]) == ("", "")
    assert refused["problem"] == (
        "/params/num_classes: num_classes of lenet must be an integer of at least 0 or null; "
        'received "=1+1".'
    )
    assert (duplicate["duplicate_of"], duplicate["build"]) == ("0", traced["build"])


def test_a_place_that_a_space_does_not_set_is_an_empty_cell() -> None:
    union = [{"axes": {CLASSES: [2]}}, {"axes": {"/is_training": [True]}}]
    rows = sweep({"spec": LENET, "union": union})
    table = sweep_csv((row.to_dict() for row in rows), rows.places)
    first, second = csv.DictReader(io.StringIO(table))
    assert (first[CLASSES], first["/is_training"]) == ("2", "")
    assert (second[CLASSES], second["/is_training"]) == ("", "true")


def test_a_problem_is_one_line_with_its_layer_and_how_many_more() -> None:
    rows = over({CLASSES: ["x"], "/default_scope": [{"a": 1}]})
    table = sweep_csv((row.to_dict() for row in rows), rows.places)
    (row,) = csv.DictReader(io.StringIO(table))
    assert row["problem"].endswith('received "x". (and 1 more)')
    small = sweep({"spec": {**LENET, "input_shape": [1, 28, 1]}})
    (line,) = csv.DictReader(io.StringIO(sweep_csv((each.to_dict() for each in small), ())))
    assert line["problem"].startswith("LeNet/pool1 (max_pool2d): ")
