"""Handling of unusual and damaged files: generated here, and listed in the shared manifest."""

import csv
import gzip
import tracemalloc

import nibabel as nib
import numpy as np
import pytest

from voxnas.core.errors import ScanError
from voxnas.data.quality import VoxelChecks
from voxnas.io.nifti import (
    header_facts,
    load_array,
    load_label,
    open_image,
    save_like,
    shift_in_voxels,
)

SHAPE = (6, 7, 5)


def voxels(dtype=np.int16):
    return np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(dtype)


def make(path, array=None, affine=None, edit=None):
    """Write a NIfTI; `edit(header bytes as a structured array)` breaks the stored header."""
    image = nib.Nifti1Image(voxels() if array is None else array, np.diag([2, 2, 3, 1]) if affine is None else affine)
    data = bytearray(image.to_bytes())
    if edit:
        header = np.frombuffer(bytes(data[:348]), nib.Nifti1Header.template_dtype).copy()
        edit(header[0])
        data[:348] = header.tobytes()
    path.write_bytes(gzip.compress(bytes(data)) if path.suffix == ".gz" else bytes(data))
    return path


def put(field, value, index=None):
    def edit(header):
        if index is None:
            header[field] = value
        else:
            header[field][index] = value

    return edit


def both(*edits):
    def edit(header):
        for one in edits:
            one(header)

    return edit


BROKEN_HEADERS = {
    "dim0": (put("dim", 9, 0), "dim\\[0\\], is 9"),
    "negative": (put("dim", -5, 1), "all axes must be positive"),
    "datatype": (put("datatype", 9999), "datatype code 9999 is unknown"),
    "no datatype": (put("datatype", 0), "defines no voxel type"),
    "rgb": (put("datatype", 128), "RGB"),
    "complex": (put("datatype", 32), "complex"),
    "huge": (put("dim", 32767, slice(1, 4)), "requires 70 TB"),
    "nan affine": (put("srow_x", np.nan), "sform is unusable"),
    "magic": (put("magic", b"abc"), "no magic number"),
}


