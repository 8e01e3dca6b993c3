package digest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"testing"
)

func random(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// Every length around the edges of blocks, alone and beside others, gives what the standard library gives.
func TestBatchEqualsStandardLibrary(t *testing.T) {
	t.Logf("two at once: %v", twoAtOnce)
	rng := rand.New(rand.NewPCG(1, 2))
	var b Batch
	for round := range 50 {
		var got, want []*Sum
		for n := range 300 {
			if round > 0 {
				n = rng.IntN(maxBlocks * blockSize * 5 / 4)
			}
			m := random(rng, n)
			sum := sha256.Sum256(m)
			got, want = append(got, new(Sum)), append(want, &sum)
			cut := rng.IntN(n + 1)
			b.Add(got[len(got)-1], m[:cut], m[cut:])
			clear(m) // it keeps neither part
		}
		b.Flush()
		for i := range got {
			if *got[i] != *want[i] {
				t.Fatalf("round %d, message %d: %x, want %x", round, i, *got[i], *want[i])
			}
		}
	}
}

func TestNodes(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for n := range 9 {
		in := random(rng, 2*n*sha256.Size)
		var want []byte
		for i := range n {
			sum := sha256.Sum256(append([]byte{1}, in[2*i*sha256.Size:][:2*sha256.Size]...))
			want = append(want, sum[:]...)
		}
		if Nodes(in[:len(want)], in); !bytes.Equal(in[:len(want)], want) {
			t.Errorf("%d nodes: %x, want %x", n, in[:len(want)], want)
		}
	}
}

func FuzzBatch(f *testing.F) {
	f.Add([]byte("one"), []byte("other"), 1)
	f.Fuzz(func(t *testing.T, p, q []byte, repeat int) {
		var b Batch
		var sums [8]Sum
		n := min(max(repeat, 1), len(sums)/2)
		for i := range n {
			b.Add(&sums[2*i], p, q)
			b.Add(&sums[2*i+1], q, p)
		}
		b.Flush()
		for i := range n {
			if sums[2*i] != sha256.Sum256(append(append([]byte{}, p...), q...)) || sums[2*i+1] != sha256.Sum256(append(append([]byte{}, q...), p...)) {
				t.Fatal("not the standard library's hash")
			}
		}
	})
}

func BenchmarkBatch(b *testing.B) {
	for _, size := range []int{33, 98, 900} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			var batch Batch
			var sum [2]Sum
			m, head := make([]byte, size), make([]byte, 17)
			b.SetBytes(int64(len(m) + len(head)))
			for i := 0; b.Loop(); i++ {
				batch.Add(&sum[i&1], head, m)
			}
			batch.Flush()
		})
	}
}

func BenchmarkNodes(b *testing.B) {
	in := make([]byte, 1024*sha256.Size)
	out := make([]byte, len(in)/2)
	for b.Loop() {
		Nodes(out, in)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/512, "ns/node")
}

// What a message costs alone, to compare with.
func BenchmarkStandardLibrary(b *testing.B) {
	for _, size := range []int{50, 65, 115, 917} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			m := make([]byte, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				sha256.Sum256(m)
			}
		})
	}
}
