//go:build weir_owner_unasked

package ledger

// ownerUnasked breaks promise P1 after a takeover, so that the test of a stopped owner can show that it would notice.
const ownerUnasked = true
