// Package axon takes signed organic queries over HTTP.
package axon
