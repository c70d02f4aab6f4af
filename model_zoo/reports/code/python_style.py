"""A build as lines of this library around the network's call."""

from collections.abc import Callable
from typing import Any

from model_zoo.arg_scope import scoped_op
from model_zoo.levels import Level
from model_zoo.reports.code.imports import Imports, home_of
from model_zoo.reports.code.layout import (
    INDENT,
    Chain,
    Expression,
    Group,
    call,
    entered_one_by_one,
    is_deep,
    laid_out,
    prefixed,
    together,
)
from model_zoo.reports.code.spelling import (
    Spelling,
    changed,
    kind_of,
    ops_in_order,
    spelled_params,
    text,
    weights_comments,
)
from model_zoo.signatures import signature_of
from model_zoo.spec import BuildSpec, Resolved
from model_zoo.values import Named, makers
from model_zoo.zoo import ends_itself

_LAYERS = "model_zoo.layers"


def python_code(spec: BuildSpec) -> str:
    """Return the code that builds a spec's graph, and gives each argument of each call its value.

    Arguments at their defaults are left out.
    """
    resolved = spec.resolved()
    imports = Imports("network", "inputs", "graph", "scopes", "contextlib")
    spelling = _Spelling(imports)
    arg_scope, build_graph = (
        imports.member("model_zoo", name) for name in ("arg_scope", "build_graph")
    )
    scopes: list[Expression] = []
    if resolved.default_scope is not None:
        scopes.append(call(arg_scope, _default_scope(resolved, spelling)))
    scopes += [_scope(level, arg_scope, spelling) for level in resolved.levels]
    result = prefixed("return ", _network_call(spec, resolved, spelling))
    if is_deep(scopes):
        imports.module("contextlib")
        body = entered_one_by_one(scopes, result, INDENT)
    else:
        body = together(scopes, result, INDENT)
    end = resolved.params.get("final_endpoint")
    options = []
    if end is not None and not ends_itself(resolved.entry.network):
        options.append(f"final_endpoint={text(end)}")
    graph = call(build_graph, "network", spelling.value(resolved.input_shape, ""), *options)
    return "\n".join(
        [
            *imports.lines(),
            "",
            "",
            "def network(inputs):",
            *body,
            "",
            "",
            *weights_comments(spec),
            *laid_out(prefixed("graph = ", graph)),
            "",
        ]
    )


class _Spelling(Spelling):
    """Spells functions as this library has them, and imports them."""

    def __init__(self, imports: Imports) -> None:
        self.imports = imports

    def op(self, function: Callable[..., Any], pointer: str) -> str:
        name = scoped_op(function).name
        home = home_of(function, name, (_LAYERS, function.__module__))
        if home is not None:
            return self.imports.member(home, name)
        return f"{self.imports.member(_LAYERS, 'find_op')}({text(name)})"

    def named(self, value: Named, pointer: str) -> Expression:
        maker = makers(kind_of(value))[value.name]
        if home := home_of(value, value.name, (maker.__module__,)):
            return self.imports.member(home, value.name)
        home = home_of(maker, maker.__name__, (maker.__module__,))
        if home is not None:
            function = self.imports.member(home, maker.__name__)
        else:
            kind = text(kind_of(value))
            function = f"{self.imports.member('model_zoo.values', 'makers')}({kind})"
            function += f"[{text(value.name)}]"
        return call(function, *self.maker_arguments(value, pointer))

    def of_architecture(self, resolved: Resolved, attribute: str) -> str:
        """Return the network of an architecture, or the function that makes its default scope."""
        entry = resolved.entry
        function = getattr(entry, attribute)
        # What a factory made says that it is of the factory's module.
        modules = (function.__module__, entry.arg_scope.__module__)
        home = home_of(function, function.__name__, modules)
        if home is not None:
            return self.imports.member(home, function.__name__)
        find = self.imports.member("model_zoo", "find_architecture")
        return f"{find}({text(entry.name)}).{attribute}"


def _default_scope(resolved: Resolved, spelling: _Spelling) -> Expression:
    given = changed(resolved.default_scope or {}, signature_of(resolved.entry.arg_scope))
    function = spelling.of_architecture(resolved, "arg_scope")
    return call(function, *spelling.keywords(given, "/default_scope"))


def _scope(level: Level, arg_scope: str, spelling: _Spelling) -> Expression:
    ops = tuple(spelling.op(function, level.pointer) for function in ops_in_order(level))
    arguments = spelling.keywords(level.arguments, f"{level.pointer}/args")
    scope = call(arg_scope, Group("[", ops, "]"), *arguments)
    methods = []
    if level.layers is not None:
        excluded = prefixed("except_=", spelling.value(list(level.layers.excluded), ""))
        patterns = map(text, level.layers.patterns)
        methods.append(call(".on", *patterns, *([excluded] if level.layers.excluded else [])))
    if level.is_forced:
        methods.append(call(".forced"))
    return Chain(scope, tuple(methods)) if methods else scope


def _network_call(spec: BuildSpec, resolved: Resolved, spelling: _Spelling) -> Expression:
    params = spelled_params(spec, signature_of(resolved.entry.network))
    function = spelling.of_architecture(resolved, "network")
    return call(function, "inputs", *spelling.keywords(params, "/params"))
