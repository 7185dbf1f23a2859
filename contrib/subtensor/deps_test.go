package subtensor_test

import (
	_ "github.com/coder/websocket"
	_ "github.com/consensys/gnark-crypto/ecc/bls12-381"
	_ "github.com/stretchr/testify/require"
	_ "golang.org/x/crypto/blake2b"
)
