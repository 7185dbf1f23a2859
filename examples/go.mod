module github.com/organic-scoring/organic/examples

go 1.26.0

require (
	github.com/nats-io/nats.go v1.55.0
	github.com/organic-scoring/organic v0.1.0
	github.com/organic-scoring/organic/contrib/axon v0.1.0
	github.com/organic-scoring/organic/contrib/keys v0.1.0
	github.com/organic-scoring/organic/contrib/natsqueue v0.1.0
	github.com/organic-scoring/organic/contrib/natsqueue/embedded v0.1.0
	github.com/stretchr/testify v1.12.1
	go.uber.org/zap v1.28.0
)

require (
	github.com/antithesishq/antithesis-sdk-go v0.8.0-default-no-op // indirect
	github.com/google/go-tpm v0.9.8 // indirect
	github.com/hashicorp/golang-lru/v2 v2.0.7 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/minio/highwayhash v1.0.4 // indirect
	github.com/mr-tron/base58 v1.3.0 // indirect
	github.com/nats-io/jwt/v2 v2.8.2 // indirect
	github.com/nats-io/nats-server/v2 v2.15.2 // indirect
	github.com/nats-io/nkeys v0.4.16 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	github.com/oasisprotocol/curve25519-voi v0.0.0-20230904125328-1f23a7beb09a // indirect
	github.com/tyler-smith/go-bip39 v1.1.0 // indirect
	go.uber.org/multierr v1.10.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/time v0.16.0 // indirect
)

replace (
	github.com/organic-scoring/organic => ../
	github.com/organic-scoring/organic/contrib/axon => ../contrib/axon
	github.com/organic-scoring/organic/contrib/keys => ../contrib/keys
	github.com/organic-scoring/organic/contrib/natsqueue => ../contrib/natsqueue
	github.com/organic-scoring/organic/contrib/natsqueue/embedded => ../contrib/natsqueue/embedded
)
