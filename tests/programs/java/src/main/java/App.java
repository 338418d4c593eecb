import com.pulumi.Context;
import com.pulumi.automation.LocalWorkspace;
import com.pulumi.automation.UpOptions;
import dev.posit.ptd.PtdFunctions;
import dev.posit.ptd.aws.Bootstrap;
import dev.posit.ptd.aws.BootstrapArgs;
import dev.posit.ptd.aws.inputs.BootstrapBucketArgs;
import dev.posit.ptd.inputs.GetTargetArgs;
import dev.posit.ptd.outputs.GetTargetResult;
import dev.posit.ptd.outputs.TargetSite;
import java.util.stream.Collectors;

/** A program with the Java SDK, run by the real CLI through the automation API. */
public final class App {
    private App() {}

    private static void program(Context ctx) {
        var target = PtdFunctions.getTarget(GetTargetArgs.builder().target("acme01-staging").build());
        var boot = new Bootstrap("boot", BootstrapArgs.builder()
            .target(target.applyValue(GetTargetResult::name))
            .accountId(target.applyValue(found -> found.accountId().orElseThrow()))
            .region(target.applyValue(GetTargetResult::region))
            .sites(target.applyValue(found -> found.sites().stream().map(TargetSite::name).collect(Collectors.toList())))
            .stateBucket(BootstrapBucketArgs.builder().forceDestroy(false).build())
            .build());
        ctx.export("backendUrl", boot.backendUrl());
    }

    /** Runs {@code pulumi up} and prints an output of the stack. */
    public static void main(String[] args) throws Exception {
        try (var stack = LocalWorkspace.createOrSelectStack("java-program", "dev", App::program)) {
            var result = stack.up(UpOptions.builder().onStandardOutput(System.err::println).build());
            System.out.println(result.outputs().get("backendUrl").value());
        }
    }
}
