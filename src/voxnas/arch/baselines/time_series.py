"""Hand-made networks on the views of a run, as references for searched 4D networks.

None of these baselines flips its input, for the hemispheres of a brain respond differently. The axes of series and
matrices are not spatial, so these inputs are not distorted either.
"""

from voxnas.arch.baselines.base import VECTOR, WHOLE, Pair, baseline, halved_to_fit
from voxnas.arch.baselines.handmade import residual_cnn, residual_encoder, resnet_recipe, sfcn
from voxnas.arch.families.clip import Clip
from voxnas.arch.families.reference import Reference
from voxnas.core.architecture import Recipe
from voxnas.core.plan import Plan
from voxnas.core.settings import LimitSettings


def _unflipped(recipe: Recipe, **strengths: float) -> Recipe:
    return recipe.model_copy(update={"mirror": "none", **strengths})


_STILL = {"spatial": 0.0, "intensity": 0.0}


@baseline("maps-sfcn", *VECTOR, view="maps")
def maps_sfcn(plan: Plan, limits: LimitSettings) -> Pair:
    """SFCN (Peng et al. 2021) on the maps of mean and deviation over time."""
    architecture, recipe = sfcn.build(plan, limits)
    return architecture, _unflipped(recipe)


@baseline("cnn-gru", *VECTOR, view="clips")
def cnn_gru(plan: Plan, limits: LimitSettings) -> Pair:
    """A residual CNN of each volume, and over their vectors a GRU (after Donahue et al. 2015, CVPR, with an LSTM).

    16, 32, 64, 128 channels and 64 units, halved until the limits hold.
    """

    def build(base: int) -> Clip:
        return Clip(**residual_encoder(plan, base), time_head="gru", time_width=4 * base)

    recipe = resnet_recipe(plan.task)
    return halved_to_fit(build, 16, plan, limits), _unflipped(recipe)


@baseline("series-resnet1d", *VECTOR, view="series")
def series_resnet(plan: Plan, limits: LimitSettings) -> Pair:
    """A ResNet along time (Wang et al. 2017, IJCNN) whose channels are the regions: 32, 64, 128, 256 wide."""
    return residual_cnn(plan, limits, 32), _unflipped(resnet_recipe(plan.task), **_STILL)


@baseline("connectivity-cnn", *VECTOR, view="connectivity", units=WHOLE)
def connectivity_cnn(plan: Plan, limits: LimitSettings) -> Pair:
    """BrainNetCNN (Kawahara et al. 2017) on the matrix of correlations."""

    def build(base: int) -> Reference:
        options = {"regions": plan.patch[2], "width": base}
        return Reference(
            name="brainnetcnn",
            in_channels=plan.channels,
            out_channels=plan.outputs,
            options=tuple(options.items()),
        )

    return halved_to_fit(build, 32, plan, limits), _unflipped(resnet_recipe(plan.task), **_STILL)
