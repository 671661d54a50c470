"""The documents against the code: settings, metrics, reasons, links and paths. A page that is not true fails here."""

import re
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

import pytest
from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase

from media_api.metrics import Metrics as ApiMetrics
from media_core.conditions import ConditionType
from media_core.reasons import Reason
from media_core.settings import documented
from media_operator import metrics as operator_metrics
from media_operator.external_metrics.measures import Measures

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
PAGES = sorted(path.relative_to(ROOT) for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))
OF_TODAY = [page for page in PAGES if page.name != "CHANGELOG.md" and page.parent.name != "design"]
SETTINGS = {
    "media-api": "media_api.settings.ApiSettings",
    "media-operator": "media_operator.settings.OperatorSettings",
    "media-worker": "media_worker.settings.WorkerSettings",
    "media-metrics": "media_operator.external_metrics.settings.ExternalMetricsSettings",
    "media-uninstall": "media_operator.uninstall.UninstallSettings",
}
SECTION = re.compile(r"^### (?P<program>media-[a-z]+)$(?P<body>.*?)(?=^### |\Z)", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `(?P<name>[A-Z0-9_]+)` \| (?P<default>.*?) \| (?P<meaning>.*) \|$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?://|#)(?P<target>[^)#]+)")
NAMED_PATH = re.compile(
    r"`((?:api|core|crds|devcluster|docs|operator|requirements|samples|scripts|tests|worker_image)/[\w./-]*)`"
)
METRIC_ROW = re.compile(r"^\| `(?P<name>media_[a-z_]+)`", re.MULTILINE)


def told(program: str) -> dict[str, tuple[str, str]]:
    """Default and meaning of every setting in the README's table of that program."""
    part = README.partition("<!-- settings: begin -->")[2].partition("<!-- settings: end -->")[0]
    bodies = {section["program"]: section["body"] for section in SECTION.finditer(part)}
    return {row["name"]: (row["default"], row["meaning"]) for row in ROW.finditer(bodies.get(program, ""))}


def true(program: str) -> dict[str, tuple[str, str]]:
    """The same of the program's settings class."""
    module, _, name = SETTINGS[program].rpartition(".")
    shown = {None: "required", "": "–"}
    return {
        row.name: (shown.get(row.default, f"`{row.default}`"), row.description.replace("|", "\\|"))
        for row in documented(getattr(import_module(module), name))
    }


@pytest.mark.parametrize("program", SETTINGS)
def test_every_setting_has_a_row_and_every_row_is_a_setting(program: str) -> None:
    assert sorted(told(program)) == sorted(true(program))


@pytest.mark.parametrize("program", SETTINGS)
def test_every_row_tells_the_default_and_the_meaning_of_its_setting(program: str) -> None:
    assert told(program) == true(program), "`make readme` writes the tables"


@pytest.mark.parametrize("program", SETTINGS)
def test_every_setting_has_a_meaning(program: str) -> None:
    assert [name for name, (_, meaning) in true(program).items() if not meaning] == []


def exposed(defined: Iterable[object]) -> set[str]:
    """Names as a scrape shows them of the metrics among these values."""
    metrics = [value for value in defined if isinstance(value, MetricWrapperBase)]
    return {metric.describe()[0].name + ("_total" if isinstance(metric, Counter) else "") for metric in metrics}


def test_every_metric_is_listed_and_every_listed_metric_exists() -> None:
    listed = METRIC_ROW.findall(OPERATIONS)
    known = exposed(vars(operator_metrics).values()) | exposed(vars(ApiMetrics()).values())
    known |= exposed(vars(Measures(list)).values()) | {"media_external_metrics_backlog_seconds"}
    assert sorted(listed) == sorted(known)


@pytest.mark.parametrize("name", [*Reason, *ConditionType])
def test_every_reason_and_condition_is_explained(name: str) -> None:
    assert f"`{name}`" in OPERATIONS


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_leads_to_a_file(page: Path) -> None:
    targets = LINK.findall((ROOT / page).read_text(encoding="utf-8"))
    assert [target for target in targets if not (ROOT / page.parent / target).exists()] == []


@pytest.mark.parametrize("page", OF_TODAY, ids=str)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    paths = NAMED_PATH.findall((ROOT / page).read_text(encoding="utf-8"))
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_target_of_the_makefile_is_explained() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY:(.*)$", text, re.MULTILINE)
    assert phony
    assert sorted(phony[1].split()) == sorted(re.findall(r"^([a-z0-9]+):.*## \S", text, re.MULTILINE))
