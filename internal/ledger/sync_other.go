//go:build !linux

package ledger

import "os"

// datasync falls back to a full sync where the system has no fdatasync.
func datasync(f *os.File) error { return f.Sync() }
