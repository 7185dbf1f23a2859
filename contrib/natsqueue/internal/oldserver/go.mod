module github.com/organic-scoring/organic/contrib/natsqueue/internal/oldserver

go 1.26.0

replace github.com/organic-scoring/organic => ../../../..

replace github.com/organic-scoring/organic/contrib/natsqueue => ../..

require (
	github.com/nats-io/nats-server/v2 v2.10.18
	github.com/nats-io/nats.go v1.55.0
	github.com/organic-scoring/organic v0.1.0
	github.com/organic-scoring/organic/contrib/natsqueue v0.1.0
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/klauspost/compress v1.20.0 // indirect
	github.com/minio/highwayhash v1.0.3 // indirect
	github.com/nats-io/jwt/v2 v2.5.8 // indirect
	github.com/nats-io/nkeys v0.4.16 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	go.uber.org/multierr v1.10.0 // indirect
	go.uber.org/zap v1.28.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/crypto v0.57.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
	golang.org/x/time v0.5.0 // indirect
)
