"""The embedded data set of time series: the heads of :mod:`voxnas.data.phantom` during a task with pictures.

Each participant has a T1-weighted image and runs of BOLD volumes. Each volume of a run samples the participant's head
at its current pose, with

- responses to blocks of pictures (faces, houses, tools), each kind in its own regions: the haemodynamic response of
  SPM (Friston et al. 1998), decreasing with age;
- fluctuations below 0.08 Hz, shared by the nodes of two networks: the sensorimotor network equally in all participants,
  the default mode network less in the group ``atrophy``, as in dementia (Greicius et al. 2004);
- known rigid motion: ``derivatives/phantom`` has the true pose at each volume;
- interleaved slices, and at the start the site's number of non-steady-state volumes;
- drifts, pulsation (mostly in CSF), a bias field fixed to the scanner, and Rician noise.

Targets: ``group`` (in T1w by atrophy, in BOLD by connectivity), ``age`` (atrophy, amplitude of the
responses), and the kind of picture of each volume (events).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import ndimage

from voxnas.core.seeds import derive_seed
from voxnas.data.fmri.pose import MOTION, to_matrix
from voxnas.data.phantom import (
    AGES,
    DERIVATIVES,
    FWHM,
    Head,
    Person,
    draw_people,
    load_template,
    make_head,
    save_canonical,
    simulate_t1,
    smooth_field,
    write_t1,
    write_texts,
)
from voxnas.io.records import write_json
from voxnas.io.tables import write_table

TASK, RUNS, FRAMES, REPETITION_TIME = "pictures", 2, 72, 2.0  # the last in seconds
BLOCK, PAUSE = 12.0, 8.0  # seconds of pictures and of rest
TISSUE_SIGNAL = (1.0, 0.75, 0.6)  # of CSF, grey and white matter in a T2*-weighted image
NON_STEADY = {"north": 2, "south": 0, "west": 3}
BLOB_MM, RESPONSE, FLUCTUATION, DRIFT, PULSATION = 9.0, 0.05, 0.02, 0.012, 0.02
REACH_MM = 15.0  # margin around the brain that includes its motion

Places = tuple[tuple[float, float, float], ...]
# Centres in mm (MNI) of the regions that respond to each kind of picture.
RESPONSES: Mapping[str, Places] = {
    "faces": ((42, -54, -18), (-42, -54, -18), (50, -72, 2)),
    "houses": ((26, -42, -10), (-26, -42, -10), (16, -58, 12)),
    "tools": ((-48, 6, 30), (-50, -62, -4), (-38, -42, 46)),
}
NETWORKS: Mapping[str, Places] = {
    "default": ((0, -54, 28), (0, 52, 4), (-46, -66, 32), (46, -66, 32)),
    "sensorimotor": ((-38, -24, 56), (38, -24, 56), (0, -10, 60)),
}


class Run(NamedTuple):
    """One run, in canonical orientation.

    `image`, (X, Y, Z, T), int16; `affine`, (4, 4), voxels to mm; `motion`, (T, 6), the pose of the head at each volume
    relative to the T1-weighted image (:mod:`voxnas.data.fmri.pose`), about `centre` (3 numbers, mm); `slice_times`,
    one for each slice along `slice_axis`, in s; the first `non_steady` volumes are not in steady state.
    """

    image: np.ndarray
    affine: np.ndarray
    motion: np.ndarray
    centre: np.ndarray
    events: pd.DataFrame
    slice_times: np.ndarray
    slice_axis: int
    non_steady: int


def draw_motion(frames: int, rng: np.random.Generator, scale: float = 1.0) -> np.ndarray:
    """Draw the involuntary motion of a head: slow drifts and a few sudden movements.

    Parameters
    ----------
    frames : int
        Number of volumes T.
    rng : Generator
        Random generator.
    scale : float
        Amplitude; 1 is about 0.5 mm and 0.5 degrees.

    Returns
    -------
    ndarray, (T, 6)
        As :attr:`Run.motion`, relative to the pose at the start.
    """
    knots = max(4, frames // 14)
    slow = ndimage.zoom(rng.normal(0, 0.45, size=(knots, 6)), (frames / knots, 1), order=3, mode="nearest")[:frames]
    jerks = np.zeros((frames, 6))
    for frame in rng.integers(frames // 8, frames, size=2):
        jerks[frame:] += rng.normal(0, 0.3, size=6)
    motion = scale * (slow + jerks)
    motion[:, 3:] = np.radians(motion[:, 3:])
    return motion


def draw_events(seconds: float, rng: np.random.Generator) -> pd.DataFrame:
    """Draw blocks of pictures in random order, with numbers of each kind that differ by one at most."""
    blocks = max(1, int((seconds - PAUSE) // (BLOCK + PAUSE)))
    kinds = np.concatenate([rng.permutation(list(RESPONSES)) for _ in range(-(-blocks // len(RESPONSES)))])[:blocks]
    onsets = PAUSE + (BLOCK + PAUSE) * np.arange(blocks)
    return pd.DataFrame({"onset": onsets, "duration": BLOCK, "trial_type": kinds})


def _fluctuation(times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw noise between 0.01 and 0.08 Hz with unit variance, at evenly spaced times in s."""
    spectrum = np.fft.rfft(rng.normal(size=len(times)))
    frequency = np.fft.rfftfreq(len(times), times[1] - times[0])
    series = np.fft.irfft(spectrum * ((frequency > 0.01) & (frequency < 0.08)), len(times))
    return series / max(float(series.std()), 1e-6)


