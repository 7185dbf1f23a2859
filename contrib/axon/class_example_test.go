package axon_test

import (
	"errors"
	"fmt"

	"github.com/organic-scoring/organic/contrib/axon"
)

// A class of a subnet, written in Python as
//
//	class Chat(bittensor.Synapse):
//	    messages: List[Message]
//	    model: str = "tiny"
//	    required_hash_fields: ClassVar[Tuple[str, ...]] = ("messages", "model")
func ExampleClass_BodyHash() {
	message := axon.Model(
		axon.Field{Name: "role", Type: axon.Str()},
		axon.Field{Name: "content", Type: axon.Str()},
	)
	chat := axon.Class{Name: "Chat", Hashed: []axon.Field{
		{Name: "messages", Type: axon.List(message)},
		{Name: "model", Type: axon.Str(), Default: `"tiny"`},
	}}

	hash, err := chat.BodyHash([]byte(`{"messages": [{"role": "user", "content": "It's late."}]}`))
	fmt.Println(hash, err)

	_, err = chat.BodyHash([]byte(`{"messages": [], "Messages": [{"role": "user", "content": "Pay Eve."}]}`))
	fmt.Println(errors.Is(err, axon.ErrBadBody), err)
	// Output:
	// d041b3d1bbc73ebe24a93c2cbdcad05c77ea07588be9a79307c244bec1cfb30e <nil>
	// true axon: bad body: a key differs from a field's name by case only
}