@pytest.mark.parametrize("name", BROKEN_HEADERS)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_broken_header_is_refused_in_words(tmp_path, name, suffix):
    edit, words = BROKEN_HEADERS[name]
    path = make(tmp_path / f"x{suffix}", edit=edit)
    with pytest.raises(ScanError, match=words) as caught:
        open_image(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


BROKEN_FILES = {
    "empty": (b"", "empty file"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "git-LFS pointer"),
    "annex": (b"/annex/objects/MD5E-s5--0.nii.gz\n", "git-annex pointer"),
    "html": (b"<!DOCTYPE html><html>404</html>", "HTML"),
    "text": (b"not found", "text"),
    "noise": (bytes(range(1, 256)) * 4, "not gzip"),
    "short gzip": (gzip.compress(b"\0" * 20), "20 bytes are too few"),
    "damaged gzip": (gzip.compress(b"\0" * 900)[:15], "damaged gzip"),
}


@pytest.mark.parametrize("name", BROKEN_FILES)
def test_a_file_that_is_no_image_is_refused_in_words(tmp_path, name):
    content, words = BROKEN_FILES[name]
    path = tmp_path / "x.nii.gz"
    path.write_bytes(content)
    with pytest.raises(ScanError, match=words):
        open_image(path)


def test_a_missing_file_and_a_dangling_link_are_told_apart(tmp_path):
    with pytest.raises(ScanError, match="no such file"):
        open_image(tmp_path / "x.nii.gz")
    link = tmp_path / "y.nii.gz"
    link.symlink_to(tmp_path / "annex")
    with pytest.raises(ScanError, match=r"git annex get"):
        open_image(link)


def test_gzip_under_a_plain_name_is_refused(tmp_path):
    make(tmp_path / "x.nii.gz").rename(tmp_path / "x.nii")
    with pytest.raises(ScanError, match=r"rename it to \.nii\.gz"):
        open_image(tmp_path / "x.nii")


def test_a_wrong_checksum_is_found_though_nibabel_reads_it(tmp_path):
    noise = np.random.default_rng(0).integers(0, 99, (20, 20, 20)).astype(np.int16)
    path = make(tmp_path / "x.nii.gz", noise)
    data = bytearray(path.read_bytes())
    data[-6] ^= 255
    path.write_bytes(data)
    assert nib.load(path).shape == noise.shape
    open_image(path)
    with pytest.raises(ScanError, match="CRC"):
        load_array(path)
    with pytest.raises(ScanError, match="CRC"):
        load_array(path)


def test_a_cut_file_is_found(tmp_path):
    packed, plain = make(tmp_path / "x.nii.gz"), make(tmp_path / "y.nii")
    packed.write_bytes(packed.read_bytes()[:-30])
    plain.write_bytes(plain.read_bytes()[:-30])
    whole = tmp_path / "z.nii.gz"  # an intact gzip of a truncated image
    whole.write_bytes(gzip.compress(plain.read_bytes()))
    for path, words in ((packed, "damaged gzip"), (plain, "requires"), (whole, "truncated")):
        with pytest.raises(ScanError, match=words):
            load_array(path)


def test_huge_claims_allocate_nothing(tmp_path):
    path = make(tmp_path / "x.nii.gz", edit=put("dim", 32767, slice(1, 4)))
    tracemalloc.start()
    with pytest.raises(ScanError):
        load_array(path)
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


@pytest.mark.parametrize("shape", [(9, 8), (1, 1, 1), (30, 3, 3), (4, 4, 4, 1, 2)])
def test_what_is_not_a_volume_is_refused(tmp_path, shape):
    with pytest.raises(ScanError, match=r"too small|a volume is required|5 axes"):
        open_image(make(tmp_path / "x.nii.gz", np.zeros(shape, np.int16)))


def test_trailing_singletons_are_squeezed(tmp_path):
    path = make(tmp_path / "x.nii.gz", voxels()[..., None, None])
    assert header_facts(open_image(path)).shape == SHAPE
    assert load_array(path)[0].shape == SHAPE
    assert load_label(path).shape == SHAPE


NO_TRANSFORM = (put("qform_code", 0), put("sform_code", 0))
ODD_HEADERS = {
    "no voxel size": (both(put("pixdim", 0, slice(1, 4)), *NO_TRANSFORM), "spacing", None, "spacing unknown"),
    "no voxel size, but an sform": (put("pixdim", 0, slice(1, 4)), "spacing", (2, 2, 3), ""),
    "unusable sform": (both(put("srow_x", np.nan), put("qform_code", 1)), "spacing", (2, 2, 3), "qform used"),
    "two transforms": (both(put("qform_code", 2), put("srow_x", -2, 0)), "orientation", "LAS", "RAS and LAS"),
    "header length": (put("sizeof_hdr", 999), "spacing", (2, 2, 3), "header length is stored as 999 instead of 348"),
}


@pytest.mark.parametrize("name", ODD_HEADERS)
def test_an_odd_header_is_accepted_with_a_warning(tmp_path, name):
    edit, fact, value, words = ODD_HEADERS[name]
    path = make(tmp_path / "x.nii.gz", edit=edit)
    image = open_image(path)
    facts = header_facts(image)
    assert getattr(facts, fact) == value
    assert any(words in w for w in facts.warnings) if words else not facts.warnings
    assert np.array_equal(load_array(path)[0], voxels())
    if name == "unusable sform":
        assert np.allclose(image.affine, np.diag([2, 2, 3, 1]))


def test_big_endian_nifti2_and_scaled_voxels_load_with_their_values(tmp_path):
    big = nib.Nifti1Image(voxels(), np.eye(4), nib.Nifti1Header(endianness=">"))
    two = nib.Nifti2Image(voxels(), np.eye(4))
    for name, image in (("big", big), ("two", two)):
        nib.save(image, tmp_path / f"{name}.nii.gz")
        assert np.array_equal(load_array(tmp_path / f"{name}.nii.gz")[0], voxels())
    scaled = make(tmp_path / "s.nii.gz", edit=both(put("scl_slope", 0.5), put("scl_inter", -10)))
    array, _ = load_array(scaled)
    assert array.dtype == np.float32
    assert np.allclose(array, 0.5 * voxels() - 10)


def test_voxels_that_are_not_finite_become_zero(tmp_path):
    array = voxels(np.float64)
    array[0, 0, :3] = np.nan, np.inf, 1e300
    path = make(tmp_path / "x.nii.gz", array)
    loaded, _ = load_array(path)
    assert np.isfinite(loaded).all()
    assert (loaded[0, 0, :3] == 0).all()
    assert looked_at(array[..., None]).voxels() == ["3 of 210 voxels are not finite, read as 0"]


def test_labels_are_rounded_not_cut(tmp_path):
    array = np.zeros(SHAPE, np.float32)
    array[0, 0, :2] = 1.9999, 1.0001
    label = load_label(make(tmp_path / "x.nii.gz", array), {0, 1, 2})
    assert label.dtype == np.int16
    assert label[0, 0, :2].tolist() == [2, 1]


@pytest.mark.parametrize(
    ("value", "words"), [(0.5, "fractional"), (np.nan, "fractional"), (-1, "negative"), (255, "255 is not one of 0, 1")]
)
def test_bad_labels_are_refused(tmp_path, value, words):
    array = np.zeros(SHAPE, np.float32)
    array[1, 1, 1] = value
    with pytest.raises(ScanError, match=words):
        load_label(make(tmp_path / "x.nii.gz", array), {0, 1})


def test_a_4d_label_is_refused(tmp_path):
    with pytest.raises(ScanError, match="must be 3D"):
        load_label(make(tmp_path / "x.nii.gz", np.zeros((*SHAPE, 2), np.uint8)))


def test_save_like_keeps_the_grid_and_equal_arrays_give_equal_bytes(tmp_path):
    affine = nib.affines.from_matvec([[0, -2, 0.1], [2, 0, 0], [0.1, 0, 3]], [5, -7, 11])
    edit = both(put("sform_code", 4), put("cal_max", 7))
    source = make(tmp_path / "x.nii.gz", voxels()[..., None], affine, edit)
    reference = open_image(source)
    label = (voxels() % 3).astype(np.int64)
    for name in ("a.nii.gz", "b.nii.gz"):
        save_like(tmp_path / name, label, reference, np.uint8)
    written = nib.load(tmp_path / "a.nii.gz")
    assert written.shape == reference.shape == (*SHAPE, 1)
    assert np.array_equal(written.affine, reference.affine)
    assert int(written.header["sform_code"]) == 4
    assert written.get_data_dtype() == np.uint8
    assert written.header["cal_max"] == 0
    assert np.array_equal(load_label(tmp_path / "a.nii.gz"), label)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.nii.gz", "b.nii.gz", "x.nii.gz"]
    with pytest.raises(ValueError, match="does not fit"):
        save_like(tmp_path / "c.nii", label[1:], reference)


def test_save_like_scales_nothing_by_the_reference(tmp_path):
    reference = open_image(make(tmp_path / "x.nii.gz", edit=both(put("scl_slope", 0.5), put("scl_inter", -10))))
    save_like(tmp_path / "y.nii", voxels(), reference, np.float32)
    assert np.array_equal(load_array(tmp_path / "y.nii")[0], voxels())


def test_save_like_writes_one_file_for_a_pair(tmp_path):
    image = nib.Nifti1Pair(voxels(), np.diag([2, 2, 3, 1]))
    image.set_sform(image.affine, 2)
    nib.save(image, tmp_path / "x.img")
    save_like(tmp_path / "y.nii.gz", voxels(np.uint8), open_image(tmp_path / "x.img"))
    written = nib.load(tmp_path / "y.nii.gz")
    assert np.array_equal(written.affine, image.affine)
    assert int(written.header["sform_code"]) == 2
    assert np.array_equal(load_label(tmp_path / "y.nii.gz"), voxels())


def test_shift_is_measured_in_voxels_at_the_farthest_corner():
    affine, moved = np.diag([1, 1, 10, 1.0]), np.diag([1, 1, 10, 1.0])
    moved[2, 3] = 5
    assert shift_in_voxels(affine, moved, SHAPE) == pytest.approx(0.5)
    assert shift_in_voxels(np.eye(4), np.diag([1.1, 1, 1, 1]), (11, 2, 2)) == pytest.approx(1.0)


def looked_at(array):
    """The checks of all volumes of an array (X, Y, Z) or (X, Y, Z, T)."""
    checks = VoxelChecks(array.shape[:3])
    for number, volume in enumerate(np.moveaxis(array.reshape(*array.shape[:3], -1), -1, 0)):
        for piece in np.array_split(volume.ravel(order="F"), 3):
            checks.add(number, piece)
    return checks


def test_faults_of_a_bold_series_are_named():
    series = np.random.default_rng(0).integers(1, 99, (4, 4, 4, 12)).astype(np.int16)
    assert looked_at(series).bold(2.0, None) == []
    series[..., 3] = 0
    series[..., 8:] = series[..., 7:8]
    checks = looked_at(series)
    assert checks.volumes() == [
        "volume 3 all zero (dropped)",
        "volume 8-11 the same as the one before (frozen)",
    ]
    assert "no repetition time" in checks.bold(0.0, None)[-1]
    assert "2 s in the header and 2.5 s in the sidecar" in checks.bold(2.0, 2.5)[-1]
    assert len(checks.bold(0.0, 2.5)) == 2


# Expected handling of each file in the manifest of nifti_robustness: words of the error or of a warning, or the shape
# of a correct file. Pairs of files are tested in test_index.
REFUSED = {
    "odd_but_valid/ivadomed_rgb.nii.gz": "RGB",
    "corrupt/git_lfs_pointer_bold.nii.gz": "git-LFS",
    "corrupt/empty.nii.gz": "empty",
    "corrupt/gzip_bad_crc.nii.gz": "CRC",
    "corrupt/gzip_but_named_nii.nii": "rename",
    "corrupt/text_file.nii.gz": "HTML",
    "corrupt/unknown_datatype.nii.gz": "9999",
    "corrupt/dim0_is_9.nii.gz": "dim[0], is 9",
    "corrupt/negative_dim.nii.gz": "-5x51x35",
    "corrupt/huge_dims.nii.gz": "35 TB",
    "odd_but_valid/shape_2d.nii.gz": "2D",
    "odd_but_valid/one_voxel.nii.gz": "too small",
}
WARNED = {
    "corrupt/bad_sizeof_hdr.nii.gz": "instead of 348",
    "odd_but_valid/zero_pixdim.nii.gz": "spacing unknown",
    "odd_but_valid/nan_affine.nii.gz": "qform used",
    "odd_but_valid/qform_sform_disagree.nii.gz": "sform used",
    "odd_but_valid/constant.nii.gz": "all voxels are 7",
    "odd_but_valid/all_zero.nii.gz": "all voxels are zero",
    "odd_but_valid/bold_tr_zero.nii.gz": "no repetition time",
    "odd_but_valid/bold_frozen_after_vol40.nii.gz": "volume 41-120 the same",
    "odd_but_valid/bold_dropped_volume.nii.gz": "volume 60 all zero",
    "odd_but_valid/nibabel_resampled_anat_moved.nii": "not finite",
    "odd_but_valid/pymvpa_mask4d.nii.gz": "only 1 voxel",
}
RIGHT = {
    "odd_but_valid/nibabel_example4d.nii.gz": (128, 96, 24, 2),
    "odd_but_valid/nibabel_tiny.mnc": (10, 20, 20),
    "odd_but_valid/float64.nii.gz": (35, 51, 35),
    "odd_but_valid/scl_slope_inter.nii.gz": (35, 51, 35),
    "odd_but_valid/big_endian.nii.gz": (35, 51, 35),
    "odd_but_valid/anisotropic_10mm.nii.gz": (35, 51, 4),
    "odd_but_valid/flipped_LR.nii.gz": (35, 51, 35),
}


def test_every_file_of_the_manifest_is_handled_as_it_says(data_root):
    folder = data_root / "nifti_robustness"
    with open(folder / "manifest.tsv") as file:
        rows = [row["file"] for row in csv.DictReader(file, delimiter="\t")]
    assert {r for r in rows if not r.startswith("pairs/")} == {*REFUSED, *WARNED, *RIGHT}
    for name, words in REFUSED.items():
        with pytest.raises(ScanError) as caught:
            load_array(folder / name)
        assert words in str(caught.value), name
    for name, words in WARNED.items():
        load_array(folder / name)
        image = open_image(folder / name)
        stored = np.asanyarray(image.dataobj)
        checks = looked_at(stored)
        warnings = [*header_facts(image).warnings, *checks.voxels()]
        if "bold" in name:
            warnings += checks.bold(float(image.header.get_zooms()[3]), None)
        assert any(words in w for w in warnings), (name, warnings)
        assert np.isfinite(load_array(folder / name)[0]).all()
    for name, shape in RIGHT.items():
        array, affine = load_array(folder / name)
        assert header_facts(open_image(folder / name)).warnings == (), name
        assert array.shape == shape
        assert array.dtype == np.float32
        assert np.isfinite(affine).all()


def test_values_and_places_of_the_odd_files(data_root):
    folder = data_root / "nifti_robustness" / "odd_but_valid"
    assert load_array(folder / "pymvpa_mask4d.nii.gz")[0].shape == (40, 20, 1)
    assert header_facts(open_image(folder / "anisotropic_10mm.nii.gz")).spacing == (1, 1, 10)
    stored = nib.load(folder / "scl_slope_inter.nii.gz").dataobj.get_unscaled()
    assert np.allclose(load_array(folder / "scl_slope_inter.nii.gz")[0], 0.5 * stored - 10)
    plain, _ = load_array(folder / "float64.nii.gz")
    assert np.array_equal(load_array(folder / "big_endian.nii.gz")[0], plain)
    flipped = nib.as_closest_canonical(open_image(folder / "flipped_LR.nii.gz"))
    original = nib.as_closest_canonical(open_image(folder / "float64.nii.gz"))
    assert np.array_equal(flipped.get_fdata(), original.get_fdata())
    assert np.allclose(flipped.affine, original.affine)
