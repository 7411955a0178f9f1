import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainables.errors import ConfigError
from trainables.storage.store import Store

LARGE = 12 * 2**20
"""Bytes that a bucket gets in parts."""


@pytest.fixture(params=["folder", "s3"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "s3":
        return str(request.getfixturevalue("s3_uri"))
    return str(tmp_path / "a store")


@pytest.fixture
def store(uri: str) -> Store:
    return Store(uri)


def test_what_is_written_is_read(store: Store):
    assert store.read("a/b.txt") is None
    assert store.names() == []
    store.write("a/b.txt", b"one")
    store.write("a/b.txt", b"two")
    store.write("c", b"")
    assert store.read("a/b.txt") == b"two"
    assert store.read("c") == b""
    assert store.names() == ["a/b.txt", "c"]


@pytest.mark.parametrize("name", ["two words/täglich ü.json", "100%/a?b#c&d", "a+b=c", ".hidden"])
def test_any_name_is_a_name(store: Store, tmp_path: Path, name: str):
    below = store.at("trials", "ключ 1")
    below.write(name, b"x")
    below.download(name, tmp_path / "got")
    assert below.names() == [name]
    assert store.names() == [f"trials/ключ 1/{name}"]
    assert (tmp_path / "got").read_bytes() == b"x"
    assert Store(below.uri).read(name) == b"x"
    below.move(name, f"{name}2")
    below.remove(f"{name}2")
    assert store.names() == []


@pytest.mark.parametrize("size", [0, 1000, LARGE])
def test_files_go_up_and_come_down_whole(store: Store, tmp_path: Path, size: int):
    content = os.urandom(size)
    (tmp_path / "sent").write_bytes(content)
    store.upload(tmp_path / "sent", "a/file")
    store.download("a/file", tmp_path / "deep" / "got")
    assert (tmp_path / "deep" / "got").read_bytes() == content
    assert list((tmp_path / "deep").iterdir()) == [tmp_path / "deep" / "got"]
    assert store.names() == ["a/file"]


def test_many_files_go_up_and_come_down(store: Store, tmp_path: Path):
    names = [f"maps/{index}.png" for index in range(20)]
    for name in names:
        path = tmp_path / "sent" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    store.upload_all(tmp_path / "sent", names)
    store.download_all(store.names(), tmp_path / "got")
    assert {name: (tmp_path / "got" / name).read_text() for name in names} == dict(
        zip(names, names, strict=True)
    )


def test_a_missing_file_among_many_is_an_error(store: Store, tmp_path: Path):
    store.write("a", b"a")
    with pytest.raises(FileNotFoundError):
        store.download_all(["a", "b"], tmp_path / "got")
    with pytest.raises(FileNotFoundError):
        store.upload_all(tmp_path, ["nothing"])


def test_missing_files(store: Store, tmp_path: Path):
    store.write("other", b"x")
    (tmp_path / "here").write_bytes(b"old")
    with pytest.raises(FileNotFoundError):
        store.download("none", tmp_path / "here")
    assert (tmp_path / "here").read_bytes() == b"old"
    with pytest.raises(FileNotFoundError):
        store.upload(tmp_path / "none", "other")
    assert store.read("other") == b"x"
    with pytest.raises(FileNotFoundError):
        store.move("none", "other")
    assert store.read("other") == b"x"
    store.remove("none")
    store.at("none").remove_all()
    assert store.names() == ["other"]


def test_move_takes_the_place_of_an_older_file(store: Store):
    store.write("a", b"new")
    store.write("sub/b", b"old")
    store.move("a", "sub/b")
    assert store.names() == ["sub/b"]
    assert store.read("sub/b") == b"new"


def test_remove_all_leaves_what_lies_beside(store: Store):
    for name in ("trials/a/x", "trials/a/y/z", "trials/ab/x", "b"):
        store.write(name, b"x")
    store.at("trials", "a").remove_all()
    assert store.names() == ["b", "trials/ab/x"]
    store.remove_all()
    assert store.names() == []


def test_unfinished_files_have_no_name(tmp_path: Path):
    store = Store(str(tmp_path))
    store.write("a", b"x")
    (tmp_path / ".b.123.partial").write_bytes(b"x")
    assert store.names() == ["a"]


def test_a_store_can_be_pickled_and_compared(store: Store):
    store.write("a", b"x")
    again = pickle.loads(pickle.dumps(store))  # noqa: S301
    assert again == store
    assert hash(again) == hash(store)
    assert again != store.at("b")
    assert again.read("a") == b"x"


def test_check_leaves_nothing(store: Store):
    store.check()
    assert store.names() == []


def test_check_refuses_a_bucket_that_is_not_there(s3_uri: str):
    other = re.sub(r"bucket-\w+", "no-such-bucket", s3_uri)
    with pytest.raises(ConfigError, match="--storage must be a folder or a URI") as refused:
        Store(other).check()
    assert "\n" not in str(refused.value)
    assert "no-such-bucket" in str(refused.value)


def test_check_refuses_a_folder_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match=r"--storage must be .*Not a directory"):
        Store(str(tmp_path / "file" / "below")).check()


def test_check_refuses_a_server_that_keeps_nothing(s3_uri: str, monkeypatch: pytest.MonkeyPatch):
    store = Store(s3_uri)
    monkeypatch.setattr(store, "write", lambda name, content: None)
    with pytest.raises(ConfigError, match="was not there afterwards"):
        store.check()


def test_a_server_that_is_away_is_an_error_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    store = Store(f"s3://bucket/x?endpoint_override=127.0.0.1%3A{port}&scheme=http")
    (tmp_path / "large").write_bytes(bytes(LARGE))
    start = time.monotonic()
    for call in (
        store.names,
        lambda: store.read("a"),
        lambda: store.upload(tmp_path / "large", "a"),
        lambda: store.move("a", "b"),
    ):
        with pytest.raises(OSError, match=r"NETWORK_CONNECTION.*s3://bucket/x") as failed:
            call()
        assert "\n" not in str(failed.value)
        assert not isinstance(failed.value, FileNotFoundError)
    with pytest.raises(ConfigError):
        store.check()
    assert time.monotonic() - start < 30


@pytest.mark.slow  # it waits for the time-outs themselves
def test_a_server_that_says_nothing_is_an_error_within_half_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    (tmp_path / "large").write_bytes(bytes(LARGE))
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(50)
        port = silent.getsockname()[1]
        store = Store(f"s3://bucket/x?endpoint_override=127.0.0.1%3A{port}&scheme=http")
        for call in (
            store.names,
            lambda: store.write("a", b"x"),
            lambda: store.upload(tmp_path / "large", "a"),
        ):
            start = time.monotonic()
            with pytest.raises(OSError, match="NETWORK_CONNECTION"):
                call()
            assert time.monotonic() - start < 40


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("", "it is empty"),
        ("s3://", "no bucket"),
        ("s3:///prefix", "no bucket"),
        ("ftp://host/path", "ftp:// is not known"),
        ("file://host/path", "file:///absolute/path"),
        ("s3://bucket/x?colour=red", "options are .*region.* not colour"),
        ("s3://bucket/x?scheme=ftp", "http or https"),
        ("s3://bucket/x?region", "bad query field"),
    ],
)
def test_what_is_no_address_is_refused(bad: str, reason: str):
    with pytest.raises(ConfigError, match=f"--storage must be a folder or a URI.*{reason}"):
        Store(bad)


