"""The search space of a family: its parameters, and the architecture of a choice of their values.

The operations that are common to all families (sample, mutate, cross, encode, count ..) are methods of
:class:`voxnas.arch.search_space.SearchSpace`.
"""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from voxnas.arch.parameters import ValueSet
from voxnas.core.architecture import ArchitectureRecord
from voxnas.core.plan import Plan

Structure = Mapping[str, Any]
Alternatives = tuple[Mapping[str, tuple], ...]

ALWAYS: Alternatives = ({},)


class FamilySpace:
    """Base of the search spaces of all families; an instance belongs to one family and keeps no state.

    A *target* is a name that a parameter of a space file sets, such as ``block.1`` or ``normal.2.a.op``.

    Attributes
    ----------
    name : str
        Name that a file gives as ``family``.
    tasks : tuple of str
        Tasks of a plan that its architectures fit.
    keys : tuple of str
        Structural keys that a file may have besides ``family`` and ``parameters``.
    start : mapping of task to str
        The baseline at which a search begins (see :data:`voxnas.arch.baselines.BASELINES`).
    views : tuple of str
        The views of a run that its networks read; the empty name denotes scans that are volumes.
    """

    name: ClassVar[str]
    tasks: ClassVar[tuple[str, ...]] = ("segmentation", "classification", "regression")
    keys: ClassVar[tuple[str, ...]] = ()
    views: ClassVar[tuple[str, ...]] = ("", "maps", "series", "connectivity")
    start: ClassVar[Mapping[str, str]] = {
        "segmentation": "nnunet-small",
        "classification": "resnet",
        "regression": "resnet",
    }

    def domains(self, structure: Structure) -> Mapping[str, ValueSet]:
        """Return all targets with their allowed values.

        Parameters
        ----------
        structure : mapping
            The file's structural keys, such as ``{"cell": {"nodes": 4}}``.

        Returns
        -------
        mapping of target to domain
            A tuple of names or truth values, or one of :func:`voxnas.arch.parameters.numbers`, `integers`, `odd`.

        Raises
        ------
        ValueError
            If the structure is invalid; names the key, its value and the allowed values.
        """
        raise NotImplementedError

    def entries(self, structure: Structure) -> Mapping[str, Any]:
        """Parameters that a file has without writing them, such as the edges of a cell; its own have precedence.

        Parameters
        ----------
        structure : mapping
            Structural keys that :meth:`domains` accepts.

        Returns
        -------
        mapping of name to entry
            As in a file.
        """
        return {}

    def required(self, structure: Structure, given: Collection[str]) -> Mapping[str, Alternatives]:
        """The targets that must be set, and when.

        Parameters
        ----------
        structure : mapping
        given : collection of str
            Targets that the file sets, at least under some condition.

        Returns
        -------
        mapping of target to alternatives
            It must be set where any alternative holds: each maps other targets to the values that they must
            have. ``ALWAYS`` by default, for all targets.
        """
        return dict.fromkeys(self.domains(structure), ALWAYS)

    def levels(self, structure: Structure) -> tuple[Collection[str], ...]:
        """Targets of each level of a hierarchy of motifs; hierarchical evolution changes one level at a time.

        All other targets form a further level.
        """
        return ()

    def growth(self, structure: Structure) -> tuple[Mapping[str, Any], ...]:
        """Values of targets that leave out each node of a cell but the first, in the order of progressive search."""
        return ()

    def decode(self, structure: Structure, values: Mapping[str, Any], plan: Plan) -> ArchitectureRecord:
        """The architecture of a configuration on the data of a plan.

        Choices that have no effect there (a stage that the patch does not allow) must give equal architectures.

        Parameters
        ----------
        structure : mapping
        values : mapping of target to value
            The active targets.
        plan : Plan
            The study's plan.
        """
        raise NotImplementedError

    def values(self, structure: Structure, architecture: ArchitectureRecord) -> Mapping[str, Any]:
        """Return values near those of an `architecture`, the approximate inverse of :meth:`decode`.

        Values need not be allowed, for the space takes the nearest; a target without one takes the middle of
        its choices. Architectures of another family (the start of a search) must be answered too.
        """
        raise NotImplementedError
