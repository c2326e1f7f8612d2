"""The forms of names, labels and keys (kubernetes ``apimachinery/pkg/util/validation``). Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

__all__ = [
    "NameRule",
    "config_key",
    "dns_label",
    "label_value",
    "path_segment",
    "port_name",
    "qualified_name",
    "subdomain",
]

NameRule: TypeAlias = Callable[[str], Iterator[str]]
"""Yields what is wrong with a name; nothing for a good one."""

_SUBDOMAIN: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_LABEL: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED: Final = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE: Final = r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_CONFIG_KEY: Final = r"[-._a-zA-Z0-9]+"
_LONGEST_SUBDOMAIN: Final = 253
_LONGEST_LABEL: Final = 63
_LONGEST_PORT_NAME: Final = 15

_OF_SUBDOMAIN: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    f"and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_OF_LABEL: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    f"'{_LABEL}')"
)
_OF_QUALIFIED: Final = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    f"character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_QUALIFIED}')"
)
_OF_VALUE: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
    f"validation is '{_VALUE}')"
)
_OF_CONFIG_KEY: Final = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
    f"'KEY_NAME',  or 'key-name', regex used for validation is '{_CONFIG_KEY}')"
)
_PREFIXED: Final = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"


def subdomain(name: str) -> Iterator[str]:
    """Yield what keeps a name from being a DNS subdomain: that of most kinds."""
    if len(name.encode()) > _LONGEST_SUBDOMAIN:
        yield f"must be no more than {_LONGEST_SUBDOMAIN} characters"
    if re.fullmatch(_SUBDOMAIN, name) is None:
        yield _OF_SUBDOMAIN


def dns_label(name: str) -> Iterator[str]:
    """Yield what keeps a name from being a DNS label: that of Services and namespaces."""
    if len(name.encode()) > _LONGEST_LABEL:
        yield f"must be no more than {_LONGEST_LABEL} characters"
    if re.fullmatch(_LABEL, name) is None:
        yield "must not contain dots" if re.fullmatch(_SUBDOMAIN, name) else _OF_LABEL


def path_segment(name: str) -> Iterator[str]:
    """Yield what keeps a name from being part of a path: that of roles."""
    if name in {".", ".."}:
        yield f"may not be '{name}'"
    yield from (f"may not contain '{sign}'" for sign in "/%" if sign in name)


def qualified_name(key: str) -> Iterator[str]:
    """Yield what is wrong with a key of labels: a name, perhaps after a domain and a slash."""
    *prefixes, name = key.split("/")
    if len(prefixes) > 1:
        yield f"a valid label key {_OF_QUALIFIED} {_PREFIXED}"
        return
    for prefix in prefixes:
        if not prefix:
            yield "prefix part must be non-empty"
        yield from (f"prefix part {why}" for why in subdomain(prefix) if prefix)
    if not name:
        yield "name part must be non-empty"
    elif len(name.encode()) > _LONGEST_LABEL:
        yield f"name part must be no more than {_LONGEST_LABEL} bytes"
    if re.fullmatch(_QUALIFIED, name) is None:
        yield f"name part {_OF_QUALIFIED}"


def label_value(value: str) -> Iterator[str]:
    """Yield what is wrong with the value of a label."""
    if len(value.encode()) > _LONGEST_LABEL:
        yield f"must be no more than {_LONGEST_LABEL} bytes"
    if re.fullmatch(_VALUE, value) is None:
        yield _OF_VALUE


def config_key(key: str) -> Iterator[str]:
    """Yield what is wrong with a key of a ConfigMap or a Secret."""
    if len(key.encode()) > _LONGEST_SUBDOMAIN:
        yield f"must be no more than {_LONGEST_SUBDOMAIN} bytes"
    if re.fullmatch(_CONFIG_KEY, key) is None:
        yield _OF_CONFIG_KEY
    if key in {".", ".."}:
        yield f"must not be '{key}'"
    elif key.startswith(".."):
        yield "must not start with '..'"


def port_name(name: str) -> Iterator[str]:
    """Yield what is wrong with the name of a container's port."""
    if len(name.encode()) > _LONGEST_PORT_NAME:
        yield f"must be no more than {_LONGEST_PORT_NAME} characters"
    if re.fullmatch(r"[-a-z0-9]+", name) is None:
        yield "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    elif re.search(r"[a-z]", name) is None:
        yield "must contain at least one letter (a-z)"
    if "--" in name:
        yield "must not contain consecutive hyphens"
    if name.startswith("-") or name.endswith("-"):
        yield "must not begin or end with a hyphen"
