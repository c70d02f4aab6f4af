"""Lays out expressions and blocks of Python as Black does: a formatter changes nothing."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from string import ascii_letters, digits

WIDTH = 88
INDENT = 4
# Python compiles at most 20 nested blocks, and readers follow fewer.
_MOST_NESTED = 8


@dataclass(frozen=True, slots=True)
class Group:
    """Items between brackets; `head` ends with the opening one, `tail` is the closing one."""

    head: str
    items: tuple["Expression", ...]
    tail: str

    def __str__(self) -> str:
        return f"{self.head}{', '.join(map(str, self.items))}{self.tail}"


@dataclass(frozen=True, slots=True)
class Chain:
    """A call, and calls of methods on what it returns, whose heads begin with a dot."""

    call: Group
    methods: tuple[Group, ...]

    def __str__(self) -> str:
        return "".join(map(str, (self.call, *self.methods)))


Expression = str | Group | Chain


def call(function: str, *arguments: Expression) -> Group:
    """Return the call of a function."""
    return Group(f"{function}(", arguments, ")")


def prefixed(prefix: str, expression: Expression) -> Expression:
    """Return an expression after a text, such as the name of its argument."""
    match expression:
        case str():
            return prefix + expression
        case Group():
            return replace(expression, head=prefix + expression.head)
        case Chain():
            head = replace(expression.call, head=prefix + expression.call.head)
            return replace(expression, call=head)


def laid_out(expression: Expression, indent: int = 0, after: str = "") -> list[str]:
    """Return the lines of an expression; `after` follows it on the last one."""
    line = f"{' ' * indent}{expression}{after}"
    if len(line) <= WIDTH:
        return [line]
    match expression:
        case Group(_, items, _) if items:
            return _broken(expression, indent, after)
        case Chain(head, (method,)):
            on_last = replace(method, head=f"{head}{method.head}")
            if method.items and indent + len(on_last.head) <= WIDTH:
                return _broken(on_last, indent, after)
            *lines, last = _broken(head, indent, "")
            return lines + laid_out(prefixed(last.strip(), method), indent, after)
        case Chain(head, methods):
            *others, last_method = methods
            lines = [line for part in (head, *others) for line in laid_out(part, indent)]
            return lines + laid_out(last_method, indent, after)
    return [line]


def _broken(group: Group, indent: int, after: str) -> list[str]:
    """Return the lines of a group whose brackets stand on lines of their own.

    Arguments of a call share a line if they fit; elements of a list or dictionary never do.
    """
    inner = indent + INDENT
    items = " " * inner + ", ".join(map(str, group.items))
    if not group.head[:-1].endswith(tuple(ascii_letters + digits + "_")):
        lines = [line for item in group.items for line in laid_out(item, inner, ",")]
    elif len(items) <= WIDTH:
        lines = [items]
    elif len(group.items) == 1:
        lines = laid_out(group.items[0], inner)
    else:
        lines = [line for item in group.items for line in laid_out(item, inner, ",")]
    return [" " * indent + group.head, *lines, " " * indent + group.tail + after]


def import_lines(modules: Iterable[str], names: Iterable[tuple[str, Sequence[str]]]) -> list[str]:
    """Return the lines that import modules, then names from modules, in the usual order."""
    standard = [module for module in sorted(modules) if module in sys.stdlib_module_names]
    lines = [f"import {module}" for module in standard] + [""] * bool(standard)
    lines += [f"import {module}" for module in sorted(modules) if module not in standard]
    for module, members in sorted(names):
        line = f"from {module} import {', '.join(sorted(members))}"
        if len(line) <= WIDTH:
            lines.append(line)
        else:
            inside = [f"{' ' * INDENT}{member}," for member in sorted(members)]
            lines += [f"from {module} import (", *inside, ")"]
    return lines


def is_deep(scopes: Sequence[Expression]) -> bool:
    """Return whether so many scopes are entered by `entered_one_by_one`."""
    return len(scopes) > _MOST_NESTED


def nested(scopes: Sequence[Expression], body: Expression, indent: int = 0) -> list[str]:
    """Return `with` blocks inside each other, around a statement."""
    lines: list[str] = []
    for scope in scopes:
        lines += laid_out(prefixed("with ", scope), indent, ":")
        indent += INDENT
    return lines + laid_out(body, indent)


def together(scopes: Sequence[Expression], body: Expression, indent: int = 0) -> list[str]:
    """Return one `with` block of all scopes around a statement."""
    inner = indent + INDENT
    if not scopes:
        return laid_out(body, indent)
    line = f"{' ' * indent}with {', '.join(map(str, scopes))}:"
    if len(line) <= WIDTH:
        return [line, *laid_out(body, inner)]
    if len(scopes) > 1:
        items = [line for scope in scopes for line in laid_out(scope, inner, ",")]
    elif isinstance(scopes[0], Chain) and len(scopes[0].methods) > 1:
        items = laid_out(scopes[0], inner)
    else:
        return nested(scopes, body, indent)
    start, end = f"{' ' * indent}with (", f"{' ' * indent}):"
    return [start, *items, end, *laid_out(body, inner)]


def entered_one_by_one(
    scopes: Sequence[Expression], body: Expression, indent: int = 0
) -> list[str]:
    """Return one `with` block that enters each scope on a line, around a statement."""
    inner = indent + INDENT
    lines = [f"{' ' * indent}with contextlib.ExitStack() as scopes:"]
    for scope in scopes:
        lines += laid_out(call("scopes.enter_context", scope), inner)
    return lines + laid_out(body, inner)
