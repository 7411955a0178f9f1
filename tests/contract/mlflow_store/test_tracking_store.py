"""What is said of a tracking store that cannot be used."""

import os

import pytest
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import OperationalError

from contract.mlflow_store.tracking_store import (
    DEFAULT_TRACKING_URI,
    describe,
    first_call,
    is_passing,
    limit_client,
    resolve,
    store_failures,
)

RETRIES, TIMEOUT = "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"


class RefusedError(Exception):
    """What a room makes of it."""


def refuse(reason: str, advice: str) -> RefusedError:
    return RefusedError(f"{reason}; {advice}")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModuleNotFoundError("No module named 'psycopg2'", name="psycopg2"), "psycopg2-binary"),
        (ModuleNotFoundError("No module named 'MySQLdb'", name="MySQLdb"), "install mysqlclient"),
        (ModuleNotFoundError("No module named 'a.b'", name="a.b"), "no module a; install a"),
        (ImportError("libpq.so.5: cannot open"), "libpq.so.5: cannot open; install"),
        (OperationalError("x", {}, Exception("file is not a database")), "is no database; name"),
        (OperationalError("SELECT", {}, Exception("database is locked")), "another process holds"),
        (OperationalError("x", {}, Exception("write a readonly database")), "permission"),
        (OperationalError("x", {}, Exception("password authentication failed")), "KIND://USER"),
        (MlflowException("Detected out-of-date database schema (found z)"), "mlflow db upgrade"),
        (MlflowException("got unsupported URI 'ftp://a'"), "write https://HOST"),
        (MlflowException("API request failed with error code 401 != 200"), "USER:PASSWORD@HOST"),
        (MlflowException("API request failed with error code 403 != 200"), "no permission"),
        (MlflowException("the response body was not in a valid JSON format"), "not one of MLflow"),
        (MlflowException("ResponseError('too many 503 error responses')"), "failure of"),
        (MlflowException("[SSL: CERTIFICATE_VERIFY_FAILED] x"), "MLFLOW_TRACKING_SERVER_CERT_PATH"),
        (MlflowException("[SSL: WRONG_VERSION_NUMBER] wrong"), "http:// instead of https://"),
        (OSError("Could not find the TLS certificate file, invalid path: /x"), "CLIENT_CERT_PATH"),
        (OSError("[Errno 111] Connection refused"), "connection refused; check host and port"),
        (OSError(28, "No space left on device"), "a full disk; free space"),
        (ValueError("Invalid IPv6 URL"), "no valid address; percent-encode"),
    ],
)  # fmt: skip
def test_what_went_wrong_and_what_to_do_in_one_line(error, said):
    with pytest.raises(RefusedError) as caught, store_failures(refuse):
        raise error
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__, "a traceback would quote what the library said"


def test_an_unknown_failure_is_told_in_its_own_first_line_cut_and_without_login():
    reason, advice = describe(MlflowException("odd: http://me:s3cret@host\nmore"))
    assert (reason, advice.split()[0]) == ("odd: http://host", "check")
    assert len(describe(MlflowException("x" * 5000))[0]) < 400
    assert describe(MlflowException(""))[0] == "MlflowException"


class OurError(ValueError):
    """As those of the rooms, which are ValueErrors too."""


@pytest.mark.parametrize("error", [OurError("ours"), TypeError("a mistake"), KeyError("x")])
def test_what_is_not_the_store_s_goes_through(error):
    with pytest.raises(type(error)) as caught, store_failures(refuse):
        raise error
    assert caught.value is error


def test_uri_given_comes_before_the_environment_and_the_default(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert resolve(None) == DEFAULT_TRACKING_URI
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:s3cret@host")
    assert resolve(None).with_login == "http://me:s3cret@host"
    assert resolve("http://other").with_login == "http://other"
    assert resolve("http://you:other@host").with_login == "http://you:other@host"


def test_the_login_of_the_environment_serves_the_uri_of_a_record(monkeypatch):
    """`--config study.yaml`, which holds no login, asked the server without one."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:s3cret@host")
    assert resolve("http://host").with_login == "http://me:s3cret@host"
    assert resolve("http://elsewhere").with_login == "http://elsewhere"


def test_the_first_call_is_short_unless_a_person_wants_it_longer(monkeypatch):
    monkeypatch.delenv(RETRIES, raising=False)
    monkeypatch.setenv(TIMEOUT, "77")
    with first_call():
        assert (os.environ[RETRIES], os.environ[TIMEOUT]) == ("1", "77")
    assert RETRIES not in os.environ
    limit_client()
    assert (os.environ[RETRIES], os.environ[TIMEOUT]) == ("2", "77")
    with first_call():
        assert os.environ[RETRIES] == "1"
    assert os.environ[RETRIES] == "2"
    monkeypatch.delenv(RETRIES)


@pytest.mark.parametrize(
    ("text", "is_gone_in_a_while"),
    [
        ("Connection refused", True),
        ("API request failed with timeout exception", True),
        ("Connection aborted.", True),
        ("too many 503 error responses", True),
        ("database is locked", True),
        ("error code 401", False),
        ("CERTIFICATE_VERIFY_FAILED", False),
        ("file is not a database", False),
        ("odd", False),
    ],
)
def test_a_store_that_is_away_is_told_from_a_wrong_address(text, is_gone_in_a_while):
    reason, _ = describe(MlflowException(text))
    assert is_passing(reason) == is_gone_in_a_while
