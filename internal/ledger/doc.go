// Package ledger keeps the append-only, tamper-evident log of what a guard did with every response.
//
// # On disk
//
// A ledger is a folder of volumes, files named 00000001.weir, 00000002.weir and so on. Every start of an owner begins a new
// volume, so recovery after a crash is the same path as a clean start and no file is ever written to after its writer died.
// A volume is a header and then frames; all integers are little-endian.
//
//	header  magic "weirled1" | u16 version | u16 reserved | u32 volume number | [16] key id | i64 created, Unix ms
//	        | u64 first entry | u32 last volume before with a whole header | u64 its whole length | u64 torn bytes between
//	        there and this volume | [32] SHA-256 of those | [32] chain hash so far | u32 CRC-32C of all before
//	frame   magic "WFrm" | u32 payload length | u64 first entry | u32 entries | i64 time, Unix ms | payload
//	        | [32] chain hash | u32 CRC-32C of all before
//	payload for each entry: uvarint body length | uvarint ms since the frame's time | body
//
// A frame's chain hash is SHA-256 over the chain hash before it and the frame's bytes up to it; a volume's chain begins with
// SHA-256 over its header. The leaf of entry n in the ledger's Merkle tree (RFC 9162) is u64 n | i64 time | body.
//
// # What a crash means
//
// A frame is one write, and the next is begun only after fdatasync returned for it. So at most the last frame of a volume
// can be torn, nothing that was released depends on it, and a valid frame behind an invalid one is proof of damage. The next
// volume's header seals a torn tail with its length and hash; nothing is deleted. Damage refuses appends, reads go on with
// what is whole, and [Verify] names the first fault's place.
package ledger
