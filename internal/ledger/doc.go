// Package ledger keeps the append-only, tamper-evident log of what a guard did with every response.
//
// A ledger is a folder of volumes; docs/format/ledger.md has every byte of them. A volume opens with a signed snapshot of the
// live state, so a restart reads one volume, and old ones can go while quotas and blocks that began in them stay. Every start
// of an owner begins a new volume: recovery after a crash is the same path as a clean start, and no file is written to after
// its writer died, but for one thing: recovery writes the same bytes once more over what the last write may have left in the
// system's memory only.
//
// # What a crash means
//
// A frame is one write, and the next is begun only after fdatasync returned for it. So at most the last frame of a volume
// can be torn, nothing that was released depends on it, and a valid frame behind an invalid one is proof of damage. The next
// volume's opening seals a torn tail with its length and hash; nothing is deleted. Damage refuses appends, reads go on with
// what is whole, and [Verify] names the first fault's place.
//
// # Who may write
//
// One process: it holds the folder's lock, and asks whether it still does before each write and before it releases what it
// wrote. Who takes the folder over from a process that hangs puts a new lock file in its place and goes on in a copy of the
// last volume, so that whatever the other one writes when it wakes, it writes where nobody reads.
package ledger
