"""The riddles of containers, each provoked for real: the message has the answer, the record its code."""

from __future__ import annotations

import pytest

from ociruntime.explain.codes import pages
from tests.e2e.box import Box
from tests.e2e.riddles import RIDDLES


@pytest.mark.parametrize("name", RIDDLES)
def test_the_message_has_the_answer(box: Box, name: str) -> None:
    riddle = RIDDLES[name]
    outcome = riddle.provoke(box)
    box.before = []
    assert outcome.status == 1, outcome
    (record,) = [record for record in box.records() if record["level"] == "error"] or [{}]
    for word in riddle.words:
        assert word in outcome.err
    if riddle.code:
        assert record["code"] == riddle.code and record["code"] in pages()
    if record:
        assert record["msg"] == outcome.err.splitlines()[-1]
    for line in outcome.err.splitlines():
        assert "Traceback" not in line and "internal error" not in line
