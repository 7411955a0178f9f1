"""The page in a real browser: no message, no request, nothing wider than the screen."""

import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from analysis.page.report import make_report
from analysis.reading.sources.export import write_export
from analysis.reading.sources.load import load_study

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)  # fmt: skip
# Chromium reads from descriptor 3 and writes to 4; both may be taken by then
ONTO_3_AND_4 = (
    "import fcntl, os, sys; r, w = (fcntl.fcntl(int(f), fcntl.F_DUPFD, 10) for f in sys.argv[1:3]);"
    "os.dup2(r, 3); os.dup2(w, 4); os.execvp(sys.argv[3], sys.argv[3:])"
)
WIDTHS_PX = {"desktop": 1280, "phone": 390}
LOOK = """new Promise(done => {
  for (const part of document.querySelectorAll('details')) part.open = true;
  for (const button of document.querySelectorAll('button')) button.click();
  window.scrollTo(0, document.body.scrollHeight);
  const measure = () => done({
    inner: window.innerWidth, scroll: document.documentElement.scrollWidth,
    text: document.body.innerText.length});
  setTimeout(() => requestAnimationFrame(measure), 50);
})"""


@dataclass(frozen=True, kw_only=True)
class Visit:
    """What a page did while it was open."""

    messages: tuple[str, ...]
    """Console messages of any level, uncaught exceptions, the browser's own complaints."""
    requests: tuple[str, ...]
    """Every URL asked for beside the page's own and data:."""
    inner_px: int
    scroll_px: int
    text_length: int


class Browser:
    """Chromium, driven over a pipe by the DevTools protocol."""

    def __init__(self, program: str, profile: Path) -> None:
        to_read, self._to = os.pipe()
        self._from, to_write = os.pipe()
        self._net_log = profile / "net-log.json"
        command = [
            program, *FLAGS, f"--user-data-dir={profile}", f"--log-net-log={self._net_log}",
            "about:blank",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-c", ONTO_3_AND_4, str(to_read), str(to_write), *command],
            pass_fds=(to_read, to_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_read)
        os.close(to_write)
        self._num_sent = 0
        self._rest = b""
        self._events: list[dict[str, Any]] = []

    def close(self) -> None:
        with suppress(OSError, TimeoutError):
            self.ask("Browser.close")
        os.close(self._to)
        os.close(self._from)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def asked_by_pages(self) -> set[str]:
        """URLs that pages asked of the network, from the log of the closed browser.

        A request is isolated by the page it is for, here file://; the browser's own are not.
        """
        log = json.loads(self._net_log.read_text())
        start = log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
        begun = [event.get("params", {}) for event in log["events"] if event["type"] == start]
        return {p["url"] for p in begun if "file://" in p.get("network_isolation_key", "")}

    def ask(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """The answer to one command; events that come before it are kept."""
        self._num_sent += 1
        number = self._num_sent
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer)
                result: dict[str, Any] = answer["result"]
                return result
            self._events.append(answer)

    def wait_for(self, method: str) -> None:
        while not any(event.get("method") == method for event in self._events):
            self._events.append(self._receive())

    def _receive(self) -> dict[str, Any]:
        limit = time.monotonic() + 60.0
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], max(limit - time.monotonic(), 0.0))
            if not ready:
                raise TimeoutError("the browser did not answer within 60 s")
            chunk = os.read(self._from, 1 << 20)
            if not chunk:
                raise OSError("the browser ended")
            self._rest += chunk
        first, self._rest = self._rest.split(b"\0", 1)
        answer: dict[str, Any] = json.loads(first)
        return answer

    def visit(self, page: Path, width_px: int, look: str = LOOK) -> Visit:
        """Opens a page in a tab of its own, unfolds and clicks everything, and looks."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable", session)
        self.ask(
            "Emulation.setDeviceMetricsOverride", session, width=width_px, height=900,
            deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        self._events.clear()
        self.ask("Page.navigate", session, url=page.as_uri())
        self.wait_for("Page.loadEventFired")
        found = self.ask(
            "Runtime.evaluate", session, expression=look, awaitPromise=True, returnByValue=True
        )["result"]["value"]
        self.ask("Target.closeTarget", targetId=target)
        asked = [
            str(event["params"]["request"]["url"])
            for event in self._events
            if event.get("method") == "Network.requestWillBeSent"
        ]
        assert asked[0] == page.as_uri()
        return Visit(
            messages=tuple(filter(None, map(message_of, self._events))),
            requests=tuple(url for url in asked[1:] if not url.startswith("data:")),
            inner_px=found["inner"], scroll_px=found["scroll"], text_length=found["text"],
        )  # fmt: skip


def message_of(event: dict[str, Any]) -> str:
    """What an event says on the console, '' if it is none."""
    params = event.get("params", {})
    match event.get("method"):
        case "Runtime.consoleAPICalled":
            said = [str(part.get("value", part.get("description"))) for part in params["args"]]
            return f"{params['type']}: {' '.join(said)}"
        case "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            return f"exception: {details.get('exception', details).get('description', details)}"
        case "Log.entryAdded":
            return f"{params['entry']['level']}: {params['entry']['text']}"
    return ""


def start(profile: Path) -> Browser:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    return Browser(found, profile)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Closed after the last test, which is when its network log is whole."""
    started = start(tmp_path_factory.mktemp("profile"))
    yield started
    started.close()
    assert started.asked_by_pages() == set()


