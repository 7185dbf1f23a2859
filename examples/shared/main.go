// Command shared shows one organic queue between processes: this one takes the
// queries in, two others score them, and one of those is killed in the middle
// of its work.
//
//	go run ./shared                            # with a server inside this process
//	go run ./shared -server nats://localhost   # with yours
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
)

// scorerOf is the environment variable that makes the program a scorer: where
// the server is.
const scorerOf = "ORGANIC_SHARED_SCORER"

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

// run is the front-end, or a scorer if the environment asks for it.
func run(ctx context.Context, args []string, out io.Writer) error {
	if url := os.Getenv(scorerOf); url != "" {
		return score(ctx, url, out)
	}
	flags := flag.NewFlagSet("shared", flag.ContinueOnError)
	server := flags.String("server", "",
		"URL of a NATS server with JetStream; empty: one inside this process")
	queries := flags.Int("n", 20, "number of queries")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *queries < 1 {
		return fmt.Errorf("-n %d: must be at least 1", *queries)
	}
	return serve(ctx, *server, *queries, out)
}
