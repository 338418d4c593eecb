import * as ptd from "@posit-dev/pulumi-ptd";

const acme = new ptd.Workload("acme", {
    target: "acme01-staging",
    targetsDir: "infra",
    programs: "programs",
    // The bootstrap is a program of its own, so that this program's state can lie in the bucket it makes.
    bootstrap: { manage: false },
});

export const steps = acme.stepNames;
export const siteUrls = acme.steps.apply((steps) => steps["sites"]["site_urls"]);
