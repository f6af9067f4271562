"""``make pictures``: the page's pictures for the documents, taken of a server that is at work."""

from __future__ import annotations

import argparse
import base64
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.conftest import ARGUMENTS, CHROMIUM
from tests.pictures.harbour import harbour

_INTO = Path(__file__).parents[2] / "docs" / "screenshots"
_DESKTOP = {"width": 1440, "height": 900}
_PHONE = {"width": 390, "height": 844}
_SETTLE_MS = 1500  # in which lists that are asked for arrive


def _outputs(page: Page) -> None:
    for task in ("shop", "jobs"):
        page.get_by_role("gridcell", name=task, exact=True).dblclick()
        expect(page.locator(f'.pane h3[data-task="{task}"]')).to_be_visible()
    page.locator(".layouts button").last.click()


def _run(page: Page) -> None:
    page.locator(".run", has_text="shop").first.locator(".run-open").click()
    search = page.get_by_label("Search this run's output")
    search.fill("POST")
    search.press("Enter")
    search.press("Enter")


def _timeline(page: Page) -> None:
    page.locator(".lane .run-bar.s-failed").nth(2).hover()


def _crosshair(page: Page) -> None:
    expect(page.locator(".by-action tr").nth(3)).to_be_visible()
    page.locator(".past .chart canvas").first.hover(position={"x": 420, "y": 90})


def _output(page: Page) -> None:
    page.locator(".inspector").get_by_role("button", name="Output").click()
    expect(page.locator(".pane .line").nth(8)).to_be_visible()


def _console(page: Page) -> None:
    page.get_by_role("button", name="the page's own").click()
    page.get_by_role("button", name="Send").click()
    page.locator(".c-row", has_text="actions").last.click()


def _form(page: Page) -> None:
    page.get_by_label("version").fill("2.14.1")
    page.locator(".action-head").click()


# name: (where, what is done there, whether on a phone)
_VIEWS: dict[str, tuple[str, Callable[[Page], None] | None, bool]] = {
    "home": ("#home", None, False),
    "tasks": ("#tasks/shop", None, False),
    "actions": ("#actions/deploy", _form, False),
    "plan": ("#plan", None, False),
    "activity": ("#activity?span=7d", _crosshair, False),
    "history": ("#history", _timeline, False),
    "outputs": ("#tasks", _outputs, False),
    "run": ("#history?task=shop", _run, False),
    "pools": ("#pools", None, False),
    "console": ("#console", _console, False),
    "narrow-home": ("#home", None, True),
    "narrow-tasks": ("#tasks", None, True),
    "narrow-task": ("#tasks/shop", None, True),
    "narrow-output": ("#tasks/shop", _output, True),
    "narrow-actions": ("#actions/deploy", None, True),
    "narrow-history": ("#history", None, True),
    "narrow-activity": ("#activity?span=7d", None, True),
}


def _small(page: Page, picture: bytes) -> bytes:
    """The same as a PNG with a palette, a third of its size."""
    script = (Path(__file__).parent / "shrink.js").read_text()
    width, height, colours, indexes = page.evaluate(script, base64.b64encode(picture).decode())
    rows = base64.b64decode(indexes)
    lines = b"".join(b"\0" + rows[at : at + width] for at in range(0, width * height, width))

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0))
        + chunk(b"PLTE", b"".join(colour.to_bytes(3, "big") for colour in colours))
        + chunk(b"IDAT", zlib.compress(lines, 9))
        + chunk(b"IEND", b"")
    )


@contextmanager
def _opened(browser: Browser, scheme: str, phone: bool) -> Iterator[Page]:
    size = _PHONE if phone else _DESKTOP
    context = browser.new_context(
        viewport=size,  # type: ignore[arg-type]
        color_scheme=scheme,  # type: ignore[arg-type]
        reduced_motion="reduce",
        is_mobile=phone,
        has_touch=phone,
    )
    yield context.new_page()
    context.close()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make pictures", description=__doc__)
    parser.add_argument("views", nargs="*", help=f"some of them only: {', '.join(_VIEWS)}")
    parser.add_argument("--into", type=Path, default=_INTO, help="the folder (docs/screenshots)")
    options = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory() as directory,
        harbour(Path(directory) / "data") as (daemon, _),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        studio = browser.new_page()
        for name in options.views or _VIEWS:
            address, act, phone = _VIEWS[name]
            for scheme in ("light",) if phone else ("light", "dark"):
                with _opened(browser, scheme, phone) as page:
                    page.goto(f"http://{daemon.address}/{address}")
                    expect(page.locator("#connection")).to_have_text("Connected")
                    page.wait_for_timeout(_SETTLE_MS)
                    if act is not None:
                        act(page)
                        page.wait_for_timeout(_SETTLE_MS)
                    file = options.into / (f"{name}.png" if phone else f"{name}-{scheme}.png")
                    file.write_bytes(_small(studio, page.screenshot()))
                    print(f"{file.name}: {file.stat().st_size // 1024} KiB")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
