package keys_test

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/organic-scoring/organic/contrib/keys"
)

// A key pair signs, and its address is enough to verify.
func Example() {
	alice, err := keys.FromURI("//Alice", keys.SR25519) // a public key pair, for tests
	if err != nil {
		log.Fatal(err)
	}
	signature, err := alice.Sign([]byte("message"))
	if err != nil {
		log.Fatal(err)
	}

	hotkey, err := keys.ParseSS58("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(hotkey == alice.Hotkey(), alice)
	fmt.Println(keys.Verify(keys.SR25519, hotkey, []byte("message"), signature))
	fmt.Println(keys.Verify(keys.SR25519, hotkey, []byte("massage"), signature))
	// Output:
	// true 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY
	// true
	// false
}

// The address in a key file decides which type of key it holds. An encrypted
// file needs a password function.
func ExampleLoad() {
	dir, err := os.MkdirTemp("", "wallet")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	hotkey := filepath.Join(dir, "default")
	content := `{"secretSeed": "0xabf8e5bdbe30c65656c0a3cbd181ff8a56294a69dfedd27982aace4a76909115",
		"ss58Address": "5FA9nQDVg267DEd8m1ZypXLBnvN7SFxYwV7ndqSYGiN9TTpu"}`
	if err := os.WriteFile(hotkey, []byte(content), 0o600); err != nil {
		fmt.Println(err)
		return
	}

	keypair, err := keys.Load(hotkey, nil)
	fmt.Println(keypair, keypair.Scheme(), err)

	_, err = keys.Load(filepath.Join("testdata", "nacl-sr25519"), nil)
	fmt.Println(errors.Is(err, keys.ErrEncrypted), err)
	// Output:
	// 5FA9nQDVg267DEd8m1ZypXLBnvN7SFxYwV7ndqSYGiN9TTpu ed25519 <nil>
	// true keys: the key file is encrypted and no password was given (key file "testdata/nacl-sr25519")
}
