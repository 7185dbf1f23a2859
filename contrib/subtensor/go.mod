module github.com/organic-scoring/organic/contrib/subtensor

go 1.26.0

replace (
	github.com/organic-scoring/organic => ../..
	github.com/organic-scoring/organic/contrib/keys => ../keys
)

require (
	github.com/coder/websocket v1.8.15
	github.com/consensys/gnark-crypto v0.19.2
	github.com/organic-scoring/organic v0.1.0
	github.com/stretchr/testify v1.12.1
	golang.org/x/crypto v0.58.0
	golang.org/x/sync v0.24.0
)

require (
	github.com/mr-tron/base58 v1.3.0 // indirect
	github.com/oasisprotocol/curve25519-voi v0.0.0-20230904125328-1f23a7beb09a // indirect
	github.com/tyler-smith/go-bip39 v1.1.0 // indirect
)

require (
	github.com/bits-and-blooms/bitset v1.20.0 // indirect
	github.com/organic-scoring/organic/contrib/keys v0.1.0
	go.uber.org/multierr v1.10.0 // indirect
	go.uber.org/zap v1.28.0
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sys v0.49.0 // indirect
)
