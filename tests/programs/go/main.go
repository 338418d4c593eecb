// A program with the Go SDK, run by the real CLI through the automation API.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/posit-dev/pulumi-ptd/sdk/go/ptd"
	"github.com/posit-dev/pulumi-ptd/sdk/go/ptd/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

func program(ctx *pulumi.Context) error {
	target, err := ptd.GetTarget(ctx, &ptd.GetTargetArgs{Target: "acme01-staging"})
	if err != nil {
		return err
	}
	var sites pulumi.StringArray
	for _, site := range target.Sites {
		sites = append(sites, pulumi.String(site.Name))
	}
	boot, err := aws.NewBootstrap(ctx, "boot", &aws.BootstrapArgs{
		Target:      pulumi.String(target.Name),
		AccountId:   pulumi.StringPtrFromPtr(target.AccountId),
		Region:      pulumi.String(target.Region),
		Sites:       sites,
		StateBucket: &aws.BootstrapBucketArgs{ForceDestroy: pulumi.Bool(false)},
	})
	if err != nil {
		return err
	}
	ctx.Export("backendUrl", boot.BackendUrl)
	return nil
}

func run(ctx context.Context) error {
	stack, err := auto.UpsertStackInlineSource(ctx, "dev", "go-program", program)
	if err != nil {
		return err
	}
	result, err := stack.Up(ctx, optup.ProgressStreams(os.Stderr))
	if err != nil {
		return err
	}
	fmt.Println(result.Outputs["backendUrl"].Value)
	return nil
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
