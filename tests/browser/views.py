"""Going from view to view, as a person does: some lie behind a button."""

from __future__ import annotations

from playwright.sync_api import Page, expect

__all__ = ["VIEWS", "visit"]

VIEWS = ("home", "tasks", "actions", "plan", "activity", "history", "pools", "console")


def visit(page: Page, view: str) -> None:
    """Go to a view by its tab, unfolding what it lies behind."""
    tab = page.locator(f"#tab-{view}")
    for behind in ("#more", "#advanced"):
        button = page.locator(behind)
        if not tab.is_visible() and button.is_visible() and button.get_attribute("aria-expanded") == "false":
            button.click()
    tab.click()
    expect(page.locator(f"#view-{view}")).to_be_visible()
