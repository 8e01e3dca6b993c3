//go:build !weir_release_early

package ledger

// releaseEarly is true only in the build that the tests of promise P1 must see fail: there Append returns before its entry
// is written.
const releaseEarly = false
