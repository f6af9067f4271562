"""The table of tasks as tests use it: rows are told by their place, so nothing may move them meanwhile."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.harness import WsClient

__all__ = ["open_outputs", "row", "settle", "shown_id"]

COMPARED = 10  # rows from the top, where new ones come in


def shown_id(task_id: str) -> str:
    """An id as the page shows it: one that was made up by its beginning."""
    return task_id[:8] if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", task_id) else task_id


def row(page: Page, task_id: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("gridcell", name=task_id, exact=True))


def settle(page: Page, client: WsClient) -> None:
    """Wait until the table has all that the server has, newest first.

    A row shows whichever task is at its place. While tasks that were started just now are still on their way
    into the table, what was found to be one task's row is another's by the time it is read or clicked.
    """
    tasks = sorted(client.request("list")["tasks"], key=lambda task: str(task["created_at"]), reverse=True)
    for place, task in enumerate(tasks[:COMPARED]):
        expect(page.locator(".t-row .c-id").nth(place)).to_have_text(shown_id(task["task_id"]))


def open_outputs(page: Page, client: WsClient, *task_ids: str) -> Locator:
    """Open outputs by double click; the last one's pane."""
    settle(page, client)
    for task_id in task_ids:
        page.locator(".c-id").get_by_text(shown_id(task_id), exact=True).dblclick()
        expect(page.locator(f'.pane h3[data-task="{task_id}"]')).to_be_visible()
    return page.locator(".pane").last
