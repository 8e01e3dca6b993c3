// Package weir holds the words, identifiers, file formats that the guard shares with the register.
//
// It does no I/O. The guard side writes disclosures into a ledger and signs statements about them; the register side
// reads statements. The two meet in this package and in cmd/weir, nowhere else.
package weir
