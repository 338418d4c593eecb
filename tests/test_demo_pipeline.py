"""The demo of a whole pipeline, from nothing to nothing."""

from __future__ import annotations

from pathlib import Path

from support import demo


def script(folder: Path, *args: str) -> str:
    return demo.script("demo_pipeline.sh", "WORKLOAD_ENV", folder, *args, timeout=400)


def test_the_demo_makes_a_pipeline_and_takes_all_down_again(tmp_path):
    """With the control room, which is the smallest."""
    folder = tmp_path / "demo"
    try:
        text = script(folder, "up", "control-room-program")
        assert "s3://ptd-main01-staging" in text and "make demo-pipeline-down" in text
    finally:
        text = script(folder, "down")
    demo.ended(text, folder)
