"""The hot tier's predicates decide what the declaration's patterns say."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ociruntime.core.spec.formats import PREDICATES
from ociruntime.model import Spec
from ociruntime.model.reflect import Kind, ListOf, MapOf, Text, classes, properties
from ociruntime.model.vocabulary import TEXT, Format


def formats() -> Iterator[Format]:
    def within(kind: Kind) -> Iterator[Format]:
        match kind:
            case Text(format):
                yield format
            case ListOf(item) | MapOf(item):
                yield from within(item)

    for cls in classes(Spec):
        for item in properties(cls):
            yield from within(item.kind)


FORMATS = {format.name: format for format in formats() if format != TEXT}


def test_each_format_has_its_predicate() -> None:
    assert set(FORMATS) == set(PREDICATES)


@pytest.mark.parametrize("name", FORMATS)
def test_the_predicate_decides_like_the_pattern(name: str) -> None:
    pattern = re.compile(FORMATS[name].pattern)
    likely = st.text(alphabet="019aZ.-+/, KMGB:rwm\n\u0661\u00b2", max_size=8)

    @given(st.one_of(likely, st.text(max_size=12), st.from_regex(pattern)))
    @example("")
    @example("1.0.0-alpha.01")
    @example("1.0.0-0a.b-c+001.é")
    @example("10GB\n")
    def agree(text: str) -> None:
        text = text.replace("\0", "")
        assert PREDICATES[name](text) == bool(pattern.search(text)), text

    agree()
