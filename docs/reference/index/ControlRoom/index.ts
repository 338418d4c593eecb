import * as ptd from "@posit-dev/pulumi-ptd";

const main01 = new ptd.ControlRoom("main01", {
    target: "main01-staging",
    targetsDir: "infra",
    programs: "control-room",
});

export const steps = main01.stepNames;
export const cluster = main01.steps.apply((steps) => steps["cluster"]["cluster_name"]);
