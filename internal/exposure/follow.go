package exposure

import (
	"context"
	"errors"
	"slices"
	"time"

	"weir/internal/ledger"
)

// errPause ends a reading of the ledger in between.
var errPause = errors.New("pause")

// errEnough ends it at Options.Until.
var errEnough = errors.New("enough")

// Refresh reads what the ledger holds by now. A damaged ledger is no error: see Damage.
func (x *Index) Refresh(ctx context.Context) error {
	x.work.Lock()
	defer x.work.Unlock()
	return x.refresh(ctx)
}

func (x *Index) refresh(ctx context.Context) error {
	err := x.advance(ctx)
	x.untidy = x.untidy || err != nil
	if errors.Is(err, errDoubt) {
		if err = x.anew(); err == nil {
			err = x.advance(ctx)
		}
	}
	var damaged *ledger.DamagedError
	if errors.As(err, &damaged) {
		return x.salvage(damaged)
	}
	return err
}

// advance reads on until the ledger's end, and writes segments as it goes.
func (x *Index) advance(ctx context.Context) error {
	if x.tail == nil {
		return errUnmade
	}
	if err := x.mend(); err != nil {
		return err
	}
	anew := false
	for x.Damage() == nil {
		ended, err := x.read()
		if err != nil {
			return err
		}
		switch {
		case ended && !x.writes() || !ended && x.tail.size() < x.opts.sizes.batch:
			return nil
		case ended:
			return x.conclude(anew)
		case x.writes():
			anew = true
			err = x.catchUp(ctx)
		default:
			err = x.wait(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mend makes good what an advance that failed has left: a ledger that is not followed, and files that neither the manifest nor
// the index knows.
func (x *Index) mend() error {
	if x.follow == nil {
		if err := x.seek(x.tail.to); err != nil {
			return err
		}
	}
	if !x.untidy || !x.writes() {
		return nil
	}
	m, err := x.dir.readManifest()
	if err != nil {
		return err
	}
	if m == nil {
		m = &manifest{}
	}
	known := map[string]bool{}
	for _, s := range x.segs {
		known[s.name] = true
	}
	x.untidy = slices.ContainsFunc(m.Segments, func(s manifestSegment) bool { return !known[s.Name] }) // until another manifest is there
	for name := range known {
		m.Segments = append(m.Segments, manifestSegment{Name: name})
	}
	if err := x.dir.tidy(m); err != nil {
		x.untidy = true
		return err
	}
	return nil
}

// conclude is called at the ledger's end: it writes the tail, if it is large, and merges segments, after much was read anew
// whatever the tail is.
func (x *Index) conclude(anew bool) error {
	large := x.tail.size() >= x.opts.sizes.live
	if large {
		if err := x.seal(); err != nil {
			return err
		}
	}
	if from := x.grown(anew); (large || anew) && from < len(x.segs) {
		return x.merged(x.merge(from))
	}
	return nil
}

// read takes entries into the tail that questions see; ended says that there are no more.
func (x *Index) read() (ended bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	ended, err = x.fill(x.tail)
	if resolveErr := x.tail.resolve(x.segs); resolveErr != nil { // before damage is told of, what was read is usable
		return ended, resolveErr
	}
	return ended, err
}

// catchUp writes full tails while the ledger's end is far. The next one is read while one is written, and beside both segments
// are merged; questions see what was read only once it has become a segment.
func (x *Index) catchUp(ctx context.Context) (err error) {
	var under *merging
	defer func() {
		if under != nil {
			err = errors.Join(err, x.merged(under))
		}
	}()
	var spare *tail
	for x.tail.size() >= x.opts.sizes.batch && err == nil {
		if err := ctx.Err(); err != nil {
			return err
		}
		if under != nil && under.ended() {
			if err := x.merged(under); err != nil {
				under = nil
				return err
			}
			under = nil
		}
		if from := x.alike(); under == nil && from < len(x.segs) {
			under = x.merge(from)
		}
		spare, err = x.turn(spare)
	}
	return err
}

// turn writes the tail as a segment while the next one is read, and returns it for its memory; spare is an earlier one or nil.
func (x *Index) turn(spare *tail) (full *tail, err error) {
	full = x.tail
	base := full.base + uint32(len(full.fresh))
	next := newTail(full.to, base, full.last)
	if spare != nil {
		next = spare.follow(full.to, base, full.last)
	}
	var kept *segment
	sealed := make(chan error, 1)
	go func() {
		var err error
		kept, err = x.keep(full)
		sealed <- err
	}()
	_, readErr := x.fill(next)
	sought, seekErr := next.seek(x.segs)
	err = errors.Join(<-sealed, seekErr)
	if err == nil {
		err = kept.book.find(sought)
	}
	if err == nil {
		err = next.number(sought)
	}
	if err != nil { // what was read into next is read again
		if kept != nil {
			err = errors.Join(err, kept.file.Close())
		}
		return nil, errors.Join(err, x.seek(full.to))
	}
	x.mu.Lock()
	x.segs, x.expect = append(x.segs, kept), full.last
	x.tail = next
	x.mu.Unlock()
	return full, readErr
}

// fill takes entries into a tail, until it is full or there are no more, which ended says.
func (x *Index) fill(t *tail) (ended bool, err error) {
	_, err = x.follow.Next(func(e ledger.Entry) error {
		if e.Seq < t.to {
			if digest(&e) != t.last {
				return doubt("the ledger is not the one that was read")
			}
			x.checked = true
			return nil
		}
		if x.opts.Until > 0 && e.Seq >= x.opts.Until {
			return errEnough
		}
		if t.size() >= x.opts.sizes.batch {
			return errPause
		}
		if e.Seq > t.to {
			if t.to > 0 {
				return doubt("the ledger has no entry %d any more", t.to)
			}
			t.from, x.checked = e.Seq, true // the volumes before have been retired
		}
		t.add(&e)
		return nil
	})
	if ended = !errors.Is(err, errPause); !ended || errors.Is(err, errEnough) {
		err = nil
	}
	if err == nil && !x.checked {
		err = doubt("the ledger is shorter than what was read")
	}
	if x.opts.Progress != nil {
		x.opts.Progress(t.to)
	}
	return ended, err
}

// wait lets the folder's owner go on, and takes over what it has written by then, or its place.
func (x *Index) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(200 * time.Millisecond):
	}
	if err := x.own(); err != nil {
		return err
	}
	m, err := x.dir.readManifest()
	if err != nil || !x.writes() && (m == nil || m.Position <= x.tail.from) {
		return err
	}
	old := x.segs // questions see these until begin has put others in their place
	if err := x.begin(); err != nil {
		if x.lock != nil && !errors.Is(err, errDoubt) { // it does not have the owner's segments, and must not write without them
			err = errors.Join(err, x.lock.Release())
			x.lock = nil
		}
		return err
	}
	return closeAll(old)
}

// salvage reads what lies behind damage, into memory only: an index of a damaged ledger is not kept.
func (x *Index) salvage(damaged *ledger.DamagedError) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	t := x.tail
	_, err := ledger.Read(x.opts.Ledger, ledger.ReadOptions{Visit: func(e ledger.Entry) error {
		if e.Seq >= t.to {
			t.add(&e)
		}
		return nil
	}})
	if err != nil {
		return err
	}
	x.damage = damaged
	return t.resolve(x.segs)
}
