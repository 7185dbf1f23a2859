module github.com/organic-scoring/organic/examples

go 1.26.0

require (
	github.com/nats-io/nats.go v1.55.0
	github.com/organic-scoring/organic v0.1.0
	github.com/organic-scoring/organic/contrib/axon v0.1.0
	github.com/organic-scoring/organic/contrib/boltqueue v0.1.0
	github.com/organic-scoring/organic/contrib/keys v0.1.0
	github.com/organic-scoring/organic/contrib/natsqueue v0.1.0
	github.com/organic-scoring/organic/contrib/natsqueue/embedded v0.1.0
	github.com/organic-scoring/organic/contrib/prometheus v0.1.0
	github.com/organic-scoring/organic/contrib/subtensor v0.1.0
	github.com/prometheus/client_golang v1.25.0
	github.com/stretchr/testify v1.12.1
	go.uber.org/zap v1.28.0
	golang.org/x/sync v0.24.0
)

require (
	github.com/antithesishq/antithesis-sdk-go v0.8.0-default-no-op // indirect
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/bits-and-blooms/bitset v1.20.0 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/coder/websocket v1.8.15 // indirect
	github.com/consensys/gnark-crypto v0.19.2 // indirect
	github.com/google/go-tpm v0.9.8 // indirect
	github.com/hashicorp/golang-lru/v2 v2.0.7 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/minio/highwayhash v1.0.4 // indirect
	github.com/mr-tron/base58 v1.3.0 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/nats-io/jwt/v2 v2.8.2 // indirect
	github.com/nats-io/nats-server/v2 v2.15.2 // indirect
	github.com/nats-io/nkeys v0.4.16 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	github.com/oasisprotocol/curve25519-voi v0.0.0-20230904125328-1f23a7beb09a // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/common v0.72.0 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	github.com/tyler-smith/go-bip39 v1.1.0 // indirect
	go.etcd.io/bbolt v1.5.0 // indirect
	go.uber.org/multierr v1.10.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/time v0.16.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace (
	github.com/organic-scoring/organic => ../
	github.com/organic-scoring/organic/contrib/axon => ../contrib/axon
	github.com/organic-scoring/organic/contrib/boltqueue => ../contrib/boltqueue
	github.com/organic-scoring/organic/contrib/keys => ../contrib/keys
	github.com/organic-scoring/organic/contrib/natsqueue => ../contrib/natsqueue
	github.com/organic-scoring/organic/contrib/natsqueue/embedded => ../contrib/natsqueue/embedded
	github.com/organic-scoring/organic/contrib/prometheus => ../contrib/prometheus
	github.com/organic-scoring/organic/contrib/subtensor => ../contrib/subtensor
)
