import csv
import io
import math

from analysis.tables.files.table_text import TextTable, machine_cell

TABLE = TextTable(
    stem="demo_a",
    machine=[["name", "value"], ['a "b", c', machine_cell(0.5)], ["line\nbreak", ""]],
    readable=[["Name", "Value"], ["low_veg", "50\N{NO-BREAK SPACE}%"], ["a|b", "\N{MINUS SIGN}1"]],
    caption="Mean ± sd",
    columns="lr",
    rule_before=(2,),
    bold={(1, 1)},
)


def test_csv_reads_back_what_was_written() -> None:
    assert list(csv.reader(io.StringIO(TABLE.csv))) == [
        ["name", "value"], ['a "b", c', "0.500000"], ["line\nbreak", ""],
    ]  # fmt: skip


def test_markdown_by_hand() -> None:
    assert TABLE.markdown == (
        "Mean ± sd.\n\n| Name | Value |\n| --- | ---: |\n| low_veg | 50\N{NO-BREAK SPACE}% |\n"
        "| a\\|b | \N{MINUS SIGN}1 |\n"
    )


def test_latex_by_hand() -> None:
    assert TABLE.latex == (
        "% needs \\usepackage{booktabs}\n\\begin{table}\n  \\centering\n"
        "  \\caption{Mean $\\pm$ sd.}\n  \\label{tab:demo_a}\n  \\begin{tabular}{lr}\n"
        "    \\toprule\n    Name & Value \\\\\n    \\midrule\n"
        "    low\\_veg & \\textbf{50~\\%} \\\\\n    \\midrule\n    a|b & $-$1 \\\\\n"
        "    \\bottomrule\n  \\end{tabular}\n\\end{table}\n"
    )


def test_cells_for_machines() -> None:
    assert machine_cell(math.nan) == ""
    assert machine_cell(1 / 3) == "0.333333"
    assert machine_cell(1e-4, ".6g") == "0.0001"
    assert machine_cell(3) == "3"
    assert machine_cell("unet") == "unet"
