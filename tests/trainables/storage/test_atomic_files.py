import os
from pathlib import Path

import pytest

from trainables.storage.atomic_files import write_atomically


def _fail(*_, **__):
    raise OSError(28, "No space left on device")


def test_the_file_holds_the_content_and_nothing_lies_beside_it(tmp_path):
    path = tmp_path / "new" / "folder" / "state.bin"
    write_atomically(path, b"\x00one\r\n")
    assert path.read_bytes() == b"\x00one\r\n"
    assert list(path.parent.iterdir()) == [path]


def test_an_older_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "state.bin"
    write_atomically(path, b"long old content")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    write_atomically(path, b"")
    assert path.read_bytes() == b""


@pytest.mark.parametrize("failing", ["fsync", "replace", "write"])
def test_a_failed_write_keeps_the_old_file_and_leaves_no_part(tmp_path, monkeypatch, failing):
    path = tmp_path / "state.bin"
    write_atomically(path, b"old")
    content = b"new"
    if failing == "fsync":
        monkeypatch.setattr(os, "fsync", _fail)
    elif failing == "replace":
        monkeypatch.setattr(os, "replace", _fail)
        monkeypatch.setattr(Path, "replace", _fail)
    else:
        content = "text is no bytes"
    with pytest.raises((OSError, TypeError)):
        write_atomically(path, content)
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"old"


def test_a_failed_first_write_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", _fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(tmp_path / "state.bin", b"new")
    assert list(tmp_path.iterdir()) == []


def test_content_is_on_disk_before_the_name_points_to_it(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("fsync"), fsync(fd))[1])
    monkeypatch.setattr(
        Path, "replace", lambda self, to: (calls.append("replace"), replace(self, to))[1]
    )
    write_atomically(tmp_path / "state.bin", b"new")
    assert calls == ["fsync", "replace"]


def test_a_reader_never_sees_a_part(tmp_path, monkeypatch):
    path, seen = tmp_path / "state.bin", []
    write_atomically(path, b"old")
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (seen.append(path.read_bytes()), fsync(fd))[1])
    write_atomically(path, b"new" * 100_000)
    assert seen == [b"old"]
