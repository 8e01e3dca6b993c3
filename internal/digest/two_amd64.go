//go:build !purego

package digest

import "encoding/binary"

// twoAtOnce says that the processor has SHA instructions.
var twoAtOnce = hasSHA()

// The state is kept as the SHA instructions want it: F E B A H G D C.
var initial = [8]uint32{0x9b05688c, 0x510e527f, 0xbb67ae85, 0x6a09e667, 0x5be0cd19, 0x1f83d9ab, 0xa54ff53a, 0x3c6ef372}

// sumTwo hashes two padded messages of equal length.
func sumTwo(x, y *Sum, p, q []byte) {
	state := [2][8]uint32{initial, initial}
	blockTwo(&state, &p[0], &q[:len(p)][0], len(p)/blockSize)
	put(x, &state[0])
	put(y, &state[1])
}

func put(dst *Sum, s *[8]uint32) {
	be := binary.BigEndian
	be.PutUint32(dst[0:], s[3])
	be.PutUint32(dst[4:], s[2])
	be.PutUint32(dst[8:], s[7])
	be.PutUint32(dst[12:], s[6])
	be.PutUint32(dst[16:], s[1])
	be.PutUint32(dst[20:], s[0])
	be.PutUint32(dst[24:], s[5])
	be.PutUint32(dst[28:], s[4])
}

// blockTwo takes n blocks of each message into its state.
//
//go:noescape
func blockTwo(state *[2][8]uint32, p, q *byte, n int)

// hasSHA asks the processor for SSSE3, SSE4.1 and the SHA extensions.
func hasSHA() bool
