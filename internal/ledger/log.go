package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"weir"
)

// Errors of a log.
var (
	ErrClosed   = errors.New("ledger is closed")
	ErrDamaged  = errors.New("ledger is damaged: nothing more is written to it; run weir ledger verify, keep a copy, and start with a new data folder")
	ErrKey      = errors.New("ledger was made with another key: name the key file that belongs to it")
	ErrRollback = errors.New("ledger is not the one that the checkpoint kept elsewhere is of: restore the newest copy, or run weir ledger accept-rollback to go on with this one, which is recorded")
	ErrHorizon  = errors.New("a quota's window reaches back farther than what the ledger still knows: choose a shorter one")
	ErrStalled  = errors.New("ledger's disk does not answer: nothing is released until it does")
)

// The defaults of Options.
const (
	DefaultVolumeSize = 512 << 20
	DefaultAhead      = 4 << 20
	DefaultPatience   = 5 * time.Second
	maxPending        = 64 << 20 // bytes that may wait for a write
)

// Options are the settings of a log.
type Options struct {
	KeyID      [16]byte       // the keyring's; must be that of the ledger, if there is one
	Signer     note.Signer    // signs each volume's opening, under the guard's name; nil leaves it unsigned, as only tests may
	Known      note.Verifiers // checks the openings that are there; nil checks no signature
	VolumeSize int64          // a new volume begins behind this many bytes of entries; 0 means DefaultVolumeSize
	Ahead      int64          // bytes of a volume that are written beforehand; 0 means DefaultAhead
	Patience   time.Duration  // how long an append may wait for its write; 0 means DefaultPatience

	// Restore is called with the live state at the start of the volume that reading begins with, and then Replay for each
	// entry since, in order, before Open returns. The entry is valid only during the call.
	Restore func(*State)
	Replay  func(Entry)
	// Covers is how far back before the last entry Restore and Replay must reach: the longest window of a quota.
	Covers time.Duration
	// Snapshot returns the live state; it is called while no build runs. nil means that there is none.
	Snapshot func() *State

	Now       func() time.Time     // the wall clock; nil means time.Now
	Running   func() time.Duration // running time of the process; nil means since Open
	ClockJump time.Duration        // see clock; 0 means DefaultClockJump

	// Owned is asked before each write and before what it wrote is released; an error stops the log. nil means always owned.
	Owned func() error
	// TakeOver says that another process may still have the last volume open: it goes on in a copy.
	TakeOver bool
	// Kept is the last checkpoint that was kept elsewhere; a ledger without its entries is ErrRollback, unless
	// AcceptRollback says that an operator knows, which becomes an entry.
	Kept           *weir.Checkpoint
	AcceptRollback bool
}

func (o *Options) setDefaults() {
	start := time.Now()
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Running == nil {
		o.Running = func() time.Duration { return time.Since(start) }
	}
	if o.ClockJump == 0 {
		o.ClockJump = DefaultClockJump
	}
	if o.VolumeSize == 0 {
		o.VolumeSize = DefaultVolumeSize
	}
	if o.Ahead == 0 {
		o.Ahead = DefaultAhead
	}
	if o.Patience == 0 {
		o.Patience = DefaultPatience
	}
	if o.Owned == nil {
		o.Owned = func() error { return nil }
	}
	if o.Snapshot == nil {
		o.Snapshot = func() *State { return &State{} }
	}
}

// A Log is the writing end of a ledger. There must be one only for each folder: see AcquireLock.
//
// Whoever appends while nothing is being written writes itself, so that a single caller costs no hand-over. What comes
// meanwhile waits together, and one goroutine writes it, batch after batch, until nothing waits.
type Log struct {
	opts Options
	fsys FS

	mu         sync.Mutex
	pending    *batch                    // what waits for the next write; guarded by mu
	seq        uint64                    // number of the next entry; guarded by mu
	clock      clock                     // guarded by mu
	routes     map[RouteName]uint64      // numbers that the volume gave, with what is pending; guarded by mu
	whos       map[weir.Pseudonym]uint64 // the same of principals; guarded by mu
	err        error                     // set once, by the first failure; guarded by mu
	closing    bool                      // guarded by mu
	durable    weir.Checkpoint           // size and root of what is durable; guarded by mu
	retired    uint32                    // volumes that may be gone; guarded by mu
	openVolume uint32                    // the one that is being written; guarded by mu
	writing    bool                      // somebody writes; guarded by mu
	began      time.Duration             // running time when the present write began; guarded by mu
	idle       *sync.Cond                // on mu: writing has become false

	scratch []byte // one encoded body; guarded by mu
	spare   []byte // a batch's buffer to use again; guarded by mu

	// Only who set writing touches these, until it is false again.
	file     File
	volume   uint32
	owner    uint64
	size     int64  // bytes of the volume that are durable
	full     int64  // size from which on the next volume begins
	prepared int64  // bytes of the file that are written, zeros beforehand included
	zeros    []byte // room for a batch with zeros behind it; all zero between two writes
	chain    hash
	tree     tree
	hashing  hashing
	since    time.Time // how far back the live state is complete
}