def _sources(
    person: Person, events: pd.DataFrame, times: np.ndarray, rng: np.random.Generator
) -> list[tuple[Places, np.ndarray]]:
    """Draw the sources of signal changes: centres in the template, and the relative change at `times`."""
    from nilearn.glm.first_level import compute_regressor

    youth = 1 - (person.age - AGES[0]) / (AGES[1] - AGES[0])
    sources = []
    for kind, places in RESPONSES.items():
        shown = events[events["trial_type"] == kind]
        condition = np.stack([shown["onset"], shown["duration"], np.ones(len(shown))]).astype(float)
        response = compute_regressor(condition, "spm", times)[0][:, 0]
        sources.append((places, RESPONSE * (0.6 + 0.8 * youth) * response / max(response.max(), 1e-6)))
    for name, nodes in NETWORKS.items():
        shared = 0.1 if (name, person.group) == ("default", "atrophy") else 0.8
        common = _fluctuation(times, rng)
        for node in nodes:
            own = _fluctuation(times, rng)
            sources.append(((node,), FLUCTUATION * (np.sqrt(shared) * common + np.sqrt(1 - shared) * own)))
    return sources


def _blobs(at: np.ndarray, grey: np.ndarray, places: Places) -> np.ndarray:
    """Weight grey matter by proximity to the places, (X, Y, Z); `at`, (3, X, Y, Z), are positions in the template."""
    distance = [((at - np.reshape(place, (3, 1, 1, 1))) ** 2).sum(axis=0) for place in places]
    return np.exp(-np.min(distance, axis=0) / (2 * BLOB_MM**2)) * grey


def interleaved(slices: int, repetition_time: float) -> np.ndarray:
    """Return the times in s of an interleaved acquisition: the even slices, then the odd slices."""
    order = [*range(0, slices, 2), *range(1, slices, 2)]
    times = np.empty(slices)
    times[order] = np.arange(slices) * repetition_time / slices
    return times


def make_run(
    head: Head,
    person: Person,
    spacing_mm: float,
    rng: np.random.Generator,
    frames: int = FRAMES,
    motion_scale: float = 1.0,
) -> Run:
    """Simulate a run.

    Parameters
    ----------
    head : Head
        On a finer grid than the run's.
    person : Person
        The participant.
    spacing_mm : float
        Voxel size, before the site's scale.
    rng : Generator
        Random generator.
    frames : int
        Number of volumes T; the int16 image determines the memory.
    motion_scale : float
        Of :func:`draw_motion`.
    """
    site = person.site
    spacing = spacing_mm * np.array(site.scale)
    fine_shape = np.array(head.grey.shape)
    centre = head.affine[:3, :3] @ ((fine_shape - 1) / 2) + head.affine[:3, 3]
    shape = tuple(int(n) for n in np.round(fine_shape * np.diag(head.affine)[:3] / spacing))
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = centre - spacing * (np.array(shape) - 1) / 2

    events = draw_events(frames * REPETITION_TIME, rng)
    step = REPETITION_TIME / 8
    times = np.arange(0, (frames + 1) * REPETITION_TIME, step)
    sources = _sources(person, events, times, rng)
    pose = np.concatenate([rng.normal(0, 1.5, size=3), np.radians(rng.normal(0, 1.0, size=3))])
    motion = draw_motion(frames, rng, motion_scale) + pose

    # Slices are acquired along the third axis of the file.
    slice_axis = next(axis for axis, pair in enumerate(("RL", "AP", "SI")) if site.orientation[2] in pair)
    slice_times = interleaved(shape[slice_axis], REPETITION_TIME)
    grid = np.indices(shape).reshape(3, -1)
    world = affine[:3, :3] @ grid + affine[:3, 3:]
    bias = np.exp(2 * site.bias * smooth_field(rng, shape, 3)).ravel()
    # A voxel of the run contains the average over its size.
    fine = np.diag(head.affine)[:3]
    sigma = np.sqrt(np.maximum(spacing**2 - fine**2, 0)) / FWHM / fine
    csf, grey, white = (ndimage.gaussian_filter(m, sigma) for m in (head.csf, head.grey, head.white))
    still = TISSUE_SIGNAL[0] * csf + TISSUE_SIGNAL[1] * grey + TISSUE_SIGNAL[2] * white
    spline = ndimage.spline_filter(still, order=3)
    blobs = [_blobs(head.at, grey, places) for places, _ in sources]
    drift = DRIFT * (rng.normal(size=3) @ np.stack([np.linspace(-1, 1, frames) ** n for n in (1, 2, 3)]))
    pulse = PULSATION * rng.normal(size=frames)
    non_steady = NON_STEADY[site.name]

    to_fine = np.linalg.inv(head.affine)
    # Only voxels within reach of the head are simulated.
    reach = ndimage.distance_transform_edt(still < 0.05, sampling=fine) < REACH_MM
    at = to_fine @ np.linalg.inv(to_matrix(motion.mean(axis=0), centre))
    seen = ndimage.map_coordinates(reach, at[:3, :3] @ world + at[:3, 3:], order=0)
    world, slice_of, bias = world[:, seen], grid[slice_axis][seen], bias[seen]

    image = np.empty((*shape, frames), dtype=np.int16, order="F")
    for t in range(frames):
        at = to_fine @ np.linalg.inv(to_matrix(motion[t], centre))
        at = at[:3, :3] @ world + at[:3, 3:]
        signal = np.zeros(seen.size)
        inside = ndimage.map_coordinates(spline, at, order=3, prefilter=False)
        at_slices = t * REPETITION_TIME + slice_times
        change = drift[t] + pulse[t] * ndimage.map_coordinates(csf, at, order=1)
        for blob, (_, series) in zip(blobs, sources, strict=True):
            change += ndimage.map_coordinates(blob, at, order=1) * np.interp(at_slices, times, series)[slice_of]
        signal[seen] = inside * (1 + change) * bias * (1 + (0.5 * 0.4**t if t < non_steady else 0))
        noise = rng.normal(0, site.noise / 3, size=(2, signal.size))
        volume = site.gain * np.hypot(signal + noise[0], noise[1])
        image[..., t] = np.clip(np.round(volume), 0, 32767).astype(np.int16).reshape(shape)
    return Run(image, affine, motion, centre, events, slice_times, slice_axis, non_steady)


