"""JSON schemas of dataclasses, as `pacewheel.plain` writes them: the data is described where it is.

Times are texts in ISO 8601, states and reasons words. A class's docstring is its description.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import types
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum, IntEnum
from typing import Any, Union, get_args, get_origin, get_type_hints

from pacewheel import model, overview
from pacewheel.report import binds

Schema = dict[str, Any]

_PLAIN: dict[Any, Schema] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    datetime: {"type": "string", "format": "date-time"},
    Any: {},
}

# Annotations name what is imported for type checkers alone.
_NAMES: dict[str, Any] = {
    "Any": Any,
    "Mapping": Mapping,
    "Sequence": Sequence,
    "datetime": datetime,
    **{name: each for module in (model, overview, binds) for name, each in vars(module).items()},
}


class Schemas:
    """Collects the schemas of classes by their names, as `components` of the document."""

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}

    def of(self, hint: Any) -> Schema:
        """Return the schema of a type; that of a dataclass is a reference to its component."""
        if hint in _PLAIN:
            return dict(_PLAIN[hint])
        if hint is type(None):
            return {"type": "null"}
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            return self._component(hint)
        if isinstance(hint, type) and issubclass(hint, Enum):
            lower = issubclass(hint, IntEnum)
            return {"enum": [each.name.lower() if lower else each.value for each in hint]}
        origin, arguments = get_origin(hint), get_args(hint)
        if origin in (Union, types.UnionType):
            return {"anyOf": [self.of(each) for each in arguments]}
        if origin is not None and issubclass(origin, Mapping):
            return {"type": "object", "additionalProperties": self.of(arguments[1])}
        if origin is not None and issubclass(origin, Sequence):
            return {"type": "array", "items": self.of(arguments[0])}
        raise TypeError(hint)

    def extended(self, kind: type, **more: Schema) -> Schema:
        """Return the schema of a class's values with fields added or replaced."""
        whole = self.properties(kind)
        return obj(**{**whole, **more}) | {"description": _description(kind)}

    def properties(self, kind: type) -> dict[str, Schema]:
        """Return the schemas of a class's fields by name."""
        hints = get_type_hints(kind, globalns={**vars(sys.modules[kind.__module__]), **_NAMES})
        return {each.name: self.of(hints[each.name]) for each in dataclasses.fields(kind)}

    def _component(self, kind: type) -> Schema:
        name = kind.__name__
        if name not in self.components:
            self.components[name] = {}
            self.components[name] = self.extended(kind)
        return {"$ref": f"#/components/schemas/{name}"}


def obj(**properties: Schema) -> Schema:
    """Return the schema of an object that has all these."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
    }


def array(items: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def nullable(schema: Schema) -> Schema:
    """Return the schema of a value that may be null."""
    return {"anyOf": [schema, {"type": "null"}]}


def _description(kind: type) -> str:
    return inspect.cleandoc(kind.__doc__ or "")
