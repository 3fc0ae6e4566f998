"""Spaces of networks on matrices of connections: multilayer perceptrons of the pairs, and variants of BrainNetCNN."""

from collections.abc import Collection, Mapping
from typing import Any, get_args

from voxnas.arch.families.matrix.record import Matrix, Reads
from voxnas.arch.families.reference import Reference
from voxnas.arch.families.space import ALWAYS, Alternatives, FamilySpace, Structure
from voxnas.arch.parameters import ValueSet, integers, numbers
from voxnas.core.architecture import ArchitectureRecord
from voxnas.core.plan import Plan
from voxnas.core.record import Activation

MOST_LAYERS = 3
MAPPED = {"reads": ("rows", "crosses")}


class MatrixSpace(FamilySpace):
    """Networks on connectivity, (B, C, 1, R, R), for classification and regression.

    The width halves from one hidden layer to the next, and doubles from one layer of crosses to the next.
    """

    name = "matrix"
    tasks = ("classification", "regression")
    views = ("connectivity",)
    start = dict.fromkeys(tasks, "connectivity-cnn")

    def domains(self, structure: Structure) -> Mapping[str, ValueSet]:
        """Targets of the layers that read the matrix, of the hidden layers and of the dropouts."""
        return {
            "reads": get_args(Reads),
            "edge_layers": integers(1, MOST_LAYERS),
            "edge_width": integers(1, 256),
            "node_width": integers(1, 256),
            "hidden_layers": integers(0, MOST_LAYERS),
            "hidden_width": integers(2, 1024),
            "input_dropout": numbers(0, 0.95),
            "dropout": numbers(0, 0.95),
            "activation": get_args(Activation),
        }

    def required(self, structure: Structure, given: Collection[str]) -> Mapping[str, Alternatives]:
        """Require a width only for the layers that the network has."""
        hidden = ({"hidden_layers": tuple(range(1, MOST_LAYERS + 1))},)
        crosses = ({"reads": ("crosses",)},)
        needs = dict.fromkeys(("reads", "hidden_layers", "input_dropout", "activation"), ALWAYS)
        needs |= {"edge_layers": crosses, "edge_width": crosses, "node_width": (MAPPED,)}
        return needs | {"hidden_width": hidden, "dropout": hidden}

    def decode(self, structure: Structure, values: Mapping[str, Any], plan: Plan) -> Matrix:
        """Return the record."""
        layers, width = int(values["hidden_layers"]), int(values.get("hidden_width", 0))
        mapped = values["reads"] != "pairs"
        crosses = int(values["edge_layers"]) if values["reads"] == "crosses" else 0
        return Matrix(
            in_channels=plan.channels,
            out_channels=plan.outputs,
            regions=plan.patch[2],
            reads=values["reads"],
            edges=[int(values["edge_width"]) * 2**i for i in range(crosses)],
            nodes=int(values["node_width"]) if mapped else 0,
            hidden=[max(2, width // 2**i) for i in range(layers)],
            input_dropout=values["input_dropout"],
            dropout=values.get("dropout", 0.0),
            activation=values["activation"],
        )

    def values(self, structure: Structure, architecture: ArchitectureRecord) -> Mapping[str, Any]:
        """Choices of a network of the family or of BrainNetCNN; other architectures have none."""
        if isinstance(architecture, Reference) and architecture.name == "brainnetcnn":
            width = int(dict(architecture.options).get("width", 32))  # type: ignore[arg-type]
            layers = {"edge_layers": 2, "edge_width": width, "node_width": 1, "hidden_layers": 2}
            return {"reads": "crosses", **layers, "hidden_width": 4 * width, "input_dropout": 0.5, "dropout": 0.5}
        if not isinstance(architecture, Matrix):
            return {}
        first = {"edge_layers": len(architecture.edges), "edge_width": (architecture.edges or (0,))[0]}
        hidden = {"hidden_layers": len(architecture.hidden), "hidden_width": (architecture.hidden or (0,))[0]}
        same = ("reads", "input_dropout", "dropout", "activation")
        return (
            {name: getattr(architecture, name) for name in same} | first | hidden | {"node_width": architecture.nodes}
        )
