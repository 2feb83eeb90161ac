"""What is shipped for Grafana and Prometheus is complete, well formed and does what it says."""

from __future__ import annotations

import re
import subprocess
from argparse import ArgumentParser, _SubParsersAction
from itertools import combinations

import yaml

from pacewheel import dashboards
from pacewheel.cli.app import build_parser
from tests.promql import ROOT, find_promtool, labels_of, metrics_of, panels, rules
from tests.requirements import ASKED_FOR, key_metrics

ALERT_TESTS = ROOT / "tests" / "data" / "alerts" / "alerts_test.yml"
RULES = ROOT / "python" / "pacewheel" / "dashboards" / "alerts.yml"


def test_metrics_and_labels_are_read_out_of_an_expression() -> None:
    """Functions, keywords, ranges, variables and texts are none."""
    expression = (
        '60 * sum by (reason, instance) (rate(a_total{kind="b_c", instance=~"$instance"}'
        '[$__rate_interval])) / on (reason) max(d) or histogram_quantile(0.99, e_bucket{le="1"})'
    )
    assert {"a_total", "d", "e_bucket"} == metrics_of(expression)
    assert {"reason", "kind", "le"} == labels_of(expression)


def test_every_panel_says_its_unit_and_what_it_shows() -> None:
    """And asks something of the chosen processes, under a legend."""
    shown = panels()
    assert len(shown) > 50
    assert len(shown) == len({panel["title"] for panel in shown})
    for panel in shown:
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert len(panel["description"]) > 20, panel["title"]
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            assert target["legendFormat"], panel["title"]
            # Each selector of a metric asks for the chosen processes only.
            selectors = target["expr"].count('job=~"$job",instance=~"$instance"')
            assert selectors >= len(metrics_of(target["expr"])), panel["title"]


def test_the_dashboard_is_about_one_scrape_job_of_whatever_data_source() -> None:
    """By variables that are there; the busiest jobs of ours have a label that Prometheus leaves alone."""
    text = dashboards.read("grafana.json")
    variables = yaml.safe_load(text)["templating"]["list"]
    assert ["datasource", "job", "instance"] == [each["name"] for each in variables]
    assert {each["name"] for each in variables} == set(re.findall(r"\$\{?(?!__)(\w+)", text)) - {
        "__all"
    }
    assert not [each["name"] for each in variables[:2] if each["multi"] or each["includeAll"]]
    of_jobs = [each for each in panels() if "hot_job" in each["targets"][0]["expr"]]
    assert [True, True] == ["by (job_id" in each["targets"][0]["expr"] for each in of_jobs]


def test_no_two_panels_share_an_id_or_a_place() -> None:
    """Rows too; a dashboard is 24 columns wide."""
    all_of_them = yaml.safe_load(dashboards.read("grafana.json"))["panels"]
    assert len(all_of_them) == len({panel["id"] for panel in all_of_them})
    places = [panel["gridPos"] for panel in all_of_them]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for a, b in combinations(places, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or above, (a, b)


def commands() -> set[str]:
    """The commands of `pacewheel`."""
    parser: ArgumentParser = build_parser()
    (action,) = (each for each in parser._actions if isinstance(each, _SubParsersAction))
    return set(action.choices)


def test_every_alert_says_how_bad_it_is_and_which_command_comes_next() -> None:
    """How long, severity, a summary, and a runbook with commands that exist."""
    known = commands()
    for rule in rules():
        assert re.fullmatch(r"\d+[smh]", rule["for"]), rule["alert"]
        assert rule["labels"]["severity"] in {"warning", "critical"}, rule["alert"]
        assert rule["annotations"]["summary"], rule["alert"]
        named = re.findall(r"`pacewheel (\w+)", rule["annotations"]["runbook"])
        assert named, rule["alert"]
        assert set(named) <= known, rule["alert"]


def test_promtool_accepts_the_rules() -> None:
    """As `promtool check rules` sees them."""
    command = [find_promtool(), "check", "rules", RULES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)


def test_each_alert_fires_when_it_should_and_not_before() -> None:
    """By `promtool test rules`; no alert is left out."""
    done = subprocess.run(
        [find_promtool(), "test", "rules", ALERT_TESTS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    fired = set(re.findall(r'alertname="(\w+)"', ALERT_TESTS.read_text()))
    assert {rule["alert"] for rule in rules()} == fired


def test_every_metric_that_was_asked_for_has_its_metrics_and_its_panel() -> None:
    """The table of ARCHITECTURE.md lists them all, in their order, and names panels that exist."""
    table = key_metrics()
    assert [each for items in ASKED_FOR.values() for each in items] == list(table)
    titles = {panel["title"]: panel for panel in panels()}
    for asked, (metrics, shown) in table.items():
        assert metrics, asked
        drawn = {
            name
            for title in shown
            for target in titles[title]["targets"]
            for name in metrics_of(target["expr"])
        }
        assert {name.removesuffix("_bucket") for name in metrics} <= {
            name.removesuffix("_bucket") for name in drawn
        }, asked
