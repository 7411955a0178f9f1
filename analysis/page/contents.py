"""The list of contents of a page, gathered while its sections are written."""

from __future__ import annotations

from dataclasses import dataclass, field

from markupsafe import Markup


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Every part of one page that a reader may want to go to."""

    entries: dict[str, str] = field(default_factory=dict)
    """Title by id, in the order of the page."""

    def at(self, place: str, title: str) -> Markup:
        """The attribute `id` of an element, to which an entry leads from now on.

        Args:
            place: Its id; where a part of the page already has it, a number is added.
            title: A few words.
        """
        taken = place
        number = 1
        while taken in self.entries:
            number += 1
            taken = f"{place}-{number}"
        self.entries[taken] = title
        return Markup('id="{}"').format(taken)
