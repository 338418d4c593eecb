import * as ptd from "@posit-dev/pulumi-ptd";

const pipeline = ptd.listStepsOutput({
    target: "acme01-staging",
    targetsDir: "infra",
    startAtStep: "clusters",
});

export const text = pipeline.text;
export const selected = pipeline.selected;
