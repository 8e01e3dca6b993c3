package ledger

import "time"

// DefaultClockJump is how far the wall clock may be ahead of ledger time before it is no longer believed.
const DefaultClockJump = 7 * 24 * time.Hour

// clock turns the wall clock into ledger time, which never goes back. Quotas expire by it, so a clock that was set years
// ahead would give every quota back at once: a wall clock that is further ahead than the jump is not believed until an
// operator says so (AcceptClock), and neither is one that is that far behind. Meanwhile ledger time goes on from where it
// was, by the process's own running time.
type clock struct {
	wall    func() time.Time
	running func() time.Duration // since some start; it must not follow the wall clock
	jump    time.Duration
	last    int64         // ledger time, Unix ms
	at      time.Duration // running time of last
	fresh   bool          // nothing was ever entered, so there is no time to compare with
	held    bool          // the wall clock is not believed at present
}

// now returns the present ledger time; the caller sets it with use.
func (c *clock) now() int64 {
	wall := c.wall().UnixMilli()
	expected := c.last + (c.running() - c.at).Milliseconds()
	jump := c.jump.Milliseconds()
	switch {
	case c.fresh, wall >= c.last && wall <= expected+jump:
		c.held = false
		return wall
	case wall < c.last && wall >= c.last-jump:
		c.held = false
		return c.last // it was set back a little: wait for it
	}
	c.held = true
	return expected
}

// use makes a time that now returned the ledger's.
func (c *clock) use(millis int64) {
	if c.held {
		c.at += time.Duration(millis-c.last) * time.Millisecond // what was less than a millisecond is not lost
	} else {
		c.at = c.running()
	}
	c.last, c.fresh = millis, false
}

// accept makes the wall clock's time the ledger's, if it is ahead.
func (c *clock) accept() {
	c.held = false
	c.use(max(c.last, c.wall().UnixMilli()))
}
