// Package relay reads and writes streams of server-sent events, as miners and
// OpenAI-style servers send them.
package relay
