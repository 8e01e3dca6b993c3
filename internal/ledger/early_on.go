//go:build weir_release_early

package ledger

// releaseEarly breaks promise P1, so that the kill test can show that it would notice.
const releaseEarly = true
