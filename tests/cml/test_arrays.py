import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from cml.arrays import read_arrays, write_arrays
from cml.errors import ArtifactError

ARRAYS = {
    "bytes": np.arange(7, dtype=np.uint8),
    "matrix": np.arange(12, dtype=np.float32).reshape(3, 4),
    "counts": np.arange(3, dtype=np.int64),
    "flags": np.array([True, False, True]),
    "rows": np.arange(5, dtype=np.int32),
    "hashes": np.array([2**63 + 1], dtype=np.uint64),
    "nothing": np.empty((0, 4), dtype=np.float64),
}


def same(got, wanted):
    assert set(got) == set(wanted)
    for name, array in wanted.items():
        assert got[name].dtype == array.dtype, name
        np.testing.assert_array_equal(got[name], array)


def test_what_is_written_is_read_back(tmp_path):
    write_arrays(tmp_path / "a.safetensors", ARRAYS)
    same(read_arrays(tmp_path / "a.safetensors"), ARRAYS)


def test_the_safetensors_library_reads_our_files(tmp_path):
    write_arrays(tmp_path / "a.safetensors", ARRAYS)
    same(load_file(tmp_path / "a.safetensors"), ARRAYS)


def test_we_read_the_files_of_the_safetensors_library(tmp_path):
    save_file(ARRAYS, tmp_path / "a.safetensors", metadata={"by": "the library"})
    same(read_arrays(tmp_path / "a.safetensors"), ARRAYS)


def test_arrays_read_are_aligned_views_that_nobody_can_change(tmp_path):
    write_arrays(tmp_path / "a.safetensors", ARRAYS)
    for array in read_arrays(tmp_path / "a.safetensors").values():
        assert array.flags.aligned
        if array.size:
            with pytest.raises(ValueError, match="WRITEABLE"):
                array.flags.writeable = True


def test_transposed_and_big_endian_arrays_keep_their_values(tmp_path):
    odd = {
        "columns": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "big": np.array([1, 2**40], dtype=">i8"),
    }
    write_arrays(tmp_path / "a.safetensors", odd)
    for name, array in read_arrays(tmp_path / "a.safetensors").items():
        np.testing.assert_array_equal(array, odd[name])


def test_a_type_that_is_not_stored_is_refused_by_name(tmp_path):
    with pytest.raises(TypeError, match="complex128"):
        write_arrays(tmp_path / "a.safetensors", {"z": np.zeros(1, dtype=complex)})


@pytest.mark.parametrize("keep", [0, 4, 30, -1])
def test_a_cut_file_is_refused_with_its_name(tmp_path, keep):
    path = tmp_path / "a.safetensors"
    write_arrays(path, ARRAYS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ArtifactError, match=r"a\.safetensors"):
        read_arrays(path)


def test_a_missing_file_is_refused_with_its_name(tmp_path):
    with pytest.raises(ArtifactError, match=r"gone\.safetensors"):
        read_arrays(tmp_path / "gone.safetensors")
