"""The failure table of docs/architecture.md against the tests: every row is proved, or says why it is not yet."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/architecture.md"
TESTS = ROOT / "tests"
ROWS = tuple(f"F{number}" for number in range(1, 18))
NAMED_TEST = re.compile(r"`(test_\w+)`")
REASON = re.compile(r"real cluster: (?P<reason>[^`|]{20,})")


@dataclass(frozen=True)
class Row:
    """One row of the table: its number, the tests it names, and why something is left to the real cluster."""

    number: str
    named: tuple[str, ...]
    reason: str | None


@dataclass(frozen=True)
class Marked:
    """A test and the rows it is marked with."""

    test: str
    rows: frozenset[str]


def rows_of(page: str) -> tuple[Row, ...]:
    """The rows whose first cell is F and a number."""
    found = []
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and re.fullmatch(r"F\d+", cells[0]):
            proof = cells[-1]
            reason = REASON.search(proof)
            found.append(Row(cells[0], tuple(NAMED_TEST.findall(proof)), reason["reason"] if reason else None))
    return tuple(found)


def marked_in(source: str) -> Iterator[Marked]:
    """Every test of a module with its rows; a mark on the module or a class counts for the tests inside."""
    yield from _marked(ast.parse(source), frozenset())


def _marked(scope: ast.Module | ast.ClassDef, inherited: frozenset[str]) -> Iterator[Marked]:
    for node in scope.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets
        ):
            inherited |= _rows(node.value)
    for node in scope.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() if node.name.startswith("test_"):
                yield Marked(node.name, inherited.union(*map(_rows, node.decorator_list)))
            case ast.ClassDef():
                yield from _marked(node, inherited.union(*map(_rows, node.decorator_list)))


def _rows(expression: ast.expr) -> frozenset[str]:
    """The rows of all `pytest.mark.failure(...)` inside the expression, parametrize's `marks` included."""
    return frozenset(
        str(argument.value)
        for call in ast.walk(expression)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.failure"
        for argument in call.args
        if isinstance(argument, ast.Constant)
    )


@pytest.fixture(scope="module")
def table() -> tuple[Row, ...]:
    return rows_of(PAGE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tests() -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for file in TESTS.rglob("test_*.py"):
        for marked in marked_in(file.read_text(encoding="utf-8")):
            found[marked.test] = found.get(marked.test, frozenset()) | marked.rows
    return found


def test_the_table_has_every_failure_once_and_in_order(table: tuple[Row, ...]) -> None:
    assert tuple(row.number for row in table) == ROWS


@pytest.mark.parametrize("number", ROWS)
def test_a_failure_has_a_marked_test_or_a_reason_why_it_needs_a_real_cluster(
    number: str, table: tuple[Row, ...], tests: dict[str, frozenset[str]]
) -> None:
    row = next(row for row in table if row.number == number)
    marked = {test for test, rows in tests.items() if number in rows}
    assert marked or row.reason, f"{number} has neither a test marked failure({number!r}) nor a written reason"


@pytest.mark.parametrize("number", ROWS)
def test_a_test_that_the_table_names_exists_and_is_marked_with_its_row(
    number: str, table: tuple[Row, ...], tests: dict[str, frozenset[str]]
) -> None:
    row = next(row for row in table if row.number == number)
    claimed = {name: number in tests.get(name, frozenset()) for name in row.named}
    assert all(claimed.values()), f"{number} names tests that do not exist or do not carry its mark: {claimed}"


def test_a_mark_names_a_row_of_the_table(tests: dict[str, frozenset[str]]) -> None:
    unknown = {test: sorted(rows - set(ROWS)) for test, rows in tests.items() if rows - set(ROWS)}
    assert not unknown


MODULE = """
import pytest

pytestmark = pytest.mark.failure("F3")

@pytest.mark.failure("F1")
@pytest.mark.slow
async def test_one(): ...

@pytest.mark.parametrize("case", [pytest.param(1, marks=pytest.mark.failure("F2"))])
def test_two(case): ...

@pytest.mark.failure("F4")
class TestThree:
    def test_three(self): ...

def helper(): ...
"""


def test_marks_are_found_on_functions_parameters_classes_and_modules() -> None:
    assert {marked.test: marked.rows for marked in marked_in(MODULE)} == {
        "test_one": {"F1", "F3"},
        "test_two": {"F2", "F3"},
        "test_three": {"F3", "F4"},
    }


def test_a_row_without_proof_is_read_as_one() -> None:
    page = "| F1 | event | outcome | 0 | `test_a`; real cluster: no kubelet, no image pull |\n| F2 | e | o | 0 | – |\n"
    first, second = rows_of(page)
    assert first == Row("F1", ("test_a",), "no kubelet, no image pull")
    assert second == Row("F2", (), None)
