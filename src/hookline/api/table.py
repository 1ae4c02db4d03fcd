"""Finding the route of a request: a look into a dictionary, whose keys are paths, their parameters cut out."""

from collections.abc import Iterable, Mapping

from hookline.api.routes import Route
from hookline.errors import MethodNotAllowed, NotFound

_PARAMETER = "{}"


class Table:
    """Routes by path and method. A fixed part of a path wins over a parameter."""

    def __init__(self, routes: Iterable[Route], base: str = "") -> None:
        """`base` is what stands before every path, for those who are told that there is nothing."""
        self._base = base
        self._with_slashes: set[tuple[str, ...]] = set()
        self._routes: dict[tuple[str, ...], dict[str, Route]] = {}
        self._fixed: dict[tuple[str, str], Route] = {}  # those without parameters, by method and path
        for route in routes:
            shape = tuple(_PARAMETER if part.startswith("{") else part for part in route.path.split("/"))
            self._routes.setdefault(shape, {})[route.method] = route
            if _PARAMETER not in shape:
                self._fixed[route.method, route.path] = route
            if route.may_hold_slashes:
                self._with_slashes.add(shape)

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        """The route, and the parameters in the path, whose %XX the server has decoded.

        Raises:
            NotFound: nothing is there.
            MethodNotAllowed: something is there, with other methods.
        """
        fixed = self._fixed.get((method, path))
        if fixed is not None:
            return fixed, {}
        parts = path.split("/")
        if (*parts[:2], _PARAMETER) in self._with_slashes:
            parts = [*parts[:2], "/".join(parts[2:])]
        methods = self._routes.get(tuple(parts)) or self._with_parameter(parts)
        if methods is None:
            raise NotFound(f"There is nothing at {(self._base + path)[:80]!r}.")
        route = methods.get(method)
        if route is None:
            raise MethodNotAllowed(f"{method} Method is not allowed on this path", allowed=sorted(methods))
        names = route.path.split("/")
        return route, {name[1:-1]: part for name, part in zip(names, parts, strict=True) if name.startswith("{")}

    def _with_parameter(self, parts: list[str]) -> dict[str, Route] | None:
        """All our paths have one parameter at most, in the third place: /things/{id}/verb."""
        if len(parts) < 3 or not parts[2]:
            return None
        return self._routes.get((*parts[:2], _PARAMETER, *parts[3:]))
