//go:build !weir_owner_unasked

package ledger

// ownerUnasked is true only in the build that the test of a stopped owner must see fail: there an owner does not ask whether
// the folder is still its own.
const ownerUnasked = false
