"""Everything that a search in MLflow finds; its client gives it page by page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def all_pages(search: Callable[..., Any]) -> list[Any]:
    """All entries of a search, from as many pages as it takes, in their order.

    Args:
        search: A search of MLflow's client, which takes `page_token`.
    """
    found: list[Any] = []
    token = None
    while True:
        page = search(page_token=token)
        found += page
        token = page.token
        if not token:
            return found
