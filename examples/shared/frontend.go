package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/natsqueue/embedded"
)

// report is a line that a scorer wrote, or that it has ended.
type report struct {
	scorer   int
	did, id  string
	attempts int

	ended bool
	err   error // why
}

// serve takes queries in, has them scored by two processes, and kills one.
func serve(ctx context.Context, url string, queries int, out io.Writer) (err error) {
	if url == "" {
		server, stop, startErr := startServer() //nolint:contextcheck // the server outlives ctx
		if startErr != nil {
			return startErr
		}
		defer func() { err = errors.Join(err, stop()) }()
		url = server.URL()
	}
	queue, closeQueue, err := open(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeQueue()) }()

	waiting := make(map[string]bool)
	for i := range queries { // an API would do this for each request
		sample := organic.NewSample(fmt.Sprintf("query %d", i))
		if err := queue.Add(ctx, sample); err != nil {
			return err
		}
		waiting[sample.ID] = true
	}
	_, _ = fmt.Fprintf(out, "%d queries taken, no scorer runs yet\n", len(waiting))
	return watch(ctx, url, waiting, out)
}

// startServer starts a server in a folder that is removed in the end.
func startServer() (server *embedded.Server, stop func() error, err error) {
	folder, err := os.MkdirTemp("", "organic-shared")
	if err != nil {
		return nil, nil, err
	}
	server, err = embedded.Start(folder, embedded.WithListen("127.0.0.1:0"))
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(folder))
	}
	stop = func() error {
		return errors.Join(server.Stop(context.Background()), os.RemoveAll(folder))
	}
	return server, stop, nil
}

// watch runs two scorers until all is scored, and kills the first in the
// middle of an iteration.
func watch(ctx context.Context, url string, waiting map[string]bool, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reports := make(chan report)
	var scorers sync.WaitGroup
	defer scorers.Wait()
	defer cancel()
	var first *exec.Cmd
	for number := 1; number <= 2; number++ {
		cmd, lines, err := startScorer(ctx, url)
		if err != nil {
			return err
		}
		if number == 1 {
			first = cmd
		}
		scorers.Go(func() { follow(ctx, number, cmd, lines, reports) })
	}
	took, running := make(map[int]int), 2
	for len(waiting) > 0 {
		select {
		case r := <-reports:
			if r.ended {
				_, _ = fmt.Fprintf(out, "scorer %d has ended: %v\n", r.scorer, r.err)
				if running--; running == 0 {
					return errors.Join(fmt.Errorf("no scorer is left, and %d queries wait", len(waiting)), r.err)
				}
				continue
			}
			_, _ = fmt.Fprintf(out, "scorer %d %s %s, attempt %d\n", r.scorer, r.did, r.id, r.attempts)
			if r.did == "scored" {
				delete(waiting, r.id)
				continue
			}
			if took[r.scorer]++; r.scorer == 1 && took[1] == 2 {
				_, _ = fmt.Fprintf(out, "scorer 1 is killed now, with %s in its hands\n", r.id)
				if err := first.Process.Kill(); err != nil {
					return err
				}
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	_, _ = fmt.Fprintln(out, "all are scored")
	return nil
}

// startScorer starts this program again, as a scorer.
func startScorer(ctx context.Context, url string) (*exec.Cmd, io.Reader, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(ctx, program) //nolint:gosec // it is this program
	cmd.Env = append(os.Environ(), scorerOf+"="+url)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // the soft stop
	cmd.WaitDelay = goodbye
	lines, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	return cmd, lines, cmd.Start()
}

// follow hands on what a scorer writes, and then that it has ended.
func follow(
	ctx context.Context, number int, cmd *exec.Cmd, lines io.Reader, reports chan<- report,
) {
	scanner := bufio.NewScanner(lines)
	for scanner.Scan() {
		r := report{scorer: number}
		if _, err := fmt.Sscan(scanner.Text(), &r.did, &r.id, &r.attempts); err != nil {
			continue
		}
		select {
		case reports <- r:
		case <-ctx.Done():
		}
	}
	err := errors.Join(scanner.Err(), cmd.Wait())
	select {
	case reports <- report{scorer: number, ended: true, err: err}:
	case <-ctx.Done(): // it was told to stop
	}
}
