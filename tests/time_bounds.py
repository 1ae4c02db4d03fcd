"""A fence around waits in tests: no bound on real time is shorter than `PATIENCE_SECONDS`.

A short bound holds on an idle machine and fails on a busy one, where a second of work takes ten. What is refused:

- a number below `PATIENCE_SECONDS` as the bound of a wait: the argument `timeout`, or the bound of `asyncio.wait_for`,
  `asyncio.timeout`, `in_patience`, `settimeout` and `join`;
- an assertion that less than a number of seconds passed on a real clock;
- in `acceptance/`, where attempts are real: a time limit of a webhook below the longest one that there is.

A number is written out, or is a constant of the same module. A line that must have a short bound says why in a comment
that begins with `a short bound:`, on itself or right above.
"""

import ast
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from hookline.domain.webhooks import MAX_TIMEOUT_SECONDS
from tests.patience import PATIENCE_SECONDS

EXCUSE: Final = "# a short bound:"
#: Functions that wait -> at which position their bound is, in seconds.
_BOUND_AT: Final = {"wait_for": 1, "timeout": 0, "settimeout": 0, "join": 0}
_BOUND_NAMES: Final = frozenset({"timeout", "connect_timeout"})
_TIME_LIMIT_NAMES: Final = frozenset({"timeoutSeconds", "timeout_seconds"})
_REAL_CLOCKS: Final = frozenset({"monotonic", "perf_counter", "time", "process_time"})


def short_bounds(path: str, source: str) -> Iterator[str]:
    """The short bounds in this file (a path relative to tests), each as `path:line: what it is`."""
    tree, lines = ast.parse(source), source.splitlines()
    constants = dict(_constants(tree))
    found = [*_waits(tree, constants), *_assertions(tree)]
    if path.startswith("acceptance/"):
        found += _time_limits(tree, constants)
    for line, what in sorted(found):
        if not _is_excused(lines, line):
            yield f"tests/{path}:{line}: {what}; a busy machine is later than that"


def _is_excused(lines: Sequence[str], line: int) -> bool:
    """Whether this line (1 is the first), or the comment right above it, says why its bound is short."""
    if EXCUSE in lines[line - 1]:
        return True
    above = itertools.takewhile(lambda each: each.lstrip().startswith("#"), reversed(lines[: line - 1]))
    return any(EXCUSE in each for each in above)


def _constants(tree: ast.Module) -> Iterator[tuple[str, float]]:
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        value = getattr(node, "value", None)
        if targets and isinstance(value, ast.Constant) and isinstance(value.value, int | float):
            yield from ((target.id, value.value) for target in targets if isinstance(target, ast.Name))


def _waits(tree: ast.AST, constants: Mapping[str, float]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = _name(node.func)
        bounds = [each.value for each in node.keywords if each.arg in _BOUND_NAMES]
        bounds += [each.value for each in node.keywords if each.arg == "seconds" and name == "in_patience"]
        position = _BOUND_AT.get(name)
        if position is not None and len(node.args) > position:
            bounds.append(node.args[position])
        for bound in bounds:
            seconds = _number(bound, constants)
            if seconds is not None and seconds < PATIENCE_SECONDS:
                yield bound.lineno, f"{name} waits {seconds:g} s, less than PATIENCE_SECONDS"


def _time_limits(tree: ast.AST, constants: Mapping[str, float]) -> Iterator[tuple[int, str]]:
    limits: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            limits += [
                value for key, value in pairs if isinstance(key, ast.Constant) and key.value in _TIME_LIMIT_NAMES
            ]
        elif isinstance(node, ast.keyword) and node.arg in _TIME_LIMIT_NAMES:
            limits.append(node.value)
    for limit in limits:
        seconds = _number(limit, constants)
        if seconds is not None and seconds < MAX_TIMEOUT_SECONDS:
            yield limit.lineno, f"an attempt gets {seconds:g} s, not the {MAX_TIMEOUT_SECONDS} that it can have"


def _assertions(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.Compare):
            sides = [node.test.left, *node.test.comparators]
            if isinstance(node.test.ops[0], ast.Lt | ast.LtE) and _is_duration(sides[0]) and _number(sides[1], {}):
                yield node.lineno, "an assertion on how long something took"


def _is_duration(expression: ast.expr) -> bool:
    """Whether this is a difference in which a real clock is read."""
    calls = (each for each in ast.walk(expression) if isinstance(each, ast.Call))
    reads = any(_name(call.func) in _REAL_CLOCKS for call in calls)
    return reads and any(isinstance(each, ast.Sub) for each in ast.walk(expression))


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _number(expression: ast.expr, constants: Mapping[str, float]) -> float | None:
    if isinstance(expression, ast.Constant) and isinstance(expression.value, int | float):
        return expression.value
    return constants.get(expression.id) if isinstance(expression, ast.Name) else None
