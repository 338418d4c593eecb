import * as ptd from "@posit-dev/pulumi-ptd";

const group = new ptd.azure.ResourceGroup("group", {
    name: "rsg-ptd-acme01-staging",
    location: "eastus2",
});

const aks = new ptd.azure.Aks("clusters", {
    target: "acme01-staging",
    location: "eastus2",
    subnetId: "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rsg-ptd-acme01-staging/providers/Microsoft.Network/virtualNetworks/vnet/subnets/private",
    clusters: {
        main: {
            kubernetesVersion: "1.31",
            systemNodePoolInstanceType: "Standard_D4s_v6",
            userNodePools: [
                { name: "user", vmSize: "Standard_D8s_v6", minCount: 1, maxCount: 4, enableAutoScaling: true },
            ],
        },
    },
}, { dependsOn: [group] });

export const clusters = aks.clusters;
