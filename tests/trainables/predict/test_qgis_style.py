"""QGIS styles hold every class with its name and colour."""

from xml.etree import ElementTree

from trainables.data.layouts.spec import ClassSpec
from trainables.predict.qgis_style import polygon_style, raster_style

CLASSES = (
    ClassSpec(name="low & wet <1 m>", color=(1, 2, 255)),
    ClassSpec(name="Gebäude", color=(200, 100, 0)),
)


def test_a_class_map_has_an_entry_for_each_value():
    style = ElementTree.fromstring(raster_style(CLASSES).split(b"\n", 1)[1])
    renderer = style.find("pipe/rasterrenderer")
    assert renderer.get("type") == "paletted"
    entries = [dict(one.attrib) for one in renderer.iter("paletteEntry")]
    assert entries == [
        {"value": "0", "label": "low & wet <1 m>", "color": "#0102ff", "alpha": "255"},
        {"value": "1", "label": "Gebäude", "color": "#c86400", "alpha": "255"},
    ]


def test_polygons_have_a_symbol_for_each_class_name():
    style = ElementTree.fromstring(polygon_style(CLASSES).split(b"\n", 1)[1])
    renderer = style.find("renderer-v2")
    assert (renderer.get("type"), renderer.get("attr")) == ("categorizedSymbol", "class")
    symbol_of = {one.get("value"): one.get("symbol") for one in renderer.iter("category")}
    color_of = {
        one.get("name"): one.find("layer/Option/Option[@name='color']").get("value")
        for one in renderer.iter("symbol")
    }
    assert {name: color_of[symbol] for name, symbol in symbol_of.items()} == {
        "low & wet <1 m>": "1,2,255,128",
        "Gebäude": "200,100,0,128",
    }
