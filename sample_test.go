package organic_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// markers are what must not be seen anywhere.
var markers = []string{
	"M-PAYLOAD", "M-RESPONSE", "M-REFERENCE", "M-REQUESTER", "M-HEADER",
	"M-BODY", "M-VALUE",
}

// disclosure keeps all that a scorer has got.
type disclosure struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

// Write takes in log lines.
func (d *disclosure) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(p)
}

// Sync does nothing.
func (d *disclosure) Sync() error { return nil }

func (d *disclosure) logger() *zap.Logger {
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewDevelopmentEncoderConfig()), d,
		zap.DebugLevel)
	return zap.New(core, zap.AddStacktrace(zap.ErrorLevel))
}

// show prints a value in every way there is.
func (d *disclosure) show(values ...any) {
	for _, value := range values {
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10v"} {
			_, _ = fmt.Fprintf(d, format+"\n", value)
		}
		_, _ = fmt.Fprintln(d, value)
		d.logger().Info("value", zap.Any("value", value))
		d.logger().Sugar().Infow("value", "value", value)
		slog.New(slog.NewTextHandler(d, nil)).Info("value", "value", value)
		slog.New(slog.NewJSONHandler(d, nil)).Info("value", "value", value)
	}
}

// showEvent prints an event, as JSON too.
func (d *disclosure) showEvent(e organic.Event) {
	text, _ := json.Marshal(e)
	_, _ = fmt.Fprintf(d, "%v\n%+v\n%#v\n%s\n", e, e, e, text)
}

func (d *disclosure) requireNone(t *testing.T) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, marker := range markers {
		require.NotContains(t, d.text.String(), marker)
		require.NotContains(t, d.text.String(), fmt.Sprintf("%x", marker))
		require.NotContains(t, d.text.String(), fmt.Sprintf("%X", marker))
	}
	d.text.Reset()
}

func secretSample() promptSample {
	return promptSample{
		ID: "id-1", Payload: "M-PAYLOAD", Requester: "M-REQUESTER",
		Received: time.Now(), Attempt: 2,
	}
}

func secretSynapse() *organic.Synapse {
	return &organic.Synapse{
		Name: "Prompt", Path: "/Prompt", Protocol: organic.EpistulaV2,
		Dendrite: organic.Dendrite{Hotkey: "M-REQUESTER"},
		Header:   http.Header{"X-Secret": {"M-HEADER"}}, Body: []byte("M-BODY"),
	}
}

// panicOf returns the error of a hook that panics with a value.
func panicOf(t *testing.T, value any) *organic.PanicError {
	t.Helper()
	scorer, err := organic.New(promptHooks{QueryMinersFunc: func(
		context.Context, promptSample,
	) (map[organic.UID]string, error) {
		panic(value)
	}})
	require.NoError(t, err)
	_, err = scorer.Enqueue(t.Context(), "prompt")
	require.NoError(t, err)
	_, err = scorer.Iterate(t.Context())
	var panicked *organic.PanicError
	require.ErrorAs(t, err, &panicked)
	return panicked
}

func TestValuesPrintWithoutWhatTheyCarry(t *testing.T) {
	t.Parallel()
	result := promptResult{
		Sample: secretSample(), Responses: map[organic.UID]string{1: "M-RESPONSE"},
		Reference: "M-REFERENCE", Rewards: organic.Rewards{1: 1},
	}
	sample, lease := result.Sample, promptLease{Sample: result.Sample}
	settling := promptLease{
		Sample: sample,
		Settle: func(context.Context, organic.Verdict) error { return nil },
	}
	panicked := panicOf(t, "M-VALUE")
	tests := []struct {
		name   string
		values []any
		shows  string
	}{
		{"sample", []any{sample, &sample}, "id-1"},
		{"result", []any{result, &result}, "id-1"},
		{"lease", []any{lease, &lease, settling, &settling}, "id-1"},
		{"synapse", []any{*secretSynapse(), secretSynapse()}, "/Prompt"},
		{"panic", []any{
			panicked, *panicked, &organic.StageError{Stage: organic.StageQuery, Err: panicked},
			organic.Event{
				Kind: organic.EventFailed, ID: "id-2",
				Err: &organic.StageError{Stage: organic.StageQuery, Err: panicked},
			},
			organic.Verdict{Outcome: organic.OutcomeRetry, Err: panicked},
			errors.Join(panicked, errFailed), organic.Discard(panicked),
		}, "value of type string"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var d disclosure
			d.show(test.values...)
			require.Contains(t, d.text.String(), test.shows)
			d.requireNone(t)
		})
	}
}

func TestJSONKeepsASampleForCodecs(t *testing.T) {
	t.Parallel()
	sample := secretSample()
	sample.Received = sample.Received.UTC().Round(0)
	text, err := json.Marshal(sample)
	require.NoError(t, err)
	require.Contains(t, string(text), "M-PAYLOAD")
	var got promptSample
	require.NoError(t, json.Unmarshal(text, &got))
	require.Equal(t, sample, got)
}

