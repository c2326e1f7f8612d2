// istiod is Istio's own control plane as its image runs it; under the name pilot-agent it is the agent beside an Envoy.
package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	meshconfig "istio.io/api/mesh/v1alpha1"
	agent "istio.io/istio/pilot/cmd/pilot-agent/app"
	discovery "istio.io/istio/pilot/cmd/pilot-discovery/app"
	istioagent "istio.io/istio/pkg/istio-agent"
	"istio.io/istio/pkg/security"
	"istio.io/istio/security/pkg/nodeagent/sds"
)

func main() {
	var command *cobra.Command
	if filepath.Base(os.Args[0]) == "pilot-agent" {
		command = agent.NewRootCommand(newSDS)
	} else {
		command = discovery.NewRootCommand()
	}
	if err := command.Execute(); err != nil {
		os.Exit(255)
	}
}

func newSDS(
	options *security.Options, secrets security.SecretManager, provider *meshconfig.PrivateKeyProvider,
) istioagent.SDSService {
	return sds.NewServer(options, secrets, provider)
}
