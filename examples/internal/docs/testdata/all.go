package snippet

// Prompt is the payload of a sample.
type Prompt struct {
	Text    string
	Answers map[organic.UID]relay.Answer
}

// Validator is one that streams.
type Validator struct {
	*organic.OrganicScorer[Prompt, relay.Answer]
	organictest.HookFuncs[Prompt, relay.Answer]
	relay  *relay.Relay
	scores *weights.Scores
	miners func(text string) map[organic.UID]relay.Miner
}

// axonNumbers is what server.Stats returns.
type axonNumbers = axon.Stats

var (
	ctx    context.Context
	v      *Validator
	scorer *Validator
	logger *zap.Logger
	sample organic.Sample[Prompt]

	answers   map[organic.UID]relay.Answer
	reference relay.Answer
	rewards   organic.Rewards
	asked     []organic.UID
	score     func(answer, reference relay.Answer) float64

	keypair              *keys.Keypair
	self, partner, miner keys.Hotkey
	body                 io.Reader
	path                 string
	server               *axon.Server
	users, allowed       *axon.AllowList

	old, queue *boltqueue.Queue[Prompt]
	key        []byte

	netuid    uint16
	client    *subtensor.Client
	neurons   []subtensortest.Neuron
	miners    atomic.Value
	scores    *weights.Scores
	saver     *weights.Saver
	setter    *weights.Setter
	source    weights.Source
	chain     weights.Chain
	metagraph weights.Metagraph
	owner     string
)
