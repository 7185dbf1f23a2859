// Package oldserver tests the queue with the oldest server that it supports, in
// a module of its own, since a program has one version of the server.
package oldserver