// batch is the entries that share one write. Its buffer begins with room for the frame's head.
type batch struct {
	first  uint64
	count  uint32
	millis int64
	buf    []byte
	err    error    // set by who writes; who waits reads it only where late is false
	queue  *waiting // of those who have come last; guarded by Log.mu
}

// waiting is what all wait at who joined a batch within the patience: one channel and one timer, whatever their number.
type waiting struct {
	done  chan struct{} // closed once the batch's err is final, or once nobody shall wait any longer
	late  bool          // the latter; set before done is closed
	ended bool          // done is closed; guarded by Log.mu
	timer *time.Timer
}

// Append adds the entries that build returns and returns once they are durable: fdatasync has returned for them (P1).
//
// build runs with the ledger's time, of which the entries will be, while no other build runs; so a decision that it takes
// on the state that the entries describe, such as a quota, has the ledger's own order. It must be quick and must not call
// the log.
//
// When Append returns an error, nothing may be released: the entries may or may not be in the ledger. After ErrStalled a
// later Append may succeed; every other failure is for good, because a file whose fsync failed once cannot be trusted again.
func (l *Log) Append(build func(now time.Time) []Body) error {
	l.mu.Lock()
	b, err := l.enqueue(build)
	if err != nil || b == nil {
		l.mu.Unlock()
		return err
	}
	leads := !l.writing
	if leads {
		l.writing = true
		l.began = l.opts.Running()
	}
	if releaseEarly {
		if leads {
			go l.commit()
		}
		l.mu.Unlock()
		return nil
	}
	queue := b.queue
	l.mu.Unlock()
	if leads {
		l.turn()
		if l.more() {
			go l.commit()
		}
		return b.err
	}
	<-queue.done
	if queue.late {
		return ErrStalled
	}
	return b.err
}

// newWaiting begins a queue whose waiting ends with the patience. Whoever writes the batch may still do so later.
func (l *Log) newWaiting() *waiting {
	q := &waiting{done: make(chan struct{})}
	q.timer = time.AfterFunc(l.opts.Patience, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if !q.ended {
			q.late, q.ended = true, true
			close(q.done)
		}
	})
	return q
}

// finish tells those who wait for a batch what became of it, all by one channel; l.mu is held.
func (b *batch) finish() {
	q := b.queue
	q.timer.Stop()
	if !q.ended {
		q.ended = true
		close(q.done)
	}
}

func (l *Log) enqueue(build func(now time.Time) []Body) (*batch, error) {
	switch {
	case l.err != nil:
		return nil, l.err
	case l.closing:
		return nil, ErrClosed
	case l.stalled():
		return nil, ErrStalled
	}
	now := l.clock.now()
	bodies := build(time.UnixMilli(now).UTC())
	if len(bodies) == 0 || ledgerOff {
		return nil, nil
	}
	l.put(bodies, max(now, l.clock.last))
	return l.pending, nil
}

// stalled reports whether the present write takes longer than anybody shall wait, or too much waits behind it.
func (l *Log) stalled() bool {
	return l.writing && l.opts.Running()-l.began > l.opts.Patience || l.pending != nil && len(l.pending.buf) > maxPending
}

// put encodes bodies into the pending batch; l.mu is held.
func (l *Log) put(bodies []Body, now int64) {
	l.clock.use(now)
	if l.pending == nil {
		l.pending = &batch{first: l.seq, millis: now, buf: append(l.spare[:0], make([]byte, frameHeadSize)...), queue: l.newWaiting()}
		l.spare = nil
	} else if l.pending.queue.ended {
		l.pending.queue = l.newWaiting() // the others have given up; the disk answers again
	}
	for _, body := range bodies {
		if o, ok := body.(*Outcome); ok {
			route := RouteName{o.Route, o.Unit}
			o.route, ok = l.routes[route]
			if !ok {
				o.route = uint64(len(l.routes))
				l.routes[route] = o.route
				l.add(&route, now)
			}
			o.who, ok = l.whos[o.Principal]
			if !ok {
				o.who = uint64(len(l.whos))
				l.whos[o.Principal] = o.who
				l.add(&PrincipalName{o.Principal}, now)
			}
		}
		l.add(body, now)
	}
}

