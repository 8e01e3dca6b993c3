package ledger

import (
	"errors"
	"io"
)

// compactSource is a compact volume, read as if it were live. Who reads from front to back has it put together once; a place
// before the last one that was read from makes it begin anew.
type compactSource struct {
	Source
	head []byte // the live form's opening
	size int64  // of the live form
	raw  []byte // the compact volume, once more than the opening is needed
	e    *expander
	buf  []byte // what was put together last
	off  int64  // of buf in the live form
}

// live returns a source of the volume's live form: the volume itself, unless that is compact.
func live(src Source) (Source, error) {
	raw := make([]byte, compactHead)
	n, err := src.ReadAt(raw, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !isCompact(raw[:n]) {
		return src, nil
	}
	h, err := decodeCompactHeader(raw)
	if err != nil {
		return nil, err
	}
	if size, err := src.Size(); err != nil || int64(h.opening) > size {
		return nil, errors.Join(errCompact, err)
	}
	c := &compactSource{Source: src, head: make([]byte, h.opening), size: int64(h.live + h.rest)}
	if n, err := src.ReadAt(c.head, compactHead); n < len(c.head) {
		return nil, errors.Join(errCompact, err)
	}
	return c, nil
}

func (c *compactSource) Size() (int64, error) { return c.size, nil }

func (c *compactSource) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) <= int64(len(c.head)) {
		return copy(p, c.head[off:]), nil
	}
	if off >= c.size {
		return 0, io.EOF
	}
	if c.e == nil || off < c.off {
		if err := c.begin(); err != nil {
			return 0, err
		}
	}
	for c.off+int64(len(c.buf)) < min(off+int64(len(p)), c.size) {
		skip := min(off-c.off, int64(len(c.buf)))
		c.buf, c.off = append(c.buf[:0], c.buf[skip:]...), c.off+skip
		piece, err := c.e.next()
		if err != nil {
			return 0, errors.Join(errCompact, err)
		}
		c.buf = append(c.buf, piece...)
	}
	n := copy(p, c.buf[off-c.off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// begin goes back to the front.
func (c *compactSource) begin() (err error) {
	if c.raw == nil {
		size, err := c.Source.Size()
		if err != nil {
			return err
		}
		c.raw = make([]byte, size)
		if n, err := c.Source.ReadAt(c.raw, 0); n < len(c.raw) {
			c.raw = nil
			return errors.Join(errCompact, err)
		}
	}
	c.buf, c.off = c.buf[:0], 0
	c.e, err = newExpander(c.raw)
	return err
}
