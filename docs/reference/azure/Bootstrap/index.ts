import * as ptd from "@posit-dev/pulumi-ptd";

const boot = new ptd.azure.Bootstrap("boot", {
    target: "acme01-staging",
    location: "eastus2",
    sites: ["main"],
    adminGroupId: "44444444-4444-4444-4444-444444444444",
});

export const backendUrl = boot.backendUrl;
export const secretsProviderUrl = boot.secretsProviderUrl;
