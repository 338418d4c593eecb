// A program with the Node.js SDK, run by the real CLI through the automation API.
import { automation } from "@pulumi/pulumi";
import * as ptd from "@posit-dev/pulumi-ptd";

async function program(): Promise<Record<string, unknown>> {
    const target = await ptd.getTarget({ target: "acme01-staging" });
    const boot = new ptd.aws.Bootstrap("boot", {
        target: target.name,
        accountId: target.accountId,
        region: target.region,
        sites: target.sites.map((site) => site.name),
        stateBucket: { forceDestroy: false },
    });
    return { backendUrl: boot.backendUrl };
}

async function main(): Promise<void> {
    const stack = await automation.LocalWorkspace.createOrSelectStack({
        stackName: "dev",
        projectName: "nodejs-program",
        program,
    });
    const result = await stack.up({ onOutput: (text) => process.stderr.write(text) });
    console.log(result.outputs["backendUrl"]?.value);
}

main().catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
});
