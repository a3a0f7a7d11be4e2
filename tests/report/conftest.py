"""A real browser for the tests: a headless Chromium, driven by the standard library alone.

It speaks the DevTools protocol (https://chromedevtools.github.io/devtools-protocol/). With
``--remote-debugging-pipe`` the browser reads commands from its file descriptor 3 and writes answers
to 4, as JSON that ends in a NUL byte, so there is no port to choose and nothing to install.
"""

from __future__ import annotations

import base64
import json
import os
import platform
import select
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dag_gfn as dg
from dag_gfn.report import describe_columns, page, read_run

# A variable that names the browser to use, and what to look for on the path otherwise.
VARIABLE = "DAG_GFN_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# A package of npm with a headless Chromium for Linux. It is kept in the virtual environment.
PACKAGE = "@sparticuz/chromium@147.0.0"
FETCHED = Path(sys.prefix) / "share" / "chromium-147.0.0"
# Python's standard library cannot undo Brotli, and that of node can.
UNPACK = """
const fs = require("fs"), zlib = require("zlib");
for (const name of ["chromium", "swiftshader.tar", "al2023.tar"])
  fs.writeFileSync(name, zlib.brotliDecompressSync(fs.readFileSync(`package/bin/${name}.br`)));
"""
FLAGS = (
    "--headless",
    "--no-sandbox",  # which root may not use
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers have little shared memory
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
PATIENCE = 60.0  # seconds that an answer may take


# Whatever a column may be called must be shown as it is, and do nothing.
HOSTILE = ("<script>alert(1)</script>", "\"&'", "</style><img src=x onerror=alert(2)>", "$x_$")


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """What ``dag-gfn fit`` leaves, of a table whose columns have hostile names."""
    simulation = dg.datasets.simulate_linear_gaussian(len(HOSTILE), 200, random_state=0)
    table = simulation.table.set_axis(list(HOSTILE), axis=1)
    exact = dg.ExactPosterior(standardize=True).fit(table).posterior_
    noise = 0.3 * np.random.default_rng(0).normal(size=400)
    posterior = dg.Posterior(
        exact.sample(400, random_state=1),
        noise - 700,
        exact.names,
        method="OrderGFlowNet",
        mechanisms=exact.mechanisms,
    )
    run = tmp_path_factory.mktemp("run")
    posterior.save(run / "posterior.npz")
    steps = np.arange(1, 6)
    pd.DataFrame(
        {
            "update": 100 * steps,
            "loss": 8 / steps,
            "log_weight_std": 2 / steps,
            "efficiency": 0.9 - 0.5 / steps,
        }
    ).to_csv(run / "history.csv", index=False)
    summary = {
        "table": "folder/<b>table.csv",
        "rows": 200,
        "variables": list(HOSTILE),
        "log": False,
        "rows_with_intervention": 0,
        "imperfect_interventions": False,
        "required_edges": [],
        "forbidden_edges": [[HOSTILE[0], HOSTILE[1]]],
        "tiers": [[HOSTILE[0]], [HOSTILE[1], HOSTILE[2]]],
        "edge_probabilities": [[HOSTILE[1], HOSTILE[2], 0.25]],
        "columns": describe_columns(table),
        "command": "dag-gfn fit 'folder/<b>table.csv' --standardize",
        "seed": 7,
        "settings": {"score": "bge", "prior": "fair", "standardize": True, "max_parents": None},
        "fit_seconds": 12.5,
        "versions": {"python": "3.11.7", "dag_gfn": dg.__version__},
    }
    (run / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    return run


@pytest.fixture(scope="session")
def whole(folder) -> str:
    """The report of the folder."""
    return page(read_run(folder), progress=False)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable, libraries = _executable()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        started = Browser(executable, profile, libraries)
        try:
            yield started
        finally:
            started.close()


def _executable() -> tuple[str, Path | None]:
    """Return a browser, and a folder of libraries that it may need; skip if there is none."""
    if named := os.environ.get(VARIABLE):
        return named, None
    for name in NAMES:
        if found := shutil.which(name):
            return found, None
    if not FETCHED.exists():
        why = _fetch()
        if why:
            pytest.skip(
                f"there is no browser on the path nor in {VARIABLE}, and none was fetched: {why}"
            )
    return str(FETCHED / "chromium"), FETCHED / "lib"


def _fetch() -> str | None:
    """Fetch the browser with npm, once; return why that cannot be, if it cannot."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return f"{PACKAGE} is for Linux on x86-64"
    missing = [tool for tool in ("node", "npm") if shutil.which(tool) is None]
    if missing:
        return f"there is no {missing[0]}"
    FETCHED.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FETCHED.parent) as staging:
        whole = Path(staging) / "whole"
        whole.mkdir()

        def step(*command: str) -> str | None:
            try:
                done = subprocess.run(
                    command, cwd=whole, capture_output=True, text=True, timeout=240
                )
            except subprocess.TimeoutExpired:
                return f"{command[0]} took too long"
            said = (done.stderr or done.stdout or "no reason given").strip().splitlines()
            return f"{command[0]} failed ({said[0]})" if done.returncode else None

        why = step("npm", "pack", "--loglevel=error", "--fetch-retries=1", PACKAGE)
        if why:
            return why
        _extract(next(whole.glob("*.tgz")))
        why = step("node", "-e", UNPACK)
        if why:
            return why
        shutil.rmtree(whole / "package")
        for archive in list(whole.glob("*.tar")):
            _extract(archive)
        (whole / "chromium").chmod(0o755)
        whole.rename(FETCHED)  # in one step, so that a part of it is never taken for the whole
    return None


def _extract(archive: Path) -> None:
    with tarfile.open(archive) as packed:
        packed.extractall(archive.parent, filter="data")
    archive.unlink()


class Browser:
    """A browser process, and the commands and events that go through its pipe."""

    def __init__(self, executable: str, profile: str, libraries: Path | None) -> None:
        environment = dict(os.environ)
        if libraries is not None:
            known = environment.get("LD_LIBRARY_PATH")
            environment["LD_LIBRARY_PATH"] = f"{libraries}:{known}" if known else str(libraries)
        redirected = 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null'
        self._process = subprocess.Popen(
            ["sh", "-c", redirected, "sh", executable]
            + [*FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            bufsize=0,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._commands, self._answers = self._process.stdin, self._process.stdout
        self._unread = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        self._commands.write(json.dumps(message).encode() + b"\0")
        answer = self._wait(lambda message: message.get("id") == self._number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def wait_for(self, method: str, session: str) -> None:
        """Wait for an event, unless it has come already."""

        def wanted(message: dict[str, Any]) -> bool:
            return message.get("method") == method and message.get("sessionId") == session

        if not any(map(wanted, self.events)):
            self._wait(wanted)

    def _wait(self, wanted) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while True:
            message = self._read(deadline)
            if "method" in message:
                self.events.append(message)
            if wanted(message):
                return message

    def _read(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._answers], [], [], deadline - time.monotonic())
            assert ready, "the browser does not answer"
            chunk = self._answers.read(1 << 20)
            assert chunk, f"the browser has ended, with {self._process.wait()}"
            self._unread += chunk
        message, self._unread = self._unread.split(b"\0", 1)
        return json.loads(message)

    def open(self, path: Path, *, width: int = 1200, height: int = 900) -> Tab:
        """Open a file, and wait until it is loaded."""
        return Tab(self, path, width, height)

    def close(self) -> None:
        try:
            self.call("Browser.close")
            self._process.wait(10)
        finally:
            self._process.kill()
            self._process.wait()
            self._commands.close()
            self._answers.close()


class Tab:
    """A page in the browser."""

    def __init__(self, browser: Browser, path: Path, width: int, height: int) -> None:
        self._browser = browser
        self._target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=self._target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.resize(width, height)
        browser.events.clear()
        self.address = path.resolve().as_uri()
        self.call("Page.navigate", url=self.address)
        browser.wait_for("Page.loadEventFired", self._session)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **parameters)

    def resize(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript, whatever the page itself may run."""
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def screenshot(self, *, full: bool = False) -> bytes:
        """Return a PNG of what is seen, or of the whole page."""
        parameters: dict[str, Any] = {"format": "png"}
        if full:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            parameters |= {"captureBeyondViewport": True, "clip": {**size, "scale": 1}}
        return base64.b64decode(self.call("Page.captureScreenshot", **parameters)["data"])

    def print_to_pdf(self) -> bytes:
        return base64.b64decode(self.call("Page.printToPDF", printBackground=False)["data"])

    def events(self, method: str) -> list[dict[str, Any]]:
        return [
            event["params"]
            for event in self._browser.events
            if event["method"] == method and event.get("sessionId") == self._session
        ]

    def close(self) -> None:
        self._browser.call("Target.closeTarget", targetId=self._target)
