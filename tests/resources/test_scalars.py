"""What plain scalars mean: every expectation was printed by ``kubectl annotate --local -o json`` (1.32)."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safeapply.resources.scalars import Scalar, plain_scalar, tagged_scalar

KUBECTL: dict[str, Scalar] = {
    "yes": True,
    "on": True,
    "y": True,
    "True": True,
    "N": False,
    "Off": False,
    "tRUE": "tRUE",
    "~": None,
    "Null": None,
    "": None,
    "nUll": "nUll",
    "2001-01-01": "2001-01-01",
    "2001-01-01T00:00:00Z": "2001-01-01T00:00:00Z",
    "1:30": "1:30",
    "1.2.3": "1.2.3",
    "010": 8,
    "0o17": 15,
    "0x1f": 31,
    "-0x1f": -31,
    "0b11": 3,
    "09": 9,
    "1_000": 1000,
    "1__0": 10,
    "_1": "_1",
    "+5": 5,
    "-0": 0,
    "9223372036854775807": 9223372036854775807,
    "18446744073709551616": 18446744073709552000.0,
    "123456789012345678901234567890": 1.2345678901234568e29,
    "1e3": 1000,
    "1e+3": 1000,
    "12e03": 12000,
    "1.5E3": 1500,
    "1.0": 1,
    "5.": 5,
    ".5": 0.5,
    "+.5": 0.5,
    "-1.5": -1.5,
    "1_0.5": 10.5,
    "0.0000001": 1e-7,
    "1e400": "1e400",
    "1" * 400: "1" * 400,
    "-" + "9" * 5000: "-" + "9" * 5000,
    "0x" + "f" * 300: "0x" + "f" * 300,
    "0xFFFFFFFFFFFFFFFF": 18446744073709552000.0,
    "0x10000000000000000": "0x10000000000000000",
    "-0x8000000000000001": "-0x8000000000000001",
    "0o" + "7" * 60: "0o" + "7" * 60,
    "0b" + "1" * 80: "0b" + "1" * 80,
    "0" + "7" * 31: 7.777777777777777e30,
    "0x": "0x",
    "0o8": "0o8",
    "=": "=",
    "<<": "<<",
    "-x": "-x",
    ".": ".",
}


@pytest.mark.parametrize("text", KUBECTL)
def test_a_plain_scalar_means_what_kubectl_takes_it_for(text: str) -> None:
    """Values and their JSON types are kubectl's, not PyYAML's."""
    value = plain_scalar(text)
    assert (value, type(value)) == (KUBECTL[text], type(KUBECTL[text]))


@pytest.mark.parametrize("text", [".inf", "-.Inf", ".NaN"])
def test_numbers_that_json_lacks_are_refused(text: str) -> None:
    """Infinity cannot be sent to an API server."""
    with pytest.raises(ValueError, match="no number in JSON"):
        plain_scalar(text)


@settings(deadline=None)
@given(st.text(st.sampled_from("0123456789abxoe_.+-:~nyEN"), max_size=12))
def test_every_plain_scalar_is_json(text: str) -> None:
    """Whatever looks like a number or not, the value survives JSON unchanged."""
    value = plain_scalar(text)
    assert json.loads(json.dumps(value, allow_nan=False)) == value


@settings(deadline=None)
@given(st.integers(-(2**63), 2**63 - 1))
def test_sixty_four_bit_integers_are_kept_to_the_digit(number: int) -> None:
    """Large ids and resource versions do not pass through a float."""
    assert plain_scalar(str(number)) == number


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_kept(number: float) -> None:
    """What Python prints of a float is read back as the same number."""
    value = plain_scalar(repr(number))
    assert isinstance(value, (int, float))
    assert math.isclose(value, number, rel_tol=0, abs_tol=0)


@pytest.mark.parametrize(
    ("tag", "text", "value"),
    [
        ("tag:yaml.org,2002:str", "12", "12"),
        ("tag:yaml.org,2002:int", "12", 12),
        ("tag:yaml.org,2002:float", "3", 3),
        ("tag:yaml.org,2002:binary", "aGVs\nbG8=", "hello"),
        ("!mine", "12", "12"),
    ],
)
def test_a_tag_decides(tag: str, text: str, value: Scalar) -> None:
    """YAML's own tags convert; tags of applications leave text, as kubectl does."""
    assert tagged_scalar(tag, text) == value


@pytest.mark.parametrize(
    ("tag", "text"), [("tag:yaml.org,2002:int", "twelve"), ("tag:yaml.org,2002:binary", "not base64!")]
)
def test_a_tag_that_the_text_belies_is_refused(tag: str, text: str) -> None:
    """A wrong tag is a fault of the manifest, not a guess."""
    with pytest.raises(ValueError, match="!!"):
        tagged_scalar(tag, text)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_the_table_is_what_the_installed_kubectl_says(tmp_path: Path) -> None:
    """The table is no memory of ours: kubectl itself reads the same scalars, without any cluster."""
    rows = "".join(f"  field{index}: {text}\n" for index, text in enumerate(KUBECTL))
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text(f"apiVersion: example.com/v1\nkind: Foo\nmetadata: {{name: x}}\nspec:\n{rows}")
    command = ["kubectl", "annotate", "--local", "-f", str(manifest), "-o", "json", "a=b"]
    printed = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    # Go writes floats without an exponent up to 1e21.
    told = json.loads(printed, parse_int=lambda digits: int(digits) if len(digits) < 20 else float(digits))
    assert {text: told["spec"][f"field{index}"] for index, text in enumerate(KUBECTL)} == KUBECTL
