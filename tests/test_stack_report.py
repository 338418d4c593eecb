"""What is left of a run for people and for other programs."""

import json
import subprocess
from datetime import datetime

from support.inner import PASSWORD

FAILS = f"""
import pulumi
from pulumi import dynamic

class Broken(dynamic.ResourceProvider):
    def create(self, props):
        raise Exception("the thing cannot be made")

class Thing(dynamic.Resource):
    def __init__(self, name):
        super().__init__(Broken(), name, {{"password": pulumi.Output.secret({PASSWORD!r})}})

Thing("thing")
"""


def test_each_run_leaves_a_report(pipeline, plugin_bin):
    pipeline.inner("good", config={"password": {"fn::secret": PASSWORD}})
    pipeline.inner("bad", FAILS)
    outer = pipeline.write()
    file = outer.folder / "reports/run.json"
    outer.env["PTD_RUN_REPORT"] = "reports/run.json"
    outer.init().preview()
    assert not file.exists()
    outer.up("--continue-on-error", fails=True)

    runs = {run["name"]: run for run in json.loads(file.read_text())["runs"]}
    good, bad = runs["good"], runs["bad"]
    assert (good["result"], good["operation"], good["stack"]) == ("succeeded", "up", "organization/good/dev")
    assert good["changes"]["create"] >= 1 and "reason" not in good
    assert bad["result"] == "failed" and "the thing cannot be made" in bad["reason"]
    for run in (good, bad):
        started, ended = (datetime.fromisoformat(run[key]) for key in ("started", "ended"))
        assert abs((ended - started).total_seconds() - run["seconds"]) < 0.01
    assert PASSWORD not in file.read_text()

    table = subprocess.run([plugin_bin, "report", file], check=True, capture_output=True, text=True).stdout.splitlines()
    assert table[0].split() == ["run", "result", "changes", "time", "reason"]
    assert {tuple(line.split()[:3]) for line in table[1:]} == {("up", "good", "succeeded"), ("up", "bad", "failed")}

    # A later run begins anew; one that runs nothing leaves the last one's.
    pipeline.inner("bad")
    pipeline.write().up()
    assert [run["name"] for run in json.loads(file.read_text())["runs"]] == ["bad"]
    outer.up()
    assert [run["name"] for run in json.loads(file.read_text())["runs"]] == ["bad"]


def test_a_report_that_cannot_be_written_fails_nothing(pipeline):
    pipeline.inner("good")
    outer = pipeline.write()
    outer.file("taken", "")
    outer.env["PTD_RUN_REPORT"] = "taken/run.json"
    done = outer.init().up()
    assert any("the report of this run cannot be written" in text for text in done.messages("warning"))
