// Package relay asks several miners one query, streams what they answer to the one who asked, and
// keeps all of it for scoring. It replaces the code between an HTTP handler and its miners that
// every validator with live users writes by hand: the miners are not asked a second time to be
// scored, a slow miner delays no other answer, and a requester who hangs up loses no sample.
//
// # Overview
//
// A [Query] names the miners, each a function that emits chunks ([Miner]), and what the requester
// is to see of their answers ([View]): that of one miner ([One]), that of the first with text to
// read ([FirstGood]), or all of them, tagged ([All]). [Relay.Serve] writes it to an
// http.ResponseWriter, in OpenAI's form ([SSE]) or as text alone ([PlainText]), while every miner's
// chunks are collected with their times. When the last answer has ended, or the time is over,
// Query.Done gets them all, one [Answer] for each miner, which says how it ended and who ended it.
// So a whole entry hook is
//
//	func (v *Validator) OnOrganicEntry(
//		ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse,
//	) error {
//		prompt := string(synapse.Body)
//		return v.relay.Serve(ctx, w, relay.Query{
//			Miners: v.miners(prompt),
//			View:   relay.FirstGood(nil),
//			Done: func(ctx context.Context, result *relay.Result) error {
//				if err := result.Err(); err != nil {
//					return err // cut short, and not by the miners: nothing to score
//				}
//				_, err := v.EnqueueSample(ctx, organic.Sample[Prompt]{
//					Payload:   Prompt{Text: prompt, Answers: result.Answers},
//					Requester: synapse.Requester, // for guards by requester
//					Received:  result.Started,    // the holder of a UID at that time is rewarded
//				})
//				return err
//			},
//		})
//	}
//
// and QueryMiners returns the answers that came with the sample, or those of [Relay.Ask] for a
// synthetic one, which has none.
//
// # Chunks
//
// A [Chunk] is text with optional structure: reasoning, tool calls, a role, the reason of the end,
// usage. It is not the wire's JSON. [OpenAI] makes chunks of the body that an OpenAI-style server
// sends, whatever its dialect, and [Post] is a whole [Miner]. [Answer.Text], [Answer.Reasoning] and
// [Answer.ToolCalls] are what a scorer compares.
//
// # Winning, and being late
//
// A blank, a role or reasoning wins no requester: FirstGood(nil) takes the first chunk with text
// that a reader sees. The same notion judges lateness ([Answer.FirstText]). Since a first word
// alone can be sent to win, [Answer.HalfText] says when half of the text was there. [View.Failover]
// shows another answer in place of one that ends or pauses before its text.
//
// # Whose fault
//
// Answer.EndedBy is who ended an answer: the miner, its time, the requester, or the validator. Only
// the first two are to be scored ([Answer.Scorable]). Time that a miner waited for its turn, a
// caller that cut it short, and failures of the validator are never the miner's.
//
// # Waiting by ID
//
// Instead of carrying the answers, a sample may find them by its ID. Give the query the ID of the
// sample and enqueue the sample when Serve has returned, also if the requester has left or the
// stream failed, but not if no miner was asked ([ErrNotAsked]). QueryMiners asks [Relay.Answers],
// which waits for a relay that still runs and knows the answers for a while after (WithKeep), in
// the same process:
//
//	func (v *Validator) QueryMiners(
//		ctx context.Context, sample organic.Sample[string],
//	) (map[organic.UID]relay.Answer, error) {
//		answers, err := v.relay.Answers(ctx, sample.ID)
//		if errors.Is(err, relay.ErrUnknown) { // never asked, or too long ago
//			return v.relay.Ask(ctx, relay.Query{Miners: v.miners(sample.Payload)})
//		}
//		return answers, err
//	}
//
// # Synthetic queries
//
// A miner that can distinguish synthetic queries from those of users answers only one kind well.
// [Arrivals] draws the times of synthetic queries from those of users' queries, at a bounded rate.
// Ask both through one HTTP client and one Relay, by [Relay.Collect] those that no requester waits
// for: their answers go to Query.Done too. The package copies finds miners that repeat the answers
// of others.
//
// # The end of a stream
//
// A stream has one end. SSE ends with [DONE], or with an event that holds an error; Serve then
// returns nil. If the form has no words for a failure, Serve returns an error, which an axon
// answers with a status if nothing is out, and else by breaking the connection, so that no client
// takes half an answer for a whole one. A requester learns of it by a [Failure]: one of three
// sentences, nothing of what happened at the miners.
//
// # Limits
//
// Miners never wait for the requester. Each answer is bounded (WithMaxAnswer), and so are the time
// for all of them (WithTimeout), for a miner's first chunk (WithFirstChunk) and between two of its
// chunks (WithIdle), the relays that are open at once (WithMaxOpen), and the memory of what they
// have collected (WithMaxInFlight). A requester waits no longer than WithStreamIdle between two
// chunks, with comments meanwhile (WithKeepAlive). One that lags behind (WithMaxLag), or takes
// nothing at all for a while (WithWriteTimeout), is cut off. Answers that come in are in memory
// only: a process that dies loses them with the request.
//
// How many miners a query has is the caller's to bound. Each takes a goroutine, or as many as
// WithParallel says do, and the relay one more. An open relay of ten miners that have sent ten
// chunks of 200 bytes each takes about 90 KB in all, stacks included, one of three miners about 35
// KB. A chunk that is read, relayed and recorded alone costs less than 1.5 times what a loop costs
// that parses it with encoding/json, writes and flushes it; chunks that come faster are written
// together.
//
// # Concurrency
//
// Serve writes in the goroutine of its caller. The miner functions and Done run in goroutines of
// the relay, which [Relay.Close] waits for. An answer is complete when its time is over, even if
// its miner function has not returned then; the relay stays open, and counts for WithMaxOpen, until
// it has. So Close cannot return before a miner function that does not heed its ctx.
//
// # Privacy
//
// Chunks are other people's text. The package puts none into an error, and [Answer], [Chunk],
// [ToolCall], [Result] and [Event] print without it when they are handed to fmt, zap or slog. JSON
// keeps it, for queues, and so do logs that encode a map or slice of them as JSON. The text of a
// miner function's own error is carried as it comes.
package relay
