"""Addresses with logins: what is told, what is hidden, what connects."""

import base64
import copy
import logging
import pickle
import subprocess
import sys
from urllib.parse import quote

import pytest

from contract.mlflow_store import logins
from contract.mlflow_store.logins import TrackingUri, hide_logins, holds_login, without_login

PASSWORD = "top/S3cret@w0rd+ %"
ENCODED = quote(PASSWORD, safe="")


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch):
    """Each test tells the process anew, which would remember what the others told."""
    monkeypatch.setattr(logins, "_known_secrets", {"told before"})
    for name in ("MLFLOW_TRACKING_URI", *logins._FROM_ENVIRONMENT):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("https://me:secret@host:5000/a", "https://host:5000/a"),
        ("HTTPS://me:secret@host", "HTTPS://host"),
        ("https://TOKEN@host", "https://host"),
        ("https://TOKEN:@host", "https://host"),
        ("https://me:secret@[::1]:5000/a", "https://[::1]:5000/a"),
        ("https://host/a?token=x", "https://host/a"),
        ("https://host/a#token=x", "https://host/a"),
        ("postgresql://host/db?user=a&password=b", "postgresql://host/db"),
        ("postgresql://me:p%40ss@host/db?sslmode=require", "postgresql://host/db?sslmode=require"),
        ("postgresql://me:secret@one:1,two:2/db", "postgresql://one:1,two:2/db"),
        ("mysql+pymysql://me:a:b@host/db?charset=utf8mb4", "mysql+pymysql://host/db?charset=utf8mb4"),
        ("mssql+pyodbc:///?odbc_connect=UID%3Da%3BPWD%3Db", "mssql+pyodbc:///"),
        ("sqlite+pysqlcipher://:secret@/a.db", "sqlite+pysqlcipher:///a.db"),
        # not percent-encoded, as people write them
        ("https://me:p/w@host/a", "https://host/a"),
        ("https://me:p?w#x@host", "https://host"),
        ("https://a@b:p/w@host", "https://host"),
        ("https://me:1/2@host", "https://***"),
        ("me:secret@host:5000", "host:5000"),
        ("sqlite:///a.db?key=secret&timeout=3", "sqlite:///a.db?timeout=3"),
    ],
)  # fmt: skip
def test_what_is_told_of_an_address(given, told):
    assert without_login(given) == told
    assert holds_login(given)
    assert not holds_login(told) or told.endswith("***")


@pytest.mark.parametrize(
    "uri",
    [
        "mlruns", "sqlite:///mlflow.db", "sqlite:////50% off #1/what?x=1/a.db",
        "http://host:5000/a",
        "sqlite:////data/a@b:c.db?timeout=3", "file:///home/me:you@work", "./me:you@work",
        "databricks", "databricks://profile", "http://[::1]:5000", "s3://bucket/a@b?region=eu&scheme=https",
        "abfss://container@account.dfs.core.windows.net/a", "http://host?timeout=3",
    ],
)  # fmt: skip
def test_what_holds_no_login_stays_as_it_is(uri):
    assert without_login(uri) == uri
    assert TrackingUri(uri).with_login == uri


def test_a_tracking_uri_is_told_without_its_login_however_it_is_written():
    uri = TrackingUri(f"https://me:{ENCODED}@host")
    assert uri == "https://host"
    assert [str(uri), f"{uri}", "%s" % uri] == ["https://host"] * 3  # noqa: UP031
    assert repr(uri) == "'https://host'"
    assert uri.with_login == f"https://me:{ENCODED}@host"
    assert TrackingUri(uri) is uri


def test_a_tracking_uri_travels_without_its_login():
    """Tune pickles what it is given into the study's folder."""
    uri = TrackingUri(f"https://me:{ENCODED}@host")
    assert ENCODED.encode() not in pickle.dumps(uri)
    for travelled in (pickle.loads(pickle.dumps(uri)), copy.deepcopy(uri)):  # noqa: S301
        assert (travelled, travelled.with_login) == ("https://host", "https://host")


@pytest.mark.parametrize(
    "message",
    [
        f"API request to https://me:{ENCODED}@host/api failed",
        f"Max retries exceeded with url: https://me:{ENCODED.replace('%2F', '/')}@host/x",
        f"401 Client Error for url: https://me:{quote(PASSWORD)}@host",
        f"login {PASSWORD!r} refused",
        f"header Basic {base64.b64encode(f'me:{PASSWORD}'.encode()).decode()}",
        f"connect(user='me', password='{PASSWORD}')",
    ],
)
def test_a_known_password_is_hidden_in_every_spelling(message):
    TrackingUri(f"https://me:{ENCODED}@host")
    hidden = hide_logins(message)
    for spelling in (PASSWORD, ENCODED, quote(PASSWORD), "S3cret", "w0rd"):
        assert spelling not in hidden
    assert base64.b64encode(f"me:{PASSWORD}".encode()).decode() not in hidden
    assert hidden.split()[0] == message.split()[0]


def test_what_looks_like_a_login_is_hidden_though_nobody_told_it():
    said = hide_logins("unrecognized: --tracking-urii=https://me:s3cret@host/x PWD=s3cret;A=1")
    assert said == "unrecognized: --tracking-urii=https://host/x PWD=***;A=1"


def test_a_password_inside_a_connection_string_is_hidden():
    TrackingUri("mssql+pyodbc:///?odbc_connect=UID%3Dme%3BPWD%3Ds3cret")
    assert hide_logins("login of s3cret failed") == "login of *** failed"


def test_a_short_password_hides_no_part_of_other_words():
    TrackingUri("https://me:a@host")
    assert hide_logins("a bad day: a") == "*** bad day: ***"


def test_logins_of_the_environment_are_hidden(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken-of-mine")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:s3cret@host")
    assert hide_logins("t0ken-of-mine s3cret") == "*** ***"


def test_a_text_without_logins_stays_as_it_is():
    text = "--name must be letters, got 'a@b'; see https://host/a and s3://bucket/b"
    assert hide_logins(text) == text


LOGS = """
import logging
from contract.mlflow_store.logins import TrackingUri
TrackingUri("https://me:s3cret@host")
logging.getLogger("any").warning("trying %s", "https://me:s3cret@host")
try:
    raise OSError("refused s3cret")
except OSError:
    logging.getLogger("other").exception("failed")
raise RuntimeError("in https://me:s3cret@host")
"""


def test_logs_and_tracebacks_of_a_process_hold_no_login():
    done = subprocess.run([sys.executable, "-c", LOGS], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "trying https://host" in done.stderr
    assert "refused ***" in done.stderr
    assert "RuntimeError: in https://host" in done.stderr
    assert "s3cret" not in done.stderr.replace('TrackingUri("https://me:s3cret@host")', "")


def test_a_log_with_wrong_arguments_stays_logging_s_own_mistake(monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    before = logging.getLogRecordFactory()
    try:
        logins._watch_logs()
        logging.getLogger("wrong").warning("%d", "word")
    finally:
        logging.setLogRecordFactory(before)
