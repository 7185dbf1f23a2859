// Package e2e tests package natsqueue against real servers. It is here so that
// the queue's own module does not need the server.
package e2e
