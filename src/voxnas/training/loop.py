"""The training loop of all networks, tasks and backends."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn
from torch.amp import GradScaler

from voxnas.core.errors import UserError
from voxnas.core.seeds import derive_seed
from voxnas.core.spec import EffectiveTraining
from voxnas.core.training import Training
from voxnas.nn.network import Network
from voxnas.nn.precision import resolve_precision
from voxnas.training.averaging import averaged
from voxnas.training.distributed.balance import Balance
from voxnas.training.distributed.base import Backend
from voxnas.training.failures import divergence
from voxnas.training.gradients import Gradients
from voxnas.training.mask import Mask
from voxnas.training.metrics import Validation
from voxnas.training.optimizers import CLIP_NORM, build_optimizer, set_learning_rate
from voxnas.training.prefetch import Prefetcher
from voxnas.training.run_options import RunOptions
from voxnas.training.sampling.base import Sampler
from voxnas.training.schedules import batch_at, learning_rate_factor
from voxnas.training.state import Progress, SavedState, StateRefused, read_state, save_state
from voxnas.training.steps.base import Step

LOG_SECONDS = 10.0


@dataclass
class Outcome:
    """Outcome of a training.

    Parameters
    ----------
    state : str
        ``DONE``, ``STOPPED``, ``FAILED``, or ``INTERRUPTED`` for a training that will be resumed.
    reason : str
        Reason of an early end.
    score : float or None
        Final validation score, larger is better; None after a failure.
    metrics : dict of str to float
        Further scores of the same validation.
    samples, resumed_from : int
        Samples seen at the end and at the beginning.
    curve : list of dict
        Rows of curve.tsv, one for each validation.
    """

    state: str
    reason: str = ""
    score: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    samples: int = 0
    resumed_from: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class TrainingContext:
    """The process and the files of a training, which do not change its result.

    Parameters
    ----------
    folder : path
        Folder of the state in the store, named by the digest of the training.
    options : RunOptions
        ``checkpoint_seconds``, ``keep_state``, ``micro_batch``, ``recompute`` and ``shares`` are used.
    parent : path or None
        Folder of the training that this training continues.
    should_stop : callable
        Called after each step; True saves the state and ends the training.
    log : callable
        Receives one line of text for the user.
    observe : callable
        Receives after each step the progress, the loss of the batch and the learning rate.
    """

    folder: Path
    options: RunOptions = field(default_factory=RunOptions)
    parent: Path | None = None
    should_stop: Callable[[], bool] = lambda: False
    log: Callable[[str], None] = lambda line: None
    observe: Callable[[Progress, float, float], None] = lambda progress, loss, rate: None


def fit(
    network: nn.Module,
    job: Training,
    training: EffectiveTraining,
    step: Step,
    sampler: Sampler,
    validate: Validation | None,
    backend: Backend,
    context: TrainingContext,
    mask: Mask | None = None,
) -> Outcome:
    """Train a network to a number of samples, from the start or from a saved state.

    The batches depend only on the job's seed and the samples seen, and the learning rate only on the samples seen, so a
    resumed training is bit-identical to an uninterrupted one. A job with restarts trains to each restart in turn, as
    its earlier steps did, each time with a schedule from the learning rate to zero (warm restarts, Loshchilov and
    Hutter 2017, but with the state of the optimizer preserved). After `n` samples the rate depends on ``n / goal`` with
    the next goal among ``restarts`` and ``samples``. The job therefore ends with the same bits, whether it continues
    from the state of an earlier step or starts anew. With averaging in the recipe, the averaged weights are validated,
    and the network has them at the end.

    Parameters
    ----------
    network : nn.Module
        Has the initial weights; trained in place on the backend's device.
    job : Training
        Its recipe, seed, samples and restarts are used.
    training : EffectiveTraining
        Parameters of the train spec.
    step : Step
        The loss, and updates by additional optimizers.
    sampler, validate, backend, context
        The samples, the validation fold or None, the process group, and the process. Without a validation fold the
        rows of the curve and the outcome have no score, and `patience` has no effect.
    mask : Mask or None
        Mask of the weights that are fixed to 0.
    """
    batch_size, validations = training.batch_size, training.validations
    goals, patience = [*job.restarts, job.samples], training.patience
    large = training.large_batch
    growth, warm_up = (large.growth, large.warm_up) if large else ((), 0.0)
    device, options = backend.device, context.options
    optimizer = build_optimizer(network.to(device), job.recipe, large is not None and large.layerwise)
    if isinstance(network, Network):
        network.recompute = bool(options.recompute)
    average = averaged(network, job.recipe.averaging) if job.recipe.averaging else None
    networks = {"network": network} | ({"average": average} if average is not None else {})
    model, optimizer = backend.prepare(network, optimizer)
    scaler = GradScaler(device.type, enabled=resolve_precision(training.precision, device) is torch.float16)
    optimizers = {"optimizer": optimizer, **step.optimizers}
    progress = _restore(networks, optimizers, context, backend)
    if mask is not None:
        mask.apply()
    if progress.scaler:
        scaler.load_state_dict(progress.scaler)
    begun = progress.samples
    if not begun and job.restarts:
        context.log("the store has no state of the earlier step; training it again from the start")
    over = _is_over(progress, goals, patience)
    started = saved = logged = time.monotonic()
    network.train()
    batches = Prefetcher(sampler, ahead=device.type == "cuda")
    balance = Balance(backend, network) if options.shares == "measured" and backend.size > 1 else None
    compute = Gradients(model, backend, scaler, step.loss, training.precision, options.micro_batch)
    while not over:
        seen, total = progress.samples, goals[progress.rung]
        samples = range(seen, min(seen + batch_at(seen / total, batch_size, growth), total))
        after = range(samples.stop, min(samples.stop + batch_at(samples.stop / total, batch_size, growth), total))
        mine = backend.share(samples)
        if balance is not None:
            balance.begin()
        # A process without a share takes part in the exchange of gradients with the weight 0.
        images, targets = batches.batch(mine or samples[:1], backend.share(after) or after[:1])
        factor = learning_rate_factor(job.recipe.schedule, seen / total, seen / batch_size, warm_up)
        rate = job.recipe.learning_rate * factor
        set_learning_rate(optimizer, rate)
        torch.manual_seed(derive_seed(job.seed, "step", seen, backend.rank))  # for dropout
        step.begin(network, compute, samples)
        loss = compute(images, targets, len(mine) / len(samples))
        # This sum overlaps with the exchange of gradients; a sum after it would cost the latency of another exchange.
        news = backend.begin_sum(torch.stack([loss.double(), loss.new_tensor(context.should_stop()).double()]))
        backend.step(optimizer, CLIP_NORM, scaler)
        if mask is not None:
            mask.apply()
        if average is not None:
            average.update_parameters(network)
        batch_loss, stops = news().tolist()
        if balance is not None and balance.end(len(images)):
            context.log("samples per second of each process: " + ", ".join(f"{speed:.3g}" for speed in backend.speeds))
        progress.samples += len(samples)
        if reason := divergence("loss", batch_loss, progress.samples):
            return Outcome("FAILED", reason, None, {}, progress.samples, begun, progress.curve)
        progress.loss_sum += batch_loss * len(samples)
        progress.loss_count += len(samples)

        marks = (math.ceil(total * (i + 1) / validations) for i in range(validations))
        if any(seen < mark <= progress.samples for mark in marks):
            judged = network if average is None else average.module
            score, metrics = validate(judged, backend) if validate else (None, {})
            if score is not None and (reason := divergence("score", score, progress.samples)):
                return Outcome("FAILED", reason, None, {}, progress.samples, begun, progress.curve)
            _enter(progress, score, metrics, rate, step.facts())
            context.log(_line(progress, job.samples, sampler.epoch, rate, started, begun))
            logged = time.monotonic()
        context.observe(progress, batch_loss, rate)
        over = _is_over(progress, goals, patience)
        now = time.monotonic()
        if now - logged > LOG_SECONDS:
            context.log(_line(progress, job.samples, sampler.epoch, rate, started, begun))
            logged = now
        leaving = stops > 0 and not over
        if backend.rank == 0 and (leaving or (over and options.keep_state) or now - saved > options.checkpoint_seconds):
            progress.scaler = scaler.state_dict()
            save_state(context.folder, context.folder.name, networks, optimizers, progress)
            saved = now
        if leaving:
            return Outcome("INTERRUPTED", "", None, {}, progress.samples, begun, progress.curve)
    if average is not None:
        network.load_state_dict(average.module.state_dict())
    last = progress.curve[-1]
    metrics = {name.removeprefix("val_"): value for name, value in last.items() if name.startswith("val_")}
    stopped = progress.samples < job.samples
    state, reason = ("STOPPED", f"no better score in {progress.stale} validations") if stopped else ("DONE", "")
    return Outcome(state, reason, metrics.pop("score", None), metrics, progress.samples, begun, progress.curve)


def _is_over(progress: Progress, goals: list[int], patience: int) -> bool:
    """Whether the last goal or a plateau before it is reached; an earlier goal or plateau begins the next rung."""
    ended = progress.samples >= goals[progress.rung] or 0 < patience <= progress.stale
    if ended and progress.rung + 1 < len(goals):
        progress.rung, progress.best, progress.stale = progress.rung + 1, None, 0
        return False
    return ended


def _restore(
    networks: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
    context: TrainingContext,
    backend: Backend,
) -> Progress:
    """Load the state of this training or of its parent; without a usable state start with zero progress.

    Process 0 reads the state and broadcasts it. Processes that read it separately could disagree, for example if one of
    them cannot see the file yet, and would then take different numbers of steps.
    """
    saved = backend.broadcast(_find_state(context) if backend.rank == 0 else None)
    if saved is None:
        return Progress()
    saved.load(networks, optimizers)
    return saved.progress


def _find_state(context: TrainingContext) -> SavedState | None:
    """Read the state of this training, or else of its parent."""
    for folder in filter(None, (context.folder, context.parent)):
        try:
            saved = read_state(folder, folder.name)
        except (StateRefused, UserError) as error:
            context.log(f"state refused, training again: {error}")
            continue
        if saved is not None:
            context.log(f"resuming at {saved.progress.samples} samples")
            return saved
    return None


def _enter(
    progress: Progress, score: float | None, metrics: dict[str, float], rate: float, facts: dict[str, float]
) -> None:
    """Record a validation in the progress; without a score, the loss, the learning rate and the facts of the step."""
    loss = progress.loss_sum / progress.loss_count
    row = {"samples": progress.samples, "train_loss": loss, "learning_rate": rate, **facts}
    progress.loss_sum, progress.loss_count = 0.0, 0
    if score is None:
        progress.curve.append(row)
        return
    progress.curve.append({**row, "val_score": score, **{f"val_{k}": v for k, v in metrics.items()}})
    better = progress.best is None or score > progress.best
    progress.best, progress.stale = (score, 0) if better else (progress.best, progress.stale + 1)


def _line(progress: Progress, total: int, epoch: int, rate: float, started: float, begun: int) -> str:
    """Format the progress for the user."""
    left = (time.monotonic() - started) / (progress.samples - begun) * (total - progress.samples)
    row = progress.curve[-1] if progress.curve else {}
    loss = progress.loss_sum / progress.loss_count if progress.loss_count else row["train_loss"]
    score = f"{row['val_score']:.4f}" if "val_score" in row else "-"
    return (
        f"epoch {progress.samples / epoch:6.1f}  samples {progress.samples}/{total}  loss {loss:.4f}  "
        f"score {score}  learning rate {rate:.2e}  {left:.0f} s left"
    )
