//go:build !unix

package exposure

func isReadOnly(error) bool { return false }
