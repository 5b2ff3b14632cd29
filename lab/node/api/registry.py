"""The commands that the API knows, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lab.node.api.caller import Caller, Handler, Result
from lab.node.api.errors import Missing, UnknownCommand

COMMANDS: dict[str, Handler] = {}


def command(name: str) -> Callable[[Handler], Handler]:
    """Register a handler under FreeIPA's name of a command, such as user_show."""

    def register(handler: Handler) -> Handler:
        COMMANDS[name] = handler
        return handler

    return register


def call(caller: Caller, name: str, arguments: list[Any], options: Mapping[str, Any]) -> Result:
    """Raises UnknownCommand and whatever the handler refuses."""
    handler = COMMANDS.get(name.partition("/")[0])
    if handler is None:
        raise UnknownCommand(name)
    return handler(caller, arguments, options)


def argument(arguments: list[Any], position: int, name: str) -> str:
    """A word that has to be there. Raises Missing."""
    if len(arguments) <= position or arguments[position] in (None, "", []):
        raise Missing(name)
    value = arguments[position]
    return str(value[0] if isinstance(value, (list, tuple)) else value)


def optional(arguments: list[Any], position: int) -> str:
    return str(arguments[position]) if len(arguments) > position and arguments[position] is not None else ""


def many(value: Any) -> list[str]:
    """One value, several, or none, as a list."""
    if value is None:
        return []
    return [str(one) for one in value] if isinstance(value, (list, tuple)) else [str(value)]
