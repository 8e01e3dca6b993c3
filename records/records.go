// Package records embeds the incident records that the register starts with.
package records

import "embed"

// Files are the records: organisations.yaml, actors.yaml, sources.yaml, and a file for each incident.
//
//go:embed *.yaml
var Files embed.FS
