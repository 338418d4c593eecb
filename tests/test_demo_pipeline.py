"""The demo of a whole pipeline, from nothing to nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import demo


def script(folder: Path, *args: str) -> str:
    return demo.script("demo_pipeline.sh", "WORKLOAD_ENV", folder, *args, timeout=900)


@pytest.mark.parametrize(("project", "target"), [("control-room-program", "main01-staging"), ("two-programs", "acme01-staging")])
def test_the_demo_makes_a_pipeline_and_takes_all_down_again(tmp_path, project, target):
    """With the control room, which is the smallest; and with the two programs, of which the first holds the second one's state."""
    folder = tmp_path / "demo"
    try:
        text = script(folder, "up", project)
        assert f"s3://ptd-{target}" in text and "make demo-pipeline-down" in text
    finally:
        text = script(folder, "down")
    demo.ended(text, folder)
