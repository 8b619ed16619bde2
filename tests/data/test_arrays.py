import sys
from pathlib import Path

import numpy as np
import pytest

from chainrule.base import DataError, DiskError
from chainrule.data.arrays import read_array


def test_numbers_come_back_from_any_place_and_may_be_changed(tmp_path):
    path = tmp_path / "numbers"
    np.arange(10, dtype=np.uint16).tofile(path)
    assert read_array(path, np.uint16).tolist() == list(range(10))
    part = read_array(path, "<u2", count=3, offset=4)
    part += 1
    assert part.tolist() == [3, 4, 5]


def test_a_file_that_was_cut_is_refused(tmp_path):
    path = tmp_path / "numbers"
    path.write_bytes(b"12345")
    with pytest.raises(DataError, match="5 bytes were read instead of 8"):
        read_array(path, np.uint32, count=2)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/mem answers a read at 0 with an input/output error")
def test_a_disk_that_fails_is_told():
    path = Path("/proc/self/mem")
    assert np.fromfile(path, np.uint8).size == 0  # as if there were nothing
    with pytest.raises(DiskError, match="input/output error"):
        read_array(path, np.uint8)
