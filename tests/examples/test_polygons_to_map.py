"""The notebook from polygons to a map: its cells run from top to bottom."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from PIL import Image

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "polygons_to_map.ipynb"
RUNNER = """
import ast, json, sys
cells = json.load(open(sys.argv[1]))["cells"]
names = {"__name__": "__main__"}
for number, cell in enumerate(cells):
    if cell["cell_type"] == "code":
        print(f"cell {number}", file=sys.stderr, flush=True)
        exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
"""


def cells(kind: str) -> list[str]:
    document = json.loads(NOTEBOOK.read_text())
    return ["".join(one["source"]) for one in document["cells"] if one["cell_type"] == kind]


def test_it_is_kept_without_outputs_and_tells_before_each_step_what_it_is():
    document = json.loads(NOTEBOOK.read_text())
    assert (document["nbformat"], document["nbformat_minor"]) == (4, 5)
    kinds = [one["cell_type"] for one in document["cells"]]
    assert (kinds[0], kinds[-1]) == ("markdown", "markdown")
    assert len({one["id"] for one in document["cells"]}) == len(kinds)
    for one in document["cells"]:
        if one["cell_type"] == "code":
            assert (one["outputs"], one["execution_count"]) == ([], None)
            ast.parse("".join(one["source"]))


def test_the_data_set_is_that_of_the_example_beside_it():
    """Two descriptions of one data set part sooner or later."""
    import yaml

    (text,) = [one for one in cells("code") if "banepa.yaml" in one and "labels:" in one]
    written = text.split('"""')[1].replace("{data}/", "").replace("{{", "{").replace("}}", "}")
    found, example = (
        yaml.safe_load(one) for one in (written, (ROOT / "examples" / "banepa.yaml").read_text())
    )
    assert found == {**example, "join": True}


@pytest.mark.slow
def test_polygons_become_a_map(tmp_path):
    data = Path(os.environ.get("UREC_STUDY_BANEPA", ROOT.parent / "shared" / "data" / "banepa"))
    if not data.is_dir():
        pytest.skip(f"no Banepa imagery in {data}; set UREC_STUDY_BANEPA to its folder")
    environment = {**os.environ, "BANEPA": str(data), "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-c", RUNNER, str(NOTEBOOK)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-4000:]
    assert (tmp_path / "studies" / "banepa-data.html").stat().st_size > 10_000
    assert (tmp_path / "studies" / "banepa" / "report" / "index.html").is_file()
    assert "4 of 4 trials" in ran.stderr + ran.stdout
    (classes,) = (tmp_path / "maps").glob("*_classes.tif")
    with (
        rasterio.open(classes) as source,
        rasterio.open(data / "labelled" / classes.name.replace("_classes", "")) as image,
    ):
        found = source.read(1)
        assert source.transform == image.transform
    assert set(np.unique(found)) <= {0, 1, 255}
    (polygons,) = (tmp_path / "maps").glob("*_polygons.gpkg")
    assert set(geopandas.read_file(polygons)["class"]) <= {"ground", "building"}
    assert Image.open(tmp_path / "map.png").size == (1024, 512)
