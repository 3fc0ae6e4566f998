"""Record of a network on a matrix of connections."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from voxnas.core.architecture import ArchitectureRecord
from voxnas.core.record import Activation, Positive

Reads = Literal["pairs", "rows", "crosses"]


class Matrix(ArchitectureRecord):
    """Network on a matrix of connections between regions, (1, R, R), for classification and regression.

    With ``reads="pairs"`` it is a multilayer perceptron (without hidden layers a linear model); with
    ``reads="crosses"`` it is a BrainNetCNN (Kawahara et al. 2017).
    """

    family: Literal["matrix"] = "matrix"
    regions: Annotated[int, Field(ge=2)] = Field(description="R, rows and columns of the matrix.")
    reads: Reads = Field(description="Each pair once, the rows, or crosses of rows and columns followed by rows.")
    edges: tuple[Positive, ...] = Field((), description="Channels of each layer of crosses.")
    nodes: Annotated[int, Field(ge=0)] = Field(0, description="Channels of each row; 0 where pairs are read.")
    hidden: tuple[Positive, ...] = Field((), description="Units of each hidden layer.")
    input_dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="Before the first dense layer.")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="Before each further dense layer.")
    activation: Activation = "relu"

    @classmethod
    def neutral(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Return `data` without the choices for layers that the network does not have."""
        if not data.get("hidden"):
            data.pop("dropout", None)
            if data.get("reads") == "pairs":
                data.pop("activation", None)
        return data

    @model_validator(mode="after")
    def _reader_agrees(self) -> Self:
        if bool(self.edges) != (self.reads == "crosses"):
            raise ValueError(f"edges = {list(self.edges)} where reads is {self.reads}; they are the layers of crosses")
        if bool(self.nodes) == (self.reads == "pairs"):
            raise ValueError(f"nodes = {self.nodes} where reads is {self.reads}; rows have channels, pairs have none")
        return self
