package snippet

// Prompt is the payload of a sample.
type Prompt struct {
	Text    string
	Answers map[organic.UID]relay.Answer
	Hotkeys map[organic.UID]string
}

// Validator is that of examples/sn1.
type Validator struct {
	scores *weights.Scores
	copies *copies.Detector
	saver  *weights.Saver
}

var (
	v       *Validator
	text    string
	sample  organic.Sample[Prompt]
	asked   Prompt
	rewards organic.Rewards
)
