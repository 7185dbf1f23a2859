module github.com/organic-scoring/organic/examples

go 1.26.0

require (
	github.com/organic-scoring/organic v0.0.0
	github.com/stretchr/testify v1.12.1
)

require (
	go.uber.org/multierr v1.10.0 // indirect
	go.uber.org/zap v1.28.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace github.com/organic-scoring/organic => ../
