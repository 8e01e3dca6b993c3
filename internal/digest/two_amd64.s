//go:build !purego

#include "textflag.h"

// SHA-256 of two messages in step. X0 holds the words of a message with their constants, which SHA256RNDS2 reads; X1, X2 and
// X3 to X6 are state and message words of the first message, X7, X8 and X9 to X12 those of the second; X14 swaps bytes.

// LOAD takes four words of a message.
#define LOAD(p, at, m) \
	MOVOU  at(p), m \
	PSHUFB X14, m

// ROUNDS makes four rounds with the words m and the constants at k.
#define ROUNDS(k, m, s0, s1) \
	MOVOU       k<>(SB), X0     \
	PADDL       m, X0           \
	SHA256RNDS2 X0, s0, s1      \
	PSHUFD      $0x0e, X0, X0   \
	SHA256RNDS2 X0, s1, s0

// NEXT makes the four words behind m0, m1, m2 and m3, in the place of m0.
#define NEXT(m0, m1, m2, m3) \
	SHA256MSG1 m1, m0           \
	MOVOU      m3, X13          \
	PALIGNR    $4, m2, X13      \
	PADDL      X13, m0          \
	SHA256MSG2 m3, m0

DATA k0<>+0(SB)/8, $0x71374491428a2f98
DATA k0<>+8(SB)/8, $0xe9b5dba5b5c0fbcf
GLOBL k0<>(SB), RODATA|NOPTR, $16
DATA k1<>+0(SB)/8, $0x59f111f13956c25b
DATA k1<>+8(SB)/8, $0xab1c5ed5923f82a4
GLOBL k1<>(SB), RODATA|NOPTR, $16
DATA k2<>+0(SB)/8, $0x12835b01d807aa98
DATA k2<>+8(SB)/8, $0x550c7dc3243185be
GLOBL k2<>(SB), RODATA|NOPTR, $16
DATA k3<>+0(SB)/8, $0x80deb1fe72be5d74
DATA k3<>+8(SB)/8, $0xc19bf1749bdc06a7
GLOBL k3<>(SB), RODATA|NOPTR, $16
DATA k4<>+0(SB)/8, $0xefbe4786e49b69c1
DATA k4<>+8(SB)/8, $0x240ca1cc0fc19dc6
GLOBL k4<>(SB), RODATA|NOPTR, $16
DATA k5<>+0(SB)/8, $0x4a7484aa2de92c6f
DATA k5<>+8(SB)/8, $0x76f988da5cb0a9dc
GLOBL k5<>(SB), RODATA|NOPTR, $16
DATA k6<>+0(SB)/8, $0xa831c66d983e5152
DATA k6<>+8(SB)/8, $0xbf597fc7b00327c8
GLOBL k6<>(SB), RODATA|NOPTR, $16
DATA k7<>+0(SB)/8, $0xd5a79147c6e00bf3
DATA k7<>+8(SB)/8, $0x1429296706ca6351
GLOBL k7<>(SB), RODATA|NOPTR, $16
DATA k8<>+0(SB)/8, $0x2e1b213827b70a85
DATA k8<>+8(SB)/8, $0x53380d134d2c6dfc
GLOBL k8<>(SB), RODATA|NOPTR, $16
DATA k9<>+0(SB)/8, $0x766a0abb650a7354
DATA k9<>+8(SB)/8, $0x92722c8581c2c92e
GLOBL k9<>(SB), RODATA|NOPTR, $16
DATA k10<>+0(SB)/8, $0xa81a664ba2bfe8a1
DATA k10<>+8(SB)/8, $0xc76c51a3c24b8b70
GLOBL k10<>(SB), RODATA|NOPTR, $16
DATA k11<>+0(SB)/8, $0xd6990624d192e819
DATA k11<>+8(SB)/8, $0x106aa070f40e3585
GLOBL k11<>(SB), RODATA|NOPTR, $16
DATA k12<>+0(SB)/8, $0x1e376c0819a4c116
DATA k12<>+8(SB)/8, $0x34b0bcb52748774c
GLOBL k12<>(SB), RODATA|NOPTR, $16
DATA k13<>+0(SB)/8, $0x4ed8aa4a391c0cb3
DATA k13<>+8(SB)/8, $0x682e6ff35b9cca4f
GLOBL k13<>(SB), RODATA|NOPTR, $16
DATA k14<>+0(SB)/8, $0x78a5636f748f82ee
DATA k14<>+8(SB)/8, $0x8cc7020884c87814
GLOBL k14<>(SB), RODATA|NOPTR, $16
DATA k15<>+0(SB)/8, $0xa4506ceb90befffa
DATA k15<>+8(SB)/8, $0xc67178f2bef9a3f7
GLOBL k15<>(SB), RODATA|NOPTR, $16

DATA swap<>+0(SB)/8, $0x0405060700010203
DATA swap<>+8(SB)/8, $0x0c0d0e0f08090a0b
GLOBL swap<>(SB), RODATA|NOPTR, $16

