// Package configs holds the pages that describe the nets, one YAML file each, inside the binary: so a name works from
// any folder. Package config reads them.
package configs

import "embed"

// FS holds the pages.
//
//go:embed *.yaml
var FS embed.FS
