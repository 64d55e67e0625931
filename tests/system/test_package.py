# SPDX-License-Identifier: Apache-2.0
"""What the package is made of, seen from outside. That it works is shown by test_in_the_field.py."""

import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def version():
    lines = (ROOT / "Makefile").read_text().splitlines()
    return next(line.split(":=")[1].strip() for line in lines if line.startswith("VERSION"))


def test_the_same_sources_give_the_same_package_byte_by_byte(tmp_path):
    """In two folders, under other settings of the maker."""
    made = []
    for folder, settings in (("one", {}), ("two/deeper", {"TZ": "Asia/Ho_Chi_Minh", "CFLAGS": "-O0", "LC_ALL": "C"})):
        command = ["sh", "-c", 'umask $3; exec debian/build_package.sh "$1" "$2"', "sh", version(),
                   str(tmp_path / folder), "022" if not settings else "077"]
        subprocess.run(command, cwd=ROOT, check=True, env=dict(os.environ, SOURCE_DATE_EPOCH="1790000000", **settings),
                       stdout=subprocess.DEVNULL)
        (package,) = (tmp_path / folder).glob("fieldgate_*.deb")
        made.append((package.name, package.read_bytes()))
    assert made[0][0].startswith(f"fieldgate_{version()}_")
    assert made[0] == made[1], "they differ"


def test_the_program_in_the_package_is_hardened_by_the_compiler(package, tmp_path):
    subprocess.run(["dpkg-deb", "-x", package, tmp_path], check=True)
    headers = subprocess.run(["readelf", "-hldW", tmp_path / "usr" / "bin" / "fieldgate"], check=True, text=True,
                             stdout=subprocess.PIPE).stdout
    symbols = subprocess.run(["readelf", "--dyn-syms", "-W", tmp_path / "usr" / "bin" / "fieldgate"], check=True,
                             text=True, stdout=subprocess.PIPE).stdout
    assert "Position-Independent Executable" in headers
    assert "GNU_RELRO" in headers and "BIND_NOW" in headers
    assert "GNU_STACK" in headers and "RWE" not in headers
    assert "__stack_chk_fail" in symbols and "_chk@" in symbols
