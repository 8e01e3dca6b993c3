package ledger

import (
	"crypto/sha256"
	"encoding/binary"

	"weir/internal/digest"
)

// hashing makes the hashes of frames and of their entries, of many together: that takes half the time. The chain hash of a
// frame is made from the one that the frame before it claims; if all are as they claim, so is the chain.
type hashing struct {
	batch  digest.Batch
	sums   []byte // room for one hash, then the leaf hashes of the frames' entries
	frames []chained
	head   [leafHeadSize]byte
}

// leafHeadSize is the length of what stands before a body in a leaf: 0x00, number and time.
const leafHeadSize = 1 + 8 + 8

// enough is the number of entries after which the hashes should be made.
const enough = 4096

// chained is a frame whose chain hash is to be made.
type chained struct {
	at      int64             // what the caller knows it by
	from    int               // of its leaf hashes in sums
	chain   hash              // what was made
	claimed hash              // what it says
	head    [chainedHead]byte // the chain hash before, and the frame's head
}

const chainedHead = sha256.Size + frameHeadSize

// begin begins with a frame of at most so many entries. It may be called only while no more than enough entries wait.
func (h *hashing) begin(at int64, before *hash, head []byte, entries int) {
	if len(h.sums) == 0 {
		h.sums = append(h.sums, make([]byte, sha256.Size)...)
	}
	if need := len(h.sums) + entries*sha256.Size; need > cap(h.sums) {
		h.batch.Flush() // it writes into the old ones
		h.sums = append(make([]byte, 0, max(need, min(2*cap(h.sums), 2*enough*sha256.Size))), h.sums...)
	}
	h.frames = append(h.frames, chained{at: at, from: len(h.sums)})
	f := &h.frames[len(h.frames)-1]
	copy(f.head[:], before[:])
	copy(f.head[sha256.Size:], head[:frameHeadSize])
}

// entry adds an entry of the frame. The body is not kept.
func (h *hashing) entry(seq uint64, millis int64, body []byte) {
	at := len(h.sums)
	h.sums = h.sums[:at+sha256.Size]
	binary.LittleEndian.PutUint64(h.head[1:], seq)
	binary.LittleEndian.PutUint64(h.head[9:], uint64(millis))
	h.batch.Add((*hash)(h.sums[at:]), h.head[:], body)
}

// end ends the frame, which says that this is its chain hash.
func (h *hashing) end(claimed *hash) { h.frames[len(h.frames)-1].claimed = *claimed }

// full reports whether enough entries wait.
func (h *hashing) full() bool { return h.entries() >= enough }

// finish makes the hashes of all that was added: those of the entries are then in leaves, those of the frames in frames.
func (h *hashing) finish() {
	h.batch.Flush()
	for i := range h.frames {
		f, to := &h.frames[i], len(h.sums)
		if i+1 < len(h.frames) {
			to = h.frames[i+1].from
		}
		h.batch.Add(&f.chain, f.head[:], h.sums[f.from:to])
	}
	h.batch.Flush()
}

// entries is the number of entries that wait.
func (h *hashing) entries() int { return max(len(h.sums)/sha256.Size, 1) - 1 }

// leaves are the leaf hashes of all entries, with room for one before them.
func (h *hashing) leaves() []byte { return h.sums }

// reset forgets all entries and frames.
func (h *hashing) reset() { h.sums, h.frames = h.sums[:0], h.frames[:0] }