def write_run(output: Path, person: Person, number: int, run: Run) -> None:
    """Write a run, its sidecar and events into the data set, and the true motion."""
    name = f"{person.participant_id}_task-{TASK}_run-{number}"
    scan = output / person.participant_id / "func" / f"{name}_bold.nii.gz"
    save_canonical(scan, run.image, run.affine, person.site.orientation, REPETITION_TIME)
    # The slices of the file are ordered in the direction of the third letter of the orientation.
    times = run.slice_times if person.site.orientation[2] in "RAS" else run.slice_times[::-1]
    write_json(
        scan.with_name(f"{name}_bold.json"),
        {
            "TaskName": TASK,
            "RepetitionTime": REPETITION_TIME,
            "SliceTiming": [round(float(t), 4) for t in times],
            "SliceEncodingDirection": "k",
            "StationName": person.site.name,
        },
    )
    write_table(scan.with_name(f"{name}_events.tsv"), run.events)
    truth = output / "derivatives" / DERIVATIVES / person.participant_id / "func" / f"{name}_desc-motion_timeseries.tsv"
    write_table(truth, pd.DataFrame(run.motion, columns=list(MOTION)).round(6))
    about = {"RotationCentre": [float(c) for c in run.centre], "NonSteadyVolumes": run.non_steady}
    write_json(truth.with_suffix(".json"), about)


def generate_bold_phantom(
    output: str | Path, participants: int, spacing_mm: float, seed: int, runs: int = RUNS, frames: int = FRAMES
) -> None:
    """Write the cohort as a BIDS data set: T1w, BOLD, events, sidecars, and the true motion as a derivative.

    Equal arguments give equal bytes.

    Parameters
    ----------
    output : path
        Folder of the data set.
    participants : int
        Size of the cohort.
    spacing_mm : float
        Voxel size of the BOLD volumes at the site ``north`` in mm; other sites differ slightly. Voxels of the
        T1-weighted images have half the size.
    seed : int
        Seed of all random draws.
    runs, frames : int
        Number of runs of each participant, and of volumes of each run.
    """
    output = Path(output)
    people = draw_people(participants, seed)
    fine_mm = max(2.0, spacing_mm / 2)
    template = load_template(fine_mm)
    write_texts(output, people, "", __doc__ or "")
    write_json(
        output / "derivatives" / DERIVATIVES / "dataset_description.json",
        {
            "Name": "True motion",
            "BIDSVersion": "1.9.0",
            "DatasetType": "derivative",
            "GeneratedBy": [{"Name": "voxnas phantom"}],
        },
    )
    for person in people:
        name = person.participant_id
        rng = np.random.default_rng(derive_seed(seed, name))
        head = make_head(template, person, fine_mm, rng)
        write_t1(output, person, simulate_t1(head, person.site, rng)[0], head.affine)
        for number in range(1, runs + 1):
            rng = np.random.default_rng(derive_seed(seed, name, "run", number))
            write_run(output, person, number, make_run(head, person, spacing_mm, rng, frames))
