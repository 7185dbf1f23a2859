package snippet

// Prompt is that of the complete validator.
type Prompt struct {
	Request []byte
	Answers Answers
}

type (
	Sample  = organic.Sample[Prompt]
	Answers = map[organic.UID]relay.Answer
)

// Validator is the complete one.
type Validator struct {
	*organic.OrganicScorer[Prompt, relay.Answer]
	organictest.HookFuncs[Prompt, relay.Answer]
	relay  *relay.Relay
	scores *weights.Scores
	miners func(request []byte) map[organic.UID]relay.Miner
}
