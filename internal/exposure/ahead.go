package exposure

import "iter"

// ahead does a piece of work for each input and gives the results in order, each valid until the next, while the next ones are
// being made: room is how many results there are memory for. An error is the last.
func ahead[In, Out any](room int, inputs iter.Seq[In], work func(In, *Out) error) iter.Seq2[*Out, error] {
	type result struct {
		out *Out
		err error
	}
	return func(yield func(*Out, error) bool) {
		free, ready, end := make(chan *Out, room), make(chan result, room), make(chan struct{})
		for range room {
			free <- new(Out)
		}
		go func() {
			defer close(ready)
			for in := range inputs {
				select {
				case <-end:
					return
				case out := <-free:
					ready <- result{out, work(in, out)} // there is room for all of them
				}
			}
		}()
		defer func() { // nothing works any more when this returns
			close(end)
			for range ready {
			}
		}()
		for r := range ready {
			if !yield(r.out, r.err) || r.err != nil {
				return
			}
			free <- r.out
		}
	}
}

// chunkPlace says which chunk of which segment.
type chunkPlace struct {
	seg    int // its number among some
	number int
}

// chunksAhead is how many chunks are read before they are used.
const chunksAhead = 8
