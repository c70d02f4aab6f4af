"""The text of an axis: Hydra's documented examples, and mistakes that are pointed at."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_zoo import ZooError, sweep
from model_zoo.cli.axis_text import read_axis


def axis(text: str, **options: Any) -> Any:
    """Return the axis that the part after the equals sign stands for."""
    return read_axis(f"/params/x={text}", **options).axis


def listed(text: str) -> list[Any]:
    """Return the values of an axis, row by row."""
    document = {"spec": {"architecture": "lenet"}, "axes": {"/params/x": axis(text)}}
    rows = sweep(document)
    return [rows.values(index)["/params/x"] for index in range(rows.rows)]


# Of Hydra's pages about the basic and the extended grammar.
VALUES: list[tuple[str, Any]] = [
    (r'"hello there"', "hello there"),
    (r'"escaped \"double quote\""', 'escaped "double quote"'),
    (r'"the path is C:\\\"some folder\"\\"', 'the path is C:\\"some folder"\\'),
    (r'"1,2,3"', "1,2,3"),
    (r'"{a:10} ${xyz}"', "{a:10} ${xyz}"),
    (r"""'"double quoted string"'""", '"double quoted string"'),
    (r"""'escaped \'single quote\''""", "escaped 'single quote'"),
    (r"'the path is C:\\\'some folder\'\\'", "the path is C:\\'some folder'\\"),
    (r'"C:\dir\n"', "C:\\dir\\n"),
    ('"{a: 10}"', "{a: 10}"),
    ("{a: 10}", {"a": 10}),
    ("hello world", "hello world"),
    ("    hello world    ", "hello world"),
    (r"job\{a\=1\,b\=2\,c\=3\}", "job{a=1,b=2,c=3}"),
    ('"A[B"', "A[B"),
    (r"A\[B", "A[B"),
    (r"trailing\ ", "trailing "),
    (r"C:\dir", "C:\\dir"),
    ("oompa10", "oompa10"),
    ("loompa_12", "loompa_12"),
    ("foo-bar_10", "foo-bar_10"),
    ("null", None),
    ("NULL", None),
    ("10", 10),
    ("-20", -20),
    ("+5", 5),
    ("0", 0),
    ("1_000_000", 1000000),
    ("007", "007"),
    ("1__0", "1__0"),
    ("3.14", 3.14),
    ("-20.0", -20.0),
    ("1e-1", 0.1),
    ("-10e3", -10000.0),
    ("-10e6", -10e6),
    ("5.", 5.0),
    (".5", 0.5),
    ("1_0.2_5", 10.25),
    ("true", True),
    ("TrUe", True),
    ("False", False),
    ("foo.bar", "foo.bar"),
    ("a:b", "a:b"),
    ("10 20", "10 20"),
    ("true false", "true false"),
    ("/root/*?|@%$+", "/root/*?|@%$+"),
    ("", ""),
    ("[]", []),
    ("[1,2,3]", [1, 2, 3]),
    ("[a,[b,[c]]]", ["a", ["b", ["c"]]]),
    ("{}", {}),
    ("{a:10,b:20}", {"a": 10, "b": 20}),
    ("{a:10,b:{c:30,d:40}}", {"a": 10, "b": {"c": 30, "d": 40}}),
    ("{ a : 10 , b : [ 1 , 2 ] }", {"a": 10, "b": [1, 2]}),
    ('{"name": "l2_regularizer", "scale": 1e-4}', {"name": "l2_regularizer", "scale": 0.0001}),
    ("sort([1,3,2])", [1, 2, 3]),
    ("sort(list=[1,3,2])", [1, 2, 3]),
    ("sort(list=[1,3,2], reverse=true)", [3, 2, 1]),
    ("sort(1)", 1),
    ("int(3.14)", 3),
    ("int(value=3.14)", 3),
    ("float(10)", 10.0),
    ("str(10)", "10"),
    ("bool(1)", True),
    ("str([1,2,3])", ["1", "2", "3"]),
    ("str({a:10})", {"a": "10"}),
    # The conversion matrix.
    ("int(10.0)", 10),
    ("str(10.0)", "10.0"),
    ("str(1e6)", "1000000.0"),
    ("int(1e6)", 1000000),
    ("bool(0.0)", False),
    ('int("10")', 10),
    ('float("10.0")', 10.0),
    ('bool("true")', True),
    ('bool("False")', False),
    ("int(true)", 1),
    ("float(false)", 0.0),
    ("str(true)", "true"),
    ("str(null)", "null"),
    ("str(foo)", "foo"),
    ("int([1,[2]])", [1, [2]]),
    ("bool([0,1,2])", [False, True, True]),
    ("str([a,1])", ["a", "1"]),
    ("float({a:[0,1,2]})", {"a": [0.0, 1.0, 2.0]}),
    ("json_str(10)", "10"),
    ("json_str(foo)", '"foo"'),
    ("json_str(true)", "true"),
    ("json_str([a,1])", '["a", 1]'),
    ("json_str({a:10,b:xyz})", '{"a": 10, "b": "xyz"}'),
    ("[int(3.0),str(4)]", [3, "4"]),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_a_value_is_what_hydra_takes_it_for(text: str, value: Any) -> None:
    assert axis(text) == [value]
    assert type(axis(text)[0]) is type(value)


SWEEPS: list[tuple[str, list[Any]]] = [
    ("a,b", ["a", "b"]),
    ("mysql, postgresql", ["mysql", "postgresql"]),
    ("choice(mysql,postgresql)", ["mysql", "postgresql"]),
    ("choice (a)", ["a"]),
    ('"a,b","c,d"', ["a,b", "c,d"]),
    ("[a,b],[c,d]", [["a", "b"], ["c", "d"]]),
    ("{a:10, b:20},{c:30,d:40}", [{"a": 10, "b": 20}, {"c": 30, "d": 40}]),
    ("null,relu", [None, "relu"]),
    ("range(5)", [0, 1, 2, 3, 4]),
    ("range(0,5)", [0, 1, 2, 3, 4]),
    ("range(0,5,2)", [0, 2, 4]),
    ("range(0,10,3.3)", [0.0, 3.3, 6.6, 9.9]),
    ("range(-5,step=-1)", [0, -1, -2, -3, -4]),
    ("range(start=1,stop=3)", [1, 2]),
    ("sort(1,3,2)", [1, 2, 3]),
    ("sort(1,3,2,reverse=true)", [3, 2, 1]),
    ("sort(b,c,a)", ["a", "b", "c"]),
    ("sort(choice(1,3,2))", [1, 2, 3]),
    ("sort(sweep=choice(1,3,2))", [1, 2, 3]),
    ("sort(choice(1,2,3),reverse=true)", [3, 2, 1]),
    ("sort(range(10,1))", [2, 3, 4, 5, 6, 7, 8, 9, 10]),
    ("sort(range(1,10),reverse=true)", [9, 8, 7, 6, 5, 4, 3, 2, 1]),
    ("sort(range(0.5,2,0.5),reverse=true)", [1.5, 1.0, 0.5]),
    ("sort(range(5))", [0, 1, 2, 3, 4]),
    ("float(range(1,4))", [1.0, 2.0, 3.0]),
    ("int(range(1.0,4.0))", [1, 2, 3]),
    ("int(choice(0,1))", [0, 1]),
    ("str(choice(1,a))", ["1", "a"]),
    ("json_str(choice(1,a))", ["1", '"a"']),
    ("int(3.0),str(4)", [3, "4"]),
]


@pytest.mark.parametrize(("text", "values"), SWEEPS)
def test_a_sweep_has_the_values_that_hydra_says(text: str, values: list[Any]) -> None:
    assert listed(text) == values
    assert list(map(type, listed(text))) == list(map(type, values))


@pytest.mark.parametrize(
    "text", ["shuffle(a,b,c,d,e)", "shuffle(choice(a,b,c,d,e))", "shuffle(sweep=choice(a,b,c,d,e))"]
)
def test_shuffled_values_are_of_the_seed(text: str) -> None:
    assert sorted(axis(text)) == ["a", "b", "c", "d", "e"]
    assert axis(text, seed=1) == axis(text, seed=1)
    assert len({tuple(axis(text, seed=seed)) for seed in range(20)}) > 1


def test_a_range_and_a_list_are_shuffled_too() -> None:
    assert sorted(axis("shuffle(range(1,10))")) == list(range(1, 10))
    assert sorted(axis("shuffle([3,1,2])")[0]) == [1, 2, 3]
    assert sorted(axis("shuffle(list=[3,1,2])")[0]) == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("interval(1.0,5.0)", {"distribution": "uniform", "min": 1.0, "max": 5.0}),
        ("interval(1,5)", {"distribution": "uniform", "min": 1.0, "max": 5.0}),
        ("interval(start=1,end=5)", {"distribution": "uniform", "min": 1.0, "max": 5.0}),
        (
            "tag(log,interval(1e-5,0.1))",
            {"distribution": "log_uniform_values", "min": 1e-5, "max": 0.1},
        ),
        (
            "tag(log,sweep=interval(1,2))",
            {"distribution": "log_uniform_values", "min": 1.0, "max": 2.0},
        ),
        ("int(interval(1,5))", {"distribution": "int_uniform", "min": 1, "max": 4}),
        ("int(interval(0.5,4.5))", {"distribution": "int_uniform", "min": 1, "max": 4}),
        (
            "int(tag(log,interval(1,100)))",
            {"distribution": "q_log_uniform_values", "min": 1, "max": 99, "q": 1},
        ),
        ("float(interval(1,5))", {"distribution": "uniform", "min": 1.0, "max": 5.0}),
        ("glob(*)", {"glob": ["*"], "exclude": []}),
        ("glob(*,exclude=support)", {"glob": ["*"], "exclude": ["support"]}),
        ("glob([s*,w*],exclude=school)", {"glob": ["s*", "w*"], "exclude": ["school"]}),
        ("glob(include=[s*],exclude=[a,b])", {"glob": ["s*"], "exclude": ["a", "b"]}),
    ],
)
def test_what_is_no_list_becomes_an_axis_of_the_document(text: str, expected: Any) -> None:
    assert axis(text) == expected


def test_zip_has_places_that_vary_together() -> None:
    text = "size=zip(/input_shape/0=choice(32,64), input_shape.1=[32,64],params.x=range(2))"
    assert read_axis(text) == (
        "size",
        {
            "zip": {
                "/input_shape/0": [32, 64],
                "/input_shape/1": [32, 64],
                "/params/x": {"start": 0, "stop": 2, "step": 1},
            }
        },
    )
    # Lists as values are wrapped.
    assert read_axis("g=zip(/a=choice([1],[2]),/b=sort(2,1))").axis["zip"] == {
        "/a": [[1], [2]],
        "/b": [1, 2],
    }
    assert read_axis("/a=[1,2]", in_group=True).axis == [1, 2]


def test_a_place_is_a_pointer_or_keys_with_dots() -> None:
    assert read_axis("/params/a~1b=1").place == "/params/a~1b"
    assert read_axis("params.depth_multiplier=1").place == "/params/depth_multiplier"
    assert read_axis("scopes.0.args.decay=1").place == "/scopes/0/args/decay"
    assert read_axis("architecture=lenet,cifarnet").place == "/architecture"


def test_a_dotted_place_that_can_mean_two_is_refused() -> None:
    spec = {"params": {"a.b": {"c": 1}}}
    assert read_axis("params.a.x=1", spec).place == "/params/a/x"
    with pytest.raises(ZooError) as caught:
        read_axis("params.a.b.c=1", spec)
    assert str(caught.value) == (
        "'params.a.b.c' is ambiguous: the spec has the key 'a.b'. Write the pointer, as "
        "/params/a.b.\n    params.a.b.c=1\n    ^"
    )


MISTAKES: list[tuple[str, int, str]] = [
    ("/x", 2, "An axis is PLACE=VALUES; there is no equals sign."),
    ("=1", 0, "The place before the equals sign is empty."),
    (
        "+/x=1",
        0,
        "An axis sets its place, and makes it where it is missing: it takes no '+' before it.",
    ),
    ("~x", 2, "An axis is PLACE=VALUES; there is no equals sign."),
    (
        "~x=1",
        0,
        "An axis sets its place, and makes it where it is missing: it takes no '~' before it.",
    ),
    ("/x=A[B", 4, "[ must be escaped by a backslash, or quoted."),
    ("/x=a=b", 4, "= must be escaped by a backslash, or quoted."),
    ('/x=a"b', 4, '" must be escaped by a backslash, or quoted.'),
    ("/x=a b(1)", 6, "( must be escaped by a backslash, or quoted."),
    ('/x="a', 3, 'The quote " is not closed.'),
    (r'/x="a\"', 3, 'The quote " is not closed.'),
    ('/x="a"b', 6, "'b' closes or follows nothing."),
    ("/x=1)", 4, "')' closes or follows nothing."),
    ("/x=[1]]", 6, "']' closes or follows nothing."),
    ("/x=1,", 5, "A value is missing here."),
    ("/x=,1", 3, "A value is missing here."),
    ("/x=a,,b", 5, "A value is missing here."),
    ("/x=[1,,2]", 6, "A value is missing here."),
    ("/x=[1,2", 3, "'[' lacks its ']'."),
    ("/x={a:1", 3, "'{' lacks its '}'."),
    ("/x=choice(a,b", 9, "'(' lacks its ')'."),
    ("/x=[[1] [2]]", 8, "A comma or ']' must stand here."),
    ("/x={a}", 5, "The key 'a' lacks a colon and a value."),
    ("/x={a:1,a:2}", 8, "The key 'a' stands there twice."),
    ("/x={:1}", 4, "A value is missing here."),
    ("/x=inf", 3, "inf is not a number of JSON; a text is quoted."),
    ("/x=-NaN", 3, "-NaN is not a number of JSON; a text is quoted."),
    ("/x=${a}", 3, "There is nothing that ${...} could stand for here."),
    ("/x=9223372036854775808", 3, "This integer is beyond 64 bits."),
    ("/x=1" + "0" * 5000, 3, "This integer is beyond 64 bits."),
    ("/x=1e999", 3, "This number is beyond 64-bit floats."),
    ("/x=" + "[" * 70, 67, "This is nested deeper than 64 levels."),
    ("/x=rage(1)", 3, "There is no function 'rage'. Did you mean 'range'?"),
    ("/x=range()", 3, "range(start, stop, step): missing a required argument: 'start'."),
    ("/x=range(1,2,3,4)", 3, "range(start, stop, step): too many positional arguments."),
    ("/x=range(1,end=2)", 3, "range(start, stop, step): got an unexpected keyword argument 'end'."),
    ("/x=range(1,stop=2,stop=3)", 18, "range gets stop twice."),
    ("/x=range(stop=1,2)", 16, "An argument without a name stands before those with one."),
    ("/x=range(a)", 3, 'range takes numbers; received "a".'),
    ("/x=range(true)", 3, "range takes numbers; received true."),
    ("/x=range(range(3))", 3, "range takes numbers; received a sweep."),
    ("/x=range(3,step=0)", 3, "The step of a range must not be 0."),
    (
        "/x=shuffle(range(1000000))",
        3,
        "A range of 1000000 numbers is too long; it has 100000 at most.",
    ),
    ("/x=sort(interval(0,1))", 3, "sort puts values, a range or a list in order."),
    ("/x=shuffle(interval(0,1))", 3, "shuffle puts values, a range or a list in order."),
    ("/x=sort(1,a)", 3, "sort compares numbers with numbers, and texts with texts."),
    ("/x=sort(1,2,reverse=yes)", 3, 'reverse is true or false; received "yes".'),
    ("/x=sort()", 3, "sort takes values, sweep=... or list=...."),
    ("/x=sort(1,list=[2])", 3, "sort takes values, sweep=... or list=...."),
    ("/x=choice()", 3, "choice takes values, and not what varies itself."),
    ("/x=choice(1,range(3))", 3, "choice takes values, and not what varies itself."),
    ("/x=choice(1,2),3", 3, "A function that varies stands alone, not between commas."),
    ("/x=[choice(1,2)]", 4, "What varies cannot stand inside a list or an object."),
    ("/x=tag(foo,interval(0,1))", 3, "The one tag with a meaning here is log, of an interval."),
    ("/x=tag(log,choice(1,2))", 3, "The one tag with a meaning here is log, of an interval."),
    ("/x=tag()", 3, "The one tag with a meaning here is log, of an interval."),
    ("/x=glob(1)", 3, "glob takes a pattern or a list of them, and exclude= likewise."),
    ("/x=int(a)", 3, '"a" cannot be cast so.'),
    ('/x=int("10.0")', 3, '"10.0" cannot be cast so.'),
    ("/x=int(1e30)", 3, "1e+30 cannot be cast so."),
    ("/x=int([a,1])", 3, '"a" cannot be cast so.'),
    ('/x=bool("10")', 3, '"10" cannot be cast so.'),
    ("/x=bool(null)", 3, "null cannot be cast so."),
    ('/x=float("")', 3, '"" cannot be cast so.'),
    ("/x=str(range(3))", 3, "This kind of sweep cannot be cast so."),
    ("g=zip(/a=[1])", 2, "zip takes two places or more: zip(/params/a=[1,2],/params/b=[3,4])."),
    ("g=zip([1],[2])", 2, "zip takes two places or more: zip(/params/a=[1,2],/params/b=[3,4])."),
    ("g=zip(/a=[1],/a=[2])", 13, "zip gets /a twice."),
    ("g=zip(/a=[1],/b=2)", 2, "/b: give all its values, as [a,b] or choice(a,b)."),
    (
        "g=zip(/a=[1],/b=interval(0,1))",
        2,
        "/b: an interval has no order in which it could meet the others.",
    ),
    (
        "g=zip(/a=[1,2],/b=shuffle(1,2))",
        2,
        "/b: shuffled values would lose their partners in the group.",
    ),
    ("g=zip(/a=[1],/b=zip(/c=[1],/d=[2]))", 2, "/b: a zip stands in no other one."),
]


@pytest.mark.parametrize(("text", "position", "message"), MISTAKES)
def test_a_mistake_is_pointed_at(text: str, position: int, message: str) -> None:
    with pytest.raises(ZooError) as caught:
        read_axis(text)
    assert str(caught.value) == f"{message}\n    {text}\n    {' ' * position}^"


def test_a_mistake_in_a_text_of_two_lines_is_pointed_at_in_one() -> None:
    with pytest.raises(ZooError) as caught:
        read_axis("/x=a\n[")
    assert str(caught.value).splitlines()[1:] == ["    /x=a [", "         ^"]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=10,
)


def written(value: Any) -> str:
    """Return the text of a value, every string quoted."""
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list):
        return f"[{','.join(map(written, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{_quoted(key)}:{written(each)}' for key, each in value.items())}}}"
    return json.dumps(value)


def _quoted(text: str) -> str:
    parts: list[str] = []
    backslashes = 0
    for character in text:
        if character == "\\":
            backslashes += 1
            continue
        twice = 2 if character == '"' else 1
        parts.append("\\" * backslashes * twice + ("\\" if character == '"' else "") + character)
        backslashes = 0
    return '"' + "".join(parts) + "\\" * backslashes * 2 + '"'


@given(JSON)
def test_every_value_of_json_can_be_written(value: Any) -> None:
    assert axis(written(value)) == [value]


@given(st.text(st.sampled_from("ab1. ,()[]{}:='\"\\/$*-+_~\t"), max_size=20))
def test_any_text_is_an_axis_or_an_error_that_points_into_it(text: str) -> None:
    try:
        read_axis(text)
    except ZooError as error:
        shown, mark = str(error).splitlines()[-2:]
        assert shown == f"    {text}".replace("\t", " ")
        assert 0 <= mark.index("^") - 4 <= len(text)


FUNCTIONS = st.sampled_from(
    [
        "choice",
        "range",
        "interval",
        "glob",
        "tag",
        "zip",
        "sort",
        "shuffle",
        "int",
        "float",
        "str",
        "bool",
        "json_str",
    ]
)
CALLS = st.recursive(
    st.sampled_from(["1", "a", "0.5", "null", "[1,2]", "{a:1}", "log", "-3", "true"]),
    lambda inner: st.builds(
        lambda name, given: f"{name}({','.join(given)})",
        FUNCTIONS,
        st.lists(
            inner
            | st.builds(
                lambda key, value: f"{key}={value}",
                st.sampled_from(["step", "sweep", "reverse", "/b", "value"]),
                inner,
            ),
            max_size=3,
        ),
    ),
    max_leaves=6,
)


@given(CALLS)
def test_any_call_is_an_axis_or_an_error(text: str) -> None:
    with contextlib.suppress(ZooError):
        read_axis(f"/a={text}")
