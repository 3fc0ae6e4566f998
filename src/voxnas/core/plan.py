"""The plan of a study (plan.json): the grid of its scans, and the input, pooling and kernels of its networks.

Images are preprocessed to the plan, and search spaces and baselines build their networks for it. A study of volumes has
a :class:`VolumePlan`, a study of time series a :class:`RunPlan`, which lists every view of a run that is prepared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from voxnas.core.errors import UserError
from voxnas.core.record import Positive, Record, Triple
from voxnas.core.settings import CleaningSettings, ClipUnit, ClipWindow, Normalization, Spacing, Task


class InputView(Record):
    """The input of a network, and how stages pool it.

    Strides and kernels have one entry a stage; the first stride is (1, 1, 1).
    """

    channels: Positive
    patch: Triple = Field(description="Size (D, H, W) in voxels.")
    strides: tuple[Triple, ...]
    kernels: tuple[Triple, ...]
    spacing: Spacing = Field(description="Voxel size in mm along R, A, S, which is (x, y, z).")
    frames: Annotated[int, Field(ge=0)] = Field(
        0, exclude_if=lambda frames: not frames, description="Volumes of a clip; 0: there is no axis of time."
    )

    @property
    def spacing_dhw(self) -> tuple[float, float, float]:
        """Voxel size in mm along D, H, W."""
        x, y, z = self.spacing
        return z, y, x


class _Plan(InputView):
    """The part of a plan that volumes and runs share."""

    schema_version: Literal[1] = 1
    task: Task
    outputs: Positive = Field(description="Numbers that a network predicts for each voxel or scan.")
    labels: dict[str, str] = Field({}, description="Segmentation: name of each label value.")
    classes: tuple[str, ...] = Field((), description="Classification: names of the classes, in order of the outputs.")

    @property
    def label_values(self) -> list[int]:
        """Values of the labels in the images, sorted; the position of a value is its class index."""
        return sorted(map(int, self.labels))


class VolumeFingerprint(Record):
    """Statistics of the scans outside the test split, after the crop; sizes and spacings along R, A, S."""

    median_shape: Triple
    median_spacing: Spacing
    scans: Positive


class VolumePlan(_Plan):
    """The plan of a study whose scans are volumes."""

    timed: ClassVar[Literal[False]] = False
    unit: ClassVar[str] = "scan"
    view: ClassVar[str] = ""
    views: ClassVar[Mapping[str, InputView]] = {}

    normalize: Normalization
    crop: bool = Field(description="Crop to the box of the non-zero voxels.")
    masked: bool = Field(False, description="Zeros are stripped background, in most of the scans.")
    fingerprint: VolumeFingerprint

    def for_view(self, view: str) -> Self:
        """Return the plan itself; a UserError for a view of a run, as volumes have none."""
        if view:
            raise UserError(
                f"a network reads the view {view!r}, and the study prepares volumes",
                "views are for studies of time series (data.suffix: bold)",
            )
        return self

    def for_volumes(self) -> Self:
        """Return the plan itself."""
        return self


class Grid(Record):
    """The voxel grid that all runs of a study share."""

    shape: Triple = Field(description="(X, Y, Z), canonical.")
    affine: tuple[tuple[float, ...], ...] = Field(description="Canonical voxels to mm, (4, 4).")
    box: tuple[tuple[int, int], ...] = Field(description="First and last voxel + 1 of the brain along X, Y, Z.")


class RunFingerprint(Record):
    """Statistics of the runs outside the test split; the shape (X, Y, Z) is at the plan's spacing."""

    median_shape: Triple
    median_frames: Positive
    shortest: Positive = Field(description="Volumes of the shortest run.")
    runs: Positive


class RunPlan(_Plan):
    """The plan of a study of time series.

    Channels, patch, strides, kernels and frames are the ones of the default `view`. The spacing is the one of the
    voxel grid, whatever the view.
    """

    timed: Literal[True] = True
    layout: str = Field(description="`bids`, or `timeseries` for the series of an atlas's regions.")
    unit: ClipUnit = Field(description="Has a target and a score.")
    target: str = Field(description="Column of the target; empty: the events' trial_type.")
    clip: ClipWindow
    grid: Grid | None = Field(description="None: the runs do not share one.")
    atlas: str = Field(description="Label image of regions; empty: none.")
    regions: tuple[int, ...] = Field(description="Values of the regions in the atlas.")
    bold: CleaningSettings
    repetition_time: float | None = Field(description="Median over the runs, in s; None: unknown.")
    views: dict[str, InputView]
    view: str = Field(description="Default view of the searched networks.")
    fingerprint: RunFingerprint

    def for_view(self, view: str) -> Self:
        """Return the plan as a network of a view sees it: channels, patch, strides, kernels and spacing are the view's.

        Parameters
        ----------
        view : str
            ``clips``, ``maps``, ``series`` or ``connectivity``; empty: the default one.

        Raises
        ------
        UserError
            If the study does not prepare the view.
        """
        if not view:
            return self
        if view not in self.views:
            raise UserError(
                f"a network reads the view {view!r}, and the study prepares {', '.join(self.views)}",
                "add it to clips.views",
            )
        return self.model_copy(update={**dict(self.views[view]), "view": view})

    def for_volumes(self) -> Self:
        """Return the plan of the first view without an axis of time, or of the default one."""
        return self.for_view(next((view for view in self.views if view != "clips"), ""))


Plan = VolumePlan | RunPlan
