"""The built wheel: installed into a fresh environment it has all its SQL and its extension.

The environment borrows the dependencies of this one by a .pth file, which comes after its own
site-packages, so that `pacewheel` itself can only come from the wheel.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SQL_FILES = sorted(file.relative_to(ROOT).as_posix() for file in (ROOT / "sql").rglob("*.sql"))
PAGES = ROOT / "python" / "pacewheel" / "web"
PAGE_FILES = sorted(
    file.relative_to(PAGES.parent).as_posix()
    for file in PAGES.rglob("*")
    if file.is_file() and file.suffix not in {".py", ".pyc"}
)
REPORT = """
import json, pacewheel, pacewheel._core
from pacewheel.store.queries import load_queries, sql_root
print(json.dumps({
    "package": pacewheel.__file__,
    "extension": pacewheel._core.__file__,
    "queries": load_queries(),
    "migrations": sorted(entry.name for entry in (sql_root() / "migrations").iterdir()),
}))
"""


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution, built as for a release."""
    folder = tmp_path_factory.mktemp("dist")
    maturin = Path(sys.executable).with_name("maturin")
    options = ("--release", "--interpreter", sys.executable, "--out", folder)
    run(maturin, "build", *options, cwd=ROOT)
    run(maturin, "sdist", "--out", folder, cwd=ROOT)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment that has the wheel."""
    home = tmp_path_factory.mktemp("fresh")
    run(sys.executable, "-m", "venv", "--without-pip", home)
    site = home / Path(sysconfig.get_path("purelib")).relative_to(sys.prefix)
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = home / "bin" / "python"
    wheel = next(built.glob("*.whl"))
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps",
        "--force-reinstall", "--no-index", wheel)  # fmt: skip
    return python


def test_the_installed_wheel_loads_every_statement(installed: Path, tmp_path: Path) -> None:
    """All statements and migrations of the repository, from the wheel's own files."""
    report = json.loads(run(installed, "-c", REPORT, cwd=tmp_path))
    home = str(installed.parents[1])
    assert report["package"].startswith(home)
    assert report["extension"].startswith(home)
    stems = {Path(name).stem for name in SQL_FILES if name.startswith("sql/queries/")}
    assert stems == set(report["queries"])
    assert all(report["queries"].values())
    migrations = [Path(n).name for n in SQL_FILES if n.startswith("sql/migrations/")]
    assert migrations == [name for name in report["migrations"] if name.endswith(".sql")]


def test_the_installed_command_answers(installed: Path, tmp_path: Path) -> None:
    """The console script is there and starts."""
    assert "warm" in run(installed.with_name("pacewheel"), "--help", cwd=tmp_path)


def test_the_wheel_holds_what_a_user_needs_and_nothing_beside_the_package(built: Path) -> None:
    """SQL, types, stub, the report's page and licence in the package or its metadata; nothing else."""
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    assert {"pacewheel", "dist-info"} == {n.split("/")[0].rpartition(".")[2] for n in names}
    assert {f"pacewheel/{file}" for file in SQL_FILES} <= names
    assert {"pacewheel/py.typed", "pacewheel/_core.pyi"} <= names
    parts = ("page.html.j2", "style.css", "tables.js")
    assert {f"pacewheel/report/html/{part}" for part in parts} <= names
    assert {"pacewheel/dashboards/grafana.json", "pacewheel/dashboards/alerts.yml"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_every_file_of_the_dashboard_reaches_wheel_and_source_distribution(built: Path) -> None:
    """Pages, styles, libraries and their licences: what is served is what is in the tree."""
    assert len(PAGE_FILES) > 30
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        assert {f"pacewheel/{file}" for file in PAGE_FILES} <= set(wheel.namelist())
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {f"python/pacewheel/{file}" for file in PAGE_FILES} <= names


def test_the_source_distribution_can_be_built_from(built: Path) -> None:
    """It has the SQL, both crates and the lock file."""
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {f"python/pacewheel/{file}" for file in SQL_FILES} <= names
    assert {"Cargo.lock", "rust/core/Cargo.toml", "rust/py/src/lib.rs", "LICENSE"} <= names