def test_folders_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert Store("a b").uri == str(tmp_path / "a b")
    assert Store(f"file://{tmp_path}/a%20b").uri == str(tmp_path / "a b")
    assert Store("a").at("b", "c").uri == str(tmp_path / "a/b/c")


def test_credentials_of_an_address_are_used_and_not_shown(s3_uri: str):
    store = Store(s3_uri.replace("s3://", "s3://key:se%2Fcret@")).at("x")
    store.write("a", b"x")
    assert pickle.loads(pickle.dumps(store)).uri.startswith("s3://key:se%2Fcret@")  # noqa: S301
    assert store.shown.startswith("s3://bucket-")
    with pytest.raises(OSError, match="not there") as failed:
        store.download("not there", Path("nowhere"))
    for text in (store.shown, repr(store), str(failed.value)):
        assert "cret" not in text
        assert "key" not in text.replace("with key", "").replace("for key", "")
    with pytest.raises(ConfigError) as refused:
        Store("s3://key:secret@bucket/x?colour=red")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_the_endpoint_of_the_environment_travels_with_the_address(
    s3_uri: str, monkeypatch: pytest.MonkeyPatch, variable: str
):
    endpoint = re.search(r"127.0.0.1%3A(\d+)", s3_uri)
    assert endpoint
    monkeypatch.setenv(variable, f"http://127.0.0.1:{endpoint[1]}/")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    store = Store(s3_uri.partition("?")[0])
    monkeypatch.delenv(variable)
    monkeypatch.delenv("AWS_REGION")
    again = pickle.loads(pickle.dumps(store))  # noqa: S301
    again.write("a", b"x")
    assert Store(s3_uri).read("a") == b"x"
    assert "region=eu-central-1" in again.uri


