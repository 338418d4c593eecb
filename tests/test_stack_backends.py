"""Backends in S3 that fail, before a run and in the middle of it: it is told, and the next update converges."""

from __future__ import annotations

import json
import os
import signal
import socket
import time

import pytest
from support import aws_replies
from support.aws_replies import Cut
from support.inner import INNER, PASSWORD
from support.network import closed_port
from support.protocol import until

BUCKET = "inner-state"
RETRY = {"attempts": 3, "delaySeconds": 0.5}
WAITS = """
import pathlib, pulumi, time
here = pathlib.Path(__file__).parent
(here.parent / "begun").touch()
while not (here.parent / "go").exists():
    time.sleep(0.05)
pulumi.export("greeting", "hello")
"""


def changed(greeting: str) -> dict:
    return INNER | {"outputs": {"greeting": greeting}}


def once(folder, port: int, *commands: str) -> str:
    """A shell script: by each of these commands, patterns of arguments, the backend cannot be reached when it is run first."""
    lines = []
    for number, command in enumerate(commands):
        mark, fail = f"{folder}/failed-{number}", f"export AWS_ENDPOINT_URL=http://127.0.0.1:{port}"
        lines.append(f'case "$*" in {command}*) [ -e {mark} ] || {{ touch {mark}; {fail}; }};; esac')
    return "\n".join(lines)


def tries(done) -> int:
    """How often something was tried again."""
    return sum("runs it again" in message for message in done.messages("warning"))


@pytest.fixture
def bucket(pipeline, boto):
    """The inner backend is a bucket; what is in it."""
    s3 = boto("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
    pipeline.url = f"s3://{BUCKET}?region=us-east-2"

    def keys(prefix: str = "") -> list[str]:
        return [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET, Prefix=f".pulumi/{prefix}").get("Contents", [])]

    return keys


@pytest.fixture
def nobody():
    """A port on which nobody listens."""
    with closed_port() as port:
        yield port


@pytest.mark.parametrize(
    ("fault", "text"),
    [("refused", "connection refused"), ("denied", "AccessDenied"), ("gone", "NoSuchBucket"), ("cut", "EOF|reset by peer")],
)
def test_one_that_cannot_be_used_is_told_and_the_next_update_converges(pipeline, bucket, proxy, nobody, fault, text):
    given = pipeline.inner("web")
    outer = pipeline.write(greeting="${web.outputs.greeting}").init()
    outer.up()
    before = bucket()
    pipeline.project("web", changed("new"))
    environment = given["environment"]
    if fault == "refused":
        given["environment"] = environment | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{nobody}"}
    elif fault == "denied":
        proxy.rule(aws_replies.access_denied, service="s3")
    elif fault == "gone":
        proxy.rule(lambda call: aws_replies.error(call, 404, "NoSuchBucket", "The specified bucket does not exist"), service="s3")
    else:
        proxy.rule(lambda call: Cut, service="s3")
    failed = pipeline.write(greeting="${web.outputs.greeting}").up(fails=True)
    assert "web" in failed.text and any(each in failed.text for each in text.split("|")), failed.text
    assert bucket() == before
    proxy.reset()
    given["environment"] = environment
    pipeline.write(greeting="${web.outputs.greeting}").up()
    assert outer.outputs() == {"greeting": "new"} and bucket("locks") == []
    assert not outer.up().changes


def test_one_that_answers_badly_once_is_no_reason_to_fail(pipeline, bucket, proxy):
    pipeline.inner("web")
    outer = pipeline.write(greeting="${web.outputs.greeting}").init()
    answers = {"PutObject": aws_replies.internal, "GetObject": aws_replies.throttled, "ListObjectsV2": lambda call: Cut}
    for operation, answer in answers.items():
        proxy.rule(answer, operation, service="s3", times=1)
    outer.up()
    hit = {call.operation for call in proxy.select(service="s3") if call.fault}
    assert hit == set(answers)
    assert outer.outputs() == {"greeting": "hello"} and bucket("locks") == []


@pytest.mark.parametrize("end", ["timeout", "interrupt"])
def test_one_that_answers_no_more_ends_with_the_operation(pipeline, bucket, proxy, end):
    outer = pipeline.outer
    outer.env["PTD_STACK_GRACE_SECONDS"] = "2"
    pipeline.inner("web", options={"customTimeouts": {"create": "6s"}} if end == "timeout" else None)
    pipeline.write(greeting="${web.outputs.greeting}").init()
    proxy.latency = 600
    process = outer.start("up", "--yes", "--skip-preview")
    until(lambda: proxy.in_flight or process.poll() is not None, within=180)
    began = time.monotonic()
    if end == "interrupt":
        os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=180)
    # The answer would come after ten minutes.
    assert process.returncode != 0 and "web" in out + err and time.monotonic() - began < 120
    until(lambda: not pipeline.processes(), within=90)
    proxy.reset()
    pipeline.resources["web"].pop("options", None)
    pipeline.write(greeting="${web.outputs.greeting}").up()
    assert outer.outputs() == {"greeting": "hello"} and bucket("locks") == []


