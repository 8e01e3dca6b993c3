package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// stones is Pebble with dense ids and two keys for each disclosure: principal, time, person, and person, time, principal.
type stones struct {
	db     *pebble.DB
	path   string
	people int
}

func (s *stones) name() string { return "pebble-dense" }

func newStones(l *load, path string) (s *stones, err error) {
	db, err := pebble.Open(path, &pebble.Options{DisableWAL: true, MemTableSize: 64 << 20, Logger: quiet{}})
	if err != nil {
		return nil, err
	}
	s = &stones{db, path, l.people}
	batch := db.NewBatch()
	value := make([]byte, 9)
	l.each(func(r *response) {
		if err != nil {
			return
		}
		value[0] = byte(min(len(r.people), 2))
		binary.BigEndian.PutUint32(value[1:], uint32(r.classes))
		binary.BigEndian.PutUint32(value[5:], uint32(r.bytes))
		for _, p := range r.people {
			err = errors.Join(batch.Set(stoneKey(1, uint32(r.principal), r.millis, p), value, nil), batch.Set(stoneKey(2, p, r.millis, uint32(r.principal)), nil, nil))
		}
		if batch.Len() > 4<<20 {
			err = errors.Join(err, batch.Commit(pebble.NoSync))
			batch = db.NewBatch()
		}
	})
	err = errors.Join(err, batch.Commit(pebble.NoSync), db.Flush(), db.Compact(context.Background(), []byte{0}, []byte{9}, true))
	return s, err
}

func stoneKey(order byte, a uint32, t int64, b uint32) []byte {
	k := make([]byte, 0, 17)
	k = binary.BigEndian.AppendUint32(append(k, order), a)
	k = binary.BigEndian.AppendUint64(k, uint64(t))
	return binary.BigEndian.AppendUint32(k, b)
}

func (s *stones) sizes(disclosures int) string {
	return fmt.Sprintf("%.2f bytes a disclosure in both orders", float64(folderSize(s.path))/float64(disclosures))
}

func (s *stones) scan(order byte, a uint32, from, to int64, visit func(key, value []byte)) error {
	if from == 0 && to == 0 {
		to = 1 << 62
	}
	iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: stoneKey(order, a, from, 0), UpperBound: stoneKey(order, a, to, 0)})
	if err != nil {
		return err
	}
	for iter.First(); iter.Valid(); iter.Next() {
		visit(iter.Key(), iter.Value())
	}
	return iter.Close()
}

func (s *stones) distinct(principal int, from, to int64) (n int, err error) {
	seen := make([]uint64, s.people/64+1)
	err = s.scan(1, uint32(principal), from, to, func(key, _ []byte) {
		p := binary.BigEndian.Uint32(key[13:])
		if seen[p/64]&(1<<(p%64)) == 0 {
			seen[p/64] |= 1 << (p % 64)
			n++
		}
	})
	return n, err
}

func (s *stones) accounting(person int) (n int, err error) {
	err = s.scan(2, uint32(person), 0, 0, func([]byte, []byte) { n++ })
	return n, err
}

func (s *stones) list(principal int) (int, error) {
	type row struct {
		first, last uint64
		classes     uint32
		count       int
	}
	rows := map[uint32]*row{}
	err := s.scan(1, uint32(principal), 0, 0, func(key, value []byte) {
		p, t := binary.BigEndian.Uint32(key[13:]), binary.BigEndian.Uint64(key[5:])
		r := rows[p]
		if r == nil {
			r = &row{first: t}
			rows[p] = r
		}
		r.last, r.classes = t, r.classes|binary.BigEndian.Uint32(value[1:])
		r.count++
	})
	return len(rows), err
}

func (s *stones) close() error { return s.db.Close() }

type quiet struct{}

func (quiet) Infof(string, ...any)         {}
func (quiet) Errorf(f string, args ...any) { fmt.Printf(f+"\n", args...) }
func (quiet) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }
