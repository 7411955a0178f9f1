"""What is printed neither fails for an encoding nor for a reader that has gone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from contract.terminal import open_output, writable

ROOT = Path(__file__).parents[2]
TEXT = "─ ± 10\N{NO-BREAK SPACE}% größe 日 \udce9"


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", "─ ± 10\N{NO-BREAK SPACE}% größe 日 \\xe9"),
        (None, "─ ± 10\N{NO-BREAK SPACE}% größe 日 \\xe9"),
        ("iso-8859-1", "- ± 10\N{NO-BREAK SPACE}% größe \\u65e5 \\xe9"),
        ("ascii", "- +- 10 % gr\\xf6\\xdfe \\u65e5 \\xe9"),
        ("cp1252", "- ± 10\N{NO-BREAK SPACE}% größe \\u65e5 \\xe9"),
        ("cp437", "─ ± 10\N{NO-BREAK SPACE}% größe \\u65e5 \\xe9"),
    ],
)
def test_the_like_of_what_an_encoding_lacks(encoding, expected):
    assert writable(TEXT, encoding) == expected


def run(code: str, redirect: str = "", **environment: str):
    script = f"import sys\nfrom contract.terminal import open_output\nopen_output()\n{code}"
    command = [
        "bash",
        "-o",
        "pipefail",
        "-c",
        f'"$@" {redirect}',
        "_",
        sys.executable,
        "-c",
        script,
    ]
    return subprocess.run(
        command, env=os.environ | environment, cwd=ROOT, capture_output=True, check=False
    )


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "ascii", "ascii:strict"])
def test_output_of_another_encoding_was_a_traceback(encoding):
    code = f"print({TEXT!r}); print({TEXT!r}, file=sys.stderr)"
    done = run(code, PYTHONIOENCODING=encoding)
    name = encoding.partition(":")[0]
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode(name).rstrip("\n") == writable(TEXT, name)
    assert done.stderr.decode(name).rstrip("\n") == writable(TEXT, name)


@pytest.mark.parametrize("redirect", ["| head -1", "2>&1 | head -1", "2>&1 >/dev/null | head -1"])
def test_a_reader_that_had_read_enough_was_a_failure(redirect):
    code = (
        "for number in range(20_000):\n"
        "    print(number)\n"
        "    print(number, file=sys.stderr, flush=True)\n"
        "sys.stdout.flush()\n"
        "sys.exit(0)"
    )
    done = run(code, redirect)
    assert done.returncode == 0
    assert done.stdout == b"0\n"
    assert b"Traceback" not in done.stderr
    assert b"Broken pipe" not in done.stderr


def test_ray_could_send_no_trial_that_knows_the_stream():
    code = "import cloudpickle\nfor one in (sys.stdout, sys.stderr): cloudpickle.dumps(one)"
    done = run(code.replace("import cloudpickle", "from ray import cloudpickle"))
    assert done.returncode == 0, done.stderr


def test_a_disk_that_is_full_is_still_said():
    done = run("print('x' * 100_000, flush=True)", "> /dev/full")
    assert done.returncode != 0
    assert b"No space left on device" in done.stderr


def test_closed_streams_and_those_of_others_are_left_alone(capsys):
    assert run("print('x')", ">&- 2>&-").returncode == 0
    before = sys.stdout
    open_output()
    assert sys.stdout is before
