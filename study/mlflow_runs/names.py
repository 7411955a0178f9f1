"""A person's text as MLflow takes it: names of metrics and values of tags and parameters."""

from __future__ import annotations

import hashlib
import posixpath
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

_OTHER: Final = re.compile(r"[^/\w.\- :]")
"""What MLflow does not take in a name (mlflow.utils.validation)."""
_PER_CLASS: Final = ("f1", "iou", "precision", "recall")
"""Measures of `contract.measures.summarise` that a class has each."""
_LONGEST_PREFIX: Final = "test_eroded/precision_"
_LONGEST_NAME: Final = 250
_MAX_CLASS: Final = _LONGEST_NAME - len(_LONGEST_PREFIX)
"""Characters; MLflow takes so many in a name."""
_MAX_PARAM: Final = 6000
_MAX_TAG: Final = 8000
_CHECKSUM: Final = 8
"""Hex digits of a class whose name had to be told apart; more where these do not do."""
_CLASS_TAG: Final = "class_"


class MetricNames:
    """Names of a study's metrics in MLflow, of which those of classes hold a person's text.

    A class that MLflow takes keeps its name. In any other, what MLflow refuses becomes "_". Where
    two would then be one, also to a database that compares without case, accents or trailing
    spaces, the later one gets a checksum. So the names of a study are all different, and follow
    from its classes alone.
    """

    def __init__(self, classes: Sequence[str] = ()) -> None:
        """Name the classes of a study.

        Args:
            classes: In the order of the study's masks, spelled as its person does.
        """
        self._written: dict[str, str] = {}
        taken: set[str] = set()
        for keep in (True, False):  # names that can stay are not for others to take
            for own in classes:
                plain = _plain(own)
                if own in self._written or (keep and plain != own):
                    continue
                if keep and _folded(own) in taken:
                    continue
                written = next(
                    name for name in _candidates(own, plain) if _folded(name) not in taken
                )
                self._written[own] = written
                taken.add(_folded(written))

    @property
    def renamed(self) -> Mapping[str, str]:
        """The person's own spelling by the name in MLflow, of classes where they differ."""
        return {written: own for own, written in self._written.items() if written != own}

    @property
    def class_tags(self) -> dict[str, str]:
        """Tags that show the person's own spelling, `class_<name in MLflow>`."""
        return {f"{_CLASS_TAG}{name}": tag_value(own) for name, own in self.renamed.items()}

    def of(self, name: str) -> str:
        """The name in MLflow of a metric, `test/f1_<class>`, say; most stay as they are."""
        split, _, measure = name.partition("/")
        kind, _, own = measure.partition("_")
        if kind not in _PER_CLASS or own not in self._written:
            return name
        return f"{split}/{kind}_{self._written[own]}"


def tag_value(text: str) -> str:
    """A text as the value of a tag: what no database stores is escaped, and the end cut off."""
    return _storable(text)[:_MAX_TAG]


def param_value(value: object) -> str:
    """A value as that of a parameter: what no database stores is escaped, and the end cut off."""
    return _storable(str(value))[:_MAX_PARAM]


def metric_name(text: str) -> str:
    """A name of a metric, in which what MLflow refuses becomes "_"."""
    return _OTHER.sub("_", text)[:_LONGEST_NAME]


def _plain(own: str) -> str:
    """A class as MLflow takes it, whatever stands before it in a name."""
    plain = _OTHER.sub("_", own)[:_MAX_CLASS]
    if posixpath.normpath(f"x/f1_{plain}") != f"x/f1_{plain}":  # it would name another folder
        plain = plain.replace("/", "_")
    return plain


def _candidates(own: str, plain: str) -> Iterator[str]:
    yield plain
    checksum = hashlib.sha256(own.encode("utf-8", "surrogatepass")).hexdigest()
    for length in range(_CHECKSUM, len(checksum) + 1):
        ending = f"_{checksum[:length]}"
        yield f"{plain[: _MAX_CLASS - len(ending)].rstrip('/. ')}{ending}"


def _folded(name: str) -> str:
    """The same for names that some database takes for one."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    return "".join(one for one in decomposed if not unicodedata.combining(one)).rstrip()


def _storable(text: str) -> str:
    """Bytes of file names that are no UTF-8, and NUL, written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", r"\x00")
