package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/organic-scoring/organic/contrib/dashboard"
)

// newPage builds the status page of a process that scores.
func (v *Validator) newPage(context.Context) (err error) {
	opts := []dashboard.Option{
		dashboard.WithTitle("Validator, " + v.role),
		dashboard.WithRelay(v.relay),
		dashboard.WithChain(v.chainStats),
		dashboard.WithScores(v.payable()),
		dashboard.WithSetter(v.setter),
	}
	if v.server != nil {
		opts = append(opts, dashboard.WithAxon(v.axonStats))
	}
	v.page, err = dashboard.New(v, opts...)
	return err
}

func (v *Validator) chainStats() dashboard.Chain {
	stats := v.client.Stats()
	return dashboard.Chain{
		Endpoint: stats.Endpoint, Connections: stats.Connections,
		Failures: stats.Failures, Spec: stats.Version.Spec,
	}
}

func (v *Validator) axonStats() dashboard.Axon {
	stats := v.server.Stats()
	shown := dashboard.Axon{
		Verified: stats.Verified, Served: stats.Served, Refused: make(map[string]uint64),
		Serving: stats.Serving, Waiting: stats.Waiting,
	}
	for reason, count := range stats.Refused {
		shown.Refused[string(reason)] = count
	}
	return shown
}

// servePage serves the page, which asks for no password, until ctx ends.
func (v *Validator) servePage(ctx context.Context) error {
	v.serving.Go(func() { _ = v.page.Run(ctx) }) // fails only if it runs already
	if v.pageAddress == "" {
		return nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", v.pageAddress)
	if err != nil {
		return err
	}
	v.pageURL = "http://" + listener.Addr().String()
	server := &http.Server{Handler: v.page, ReadHeaderTimeout: 5 * time.Second}
	v.serving.Go(func() { _ = server.Serve(listener) }) // ends by Close
	v.serving.Go(func() {
		<-ctx.Done()
		_ = server.Close()
	})
	return nil
}

// writeReport writes the page as a static file, if one is asked for.
func (v *Validator) writeReport() error {
	if v.report == "" || v.page == nil {
		return nil
	}
	file, err := os.Create(v.report)
	if err != nil {
		return err
	}
	return errors.Join(v.page.WriteReport(file), file.Close())
}