// secretive are the ways in which a hook may fail that are not its own text.
var secretive = map[string]func() error{
	"error":            func() error { return errFailed },
	"retry after":      func() error { return organic.RetryAfter(time.Second, errFailed) },
	"discard":          func() error { return organic.Discard(errFailed) },
	"panic with value": func() error { panic("M-VALUE") },
	"panic with error": func() error { panic(fmt.Errorf("about %s", "M-VALUE")) },
	"panic with struct": func() error {
		panic(struct{ Prompt *string }{new("M-VALUE")})
	},
	"panic with sample":  func() error { panic(secretSample()) },
	"panic with payload": func() error { panic([]byte("M-PAYLOAD")) },
	"goexit": func() error {
		runtime.Goexit()
		return nil
	},
}

// leads is what the query must end in to get to a place.
var leads = map[string]error{
	"dead letter": organic.Discard(errFailed),
	"add":         organic.RetryAfter(0, errFailed),
}

// spot is where it happens.
type spot func(place string) error

func secretHooks(at spot) promptHooks {
	return promptHooks{
		QueryMinersFunc: func(context.Context, promptSample) (map[organic.UID]string, error) {
			return map[organic.UID]string{1: "M-RESPONSE"}, at("query")
		},
		GenerateReferenceFunc: func(context.Context, promptSample) (string, error) {
			return "M-REFERENCE",
				at("reference")
		},
		GenerateRewardsFunc: func(
			context.Context, promptSample, map[organic.UID]string, string,
		) (organic.Rewards, error) {
			return organic.Rewards{1: 1}, at("rewards")
		},
		SetWeightsFunc: func(
			context.Context, promptSample, organic.Rewards,
		) error {
			return at("weights")
		},
		LogResultsFunc: func(context.Context, *promptResult) error { return at("log") },
		OnOrganicEntryFunc: func(context.Context, http.ResponseWriter, *organic.Synapse) error {
			return at("entry")
		},
		BlacklistFunc: func(context.Context, *organic.Synapse) error { return at("blacklist") },
		VerifyFunc:    func(context.Context, *organic.Synapse) error { return at("verify") },
		PriorityFunc: func(context.Context, *organic.Synapse) float64 {
			_ = at("priority")
			return 0
		},
	}
}

// secretQueue is a settling queue, or a plain one that also refuses and drops.
func secretQueue(t *testing.T, at spot, settles bool) organic.Queue[string] {
	t.Helper()
	if settles {
		queue := newSettlingQueue()
		queue.before = func(organic.Verdict) error { return at("settle") }
		return queue
	}
	queue := newFaultyQueue(t, organic.MemoryConfig{Capacity: 2, MaxAge: time.Minute})
	queue.beforeSample = func(context.Context) error { return at("sample") }
	queue.beforeAdd = func(context.Context) error { return at("add") }
	return queue
}

// requireSecrecy lets a scorer run into one failure after another, and looks
// at all it says.
func requireSecrecy(t *testing.T, place string, fail func() error, settles bool) {
	t.Helper()
	var d disclosure
	var armed bool
	var mu sync.Mutex
	at := func(here string) error {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case !armed:
			return nil
		case here == place:
			return fail()
		case here == "query":
			return leads[place]
		}
		return nil
	}
	axon := &organictest.Axon{}
	scorer, err := organic.New(secretHooks(at), organic.WithQueue(secretQueue(t, at, settles)),
		organic.WithLogger(d.logger()),
		organic.WithTrigger(organic.Seconds{Frequency: 5 * time.Second}), organic.WithAxon(axon),
		organic.WithSynth(organic.SynthFunc[string](func(context.Context) (string,
			error,
		) {
			return "M-PAYLOAD", at("dataset")
		})),
		organic.WithObserver(func(e organic.Event) {
			d.showEvent(e)
			if place == "observer" {
				_ = at("observer")
			}
		}),
		organic.WithDeadLetter(func(_ context.Context, _ promptSample, cause error) error {
			d.show(cause)
			return at("dead letter")
		}))
	require.NoError(t, err)
	for range 4 {
		_, err := scorer.EnqueueSample(t.Context(),
			promptSample{Payload: "M-PAYLOAD", Requester: "M-REQUESTER"})
		d.show(err)
	}
	mu.Lock()
	armed = true
	mu.Unlock()
	require.NoError(t, scorer.Start(t.Context()))
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		_, body := axon.Ask(t.Context(), secretSynapse())
		d.show(string(body))
	}()
	<-asked
	time.Sleep(40 * time.Second)
	d.show(scorer.Stats(), scorer.Stop(t.Context()))
	d.requireNone(t)
}

func TestNoFailureGivesAwayWhatASampleCarries(t *testing.T) {
	t.Parallel()
	places := []string{
		"query", "reference", "rewards", "weights", "log", "entry", "blacklist", "verify", "priority",
		"sample", "add", "settle", "dataset", "dead letter", "observer", "nowhere",
	}
	for _, place := range places {
		for name, fail := range secretive {
			if place == "observer" && name == "goexit" {
				continue // observers are not promised to survive that
			}
			t.Run(place+" "+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					requireSecrecy(t, place, fail, place == "settle")
				})
			})
		}
	}
}

