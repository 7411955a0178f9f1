import numpy as np
import pytest

from analysis.reading.styles import (
    against_baseline,
    arms_of,
    baseline_label,
    own_effect,
    pairs_in,
    styles_of,
)
from contract.methods import METHODS, Method
from contract.space import parse_compare
from contract.variants import Variant, make_variants

BLUE, VERMILION = "#0072B2", "#D55E00"


def base(name: str) -> Variant:
    return Variant(name=name, label=name, short_label=name, method=name, is_baseline=True)


def other(name: str) -> Variant:
    return Variant(name=name, label=f"{name}, w1 0", short_label=name, method=name)


def test_the_first_baseline_is_blue_and_the_first_other_vermilion() -> None:
    for variants in ([base("a"), other("b"), other("c")], [other("b"), other("c"), base("a")]):
        styles = styles_of(variants)
        assert list(styles) == [one.name for one in variants]
        assert (styles["a"].color, styles["a"].marker) == (BLUE, "o")
        assert (styles["b"].color, styles["b"].marker) == (VERMILION, "D")
        assert (styles["c"].color, styles["c"].marker) == ("#CC79A7", "^")
    assert styles_of([other("b")])["b"].color == VERMILION
    first, second = styles_of([base("a"), base("d")]).values()
    assert (first.color, second.color) == (BLUE, "#CC79A7")


def test_from_the_ninth_on_colours_come_again_with_other_markers_and_lines() -> None:
    styles = list(styles_of([base("a"), *map(other, "bcdefghijklmnopq")]).values())
    looks = [(style.color, style.marker, style.line) for style in styles]
    assert len(set(looks)) == len({style.key for style in styles}) == 17
    assert styles[8].color == styles[0].color
    assert styles[8].marker != styles[0].marker


def test_the_label_of_the_record_goes_before_that_of_the_contract() -> None:
    ours = Method(name="b", label="b,", network="n")
    assert styles_of([other("b")], [ours])["b"].method_label == "b,"
    assert styles_of([other("b")])["b"].method_label == "b, w1 0"


def test_pairs_and_arms_follow_the_order_of_the_variants() -> None:
    styles = styles_of([base("a"), other("c"), other("b")])
    assert pairs_in(styles, ["b", "a", "c"]) == (("c", "a"), ("b", "a"), ("c", "b"))
    assert pairs_in(styles, ["b", "c"]) == (("c", "b"),)
    assert against_baseline(styles, ("c", "a"))
    assert not against_baseline(styles, ("c", "b"))
    assert arms_of([(1.0, "b"), (0.1, "b"), (1.0, "c"), (1.0, "b")], styles) == [
        (0.1, "b"), (1.0, "c"), (1.0, "b"),
    ]  # fmt: skip
    assert baseline_label(styles.values()) == "a"
    assert baseline_label([]) == "the baseline"


# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB
VISIONS = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
               [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def cielab(color: str, vision: str) -> np.ndarray:
    """CIE L*a*b* (D65) of '#RRGGBB' as it is seen."""
    coded = np.array(list(bytes.fromhex(color[1:]))) / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(VISIONS[vision]) @ linear, 0, 1)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = to_xyz @ seen / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISIONS)
def test_eight_variants_are_told_apart_by_any_eye(vision: str) -> None:
    styles = list(styles_of([base("a"), *map(other, "bcdefgh")]).values())
    assert len({style.marker for style in styles}) == len({style.key for style in styles}) == 8
    for index, one in enumerate(styles):
        for another in styles[:index]:
            for shade in ("color", "color_dark"):
                pair = [cielab(getattr(style, shade), vision) for style in (one, another)]
                assert np.linalg.norm(pair[0] - pair[1]) > 20


def test_the_method_itself_is_vermilion_and_not_its_control() -> None:
    variants = make_variants(list(METHODS.values()), parse_compare("w1=0/0.1/0.5"), {"w1": 0.1})
    styles = styles_of(variants)
    first = styles_of(make_variants(list(METHODS.values()), ()))
    assert styles["urec-w1-0.1"].color == first["urec"].color
    assert styles["unet"].color == first["unet"].color


def test_the_difference_from_a_control_has_a_name() -> None:
    variants = make_variants(list(METHODS.values()), parse_compare("w1=0/0.1"), {"w1": 0.1})
    styles = styles_of(variants)
    assert own_effect(styles, ("urec-w1-0.1", "urec-w1-0")) == "reconstruction's own effect"
    assert own_effect(styles, ("urec-w1-0.1", "unet")) == ""
