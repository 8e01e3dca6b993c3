package ledger

import (
	"errors"
	"io"
)

// window is the part of a volume that is in memory: one buffer, used again and again, because memory that was never touched
// before costs more than what is read into it.
type window struct {
	src  Source // nil if all of the volume is in memory
	done bool   // nobody writes to the volume any more: what was read once need not be read again
	buf  []byte
	off  int64 // of buf in the volume
	size int64 // of the volume
}

// chunk is how much is read at once.
const chunk = 1 << 20

// open begins with a file.
func (w *window) open(src Source) (err error) {
	w.src, w.done, w.buf, w.off = src, false, w.buf[:0], 0
	w.size, err = src.Size()
	return err
}

// hold begins with a volume that is in memory.
func (w *window) hold(b []byte) { w.src, w.done, w.buf, w.off, w.size = nil, true, b, 0, int64(len(b)) }

// from returns what is in memory of the volume from at on: at least n bytes, unless it is shorter. It is valid until the
// next call.
func (w *window) from(at int64, n int) ([]byte, error) {
	if have := w.off + int64(len(w.buf)); at < w.off || w.src != nil && have < w.size && at+int64(n) > have {
		return w.read(at, max(n, chunk))
	}
	return w.buf[min(at-w.off, int64(len(w.buf))):], nil
}

// opening returns the volume's opening; it is not whole where the header or the volume says so.
func (w *window) opening() ([]byte, error) {
	b, err := w.from(0, headerSize)
	if err != nil {
		return nil, err
	}
	if h, err := decodeHeader(b); err == nil {
		return w.from(0, h.openingSize())
	}
	return b, nil
}

// frame returns what is in memory from at on, a frame that begins there at least.
func (w *window) frame(at int64) ([]byte, error) {
	b, err := w.from(at, frameHeadSize+frameTailSize)
	if err == nil && len(b) >= frameHeadSize && frameSize(b) > len(b) {
		b, err = w.from(at, frameSize(b))
	}
	return b, err
}

// rest reads all from at on, again if it was read before and may be another now.
func (w *window) rest(at int64) ([]byte, error) {
	if w.done {
		return w.from(at, int(max(w.size-at, 0)))
	}
	w.buf = w.buf[:0]
	return w.read(at, int(max(w.size-at, 0)))
}

// read makes the window n bytes from at on, or those up to the volume's end. What it has of them already is not read again.
func (w *window) read(at int64, n int) ([]byte, error) {
	var had []byte
	if skip := at - w.off; skip >= 0 && skip < int64(len(w.buf)) {
		had = w.buf[skip:]
	}
	n = int(min(int64(n), max(w.size-at, 0)))
	buf := w.buf[:cap(w.buf)]
	if n > len(buf) {
		buf = make([]byte, n)
	}
	got := copy(buf[:n], had)
	more, err := w.src.ReadAt(buf[got:n], at+int64(got))
	w.buf, w.off = buf[:got+more], at
	if errors.Is(err, io.EOF) {
		w.size, err = w.off+int64(len(w.buf)), nil // it became shorter
	}
	return w.buf, err
}
