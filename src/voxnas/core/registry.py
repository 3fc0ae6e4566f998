"""Names to things, with an error that says which names there are."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from voxnas.core.errors import UserError, suggest

T = TypeVar("T")


class Registry(Generic[T]):
    """A table of named things of one kind.

    Parameters
    ----------
    kind : str
        What the things are called in an error ("baseline", "strategy").
    group : str
        Entry points by which other packages add things, each under the name of its entry point; empty: none.
    builtin : str
        Package whose import enters the library's own things. It is imported when the table is first read, so that the
        table can lie in a layer below the package.
    """

    def __init__(self, kind: str, group: str = "", builtin: str = "") -> None:
        self.kind = kind
        self._group, self._builtin = group, builtin
        self._things: dict[str, T] = {}
        self._later: list[Callable[[], Mapping[str, T]]] = []

    def _complete(self) -> dict[str, T]:
        """The table with the built-in things and those that other packages add, looked for once."""
        if self._builtin:
            package, self._builtin = self._builtin, ""
            importlib.import_module(package)
        if self._group:
            found, self._group = entry_points(group=self._group), ""
            for entry in found:
                self.register(entry.name)(entry.load())
        while self._later:
            for name, thing in self._later.pop()().items():
                self.register(name)(thing)
        return self._things

    def add_later(self, make: Callable[[], Mapping[str, T]]) -> None:
        """Enter what `make` returns when the table is first read: things that are made from another table."""
        self._later.append(make)

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator: enter a thing under `name`; a second thing of that name is a ValueError."""

        def enter(thing: T) -> T:
            if name in self._things:
                raise ValueError(f"{self.kind} {name!r} is registered already")
            self._things[name] = thing
            return thing

        return enter

    def __getitem__(self, name: str) -> T:
        things = self._complete()
        if name not in things:
            raise UserError(f"unknown {self.kind} {name!r}", suggest(name, things))
        return things[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._complete()))

    def __contains__(self, name: object) -> bool:
        return name in self._complete()
