"""The layers of the design, read from the imports of every module, and proved in a process."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ib_platform

PACKAGE = Path(ib_platform.__file__).parent
BASE = {
    "__init__",
    "config",
    "config_calendar",
    "config_errors",
    "clocks",
    "config_gateway",
    "config_quality",
    "config_sections",
    "credentials",
    "errors",
    "health",
    "health_server",
    "metrics",
    "paths",
    "states",
}
"""Modules of the root that everybody may import."""

ALLOWED: dict[str, set[str]] = {
    "marketdata": {"errors"},
    "ibkr": {"marketdata"} | BASE,
    "warehouse": {"marketdata"} | BASE,
    "gateway": {"ibkr", "marketdata"} | BASE,
    "streamer": {"ibkr", "warehouse", "marketdata"} | BASE,
    "simulator": {"ibkr", "marketdata"} | BASE,
    "recorder": {"ibkr", "marketdata"} | BASE,
    "fleet": {"marketdata"} | BASE,
    "verify": {"streamer", "warehouse", "marketdata"} | BASE,
    "rebuild": {"warehouse", "marketdata"} | BASE,
    "redecode": {"streamer", "warehouse", "marketdata"} | BASE,
    "retention": {"verify", "warehouse", "marketdata"} | BASE,
    "doctor": {"fleet", "gateway", "ibkr", "warehouse", "marketdata"} | BASE,
    "research": {"warehouse", "marketdata"} | BASE,
    "report": {"warehouse", "marketdata"} | BASE,
    "orchestration": {"fleet", "report", "warehouse", "marketdata"} | BASE,
    "definitions": {"orchestration"},
}
"""What each layer may import of ours, besides itself. ``cli`` and ``demo`` may import all."""

USE_DAGSTER = {"orchestration", "definitions"}
POD_PROCESSES = ("gateway", "streamer", "simulator", "recorder", "doctor")
PURE = ("marketdata",)
FLEET_PURE = (
    "conditions",
    "decide",
    "diagnose",
    "memory",
    "plan",
    "pods",
    "recording",
    "remember",
)
SIDE_EFFECTS = {"aiohttp", "clickhouse_connect", "psutil", "socket", "subprocess", "threading"}


def module_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def layer_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names of everything imported anywhere in ``tree``, functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the layer"
            assert node.module is not None
            if node.module == "ib_platform":
                yield from (f"ib_platform.{alias.name}" for alias in node.names)
            else:
                yield node.module


def top_level(tree: ast.Module) -> ast.Module:
    """The module without the bodies of its functions: what importing it runs."""
    kept = [
        node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return ast.Module(body=kept, type_ignores=[])


def name_of(file: Path) -> str:
    return str(file.relative_to(PACKAGE.parent))


@pytest.mark.parametrize("file", module_files(), ids=name_of)
def test_a_module_imports_only_the_layers_below(file: Path) -> None:
    layer = layer_of(file)
    if layer in ("cli", "demo"):
        return
    allowed = {layer} | (BASE if layer in BASE else ALLOWED[layer])
    # The calendar's names stand in the configuration: one closed list.
    allowed |= (
        {"marketdata"} if layer in ("config", "config_calendar", "config_sections") else set()
    )
    # Late, when somebody asks for it: see test_the_package_itself_loads_nothing.
    allowed |= {"research"} if layer == "__init__" else set()
    for name in imports(ast.parse(file.read_text(encoding="utf-8"))):
        if name.split(".")[0] != "ib_platform" or name == "ib_platform.__version__":
            continue
        used = name.split(".")[1] if "." in name else "__init__"
        assert used in allowed, f"{layer} must not import {name}"


@pytest.mark.parametrize("file", module_files(), ids=name_of)
def test_only_orchestration_imports_dagster(file: Path) -> None:
    if layer_of(file) in USE_DAGSTER:
        return
    tree = ast.parse(file.read_text(encoding="utf-8"))
    # The command may import it inside the commands that need it.
    used = top_level(tree) if layer_of(file) == "cli" else tree
    assert not [name for name in imports(used) if name.split(".")[0] == "dagster"]


@pytest.mark.parametrize(
    "file", [f for f in module_files() if layer_of(f) in USE_DAGSTER], ids=name_of
)
def test_dagster_is_imported_under_its_usual_name_and_nothing_else_of_it(file: Path) -> None:
    for node in top_level(ast.parse(file.read_text(encoding="utf-8"))).body:
        if isinstance(node, ast.Import):
            names = [(a.name, a.asname) for a in node.names if a.name.split(".")[0] == "dagster"]
            assert names in ([], [("dagster", "dg")])
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] != "dagster"


@pytest.mark.parametrize("name", FLEET_PURE)
def test_the_decisions_of_the_fleet_do_no_io(name: str) -> None:
    tree = ast.parse((PACKAGE / "fleet" / f"{name}.py").read_text(encoding="utf-8"))
    assert not SIDE_EFFECTS & {module.split(".")[0] for module in imports(tree)}


@pytest.mark.parametrize("layer", PURE)
def test_the_pure_core_does_no_io(layer: str) -> None:
    for file in (PACKAGE / layer).rglob("*.py"):
        used = {module.split(".")[0] for module in imports(ast.parse(file.read_text()))}
        assert not SIDE_EFFECTS & used, file


def modules_of(layers: tuple[str, ...]) -> list[str]:
    files = [file for file in module_files() if layer_of(file) in layers]
    dotted = [".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts) for file in files]
    return [name.removesuffix(".__init__") for name in dotted]


def loaded_by(modules: list[str]) -> set[str]:
    """Top-level packages that are loaded in a fresh process after importing ``modules``."""
    program = (
        f"import importlib, sys\nfor name in {modules!r}: importlib.import_module(name)\n"
        "print('\\n'.join({name.split('.')[0] for name in sys.modules}))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(answer.stdout.split())


def test_pod_processes_never_load_dagster() -> None:
    modules = [*modules_of(POD_PROCESSES), "ib_platform.cli"]
    assert len(modules) > len(POD_PROCESSES)
    assert not {"dagster", "dagster_shared", "dagster_webserver"} & loaded_by(modules)


def test_the_fleet_loads_neither_dagster_nor_clickhouse() -> None:
    loaded = loaded_by(modules_of(("fleet",)))
    assert not {"dagster", "clickhouse_connect", "aiohttp", "pyarrow"} & loaded


def test_definitions_load_nothing_heavy() -> None:
    # Every run imports them first: what is heavy here is added to every restart of a pod.
    loaded = loaded_by(["ib_platform.definitions"])
    assert not {"pyarrow", "pandas", "numpy", "clickhouse_connect", "chdb", "aiohttp"} & loaded


def test_the_package_itself_loads_nothing() -> None:
    program = (
        "import sys, ib_platform; "
        "print([name for name in sys.modules if name.startswith('ib_platform')])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "['ib_platform']"


def test_no_pod_loads_the_read_api() -> None:
    program = (
        "import importlib, sys\n"
        f"for name in {modules_of(POD_PROCESSES)!r}: importlib.import_module(name)\n"
        "print([name for name in sys.modules if name.startswith('ib_platform.research')])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"
