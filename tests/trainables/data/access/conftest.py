"""Web servers on this machine: of a folder, and one that says nothing."""

import socket
import subprocess
import sys
import uuid
from contextlib import ExitStack, contextmanager

import pytest

from trainables.data.access import gdal_options
from trainables.storage import store_address


@contextmanager
def started(program, *words):
    """Runs a server that prints its port, and ends it."""
    command = [sys.executable, "-c", program, *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield f"127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.kill()


WEB_SERVER = """
import http.server, pathlib, sys, urllib.parse
folder, answer, asked = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
num_left = int(sys.argv[4])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global num_left
        num_left -= 1
        if num_left < 0:
            return self.send_error(403)
        path, _, query = self.path.partition("?")
        with asked.open("a") as file:
            print(self.command, path, self.headers.get("Range", "all"), query,
                  self.headers.get("Authorization", "nobody"), file=file)
        file = pathlib.Path(folder + urllib.parse.unquote(path))
        if answer != 200 or not file.is_file():
            return self.send_error(answer if answer != 200 else 404)
        content = file.read_bytes()
        first, last = 0, len(content) - 1
        wanted = self.headers.get("Range")
        if wanted:
            begin, _, end = wanted.removeprefix("bytes=").partition("-")
            first, last = int(begin), min(int(end or last), last)
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[first : last + 1])
    do_HEAD = do_GET
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture
def serve_folder(tmp_path):
    """Starts a server of a folder, and gives its address and the file of what it was asked for."""
    with ExitStack() as servers:

        def start(folder, answer=200, num_answered=10**9):
            asked = tmp_path / f"asked-{uuid.uuid4().hex}"
            asked.touch()
            words = folder, answer, asked, num_answered
            address = servers.enter_context(started(WEB_SERVER, *words))
            return f"http://{address}", asked

        yield start


@pytest.fixture
def silent(monkeypatch):
    """The address of a server that takes connections and says nothing; patience is short."""
    monkeypatch.setattr(gdal_options, "SILENCE_S", 1)
    monkeypatch.setattr(store_address, "_REQUEST_TIMEOUT_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"
