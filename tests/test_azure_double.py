"""The Azure double, driven over TLS by Microsoft's own clients: what they cannot use, no test may rely on."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.core.pipeline.transport import RequestsTransport
from azure.identity import ClientSecretCredential
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import CryptographyClient, EncryptionAlgorithm
from azure.keyvault.secrets import SecretClient
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.containerservice import ContainerServiceClient
from azure.mgmt.keyvault import KeyVaultManagementClient
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.storage import StorageManagementClient
from support.azure import CLIENT_ID, CLIENT_SECRET, LOCATION, SUBSCRIPTION, TENANT, AzureDouble

GROUP = "rsg-ptd-double"
ADMINISTRATORS = "44444444-4444-4444-4444-444444444444"
ROLES = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions"
VAULT_ADMINISTRATOR = f"{ROLES}/00482a5a-887f-4fb3-b363-3b7fe8e74483"


@pytest.fixture
def credential(azure: AzureDouble) -> ClientSecretCredential:
    return ClientSecretCredential(
        TENANT, CLIENT_ID, CLIENT_SECRET, authority=azure.url, disable_instance_discovery=True,
        connection_verify=str(azure.ca),
    )  # fmt: skip


@pytest.fixture
def client(azure: AzureDouble, credential: ClientSecretCredential) -> Callable:
    """`client(KeyVaultManagementClient)`: a client of Resource Manager that does not retry."""

    def make(kind: type, **more):
        return kind(
            credential, SUBSCRIPTION, base_url=azure.url, credential_scopes=["https://management.azure.com/.default"],
            connection_verify=str(azure.ca), retry_total=0, polling_interval=0.02, **more,
        )  # fmt: skip

    return make


@pytest.fixture
def groups(client: Callable):
    found = client(ResourceManagementClient)
    found.resource_groups.create_or_update(GROUP, {"location": LOCATION, "tags": {"Owner": "ptd"}})
    return found


def vault_model(**more) -> dict:
    return {
        "location": LOCATION,
        "properties": {"tenantId": TENANT, "sku": {"family": "A", "name": "standard"}, "createMode": "default",
                       "enableRbacAuthorization": True, "publicNetworkAccess": "enabled"} | more,
    }  # fmt: skip


def refusal(error: pytest.ExceptionInfo[HttpResponseError]) -> tuple[int | None, str | None]:
    return error.value.status_code, error.value.error.code if error.value.error else None


def test_groups_from_creation_to_deletion(azure: AzureDouble, groups) -> None:
    found = groups.resource_groups.get(GROUP.upper())
    assert (found.location, found.tags, found.properties.provisioning_state) == (LOCATION, {"Owner": "ptd"}, "Succeeded")
    assert groups.resource_groups.check_existence(GROUP) and not groups.resource_groups.check_existence("other")
    assert groups.resource_groups.create_or_update(GROUP, {"location": "East US 2"}).tags is None
    assert groups.resource_groups.update(GROUP, {"tags": {"a": "b"}}).tags == {"a": "b"}
    with pytest.raises(ResourceExistsError) as error:
        groups.resource_groups.create_or_update(GROUP, {"location": "westus"})
    assert refusal(error) == (409, "InvalidResourceGroupLocation")

    azure.operation("DELETE resourceGroups", duration=600, polls=0)
    poller = groups.resource_groups.begin_delete(GROUP)
    with pytest.raises(ResourceExistsError) as error:
        groups.resource_groups.create_or_update(GROUP, {"location": LOCATION})
    assert refusal(error) == (409, "ResourceGroupBeingDeleted")
    azure.advance(600)
    poller.result()
    with pytest.raises(ResourceNotFoundError) as missing:
        groups.resource_groups.get(GROUP)
    assert refusal(missing) == (404, "ResourceGroupNotFound")


def test_lists_come_in_pages_and_an_empty_page_is_not_the_end(azure: AzureDouble, groups) -> None:
    azure.settings(page_size=2, empty_first_page=True)
    for number in range(4):
        azure.make_group(f"more-{number}")
    assert len(list(groups.resource_groups.list())) == 5
    assert len(azure.requests("GET", "resourcegroups\\?")) == 4


def test_a_namespace_has_to_be_registered_first(azure: AzureDouble, groups, client: Callable) -> None:
    azure.settings(registered=[])
    vaults = client(KeyVaultManagementClient).vaults
    with pytest.raises(HttpResponseError) as error:
        vaults.begin_create_or_update(GROUP, "kv-double", vault_model())
    assert refusal(error) == (409, "MissingSubscriptionRegistration")
    assert groups.providers.register("Microsoft.KeyVault").registration_state == "Registering"
    states = [groups.providers.get("Microsoft.KeyVault").registration_state for _ in range(3)]
    assert states == ["Registering", "Registering", "Registered"]
    vaults.begin_create_or_update(GROUP, "kv-double", vault_model()).result()


def test_vaults_are_ready_late_and_deleted_softly(azure: AzureDouble, groups, client: Callable) -> None:
    vaults = client(KeyVaultManagementClient).vaults
    azure.settings(polls=2)
    made = vaults.begin_create_or_update(GROUP, "kv-double", vault_model()).result()
    assert made.properties.vault_uri == f"{azure.url}/vaults/kv-double/"
    answers = [entry["answer"]["properties"] for entry in azure.requests("PUT|GET", "/vaults/kv-double")]
    assert [a["provisioningState"] for a in answers] == ["RegisteringDns"] * (len(answers) - 1) + ["Succeeded"]
    assert not answers[0]["vaultUri"].endswith("/") and len(answers) >= 3
    assert "createMode" not in answers[-1] and answers[-1]["publicNetworkAccess"] == "Enabled"

    with pytest.raises(HttpResponseError) as error:
        vaults.begin_create_or_update(GROUP, "kv-ptd-", vault_model())
    assert refusal(error) == (400, "VaultNameNotValid")
    assert not vaults.check_name_availability({"name": "kv-double", "type": "Microsoft.KeyVault/vaults"}).name_available

    vaults.delete(GROUP, "kv-double")
    assert vaults.get_deleted("kv-double", LOCATION).properties.vault_id.endswith("/vaults/kv-double")
    with pytest.raises(HttpResponseError) as error:
        vaults.begin_create_or_update(GROUP, "kv-double", vault_model())
    assert refusal(error) == (409, "ConflictError")
    vaults.begin_create_or_update(GROUP, "kv-double", vault_model(createMode="recover")).result()
    vaults.delete(GROUP, "kv-double")
    vaults.begin_purge_deleted("kv-double", LOCATION).result()
    assert not list(vaults.list_deleted())


def test_a_key_made_through_arm_never_gets_a_second_version(azure: AzureDouble, groups, client: Callable) -> None:
    found = client(KeyVaultManagementClient)
    found.vaults.begin_create_or_update(GROUP, "kv-double", vault_model()).result()
    with pytest.raises(ResourceNotFoundError):
        found.keys.get(GROUP, "kv-double", "posit-team-dedicated")
    made = [found.keys.create_if_not_exist(GROUP, "kv-double", "posit-team-dedicated", {"properties": {"kty": "RSA"}})
            for _ in range(2)]  # fmt: skip
    assert made[0].key_uri_with_version == made[1].key_uri_with_version
    assert (made[0].key_size, made[0].attributes.enabled) == (2048, True)


@pytest.fixture
def vault(azure: AzureDouble, groups, client: Callable) -> str:
    made = client(KeyVaultManagementClient).vaults.begin_create_or_update(GROUP, "kv-double", vault_model()).result()
    return made.properties.vault_uri


def data_plane(kind: type, vault: str, azure: AzureDouble, credential: ClientSecretCredential):
    return kind(vault, credential, verify_challenge_resource=False, connection_verify=str(azure.ca), retry_total=0)


class Redirected(RequestsTransport):
    """Ids name vaults by the hosts they would really have; here these are paths."""

    def __init__(self, azure: AzureDouble) -> None:
        super().__init__(connection_verify=str(azure.ca))
        self._azure = azure

    def send(self, request, **more):
        request.url = re.sub(r"https://([^./]+)\.vault\.azure\.net", rf"{self._azure.url}/vaults/\1", request.url)
        return super().send(request, **more)


def test_secrets_have_versions_and_come_back(azure: AzureDouble, vault: str, credential: ClientSecretCredential) -> None:
    secrets = data_plane(SecretClient, vault, azure, credential)
    with pytest.raises(ResourceNotFoundError):
        secrets.get_secret("main-dev-db-password")
    first = secrets.set_secret("main-dev-db-password", "one")
    second = secrets.set_secret("main-dev-db-password", "two", tags={"a": "b"}, content_type="text/plain")
    assert secrets.get_secret("main-dev-db-password").value == "two"
    assert secrets.get_secret("main-dev-db-password", first.properties.version).value == "one"
    assert second.properties.tags == {"a": "b"}
    assert len(list(secrets.list_properties_of_secret_versions("main-dev-db-password"))) == 2
    assert [s.name for s in secrets.list_properties_of_secrets()] == ["main-dev-db-password"]
    secrets.update_secret_properties("main-dev-db-password", enabled=False)
    with pytest.raises(HttpResponseError):
        secrets.get_secret("main-dev-db-password")
    secrets.update_secret_properties("main-dev-db-password", enabled=True)

    secrets.begin_delete_secret("main-dev-db-password", _polling_interval=0.05).wait()
    with pytest.raises(ResourceExistsError) as error:
        secrets.set_secret("main-dev-db-password", "three")
    assert azure.requests("PUT", "/secrets/")[-1]["answer"]["error"]["innererror"] == {"code": "ObjectIsDeletedButRecoverable"}
    assert refusal(error) == (409, "Conflict")
    secrets.begin_recover_deleted_secret("main-dev-db-password", _polling_interval=0.05).wait()
    assert secrets.get_secret("main-dev-db-password").value == "two"
    secrets.begin_delete_secret("main-dev-db-password", _polling_interval=0.05).wait()
    secrets.purge_deleted_secret("main-dev-db-password")
    assert not list(secrets.list_deleted_secrets())
    secrets.set_secret("main-dev-db-password", "four")


def test_keys_encrypt_and_come_back(azure: AzureDouble, vault: str, credential: ClientSecretCredential) -> None:
    keys = data_plane(KeyClient, vault, azure, credential)
    made = keys.create_rsa_key("posit-team-dedicated", size=2048)
    assert made.key.kty == "RSA" and len(made.key.n) == 256
    crypto = CryptographyClient(made, credential, verify_challenge_resource=False, transport=Redirected(azure))
    sealed = crypto.encrypt(EncryptionAlgorithm.rsa_oaep_256, b"plain").ciphertext
    assert crypto.decrypt(EncryptionAlgorithm.rsa_oaep_256, sealed).plaintext == b"plain"
    keys.begin_delete_key("posit-team-dedicated", _polling_interval=0.05).wait()
    with pytest.raises(ResourceExistsError):
        keys.create_rsa_key("posit-team-dedicated")
    keys.begin_recover_deleted_key("posit-team-dedicated", _polling_interval=0.05).wait()
    assert keys.get_key("posit-team-dedicated").id == made.id
    keys.begin_delete_key("posit-team-dedicated", _polling_interval=0.05).wait()
    keys.purge_deleted_key("posit-team-dedicated")
    assert not list(keys.list_properties_of_keys())


def test_a_vault_asks_for_a_role_that_has_spread(
    azure: AzureDouble, vault: str, client: Callable, credential: ClientSecretCredential
) -> None:
    azure.settings(rbac=True, rbac_delay=600)
    secrets = data_plane(SecretClient, vault, azure, credential)
    roles = client(AuthorizationManagementClient, api_version="2022-04-01").role_assignments
    wanted = {"properties": {"principalId": ADMINISTRATORS, "roleDefinitionId": VAULT_ADMINISTRATOR, "principalType": "Group"}}
    roles.create(azure.group_id(GROUP), str(uuid.uuid4()), wanted)
    with pytest.raises(HttpResponseError):
        secrets.set_secret("main-dev-db-password", "one")
    assert azure.requests("PUT", "/secrets/")[-1]["answer"]["error"]["innererror"] == {"code": "ForbiddenByRbac"}
    azure.advance(601)
    secrets.set_secret("main-dev-db-password", "one")


def test_storage_accounts_begin_with_an_empty_answer(azure: AzureDouble, groups, client: Callable) -> None:
    storage = client(StorageManagementClient)
    model = {
        "location": LOCATION, "kind": "StorageV2", "sku": {"name": "Standard_LRS"},
        "properties": {"allowBlobPublicAccess": False, "accessTier": "Cool", "minimumTlsVersion": "TLS1_2",
                       "supportsHttpsTrafficOnly": True},
    }  # fmt: skip
    made = storage.storage_accounts.begin_create(GROUP, "stptddouble", model).result()
    assert (made.provisioning_state, made.access_tier, made.sku.tier) == ("Succeeded", "Cool", "Standard")
    first = azure.requests("PUT", "storageAccounts/stptddouble")[0]
    assert (first["status"], first["answer"]) == (202, None)
    assert storage.storage_accounts.begin_create(GROUP, "stptddouble", model).result().id == made.id
    with pytest.raises(HttpResponseError) as error:
        storage.storage_accounts.begin_create(GROUP, "St_ptd", model)
    assert refusal(error) == (400, "AccountNameInvalid")
    azure.settings(taken=["stptdother"])
    with pytest.raises(HttpResponseError) as error:
        storage.storage_accounts.begin_create(GROUP, "stptdother", model)
    assert refusal(error) == (409, "StorageAccountAlreadyTaken")
    assert storage.storage_accounts.update(GROUP, "stptddouble", {"tags": {"a": "b"}}).tags == {"a": "b"}

    containers = storage.blob_containers
    assert containers.create(GROUP, "stptddouble", "blob-ptd-double", {}).name == "blob-ptd-double"
    assert containers.get(GROUP, "stptddouble", "blob-ptd-double").public_access == "None"
    assert [c.name for c in containers.list(GROUP, "stptddouble")] == ["blob-ptd-double"]
    azure.settings(container_hold=30)
    containers.delete(GROUP, "stptddouble", "blob-ptd-double")
    with pytest.raises(HttpResponseError) as error:
        containers.create(GROUP, "stptddouble", "blob-ptd-double", {})
    assert refusal(error) == (409, "ContainerBeingDeleted")
    azure.advance(31)
    containers.create(GROUP, "stptddouble", "blob-ptd-double", {})
    storage.storage_accounts.delete(GROUP, "stptddouble")
    with pytest.raises(ResourceNotFoundError):
        storage.storage_accounts.get_properties(GROUP, "stptddouble")


def test_role_assignments_are_unique_and_principals_late(azure: AzureDouble, groups, client: Callable) -> None:
    roles = client(AuthorizationManagementClient, api_version="2022-04-01").role_assignments
    azure.settings(unknown_principals={ADMINISTRATORS: 1})
    wanted = {"properties": {"principalId": ADMINISTRATORS, "roleDefinitionId": VAULT_ADMINISTRATOR, "principalType": "Group"}}
    scope = azure.group_id(GROUP)
    with pytest.raises(HttpResponseError) as error:
        roles.create(scope, str(uuid.uuid4()), wanted)
    assert refusal(error) == (400, "PrincipalNotFound")
    made = roles.create(scope, str(uuid.uuid4()), wanted)
    with pytest.raises(HttpResponseError) as error:
        roles.create(scope, str(uuid.uuid4()), wanted)
    assert refusal(error) == (409, "RoleAssignmentExists")
    above = roles.create(f"/subscriptions/{SUBSCRIPTION}", str(uuid.uuid4()), wanted)
    at_scope = roles.list_for_scope(scope, filter="atScope()")
    assert {found.id for found in at_scope} == {made.id, above.id}
    assert roles.delete(scope, made.name).id == made.id
    with pytest.raises(ResourceNotFoundError):
        roles.get(scope, made.name)


def pool_model(**more) -> dict:
    return {"count": 2, "vmSize": "Standard_D4s_v5", "mode": "User", "orchestratorVersion": "1.30.4"} | more


def cluster_model(**more) -> dict:
    return {
        "location": "East US 2", "identity": {"type": "SystemAssigned"}, "sku": {"name": "Base", "tier": "Standard"},
        "tags": {"Owner": "ptd"},
        "properties": {
            "kubernetesVersion": "1.30.4", "dnsPrefix": "double-main-dns", "disableLocalAccounts": True,
            "aadProfile": {"managed": True, "enableAzureRBAC": True, "tenantID": TENANT},
            "oidcIssuerProfile": {"enabled": True},
            "addonProfiles": {"azurepolicy": {"enabled": False},
                              "azureKeyvaultSecretsProvider": {"enabled": True, "config": {"enableSecretRotation": "true"}}},
            "agentPoolProfiles": [{"name": "agentpool", **pool_model(mode="System")}],
        } | more,
    }  # fmt: skip


@pytest.fixture
def clusters(groups, client: Callable) -> ContainerServiceClient:
    found = client(ContainerServiceClient)
    found.managed_clusters.begin_create_or_update(GROUP, "double-main", cluster_model()).result()
    return found


def test_clusters_from_creation_to_deletion(azure: AzureDouble, clusters: ContainerServiceClient) -> None:
    found = clusters.managed_clusters.get(GROUP, "double-main")
    assert found.provisioning_state == "Succeeded" and found.current_kubernetes_version == "1.30.4"
    assert found.type == "Microsoft.ContainerService/ManagedClusters" and "/resourcegroups/" in found.id
    assert found.identity.principal_id and found.identity_profile["kubeletidentity"].object_id
    assert found.oidc_issuer_profile.issuer_url.endswith("/")
    assert [pool.name for pool in found.agent_pool_profiles] == ["agentpool"]
    first = azure.requests("PUT", "managedClusters/double-main")[0]
    assert first["status"] == 201 and first["answer"]["properties"]["provisioningState"] == "Creating"
    assert "identityProfile" not in first["answer"]["properties"]

    with pytest.raises(HttpResponseError) as error:
        clusters.managed_clusters.list_cluster_admin_credentials(GROUP, "double-main")
    assert error.value.status_code == 400
    config = clusters.managed_clusters.list_cluster_user_credentials(GROUP, "double-main").kubeconfigs[0]
    assert b"kubelogin" in (bytes(config.value) if b"kind" in bytes(config.value) else base64.b64decode(bytes(config.value)))

    tagged = clusters.managed_clusters.begin_update_tags(GROUP, "double-main", {"tags": {"a": "b"}}).result()
    assert tagged.tags == {"a": "b"}
    clusters.managed_clusters.begin_delete(GROUP, "double-main").result()
    with pytest.raises(ResourceNotFoundError):
        clusters.managed_clusters.get(GROUP, "double-main")


def test_clusters_and_pools_upgrade_in_order(azure: AzureDouble, clusters: ContainerServiceClient) -> None:
    with pytest.raises(HttpResponseError) as error:
        clusters.agent_pools.begin_create_or_update(GROUP, "double-main", "user", pool_model(orchestratorVersion="1.31.1"))
    assert "NodePoolMcVersionIncompatible" in str(error.value)
    clusters.agent_pools.begin_create_or_update(GROUP, "double-main", "user", {"properties": pool_model()}).result()
    live = clusters.managed_clusters.get(GROUP, "double-main")
    live.kubernetes_version = "1.32.1"
    with pytest.raises(HttpResponseError) as error:
        clusters.managed_clusters.begin_create_or_update(GROUP, "double-main", live)
    assert "only one minor" in str(error.value)
    live.kubernetes_version = "1.31.1"
    made = clusters.managed_clusters.begin_create_or_update(GROUP, "double-main", live).result()
    assert made.current_kubernetes_version == "1.31.1"
    assert {pool.name: pool.current_orchestrator_version for pool in made.agent_pool_profiles} == {
        "agentpool": "1.30.4", "user": "1.30.4",
    }  # fmt: skip
    assert made.identity_profile["kubeletidentity"].object_id == live.identity_profile["kubeletidentity"].object_id
    pool = clusters.agent_pools.get(GROUP, "double-main", "user")
    pool.orchestrator_version = "1.31.1"
    assert clusters.agent_pools.begin_create_or_update(GROUP, "double-main", "user", pool).result().count == 2


def test_pools_refuse_what_the_service_refuses(azure: AzureDouble, clusters: ContainerServiceClient) -> None:
    pools = clusters.agent_pools

    def write(**more) -> str:
        with pytest.raises(HttpResponseError) as error:
            pools.begin_create_or_update(GROUP, "double-main", "user", {"properties": pool_model(**more)})
        return azure.requests("PUT", "/agentPools/user")[-1]["answer"].get("target", str(error.value))

    assert write(count=None) == "properties.count"
    assert write(minCount=1) == "agentPoolProfile.minCount"
    pools.begin_create_or_update(
        GROUP, "double-main", "user", {"properties": pool_model(enableAutoScaling=True, minCount=1, maxCount=4)}
    ).result()
    assert write(maxPods=30, enableAutoScaling=True, minCount=1, maxCount=4) == "properties.maxPods"
    assert write(count=4, enableAutoScaling=True, minCount=1, maxCount=4) == "properties.count"
    with pytest.raises(HttpResponseError) as error:
        pools.begin_delete(GROUP, "double-main", "agentpool")
    assert "at least one system" in str(error.value)
    pools.begin_delete(GROUP, "double-main", "user").result()
    assert [pool.name for pool in pools.list(GROUP, "double-main")] == ["agentpool"]


def test_one_operation_on_a_cluster_at_a_time(azure: AzureDouble, clusters: ContainerServiceClient) -> None:
    azure.operation("PUT agentPools", duration=300, polls=0)
    running = clusters.agent_pools.begin_create_or_update(GROUP, "double-main", "one", {"properties": pool_model()})
    assert clusters.managed_clusters.get(GROUP, "double-main").provisioning_state == "Updating"
    with pytest.raises(HttpResponseError) as error:
        clusters.agent_pools.begin_create_or_update(GROUP, "double-main", "two", {"properties": pool_model()})
    answer = azure.requests("PUT", "/agentPools/two")[0]
    assert error.value.status_code == 409 and answer["answer"]["code"] == "OperationNotAllowed"
    assert "another operation (one - Updating) is in progress" in answer["answer"]["message"]
    azure.advance(301)
    assert running.result().provisioning_state == "Succeeded"
    assert clusters.managed_clusters.get(GROUP, "double-main").provisioning_state == "Succeeded"


@pytest.mark.parametrize("outcome", ["Failed", "Canceled"])
def test_operations_can_end_badly(azure: AzureDouble, clusters: ContainerServiceClient, outcome: str) -> None:
    error = {"code": "CreateVMSSAgentPoolFailed", "message": '{"error":{"code":"QuotaExceeded"}}'}
    azure.operation("PUT agentPools", outcome=outcome, error=error, times=1)
    with pytest.raises(HttpResponseError) as found:
        clusters.agent_pools.begin_create_or_update(GROUP, "double-main", "user", {"properties": pool_model()}).result()
    assert "CreateVMSSAgentPoolFailed" in str(found.value)
    assert clusters.agent_pools.get(GROUP, "double-main", "user").provisioning_state == outcome
    model = clusters.agent_pools.get(GROUP, "double-main", "user")
    assert clusters.agent_pools.begin_create_or_update(GROUP, "double-main", "user", model).result().count == 2


def test_an_upgrade_that_nobody_asked_for(azure: AzureDouble, clusters: ContainerServiceClient) -> None:
    path = f"{azure.group_id(GROUP)}/providers/Microsoft.ContainerService/managedClusters/double-main"
    azure.upgrade(path, "1.30.7", busy=60)
    found = clusters.managed_clusters.get(GROUP, "double-main")
    assert (found.kubernetes_version, found.provisioning_state) == ("1.30.7", "Upgrading")
    with pytest.raises(HttpResponseError) as error:
        clusters.managed_clusters.begin_update_tags(GROUP, "double-main", {"tags": {}})
    assert error.value.status_code == 409
    azure.advance(61)
    model = cluster_model()
    with pytest.raises(HttpResponseError) as error:
        clusters.managed_clusters.begin_create_or_update(GROUP, "double-main", model)
    assert "Downgrading" in str(error.value)


def test_etags_guard_against_lost_updates(azure: AzureDouble, clusters: ContainerServiceClient) -> None:
    live = azure.get(f"{azure.group_id(GROUP)}/providers/Microsoft.ContainerService/managedClusters/double-main")
    with pytest.raises(HttpResponseError) as error:
        clusters.managed_clusters.begin_delete(GROUP, "double-main", headers={"If-Match": "another"})
    assert error.value.status_code == 412
    clusters.managed_clusters.begin_delete(GROUP, "double-main", headers={"If-Match": live["eTag"]}).result()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"properties": cluster_model()["properties"] | {"scheduler": {}}}, "properties.scheduler: no such property"),
        ({"properties": cluster_model()["properties"] | {"disableLocalAccounts": "yes"}}, "str where boolean is expected"),
        ({"properties": cluster_model()["properties"] | {"maxPods": 3}}, "properties.maxPods: no such property"),
        ({"properties": cluster_model()["properties"] | {"agentPoolProfiles": [pool_model(count=2.0, name="a")]}},
         "float where integer is expected"),
        ({"properties": cluster_model()["properties"] | {"networkProfile": {"outboundType": "natGateway"}}},
         "'natGateway' is none of"),
        ({"location": None}, "location: is required"),
    ],
)  # fmt: skip
def test_what_the_models_would_refuse_is_refused(
    azure: AzureDouble, credential: ClientSecretCredential, groups, change: dict, problem: str
) -> None:
    status, answer = raw(azure, credential, "PUT", f"{cluster_path(azure)}?api-version=2025-09-01", cluster_model() | change)
    assert status == 400 and problem in answer["error"]["message"]
    assert any(problem in text for text in azure.violations())
    azure.reset()


def cluster_path(azure: AzureDouble) -> str:
    return f"{azure.group_id(GROUP)}/providers/Microsoft.ContainerService/managedClusters/double-main"


def raw(azure: AzureDouble, credential: ClientSecretCredential, method: str, target: str, body: dict | None = None):
    import requests

    token = credential.get_token("https://management.azure.com/.default").token
    answer = requests.request(
        method, azure.url + target, json=body, verify=str(azure.ca), timeout=30, headers={"Authorization": f"Bearer {token}"}
    )
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("?api-version=2020-01-01", "No registered resource provider"),
        ("", "api-version query parameter"),
        ("?api-version=2025-09-01&force=true", "unknown query parameters: force"),
        ("/pools/one?api-version=2025-09-01", "no such operation"),
    ],
)
def test_what_no_service_has_is_refused(
    azure: AzureDouble, credential: ClientSecretCredential, groups, target: str, problem: str
) -> None:
    status, answer = raw(azure, credential, "GET", cluster_path(azure) + target)
    assert status == 400 and problem in answer["error"]["message"] and len(azure.violations()) == 1
    azure.reset()


def test_tokens_for_others_and_old_tokens_are_refused(azure: AzureDouble, client: Callable) -> None:
    azure.settings(subscriptions={SUBSCRIPTION: TENANT})
    groups = client(ResourceManagementClient).resource_groups
    groups.create_or_update(GROUP, {"location": LOCATION})
    azure.settings(subscriptions={SUBSCRIPTION: ADMINISTRATORS})
    with pytest.raises(HttpResponseError) as error:
        groups.get(GROUP)
    assert refusal(error) == (401, "InvalidAuthenticationTokenTenant")
    azure.settings(subscriptions={"other": TENANT})
    with pytest.raises(ResourceNotFoundError) as error:
        groups.get(GROUP)
    assert refusal(error) == (404, "SubscriptionNotFound")
    azure.settings(subscriptions={})
    azure.expire_tokens()
    with pytest.raises(HttpResponseError) as error:
        groups.get(GROUP)
    assert refusal(error) == (401, "ExpiredAuthenticationToken")


def test_faults_before_and_after_the_effect(azure: AzureDouble, groups) -> None:
    azure.fault("PUT", "resourcegroups/a", status=500, body={"error": {"code": "InternalServerError", "message": "no"}})
    with pytest.raises(HttpResponseError):
        groups.resource_groups.create_or_update("a", {"location": LOCATION})
    assert azure.group_id("a").lower() not in azure.resources()
    azure.fault("PUT", "resourcegroups/a", drop=True, when="after")
    with pytest.raises(Exception, match="(?i)connection|aborted|closed|eof"):
        groups.resource_groups.create_or_update("a", {"location": LOCATION})
    assert azure.group_id("a").lower() in azure.resources()
    azure.fault("GET", "resourcegroups/a", body="<html>bad gateway</html>", status=502, headers={"Content-Type": "text/html"})
    with pytest.raises(HttpResponseError) as error:
        groups.resource_groups.get("a")
    assert error.value.status_code == 502
    azure.fault("GET", "resourcegroups/a", hang=True)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(groups.resource_groups.get, "a")
        azure.wait("GET", "resourcegroups/a", 2)
        assert not waiting.done()
        azure.release()
        assert waiting.result(30).name == "a"


def test_reads_after_a_write_can_be_late_and_rates_limited(azure: AzureDouble, groups) -> None:
    azure.settings(stale_reads=2)
    groups.resource_groups.create_or_update("late", {"location": LOCATION})
    found = [groups.resource_groups.check_existence("late") for _ in range(3)]
    assert found == [False, False, True]
    azure.bucket("GET", "resourcegroups/late", burst=1, per_second=0.1)
    groups.resource_groups.get("late")
    with pytest.raises(HttpResponseError) as error:
        groups.resource_groups.get("late")
    assert error.value.status_code == 429
    assert error.value.response.headers["Retry-After"] == "10"
    azure.advance(10)
    groups.resource_groups.get("late")
