package exposure

import "iter"

// chunkPlace says which chunk of which segment.
type chunkPlace struct {
	seg    int // its number among some
	number int
}

// readAhead is a chunk that was read before it was asked for.
type readAhead struct {
	chunkReader
	chunkPlace
	err error
}

// readingAhead gives the chunks at the places as read has read them, each until the next one, while others are being read. An
// error is the last.
func readingAhead(places iter.Seq[chunkPlace], read func(*readAhead) error) iter.Seq2[*readAhead, error] {
	const ahead = 8
	return func(yield func(*readAhead, error) bool) {
		free, ready, end := make(chan *readAhead, ahead), make(chan *readAhead, ahead), make(chan struct{})
		for range ahead {
			free <- &readAhead{}
		}
		go func() {
			defer close(ready)
			for p := range places {
				select {
				case <-end:
					return
				case r := <-free:
					r.chunkPlace = p
					r.err = read(r)
					ready <- r // there is room for all of them
				}
			}
		}()
		defer func() { // nothing is read any more when this returns
			close(end)
			for range ready {
			}
		}()
		for r := range ready {
			if !yield(r, r.err) || r.err != nil {
				return
			}
			free <- r
		}
	}
}
