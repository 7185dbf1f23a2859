package keys_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/organic-scoring/organic/contrib/keys"
)

// An address is read strictly: the network's prefix and the checksum must fit.
func ExampleParseSS58() {
	hotkey, err := keys.ParseSS58("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY")
	fmt.Println(hotkey, err)
	_, err = keys.ParseSS58("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQZ")
	fmt.Println(errors.Is(err, keys.ErrAddress))
	// Output:
	// 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY <nil>
	// true
}

// One phrase gives a key of each scheme. A key pair never shows its secret.
func ExampleFromMnemonic() {
	const phrase = "bottom drive obey lake curtain smoke basket hold race lonely fit walk"
	for _, scheme := range []keys.Scheme{keys.SR25519, keys.Ed25519} {
		keypair, err := keys.FromMnemonic(phrase, scheme)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%v %+v\n", keypair.Scheme(), keypair)
	}
	_, err := keys.FromMnemonic("bottom drive obey", keys.SR25519)
	fmt.Println(err) // without the phrase
	// Output:
	// sr25519 5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV
	// ed25519 5DFJF7tY4bpbpcKPJcBTQaKuCDEPCpiz8TRjpmLeTtweqmXL
	// keys: mnemonic: must have 12, 15, 18, 21 or 24 words
}

// Scheme and hotkey must be those of the signer.
func ExampleVerify() {
	alice, err := keys.FromURI("//Alice", keys.Ed25519)
	if err != nil {
		log.Fatal(err)
	}
	signature, err := alice.Sign([]byte("message"))
	if err != nil {
		log.Fatal(err)
	}
	for _, scheme := range []keys.Scheme{keys.Ed25519, keys.SR25519} {
		fmt.Println(scheme, keys.Verify(scheme, alice.Hotkey(), []byte("message"), signature))
	}
	// Output:
	// ed25519 true
	// sr25519 false
}
