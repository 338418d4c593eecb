"""Inner resources in the outer preview's tree."""

from __future__ import annotations

from support.inner import PASSWORD, STACK

TREE = """
import pulumi

class Thing(pulumi.ComponentResource):
    def __init__(self, name, kind="Thing", opts=None):
        super().__init__(f"my:index:{kind}", name, {}, opts)

config = pulumi.Config()
one, two = Thing("one", "One"), Thing("two", "Two")
for parent in (one, two):
    Thing("same", opts=pulumi.ResourceOptions(parent=parent))
for number in range(config.get_int("more") or 0):
    Thing(f"many-{number}")
"""


def views(result) -> list[tuple[str, str]]:
    """Operation and name of each view in a JSON preview."""
    steps = result.json()["steps"]
    return sorted((step["op"], step["urn"].split("::", 3)[3]) for step in steps if (step.get("newState") or step.get("oldState") or {}).get("viewOf"))


def test_each_inner_resource_is_shown_under_its_step(pipeline):
    pipeline.inner("a", TREE)
    inputs = pipeline.inner("b", TREE)
    outer = pipeline.write().init()
    shown = outer.run("preview", "--json")
    expected = ["one", "same", "same#2", "two"]
    assert views(shown) == sorted(("create", f"{owner}/{name}") for owner in "ab" for name in expected)
    assert list(pipeline.backend.iterdir()) == []
    text = outer.preview().text
    assert "a/same" in text and "my:index:Thing" in text
    assert outer.run("preview", "--diff").stdout.count("::ptd:index:Stack$my:index:") == 8
    outer.up()
    # Nothing of it was stored.
    assert [r["type"] for r in outer.export()["resources"] if r.get("viewOf")] == []
    inputs["config"] = {"more": 500}
    shown = pipeline.write().run("preview", "--json")
    assert len(views(shown)) == 500 and {op for op, _ in views(shown)} == {"create"}
    assert outer.up("--skip-preview").changes == {"update": 1}
    pipeline.project("b", TREE.replace(', Thing("two", "Two")', "").replace("one, two", "one").replace("in (one)", "in (one,)").replace("range(", "range(0 * "))
    deleted = pipeline.write().run("preview", "--json")
    assert ("delete", "b/two") in views(deleted) and len(views(deleted)) == 502
    outer.up()
    outer.refresh()
    assert not outer.up().changes
    outer.import_state(outer.export())
    assert not outer.up().changes


def test_secrets_of_inner_inputs_stay_hidden(pipeline, boto):
    program = {
        "config": {"password": {"type": "string"}},
        "resources": {
            "kept": {
                "type": "ptd:aws:Secret",
                "properties": {"name": "acme.posit.team", "allowDelete": True, "description": "${password}"},
            }
        },
    }
    pipeline.inner("vault", program, config={"password": {"fn::secret": PASSWORD}}, onDelete="destroyAndRemove")
    outer = pipeline.write().init()
    for flag in ("--json", "--diff"):
        shown = outer.run("preview", flag)
        assert "vault/kept" in shown.text and PASSWORD not in shown.text
    assert PASSWORD not in outer.up().text
    outer.destroy()


def test_views_can_be_turned_off(pipeline):
    pipeline.inner("a", TREE, views="none")
    outer = pipeline.write().init()
    assert views(outer.run("preview", "--json")) == []
    assert outer.preview().steps == {f"{STACK}::a": ["create"]}
    outer.up()
    pipeline.resources["a"]["properties"]["triggers"] = {"again": 1}
    assert views(pipeline.write().run("preview", "--json")) == []


def test_a_step_that_waits_is_shown_as_waiting(pipeline):
    pipeline.inner("one")
    pipeline.inner("two", config={"greeting": "${one.outputs.greeting}"})
    shown = pipeline.write().init().preview()
    assert any("will run after" in message and "config" in message for message in shown.messages())
