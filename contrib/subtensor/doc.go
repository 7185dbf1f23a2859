// Package subtensor is a client of the Bittensor chain for validators.
package subtensor
