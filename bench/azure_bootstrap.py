"""Azure's Bootstrap with a delay before each answer, held against its longest chain of requests; and pools on clusters."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Iterator

from support.aks import CLUSTER_INPUTS, GROUP, POOL_INPUTS
from support.azure import AzureDouble

from .setting import Setting
from .table import Row

#: Seconds before each answer.
LATENCY = 0.1
#: What the whole may take, by what its longest chain takes.
ALLOWED = 1.2
SITES = (1, 10)
ADMINS = "44444444-4444-4444-4444-444444444444"
CLUSTERS, POOLS = 4, 10
#: Resources under way at once: more than the CLI allows by itself on a small machine.
PARALLEL = ("--parallel", "64")
#: How long the double works on a pool, one at a time for each cluster.
POOL_SECONDS = 1.0

#: Whose a request is; the first that matches.
OWNERS = (
    ("secret", r"/secrets/([^/?]+)"), ("storage", r"(/storageAccounts/|/asyncoperations/)"), ("role", r"/roleAssignments"),
    ("key", r"/vaults/[^/]+/keys/"), ("vault", r"/vaults/"), ("group", r"/resourceGroups/[^/?]+[?]"),
)  # fmt: skip


def owner(entry: dict) -> str:
    for kind, pattern in OWNERS:
        if found := re.search(pattern, entry["target"], re.I):
            return f"secret {found[1]}" if kind == "secret" else kind
    return "credentials"


def alone(entries: list[dict]) -> float:
    """What these requests take one after the other; a pause before the same question is asked again is waiting for Azure."""
    seconds = sum(entry["took"] for entry in entries)
    for before, entry in zip(entries, entries[1:], strict=False):
        if entry["method"] == "GET" and before["method"] in ("GET", "PUT") and before["path"] == entry["path"]:
            seconds += max(0.0, entry["at"] - before["at"] - before["took"])
    return seconds


def chain(log: list[dict]) -> float:
    """The longest of the chains: the credentials, the group, the vault, and one of its secrets; or another one of the group's parts."""
    found: dict[str, list[dict]] = defaultdict(list)
    vault_made = False
    for entry in log:
        who = owner(entry)
        if who == "vault":
            # Once it is there, those who read it are its secrets, each for itself.
            if vault_made:
                continue
            state = (entry["answer"] or {}).get("properties", {}).get("provisioningState")
            vault_made = entry["method"] == "GET" and entry["status"] == 200 and state == "Succeeded"
        found[who].append(entry)
    of = {who: alone(entries) for who, entries in found.items()}
    first = sum(entry["took"] for entry in found["credentials"][:2])
    # Each secret looks for the vault; one learns where tokens come from, and the others wait for that.
    secret = max((seconds for who, seconds in of.items() if who.startswith("secret")), default=0.0) + LATENCY
    return first + of["group"] + max(of["vault"] + secret, of["storage"])


def rows(setting: Setting) -> Iterator[Row]:
    with AzureDouble(setting.folder / "azure") as azure:
        for sites in SITES:
            best = None
            # The first one finds models that the double has not read yet.
            for number in range(setting.rounds + 1):
                azure.reset()
                azure.settings(polls=0)
                azure.fault(".*", "^/", times=None, delay=LATENCY)
                target = {"target": f"bench{sites:02}", "sites": [f"site{n}" for n in range(sites)], "adminGroupId": ADMINS}
                program = {"resources": {"boot": {"type": "ptd:azure:Bootstrap", "properties": target}}}
                workspace = setting.workspace(f"azure{sites}x{number}", program, azure.env)
                workspace.run("up", "--yes", "--skip-preview", *PARALLEL)
                log = azure.requests()
                whole = max(entry["at"] + entry["took"] for entry in log) - log[0]["at"]
                longest = chain(log)
                if number and (best is None or whole / longest < best[0] / best[1]):
                    best = (whole, longest, len(log))
            whole, longest, requests = best
            note = f"longest chain {longest:.2f} s, {whole / longest:.2f} of it; {requests} requests, {LATENCY * 1000:.0f} ms each"
            # With many sites the engine's own work is what takes the time.
            limit = ALLOWED * longest if sites == 1 else None
            yield Row(f"Azure bootstrap of {sites} sites, requests", whole, "s", limit, None, note)
        yield pools(setting, azure)


def pools(setting: Setting, azure: AzureDouble) -> Row:
    azure.reset()
    azure.make_group(GROUP)
    azure.operation("PUT agentPools", duration=POOL_SECONDS)
    resources = {}
    for one in range(CLUSTERS):
        name = f"bench-{one}"
        resources[name] = {"type": "ptd:azure:AksCluster", "properties": CLUSTER_INPUTS | {"name": name}}
        for each in range(POOLS):
            properties = POOL_INPUTS | {"clusterId": f"${{{name}.armId}}", "name": f"p{each}"}
            resources[f"{name}-p{each}"] = {"type": "ptd:azure:AgentPool", "properties": properties}
    workspace = setting.workspace("pools", {"resources": resources}, azure.env)
    began = time.perf_counter()
    workspace.run("up", "--yes", "--skip-preview", *PARALLEL)
    seconds = time.perf_counter() - began
    asked = azure.requests("PUT", "/agentPools/p")
    refused = sum(entry["status"] == 409 for entry in asked)
    note = f"{POOLS * POOL_SECONDS:.0f} s on each cluster, one after the other; {refused} times refused as busy"
    # All in a row is what it must stay below.
    return Row(f"{CLUSTERS * POOLS} pools on {CLUSTERS} clusters", seconds, "s", CLUSTERS * POOLS * POOL_SECONDS, None, note)
