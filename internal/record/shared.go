// SPDX-License-Identifier: Apache-2.0

package record

import "sync"

// Shared holds what is made of an event for all who follow it, in a form that
// is not its JSON. The zero value is ready. It is not copied.
type Shared struct {
	once sync.Once
	made *made
}

type made struct {
	bytes []byte
	err   error
}

// Do gives what convert makes; it is called once.
func (s *Shared) Do(convert func() ([]byte, error)) ([]byte, error) {
	s.once.Do(func() {
		// Said first, for the others if convert panics.
		s.made = &made{err: errConversion}
		b, err := convert()
		s.made = &made{b, err}
	})
	return s.made.bytes, s.made.err
}
