"""The plan of a study (plan.json): the grid of its scans, and the input, pooling and kernels of its networks.

The plan determines the preprocessing of images and the networks of search spaces and baselines. A study of volumes has
a :class:`VolumePlan`, a study of time series a :class:`RunPlan`, which lists all prepared views of a run.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator

from voxnas.core.errors import UserError
from voxnas.core.record import Positive, Record, Triple
from voxnas.core.settings import CleaningSettings, ClipUnit, ClipWindow, Normalization, Spacing, Task, check_voxels

LabelValue = Annotated[str, Field(pattern=r"^\d{1,9}$")]


class InputView(Record):
    """Input of a network, and pooling of its stages.

    Strides and kernels have one entry per stage; the first stride is (1, 1, 1).
    """

    channels: Positive
    patch: Triple = Field(description="Size (D, H, W) in voxels.")
    strides: tuple[Triple, ...]
    kernels: tuple[Triple, ...]
    spacing: Spacing = Field(description="Voxel size in mm along R, A, S, i.e. (x, y, z).")
    frames: Annotated[int, Field(ge=0)] = Field(
        0, exclude_if=lambda frames: not frames, description="Volumes of a clip; 0: no time axis."
    )

    @field_validator("patch", mode="after")
    @classmethod
    def _check_voxels(cls, patch: tuple[int, int, int]) -> tuple[int, int, int]:
        return check_voxels(patch)

    @property
    def spacing_dhw(self) -> tuple[float, float, float]:
        """Voxel size in mm along D, H, W."""
        x, y, z = self.spacing
        return z, y, x


class _Plan(InputView):
    """Fields of the plans of volumes and of runs."""

    schema_version: Literal[1] = 1
    task: Task
    outputs: Positive = Field(description="Outputs of a network per voxel or scan.")
    labels: dict[LabelValue, str] = Field({}, description="Segmentation: name of each label value.")
    classes: tuple[str, ...] = Field((), description="Classification: names of the classes, in order of the outputs.")

    @property
    def label_values(self) -> list[int]:
        """Values of the labels in the images, sorted; the position of a value is its class index."""
        return sorted(map(int, self.labels))

    def for_divisor(self, divisor: Sequence[int] | None) -> Self:
        """Return the plan with the patch of networks whose input sizes a `divisor` (D, H, W) divides; None: any."""
        return self


def rounded_up(size: Sequence[int], divisor: Sequence[int]) -> tuple[int, ...]:
    """The smallest multiples of a `divisor` that are not below a `size`, axis by axis."""
    return tuple(-(-n // d) * d for n, d in zip(size, divisor, strict=True))


class VolumeFingerprint(Record):
    """Statistics of the scans outside the test split after cropping; shapes and spacings along R, A, S."""

    median_shape: Triple = Field(description="In voxels of the plan's spacing.")
    median_spacing: Spacing = Field(description="Voxel size of the files in mm.")
    scans: Positive


class VolumePlan(_Plan):
    """The plan of a study of volumes."""

    timed: ClassVar[Literal[False]] = False
    unit: ClassVar[str] = "scan"
    view: ClassVar[str] = ""
    views: ClassVar[Mapping[str, InputView]] = {}

    normalize: Normalization
    crop: bool = Field(description="Crop to the bounding box of the non-zero voxels.")
    masked: bool = Field(False, description="In most scans, zeros are removed background.")
    extent: Triple | None = Field(
        None,
        exclude_if=lambda extent: extent is None,
        description="Size (D, H, W) in voxels that the patch of a network covers, before it is rounded up to a multiple"
        " of the network's divisor; None: every network has the patch of the plan.",
    )
    fingerprint: VolumeFingerprint

    def for_view(self, view: str) -> Self:
        """Return the plan itself; a UserError for any view, since volumes have no views."""
        if view:
            raise UserError(
                f"a network reads the view {view!r}, but the study prepares volumes",
                "views require a study of time series (data.suffix: bold)",
            )
        return self

    def for_volumes(self) -> Self:
        """Return the plan itself."""
        return self

    def for_divisor(self, divisor: Sequence[int] | None) -> Self:
        """Return the plan with the extent, rounded up to multiples of the `divisor` (D, H, W), as its patch.

        The patch of the plan fits four stages, so that networks of fewer stages would compute on its padding.
        """
        if self.extent is None or divisor is None:
            return self
        return self.model_copy(update={"patch": rounded_up(self.extent, divisor)})


class Grid(Record):
    """The common voxel grid of all runs of a study."""

    shape: Triple = Field(description="(X, Y, Z), canonical.")
    affine: tuple[tuple[float, ...], ...] = Field(description="Affine from canonical voxel indices to mm, (4, 4).")
    box: tuple[tuple[int, int], ...] = Field(
        description="Bounding box of the brain along X, Y, Z: first voxel, and last voxel + 1."
    )


class RunFingerprint(Record):
    """Statistics of the runs outside the test split; the shape (X, Y, Z) refers to the spacing of the plan."""

    median_shape: Triple
    median_frames: Positive
    shortest: Positive = Field(description="Volumes of the shortest run.")
    runs: Positive


class RunPlan(_Plan):
    """The plan of a study of time series.

    Channels, patch, strides, kernels and frames belong to the default `view`, the spacing to the voxel grid.
    """

    timed: Literal[True] = True
    layout: str = Field(description="`bids`, or `timeseries` for regional time series of an atlas.")
    unit: ClipUnit = Field(description="Unit of targets and scores.")
    target: str = Field(description="Column of the target; empty: trial_type of the events.")
    clip: ClipWindow
    grid: Grid | None = Field(description="None: no common grid.")
    atlas: str = Field(description="Label image of regions; empty: none.")
    regions: tuple[int, ...] = Field(description="Label values of the regions in the atlas.")
    bold: CleaningSettings
    repetition_time: float | None = Field(description="Median over the runs, in s; None: unknown.")
    views: dict[str, InputView]
    view: str = Field(description="Default view of the searched networks.")
    fingerprint: RunFingerprint

    def for_view(self, view: str) -> Self:
        """Return the plan with the channels, patch, strides, kernels, frames and spacing of a view.

        Parameters
        ----------
        view : str
            ``clips``, ``maps``, ``series`` or ``connectivity``; empty: the default view.

        Raises
        ------
        UserError
            If the study does not prepare the view.
        """
        if not view:
            return self
        if view not in self.views:
            raise UserError(
                f"a network reads the view {view!r}, but the study prepares {', '.join(self.views)}",
                "add it to clips.views",
            )
        return self.model_copy(update={**dict(self.views[view]), "view": view})

    def for_volumes(self) -> Self:
        """Return the plan of the first view without a time axis, or of the default view."""
        return self.for_view(next((view for view in self.views if view != "clips"), ""))


Plan = VolumePlan | RunPlan
