//go:build tools

// Package tools pins the Kubernetes API server that the workload examples and
// their tests create real objects in. A module of its own, since Kubernetes
// asks for a replacement of each of its staging modules.
package tools

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
)
