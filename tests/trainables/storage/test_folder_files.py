import io
from pathlib import Path

import pytest

from trainables.storage.folder_files import copy_whole, files_below


def test_files_in_the_order_named(tmp_path: Path):
    for name in ("b/2", "b/1", "b/c/3", "a", "b/.1.77.partial"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert files_below(tmp_path, "b", "a") == ["b/1", "b/2", "b/c/3", "a"]
    assert files_below(tmp_path, ".") == ["a", "b/1", "b/2", "b/c/3"]
    with pytest.raises(FileNotFoundError):
        files_below(tmp_path, "a", "none")


class _Breaking(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        if self.tell():
            raise OSError("broken")
        return super().read(10)


def test_a_copy_that_breaks_leaves_the_older_file(tmp_path: Path):
    target = tmp_path / "a"
    copy_whole(io.BytesIO(b"old"), target)
    with pytest.raises(OSError, match="broken"):
        copy_whole(_Breaking(bytes(100)), target)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]
