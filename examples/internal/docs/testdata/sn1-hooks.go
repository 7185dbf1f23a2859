package snippet

// Prompt is the payload of a sample.
type Prompt struct {
	Text    string
	Answers map[organic.UID]relay.Answer
}

// Validator is that of examples/sn1.
type Validator struct {
	scores *weights.Scores
	copies *copies
	saver  *weights.Saver
}

type copies struct{}

func (*copies) see(organic.Sample[Prompt]) {}

var (
	v       *Validator
	text    string
	sample  organic.Sample[Prompt]
	rewards organic.Rewards
)
