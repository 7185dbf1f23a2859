// Command validator is one complete validator. Users ask it by btauth/1 and get the first good
// answer of a miner as it comes in; all answers are scored, and weights set on the chain. What was
// accepted and scored survives a restart, and metrics are at /metrics. validator.go has the hooks,
// build.go what stands around them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/organic-scoring/organic/contrib/subtensor"
	"go.uber.org/zap"
)

// config is what differs between one validator and another.
type config struct {
	network   subtensor.Network
	netuid    uint16
	keypair   *keys.Keypair
	public    netip.AddrPort // where users reach the axon
	state     string         // folder of queue and scores
	reference string         // URL of a model server
	users     net.Listener   // of the axon
	pages     net.Listener   // of the metrics
	logger    *zap.Logger
}

func main() {
	if err := start(); err != nil {
		fmt.Fprintln(os.Stderr, "validator:", err)
		os.Exit(1)
	}
}

// start reads the flags and runs the validator until a signal comes.
func start() error {
	hotkey := flag.String("hotkey", "", "hotkey file of a wallet")
	netuid := flag.Uint("netuid", 0, "number of the subnet")
	public := flag.String("public", "", "address of the axon as users see it, host:port")
	listen := flag.String("listen", ":8091", "where the axon listens")
	metrics := flag.String("metrics", "127.0.0.1:9090", "where metrics are served")
	state := flag.String("state", ".", "folder of queue and scores")
	reference := flag.String("reference", "http://127.0.0.1:8000"+chatPath, "URL of a model server")
	flag.Parse()

	var errs [4]error
	cfg := config{
		network: subtensor.Finney(), netuid: uint16(*netuid), //nolint:gosec // the chain checks it
		state: *state, reference: *reference, logger: zap.Must(zap.NewProduction()),
	}
	cfg.keypair, errs[0] = keys.Load(*hotkey, nil)
	cfg.public, errs[1] = netip.ParseAddrPort(*public)
	cfg.users, errs[2] = net.Listen("tcp", *listen)
	cfg.pages, errs[3] = net.Listen("tcp", *metrics)
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	signalled, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(signalled, stop) // a second signal ends the program
	return run(signalled, cfg)
}
