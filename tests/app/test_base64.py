"""Image files in base64: every form that clients write, on all three protocols."""

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from app.compute.reader.inputs import InputReader
from app.protocols.images import Base64Error, base64_bytes
from app.protocols.open_inference.request import read_request
from app.protocols.open_inference.signature import ModelSignature
from app.protocols.tensorflow_serving.reading import ExpectedBody, parse_body
from app.settings import Settings
from app.tasks import InputPart
from model_zoo import InputError

IMAGE = (Path(__file__).parents[1] / "images" / "phone_upright.png").read_bytes()
TEXT = base64.b64encode(IMAGE).decode()
assert {"+", "/"} <= set(TEXT)
FORMS = {
    "standard": TEXT,
    "URL alphabet": base64.urlsafe_b64encode(IMAGE).decode(),
    "without padding": base64.urlsafe_b64encode(IMAGE).decode().rstrip("="),
    "wrapped at 76 columns": base64.encodebytes(IMAGE).decode(),
    "wrapped with CRLF": base64.encodebytes(IMAGE).decode().replace("\n", "\r\n"),
    "data URL": f"data:image/png;base64,{TEXT}",
    "data URL with a parameter": f"DATA:image/png;charset=utf-8;BASE64,{TEXT}",
    "data URL without a type": f"data:;base64,{TEXT}",
}
FAULTS: dict[str, tuple[object, str]] = {
    "a number": (7, "it is not a string"),
    "null": (None, "it is not a string"),
    "another character": (TEXT[:40] + "*" + TEXT[40:], "character 40 is '*', not of its alphabet"),
    "beyond ASCII": (TEXT + "é", f"character {len(TEXT)} is 'é', not of its alphabet"),
    "a lone surrogate": ("\ud800" + TEXT, "character 0 is '\\ud800', not of its alphabet"),
    "a space for +": (
        TEXT.replace("+", " "),
        f"character {TEXT.index('+')} is ' ', not of its alphabet; a + may have been decoded to it",
    ),
    "a data URL of text": (
        "data:image/svg+xml,<svg/>",
        'the data URL does not begin as "data:image/png;base64," does',
    ),
    "a data URL without end": (
        f"data:{TEXT}",
        'the data URL does not begin as "data:image/png;base64," does',
    ),
    "Python's bytes": (
        str(base64.b64encode(IMAGE)),
        "it is the text of Python's bytes; decode() gives the string itself",
    ),
    "two files": (f"{'YQ=='}{TEXT}", "something follows its padding"),
    "an odd length": ("YWJjY", "5 characters are not a whole number of bytes"),
    "one character": ("Y", "1 character is not a whole number of bytes"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_base64_gives_the_bytes(form: str) -> None:
    assert base64_bytes(FORMS[form]) == IMAGE


@pytest.mark.parametrize("length", range(9))
def test_every_length_is_decoded_with_and_without_padding(length: int) -> None:
    data = bytes(range(250, 250 + min(length, 6))) + bytes(max(0, length - 6))
    text = base64.b64encode(data).decode()
    assert base64_bytes(text) == base64_bytes(text.rstrip("=")) == data


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named(fault: str) -> None:
    value, message = FAULTS[fault]
    with pytest.raises(Base64Error) as refused:
        base64_bytes(value)
    assert str(refused.value) == message


# The three protocols: the file in a body, its pointer, and how a refusal begins and ends. -----


def own(value: object) -> bytes:
    # Pixels, not the file, come out here: two equal files give equal rows.
    reader = InputReader((32, 32, 3), "lenet", Settings())
    body = json.dumps({"instances": [{"b64": value}]}).encode()
    return reader.read([InputPart("json", "")], [body]).tobytes()


def open_inference(value: object) -> bytes:
    signature = ModelSignature("m", (32, 32, 3), {"output": 10}, 4, 100_000)
    tensor = {"name": "image_bytes", "datatype": "BYTES", "shape": [1], "data": [value]}
    _, buffers = read_request(json.dumps({"inputs": [tensor]}).encode(), 0, signature)
    return bytes(buffers[0])


def tensorflow_serving(value: object) -> bytes:
    body = json.dumps({"instances": [{"b64": value}]}).encode()
    _, buffers = parse_body(body, ExpectedBody("predict", (32, 32, 3), True, 4, 100_000))
    return bytes(buffers[0])


PROTOCOLS: dict[Callable[[object], bytes], tuple[str, str]] = {
    own: ("/instances/0/b64", "b64 must be a string in base64: {}."),
    open_inference: (
        "/inputs/0/data/0",
        "An image in JSON must be a string in base64: {}. Or send binary data.",
    ),
    tensorflow_serving: ("/instances/0/b64", "b64 must be a string in base64: {}."),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_accepts_every_form(protocol: Callable[[object], bytes], form: str) -> None:
    assert protocol(FORMS[form]) == protocol(TEXT)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_names_the_fault(protocol: Callable[[object], bytes], fault: str) -> None:
    value, message = FAULTS[fault]
    pointer, rule = PROTOCOLS[protocol]
    with pytest.raises(InputError) as refused:
        protocol(value)
    (problem,) = refused.value.problems
    assert (problem.pointer, problem.message) == (pointer, rule.format(message))
