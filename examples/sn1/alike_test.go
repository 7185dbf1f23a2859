package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/examples/internal/wire"
)

// sighting is what a miner sees of one request, except for the text of the prompt. The label, which
// the test has put into the text, is what the miner wants to find out.
type sighting struct {
	synthetic  bool
	at         time.Time
	start      string // method, path and version
	header     string // names in their order, and the values that do not vary
	headerSize int
	bodySize   int
	question   question
	conn       int           // which connection, in their order
	turn       int           // which request of the connection
	port       int           // of the validator's side
	connAge    time.Duration // at the request
	busy       int           // requests that were being answered
	cut        bool          // the connection ended before the answer was out
}

// wiretap is a miner that records what it is sent, byte by byte.
type wiretap struct {
	listener net.Listener

	mu    sync.Mutex // guards what follows
	all   []*sighting
	conns int
	busy  int
	errs  []error
}

func newWiretap(t *testing.T) *wiretap {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wiretap{listener: listener}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { w.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	return w
}

// serve answers the requests of one connection.
func (w *wiretap) serve(conn net.Conn) {
	defer conn.Close()
	opened, in := time.Now(), bufio.NewReader(conn)
	w.mu.Lock()
	w.conns++
	number, random := w.conns, rand.New(rand.NewPCG(uint64(w.conns), 1))
	w.mu.Unlock()
	for turn := 1; ; turn++ {
		s, err := readRequest(in)
		if errors.Is(err, io.EOF) {
			return
		}
		s.conn, s.turn, s.port = number, turn, conn.RemoteAddr().(*net.TCPAddr).Port
		w.mu.Lock()
		s.at, s.connAge = time.Now(), time.Since(opened)
		s.busy = w.busy
		w.busy++
		w.all, w.errs = append(w.all, s), append(w.errs, err)
		w.mu.Unlock()
		err = answerSlowly(conn, time.Duration(1+random.IntN(20))*time.Millisecond)
		w.mu.Lock()
		w.busy--
		s.cut = err != nil
		w.mu.Unlock()
	}
}

// answerSlowly gives two words, some time apart.
func answerSlowly(conn net.Conn, wait time.Duration) error {
	const first = "data: {\"choices\":[{\"delta\":{\"content\":\"two \"}}]}\n\n"
	const second = "data: {\"choices\":[{\"delta\":{\"content\":\"words\"}}]}\n\ndata: [DONE]\n\n"
	_, err := fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n%s",
		len(first)+len(second), first)
	<-time.After(wait)
	_, err2 := io.WriteString(conn, second)
	return errors.Join(err, err2)
}

// readRequest reads a request. Of values that differ in each it keeps the length.
func readRequest(in *bufio.Reader) (*sighting, error) {
	s := new(sighting)
	var err error
	if s.start, err = in.ReadString('\n'); err != nil {
		return s, io.EOF
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil || line == "\r\n" {
			break
		}
		s.headerSize += len(line)
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "Content-Length":
			if s.bodySize, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
				return s, err
			}
			line = name
		case "X-Bittensor-Nonce", "X-Bittensor-Signature", "X-Bittensor-Timestamp":
			line = name + ": " + strconv.Itoa(len(value))
		}
		s.header += line
	}
	body := make([]byte, s.bodySize)
	if _, err := io.ReadFull(in, body); err != nil {
		return s, err
	}
	err = json.Unmarshal(body, &s.question)
	s.synthetic = strings.HasPrefix(s.question.Messages[0].Content, "synthetic")
	return s, err
}

// features are what a miner can compute of each request, from all that it has seen before and after.
func features(all []*sighting) [][]float64 {
	common := all[0].header
	rows := make([][]float64, len(all))
	for i, s := range all {
		row := []float64{
			float64(s.headerSize), float64(s.bodySize), truth(s.header != common),
			truth(s.start != all[0].start),
			s.question.Temperature, math.Log(float64(s.question.MaxTokens)),
			float64(s.question.Seed) / math.MaxUint32,
			truth(s.turn == 1), math.Log(float64(s.turn)), float64(s.conn), float64(s.port),
			seconds(s.connAge),
			float64(s.busy), truth(s.cut), float64(i) / float64(len(all)),
		}
		for _, k := range []int{1, 2, 4} { // gaps before and after, and whether they are those of a burst
			before, after := gap(all, i-k, i), gap(all, i, i+k)
			row = append(row, before, after, truth(before < -6), truth(after < -6))
		}
		for _, width := range []time.Duration{5 * time.Millisecond, 50 * time.Millisecond, time.Second} {
			row = append(row, float64(near(all, i, width)))
		}
		for _, value := range slices.Clone(row) { // which lets the regression find what lies in the middle
			row = append(row, value*value)
		}
		rows[i] = row
	}
	return rows
}

