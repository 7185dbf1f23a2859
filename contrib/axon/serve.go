package axon

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/organic-scoring/organic"
	"go.uber.org/zap"

	"github.com/organic-scoring/organic/contrib/axon/internal/gate"
)

// errEvicted is the cause of the end of a ctx whose request is evicted.
var errEvicted = errors.New("axon: evicted for a requester who has fewer requests")

// errOvertime is the cause of the end of a ctx whose time is over.
var errOvertime = fmt.Errorf("axon: time to be served is over: %w", context.DeadlineExceeded)

// evictedTime is how long the answer of a request may take to be sent that was
// evicted before it had sent anything.
const evictedTime = time.Second

// enter calls the hooks for a verified request, when its turn has come, and sends
// what they answer.
func (s *Server) enter(
	answer *answer, r *http.Request, handlers *organic.Handlers, synapse *organic.Synapse,
) *refusal {
	ctx := s.limit(r.Context(), answer, synapse)
	defer answer.close()
	defer answer.cancel(nil)
	party := gate.Party{Network: network(synapse.Remote.Addr()), Member: synapse.Requester}
	priority, no := s.guard(ctx, answer, party, handlers, synapse)
	if no != nil {
		return endOr(ctx, no)
	}
	wait := s.cfg.limits.Wait
	if synapse.Timeout > 0 {
		wait = min(wait, synapse.Timeout)
	}
	err := s.gate.Enter(
		ctx, &answer.serving.visit, party, priority, answer.began.Add(wait), answer.evict)
	switch {
	case errors.Is(err, gate.ErrFull):
		return tooManyWait
	case errors.Is(err, gate.ErrTimeout):
		return waitedEnough
	case err != nil:
		return endOr(ctx, gone)
	}
	defer answer.serving.visit.Leave()
	if err = handlers.Forward(ctx, answer, synapse); err != nil {
		return endOr(ctx, hookRefusal(err, handlers))
	}
	s.counts.served.Add(1)
	answer.broken = answer.end() != nil
	return nil
}

// limit returns the ctx of a request's hooks, which answer.cancel ends. It ends at
// the timeout of the requester, at the limits for being served, and when the request
// is evicted. An answer that is being written then is cut off.
func (s *Server) limit(
	ctx context.Context, answer *answer, synapse *organic.Synapse,
) context.Context {
	serveTime := s.cfg.limits.ServeTime
	serving := &serving{streamTime: s.cfg.limits.StreamTime}
	answer.serving = serving
	ctx, stop := context.WithCancelCause(ctx)
	serving.stop = stop
	if synapse.Protocol == organic.Bittensor && synapse.Timeout > 0 { // the others name no timeout
		serveTime = min(serveTime, synapse.Timeout)
		serving.streamTime = min(serving.streamTime, synapse.Timeout)
		var release context.CancelFunc
		ctx, release = context.WithDeadlineCause(ctx, answer.began.Add(synapse.Timeout), errOvertime)
		serving.stop = func(cause error) {
			stop(cause)
			release()
		}
	}
	serving.timer = time.AfterFunc(serveTime-time.Since(answer.began), func() {
		if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
			<-ctx.Done() // it ends by itself, as exceeded and not as canceled
		}
		answer.cancel(errOvertime)
	})
	return ctx
}

// guard calls the hooks that come before the gate.
func (s *Server) guard(
	ctx context.Context, answer *answer, party gate.Party,
	handlers *organic.Handlers, synapse *organic.Synapse,
) (priority float64, no *refusal) {
	claim := &answer.serving.guarded
	claim.Value, claim.Party = answer, party
	if !s.guarding.TakeFair(claim, nil) {
		return 0, tooManyWait
	}
	defer claim.Release()
	if err := handlers.Blacklist(ctx, synapse); err != nil {
		return 0, hookRefusal(err, handlers)
	}
	if err := handlers.Verify(ctx, synapse); err != nil {
		return 0, hookRefusal(err, handlers)
	}
	return priorityOf(handlers.Priority(ctx, synapse)), nil
}

// priorityOf makes a number of every priority, since an order needs one.
func priorityOf(priority float64) float64 {
	if math.IsNaN(priority) {
		return 0
	}
	return priority
}

// endOr is the refusal of a request whose ctx has ended, or else the other one.
func endOr(ctx context.Context, no *refusal) *refusal {
	switch cause := context.Cause(ctx); {
	case cause == nil:
		return no
	case errors.Is(cause, errEvicted):
		return evicted
	case errors.Is(cause, errOvertime):
		return overtime
	}
	return gone
}

// hookRefusal is what a requester gets for the error of a handler.
func hookRefusal(err error, handlers *organic.Handlers) *refusal {
	no := refusalOf(err)
	if no.status == http.StatusServiceUnavailable && !handlers.Open() {
		return closed // the scorer has stopped meanwhile
	}
	return no
}

// refusalOf is what a requester gets for the error of a function of the
// validator's.
func refusalOf(err error) *refusal {
	status, message := organic.RefusalOf(err)
	if status == http.StatusInternalServerError && message == http.StatusText(status) {
		return failed
	}
	return newRefusal(ReasonHook, status, message)
}

// contain makes a failure of a panic in handlers that are no scorer's; those
// contain their own.
func (s *Server) contain(r *http.Request, no **refusal) {
	value := recover()
	switch value {
	case nil:
		return
	case http.ErrAbortHandler:
		panic(value)
	}
	s.cfg.logger.Error("handler panicked", zap.String("type", fmt.Sprintf("%T", value)),
		zap.String("path", r.URL.Path), zap.Stack("stack"))
	*no = failed
}