func TestOptionsOfTheWrongTypeShowNoPayload(t *testing.T) {
	t.Parallel()
	queue := newMemory(t)
	require.NoError(t, queue.Add(t.Context(), secretSample()))
	dataset := must(organic.NewSliceDataset([]string{"M-PAYLOAD"}, 0))
	v := &chatValidator{}
	_, err := organic.New(v, organic.WithQueue(queue), organic.WithSynth(dataset))
	require.ErrorIs(t, err, organic.ErrInvalidOption)
	var d disclosure
	d.show(err)
	d.requireNone(t)
}

func TestTextOfAHooksErrorIsLoggedOnce(t *testing.T) {
	t.Parallel()
	for _, stage := range hookStages {
		t.Run(stage.String(), func(t *testing.T) {
			t.Parallel()
			var d disclosure
			s := newTestScorer(t, failing(stage, errors.New("the hook's own words")),
				organic.WithLogger(d.logger()),
				organic.WithStage(stage, organic.StagePolicy{Tries: 1}), organic.WithRetry(organic.RetryPolicy{Attempts: 1}))
			s.enqueue("prompt")
			_, err := s.Iterate(t.Context())
			require.Equal(t, stage == organic.StageLog, err == nil)
			require.Equal(t, 1, bytes.Count(d.text.Bytes(), []byte("the hook's own words")))
		})
	}
}

// valueHooks, valueQueue and valueDataset are user code that is passed by value.
type (
	valueHooks struct {
		promptHooks

		last string
	}
	valueQueue struct {
		organic.Queue[string]

		last []promptSample
	}
	valueDataset []string
)

func (d valueDataset) Sample(context.Context) (string, error) { return d[0], nil }

// TestWhatHoldsSamplesPrintsNone has every verb and encoder look at values that
// hold samples, by pointer and by value.
func TestWhatHoldsSamplesPrintsNone(t *testing.T) {
	t.Parallel()
	queue := newMemory(t)
	s, err := organic.New(later(time.Hour), organic.WithQueue(queue))
	require.NoError(t, err)
	for range 3 {
		_, err = s.EnqueueSample(t.Context(), secretSample())
		require.NoError(t, err)
	}
	_, err = s.Iterate(t.Context()) // one of them is delayed now
	require.ErrorIs(t, err, errFailed)
	type validator struct {
		*organic.OrganicScorer[string, string]
		organic.DefaultHooks[string, string]

		queue *organic.MemoryQueue[string]
		err   organic.PanicError
	}
	embedding := validator{OrganicScorer: s, queue: queue, err: *panicOf(t, secretSample())}
	dataset := must(organic.NewSliceDataset([]string{"M-PAYLOAD"}, 1))
	named := organic.Named[string]("name", 1, dataset)
	byValue := organic.Named[string]("name", 1, valueDataset{"M-PAYLOAD"})
	ofValues, err := organic.New(valueHooks{last: "M-PAYLOAD"}, organic.WithSynth(byValue),
		organic.WithQueue[string](valueQueue{Queue: queue, last: []promptSample{secretSample()}}))
	require.NoError(t, err)
	values := []any{
		ofValues, *ofValues,
		validator{OrganicScorer: ofValues},
		byValue, &byValue,
		dataset, *dataset, named, &named, queue, *queue, s, *s, embedding, &embedding,
		[]any{queue, s},
		map[string]any{"q": *queue, "s": *s},
	}
	for _, value := range values {
		for _, verb := range []string{
			"%v", "%+v", "%#v", "%s", "%d", "%q", "%x", "%T", "%t", "%p", "%c",
			"%U", "%g", "%w",
		} {
			require.NotContains(t, fmt.Sprintf(verb, value), "M-", "%s of %T", verb, value)
		}
		var out bytes.Buffer
		zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()),
			zapcore.AddSync(&out), zap.DebugLevel)).
			Info("any", zap.Any("value", value), zap.Reflect("reflect", value))
		slog.New(slog.NewJSONHandler(&out, nil)).Info("any", "value", value)
		slog.New(slog.NewTextHandler(&out, nil)).Info("any", "value", value)
		encoded, err := json.Marshal(value)
		require.NoError(t, err)
		require.NotContains(t, out.String()+string(encoded), "M-", "%T", value)
	}
}

func TestJSONOfResultsAndRequestsHasNoText(t *testing.T) {
	t.Parallel()
	result := promptResult{
		Sample: secretSample(), Responses: map[organic.UID]string{1: "M-RESPONSE"},
		Reference: "M-REFERENCE", Rewards: organic.Rewards{1: 1},
	}
	for shows, value := range map[string]any{
		"id-1": []any{
			result, &result,
			[]promptResult{result},
			map[string]*promptResult{"result": &result},
		},
		"/Prompt": []any{*secretSynapse(), secretSynapse(), []*organic.Synapse{secretSynapse()}},
	} {
		var d disclosure
		text, err := json.Marshal(value)
		require.NoError(t, err)
		require.Contains(t, string(text), shows)
		_, _ = d.Write(text)
		slog.New(slog.NewJSONHandler(&d, nil)).Info("nested", "values", value)
		d.requireNone(t)
	}
}
