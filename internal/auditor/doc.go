// Package auditor checks a ledger by its published format alone.
//
// It shares no code with what writes ledgers, so that a mistake there does not excuse itself here: it reads the bytes that
// docs/format/ledger.md describes, needs the standard library only, and keeps going behind a fault to name them all. Beside
// what makes a ledger whole it recounts the live state: each volume's signed snapshot must be what the entries before it give.
package auditor