@pytest.fixture(scope="module")
def pages(store: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    exported = write_export(load_study("full", store), folder / "exported.parquet")
    studies = {name: name for name in ("full", "variants", "empty")} | {"exported": str(exported)}
    indexes = {
        name: make_report(n, tracking_uri=store, out=folder / name).index
        for name, n in studies.items()
    }
    return {name: index for name, index in indexes.items() if index is not None}


@pytest.mark.parametrize("width", list(WIDTHS_PX))
@pytest.mark.parametrize("study", ["full", "variants", "empty", "exported"])
def test_page_is_silent_asks_nothing_and_fits(
    browser: Browser, pages: dict[str, Path], study: str, width: str
) -> None:
    visit = browser.visit(pages[study], WIDTHS_PX[width])
    assert visit.messages == ()
    assert visit.requests == ()
    assert visit.inner_px == WIDTHS_PX[width]
    assert visit.scroll_px <= visit.inner_px
    assert visit.text_length > 200


BAD = {
    "image": ("<img src='http://example.org/a.png'>", "http://example.org/a.png"),
    "file": ("<img src='b.png'>", "b.png"),
    "style": ("<style>@import 'https://fonts.example.org/f.css';</style>", "fonts.example.org"),
    "fetch": ("<script>fetch('https://example.org/x').catch(() => 0)</script>", "example.org/x"),
    "error": ("<script>console.error('it', 7)</script>", "error: it 7"),
    "warning": ("<script>console.warn('it')</script>", "warning: it"),
    "exception": ("<script>null.x</script>", "TypeError"),
    "rejection": ("<script>Promise.reject(new Error('late'))</script>", "Error: late"),
    "button": ("<button onclick='nothing()'>b</button>", "nothing is not defined"),
    "wide": ("<div style='width:1300px'>wide</div>", "1300 px wide"),
    "unfolded": ("<details><pre style='width:1300px'>x</pre></details>", "1300 px wide"),
}


def test_each_kind_of_fault_is_caught(tmp_path: Path) -> None:
    faulty = start(tmp_path / "profile")
    (tmp_path / "good.html").write_text("<body style='margin:0'>good")
    good = faulty.visit(tmp_path / "good.html", 390)
    assert (good.messages, good.requests, good.scroll_px) == ((), (), 390)
    for name, (body, said) in BAD.items():
        page = tmp_path / f"{name}.html"
        page.write_text(f"<body style='margin:0'>{body}")
        visit = faulty.visit(page, 1280)
        wide = f"{visit.scroll_px} px wide" if visit.scroll_px > visit.inner_px else ""
        assert said in " ".join((*visit.messages, *visit.requests, wide)), name
    (tmp_path / "socket.html").write_text("<script>new WebSocket('wss://example.org/s')</script>")
    faulty.visit(tmp_path / "socket.html", 390)
    faulty.close()
    assert faulty.asked_by_pages() == {
        "http://example.org/a.png", "https://fonts.example.org/f.css", "https://example.org/x",
        "wss://example.org/s",
    }  # fmt: skip
