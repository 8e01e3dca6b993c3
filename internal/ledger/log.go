package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"weir"
)

// Errors of a log.
var (
	ErrClosed  = errors.New("ledger is closed")
	ErrDamaged = errors.New("ledger is damaged: nothing more is written to it; run weir ledger verify, keep a copy, and start with a new data folder")
	ErrKey     = errors.New("ledger was made with another key: name the key file that belongs to it")
)

// Options are the settings of a log.
type Options struct {
	KeyID      [16]byte         // the keyring's; must be that of the ledger, if there is one
	VolumeSize int64            // a new volume begins when this many bytes are reached; 0 means 64 MiB
	Replay     func(Entry)      // called for each entry that is already there, in order, before Open returns
	Now        func() time.Time // the wall clock; nil means time.Now
}

// A Log is the writing end of a ledger. There must be one only for each folder: see AcquireLock.
type Log struct {
	opts Options
	fsys FS
	wake chan struct{} // holds a token while pending may have something
	done chan struct{} // closed when the committer has returned

	mu      sync.Mutex
	pending *batch               // what waits for the next write; guarded by mu
	seq     uint64               // number of the next entry; guarded by mu
	millis  int64                // time of the last entry; guarded by mu
	routes  map[RouteName]uint64 // numbers that the current volume has given; guarded by mu
	err     error                // set once, by the first failure or by Close; guarded by mu
	closing bool                 // guarded by mu
	size    int64                // bytes of the current volume that are durable; guarded by mu
	durable weir.Checkpoint      // size and root of what is durable; guarded by mu
	volume  uint32               // number of the current volume; guarded by mu

	scratch []byte // one encoded body; guarded by mu

	// Only the committer goroutine touches these, once Open has returned.
	file  File
	chain hash
	tree  tree
	buf   []byte
}

// batch is the entries that share one write.
type batch struct {
	first   uint64
	count   uint32
	millis  int64
	payload []byte
	done    chan struct{} // closed once err is final
	err     error
}

// Open reads the ledger in fsys, begins a new volume behind what is there and returns the log to append to. A tail that a
// crash tore is sealed as it is. A damaged ledger is ErrDamaged, one of another key ErrKey, one of a newer format ErrNewer.
func Open(fsys FS, opts Options) (*Log, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.VolumeSize == 0 {
		opts.VolumeSize = 64 << 20
	}
	there, err := exists(fsys)
	if err != nil {
		return nil, err
	}
	sum := &Summary{}
	if there {
		// The key is checked first: entries of another key must not reach Replay.
		if sum, err = Read(fsys, ReadOptions{}); err != nil {
			return nil, err
		}
		if sum.KeyID != [16]byte{} && sum.KeyID != opts.KeyID {
			return nil, ErrKey
		}
		if len(sum.Faults) > 0 {
			return nil, fmt.Errorf("%w (%s)", ErrDamaged, sum.Faults[0])
		}
		if opts.Replay != nil {
			if _, err := Read(fsys, ReadOptions{Visit: func(e Entry) error { opts.Replay(e); return nil }}); err != nil {
				return nil, err
			}
		}
	}
	l := &Log{
		opts: opts, fsys: fsys, wake: make(chan struct{}, 1), done: make(chan struct{}),
		seq: sum.Entries, millis: sum.millis, chain: sum.chain, tree: sum.tree,
		durable: weir.Checkpoint{Size: sum.Entries, Root: sum.tree.root()},
	}
	if err := l.beginVolume(sum); err != nil {
		return nil, err
	}
	go l.commit()
	return l, nil
}

// beginVolume makes the next volume after what sum describes. A crash before SyncDir returns leaves either no file or one
// without a whole header, which the next start seals as torn; no entry can be lost with it, for none was written.
func (l *Log) beginVolume(sum *Summary) error {
	h := header{
		number: sum.volume + 1, keyID: l.opts.KeyID, created: l.opts.Now(), first: sum.Entries,
		prev: sum.validIn, prevValid: uint64(sum.valid), prevTorn: uint64(sum.Torn), chain: sum.chain,
	}
	if sum.Torn > 0 {
		h.prevTornID = sum.tornID
	}
	raw := h.encode()
	f, err := l.fsys.Create(volumeName(h.number))
	if err != nil {
		return err
	}
	if _, err = f.Write(raw); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = l.fsys.SyncDir()
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file = f
	l.chain = headerChain(raw)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.size, l.volume = headerSize, h.number
	if l.routes == nil {
		l.routes = map[RouteName]uint64{}
	}
	return nil
}

