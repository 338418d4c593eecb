// Previews a compiled example on the stack `dev` of a project, and prints what would be done:
// node example.js <compiled example> <project's folder> <project's name>
const { automation } = require("@pulumi/pulumi");

const [example, workDir, projectName] = process.argv.slice(2);

async function main() {
    const program = async () => ({ ...require(example) });
    const stack = await automation.LocalWorkspace.selectStack({ stackName: "dev", projectName, program }, { workDir });
    const steps = {};
    let outputs = [];
    await stack.preview({
        onOutput: (text) => process.stderr.write(text),
        onEvent: (event) => {
            const { op, type, urn } = event.resourcePreEvent?.metadata ?? {};
            if (op && op !== "same") {
                steps[urn] = { op, type };
            }
            const made = event.resOutputsEvent?.metadata;
            if (made?.type === "pulumi:pulumi:Stack") {
                outputs = Object.keys(made.new.outputs);
            }
        },
    });
    console.log(JSON.stringify({ steps, outputs }));
}

main().catch((error) => {
    console.error(error);
    process.exitCode = 1;
});
