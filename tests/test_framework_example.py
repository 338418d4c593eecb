"""The framework's example provider through the real engine, from preview to destroy."""

import os
from pathlib import Path

import pytest
from support import cli

NOTE = "notes:index:Note"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the notes are kept."""
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


@pytest.fixture
def ws(cli_env: dict[str, str], tmp_path: Path, folder: Path) -> cli.Workspace:
    binary = cli.ROOT / "target/debug/examples/notes"
    if not binary.exists():
        pytest.fail(f"{binary} is missing: run `cargo build -p pulumi-provider --examples`")
    path = tmp_path / "bin"
    path.mkdir()
    (path / "pulumi-resource-notes").symlink_to(binary)
    env = cli_env | {"PATH": f"{path}{os.pathsep}{cli_env['PATH']}", "NOTES_DIRECTORY": str(folder)}
    return cli.Workspace(tmp_path / "app", env, "notes-app")


def program(**notes: dict) -> dict:
    resources = {name: {"type": NOTE, "properties": properties} for name, properties in notes.items()}
    return {"resources": resources, "outputs": {"size": "${first.size}", "text": "${first.text}"}}


def test_a_note_from_preview_to_destroy(ws, folder):
    ws.yaml(program(first={"name": "first.txt", "text": "hello-there"})).init()
    ws.preview()
    assert list(folder.iterdir()) == []

    ws.up()
    file = folder / "first.txt"
    assert file.read_text() == "hello-there"
    assert ws.outputs() == {"size": 11, "text": "hello-there"}
    # YAML marks nothing; the schema does.
    assert "hello-there" not in str(ws.resource("first")) and "[secret]" in str(ws.outputs(show_secrets=False))

    assert_unchanged(ws)

    ws.yaml(program(first={"name": "first.txt", "text": "hello again"}))
    result = ws.up()
    assert result.diff("Note::first") == {"text": "update"}
    assert file.read_text() == "hello again"

    ws.yaml(program(first={"name": "renamed.txt", "text": "hello again"}))
    result = ws.up()
    assert set(result.diff("Note::first").values()) == {"update-replace"}
    assert [path.name for path in folder.iterdir()] == ["renamed.txt"]
    ws.destroy()
    assert list(folder.iterdir()) == []


def assert_unchanged(ws):
    # Fails when there is anything to do.
    ws.up("--expect-no-changes")


def test_drift_is_found_and_repaired(ws, folder):
    ws.yaml(program(first={"name": "first.txt", "text": "as it should be"}))
    ws.up()
    ws.refresh("--expect-no-changes")
    file = folder / "first.txt"
    file.write_text("scribbled over")
    result = ws.refresh()
    assert "text" in result.diff("Note::first"), result
    assert "scribbled over" in str(ws.resource("first", show_secrets=True)["outputs"])
    ws.up()
    assert file.read_text() == "as it should be"
    file.unlink()
    ws.refresh()
    assert ws.resources(NOTE) == []
    ws.up()
    assert file.read_text() == "as it should be"
    assert_unchanged(ws)


def test_a_name_is_made_and_kept(ws, folder):
    ws.yaml(program(first={"text": "one"}))
    ws.up()
    (name,) = [path.name for path in folder.iterdir()]
    assert name.startswith("first-")
    ws.yaml(program(first={"text": "two"}))
    ws.up()
    assert [path.name for path in folder.iterdir()] == [name]


def test_a_note_that_is_there_already_is_imported(ws, folder):
    (folder / "old.txt").write_text("written by hand")
    ws.yaml(program(first={"name": "old.txt", "text": "written by hand"}) | {"outputs": {}})
    ws.init().import_(NOTE, "first", "old.txt")
    ws.preview("--expect-no-changes")


def test_wrong_inputs_and_failures_say_what_is_wrong(ws, folder):
    ws.yaml(program(first={"name": "not/allowed", "text": "t"}))
    text = str(ws.preview(fails=True))
    assert "property name value {not/allowed} has a problem: must match the pattern" in text
    (folder / "taken").mkdir()
    ws.yaml(program(first={"name": "taken", "text": "t"}))
    text = str(ws.up(fails=True))
    assert "write on note taken failed: " in text
    ws.env["NOTES_DIRECTORY"] = ""
    text = str(ws.up(fails=True))
    assert "directory" in text


def test_a_secret_text_appears_nowhere(ws, folder, tmp_path):
    log = tmp_path / "calls.jsonl"
    ws.env |= {"PULUMI_PROVIDER_CALL_LOG": str(log), "PULUMI_PROVIDER_LOG": "trace"}
    ws.yaml(program(first={"name": "n", "text": "k9-very-private-k9"}) | {"outputs": {}})
    ws.up()
    ws.refresh()
    (ws.folder / "Pulumi.yaml").unlink()
    assert log.read_text()
    for path in [*ws.files(), log]:
        assert b"k9-very-private-k9" not in path.read_bytes(), path


def test_the_smallest_provider(cli_env, tmp_path):
    path = tmp_path / "bin"
    path.mkdir()
    (path / "pulumi-resource-dice").symlink_to(cli.ROOT / "target/debug/examples/dice")
    ws = cli.Workspace(tmp_path / "app", cli_env | {"PATH": f"{path}{os.pathsep}{cli_env['PATH']}"}, "dice-app")

    def dice(sides: int) -> cli.Workspace:
        die = {"type": "dice:index:Die", "properties": {"sides": sides}}
        return ws.yaml({"resources": {"die": die}, "outputs": {"number": "${die.number}"}})

    dice(6).init()
    ws.up()
    number = ws.outputs()["number"]
    assert 1 <= number <= 6
    assert not ws.up().changes and not ws.refresh().changes
    assert ws.outputs()["number"] == number
    assert dice(2).preview().diff("die") == {"sides": "update-replace"}
    ws.up()
    assert ws.outputs()["number"] in (1, 2)
    assert "sides" in dice(1).up(fails=True).text
    dice(2).destroy()
