from typing import Any

from mlflow.store.entities.paged_list import PagedList

from contract.mlflow_store.pages import all_pages


def test_every_page_is_asked_for_and_an_empty_one_ends_nothing() -> None:
    pages: dict[str | None, tuple[list[int], str | None]] = {
        None: ([1, 2], "a"),
        "a": ([], "b"),
        "b": ([3], None),
    }

    def search(page_token: str | None) -> PagedList[Any]:
        return PagedList(*pages[page_token])

    assert all_pages(search) == [1, 2, 3]
    assert all_pages(lambda page_token: PagedList([], "")) == []