def test_reading_from_one_that_answers_no_more_ends_when_the_time_is_up(pipeline, bucket, proxy):
    pipeline.inner("web", onDelete="destroyAndRemove", options={"customTimeouts": {"delete": "4s"}})
    outer = pipeline.write().init()
    outer.up()
    # Time to end what has begun is for updates: there is none.
    outer.env["PTD_STACK_GRACE_SECONDS"] = "300"
    proxy.latency = 600
    began = time.monotonic()
    failed = outer.destroy(fails=True).text
    assert "its time, 4 s, is up: stack export of stack organization/web/dev was cancelled" in failed
    assert time.monotonic() - began < 200
    until(lambda: not pipeline.processes(), within=90)
    proxy.reset()
    pipeline.resources["web"].pop("options")
    pipeline.write().up()
    outer.destroy()
    assert bucket("locks") == [] and ".pulumi/stacks/web/dev.json" not in bucket()


def test_one_that_is_lost_in_the_middle_of_an_update_leaves_a_lock_that_is_known_to_be_stale(pipeline, bucket, proxy, boto):
    pipeline.inner("web", WAITS, cancelStaleLock=True)
    outer = pipeline.write(greeting="${web.outputs.greeting}").init()
    process = outer.start("up", "--yes", "--skip-preview")
    until((outer.folder / "begun").exists, within=180)
    proxy.rule(aws_replies.access_denied, service="s3")
    (outer.folder / "go").touch()
    out, err = process.communicate(timeout=180)
    assert process.returncode != 0 and "AccessDenied" in out + err and "web" in out + err
    proxy.reset()
    [lock] = bucket("locks")
    assert json.loads(boto("s3").get_object(Bucket=BUCKET, Key=lock)["Body"].read())["hostname"] == socket.gethostname()
    done = outer.up()
    assert "removes the stale lock" in done.text
    assert outer.outputs() == {"greeting": "hello"} and bucket("locks") == []


def test_what_comes_before_and_after_an_operation_is_tried_again_too(pipeline, bucket, nobody, other_cli, tmp_path):
    commands = ["stack*init", "config*set", "stack*output", "stack*export", "stack*rm"]
    given = pipeline.inner("web", config={"password": {"fn::secret": PASSWORD}}, onDelete="destroyAndRemove", retry=RETRY)
    given["environment"] |= {"PATH": other_cli(once(tmp_path, nobody, *commands))}
    outer = pipeline.write(password="${web.outputs.password}").init()
    made = outer.up()
    assert tries(made) == 3 and outer.outputs() == {"password": PASSWORD}
    ended = outer.destroy()
    assert tries(ended) == 2 and bucket("locks") == []
    assert ".pulumi/stacks/web/dev.json" not in bucket()
    assert len(list(tmp_path.glob("failed-*"))) == len(commands)


def test_a_stack_that_is_made_although_the_answer_is_lost_is_taken(pipeline, bucket, proxy, other_cli, tmp_path):
    inits = tmp_path / "inits"
    given = pipeline.inner("web", config={"password": {"fn::secret": PASSWORD}}, retry=RETRY)
    given["environment"] |= {"PATH": other_cli(f'case "$*" in stack*init*) echo >>{inits};; esac')}
    outer = pipeline.write(password="${web.outputs.password}").init()
    first = {"resource": "stacks/web", "where": lambda call: len(inits.read_text()) == 1}
    proxy.rule(lambda call: Cut, "PutObject", service="s3", after=True, **first)
    made = outer.up()
    assert tries(made) == 1 and "takes over the existing stack" in made.text and len(inits.read_text()) == 2
    assert outer.outputs() == {"password": PASSWORD} and bucket("locks") == []
    assert not outer.up().changes


def test_only_what_is_named_is_tried_again(pipeline, bucket, nobody, other_cli, tmp_path):
    given = pipeline.inner("web", retry=RETRY | {"on": ["lock", "throttling"]})
    given["environment"] |= {"PATH": other_cli(once(tmp_path, nobody, "stack*init"))}
    failed = pipeline.write().init().up(fails=True)
    assert "connection refused" in failed.text and tries(failed) == 0


def test_who_waits_to_begin_again_is_in_nobodys_way(pipeline, nobody, bucket, other_cli, tmp_path):
    """Of two that run one at a time, each can only begin once the other one has tried to."""
    lines = []
    for name, other in (("web", "free"), ("free", "web")):
        needs = f"[ -e {tmp_path}/tried-{other} ] || export AWS_ENDPOINT_URL=http://127.0.0.1:{nobody}"
        lines.append(f'case "$*" in stack*/{name}/*init*) touch {tmp_path}/tried-{name}; {needs};; esac')
    path = other_cli("\n".join(lines))
    for name in ("web", "free"):
        pipeline.inner(name, retry=RETRY | {"attempts": 10})["environment"] |= {"PATH": path}
    outer = pipeline.write(greeting="${web.outputs.greeting}").init()
    outer.env["PTD_MAX_PARALLEL_STACKS"] = "1"
    assert tries(outer.up()) >= 1 and outer.outputs() == {"greeting": "hello"}
