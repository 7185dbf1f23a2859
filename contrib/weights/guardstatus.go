package weights

// noSynthetics is why guards that compare with synthetic rewards are idle.
const noSynthetics = "there are no synthetic rewards yet"

// status lists the guards that are set.
func (g *guards) status() []GuardStatus {
	var all []GuardStatus
	for _, name := range g.names {
		if name != "" {
			all = append(all, GuardStatus{Name: name})
		}
	}
	return all
}

// compare notes which guards have nothing to compare with, and how many scores the others change.
func (g *guards) compare(status *ScoresStatus, standings []Standing, anySynthetics bool) {
	for i := range status.Guards {
		guard := &status.Guards[i]
		switch guard.Name {
		case g.names[bandGuard], g.names[organicShareGuard]:
			if !anySynthetics {
				guard.Idle = noSynthetics
			}
		}
		for uid := range standings {
			if g.affects(guard.Name, &standings[uid]) {
				guard.Affected++
			}
		}
	}
}

// affects reports whether a guard changes a score.
func (g *guards) affects(name string, standing *Standing) bool {
	switch name {
	case g.names[bandGuard]:
		return standing.Banded
	case g.names[requesterShareGuard]:
		return standing.Capped > 0
	case g.names[rampGuard]:
		return standing.Known < 1 && standing.Organic.Count+standing.Synthetic.Count > 0
	}
	return false
}

// message is something to log about a guard.
type message struct{ text, guard string }

// changed returns what is to be logged, each state once.
func (s *Scores) changed(status *ScoresStatus) (messages []message) {
	i := 0
	for kind, name := range s.guards.names {
		if name == "" {
			continue
		}
		idle := status.Guards[i].Idle != ""
		if idle && !s.told[kind] && s.round > 0 {
			messages = append(messages,
				message{"guard has nothing to compare with: " + status.Guards[i].Idle, name})
		}
		s.told[kind] = idle && s.round > 0
		i++
	}
	if status.Void && !s.voided {
		messages = append(messages,
			message{"miners have earned rewards, but no score is above 0", ""})
	}
	s.voided = status.Void
	return messages
}
