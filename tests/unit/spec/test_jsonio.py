"""core.jsonio: strict, explained, and as cheap as it claims."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociruntime.core import jsonio
from ociruntime.core.errors import ConfigError
from ociruntime.explain.position import locate, place_at, scan

CHECKOUT = Path(__file__).parents[3]

REFUSED = {
    "empty": (b"", (1, 1), "c.json: it is empty"),
    "blank": (b" \n\t", (1, 1), "c.json: it is empty"),
    "truncated": (
        b'{"process": {"args": ["a"',
        (1, 26),
        "not valid JSON: expected ',' or ']', found the end of the file",
    ),
    "open string": (b'{"a": "b', (1, 7), "not valid JSON: unterminated string"),
    "line break in a string": (b'{"a": "b\n"}', (1, 9), "not valid JSON: invalid control character"),
    "bad escape": (b'{"a": "\\x"}', (1, 8), "not valid JSON: invalid \\escape"),
    "twice": (b'{"a": 1,\n "a": 2}', (2, 2), "the property 'a' is given twice"),
    "NaN": (b'{"a": NaN}', (1, 7), "not valid JSON: NaN is no JSON number"),
    "infinity": (b'{"a": -Infinity}', (1, 7), "not valid JSON: -Infinity is no JSON number"),
    "huge float": (b'{"a": 1e999}', (1, 7), "not valid JSON: the number 1e999... is too large"),
    "huge integer": (b"9" * 5000, (1, 1), "not valid JSON: the number 99999999999999999999... is too large"),
    "byte order mark": (b"\xef\xbb\xbf{}", (1, 1), "not valid JSON: it starts with a byte order mark"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), (1, 1), "not UTF-8: byte 0xff at offset 0, it looks like UTF-16"),
    "latin-1": ('{"a":\n "é"}'.encode("latin-1"), (2, 3), "not UTF-8: byte 0xe9 at offset 8"),
    "half a pair": (b'{"a": "\\ud800"}', (1, 7), "not valid JSON: half of a surrogate pair is no character"),
    "half a pair in a name": (
        b'{"\\uDC00": 1}',
        (1, 2),
        "not valid JSON: half of a surrogate pair is no character",
    ),
    "trailing data": (b"{} {}", (1, 4), "not valid JSON: unexpected '{' after the end of the document"),
    "vertical tab": (b"{}\x0b", (1, 3), "not valid JSON: unexpected character U+000B after the end"),
    "no-break space": (
        '{"a":\u00a01}'.encode(),
        (1, 6),
        "not valid JSON: expected a value, found character U+00A0",
    ),
    "comma too many": (b'{"a": 1,}', (1, 9), "not valid JSON: expected a property name in quotes, found '}'"),
    "single quotes": (b"{'a': 1}", (1, 2), 'not valid JSON: expected a property name in quotes, found "\'"'),
    "comment": (b'{"a": 1 // one\n}', (1, 9), "not valid JSON: expected ',' or '}', found '/'"),
    "leading zero": (b'{"a": 01}', (1, 8), "not valid JSON: expected ',' or '}', found '1'"),
    "deep": (b"[" * 100_000 + b"]" * 100_000, (1, 1001), "not valid JSON: it nests too deeply"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_broken_document_is_refused_with_the_place(name: str) -> None:
    data, place, sentence = REFUSED[name]
    with pytest.raises(ConfigError) as refused:
        jsonio.loads(data, "c.json")
    assert sentence in refused.value.what
    assert refused.value.place == place and f"line {place[0]}, column {place[1]})" in refused.value.line()
    assert refused.value.code == ("config-duplicate-key" if name == "twice" else "config-json")
    assert "\n" not in refused.value.line()


def test_a_duplicate_key_is_named_by_its_pointer() -> None:
    with pytest.raises(ConfigError) as refused:
        jsonio.loads(b'{"m": {"x~/y": [{"k": 1, "k": 2}]}}', "c.json")
    assert refused.value.origin == "/m/x~0~1y/0/k"


def test_surrogate_pairs_are_characters() -> None:
    assert jsonio.loads(b' {"a": "\\ud83d\\uDE00"}\r\n', "c.json") == {"a": "\U0001f600"}


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(DOCUMENTS)
def test_what_json_writes_we_read(value: object) -> None:
    assert jsonio.loads(json.dumps(value).encode(), "it") == value


@given(DOCUMENTS, st.integers(0, 3))
def test_we_write_what_json_writes(value: object, indent: int) -> None:
    if indent:
        assert jsonio.dumps(value, indent) == json.dumps(value, indent=indent)
    else:
        assert jsonio.dumps(value) == json.dumps(value, separators=(",", ":"))


def test_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(ValueError):
        jsonio.dumps(float("nan"))
    with pytest.raises(TypeError):
        jsonio.dumps({"a": object()}, 2)


@given(st.one_of(st.text(alphabet='{}[]",:0123456789.eE+-truefalsn \n\\u', max_size=30), DOCUMENTS.map(json.dumps)))
def test_the_slow_scanner_agrees_with_the_fast_one(text: str) -> None:
    try:
        jsonio.loads(text.encode(), "it")
    except ConfigError as refused:
        assert refused.place[0] and "None" not in refused.what, refused.what  # so the scanner found the reason
    else:
        scan(text)


@given(DOCUMENTS)
def test_every_value_has_its_place(value: object) -> None:
    text = json.dumps(value, indent=1)
    for pointer, offset in scan(text).items():
        wanted = value
        for part in pointer.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            wanted = wanted[int(name)] if isinstance(wanted, list) else wanted[name]  # type: ignore[index]
        found, _ = json.JSONDecoder().raw_decode(text, offset)
        assert found == wanted


def test_a_missing_value_is_located_at_its_parent() -> None:
    text = '{\n  "a": {\n    "b": 1 }}'
    assert str(locate(text, "/a/b")) == "line 3, column 10"
    assert str(locate(text, "/a/c/d")) == "line 2, column 8"
    assert str(place_at(text, 0)) == "line 1, column 1"


def test_reading_and_writing_load_nothing_costly() -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(CHECKOUT)!r}); before = set(sys.modules)\n"
        "from ociruntime.core import jsonio\n"
        "jsonio.loads(b'{\"a\": [1.5]}', 'x'); jsonio.dumps({'a': 1}, 2)\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True)
    loaded = {name for name in ran.stdout.split() if not name.startswith("ociruntime")}
    assert loaded <= {
        "__future__",
        "os",
        "os.path",
        "stat",
        "_stat",
        "posixpath",
        "genericpath",
        "_collections_abc",
    }
