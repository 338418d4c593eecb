"""Bootstrapping a target over a slow line: the whole `pulumi up` of a YAML program."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from botocore.exceptions import ClientError
from support.moto import ACCOUNT, REGION, Moto
from support.network import make_certificates

from .setting import ROUND_TRIP, Setting, summary, up
from .slow_line import SlowLine
from .table import Peer, Row

#: By number of sites: seconds that must do, and that the reference's own command needs, one call after the other, over TLS.
LIMITS = {1: 2.5, 10: 3.0, 50: 5.0}
REFERENCE = {sites: Peer("reference CLI", seconds) for sites, seconds in {1: 2.6, 10: 12.4, 50: 52.9}.items()}
LIMITS_AGAIN = {50: 1.5}
REFERENCE_AGAIN = {50: Peer("reference CLI, run again", 25.4)}


@dataclass
class Bed:
    """The emulator, the line to it, and the environment of those who use the line."""

    moto: Moto
    line: SlowLine
    env: dict[str, str]

    @staticmethod
    @contextmanager
    def of(setting: Setting) -> Iterator[Bed]:
        with ExitStack() as stack:
            moto = stack.enter_context(Moto(setting.folder / "moto.log"))
            moto.warm()
            certificates = make_certificates(setting.folder / "certificates", REGION) if setting.tls else None
            line = stack.enter_context(SlowLine(moto.url, ROUND_TRIP, certificates and certificates.server))
            env = moto.account() | {"AWS_ENDPOINT_URL": line.url, "AWS_REGION": REGION}
            if certificates:
                env["AWS_CA_BUNDLE"] = str(certificates.authority)
            yield Bed(moto, line, env)


def program(target: str, sites: int) -> dict:
    properties = {"target": target, "accountId": ACCOUNT, "region": REGION, "sites": [f"site{n}" for n in range(sites)]}
    return {"resources": {"boot": {"type": "ptd:aws:Bootstrap", "properties": properties}}}


def rows(setting: Setting) -> Iterator[Row]:
    way = "TLS" if setting.tls else "no TLS"
    with Bed.of(setting) as bed:
        for sites in setting.sizes:
            creates, repeats, connections = [], [], 0
            for number in range(setting.rounds):
                bed.moto.reset()
                before = bed.line.connections
                workspace = setting.workspace(f"sites{sites}x{number}", program(f"bench{sites:02}", sites), bed.env)
                creates.append(up(workspace))
                connections = bed.line.connections - before
                repeats.append(up(workspace, "--expect-no-changes"))
            note = f"{way}, {connections} connections, {summary(creates)}"
            yield Row(f"bootstrap of {sites} sites", min(creates).seconds, "s", LIMITS.get(sites), REFERENCE.get(sites), note)
            yield Row(f"bootstrap of {sites} sites, no-op", min(repeats).seconds, "s", LIMITS_AGAIN.get(sites),
                      REFERENCE_AGAIN.get(sites), summary(repeats))
        yield emulator(bed, max(setting.sizes))


def emulator(bed: Bed, sites: int) -> Row:
    """What the emulator itself needs for the secrets of so many sites, without a delay: it does one at a time."""
    bed.moto.reset()
    secrets = bed.moto.client("secretsmanager")
    number = 3 * sites + 1
    began = time.perf_counter()
    for each in range(number):
        try:
            secrets.create_secret(Name=f"emulator{each}.posit.team", SecretString="{}")
        except ClientError as error:
            raise RuntimeError("the emulator does not make secrets") from error
    return Row(f"emulator alone, {number} secrets one by one", time.perf_counter() - began, "s", note="boto3's time included")
