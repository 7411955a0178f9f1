import http.server
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from analysis.reading.schema import StudyDataError
from analysis.reading.sources.load import load_study
from analysis.reading.sources.store import (
    StoreAwayError,
    UnknownStudyError,
    all_runs,
    answering,
    known_studies,
    open_store,
    resolve_tracking_uri,
)


def test_unknown_study_lists_the_known_ones(store: str) -> None:
    with pytest.raises(UnknownStudyError, match=r"got 'ful'; known studies: .*full") as caught:
        load_study("ful", store)
    assert "Default" not in caught.value.known
    assert caught.value.known == known_studies(store)
    with pytest.raises(UnknownStudyError):
        load_study("Default", store)


def test_missing_database_is_named_and_not_created(tmp_path: Path) -> None:
    missing = tmp_path / "mlflow.db"
    with pytest.raises(StudyDataError, match="must name an existing MLflow database"):
        load_study("full", f"sqlite:///{missing}")
    assert not missing.exists()


def test_tracking_uri_given_comes_before_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracker")
    assert resolve_tracking_uri(None) == "http://tracker"
    assert resolve_tracking_uri("http://other") == "http://other"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow.db").touch()
    assert resolve_tracking_uri(None) == "sqlite:///mlflow.db"


def test_missing_mlflow_is_one_line_that_says_what_to_do(store: str) -> None:
    code = (
        "import sys; sys.modules['mlflow'] = None\n"
        "from analysis.reading.sources.load import load_study\n"
        "from analysis.reading.schema import StudyDataError\n"
        "try: load_study('full', sys.argv[1])\n"
        "except StudyDataError as error: print(error)"
    )
    command = [sys.executable, "-c", code, store]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.count("\n") == 1
    assert said.startswith(f"MLflow must be installed to read {store}, got no module mlflow")
    assert "analysis-mlflow" in said


def test_missing_mlflow_is_said_before_a_server_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """'tracking server must answer' was said where no server's answer could have been used."""
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    with pytest.raises(StudyDataError, match="MLflow must be installed to read") as caught:
        load_study("full", "http://me:SECRET@server.invalid")
    assert "http://server.invalid, got no module mlflow" in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_store_of_an_unknown_kind_is_one_line() -> None:
    with pytest.raises(
        StudyDataError, match="must be one that MLflow can open, got 'ftp://a'"
    ) as e:
        load_study("full", "ftp://a")
    assert "\n" not in str(e.value)


def test_all_runs_of_a_study_come_from_as_many_pages_as_it_takes(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = open_store(store)
    experiment = client.get_experiment_by_name("full")
    assert experiment is not None
    whole = all_runs(client, [experiment.experiment_id], "")
    monkeypatch.setattr(client, "search_runs", partial(client.search_runs, max_results=5))
    paged = all_runs(client, [experiment.experiment_id], "")
    assert [run.info.run_id for run in paged] == [run.info.run_id for run in whole]
    assert len(paged) == 1 + 4 + 12


def test_a_server_that_is_not_there_is_told_at_once_and_without_its_password() -> None:
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(StudyDataError, match="tracking server must answer") as caught:
            load_study("full", f"http://me:SECRET@127.0.0.1:{port}")
    assert "SECRET" not in str(caught.value)
    assert type(caught.value) is StoreAwayError, "and may be there in a while"


class _Pages(http.server.BaseHTTPRequestHandler):
    """Answers `/401/...` with 401 and any other path with a web page."""

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status = self.path.split("/")[1]
        body = b"<html>" + b"x" * 5000
        self.send_response(int(status) if status.isdecimal() else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def pages() -> Iterator[int]:
    """The port of a web server that is no MLflow."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("scheme", "path", "said"),
    [
        ("http", "", "an answer that is not one of MLflow from http://127.0.0.1"),
        ("http", "/401", "401: no login, or a wrong one from http://127.0.0.1"),
        ("http", "/403", "403: no permission with this login"),
        ("http", "/404", "an answer that is not one of MLflow"),
        ("http", "/503", "a failure of the server"),
        ("https", "", "whether it is http:// instead of https://"),
    ],
)
def test_a_server_that_does_not_answer_as_mlflow_is_one_line(
    pages: int, scheme: str, path: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(StudyDataError, match="tracking server must answer, got") as caught:
        load_study("full", f"{scheme}://me:SECRET@127.0.0.1:{pages}{path}")
    assert said in str(caught.value)
    assert (type(caught.value) is StoreAwayError) == (path == "/503")
    assert "\n" not in str(caught.value)
    assert "SECRET" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("postgresql://me:SECRET@localhost/mlflow", r"no module psycopg\); install"),
        ("mysql+pymysql://me:SECRET@localhost/mlflow", r"no module pymysql\); install pymysql"),
        ("mlruns", "MLflow takes no more"),
    ],
)
def test_a_store_that_cannot_be_opened_is_one_line_that_says_what_to_do(
    uri: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("psycopg", "pymysql"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(StudyDataError, match=said) as caught:
        load_study("full", uri)
    assert "SECRET" not in str(caught.value)


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database\n" * 100)
    with pytest.raises(StudyDataError, match="a file that is no database"):
        load_study("full", f"sqlite:///{tmp_path / 'text.db'}")


def test_what_mlflow_raises_while_it_is_read_is_one_line() -> None:
    with (
        pytest.raises(StudyDataError, match="tracking store must be readable, got 'first'"),
        answering("sqlite:///x"),
    ):
        raise MlflowException("first\nsecond")
