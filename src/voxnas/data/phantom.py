"""The embedded data set: a simulated cohort, derived from the MNI152 template of nilearn.

Each participant is the template (Fonov et al. 2011, ICBM 2009a) after, in this order

1. an atrophy between 0 and 1, which increases with age and is larger in the group ``atrophy``: the
   ventricles are enlarged, and CSF replaces cortex;
2. an individual rotation, scaling, translation and smooth deformation;
3. the properties of a site: storage orientation, voxel size, contrast, bias field and Rician noise.

Only tissue volumes depend on the target; size, contrast and noise vary independently of it. The image shows the brain
only, as after skull stripping.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import pandas as pd
from scipy import ndimage

from voxnas.core.seeds import derive_seed
from voxnas.io.nifti import save_image
from voxnas.io.records import write_json, write_text
from voxnas.io.tables import write_table

TISSUES = ("background", "csf", "grey", "white")
AGES = (20.0, 85.0)
DERIVATIVES = "phantom"
TEMPLATE_MM = 2
FWHM = 2.3548  # of a Gaussian, in standard deviations


class Site(NamedTuple):
    """Image properties of one scanner.

    `scale` multiplies the voxel size along R, A and S; `gain` is the intensity of white matter.
    """

    name: str
    orientation: str
    scale: tuple[float, float, float]
    gain: float
    noise: float
    bias: float


SITES = (
    Site("north", "RAS", (1.0, 1.0, 1.0), 1000.0, 0.025, 0.06),
    Site("south", "LPS", (1.0, 1.0, 1.2), 700.0, 0.04, 0.12),
    Site("west", "PSR", (1.05, 0.96, 0.96), 220.0, 0.03, 0.09),
)


@dataclass(frozen=True)
class Template:
    """Maps of the template on one grid.

    Parameters
    ----------
    maps : ndarray, (5, X, Y, Z)
        CSF, grey matter, white matter, texture (T1 minus its tissue means), and proximity to the
        outer surface.
    pull : ndarray, (3, X, Y, Z)
        Vector field towards the ventricles, of length at most 1, along R, A and S.
    affine : ndarray, (4, 4)
        Voxels to mm.
    """

    maps: np.ndarray
    pull: np.ndarray
    affine: np.ndarray


class Person(NamedTuple):
    """One row of participants.tsv, and the atrophy in the image."""

    participant_id: str
    age: float
    group: str
    site: Site
    atrophy: float


@lru_cache(maxsize=1)
def load_template(spacing_mm: float) -> Template:
    """Load the template's maps, smoothed to the resolution of voxels of the given size in mm."""
    from nilearn import datasets

    image = datasets.load_mni152_template(resolution=TEMPLATE_MM)
    grey = datasets.load_mni152_gm_template(resolution=TEMPLATE_MM).get_fdata()
    white = datasets.load_mni152_wm_template(resolution=TEMPLATE_MM).get_fdata()
    t1 = image.get_fdata()
    # Resampling leaves small values outside the brain, hence the threshold above zero.
    brain = ndimage.binary_fill_holes(t1 > 0.02)
    grey, white = np.clip(grey, 0, 1) * brain, np.clip(white, 0, 1) * brain
    csf = np.clip(brain - grey - white, 0, 1)
    texture = (t1 - 0.30 * csf - 0.65 * grey - 0.87 * white) * brain

    depth = ndimage.distance_transform_edt(brain) * TEMPLATE_MM
    ventricles = csf * (depth > 20)
    reach = ndimage.gaussian_filter(ventricles, 5 / TEMPLATE_MM)
    pull = np.stack(np.gradient(reach))
    pull /= np.sqrt((pull**2).sum(axis=0)).max()
    surface = np.clip(1.5 - depth / 6, 0, 1)

    sigma = np.sqrt(max(spacing_mm**2 - TEMPLATE_MM**2, 0)) / FWHM / TEMPLATE_MM
    maps = np.stack([ndimage.gaussian_filter(m, sigma) for m in (csf, grey, white, texture)] + [surface])
    return Template(maps.astype(np.float32), pull.astype(np.float32), image.affine)


