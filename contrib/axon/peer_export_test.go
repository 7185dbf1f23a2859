package axon

import (
	"net/http"
	"net/netip"
)

// ClientOf is where a request comes from.
func (s *Server) ClientOf(r *http.Request) netip.AddrPort { return s.cfg.proxies.client(r) }
