"""Reads `labels` of a dataset.yaml: polygons, lines and points instead of masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from trainables.data.layouts.dataset_yaml.document import is_nothing
from trainables.data.layouts.dataset_yaml.fields import YamlFields
from trainables.data.layouts.spec import VectorLabels
from trainables.data.places.vector_files import VectorFile

_KEYS: Final = (
    "file", "layer", "class_field", "background", "area", "area_layer", "order", "buffer_m",
    "ignore_values",
)  # fmt: skip


def read_labels(
    fields: YamlFields, class_names: Sequence[str], class_values: Sequence[tuple[str, ...]]
) -> VectorLabels:
    """What `labels` says; whether the files hold it is for the decoding to say.

    Args:
        fields: With `labels`; file names are relative to the YAML file.
        class_names: Names of the classes (K).
        class_values: Values of the class field for each class (K), as text.

    Raises:
        DataError: If a key is unknown, missing or malformed, or if it contradicts the classes.
    """
    given = fields.values["labels"]
    if not isinstance(given, dict) or "file" not in given or not {*given} <= {*_KEYS}:
        raise fields.error(
            f"labels must have a file, got {given!r}", f"valid keys: {', '.join(_KEYS)}"
        )
    inner = YamlFields(
        file=fields.file,
        values={f"labels.{key}": value for key, value in given.items() if not is_nothing(value)},
    )
    background = _optional(inner, "labels.background")
    order = inner.texts("labels.order") or tuple(class_names)
    named = [*order, *([] if background is None else [background])]
    if unknown := [one for one in named if one not in class_names]:
        raise fields.error(
            f"labels must name classes, got {unknown[0]!r}", f"valid: {', '.join(class_names)}"
        )
    if len(set(order)) < len(order):
        raise fields.error(f"labels.order must name a class once, got {list(order)!r}", "mend it")
    class_field = _optional(inner, "labels.class_field")
    drawn = [name for name in class_names if name != background]
    if class_field is None:
        if len(drawn) > 1 or any(class_values):
            raise fields.error(
                "labels.class_field must name the field that holds the class of a polygon, got "
                f"none for {', '.join(drawn)}",
                "add it, and the values of each class under classes",
            )
    else:
        _check_values(fields, drawn, dict(zip(class_names, class_values, strict=True)))
    buffer_m = inner.number("labels.buffer_m")
    if buffer_m is not None and not 0 < buffer_m < float("inf"):
        raise fields.error(f"labels.buffer_m must be metres above 0, got {buffer_m!r}", "mend it")
    rest = [name for name in class_names if name not in order]
    return VectorLabels(
        source=_vector_file(inner, "file", "layer"),
        class_field=class_field,
        class_values=tuple(class_values),
        ignored_values=_ignored(fields, inner, class_values),
        background=None if background is None else list(class_names).index(background),
        area=_vector_file(inner, "area", "area_layer") if "labels.area" in inner.values else None,
        order=tuple(list(class_names).index(name) for name in (*rest, *order)),
        buffer_m=buffer_m,
    )


def read_values(fields: YamlFields, where: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    """The values of the class field that are one class; a single one needs no list."""
    given = entry.get("values")
    if is_nothing(given):
        return ()
    values = given if isinstance(given, list) else [given]
    named = YamlFields(file=fields.file, values={f"{where}.values": values})
    return named.texts(f"{where}.values")


def _check_values(
    fields: YamlFields, drawn: Sequence[str], values_of: Mapping[str, tuple[str, ...]]
) -> None:
    if without := [name for name in drawn if not values_of[name]]:
        raise fields.error(
            f"classes must have values of labels.class_field, got none for {', '.join(without)}",
            "e.g. {name: building, values: [yes, house]}; a class that is drawn by no polygon is "
            "the background",
        )
    every = [value for values in values_of.values() for value in values]
    if repeated := sorted({value for value in every if every.count(value) > 1}):
        raise fields.error(
            f"values must be of one class, got {repeated[0]!r} twice", "take one of them out"
        )


def _ignored(
    fields: YamlFields, inner: YamlFields, class_values: Sequence[tuple[str, ...]]
) -> tuple[str, ...]:
    ignored = inner.texts("labels.ignore_values")
    if both := [value for value in ignored if any(value in one for one in class_values)]:
        raise fields.error(
            f"labels.ignore_values must be of no class, got {both[0]!r}", "take one of them out"
        )
    return ignored


def _vector_file(inner: YamlFields, key: str, layer_key: str) -> VectorFile:
    return VectorFile(
        file=inner.path(f"labels.{key}"), layer=_optional(inner, f"labels.{layer_key}")
    )


def _optional(inner: YamlFields, key: str) -> str | None:
    return inner.text(key) if key in inner.values else None
