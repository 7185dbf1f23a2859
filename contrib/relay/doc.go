// Package relay asks several miners one query, streams what they answer to the
// one who asked, and keeps all of it for scoring. It replaces the code between
// an HTTP handler and its miners that every validator with live users writes
// by hand: the miners are not asked a second time to be scored, a slow miner
// costs nobody else's answer, and a requester who hangs up loses no sample.
//
// # Overview
//
// A [Query] names the miners, each a function that emits chunks ([Miner]), and
// what the requester is to see of their answers ([View]): that of one miner
// ([One]), that of the first who gives a good chunk ([FirstGood]), or all of
// them, tagged ([All]). [Relay.Serve] writes it to an http.ResponseWriter, as
// events ([SSE]) or as raw chunks ([Raw]), while every miner's chunks are
// collected with their times. When the last answer has ended, or the time is
// over, Query.Done gets them all, one [Answer] for each miner, which says how
// it ended: complete, failed, timed out, silent, and so on. So a whole entry
// hook is
//
//	func (v *Validator) OnOrganicEntry(ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse) error {
//		prompt := string(synapse.Body)
//		return v.relay.Serve(ctx, w, relay.Query{
//			Miners: v.miners(prompt),
//			View:   relay.FirstGood(nil),
//			Done: func(ctx context.Context, result *relay.Result) error {
//				if err := result.Err(); err != nil {
//					return err // cut short, and not by the miners: nothing to score
//				}
//				_, err := v.Enqueue(ctx, Prompt{Text: prompt, Answers: result.Answers})
//				return err
//			},
//		})
//	}
//
// and QueryMiners returns the answers that came with the sample, or those of
// [Relay.Ask] for a synthetic one, which has none.
//
// Answers that Close, a cancelled ctx or a lack of room has cut short are no
// fault of their miners: [Result.Err] says so, and Ask and Answers return that
// error beside them.
//
// # A miner over HTTP
//
// [Forward] reads the stream of an OpenAI-style server, and its comment has a
// whole [Miner] made of it. [Content] reads the text in one of its chunks.
//
// # Waiting by ID
//
// Instead of carrying the answers, a sample may find them by its ID. Give the
// query the ID of the sample and enqueue the sample when Serve has returned,
// also when the requester has left or the stream failed, but not when nobody was
// asked:
//
//	func (v *Validator) OnOrganicEntry(ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse) error {
//		sample := organic.NewSample(string(synapse.Body))
//		err := v.relay.Serve(ctx, w, relay.Query{ID: sample.ID, Miners: v.miners(sample.Payload)})
//		if errors.Is(err, relay.ErrNotAsked) {
//			return err
//		}
//		_, enqueueErr := v.EnqueueSample(context.WithoutCancel(ctx), sample) // the requester may have left
//		return errors.Join(err, enqueueErr)
//	}
//
// QueryMiners asks [Relay.Answers], which waits for a relay that still runs
// and knows the answers for a while after (WithKeep), in the same process.
// Answers that are gone by then are asked for a second time:
//
//	func (v *Validator) QueryMiners(ctx context.Context, sample organic.Sample[string]) (map[organic.UID]relay.Answer, error) {
//		answers, err := v.relay.Answers(ctx, sample.ID)
//		if errors.Is(err, relay.ErrUnknown) { // never asked, or too long ago
//			return v.relay.Ask(ctx, relay.Query{Miners: v.miners(sample.Payload)})
//		}
//		return answers, err
//	}
//
// # The end of a stream
//
// A stream has one end. SSE ends with [DONE], or with an event that holds an
// error; Serve then returns nil. Where the wire has no words for a failure,
// Serve returns an error, which an axon answers with a status when nothing is
// out, and else by breaking the connection, so that no client takes a part for
// the whole. What a requester is told is a [Failure]: one of three sentences,
// nothing of what happened at the miners.
//
// # Limits
//
// Miners never wait for the requester. Each answer is bounded (WithMaxAnswer),
// and so are the time for all of them (WithTimeout, WithFirstChunk) and the
// relays that are open at once (WithMaxOpen), and the memory of what they have
// collected (WithMaxInFlight). A requester who lags behind (WithMaxLag), or
// takes nothing at all for a while (WithWriteTimeout), is cut off, and told so
// unless the connection itself is stuck. Answers that come in are in memory
// only: a process that dies loses them with the request.
//
// How many miners a query has is the caller's to bound. Each takes a goroutine,
// or as many as WithParallel says do, and the relay one more. An open relay of
// three miners that have sent ten chunks of 200 bytes each takes about 40 KB in
// all, stacks included, so a thousand take 40 MB. To relay and record a chunk
// that is written alone costs about 1.15 to 1.35 times what a loop costs that
// only copies and flushes it; chunks that come faster are written together.
//
// The header and the first byte leave with the first chunk, and nothing between
// two chunks, unless WithKeepAlive says so.
//
// # Concurrency
//
// Serve writes in the goroutine of its caller. The miner functions and Done
// run in goroutines of the relay, which [Relay.Close] waits for. An answer is
// complete when its time is over, even if its miner function has not returned
// then; the relay stays open, and counts for WithMaxOpen, until it has. So
// nothing is lost to a miner function that does not heed its ctx, but Close
// cannot return before it does.
//
// # Privacy
//
// Chunks are other people's text. The package puts none into an error, and
// [Answer], [Chunk], [Result] and [Event] print without it when they are
// handed to fmt, zap or slog. JSON keeps it, for queues, and so do logs that
// encode a map or slice of them as JSON. The text of a miner function's own
// error is carried as it comes.
package relay
