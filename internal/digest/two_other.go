//go:build !amd64 || purego

package digest

const twoAtOnce = false

func sumTwo(x, y *Sum, p, q []byte) { panic("digest: no two at once here") }
