//go:build tools

// Package tools pins the command line tools the tests, the demo and the SDK
// generator need, so that they are built from the module proxy alone.
package tools

import (
	_ "github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml"
	_ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
)
