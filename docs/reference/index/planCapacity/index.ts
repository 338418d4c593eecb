import * as ptd from "@posit-dev/pulumi-ptd";

const plan = ptd.planCapacityOutput({
    workflows: {
        foundation: { cpu: 1.5, memoryGb: 3 },
        data: { cpu: 1, memoryGb: 4, replicas: 2 },
    },
    nodes: { cpu: 2, memoryGb: 8, minimum: 3, maximum: 10 },
});

export const nodes = plan.neededNodes;
export const headRoom = plan.headRoom;