def draw_people(participants: int, seed: int) -> list[Person]:
    """Draw the cohort: both groups equally often, ages spread evenly, sites at random."""
    rng = np.random.default_rng(derive_seed(seed, "people"))
    groups = rng.permutation([("control", "atrophy")[i % 2] for i in range(participants)])
    width = max(2, len(str(participants)))
    people = []
    # Evenly spread ages, so that a small cohort has young and old participants.
    shares = rng.permutation((np.arange(participants) + rng.uniform(size=participants)) / participants)
    for number, (group, share) in enumerate(zip(groups, shares, strict=True), start=1):
        age = round(AGES[0] + share * (AGES[1] - AGES[0]), 1)
        atrophy = float(np.clip(0.05 + 0.7 * share + 0.25 * (group == "atrophy") + rng.normal(0, 0.06), 0, 1))
        site = SITES[rng.choice(len(SITES), p=(0.6, 0.25, 0.15))]
        people.append(Person(f"sub-{number:0{width}d}", age, str(group), site, atrophy))
    return people


def smooth_field(rng: np.random.Generator, shape: tuple[int, ...], knots: int) -> np.ndarray:
    """Draw a smooth random field with unit variance at its knots."""
    coarse = rng.normal(size=(knots, knots, knots))
    return ndimage.zoom(coarse, np.array(shape) / knots, order=3, mode="nearest", grid_mode=True)


def rotation(angles: np.ndarray) -> np.ndarray:
    """Return the rotation about R, then A, then S, by angles in radians."""
    rotated = np.eye(3)
    for axis, angle in enumerate(angles):
        c, s = np.cos(angle), np.sin(angle)
        plane = [i for i in range(3) if i != axis]
        turn = np.eye(3)
        turn[np.ix_(plane, plane)] = [[c, -s], [s, c]]
        rotated = turn @ rotated
    return rotated


class Head(NamedTuple):
    """Tissue maps of one participant's head, on a canonical grid of (X, Y, Z) voxels.

    `csf`, `grey` and `white` are fractions of a voxel, `texture` is the difference of the template's T1 from their
    means; `at`, (3, X, Y, Z), is the position in the template in mm; `affine` maps voxels to mm.
    """

    csf: np.ndarray
    grey: np.ndarray
    white: np.ndarray
    texture: np.ndarray
    at: np.ndarray
    affine: np.ndarray


def make_head(template: Template, person: Person, spacing_mm: float, rng: np.random.Generator) -> Head:
    """Deform the template to one participant's head, on the voxel grid of the participant's site."""
    spacing = spacing_mm * np.array(person.site.scale)
    field_of_view = np.array(template.maps.shape[1:]) * TEMPLATE_MM
    shape = tuple(int(n) for n in np.round(field_of_view / spacing) + rng.integers(-1, 2, size=3))
    centre = template.affine[:3, :3] @ ((np.array(template.maps.shape[1:]) - 1) / 2) + template.affine[:3, 3]
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = centre - spacing * (np.array(shape) - 1) / 2

    # The position of each voxel in the template, in mm.
    grid = np.indices(shape).reshape(3, -1)
    world = affine[:3, :3] @ grid + affine[:3, 3:] - centre[:, None]
    world = rotation(rng.normal(0, np.radians(2), size=3)) @ world / rng.normal(1, 0.03, size=(3, 1))
    world += centre[:, None] + rng.normal(0, 1.5, size=(3, 1))
    world += np.stack([2 * smooth_field(rng, shape, 6).ravel() for _ in range(3)])
    inverse = np.linalg.inv(template.affine)

    def sample(volume: np.ndarray, at: np.ndarray) -> np.ndarray:
        return ndimage.map_coordinates(volume, inverse[:3, :3] @ at + inverse[:3, 3:], order=1)

    # Positions shifted towards the ventricles enlarge them.
    pull = np.stack([sample(p, world) for p in template.pull])
    csf, grey, white, texture, surface = (sample(m, world + 11 * person.atrophy * pull) for m in template.maps)
    lost = 0.55 * person.atrophy * surface * grey
    csf, grey, white, texture = (m.reshape(shape) for m in (csf + lost, grey - lost, white, texture))
    return Head(csf, grey, white, texture, world.reshape(3, *shape), affine)