// gap is the logarithm of the time between two requests.
func gap(all []*sighting, i, j int) float64 {
	if i < 0 || j >= len(all) {
		return 0
	}
	return math.Log(1e-5 + all[j].at.Sub(all[i].at).Seconds())
}

// near counts the requests around one.
func near(all []*sighting, i int, width time.Duration) (count int) {
	for j := i - 1; j >= 0 && all[i].at.Sub(all[j].at) < width; j-- {
		count++
	}
	for j := i + 1; j < len(all) && all[j].at.Sub(all[i].at) < width; j++ {
		count++
	}
	return count
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func seconds(d time.Duration) float64 { return d.Seconds() }

// standardize gives each column the mean 0 and the deviation 1.
func standardize(rows [][]float64) {
	for j := range rows[0] {
		var mean, square float64
		for _, row := range rows {
			mean += row[j] / float64(len(rows))
		}
		for _, row := range rows {
			square += (row[j] - mean) * (row[j] - mean) / float64(len(rows))
		}
		deviation := math.Sqrt(square)
		for _, row := range rows {
			row[j] = (row[j] - mean) / max(deviation, 1e-12)
		}
	}
}

// regress fits a logistic regression with a small ridge by gradient descent, and returns the
// probabilities that it gives the rows that were left out.
func regress(rows [][]float64, labels []bool, left func(i int) bool, guess []float64) {
	const rounds, rate, ridge = 200, 0.5, 1e-3
	weights, bias, n := make([]float64, len(rows[0])), 0.0, 0.0
	for i := range rows {
		n += truth(!left(i))
	}
	for range rounds {
		slope, tilt := make([]float64, len(weights)), 0.0
		for i, row := range rows {
			if left(i) {
				continue
			}
			off := probability(weights, bias, row) - truth(labels[i])
			tilt += off / n
			for j, value := range row {
				slope[j] += off * value / n
			}
		}
		bias -= rate * tilt
		for j := range weights {
			weights[j] -= rate * (slope[j] + ridge*weights[j])
		}
	}
	for i, row := range rows {
		if left(i) {
			guess[i] = probability(weights, bias, row)
		}
	}
}

func probability(weights []float64, bias float64, row []float64) float64 {
	sum := bias
	for j, value := range row {
		sum += weights[j] * value
	}
	return 1 / (1 + math.Exp(-sum))
}

// classify returns the area under the curve of guesses at requests that the classifier was not
// trained on (five-fold), and the upper end of its 95 % interval (Hanley and McNeil 1982).
func classify(all []*sighting) (auc, upper float64) {
	rows, labels, guess := features(all), make([]bool, len(all)), make([]float64, len(all))
	for i, s := range all {
		labels[i] = s.synthetic
	}
	standardize(rows)
	for fold := range 5 {
		regress(rows, labels, func(i int) bool { return i*5/len(rows) == fold }, guess)
	}
	var wins, yes, no float64
	for i := range guess {
		yes, no = yes+truth(labels[i]), no+truth(!labels[i])
		for j := range guess {
			if labels[i] && !labels[j] {
				wins += truth(guess[i] > guess[j]) + truth(guess[i] == guess[j])/2
			}
		}
	}
	auc = wins / yes / no
	q1, q2 := auc/(2-auc), 2*auc*auc/(1+auc)
	variance := (auc*(1-auc) + (yes-1)*(q1-auc*auc) + (no-1)*(q2-auc*auc)) / yes / no
	return auc, auc + 1.96*math.Sqrt(variance)
}

// labelled makes prompts whose text has the label and a length by chance, for both origins alike.
func labelled(origin string, random *rand.Rand) string {
	return origin + strings.Repeat(" word", 1+random.IntN(40))
}

// askAsUsers asks so many queries in the bursts of real users, and returns when all have ended. Each
// call of ask has its number, from 0, and a goroutine of its own.
func askAsUsers(t *testing.T, queries int, ask func(number int, body []byte)) {
	t.Helper()
	random := rand.New(rand.NewPCG(17, 4))
	var asking sync.WaitGroup
	for at, i := time.Now(), 0; i < queries; i++ {
		switch random.IntN(3) { // a third comes with the one before, the others alone or after a pause
		case 1:
			at = at.Add(time.Duration(random.ExpFloat64() * float64(10*time.Millisecond)))
		case 2:
			at = at.Add(time.Duration(random.ExpFloat64() * float64(25*time.Millisecond)))
		}
		if now := time.Now(); now.Sub(at) > 10*time.Millisecond {
			at = now // users do not make up for a pause of the machine
		}
		<-time.After(time.Until(at))
		// As long as "synthetic": a miner does not see the label.
		body, err := json.Marshal(map[string]any{
			"stream": true, "temperature": 0.5, "seed": i, "model": "any",
			"messages": []wire.ChatMessage{{Role: "user", Content: labelled("organic :", random)}},
		})
		require.NoError(t, err)
		asking.Go(func() { ask(i, body) })
	}
	asking.Wait()
}

// leaves reports whether a user hangs up.
func leaves(number int) bool { return number%5 == 0 }

// sightings returns what the wiretap has seen, without the start and the end.
func (w *wiretap) sightings(t *testing.T) []*sighting {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	require.NoError(t, errors.Join(w.errs...))
	return steady(w.all)
}

// steady leaves out the start, in which a validator without a history of users has yet to see some,
// and what came after the last user.
func steady(all []*sighting) []*sighting {
	first, last, users := 0, 0, 0
	for i, s := range all {
		if s.synthetic {
			continue
		}
		if users++; users == 80 {
			first = i
		}
		last = i
	}
	return all[first : last+1]
}

// requireAlike checks that the classifier can guess no better than by chance.
func requireAlike(t *testing.T, all []*sighting) {
	t.Helper()
	first, count := all[0], [2]int{}
	for _, s := range all {
		require.Equal(t, first.start, s.start)
		require.Equal(t, first.header, s.header)
		require.False(t, s.cut)
		count[int(truth(s.synthetic))]++
	}
	require.Greater(t, count[0], 700)
	require.Greater(t, count[1], 300) // together at least 1,000
	auc, upper := classify(all)
	t.Logf("%d organic and %d synthetic requests: AUC %.3f, upper end of the 95 %% interval %.3f",
		count[0], count[1], auc, upper)
	require.Greater(t, auc, 0.30, "no number, or a guess of the contrary")
	require.LessOrEqual(t, auc, 0.60)
	require.LessOrEqual(t, upper, 0.65)
}

// The classifier must be able to find what there is to find.
func TestClassifierFindsWhatDiffers(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(23, 1))
	made := func(change func(s *sighting)) []*sighting {
		var all []*sighting
		at := time.Unix(0, 0)
		for i := range 800 {
			at = at.Add(time.Duration(random.ExpFloat64() * float64(10*time.Millisecond)))
			s := &sighting{
				synthetic: random.IntN(2) == 0, at: at, headerSize: 400, bodySize: 100 + random.IntN(100),
				conn: 1, turn: 2 + i, port: 5000,
				question: question{MaxTokens: 256, Temperature: random.Float64()},
			}
			if s.synthetic {
				change(s)
			}
			all = append(all, s)
		}
		slices.SortFunc(all, func(a, b *sighting) int { return a.at.Compare(b.at) })
		return all
	}
	same, _ := classify(made(func(*sighting) {}))
	require.InDelta(t, 0.5, same, 0.09)
	for name, change := range map[string]func(s *sighting){
		"temperature":   func(s *sighting) { s.question.Temperature = 0.4 + s.question.Temperature/5 },
		"header":        func(s *sighting) { s.headerSize += random.IntN(2) },
		"connections":   func(s *sighting) { s.turn = 1 + random.IntN(3) },
		"cancellations": func(s *sighting) { s.cut = random.IntN(3) == 0 },
		"own gaps":      func(s *sighting) { s.at = s.at.Truncate(20 * time.Millisecond) },
	} {
		auc, _ := classify(made(change))
		require.Greater(t, auc, 0.62, name)
	}
}

func TestQuestionsTakeNothingFromUsers(t *testing.T) {
	t.Parallel()
	first, second := newQuestion("a"), newQuestion("a")
	require.NotEqual(t, first.Seed, second.Seed)
}
