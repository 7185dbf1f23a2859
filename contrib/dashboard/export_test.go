package dashboard

// Viewers returns how many viewers the page has.
func (d *Dashboard) Viewers() int { return d.live.viewers() }
