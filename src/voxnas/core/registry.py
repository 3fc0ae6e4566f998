"""Registry of named objects; an unknown name raises an error that lists the known names."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from voxnas.core.errors import UserError, suggest

T = TypeVar("T")


class Registry(Generic[T]):
    """A table of named objects of one kind.

    Parameters
    ----------
    kind : str
        Name of the kind in error messages ("baseline", "strategy").
    group : str
        Entry-point group by which other packages add objects, under the names of the entry points; empty: none.
    builtin : str
        Package that registers the built-in objects on import. It is imported at the first access, so that the registry
        can be defined in a layer below the package.
    """

    def __init__(self, kind: str, group: str = "", builtin: str = "") -> None:
        self.kind = kind
        self._group, self._builtin = group, builtin
        self._objects: dict[str, T] = {}
        self._later: list[Callable[[], Mapping[str, T]]] = []

    def _complete(self) -> dict[str, T]:
        """Return the table, completed once by the built-in objects and the entry points of other packages."""
        if self._builtin:
            package, self._builtin = self._builtin, ""
            importlib.import_module(package)
        if self._group:
            found, self._group = entry_points(group=self._group), ""
            for entry in found:
                try:
                    self.register(entry.name)(entry.load())
                except Exception as error:  # a package of a third party can fail in any way
                    package = entry.dist.name if entry.dist else entry.value
                    raise UserError(
                        f"the {self.kind} {entry.name!r} of the package {package!r} cannot be loaded: "
                        f"{type(error).__name__}: {error}",
                        f"mend or uninstall {package}",
                    ) from error
        while self._later:
            for name, item in self._later.pop()().items():
                self.register(name)(item)
        return self._objects

    def add_later(self, make: Callable[[], Mapping[str, T]]) -> None:
        """Register the objects returned by `make` at the first access, for objects derived from another registry."""
        self._later.append(make)

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that registers an object under `name`; ValueError if the name is taken."""

        def enter(item: T) -> T:
            if name in self._objects:
                raise ValueError(f"{self.kind} {name!r} is already registered")
            self._objects[name] = item
            return item

        return enter

    def __getitem__(self, name: str) -> T:
        objects = self._complete()
        if name not in objects:
            raise UserError(f"unknown {self.kind} {name!r}", suggest(name, objects))
        return objects[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._complete()))

    def __contains__(self, name: object) -> bool:
        return name in self._complete()