_PROCESS = """
import sys
from pathlib import Path
from trainables.storage.store import Store
store = Store(sys.argv[1])
print("ready", flush=True)
"""


def _started(code: str, *arguments: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", _PROCESS + code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    return process


def test_a_process_ends_without_a_word(uri: str, tmp_path: Path):
    (tmp_path / "sent").write_bytes(b"x")
    code = """
store.check()
store.upload(Path(sys.argv[2]), "a")
assert store.names() == ["a"] and store.read("none") is None
kept = store
"""
    process = _started(code, uri, str(tmp_path / "sent"))
    assert process.communicate() == (b"", b"")
    assert process.returncode == 0


@pytest.mark.parametrize("delay_s", [0.01, 0.06])
def test_a_killed_upload_leaves_the_older_file(
    store: Store, uri: str, tmp_path: Path, delay_s: float
):
    contents = [bytes([fill]) * LARGE for fill in (1, 2)]
    store.write("a", contents[0])
    (tmp_path / "sent").write_bytes(contents[1])
    process = _started("store.upload(Path(sys.argv[2]), 'a')", uri, str(tmp_path / "sent"))
    time.sleep(delay_s)
    process.kill()
    process.communicate()
    assert store.read("a") in contents
    assert store.names() == ["a"]


@pytest.mark.parametrize("delay_s", [0.01, 0.06])
def test_a_killed_download_leaves_the_older_file(
    store: Store, uri: str, tmp_path: Path, delay_s: float
):
    store.write("a", bytes(LARGE))
    got = tmp_path / "got"
    got.write_bytes(b"old")
    process = _started("store.download('a', Path(sys.argv[2]))", uri, str(got))
    time.sleep(delay_s)
    process.kill()
    process.communicate()
    assert got.read_bytes() in (b"old", bytes(LARGE))


def test_ctrl_c_cuts_no_file(store: Store, uri: str, tmp_path: Path):
    contents = [bytes([fill]) * LARGE for fill in (1, 2)]
    (tmp_path / "sent").write_bytes(contents[1])
    for delay_s in (0.0, 0.04):
        store.write("a", contents[0])
        process = _started("store.upload(Path(sys.argv[2]), 'a')", uri, str(tmp_path / "sent"))
        time.sleep(delay_s)
        process.send_signal(signal.SIGINT)
        process.communicate()
        assert store.read("a") in contents


@pytest.mark.parametrize(
    ("size", "request_"),
    [
        (1000, "PUT"),
        (LARGE, "?uploads"),
        (LARGE, "?partNumber=1"),
        (LARGE, "?partNumber=2"),
        (LARGE, "?uploadId"),
    ],
)
def test_a_bucket_that_fails_for_a_moment_keeps_the_older_file(
    failing_s3_uri: tuple[str, list[str]], tmp_path: Path, size: int, request_: str
):
    uri, failing = failing_s3_uri
    store = Store(uri)
    store.write("a", b"old")
    content = os.urandom(size)
    (tmp_path / "sent").write_bytes(content)
    failing += [request_] * 2  # as often as a request is tried
    with pytest.raises(OSError, match="AWS Error"):
        store.upload(tmp_path / "sent", "a")
    assert failing == []
    assert store.read("a") in (b"old", content)
    failing += [request_]  # once: the second try is not seen from here
    store.upload(tmp_path / "sent", "a")
    assert failing == []
    assert store.read("a") == content
