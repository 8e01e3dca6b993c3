// Package digest makes the SHA-256 hashes of many short messages at once.
//
// A ledger of small entries is verified at the speed of SHA-256, two short messages for each entry. The processor's SHA
// instructions have to wait for one another within a message, so that one message leaves half of them idle: two messages of
// equal length in step take hardly longer than one. Where there are no such instructions the standard library does it.
package digest
