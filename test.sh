#!/bin/sh
# All tests: format, vet, the program with the race detector, and the module that puts the guard before a real API server.
# ./test.sh -short leaves out the long rounds of the kill test.
set -eu
cd "$(dirname "$0")"

unformatted=$(gofmt -l .)
if [ -n "$unformatted" ]; then
	echo "gofmt differs: $unformatted" >&2
	exit 1
fi
go vet ./...
go test -race -timeout 25m "$@" ./...
go test -tags purego ./internal/digest # what other processors run
cd e2e
go vet ./...
go test "$@" ./...
