package state

// SetSlack makes a journal compact itself once it is n bytes larger than twice what it
// holds.
func (j *Journal) SetSlack(n int64) { j.slack, j.limit = n, 2*j.size+n }