// Append adds the entries that build returns and returns once they are durable: fdatasync has returned for them (P1).
//
// build runs with the ledger's time, of which the entries will be, while no other build runs; so a decision that it takes
// on the state that the entries describe, such as a quota, has the ledger's own order. It must be quick and must not call
// the log. When Append returns an error, nothing may be released: the entries may or may not be in the ledger, and every
// later Append fails with the same error, because a file whose fsync failed once cannot be trusted again.
func (l *Log) Append(build func(now time.Time) []Body) error {
	b, err := l.enqueue(build)
	if err != nil || b == nil {
		return err
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
	if releaseEarly {
		return nil
	}
	<-b.done
	return b.err
}

func (l *Log) enqueue(build func(now time.Time) []Body) (*batch, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return nil, l.err
	}
	if l.closing {
		return nil, ErrClosed
	}
	now := max(l.millis, l.opts.Now().UnixMilli()) // ledger time never goes back
	bodies := build(time.UnixMilli(now).UTC())
	if len(bodies) == 0 {
		return nil, nil
	}
	l.millis = now
	if l.pending == nil {
		l.pending = &batch{first: l.seq, millis: now, done: make(chan struct{})}
	}
	for _, body := range bodies {
		if o, ok := body.(*Outcome); ok {
			o.route = l.routeNumber(RouteName{o.Route, o.Unit}, now)
		}
		l.add(body, now)
	}
	return l.pending, nil
}

// routeNumber returns the route's number in the current volume, writing its name first where it has none yet.
func (l *Log) routeNumber(name RouteName, now int64) uint64 {
	n, ok := l.routes[name]
	if !ok {
		n = uint64(len(l.routes))
		l.routes[name] = n
		l.add(&name, now)
	}
	return n
}

// add encodes a body into the pending batch; l.mu is held.
func (l *Log) add(body Body, now int64) {
	b := l.pending
	l.scratch = body.append(l.scratch[:0])
	b.payload = binary.AppendUvarint(b.payload, uint64(len(l.scratch)))
	b.payload = binary.AppendUvarint(b.payload, uint64(now-b.millis))
	b.payload = append(b.payload, l.scratch...)
	b.count++
	l.seq++
}

// commit writes one batch after the other until Close; never two at once.
func (l *Log) commit() {
	defer close(l.done)
	for range l.wake {
		b, rotate, closing := l.take()
		if b != nil {
			b.err = l.write(b)
			if b.err == nil && rotate {
				// The batch is durable and its callers are released whatever becomes of the next volume.
				if err := l.rotate(); err != nil {
					l.fail(err)
				}
			}
			close(b.done)
		}
		if closing {
			return
		}
	}
}

// take hands the pending batch to the committer. Once the volume is full it also forgets the routes' numbers: what is
// enqueued from here on goes into the next volume, which gives its own.
func (l *Log) take() (b *batch, rotate, closing bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, l.pending = l.pending, nil
	if l.err != nil && b != nil {
		b.err = l.err
		close(b.done)
		b = nil
	}
	if b != nil && l.size+int64(len(b.payload)) >= l.opts.VolumeSize {
		rotate, l.routes = true, map[RouteName]uint64{}
	}
	return b, rotate, l.closing
}

func (l *Log) write(b *batch) error {
	f := frame{first: b.first, count: b.count, millis: b.millis, payload: b.payload}
	l.buf = appendFrame(l.buf[:0], &f, l.chain)
	_, err := l.file.Write(l.buf)
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		return l.fail(err)
	}
	l.chain = f.chain
	rest, leafScratch := b.payload, []byte(nil)
	for seq := b.first; len(rest) > 0; seq++ {
		body, millis, after, ok := nextEntry(rest, b.millis)
		if !ok {
			panic("ledger: a batch that was just encoded cannot be read")
		}
		var leaf hash
		leaf, leafScratch = leafHash(leafScratch, seq, millis, body)
		l.tree.add(leaf)
		rest = after
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.size += int64(f.size)
	l.durable = weir.Checkpoint{Size: l.tree.size, Root: l.tree.root()}
	return nil
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

func (l *Log) rotate() error {
	l.mu.Lock()
	sum := &Summary{volume: l.volume, validIn: l.volume, valid: l.size, Entries: l.tree.size, chain: l.chain}
	l.mu.Unlock()
	if err := l.file.Close(); err != nil {
		return err
	}
	return l.beginVolume(sum)
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

// Close waits for what is pending and closes the current volume. Later appends return ErrClosed.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closing {
		l.mu.Unlock()
		return ErrClosed
	}
	l.closing = true
	l.mu.Unlock()
	l.wake <- struct{}{} // after closing is set: the committer's next turn is its last
	<-l.done
	return errors.Join(l.Err(), l.file.Close())
}