func (l *Log) add(body Body, now int64) {
	b := l.pending
	l.scratch = body.append(l.scratch[:0])
	b.buf = appendEntry(b.buf, uint64(now-b.millis), l.scratch)
	b.count++
	l.seq++
}

// commit writes one batch after the other until nothing waits.
func (l *Log) commit() {
	for {
		l.turn()
		if !l.more() {
			return
		}
	}
}

// more ends the turn of who writes, or says that there is another batch.
func (l *Log) more() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending != nil {
		l.began = l.opts.Running()
		return true
	}
	l.writing = false
	l.idle.Broadcast()
	return false
}

// turn writes the pending batch, and begins the next volume behind it if this one is full.
func (l *Log) turn() {
	// Whoever is ready to run may be about to append: let them come into this write. It costs nothing where nobody is.
	runtime.Gosched()
	b, state := l.take()
	if b == nil {
		return
	}
	b.err = l.write(b)
	if b.err == nil && state != nil {
		// The batch is durable and its callers are released whatever becomes of the next volume.
		if err := l.rotate(state, b.end()); err != nil {
			l.fail(err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if cap(b.buf) < 1<<20 {
		l.spare = b.buf
	}
	b.finish()
}

// end is the time of the batch's last entry.
func (b *batch) end() int64 {
	rest, last := b.buf[frameHeadSize:len(b.buf)-frameTailSize], b.millis
	for len(rest) > 0 {
		_, last, rest, _ = nextEntry(rest, b.millis)
	}
	return last
}

// take hands the pending batch to the writer. Once the volume is full it also takes the snapshot for the next one and
// forgets the numbers of routes and principals: what is enqueued from here on goes into the next volume.
func (l *Log) take() (b *batch, state *State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, l.pending = l.pending, nil
	if b == nil {
		return nil, nil
	}
	if l.err != nil {
		b.err = l.err
		b.finish()
		return nil, nil
	}
	if l.size+int64(len(b.buf)) >= l.full {
		state = l.opts.Snapshot()
		l.routes, l.whos = map[RouteName]uint64{}, map[weir.Pseudonym]uint64{}
	}
	return b, state
}

// write makes the batch durable: one write, one fdatasync, and the owner's lock before and after. A crash in here leaves a
// torn tail or a whole frame that nobody was told of.
func (l *Log) write(b *batch) error {
	l.seal(b)
	if err := l.opts.Owned(); err != nil {
		return l.fail(err)
	}
	end := l.size + int64(len(b.buf))
	var err error
	if end > l.prepared {
		err = l.writeAhead(b.buf)
	} else {
		_, err = l.file.WriteAt(b.buf, l.size)
	}
	if err == nil {
		err = l.file.Sync()
	}
	if err == nil {
		err = l.opts.Owned()
	}
	if err != nil {
		return l.fail(err)
	}
	// From here on the batch is durable, and a process that takes the folder over will read it.
	l.size = end
	root := l.tree.root()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.durable = weir.Checkpoint{Size: l.tree.size, Root: root}
	return nil
}

// writeAhead writes a batch with zeros behind it in one write, which lengthens the file; the writes that follow only fill in
// what this one wrote beforehand.
func (l *Log) writeAhead(batch []byte) error {
	n := len(batch) + int(l.opts.Ahead)
	if len(l.zeros) < n {
		l.zeros = make([]byte, n)
	}
	copy(l.zeros, batch)
	_, err := l.file.WriteAt(l.zeros[:n], l.size)
	l.prepared = l.size + int64(n)
	if clear(l.zeros[:len(batch)]); int64(len(l.zeros)) > 2*l.opts.Ahead {
		l.zeros = nil // made for a batch larger than most
	}
	return err
}

// seal puts head, chain hash and checksum around the batch's payload, and its entries into the tree.
func (l *Log) seal(b *batch) {
	payload := b.buf[frameHeadSize:]
	f := frame{first: b.first, count: b.count, millis: b.millis, payload: payload}
	appendFrameHead(b.buf[:0], &f)
	l.hashing.begin(0, &l.chain, b.buf, int(b.count))
	for seq := b.first; len(payload) > 0; seq++ {
		body, millis, after, ok := nextEntry(payload, b.millis)
		if !ok {
			panic("ledger: a batch that was just encoded cannot be read")
		}
		l.hashing.entry(seq, millis, body)
		payload = after
	}
	l.hashing.finish()
	l.chain = l.hashing.frames[0].chain
	l.tree.addAll(l.hashing.leaves())
	l.hashing.reset()
	b.buf = append(b.buf, l.chain[:]...)
	b.buf = binary.LittleEndian.AppendUint32(b.buf, crc(b.buf))
}

// fail poisons the log with its first failure.
func (l *Log) fail(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = fmt.Errorf("ledger cannot be written, nothing more is released: %w", err)
	}
	return l.err
}

// Stop poisons the log for a reason that somebody else found, such as damage in a volume that is not written any more.
func (l *Log) Stop(reason error) { _ = l.fail(reason) }

// rotate closes the volume behind its last frame and begins the next one with that state. A crash between the two leaves a
// closed volume, as after Close.
func (l *Log) rotate(state *State, last int64) error {
	if err := l.closeFile(); err != nil {
		return err
	}
	return l.beginVolume(&place{prev: l.volume, valid: uint64(l.size), volume: l.volume, chain: l.chain, millis: last}, state)
}

// closeFile cuts off the zeros that were written beforehand, and closes the volume.
func (l *Log) closeFile() error {
	err := l.file.Truncate(l.size)
	if err == nil {
		err = l.file.Sync()
	}
	return errors.Join(err, l.file.Close())
}

// place is where a volume begins: behind what.
type place struct {
	prev   uint32 // the last volume with a whole opening
	valid  uint64
	rest   uint64
	restID hash
	volume uint32 // the last volume's number
	chain  hash
	millis int64
}

// beginVolume makes the next volume. A crash before SyncDir returns leaves either no file or one without a whole opening,
// which the next start seals as torn; no entry can be lost with it, for none was written.
func (l *Log) beginVolume(at *place, state *State) error {
	if err := l.opts.Owned(); err != nil {
		return err
	}
	state.last, state.tree = at.millis, l.tree.clone()
	state.Since = l.since
	if known := time.UnixMilli(at.millis).Add(-l.opts.Covers).UTC(); l.tree.size > 0 && l.opts.Covers > 0 && known.After(l.since) {
		state.Since = known
	}
	l.since = state.Since
	h := header{
		number: at.volume + 1, keyID: l.opts.KeyID, created: l.opts.Now(), first: l.tree.size, owner: l.owner, retired: l.retiredNow(),
		prev: at.prev, valid: at.valid, rest: at.rest, restID: at.restID, chain: at.chain, root: l.tree.root(),
	}
	raw, err := encodeOpening(&h, state, l.opts.Signer)
	if err != nil {
		return err
	}
	f, err := l.fsys.Create(volumeName(h.number))
	if err != nil {
		return err
	}
	padded := append(raw, make([]byte, min(l.opts.Ahead, l.opts.VolumeSize))...)
	if _, err = f.WriteAt(padded, 0); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = l.fsys.SyncDir()
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.volume, l.chain = f, h.number, openingHash(raw)
	l.size, l.prepared = int64(len(raw)), int64(len(padded))
	l.mu.Lock()
	l.openVolume = h.number
	l.mu.Unlock()
	l.full = l.size + max(l.size, l.opts.VolumeSize) // a large snapshot is not repeated for a few entries
	return nil
}

func (l *Log) retiredNow() uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.retired
}

// Checkpoint returns the size and the root of what is durable; its origin is left empty.
func (l *Log) Checkpoint() weir.Checkpoint {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.durable
}

// Err returns the failure that stopped the log, or nil.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Ready returns nil if an append would be taken now, or else why not.
func (l *Log) Ready() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.err != nil:
		return l.err
	case l.closing:
		return ErrClosed
	case l.stalled():
		return ErrStalled
	}
	return nil
}

// ClockHeld reports whether the wall clock is too far from ledger time to be believed.
func (l *Log) ClockHeld() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock.now()
	return l.clock.held
}

// AcceptClock makes the wall clock's time the ledger's, and enters that an operator ruled so. It returns false if the clock
// was believed all along.
func (l *Log) AcceptClock() (bool, error) {
	if !l.ClockHeld() {
		return false, nil
	}
	return true, l.Append(func(before time.Time) []Body {
		l.clock.accept() // build runs under l.mu
		after := time.UnixMilli(l.clock.last).UTC()
		return []Body{&Decision{AcceptClock, fmt.Sprintf("from %s to %s", before.Format(time.RFC3339), after.Format(time.RFC3339))}}
	})
}

// Close waits for what is pending and closes the current volume. Later appends return ErrClosed.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closing {
		l.mu.Unlock()
		return ErrClosed
	}
	l.closing = true
	for l.writing {
		l.idle.Wait()
	}
	err := l.err
	l.mu.Unlock()
	if err != nil {
		return errors.Join(err, l.file.Close()) // nothing more is done to a file that failed
	}
	return l.closeFile()
}
