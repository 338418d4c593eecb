"""The demo, from nothing to nothing."""

import re

from support import cli, demo


def test_the_demo_bootstraps_and_takes_all_down_again(tmp_path):
    folder = tmp_path / "demo"
    try:
        text = demo.script("demo.sh", "DEMO", folder, "up", "examples/aws-bootstrap")
        # As the README shows it.
        (shown,) = re.findall(r"^\$ pulumi up\n(.*?)^```$", (cli.ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
        facts = re.compile(r"boot-[\w-]+|\+ \d+ created|\S+ *: \"[^\"]+\"|ptd:\w+:\w+")
        assert set(facts.findall(shown)) <= set(facts.findall(re.sub(r"\x1b\[[0-9;]*m", "", text)))
        assert "s3://ptd-acme01-staging" in text and "boot-state-bucket" in text and "make demo-down" in text
    finally:
        text = demo.script("demo.sh", "DEMO", folder, "down")
    demo.ended(text, folder)
