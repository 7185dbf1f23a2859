package relay

import "github.com/organic-scoring/organic"

// View is what a requester sees of the answers: [One], [FirstGood] or [All], possibly changed by
// [View.HideReasoning] and [View.Failover]. It is a plain value.
type View struct {
	kind          viewKind
	uid           organic.UID
	good          func(chunk Chunk) bool
	byText        bool // good was nil
	hideReasoning bool
	failover      bool
}

type viewKind uint8

const (
	viewFirst viewKind = iota
	viewOne
	viewAll
)

// One shows the answer of one miner, whatever the others do.
func One(uid organic.UID) View { return View{kind: viewOne, uid: uid} }

// FirstGood shows the answer of the miner that is the first to emit a good chunk, from its
// beginning: chunks of it that were not good, such as one with a role only, come before. Good is
// called for each chunk until a miner is found, from the miners' goroutines and so from several at
// once; it must be quick and must neither keep nor change the chunk. A panic of it ends the answer
// as Failed, by the validator.
//
// Nil means [Chunk.HasText]: text wins, and no blank, role or reasoning does. If no miner gave text
// but one gave a whole answer with tool calls, the requester sees that. To let a miner win that
// begins to reason, or asks for a tool call, say so:
//
//	relay.FirstGood(func(c relay.Chunk) bool { return c.HasText() || c.HasReasoning() })
func FirstGood(good func(chunk Chunk) bool) View { return View{good: good} }

// All shows the answers of all miners, each chunk tagged with its UID, in the order in which the
// chunks came in.
func All() View { return View{kind: viewAll} }

// HideReasoning leaves the reasoning out of what the requester gets. By default it is shown, in a
// form that has a place for it. The answers keep it in any case.
func (v View) HideReasoning() View {
	v.hideReasoning = true
	return v
}

// Failover shows the answer of another miner when the one that is shown ends, or pauses for longer
// than WithStreamIdle allows, while the requester has seen no text and no tool call of it: that of
// the miner which was the first of the others to emit a good chunk, as FirstGood has it (for One:
// one with text). Reasoning of the first miner may have been shown by then. All ignores it.
func (v View) Failover() View {
	v.failover = true
	return v
}

// withDefaults fills in what is not set.
func (v View) withDefaults() View {
	v.failover = v.failover && v.kind != viewAll
	if v.good == nil {
		v.good, v.byText = Chunk.HasText, v.kind == viewFirst
	}
	return v
}
