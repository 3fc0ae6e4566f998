"""All proposers by name. A new one is a module with a :class:`~voxnas.search.base.Proposer`, entered here."""

from voxnas.core.registry import Registry
from voxnas.search import bayesian, random
from voxnas.search.base import Proposer

PROPOSERS: Registry[Proposer] = Registry("proposer")
PROPOSERS.register("random")(random.propose)
PROPOSERS.register("bayesian")(bayesian.propose)
