"""Policy packs that inner stacks must meet."""

PACK = """
def violations(kind, name, properties):
    if kind == "ptd:aws:Secret" and not properties.get("description"):
        yield "described", True, "a secret says what it is for"
    if kind == "ptd:aws:Secret" and not properties.get("tags"):
        yield "tagged", False, "a secret has tags"
"""
SECRET = {"type": "ptd:aws:Secret", "properties": {"name": "acme.posit.team", "allowDelete": True}}


def test_a_violation_is_told_with_pack_rule_and_resource(pipeline, boto):
    pipeline.outer.file("rules/PulumiPolicy.yaml", "runtime: rules\n")
    pipeline.outer.file("rules/pack.py", PACK)
    pipeline.inner("vault", {"resources": {"it": SECRET}}, policyPacks=["rules"], onDelete="destroyAndRemove")
    pipeline.inner("after", options={"dependsOn": ["${vault}"]})
    outer = pipeline.write().init()
    for failed in (outer.preview(fails=True), outer.up(fails=True)):
        for part in ("vault", "house-rules", "described", "a secret says what it is for", "::ptd:aws:Secret::it"):
            assert part in failed.text, (part, failed.text)
        assert any("tagged" in text for text in failed.messages("warning"))
    assert boto("secretsmanager").list_secrets()["SecretList"] == []
    assert not (pipeline.backend / ".pulumi/stacks/after").exists()

    described = SECRET | {"properties": SECRET["properties"] | {"description": "Passwords of acme."}}
    pipeline.project("vault", {"resources": {"it": described}})
    done = outer.up()
    assert any("tagged" in text for text in done.messages("warning"))
    assert [secret["Name"] for secret in boto("secretsmanager").list_secrets()["SecretList"]] == ["acme.posit.team"]

    # Rules that change are a reason to run again.
    pipeline.outer.file("rules/pack.py", PACK.replace('"described", True', '"described-well", True').replace("not properties", "'why' not in properties"))
    assert outer.preview(fails=True).diff("vault") == {'sourceDigests["rules/pack.py"]': "update"}
