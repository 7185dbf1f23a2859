package relay

import (
	"maps"
	"slices"
	"time"

	"github.com/organic-scoring/organic"
)

// What an answer and a chunk take beside their text, in bytes, about.
const (
	answerOverhead = 128
	chunkOverhead  = 128
)

// store keeps the answers of the newest queries. The owner's lock guards it.
type store struct {
	bytes int
	age   time.Duration

	used    int
	entries map[string]*entry
	oldest  []*entry // in order of arrival
}

type entry struct {
	id      string
	answers map[organic.UID]Answer
	cut     error // see Result.Err
	bytes   int
	until   time.Time
}

func (s *store) add(result *Result, now time.Time) {
	id, answers := result.ID, result.Answers
	e := &entry{
		id: id, answers: answers, cut: result.cut, bytes: footprint(answers), until: now.Add(s.age),
	}
	if s.entries == nil {
		s.entries = make(map[string]*entry)
	}
	if old := s.entries[id]; old != nil {
		s.forget(old)
		s.oldest = slices.DeleteFunc(s.oldest, func(e *entry) bool { return e == old })
	}
	s.entries[id] = e
	s.oldest = append(s.oldest, e)
	s.used += e.bytes
	s.trim(now)
}

// trim forgets what is too old or too much.
func (s *store) trim(now time.Time) {
	for len(s.oldest) > 0 {
		e := s.oldest[0]
		if s.used <= s.bytes && now.Before(e.until) {
			return
		}
		s.forget(e)
		s.oldest[0] = nil
		s.oldest = s.oldest[1:]
	}
}

func (s *store) forget(e *entry) {
	delete(s.entries, e.id)
	s.used -= e.bytes
}

// get returns a copy of the answers, and why they were cut short. Unknown ones
// are ErrUnknown.
func (s *store) get(id string, now time.Time) (map[organic.UID]Answer, error) {
	e := s.entries[id]
	if e == nil || !now.Before(e.until) {
		return nil, ErrUnknown
	}
	return maps.Clone(e.answers), e.cut
}

func (s *store) size(now time.Time) (entries, bytes int) {
	s.trim(now)
	return len(s.entries), s.used
}

func footprint(answers map[organic.UID]Answer) int {
	bytes := 0
	for _, answer := range answers {
		bytes += answerOverhead + chunkOverhead*len(answer.Chunks) + answer.Size()
	}
	return bytes
}
