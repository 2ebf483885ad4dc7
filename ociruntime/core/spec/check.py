"""The fast verdict on a document: does it fit the declaration, and does it keep the rules?

The generated table (table.py) says what each property may be, the rules (rules*.py) what a table
cannot say. A refusal is explained by the comfortable tier, explain/config.py. Codes of ConfigError:

    config-json             not JSON, or not in UTF-8
    config-duplicate-key    a property is given twice
    config-type             a string where a number belongs, and the like
    config-missing          a required property is not there
    config-range            a number outside of what is possible
    config-unknown-value    a word that the specification does not know, where it lists all
    config-format           a string that is no absolute path, version, list ...; or one with NUL
    config-empty            an array that needs items has too few
    config-name             a name in a map that is empty or has NUL
    config-file             the file is missing or cannot be read
    config-rule-NAME        the rule NAME (a function of core/spec/rules*.py) is broken
"""

from __future__ import annotations

from ociruntime.core.spec import table
from ociruntime.core.spec.finding import apply
from ociruntime.core.spec.formats import PREDICATES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ociruntime.core.spec.finding import Broken
    from ociruntime.core.spec.table import Node


def check(document: Any, what: str = "config.json", data: bytes = b"") -> None:
    """Refuse a configuration that is wrong.

    `what` names the document in sentences, `data` is its text, for line and column. Raises ConfigError.
    """
    names = ("config", what, data)
    _fit(document, table.SPEC, names)
    from ociruntime.core.spec.rules import of_config  # exec and update do without

    _keep(of_config(document), names)


def check_process(document: Any, what: str = "process", data: bytes = b"") -> None:
    """The same for the document of `exec --process`."""
    names = ("process", what, data)
    _fit(document, table.PROCESS, names)
    from ociruntime.core.spec.rules_process import PROCESS_RULES

    _keep(apply(PROCESS_RULES, document, ""), names)


def check_resources(document: Any, what: str = "resources", data: bytes = b"") -> None:
    """The same for the document of `update --resources`."""
    names = ("resources", what, data)
    _fit(document, table.RESOURCES, names)
    from ociruntime.core.spec.rules_resources import RESOURCE_RULES

    _keep(apply(RESOURCE_RULES, document, ""), names)


def _fit(document: Any, node: Node, names: tuple[str, str, bytes]) -> None:
    if not conforms(document, node):
        from ociruntime.explain.config import misfit

        raise misfit(document, *names)


def _keep(broken_rules: Iterator[Broken], names: tuple[str, str, bytes]) -> None:
    for broken in broken_rules:
        from ociruntime.explain.config import broken_rule

        raise broken_rule(broken, *names[1:])


def conforms(value: Any, node: Node) -> bool:
    """Whether a value fits a node of the table."""
    return _CHECKS[node[0]](value, node)


def _text(value: Any, _node: Node) -> bool:
    return type(value) is str and "\0" not in value


def _texts(value: Any, node: Node) -> bool:
    if type(value) is not list or len(value) < node[1]:
        return False
    try:
        # One pass in C over environments, capabilities and the names of system calls.
        return "\0" not in "".join(value)
    except TypeError:
        return False


def _choice(value: Any, node: Node) -> bool:
    return value in node[1]


def _integer(value: Any, node: Node) -> bool:
    _, low, high = node
    # bool is an int in Python, in JSON it is not.
    return type(value) is int and (low is None or low <= value) and (high is None or value <= high)


def _boolean(value: Any, _node: Node) -> bool:
    return value is True or value is False


def _format(value: Any, node: Node) -> bool:
    return type(value) is str and "\0" not in value and PREDICATES[node[1]](value)


def _list(value: Any, node: Node) -> bool:
    if type(value) is not list or len(value) < node[2]:
        return False
    item = node[1]
    fits = _CHECKS[item[0]]
    return all([fits(entry, item) for entry in value])


def _object(value: Any, node: Node) -> bool:
    if type(value) is not dict:
        return False
    _, required, members = node
    for name in required:
        if name not in value:
            return False
    for name, entry in value.items():
        member = members.get(name)
        if member is not None and not _CHECKS[member[0]](entry, member):
            return False
    return True


def _map(value: Any, node: Node) -> bool:
    if type(value) is not dict:
        return False
    item = node[1]
    fits = _CHECKS[item[0]]
    return all([name and "\0" not in name and fits(entry, item) for name, entry in value.items()])


def _free(value: Any, _node: Node) -> bool:
    return type(value) is dict


# In the order of the kinds in table.py.
_CHECKS = (_text, _texts, _choice, _integer, _boolean, _format, _list, _object, _map, _free)
