"""A study on an MLflow server behind a login and a certificate of its own."""

import base64
import contextlib
import http.client
import http.server
import ipaddress
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

COMMAND = Path(__file__).parents[3] / "run_study.py"
USER, PASSWORD = "alice", "top/S3cret@w0rd+%41"
LOGIN = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
LONGEST_S = "1500"
"""After which the server ends by itself."""
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


@dataclass(frozen=True)
class PrivateServer:
    """Where it answers, and what it keeps."""

    port: int
    certificate: Path
    folder: Path

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def with_login(self) -> str:
        return f"https://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}"


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "private")])
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return public, private


def gate_to(inner_port: int) -> type[http.server.BaseHTTPRequestHandler]:
    """Passes on what comes with the login, and refuses the rest."""

    class Gate(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Authorization") != f"Basic {LOGIN}":
                self.answer(401, [("WWW-Authenticate", 'Basic realm="mlflow"')], b"")
                return
            inner = http.client.HTTPConnection("127.0.0.1", inner_port, timeout=60)
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in {"host", "authorization", *HOP_BY_HOP}
            }
            inner.request(self.command, self.path, body, headers)
            said = inner.getresponse()
            self.answer(said.status, said.getheaders(), said.read())
            inner.close()

        def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Gate


@contextlib.contextmanager
def mlflow_server(folder: Path) -> Iterator[int]:
    """An MLflow server on the loopback interface; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [
        "timeout", LONGEST_S, str(Path(sys.executable).with_name("mlflow")), "server",
        "--backend-store-uri", f"sqlite:///{folder / 'server.db'}",
        "--artifacts-destination", str(folder / "artifacts"),
        "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            words, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True
        )
    try:
        while True:
            with contextlib.suppress(OSError):
                asked = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                asked.request("GET", "/health")
                if asked.getresponse().status == 200:
                    break
            assert process.poll() is None, (folder / "server.log").read_text()
            time.sleep(0.2)
        yield port
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def server(tmp_path: Path, mlflow_database: Path) -> Iterator[PrivateServer]:
    folder = tmp_path / "server"
    folder.mkdir()
    shutil.copy(mlflow_database, folder / "server.db")
    certificate, key = write_certificate(tmp_path)
    with mlflow_server(folder) as inner_port:
        gate = http.server.ThreadingHTTPServer(("127.0.0.1", 0), gate_to(inner_port))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        gate.socket = context.wrap_socket(gate.socket, server_side=True)
        thread = threading.Thread(target=gate.serve_forever, daemon=True)
        thread.start()
        yield PrivateServer(gate.server_port, certificate, folder)
        gate.shutdown()
        gate.server_close()
        thread.join()


@pytest.mark.slow
def test_study_behind_a_login_and_a_certificate_is_reported_and_keeps_the_password_to_itself(
    server, tiny_folder, tiny_training, tmp_path
):
    """Trials ran, the report did not; the password stood in study.yaml and in MLflow."""
    work = tmp_path / "work"
    work.mkdir()
    options = {"data": str(tiny_folder), "models": ["urec"], "trials": 1, "seeds": 1}
    (work / "tiny.yaml").write_text(yaml.safe_dump({**tiny_training, **options}))
    said = ""

    def run(*words: str, **more: str) -> None:
        nonlocal said
        env = {name: value for name, value in os.environ.items() if "MLFLOW" not in name}
        env |= {"MLFLOW_TRACKING_SERVER_CERT_PATH": str(server.certificate), **more}
        command = [sys.executable, *words]
        done = subprocess.run(
            command, cwd=work, env=env, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stderr
        said += done.stdout + done.stderr

    given = ("--name", "n", "--tracking-uri", server.with_login)
    run(str(COMMAND), "--config", "tiny.yaml", "--space", "label_frac=0.5", *given)
    assert f"browse  {server.address}\n" in said
    study = work / "studies" / "n"
    assert (study / "report" / "index.html").is_file()
    recorded = yaml.safe_load((study / "study.yaml").read_text())["config"]["tracking_uri"]
    assert recorded == server.address

    run("-m", "analysis", "report", "n", "--tracking-uri", server.with_login, "--out", "again")
    assert (work / "again" / "index.html").is_file()
    run(
        *(str(COMMAND), "--config", str(study / "study.yaml")),
        MLFLOW_TRACKING_URI=server.with_login,
    )
    run(
        *("-m", "analysis", "export", "n", "--tracking-uri", server.address, "--out", "again"),
        MLFLOW_TRACKING_USERNAME=USER, MLFLOW_TRACKING_PASSWORD=PASSWORD,
    )  # fmt: skip

    spellings = {PASSWORD, quote(PASSWORD, safe=""), quote(PASSWORD), LOGIN}
    spellings |= {quote(one, safe="") for one in spellings}
    files = [path for top in (work, server.folder) for path in top.rglob("*") if path.is_file()]
    assert any(path.name == "server.db" for path in files)
    assert any("artifacts" in path.parts for path in files)
    for spelling in spellings:
        assert spelling not in said
        holding = [str(path) for path in files if spelling.encode() in path.read_bytes()]
        assert not holding, spelling
