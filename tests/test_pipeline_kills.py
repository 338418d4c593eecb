"""Every step of a standard pipeline is killed once."""

from __future__ import annotations

from support.protocol import until
from test_pipeline import WORKLOAD, Pipeline

CONSENT = {"stateBucket": {"forceDestroy": True}, "encryptionKey": {"allowDelete": True}, "secrets": {"allowDelete": True}}
#: Those that run side by side.
TOGETHER = ("postgres_config", "eks")
KILLS = [
    ("persistent", "provider"), ("postgres_config", "inner"), ("eks", "outer"), ("clusters", "provider"),
    ("helm", "inner"), ("sites", "outer"), ("persistent_reprise", "provider"),
]  # fmt: skip


def test_a_workload_of_eight_steps_survives_a_kill_at_each(workspace, tmp_path, boto):
    pipeline = Pipeline(workspace, tmp_path)
    for step in WORKLOAD:
        pipeline.timed(step, meets=f"go-{step}")
    outer = pipeline.write({}, bootstrap=CONSENT, workloadSecret=True, persistentReprise=True, stackInputs={"cancelStaleLock": True}).init()
    pipeline.log.mkdir()

    def begun(step: str) -> bool:
        return (pipeline.log / f"{step}.begun").exists()

    def locked(step: str) -> bool:
        return any(step in str(lock) for lock in pipeline.locks())

    # Bootstrap: killed once its bucket is there.
    process = outer.start("up", "--yes", "--skip-preview")
    until(lambda: boto("s3").list_buckets()["Buckets"], within=180)
    pipeline.kill("provider", process, at_once=True)

    for step, victim in KILLS:
        program = "persistent" if step == "persistent_reprise" else step
        for name in (f"{program}.begun", f"go-{program}.begun"):
            (pipeline.log / name).unlink(missing_ok=True)
        process = outer.start("up", "--yes", "--skip-preview")
        until(lambda program=program: begun(program), within=180)
        if step == "postgres_config":
            until(lambda: all(begun(one) for one in TOGETHER), within=180)
        if step == "eks":
            # The other one ends in this run, which is not to be killed while that is written down.
            until(lambda: (pipeline.log / "postgres_config.json").exists() and not locked("postgres-config"), within=180)
        pipeline.kill(victim, process)
        if victim == "outer":
            outer.cancel_lock()
        (pipeline.log / f"go-{program}.begun").touch()

    outer.up()
    assert pipeline.locks() == []
    done = {step: [update["result"] for update in pipeline.history(step)].count("succeeded") for step in WORKLOAD}
    # What was done before a kill was not done again after it, unless both happened at once; the reprise is `persistent` again.
    assert done.pop("postgres_config") in (1, 2)
    assert done == {"persistent": 2, "eks": 1, "clusters": 1, "helm": 1, "sites": 1}
    assert len(boto("s3").list_buckets()["Buckets"]) == 1
    assert not outer.up().changes
    outer.destroy()
    assert outer.resources() == [] and pipeline.stacks() == []
