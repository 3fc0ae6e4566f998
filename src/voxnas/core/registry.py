"""Names to things, with an error that says which names there are."""

import difflib
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from voxnas.core.errors import UserError

T = TypeVar("T")


class Registry(Generic[T]):
    """A table of named things of one kind.

    Parameters
    ----------
    kind : str
        What the things are called in an error ("baseline", "proposer").
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._things: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator: enter a thing under `name`; a second thing of that name is a ValueError."""

        def enter(thing: T) -> T:
            if name in self._things:
                raise ValueError(f"{self.kind} {name!r} is registered already")
            self._things[name] = thing
            return thing

        return enter

    def __getitem__(self, name: str) -> T:
        if name not in self._things:
            near = difflib.get_close_matches(name, self._things, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(self._things))}"
            raise UserError(f"unknown {self.kind} {name!r}", hint)
        return self._things[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._things))

    def __contains__(self, name: object) -> bool:
        return name in self._things
