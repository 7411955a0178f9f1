"""Files of polygons; what burns them is tested beside it."""

import geopandas
import pytest
import shapely

from trainables.data.places.vector_files import VectorFile, areas_of, read_features, text_of
from trainables.errors import DataError


@pytest.fixture
def file(tmp_path):
    shapes = [shapely.box(0, 0, 1, 1), None, shapely.Polygon(), shapely.Point(3, 3)]
    frame = geopandas.GeoDataFrame({"part": [1.0, 2.0, 3.0, None]}, geometry=shapes, crs=32632)
    frame.to_file(tmp_path / "a.gpkg", layer="one")
    frame.to_file(tmp_path / "a.gpkg", layer="two")
    return tmp_path / "a.gpkg"


def test_features_without_a_shape_are_left_out(file):
    frame = read_features(VectorFile(file=file, layer="two"), "part", "splits")
    assert [text_of(one) for one in frame.part[:1]] == ["1"]
    assert len(frame) == 2


@pytest.mark.parametrize(
    ("layer", "field", "said"),
    [(None, "part", "layer of splits must be one of one, two, got none"),
     ("three", "part", "layer of splits must be one of one, two, got 'three'"),
     ("one", "split", "splits.field must be one of part, got 'split'")],
)  # fmt: skip
def test_errors_call_the_file_what_a_person_calls_it(file, layer, field, said):
    with pytest.raises(DataError, match=said):
        read_features(VectorFile(file=file, layer=layer), field, "splits", "splits.field")


def test_points_have_no_area_unless_they_are_given_a_width(file):
    frame = read_features(VectorFile(file=file, layer="one"), None, "splits")
    with pytest.raises(DataError, match="splits must be polygons, got 1 lines and points"):
        areas_of(frame, None, "splits")
    assert areas_of(frame, 2.0)[1].area == pytest.approx(4 * 3.14, rel=0.02)