// func blockTwo(state *[2][8]uint32, p, q *byte, n int)
TEXT ·blockTwo(SB), NOSPLIT, $0-32
	MOVQ  state+0(FP), DI
	MOVQ  p+8(FP), SI
	MOVQ  q+16(FP), DX
	MOVQ  n+24(FP), CX
	MOVOU swap<>(SB), X14
	MOVOU 0(DI), X1
	MOVOU 16(DI), X2
	MOVOU 32(DI), X7
	MOVOU 48(DI), X8
	TESTQ CX, CX
	JZ    done

loop:
	LOAD(SI, 0, X3)
	LOAD(DX, 0, X9)
	ROUNDS(k0, X3, X1, X2)
	LOAD(SI, 16, X4)
	ROUNDS(k0, X9, X7, X8)
	LOAD(DX, 16, X10)
	ROUNDS(k1, X4, X1, X2)
	LOAD(SI, 32, X5)
	ROUNDS(k1, X10, X7, X8)
	LOAD(DX, 32, X11)
	ROUNDS(k2, X5, X1, X2)
	LOAD(SI, 48, X6)
	ROUNDS(k2, X11, X7, X8)
	LOAD(DX, 48, X12)
	ROUNDS(k3, X6, X1, X2)
	NEXT(X3, X4, X5, X6)
	ROUNDS(k3, X12, X7, X8)
	NEXT(X9, X10, X11, X12)
	ROUNDS(k4, X3, X1, X2)
	NEXT(X4, X5, X6, X3)
	ROUNDS(k4, X9, X7, X8)
	NEXT(X10, X11, X12, X9)
	ROUNDS(k5, X4, X1, X2)
	NEXT(X5, X6, X3, X4)
	ROUNDS(k5, X10, X7, X8)
	NEXT(X11, X12, X9, X10)
	ROUNDS(k6, X5, X1, X2)
	NEXT(X6, X3, X4, X5)
	ROUNDS(k6, X11, X7, X8)
	NEXT(X12, X9, X10, X11)
	ROUNDS(k7, X6, X1, X2)
	NEXT(X3, X4, X5, X6)
	ROUNDS(k7, X12, X7, X8)
	NEXT(X9, X10, X11, X12)
	ROUNDS(k8, X3, X1, X2)
	NEXT(X4, X5, X6, X3)
	ROUNDS(k8, X9, X7, X8)
	NEXT(X10, X11, X12, X9)
	ROUNDS(k9, X4, X1, X2)
	NEXT(X5, X6, X3, X4)
	ROUNDS(k9, X10, X7, X8)
	NEXT(X11, X12, X9, X10)
	ROUNDS(k10, X5, X1, X2)
	NEXT(X6, X3, X4, X5)
	ROUNDS(k10, X11, X7, X8)
	NEXT(X12, X9, X10, X11)
	ROUNDS(k11, X6, X1, X2)
	NEXT(X3, X4, X5, X6)
	ROUNDS(k11, X12, X7, X8)
	NEXT(X9, X10, X11, X12)
	ROUNDS(k12, X3, X1, X2)
	NEXT(X4, X5, X6, X3)
	ROUNDS(k12, X9, X7, X8)
	NEXT(X10, X11, X12, X9)
	ROUNDS(k13, X4, X1, X2)
	NEXT(X5, X6, X3, X4)
	ROUNDS(k13, X10, X7, X8)
	NEXT(X11, X12, X9, X10)
	ROUNDS(k14, X5, X1, X2)
	NEXT(X6, X3, X4, X5)
	ROUNDS(k14, X11, X7, X8)
	NEXT(X12, X9, X10, X11)
	ROUNDS(k15, X6, X1, X2)
	ROUNDS(k15, X12, X7, X8)

	MOVOU 0(DI), X13
	PADDL X13, X1
	MOVOU X1, 0(DI)
	MOVOU 16(DI), X13
	PADDL X13, X2
	MOVOU X2, 16(DI)
	MOVOU 32(DI), X13
	PADDL X13, X7
	MOVOU X7, 32(DI)
	MOVOU 48(DI), X13
	PADDL X13, X8
	MOVOU X8, 48(DI)
	ADDQ  $64, SI
	ADDQ  $64, DX
	DECQ  CX
	JNZ   loop

done:
	RET

// func hasSHA() bool
TEXT ·hasSHA(SB), NOSPLIT, $0-1
	MOVB $0, ret+0(FP)
	XORL AX, AX
	CPUID
	CMPL AX, $7
	JLT  no
	MOVL $1, AX
	CPUID
	ANDL $0x00080200, CX
	CMPL CX, $0x00080200
	JNE  no
	MOVL $7, AX
	XORL CX, CX
	CPUID
	SHRL $29, BX
	ANDL $1, BX
	MOVB BX, ret+0(FP)

no:
	RET
