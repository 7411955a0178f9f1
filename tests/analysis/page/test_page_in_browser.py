"""The page in a real browser: no message, no request, nothing wider than the screen."""

import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from analysis.page.report import make_report
from tests.analysis.conftest import new_store
from tests.analysis.page.conftest import SEVERAL
from tests.analysis.page.crowded import fill_crowded_study

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
WIDTHS_PX = {"desktop": 1280, "phone": 390, "wide": 1920}
LOOK = """new Promise(done => {
  for (const part of document.querySelectorAll('details')) part.open = true;
  for (const button of document.querySelectorAll('button')) button.click();
  window.scrollTo(0, document.body.scrollHeight);
  const measure = () => done({
    inner: window.innerWidth, scroll: document.documentElement.scrollWidth,
    text: document.body.innerText.length});
  setTimeout(() => requestAnimationFrame(measure), 50);
})"""

FAULTS = """new Promise(done => {
  for (const part of document.querySelectorAll('details')) part.open = true;
  const faults = [];
  const say = (what, element) => faults.push(`${what}: ${element.textContent.trim().slice(0, 60)}`);
  for (const cell of document.querySelectorAll('td, th')) {
    const range = document.createRange();
    range.selectNodeContents(cell);
    const box = cell.getBoundingClientRect();
    for (const part of range.getClientRects())
      if (part.width && (part.left < box.left - 1 || part.right > box.right + 1 ||
                         part.top < box.top - 1 || part.bottom > box.bottom + 1)) {
        say('leaves its cell', cell); break;
      }
  }
  for (const chart of document.querySelectorAll('svg')) {
    const texts = [...chart.querySelectorAll('text')].filter(one => one.textContent.trim());
    const boxes = texts.map(one => one.getBoundingClientRect());
    boxes.forEach((one, i) => boxes.slice(i + 1).forEach(other => {
      if (Math.min(one.right, other.right) - Math.max(one.left, other.left) > 1 &&
          Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 1)
        say('lies under another text', texts[i]);
    }));
    const frame = chart.getBoundingClientRect();
    boxes.forEach((one, i) => {
      if (one.left < Math.max(frame.left - 8, 0) || one.right > innerWidth)
        say('is cut off', texts[i]);
    });
  }
  for (const picture of document.querySelectorAll('img, svg, canvas')) {
    const box = picture.getBoundingClientRect();
    const text = picture.getAttribute('alt') || picture.getAttribute('aria-label');
    if (!picture.closest('.scroll') && (box.left < -1 || box.right > innerWidth + 1))
      faults.push(`is cut off: ${text}`);
    if (!picture.closest('figure')?.querySelector('figcaption'))
      faults.push(`has no caption: ${text}`);
  }
  done(faults);
})"""
CONTENTS = """new Promise(async done => {
  const frame = () => new Promise(go => requestAnimationFrame(() => setTimeout(go, 0)));
  const found = [];
  for (const link of document.querySelectorAll('.contents a')) {
    const target = document.getElementById(decodeURIComponent(link.hash.slice(1)));
    link.click();
    await frame();
    const top = target ? target.getBoundingClientRect().top : NaN;
    const seen = document.querySelector('.contents').getBoundingClientRect();
    found.push({
      title: link.textContent.trim(), is_hit: top >= -1 && top < innerHeight,
      is_in_view: seen.top >= -1 && seen.top < innerHeight && seen.bottom > 0});
  }
  done(found);
})"""
PRINTED = """({
  contents: document.querySelector('.contents').getBoundingClientRect().height,
  closed: [...document.querySelectorAll('details')]
    .filter(one => !one.lastElementChild.checkVisibility()).length,
  details: document.querySelectorAll('details').length,
  scheme: matchMedia('(prefers-color-scheme: dark)').matches,
  heads: [...document.querySelectorAll('thead')]
    .filter(one => getComputedStyle(one).display !== 'table-header-group').length,
  split: [...document.querySelectorAll('table, figure, tr')]
    .filter(one => getComputedStyle(one).breakInside !== 'avoid').length,
  paper: getComputedStyle(document.body).backgroundColor})"""
