//go:build !weir_ledger_off

package ledger

// ledgerOff is set in a build that measures what a guard costs without its ledger.
const ledgerOff = false