def simulate_t1(head: Head, site: Site, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Simulate the T1-weighted image of a head, in canonical orientation.

    Returns
    -------
    image : ndarray, (X, Y, Z), int16
        Intensities, 0 outside the brain.
    label : ndarray, (X, Y, Z), uint8
        Indices of :data:`TISSUES`.
    """
    csf, grey, white = head.csf, head.grey, head.white
    label = np.argmax([1 - csf - grey - white, csf, grey, white], axis=0).astype(np.uint8)
    means = rng.normal((0.28, 0.62, 0.88), (0.02, 0.02, 0.01))
    signal = means[0] * csf + means[1] * grey + means[2] * white + head.texture
    signal = signal * np.exp(site.bias * smooth_field(rng, label.shape, 3))
    noise = rng.normal(0, site.noise, size=(2, *label.shape))
    signal = site.gain * np.hypot(signal + noise[0], noise[1])
    # Zero marks the stripped background, so no voxel of the brain is zero.
    image = np.where(label > 0, np.clip(np.round(signal), 1, 32767), 0).astype(np.int16)
    return image, label


def save_canonical(path: Path, array: np.ndarray, affine: np.ndarray, orientation: str, step_s: float = 0) -> None:
    """Store a canonical array, (X, Y, Z) or (X, Y, Z, T), in the given orientation; equal data give equal bytes.

    `step_s` is the repetition time in s, 0 for a single volume.
    """
    image = nib.Nifti1Image(array, affine)
    codes = nib.orientations.axcodes2ornt
    image = image.as_reoriented(nib.orientations.ornt_transform(codes("RAS"), codes(orientation)))
    if step_s:
        image.header.set_zooms((*image.header.get_zooms()[:3], step_s))
    image.header.set_xyzt_units("mm", "sec" if step_s else None)
    image.set_qform(image.affine, 1)
    image.set_sform(image.affine, 1)
    save_image(path, image)


def write_t1(output: Path, person: Person, image: np.ndarray, affine: np.ndarray) -> None:
    """Write a canonical T1-weighted image, (X, Y, Z), and its sidecar into the data set."""
    path = output / person.participant_id / "anat" / f"{person.participant_id}_T1w.nii.gz"
    save_canonical(path, image, affine, person.site.orientation)
    sidecar = {"Modality": "MR", "SkullStripped": True, "StationName": person.site.name}
    write_json(path.with_name(f"{person.participant_id}_T1w.json"), sidecar)


def write_texts(output: Path, people: list[Person], task: str, readme: str = "") -> None:
    """Write the texts of the data set as a whole; the default of the README is this module's docstring."""
    version = {"BIDSVersion": "1.9.0", "License": "as the ICBM 2009a template"}
    write_json(
        output / "dataset_description.json",
        {"Name": "Voxnas phantom", "DatasetType": "raw", "GeneratedBy": [{"Name": "voxnas phantom"}], **version},
    )
    write_text(output / "README", (readme or __doc__ or "").strip() + "\n")
    table = pd.DataFrame([p._asdict() for p in people]).drop(columns="atrophy")
    write_table(output / "participants.tsv", table.assign(site=[p.site.name for p in people]))
    write_json(
        output / "participants.json",
        {
            "age": {"Description": "age of the participant", "Units": "year"},
            "group": {"Levels": {"control": "age alone", "atrophy": "more atrophy than age explains"}},
            "site": {"Levels": {s.name: f"stored {s.orientation}, voxels scaled by {s.scale}" for s in SITES}},
        },
    )
    if task == "segmentation":
        folder = output / "derivatives" / DERIVATIVES
        write_json(
            folder / "dataset_description.json",
            {
                "Name": "Tissues",
                "DatasetType": "derivative",
                "GeneratedBy": [{"Name": "voxnas phantom"}],
                **version,
            },
        )
        names = pd.DataFrame({"index": range(1, len(TISSUES)), "name": TISSUES[1:]})
        write_table(folder / "dseg.tsv", names)


def generate_phantom(output: str | Path, task: str, participants: int, spacing_mm: float, seed: int) -> None:
    """Write the cohort as a BIDS data set.

    Equal arguments give equal bytes.

    Parameters
    ----------
    output : path
        Folder of the data set.
    task : str
        ``segmentation`` also writes tissue label maps, under ``derivatives/phantom``.
    participants : int
        Size of the cohort.
    spacing_mm : float
        Voxel size of the site ``north`` in mm; other sites differ slightly.
    seed : int
        Seed of all random draws.
    """
    output = Path(output)
    people = draw_people(participants, seed)
    template = load_template(spacing_mm)
    write_texts(output, people, task)
    for person in people:
        name = person.participant_id
        rng = np.random.default_rng(derive_seed(seed, name))
        head = make_head(template, person, spacing_mm, rng)
        image, label = simulate_t1(head, person.site, rng)
        write_t1(output, person, image, head.affine)
        if task == "segmentation":
            folder = output / "derivatives" / DERIVATIVES / name / "anat"
            save_canonical(folder / f"{name}_dseg.nii.gz", label, head.affine, person.site.orientation)