PALE = """(() => {
  const parts = color => (color.match(/[\\d.]+/g) || []).map(Number);
  const over = (top, below) => {
    const alpha = top.length > 3 ? top[3] : 1;
    return [0, 1, 2].map(i => alpha * top[i] + (1 - alpha) * below[i]);
  };
  const behind = element => {
    const layers = [];
    for (let one = element; one; one = one.parentElement)
      layers.unshift(parts(getComputedStyle(one).backgroundColor));
    const white = [255, 255, 255];
    return layers.reduce((below, layer) => layer.length ? over(layer, below) : below, white);
  };
  const light = rgb => {
    const linear = one => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = rgb.map(one => linear(one / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const pale = new Set();
  for (const element of document.querySelectorAll('main *, header *, .contents *, svg text')) {
    const own = [...element.childNodes].some(one => one.nodeType === 3 && one.textContent.trim());
    if (!own || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const ground = behind(element);
    const ink = over(parts(element instanceof SVGElement ? style.fill : style.color), ground);
    const [low, high] = [light(ink), light(ground)].sort((a, b) => a - b);
    const name = element.getAttribute('class') || '';
    if ((high + 0.05) / (low + 0.05) < 4.5)
      pale.add(`${name}: ${element.textContent.trim().slice(0, 40)}`);
  }
  return [...pale];
})()"""


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

    def visit(self, page: Path, width_px: int) -> Visit:
        """Opens a page in a tab of its own, unfolds and clicks everything, and looks."""
        found = self.evaluate(page, width_px, LOOK)
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

    def evaluate(
        self, page: Path, width_px: int, look: str, media: str = "", **features: str
    ) -> Any:
        """What an expression finds on a page that was opened in a tab of its own.

        Args:
            page: The page.
            width_px: Of the window.
            look: The expression, or a promise of it.
            media: `print`, or "" for the screen.
            features: Of the medium, `prefers_color_scheme="dark"` say.
        """
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable", session)
        self.ask(
            "Emulation.setDeviceMetricsOverride", session, width=width_px, height=900,
            deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        named = [
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()
        ]
        self.ask("Emulation.setEmulatedMedia", session, media=media, features=named)
        self._events.clear()
        self.ask("Page.navigate", session, url=page.as_uri())
        self.wait_for("Page.loadEventFired")
        answer = self.ask(
            "Runtime.evaluate", session, expression=look, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        self.ask("Target.closeTarget", targetId=target)
        return answer["result"]["value"]


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
def pages(
    of_several: tuple[Path, str],
    page_of: Callable[[str], Path],
    page_of_exported: Path,
    mlflow_database: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("crowded")
    client = new_store(mlflow_database, folder)
    fill_crowded_study(client)
    uri = str(client.tracking_uri)
    crowded = make_report("crowded", tracking_uri=uri, out=folder / "report").index
    assert crowded is not None
    alone = {name: page_of(name) for name in SEVERAL}
    several = of_several[0] / "index.html"
    return alone | {"exported": page_of_exported, "crowded": crowded, "several": several}


@pytest.mark.parametrize("width", list(WIDTHS_PX))
@pytest.mark.parametrize("study", ["full", "variants", "empty", "exported", "crowded", "several"])
def test_page_is_silent_asks_nothing_and_fits(
    browser: Browser, pages: dict[str, Path], study: str, width: str
) -> None:
    visit = browser.visit(pages[study], WIDTHS_PX[width])
    assert visit.messages == ()
    assert visit.requests == ()
    assert visit.inner_px == WIDTHS_PX[width]
    assert visit.scroll_px <= visit.inner_px
    assert visit.text_length > 200


@pytest.mark.parametrize("width_px", [400, 1280, 1920])
@pytest.mark.parametrize("study", ["full", "variants", "crowded"])
def test_no_text_lies_over_another_and_no_picture_is_cut_off(
    browser: Browser, pages: dict[str, Path], study: str, width_px: int
) -> None:
    assert browser.evaluate(pages[study], width_px, FAULTS) == []


@pytest.mark.parametrize("width_px", [400, 1280])
@pytest.mark.parametrize("study", ["full", "crowded", "several"])
def test_the_list_of_contents_leads_to_every_part_and_stays_in_view(
    browser: Browser, pages: dict[str, Path], study: str, width_px: int
) -> None:
    found = browser.evaluate(pages[study], width_px, CONTENTS)
    titles = [one["title"] for one in found]
    if study == "several":
        assert titles == [*SEVERAL, "Curves", "Comparison", "Differences"]
    else:
        assert titles[-1] == "Provenance"
        assert {"Findings", "Curves", "Comparison", "Confusion", "Cost"} <= set(titles)
    assert [one["title"] for one in found if not one["is_hit"]] == []
    if width_px == 1280:
        assert [one["title"] for one in found if not one["is_in_view"]] == []


@pytest.mark.parametrize("study", ["full", "crowded"])
def test_on_paper_nothing_is_folded_and_no_table_is_split(
    browser: Browser, pages: dict[str, Path], study: str
) -> None:
    """Whoever prints at night, on a dark screen, gets dark letters on white too."""
    found = browser.evaluate(pages[study], 1000, PRINTED, "print", prefers_color_scheme="dark")
    assert found.pop("details") >= 2
    assert found == {
        "contents": 0, "closed": 0, "scheme": True, "heads": 0, "split": 0,
        "paper": "rgb(255, 255, 255)",
    }  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("study", ["full", "crowded"])
def test_no_text_is_too_pale_to_read(
    browser: Browser, pages: dict[str, Path], study: str, scheme: str
) -> None:
    """Contrast of 4.5 to 1 (WCAG 2.2, level AA)."""
    assert browser.evaluate(pages[study], 1280, PALE, prefers_color_scheme=scheme) == []


def test_each_kind_of_layout_fault_is_caught(tmp_path: Path) -> None:
    """A measure that finds nothing on a page that is wrong holds nothing."""
    page = tmp_path / "wrong.html"
    page.write_text(
        "<body style='margin:0;background:#fff;color:#000'><main><nav class=contents>"
        "<a href='#gone'>nowhere</a></nav>"
        "<table style='table-layout:fixed;width:90px'><tr><td>0.12345678<td>0.2</table>"
        "<figure><svg width=90 height=40><text y=20>one</text><text y=22>two</text></svg>"
        "<figcaption>c</figcaption></figure>"
        "<figure><img style='width:2000px' alt='far too wide'><figcaption>c</figcaption></figure>"
        "<img alt='without caption' width=9 height=9>"
        "<p style='color:#ccc'>pale<details><summary>s</summary><p>folded</details></main>"
    )
    faulty = start(tmp_path / "profile")
    try:
        found = faulty.evaluate(page, 1280, FAULTS)
        (link,) = faulty.evaluate(page, 1280, CONTENTS)
        printed = faulty.evaluate(page, 1000, PRINTED, "print")
        pale = faulty.evaluate(page, 1280, PALE)
    finally:
        faulty.close()
    assert found == [
        "leaves its cell: 0.12345678", "lies under another text: one", "is cut off: far too wide",
        "has no caption: without caption",
    ]  # fmt: skip
    assert (link["title"], link["is_hit"]) == ("nowhere", False)
    assert (printed["closed"], printed["split"]) == (1, 4)
    assert pale == [": pale"]


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
